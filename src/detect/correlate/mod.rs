//! Matches over time: Sigma's correlations, and our `baseline`, `new_terms` and `absence`.
//!
//! A correlation fires on every event that completes its condition, as other Sigma engines do:
//! while the condition stays true each further match fires again (risk is refreshed, not stacked,
//! so repetition adds nothing). A `baseline` fires once in 24 hours, a new term once.
//!
//! Windows are closed at both ends, in milliseconds of event time. A late match enters at its own
//! time and fires for what it completes. Where a group field is missing the match is not counted,
//! and [`Counters`] say so. A correlation feeds those that refer to it within the same call.

mod absence;
mod fields;
mod ordered;
mod state;
mod terms;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;

use serde::Deserialize;
use smallvec::SmallVec;

use self::absence::{Opening, Waiting};
use self::fields::{GroupKey, group_key, number, tuple_hashes};
use self::ordered::Sequence;
use self::state::{Group, Memory, States};
use self::terms::Terms;
use self::window::{Aggregate, Entry, Span, Window};
use crate::baseline::{MeasureKey, MeasureParameters, Normal, NotCounted, Verdict};
use crate::event::{AccountId, EventId, EventTime, TimeSpan};
use crate::rulebook::{
    BaselineRule, Correlation, CorrelationIndex, CorrelationKind, DetectionIndex, Measure,
    PlanFigures, PlanMeasure, Prior, Range, RuleIndex, Rulebook, Status,
};

pub use self::state::{AccountWindows, EVIDENCE_MAX, ShardWindows};
pub use self::window::ENTRIES_MAX;

use super::FieldSource;

/// Bounds of what correlations remember.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How late an event may arrive and still enter its windows; 0 s to 24 h.
    pub lateness: TimeSpan,
    /// Groups of one rule within one account, at least 1; those quiet for longest go first.
    pub account_groups_max: usize,
    /// Groups of one rule that does not group by account, at least 1.
    pub shard_groups_max: usize,
    /// How long the state of a removed rule is kept, in event time.
    pub forget_after: TimeSpan,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lateness: TimeSpan::from_millis(3_600_000),
            account_groups_max: 64,
            shard_groups_max: 10_000,
            forget_after: TimeSpan::from_millis(24 * 3_600_000),
        }
    }
}

/// The event whose matches are correlated.
#[derive(Clone, Copy)]
pub struct CorrelationInput<'a> {
    pub time: EventTime,
    pub event: &'a EventId,
    pub account: &'a AccountId,
    pub fields: &'a dyn FieldSource,
    /// What an account of this plan does before it is known.
    pub plan: &'a PlanFigures,
}

impl std::fmt::Debug for CorrelationInput<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CorrelationInput")
            .field("time", &self.time)
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}

/// A correlation that fired.
#[derive(Debug, Clone, PartialEq)]
pub struct Fired {
    pub correlation: CorrelationIndex,
    /// The time of the event that completed it, or the deadline that passed.
    pub time: EventTime,
    /// The group's fields as the rule names them, and their values.
    pub group: Vec<(Arc<str>, String)>,
    /// What the condition compared: count, sum, score; 1 where there is nothing to compare.
    pub value: f64,
    pub explanation: Explanation,
    /// The latest contributing events, at most [`EVIDENCE_MAX`].
    pub events: Vec<EventId>,
}

/// Why a correlation fired.
#[derive(Debug, Clone, PartialEq)]
pub enum Explanation {
    /// The window that satisfied the condition.
    Window {
        from: EventTime,
        to: EventTime,
    },
    Baseline(Verdict),
    /// The group had not shown the event's value.
    NewTerm,
    /// Nothing came between these times.
    Absence {
        since: EventTime,
        deadline: EventTime,
    },
}

/// What was not counted, or was let go, for one correlation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CorrelationCounts {
    pub group_field_missing: u64,
    pub value_field_missing: u64,
    pub too_late: u64,
    pub too_many_groups: u64,
    pub groups_dropped: u64,
}

/// Counts by correlation, in the order of the rule set; the engine adds them to its metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counters {
    pub by_correlation: Vec<CorrelationCounts>,
}

