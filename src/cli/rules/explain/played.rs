//! Plays the events up to the one that is explained.

use std::io::Read;
use std::path::Path;

use crate::detect::correlate::Fired;
use crate::engine::{self, Incoming, NoAccounts, Observed, Rules, Settings, Shard, Workspace};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{Event, Offset, Position, RawRecord, ShardId, TopicIndex};
use crate::rulebook::{
    self, Correlation, CorrelationIndex, CorrelationKind, DetectionIndex, Range, RuleIndex,
};

/// The events of the file, in its order.
pub(super) struct Events(Vec<Event>);

/// What happened at the last event.
pub(super) struct Played {
    pub(super) events: Vec<Event>,
    /// The rules that the explained one rests on, and itself: each with its tree where it looks at
    /// the last event.
    pub(super) trees: Vec<(DetectionIndex, bool, crate::detect::Explanation)>,
    pub(super) matched: Vec<RuleIndex>,
    pub(super) fired: Option<Fired>,
    /// How many of the events each detection behind the rule has matched.
    pub(super) fed: Vec<(DetectionIndex, u64)>,
    pub(super) risk: f64,
    /// Why the last event was not evaluated, if it was not.
    pub(super) skipped: Option<&'static str>,
}

impl Events {
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let mut text = String::new();
        let read = if path.as_os_str() == "-" {
            std::io::stdin().read_to_string(&mut text)
        } else {
            std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
        };
        read.map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        let mut events = Vec::new();
        for (number, value) in
            serde_json::Deserializer::from_str(&text).into_iter::<serde_json::Value>().enumerate()
        {
            let place = |problem: String| format!("event {}: {problem}", number + 1);
            let mut value = value.map_err(|error| place(error.to_string()))?;
            if let Some(head) = value.as_object_mut() {
                head.entry("id").or_insert_with(|| format!("event-{}", number + 1).into());
            }
            let shape = if value.get("specversion").is_some() {
                WireShape::CloudEvents
            } else {
                WireShape::Satpam
            };
            let record = RawRecord {
                shard: ShardId(0),
                position: position(number),
                timestamp: None,
                key: None,
                headers: Vec::new(),
                payload: value.to_string().into_bytes(),
            };
            let decoded = decode::decode(&shape, &record, &Limits::default());
            events.extend(decoded.map_err(|rejection| place(rejection.to_string()))?);
        }
        if events.is_empty() {
            return Err(format!("{} holds no event", path.display()));
        }
        Ok(Self(events))
    }
}

impl Played {
    pub(super) fn of(rules: &Rules, rule: RuleIndex, events: Events) -> Result<Self, String> {
        let Events(events) = events;
        let mut behind = Vec::new();
        detections_behind(rules, rule, &mut behind);
        let mut played = Self {
            events,
            trees: Vec::new(),
            matched: Vec::new(),
            fired: None,
            fed: behind.iter().map(|detection| (*detection, 0)).collect(),
            risk: 0.0,
            skipped: Some("it is too late, or its id was seen before"),
        };
        let mut shard = fresh(rules);
        let last = played.events.len() - 1;
        for number in 0..played.events.len() {
            let event = played.events[number].clone();
            step(&mut shard, rules, event, number, &mut |seen| {
                played.note(rules, rule, &behind, seen, number == last);
            })?;
        }
        Ok(played)
    }

    fn note(
        &mut self,
        rules: &Rules,
        rule: RuleIndex,
        behind: &[DetectionIndex],
        seen: &Observed<'_>,
        is_last: bool,
    ) {
        for (detection, count) in &mut self.fed {
            *count += u64::from(seen.matches.contains(&RuleIndex::Detection(*detection)));
        }
        if !is_last {
            return;
        }
        let fired =
            seen.fired.iter().find(|fired| rule == RuleIndex::Correlation(fired.correlation));
        self.fired = self.fired.take().or_else(|| fired.cloned());
        self.matched.extend(seen.matches);
        let Some(subject) = seen.subject else { return };
        self.skipped = None;
        self.risk = seen.risk();
        for detection in behind {
            let looks = &rules.rulebook().detections[detection.0 as usize].logsource;
            let applies = subject.logsource.is_covered_by(looks);
            let tree = rules.detector().explain(*detection, subject);
            self.trees.push((*detection, applies, tree));
        }
    }
}

