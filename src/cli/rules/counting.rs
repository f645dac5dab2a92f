//! What it costs to count the matches that feed a correlation, apart from finding them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::baseline::{LocalOffset, Normal, Seen};
use crate::detect::content::Derived;
use crate::detect::correlate::{
    AccountWindows, CorrelationInput, Correlator, Counters, Findings, ShardWindows,
};
use crate::detect::{AccountFacts, EventSource, Scratch, Subject};
use crate::engine::{Rules, Settings};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{
    AccountId, Document, Event, EventTime, Offset, Position, RawRecord, ShardId, TimeSpan,
    TopicIndex,
};
use crate::replay::Replay;
use crate::rulebook::{CorrelationIndex, DetectionIndex, RuleIndex, Rulebook};

/// An event with the detections that matched it in the engine, with each account's memory.
struct Judged {
    event: Event,
    matched: Vec<DetectionIndex>,
}

/// Events in the order in which they are counted. Those that are not in the satpam envelope cannot
/// be counted and are left out.
pub(super) struct Stream {
    events: Vec<Judged>,
    facts: AccountFacts,
}

/// What counting came to.
pub(super) struct Counted {
    /// For all events together.
    pub(super) time: Duration,
    /// How often the correlation fired.
    pub(super) fired: usize,
}

impl Stream {
    /// Runs the engine over the events and notes what matched.
    pub(super) fn judge(rules: &Rules, documents: &[Document], facts: AccountFacts) -> Self {
        let settings =
            Settings { lateness: TimeSpan::from_millis(i64::MAX), ..Settings::default() };
        let mut replay = Replay::new(rules, settings);
        let mut events = Vec::new();
        for event in documents.iter().filter_map(decoded).flatten() {
            let mut matched = Vec::new();
            let played = replay.play(event.clone(), &mut |seen| {
                if seen.subject.is_some() {
                    matched.extend(seen.matches.iter().filter_map(|rule| match rule {
                        RuleIndex::Detection(index) => Some(*index),
                        RuleIndex::Correlation(_) => None,
                    }));
                }
            });
            if played.is_ok() {
                events.push(Judged { event, matched });
            }
        }
        Self { events, facts }
    }

    /// Does everything that is not counting, once for all correlations.
    pub(super) fn prepare(&self, rules: &Rules) -> Vec<Prepared<'_>> {
        self.events.iter().map(|judged| Prepared::new(self, judged, rules)).collect()
    }
}

/// Measures one correlation, with those that it builds on.
pub(super) fn measure(
    rules: &Rules,
    events: &[Prepared<'_>],
    rule: CorrelationIndex,
    rounds: u32,
) -> Counted {
    let (with, bases) = alone(rules.rulebook(), Some(rule));
    let own = with.correlations.len().checked_sub(1).and_then(|last| u32::try_from(last).ok());
    let own = own.map(CorrelationIndex);
    let matched: Vec<Vec<DetectionIndex>> = events
        .iter()
        .map(|event| event.matched.iter().copied().filter(|index| bases.contains(index)).collect())
        .collect();
    let best = |rulebook: Rulebook| {
        let correlator = Correlator::new(Arc::new(rulebook));
        let rounds = (0..rounds).map(|_| count(&correlator, events, &matched, rules, own));
        rounds.min_by_key(|(time, _)| *time).unwrap_or_default()
    };
    let (with, fired) = best(with);
    // What any account costs, whatever counts for it.
    let (without, _) = best(alone(rules.rulebook(), None).0);
    Counted { time: with.saturating_sub(without), fired }
}

/// An event with everything that is not counting done.
pub(super) struct Prepared<'e> {
    event: &'e Event,
    derived: Derived<'e>,
    scratch: Scratch,
    matched: &'e [DetectionIndex],
}

impl<'e> Prepared<'e> {
    fn new(stream: &'e Stream, judged: &'e Judged, rules: &Rules) -> Self {
        let event = &judged.event;
        let derived = Derived::new(event.document(), event.time(), &stream.facts);
        let mut scratch = Scratch::default();
        let subject = Subject {
            document: event.document(),
            derived: &derived,
            logsource: EventSource::Any,
            account: event.account(),
            time: event.time(),
        };
        // For the values of the fields that are grouped by.
        rules.detector().evaluate(&subject, &mut scratch, &mut Vec::new());
        Self { event, derived, scratch, matched: &judged.matched }
    }
}