impl Counters {
    fn of(&mut self, correlation: CorrelationIndex) -> &mut CorrelationCounts {
        let index = correlation.0 as usize;
        if self.by_correlation.len() <= index {
            self.by_correlation.resize(index + 1, CorrelationCounts::default());
        }
        &mut self.by_correlation[index]
    }
}

/// What one event led to.
#[derive(Debug, Default)]
pub struct Findings {
    pub fired: Vec<Fired>,
    /// The score, in nats, of each baseline that counted the event, whether it fired or not.
    pub scores: Vec<(CorrelationIndex, f64)>,
}

impl Findings {
    pub fn clear(&mut self) {
        self.fired.clear();
        self.scores.clear();
    }
}

/// Which correlation a rule feeds, at which position of its list.
type Feed = (CorrelationIndex, u16);

/// The correlations of a rule set, ready to be fed.
#[derive(Debug)]
pub struct Correlator {
    rulebook: Arc<Rulebook>,
    settings: Settings,
    by_detection: Vec<Vec<Feed>>,
    by_correlation: Vec<Vec<Feed>>,
}

/// Everything that a step reads and writes.
struct Step<'a, 'b> {
    input: &'a CorrelationInput<'a>,
    account: &'b mut AccountWindows,
    normal: &'b mut Normal,
    shard: &'b mut ShardWindows,
    counters: &'b mut Counters,
    scores: &'b mut Vec<(CorrelationIndex, f64)>,
}

impl Correlator {
    /// Finds out which correlations each rule feeds, with the default bounds.
    pub fn new(rulebook: Arc<Rulebook>) -> Self {
        Self::with_settings(rulebook, Settings::default())
    }

    pub fn with_settings(rulebook: Arc<Rulebook>, settings: Settings) -> Self {
        let mut by_detection = vec![Vec::new(); rulebook.detections.len()];
        let mut by_correlation = vec![Vec::new(); rulebook.correlations.len()];
        for (index, correlation) in (0..).map(CorrelationIndex).zip(&rulebook.correlations) {
            match correlation.meta.status {
                Status::Deprecated | Status::Unsupported => continue,
                Status::Experimental | Status::Test | Status::Stable => {}
            }
            for (position, rule) in (0..).zip(&correlation.rules) {
                match rule {
                    RuleIndex::Detection(rule) => {
                        by_detection[rule.0 as usize].push((index, position));
                    }
                    RuleIndex::Correlation(rule) => {
                        by_correlation[rule.0 as usize].push((index, position));
                    }
                }
            }
        }
        Self { rulebook, settings, by_detection, by_correlation }
    }

    /// Feeds one event's matches and appends what fires, each correlation at most once a group.
    ///
    /// [`Normal::advance`] was called with the event's time before.
    #[expect(clippy::too_many_arguments, reason = "each is another owner's state or result")]
    pub fn observe(
        &self,
        matched: &[DetectionIndex],
        input: &CorrelationInput<'_>,
        account: &mut AccountWindows,
        normal: &mut Normal,
        shard: &mut ShardWindows,
        findings: &mut Findings,
        counters: &mut Counters,
    ) {
        let Findings { fired, scores } = findings;
        let mut feeds: SmallVec<[(CorrelationIndex, u16, Option<usize>); 16]> = SmallVec::new();
        for detection in matched {
            let fed = self.by_detection.get(detection.0 as usize).into_iter().flatten();
            feeds.extend(fed.map(|(correlation, position)| (*correlation, *position, None)));
        }
        feeds.sort_unstable();
        let mut step = Step { input, account, normal, shard, counters, scores };
        let mut next = 0;
        while let Some((index, _, _)) = feeds.get(next).copied() {
            let end = next + feeds[next..].iter().take_while(|feed| feed.0 == index).count();
            let before = fired.len();
            self.feed(index, &feeds[next..end], &mut step, fired);
            next = end;
            for child in before..fired.len() {
                // Those that refer to a correlation stand behind it, so they are still to come.
                for (parent, position) in &self.by_correlation[index.0 as usize] {
                    feeds.push((*parent, *position, Some(child)));
                }
            }
            if fired.len() > before {
                feeds[next..].sort_unstable();
            }
        }
    }

