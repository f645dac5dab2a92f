//! Plays the events of one test through the engine, and notes what happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::coverage::Coverage;
use super::format::{At, Case, Happening};
use crate::detect::Explanation;
use crate::engine::{self, Incoming, NoAccounts, Observed, Rules, Settings, Shard, Workspace};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{EventTime, Offset, Position, RawRecord, ShardId, TopicIndex};
use crate::incident::{DeliveryKind, Stage};
use crate::rulebook::{ActionKind, DetectionIndex, RuleIndex};

/// Where `at: 0s` is: 2026-01-05T03:00:00Z, a Monday, 10:00 in Jakarta.
const START: EventTime = EventTime::from_millis(1_767_582_000_000);

/// What the events led to.
#[derive(Debug, Default)]
pub(super) struct Played {
    pub(super) matched: BTreeSet<RuleIndex>,
    /// Of the account of the last event, after it.
    pub(super) risk: f64,
    pub(super) stage: Option<Stage>,
    pub(super) responses: BTreeSet<ActionKind>,
    /// For each rule that was asked about: the event that came nearest to a match.
    pub(super) nearest: BTreeMap<DetectionIndex, Explained>,
}

/// A rule on one event.
#[derive(Debug)]
pub(super) struct Explained {
    /// Which event of the test, from 1, repetitions counted.
    pub(super) event: usize,
    pub(super) explanation: Explanation,
}

/// Plays a test. `asked` are the rules to explain, `coverage` notes what decided in those under test.
pub(super) fn play(
    case: &Case,
    rules: &Rules,
    asked: &[DetectionIndex],
    coverage: &mut Coverage,
) -> Result<Played, String> {
    let mut records = Vec::new();
    for happening in &case.events {
        expand(happening, &mut records)?;
    }
    records.sort_by_key(|(time, _)| *time);
    let mut incoming = Vec::with_capacity(records.len());
    for (number, (time, mut event)) in records.into_iter().enumerate() {
        event.entry("id").or_insert_with(|| format!("event-{}", number + 1).into());
        event.insert("time".to_owned(), time.millis().to_string().into());
        let position =
            Position { topic: TopicIndex(0), offset: Offset(i64::try_from(number).unwrap_or(0)) };
        let record = RawRecord {
            shard: ShardId(0),
            position,
            timestamp: None,
            key: None,
            headers: Vec::new(),
            payload: serde_json::to_vec(&event).map_err(|error| error.to_string())?,
        };
        let events = decode::decode(&WireShape::Satpam, &record, &Limits::default())
            .map_err(|rejection| format!("event {} is refused: {rejection}", number + 1))?;
        incoming.push(Incoming { position, events: events.into_vec() });
    }

    let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
    shard.adopt(rules);
    let mut played = Played::default();
    let mut events = 0;
    engine::step(
        &mut shard,
        rules,
        &Settings::default(),
        incoming,
        &mut Workspace::default(),
        &mut |seen| {
            events += usize::from(seen.subject.is_some());
            played.note(seen, events, rules, asked);
            coverage.note(seen, rules);
        },
    )
    .map_err(|error| error.to_string())?;
    Ok(played)
}

impl Played {
    fn note(&mut self, seen: &Observed<'_>, event: usize, rules: &Rules, asked: &[DetectionIndex]) {
        self.matched.extend(seen.matches);
        self.risk = seen.risk();
        self.stage = self.stage.max(seen.changes.incident.as_ref().map(|incident| incident.stage));
        self.responses.extend(seen.changes.planned.iter().filter_map(
            |planned| match planned.kind {
                DeliveryKind::Action(kind) => Some(kind),
                DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) => None,
            },
        ));
        let Some(subject) = seen.subject else { return };
        for rule in asked {
            let detection = &rules.rulebook().detections[rule.0 as usize];
            if !subject.logsource.is_covered_by(&detection.logsource) {
                continue;
            }
            let explanation = rules.detector().explain(*rule, subject);
            let is_nearer = self
                .nearest
                .get(rule)
                .is_none_or(|known| held(&explanation) > held(&known.explanation));
            if is_nearer {
                self.nearest.insert(*rule, Explained { event, explanation });
            }
        }
    }
}

/// Counts the parts that hold; a rule that holds as a whole is nearest of all.
fn held(explanation: &Explanation) -> (bool, usize) {
    fn count(part: &Explanation) -> usize {
        usize::from(part.holds) + part.parts.iter().map(count).sum::<usize>()
    }
    (explanation.holds, count(explanation))
}

fn expand(
    happening: &Happening,
    into: &mut Vec<(EventTime, Map<String, Value>)>,
) -> Result<(), String> {
    let first = match &happening.at {
        At::Time(time) => EventTime::from_millis(time.as_millisecond()),
        At::Behind(span) => START.plus_millis(span.millis()),
    };
    let Some(repeat) = &happening.repeat else {
        into.push((first, happening.event.clone()));
        return Ok(());
    };
    for number in 0..repeat.count {
        let mut event = happening.event.clone();
        for path in &repeat.unique {
            make_unique(&mut event, path, number)?;
        }
        if let Some(Value::String(id)) = event.get_mut("id") {
            id.push('-');
            id.push_str(&number.to_string());
        }
        into.push((first.plus_millis(repeat.every.millis() * i64::from(number)), event));
    }
    Ok(())
}

/// Appends a number to the text at a dotted path.
fn make_unique(event: &mut Map<String, Value>, path: &str, number: u32) -> Result<(), String> {
    let missing = || format!("`unique: [{path}]` names no text of the event");
    let mut keys = path.split('.');
    let mut at = keys.next().and_then(|key| event.get_mut(key)).ok_or_else(missing)?;
    for key in keys {
        at = at.get_mut(key).ok_or_else(missing)?;
    }
    let Value::String(text) = at else { return Err(missing()) };
    text.push_str(&number.to_string());
    Ok(())
}