/// Returns what a correlation counted at the last event, whatever its condition.
///
/// The events are played again with the same rules but for this condition: it holds for nothing
/// before the last event, and for everything there.
pub(super) fn measure(
    folder: &Path,
    rule: RuleIndex,
    played: &Played,
) -> Result<Option<Fired>, String> {
    let RuleIndex::Correlation(index) = rule else { return Ok(None) };
    let relaxed = |open: bool| -> Result<Option<Rules>, String> {
        let mut book = rulebook::load(folder).map_err(|error| error.to_string())?.rulebook;
        let correlation = &mut book.correlations[index.0 as usize];
        Ok(set_condition(correlation, open).then(|| Rules::new(book)))
    };
    let (Some(never), Some(always)) = (relaxed(false)?, relaxed(true)?) else { return Ok(None) };
    let mut shard = fresh(&never);
    let mut found = None;
    let last = played.events.len() - 1;
    for (number, event) in played.events.iter().enumerate() {
        let rules = if number == last { &always } else { &never };
        step(&mut shard, rules, event.clone(), number, &mut |seen| {
            if number == last {
                found = seen.fired.iter().find(|fired| is_of(fired, index)).cloned();
            }
        })?;
    }
    Ok(found)
}

fn is_of(fired: &Fired, index: CorrelationIndex) -> bool {
    fired.correlation == index
}

/// Makes a condition hold always or never; false where the kind compares nothing.
fn set_condition(correlation: &mut Correlation, open: bool) -> bool {
    let range = match &mut correlation.kind {
        CorrelationKind::EventCount { condition }
        | CorrelationKind::ValueCount { condition, .. }
        | CorrelationKind::ValueSum { condition, .. }
        | CorrelationKind::ValueAverage { condition, .. }
        | CorrelationKind::ValuePercentile { condition, .. }
        | CorrelationKind::Temporal { condition } => condition,
        CorrelationKind::Baseline(baseline) => {
            baseline.threshold = if open { f64::MIN } else { f64::MAX };
            return true;
        }
        CorrelationKind::TemporalOrdered
        | CorrelationKind::NewTerms { .. }
        | CorrelationKind::Absence { .. } => return false,
    };
    let never = (rulebook::Comparison::Less, f64::MIN);
    *range = Range(if open { Vec::new() } else { vec![never] });
    true
}

fn detections_behind(rules: &Rules, rule: RuleIndex, found: &mut Vec<DetectionIndex>) {
    match rule {
        RuleIndex::Detection(index) => {
            if !found.contains(&index) {
                found.push(index);
            }
        }
        RuleIndex::Correlation(index) => {
            for inner in &rules.rulebook().correlations[index.0 as usize].rules {
                detections_behind(rules, *inner, found);
            }
        }
    }
}

fn fresh(rules: &Rules) -> Shard {
    let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
    shard.adopt(rules);
    shard
}

fn step(
    shard: &mut Shard,
    rules: &Rules,
    event: Event,
    number: usize,
    observe: &mut dyn FnMut(&Observed<'_>),
) -> Result<(), String> {
    let record = Incoming { position: position(number), events: vec![event] };
    let settings = Settings::default();
    let workspace = &mut Workspace::default();
    engine::step(shard, rules, &settings, vec![record], workspace, observe)
        .map(drop)
        .map_err(|error| error.to_string())
}

fn position(number: usize) -> Position {
    let offset = Offset(i64::try_from(number).unwrap_or(i64::MAX));
    Position { topic: TopicIndex(0), offset }
}