    /// Feeds one correlation with all its matches of one event.
    fn feed(
        &self,
        index: CorrelationIndex,
        feeds: &[(CorrelationIndex, u16, Option<usize>)],
        step: &mut Step<'_, '_>,
        fired: &mut Vec<Fired>,
    ) {
        let correlation = &self.rulebook.correlations[index.0 as usize];
        let mut completed: Vec<(u64, Fired)> = Vec::new();
        for (_, position, child) in feeds {
            let child = child.and_then(|child| fired.get(child)).map(|child| &*child.group);
            let key = group_key(&self.rulebook, correlation, *position, step.input.fields, child);
            let Some(key) = key else {
                step.counters.of(index).group_field_missing += 1;
                continue;
            };
            let first = feeds.first().map_or(0, |(_, first, _)| usize::from(*first));
            if let Some(rule) = correlation.only_taught_at(usize::from(*position)) {
                if first >= rule.first_usual {
                    learn_usual_size(correlation, rule, &key, step);
                }
                continue;
            }
            let done = self.count(index, correlation, *position, &key, step);
            // Several rules may match one event: a window is judged once all of them are in it.
            if done.is_some() || is_window(&correlation.kind) {
                completed.retain(|(hash, _)| *hash != key.hash);
            }
            completed.extend(done.map(|done| (key.hash, done)));
        }
        fired.extend(completed.into_iter().map(|(_, fired)| fired));
    }

    fn count(
        &self,
        index: CorrelationIndex,
        correlation: &Correlation,
        position: u16,
        key: &GroupKey,
        step: &mut Step<'_, '_>,
    ) -> Option<Fired> {
        match &correlation.kind {
            CorrelationKind::EventCount { condition } => {
                let entries = [Entry::new(step.input.time, 0, 0.0)];
                self.aggregate(index, key, Aggregate::Count, condition, &entries, step)
            }
            CorrelationKind::ValueCount { fields, condition } => {
                let hashes = tuple_hashes(fields, step.input.fields);
                let entries: SmallVec<[Entry; 4]> =
                    hashes.iter().map(|hash| Entry::new(step.input.time, *hash, 0.0)).collect();
                self.aggregate(index, key, Aggregate::Distinct, condition, &entries, step)
            }
            CorrelationKind::Temporal { condition } => {
                let entries = [Entry::new(step.input.time, u64::from(position), 0.0)];
                self.aggregate(index, key, Aggregate::Rules, condition, &entries, step)
            }
            CorrelationKind::ValueSum { field, condition } => {
                self.numeric(index, key, Aggregate::Sum, condition, *field, step)
            }
            CorrelationKind::ValueAverage { field, condition } => {
                self.numeric(index, key, Aggregate::Average, condition, *field, step)
            }
            CorrelationKind::ValuePercentile { field, percentile, condition } => {
                let aggregate = Aggregate::Percentile(*percentile);
                self.numeric(index, key, aggregate, condition, *field, step)
            }
            CorrelationKind::TemporalOrdered => {
                self.in_order(index, correlation, position, key, step)
            }
            CorrelationKind::Baseline(rule) => baseline(index, correlation, rule, key, step),
            CorrelationKind::NewTerms { fields, history_millis, learn_millis } => {
                let hashes = tuple_hashes(fields, step.input.fields);
                if hashes.is_empty() {
                    step.counters.of(index).value_field_missing += 1;
                    return None;
                }
                let time = step.input.time;
                let group = self.group(index, key, step, || Memory::Terms(Terms::new(time)));
                let mut any_new = false;
                if let Memory::Terms(terms) = &mut group.memory {
                    for hash in &hashes {
                        any_new |= terms.is_new(*hash, time, *history_millis, *learn_millis);
                    }
                }
                group.touched = group.touched.max(time);
                let input = step.input;
                any_new.then(|| {
                    fire(index, input, key, 1.0, Explanation::NewTerm, vec![input.event.clone()])
                })
            }
            CorrelationKind::Absence { first_after } => {
                let opens = usize::from(position) >= *first_after;
                self.wait(index, correlation, opens, key, step);
                None
            }
        }
    }