fn count(
    correlator: &Correlator,
    events: &[Prepared<'_>],
    matched: &[Vec<DetectionIndex>],
    rules: &Rules,
    own: Option<CorrelationIndex>,
) -> (Duration, usize) {
    let mut accounts: BTreeMap<&AccountId, (AccountWindows, Normal)> = BTreeMap::new();
    let mut shard = ShardWindows::default();
    correlator.reconcile(EventTime::from_millis(0), &mut shard);
    let (mut found, mut counters, mut fired) = (Findings::default(), Counters::default(), 0);
    let utc = LocalOffset::from_seconds(0);
    let plan = rules.plan(None);
    #[expect(
        clippy::disallowed_methods,
        reason = "a benchmark reads the clock; nothing is decided by it"
    )]
    let start = std::time::Instant::now();
    for (Prepared { event, derived, scratch, .. }, matched) in events.iter().zip(matched) {
        let (windows, normal) = accounts
            .entry(event.account())
            .or_insert_with(|| (AccountWindows::default(), Normal::new(event.time())));
        normal.advance(event.time(), utc, plan.messages);
        let input = CorrelationInput {
            time: event.time(),
            event: event.id(),
            account: event.account(),
            fields: &rules.detector().fields(event.document(), derived, scratch),
            plan,
        };
        found.clear();
        correlator.observe(matched, &input, windows, normal, &mut shard, &mut found, &mut counters);
        correlator.advance_account(event.time(), windows, &mut found.fired);
        fired += found.fired.iter().filter(|one| Some(one.correlation) == own).count();
    }
    (start.elapsed(), fired)
}

fn decoded(document: &Document) -> Option<decode::Events> {
    let record = RawRecord {
        shard: ShardId(0),
        position: Position { topic: TopicIndex(0), offset: Offset(0) },
        timestamp: None,
        key: None,
        headers: Vec::new(),
        payload: document.source().as_bytes().to_vec(),
    };
    decode::decode(&WireShape::Satpam, &record, &Limits::default()).ok()
}

/// Returns the rule set with one correlation and those that it builds on, and the detections that
/// feed them; without a correlation, none.
fn alone(
    rulebook: &Rulebook,
    rule: Option<CorrelationIndex>,
) -> (Rulebook, BTreeSet<DetectionIndex>) {
    let mut wanted = BTreeSet::new();
    let mut bases = BTreeSet::new();
    let mut open: Vec<CorrelationIndex> = rule.into_iter().collect();
    while let Some(index) = open.pop() {
        if wanted.insert(index) {
            for base in &rulebook.correlations[index.0 as usize].rules {
                match base {
                    RuleIndex::Detection(detection) => {
                        bases.insert(*detection);
                    }
                    RuleIndex::Correlation(correlation) => open.push(*correlation),
                }
            }
        }
    }
    // In their order, so that each still stands behind what it refers to.
    let places: BTreeMap<CorrelationIndex, CorrelationIndex> =
        wanted.iter().copied().zip((0..).map(CorrelationIndex)).collect();
    let correlations = wanted.iter().map(|index| {
        let mut correlation = rulebook.correlations[index.0 as usize].clone();
        for base in &mut correlation.rules {
            if let RuleIndex::Correlation(at) = base {
                *at = places[at];
            }
        }
        correlation
    });
    let alone = Rulebook {
        fields: rulebook.fields.clone(),
        atoms: rulebook.atoms.clone(),
        detections: rulebook.detections.clone(),
        correlations: correlations.collect(),
        policy: rulebook.policy.clone(),
        accounts: rulebook.accounts.clone(),
        revision: Arc::clone(&rulebook.revision),
    };
    (alone, bases)
}

/// An account of which nothing is known.
pub(super) fn unknown_account() -> AccountFacts {
    AccountFacts {
        timezone: TimeZone::UTC,
        first_seen: EventTime::from_millis(0),
        is_new: false,
        allowlist: None,
        template_text: None,
        seen: Seen::default(),
    }
}