    fn numeric(
        &self,
        index: CorrelationIndex,
        key: &GroupKey,
        aggregate: Aggregate,
        condition: &Range,
        field: crate::rulebook::FieldId,
        step: &mut Step<'_, '_>,
    ) -> Option<Fired> {
        let tag = xxhash_rust::xxh3::xxh3_64(step.input.event.as_str().as_bytes());
        let number = number(field, step.input.fields);
        let entries: SmallVec<[Entry; 1]> =
            number.map(|number| Entry::new(step.input.time, tag, number)).into_iter().collect();
        self.aggregate(index, key, aggregate, condition, &entries, step)
    }

    fn aggregate(
        &self,
        index: CorrelationIndex,
        key: &GroupKey,
        aggregate: Aggregate,
        condition: &Range,
        entries: &[Entry],
        step: &mut Step<'_, '_>,
    ) -> Option<Fired> {
        let Some(first) = entries.first() else {
            step.counters.of(index).value_field_missing += 1;
            return None;
        };
        let (input, span) = (step.input, self.span(index));
        let group = self.group(index, key, step, || Memory::Window(Window::default()));
        let Memory::Window(window) = &mut group.memory else {
            return None;
        };
        let mut entered = true;
        for entry in entries {
            entered &= window.insert(*entry, aggregate, span);
        }
        if !entered {
            step.counters.of(index).too_late += 1;
            return None;
        }
        let satisfied = window.satisfied(input.time, aggregate, span, condition);
        group.note(input.time, first.tag, input.event);
        let satisfied = satisfied?;
        let explanation = Explanation::Window { from: satisfied.from, to: satisfied.to };
        let events = group.evidence(satisfied.from, satisfied.to);
        Some(fire(index, input, key, satisfied.value, explanation, events))
    }

    fn in_order(
        &self,
        index: CorrelationIndex,
        correlation: &Correlation,
        position: u16,
        key: &GroupKey,
        step: &mut Step<'_, '_>,
    ) -> Option<Fired> {
        let (input, span) = (step.input, self.span(index));
        let rules = u16::try_from(correlation.rules.len()).unwrap_or(u16::MAX);
        let group = self.group(index, key, step, || Memory::Sequence(Sequence::default()));
        let Memory::Sequence(sequence) = &mut group.memory else {
            return None;
        };
        let run =
            sequence.insert(input.time, position, rules, span.window_millis, span.kept_millis);
        group.note(input.time, u64::from(position), input.event);
        let (from, to) = run?;
        let events = group.evidence(from, to);
        let explanation = Explanation::Window { from, to };
        Some(fire(index, input, key, f64::from(rules), explanation, events))
    }

    fn wait(
        &self,
        index: CorrelationIndex,
        correlation: &Correlation,
        opens: bool,
        key: &GroupKey,
        step: &mut Step<'_, '_>,
    ) {
        let (input, span) = (step.input, self.span(index));
        let deadline = input.time.plus_millis(correlation.timespan_millis);
        let group = self.group(index, key, step, || Memory::Waiting(Waiting::default()));
        group.touched = group.touched.max(input.time);
        let Memory::Waiting(waiting) = &mut group.memory else {
            return;
        };
        if !opens {
            waiting.answer(input.time, span.kept_millis);
            return;
        }
        let opening = Opening {
            since: input.time,
            deadline,
            event: input.event.clone(),
            account: input.account.clone(),
            group: key.values.clone(),
        };
        if !waiting.open(opening) {
            return;
        }
        if correlation.by_account {
            step.shard.remind(input.account, deadline);
        } else {
            step.shard.expect(deadline);
        }
    }

    /// Fires the account's `absence` rules whose time has passed. They feed no other correlation:
    /// there is no event whose fields could be read.
    pub fn advance_account(
        &self,
        watermark: EventTime,
        account: &mut AccountWindows,
        fired: &mut Vec<Fired>,
    ) {
        self.fire_due(watermark, &mut account.states, |_, one| fired.push(one));
    }

    /// Fires the shard's own `absence` rules whose time has passed, each for the account that made
    /// it wait. The accounts that are due are told by [`ShardWindows::take_due_accounts`].
    pub fn advance_shard(
        &self,
        watermark: EventTime,
        shard: &mut ShardWindows,
    ) -> Vec<(AccountId, Fired)> {
        let mut fired = Vec::new();
        if shard.is_due(watermark) {
            self.fire_due(watermark, &mut shard.states, |account, one| fired.push((account, one)));
            shard.expect_next();
        }
        fired
    }

    fn fire_due(
        &self,
        watermark: EventTime,
        states: &mut States,
        mut fire: impl FnMut(AccountId, Fired),
    ) {
        for (index, correlation) in (0..).map(CorrelationIndex).zip(&self.rulebook.correlations) {
            let Some(groups) = states.0.get_mut(&correlation.state_key) else {
                continue;
            };
            for group in groups.values_mut() {
                let Memory::Waiting(waiting) = &mut group.memory else {
                    continue;
                };
                for opening in waiting.take_due(watermark) {
                    let Opening { since, deadline, event, account, group } = opening;
                    let explanation = Explanation::Absence { since, deadline };
                    let events = vec![event];
                    let (correlation, time, value) = (index, deadline, 1.0);
                    fire(account, Fired { correlation, time, group, value, explanation, events });
                }
            }
        }
    }

    /// Compares a shard's state with the rule set, after a start or a reload: notes which rules
    /// are new, and drops the state of those that have been gone for long.
    pub fn reconcile(&self, watermark: EventTime, shard: &mut ShardWindows) {
        let is_first_start = shard.introduced.is_empty();
        let since = if is_first_start { EventTime::from_millis(i64::MIN) } else { watermark };
        for correlation in &self.rulebook.correlations {
            shard.introduced.entry(correlation.state_key).or_insert(since);
        }
        let known: std::collections::BTreeSet<_> =
            self.rulebook.correlations.iter().map(|correlation| correlation.state_key).collect();
        let forget_after = self.settings.forget_after.millis();
        let removed = &mut shard.removed;
        shard.introduced.retain(|key, _| {
            if known.contains(key) {
                removed.remove(key);
                return true;
            }
            let since = *removed.entry(*key).or_insert(watermark);
            let is_kept = watermark.millis_since(since) < forget_after;
            if !is_kept {
                removed.remove(key);
            }
            is_kept
        });
        let introduced = &shard.introduced;
        shard.states.0.retain(|key, _| introduced.contains_key(key));
    }

    /// Drops what an account remembers for rules that the shard has forgotten.
    pub fn forget_unknown(
        &self,
        shard: &ShardWindows,
        account: &mut AccountWindows,
        normal: &mut Normal,
    ) {
        account.states.0.retain(|key, _| shard.introduced.contains_key(key));
        normal.retain_rules(|key| shard.introduced.contains_key(&crate::rulebook::StateKey(key)));
    }

    fn group<'s>(
        &self,
        index: CorrelationIndex,
        key: &GroupKey,
        step: &'s mut Step<'_, '_>,
        start: impl FnOnce() -> Memory,
    ) -> &'s mut Group {
        let correlation = &self.rulebook.correlations[index.0 as usize];
        let (states, limit) = if correlation.by_account {
            (&mut step.account.states, self.settings.account_groups_max)
        } else {
            (&mut step.shard.states, self.settings.shard_groups_max)
        };
        let (group, dropped) = states.group(correlation.state_key, key.hash, limit, start);
        if dropped > 0 {
            step.counters.of(index).groups_dropped += dropped;
        }
        group
    }

    fn span(&self, index: CorrelationIndex) -> Span {
        let window_millis = self.rulebook.correlations[index.0 as usize].timespan_millis.max(0);
        let lateness = self.settings.lateness.millis().max(0);
        Span { window_millis, kept_millis: window_millis.saturating_add(lateness) }
    }
}

fn is_window(kind: &CorrelationKind) -> bool {
    match kind {
        CorrelationKind::EventCount { .. }
        | CorrelationKind::ValueCount { .. }
        | CorrelationKind::ValueSum { .. }
        | CorrelationKind::ValueAverage { .. }
        | CorrelationKind::ValuePercentile { .. }
        | CorrelationKind::Temporal { .. } => true,
        CorrelationKind::TemporalOrdered
        | CorrelationKind::Baseline(_)
        | CorrelationKind::NewTerms { .. }
        | CorrelationKind::Absence { .. } => false,
    }
}

fn fire(
    correlation: CorrelationIndex,
    input: &CorrelationInput<'_>,
    key: &GroupKey,
    value: f64,
    explanation: Explanation,
    events: Vec<EventId>,
) -> Fired {
    let group = key.values.clone();
    Fired { correlation, time: input.time, group, value, explanation, events }
}

fn measure_key(correlation: &Correlation, key: &GroupKey) -> MeasureKey {
    let group = if correlation.group_by.len() > 1 { key.hash } else { 0 };
    MeasureKey { rule: correlation.state_key.0, group }
}

/// Learns the size of an event that the baseline does not count; a counted one is learnt with it.
fn learn_usual_size(
    correlation: &Correlation,
    rule: &BaselineRule,
    key: &GroupKey,
    step: &mut Step<'_, '_>,
) {
    let _ = weight(&rule.measure, measure_key(correlation, key), step);
}

fn baseline(
    index: CorrelationIndex,
    correlation: &Correlation,
    rule: &BaselineRule,
    key: &GroupKey,
    step: &mut Step<'_, '_>,
) -> Option<Fired> {
    let measure = measure_key(correlation, key);
    let Some(weight) = weight(&rule.measure, measure, step) else {
        step.counters.of(index).value_field_missing += 1;
        return None;
    };
    let parameters = MeasureParameters {
        one_hour: rule.one_hour,
        one_day: rule.one_day,
        season: rule.season,
        min_excess: rule.min_excess,
        threshold: rule.threshold,
        prior_per_day: prior(&rule.prior, step.input.plan),
        introduced: step.shard.introduced.get(&correlation.state_key).copied(),
    };
    let counted = step.normal.count(measure, &parameters, step.input.time, weight);
    if let Ok(verdict) = &counted {
        step.scores.push((index, verdict.score));
    }
    match counted {
        Ok(verdict) if verdict.fired => {
            let (explanation, events) =
                (Explanation::Baseline(verdict), vec![step.input.event.clone()]);
            Some(fire(index, step.input, key, verdict.score, explanation, events))
        }
        // A value that is known already weighs nothing.
        Ok(_) | Err(NotCounted::NoWeight) => None,
        Err(NotCounted::TooLate) => {
            step.counters.of(index).too_late += 1;
            None
        }
        Err(NotCounted::TooManyMeasures) => {
            step.counters.of(index).too_many_groups += 1;
            None
        }
    }
}

/// Returns what the match weighs; nothing where its field is missing.
fn weight(measure: &Measure, key: MeasureKey, step: &mut Step<'_, '_>) -> Option<f64> {
    match measure {
        Measure::Count => Some(1.0),
        Measure::Sum(field) => number(*field, step.input.fields),
        Measure::SumPerUsual(field) => {
            let size = number(*field, step.input.fields)?;
            Some(step.normal.in_usual_sizes(key, size, step.input.plan.broadcast_size))
        }
        Measure::Distinct(field) => {
            let hashes = tuple_hashes(&[*field], step.input.fields);
            let hash = hashes.first()?;
            Some(if step.normal.is_first_of_its_kind(key, *hash) { 1.0 } else { 0.0 })
        }
    }
}

fn prior(prior: &Prior, plan: &PlanFigures) -> f64 {
    const LEAST: f64 = 1e-6;
    match prior {
        Prior::PerDay(per_day) => per_day.max(LEAST),
        Prior::OfPlan { measure, factor, plus } => {
            let figure = match measure {
                PlanMeasure::Messages => plan.messages,
                PlanMeasure::FirstContacts => plan.first_contacts,
                PlanMeasure::Broadcasts => plan.broadcasts,
                PlanMeasure::Templates => plan.templates,
            };
            (figure * factor + plus).max(LEAST)
        }
    }
}
