//! Correlations from the outside: events in, what fires out.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::detect::FieldValue;
use crate::rulebook::{
    Comparison, Detection, Expr, FieldId, FieldTable, GroupField, Level, LogSource, Policy, Range,
    RuleMeta, StateKey,
};

const SECOND: i64 = 1000;
const START: i64 = 1_767_571_200_000;

/// One event of a test: which rules matched when, with which fields.
#[derive(Debug, Clone)]
struct Match {
    time: i64,
    rules: Vec<u32>,
    fields: Vec<(&'static str, String)>,
}

fn at(time: i64, rule: u32) -> Match {
    Match { time, rules: vec![rule], fields: vec![("group", "a".into())] }
}

impl Match {
    fn with(mut self, field: &'static str, value: &(impl ToString + ?Sized)) -> Self {
        self.fields.retain(|(name, _)| *name != field);
        self.fields.push((field, value.to_string()));
        self
    }

    fn without_group(mut self) -> Self {
        self.fields.retain(|(name, _)| *name != "group");
        self
    }
}

struct Fields<'a>(&'a Rulebook, &'a Match);

impl FieldSource for Fields<'_> {
    fn values(&self, field: FieldId, visit: &mut dyn FnMut(FieldValue<'_>) -> bool) {
        let name = self.0.fields.name(field);
        for (_, value) in self.1.fields.iter().filter(|(known, _)| *known == name) {
            if !visit(FieldValue::Text(value)) {
                return;
            }
        }
    }

    fn is_present(&self, field: FieldId) -> bool {
        self.1.fields.iter().any(|(known, _)| *known == self.0.fields.name(field))
    }
}

fn meta(key: &str) -> RuleMeta {
    RuleMeta {
        key: key.into(),
        id: None,
        name: None,
        title: key.into(),
        description: "".into(),
        level: Level::Medium,
        status: Status::Stable,
        tags: Vec::new(),
        references: Vec::new(),
        falsepositives: Vec::new(),
        risk: 1.0,
        tenant: None,
        contain: Vec::new(),
        file: "test.yaml".into(),
        line: 1,
    }
}

fn range(comparison: Comparison, bound: f64) -> Range {
    Range(vec![(comparison, bound)])
}

fn at_least(bound: f64) -> Range {
    range(Comparison::GreaterOrEqual, bound)
}

struct Bench {
    rulebook: Rulebook,
    settings: Settings,
}

impl Bench {
    /// Four detections and one correlation of the first `rules` of them within ten seconds.
    fn new(rules: u32, kind: impl FnOnce(&mut FieldTable) -> CorrelationKind) -> Self {
        let mut fields = FieldTable::default();
        fields.intern("group");
        let detection = |number: u32| Detection {
            meta: meta(&format!("rule_{number}")),
            logsource: LogSource::default(),
            condition: Expr::Constant(true),
            condition_text: "".into(),
            reports: false,
            exceptions: Vec::new(),
        };
        let kind = kind(&mut fields);
        let rulebook = Rulebook {
            fields,
            atoms: Vec::new(),
            detections: (0..4).map(detection).collect(),
            correlations: Vec::new(),
            policy: Policy::default(),
            accounts: BTreeMap::new(),
            revision: "0".into(),
        };
        let mut bench = Self { rulebook, settings: Settings::default() };
        bench
            .add((0..rules).map(|rule| RuleIndex::Detection(DetectionIndex(rule))).collect(), kind);
        bench
    }

    fn add(&mut self, rules: Vec<RuleIndex>, kind: CorrelationKind) {
        let number = self.rulebook.correlations.len();
        let group = GroupField {
            name: "group".into(),
            per_rule: vec![self.rulebook.fields.get("group").unwrap(); rules.len()],
        };
        self.rulebook.correlations.push(Correlation {
            meta: meta(&format!("correlation_{number}")),
            rules,
            group_by: vec![group],
            by_account: true,
            timespan_millis: 10 * SECOND,
            kind,
            reports: true,
            state_key: StateKey(number as u64 + 1),
        });
    }

    fn run(self) -> Run {
        Run {
            correlator: Correlator::with_settings(Arc::new(self.rulebook), self.settings),
            account: AccountWindows::default(),
            normal: Normal::new(EventTime::from_millis(START)),
            shard: ShardWindows::default(),
            counters: Counters::default(),
            number: 0,
        }
    }
}

struct Run {
    correlator: Correlator,
    account: AccountWindows,
    normal: Normal,
    shard: ShardWindows,
    counters: Counters,
    number: u64,
}

impl Run {
    fn feed(&mut self, matched: &Match) -> Vec<Fired> {
        self.number += 1;
        let event = EventId::new(&format!("event-{}", self.number)).unwrap();
        let account = AccountId::new("account").unwrap();
        let plan = self.correlator.rulebook.policy.plans[0].1;
        let rulebook = self.correlator.rulebook.clone();
        let input = CorrelationInput {
            time: EventTime::from_millis(START + matched.time),
            event: &event,
            account: &account,
            fields: &Fields(&rulebook, matched),
            plan: &plan,
        };
        let matched: Vec<_> = matched.rules.iter().map(|rule| DetectionIndex(*rule)).collect();
        let offset = crate::baseline::LocalOffset::default();
        self.normal.advance(input.time, offset, plan.messages);
        let mut findings = Findings::default();
        self.correlator.observe(
            &matched,
            &input,
            &mut self.account,
            &mut self.normal,
            &mut self.shard,
            &mut findings,
            &mut self.counters,
        );
        findings.fired
    }

    fn fires(&mut self, matches: &[Match]) -> Vec<bool> {
        matches.iter().map(|matched| !self.feed(matched).is_empty()).collect()
    }

    /// Serializes and reads back, as a restart does.
    fn restart(&mut self) {
        self.account = through_bytes(&self.account);
        self.shard = through_bytes(&self.shard);
        self.normal = through_bytes(&self.normal);
    }
}

fn through_bytes<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    postcard::from_bytes(&postcard::to_allocvec(value).unwrap()).unwrap()
}

fn kind_of(kind: usize, fields: &mut FieldTable, bound: f64) -> CorrelationKind {
    let field = fields.intern("value");
    let condition = at_least(bound);
    match kind {
        0 => CorrelationKind::EventCount { condition },
        1 => CorrelationKind::ValueCount { fields: vec![field], condition },
        2 => CorrelationKind::Temporal { condition },
        3 => CorrelationKind::ValueSum { field, condition },
        4 => CorrelationKind::ValueAverage { field, condition },
        5 => CorrelationKind::ValuePercentile { field, percentile: 50.0, condition },
        _ => CorrelationKind::TemporalOrdered,
    }
}

#[test]
fn windows_are_closed_at_both_ends_to_the_millisecond() {
    for (kind, name) in [(0, "event_count"), (1, "value_count"), (2, "temporal"), (6, "ordered")] {
        for (apart, wanted) in [(10 * SECOND, true), (10 * SECOND + 1, false), (0, true)] {
            let mut run = Bench::new(2, |fields| kind_of(kind, fields, 2.0)).run();
            let matches = [at(0, 0).with("value", &"x"), at(apart, 1).with("value", &"y")];
            assert_eq!(run.fires(&matches), [false, wanted], "{name} {apart} ms apart");
        }
    }
}

#[test]
fn sums_averages_and_percentiles_leave_what_has_left_the_window() {
    for (kind, bound, values, wanted) in [
        (3, 10.0, [(0, 6), (10_000, 4), (10_001, 5)], [false, true, false]),
        (4, 5.0, [(0, 4), (10_000, 6), (10_001, 3)], [false, true, false]),
        (5, 4.0, [(0, 1), (10_000, 9), (10_001, 9)], [false, false, true]),
    ] {
        let mut run = Bench::new(1, |fields| kind_of(kind, fields, bound)).run();
        let matches = values.map(|(time, value)| at(time, 0).with("value", &value));
        assert_eq!(run.fires(&matches), wanted, "kind {kind}");
    }
}

#[test]
fn order_matters_only_where_it_is_asked_for() {
    let orders = [([0, 1, 2], true), ([0, 2, 1], false), ([2, 1, 0], false)];
    for (order, in_order) in orders {
        let matches: Vec<_> = (0..).zip(order).map(|(time, rule)| at(time, rule)).collect();
        let ordered = Bench::new(3, |fields| kind_of(6, fields, 0.0)).run().fires(&matches);
        assert_eq!(ordered, [false, false, in_order], "{order:?}");
        let temporal = Bench::new(3, |fields| kind_of(2, fields, 3.0)).run().fires(&matches);
        assert_eq!(temporal, [false, false, true], "{order:?}");
    }
    let mut ties = Bench::new(2, |fields| kind_of(6, fields, 0.0)).run();
    assert_eq!(ties.fires(&[at(0, 1), at(0, 0), at(0, 1)]), [false, false, true]);
}

#[test]
fn a_late_match_fires_for_what_it_completes() {
    let mut count = Bench::new(1, |fields| kind_of(0, fields, 3.0)).run();
    assert_eq!(count.fires(&[at(0, 0), at(9_000, 0), at(5_000, 0)]), [false, false, true]);
    let mut ordered = Bench::new(3, |fields| kind_of(6, fields, 0.0)).run();
    assert_eq!(ordered.fires(&[at(0, 0), at(9_000, 2), at(5_000, 1)]), [false, false, true]);
    let mut late = Bench::new(1, |fields| kind_of(0, fields, 1.0)).run();
    let too_late = -(3_600 + 10) * SECOND - 1;
    assert_eq!(late.fires(&[at(0, 0), at(too_late, 0), at(too_late + 1, 0)]), [true, false, true]);
    assert_eq!(late.counters.by_correlation[0].too_late, 1);
}

#[test]
fn a_missing_group_or_value_field_is_counted_and_not_guessed() {
    let mut run = Bench::new(1, |fields| kind_of(3, fields, 1.0)).run();
    let matches =
        [at(0, 0).with("value", &5).without_group(), at(0, 0), at(0, 0).with("value", &"x")];
    assert_eq!(run.fires(&matches), [false; 3]);
    let counts = run.counters.by_correlation[0];
    assert_eq!((counts.group_field_missing, counts.value_field_missing), (1, 2));
}

#[test]
fn groups_do_not_mix_and_a_range_has_two_ends() {
    let condition = Range(vec![(Comparison::GreaterOrEqual, 2.0), (Comparison::Less, 3.0)]);
    let mut run = Bench::new(1, |_| CorrelationKind::EventCount { condition }).run();
    let matches = [at(0, 0), at(1, 0).with("group", &"b"), at(2, 0), at(3, 0)];
    assert_eq!(run.fires(&matches), [false, false, true, false]);
}

#[test]
fn a_correlation_feeds_another_within_the_same_event() {
    let mut bench = Bench::new(1, |fields| kind_of(0, fields, 2.0));
    let chained =
        vec![RuleIndex::Correlation(CorrelationIndex(0)), RuleIndex::Detection(DetectionIndex(3))];
    bench.add(chained, CorrelationKind::TemporalOrdered);
    let mut run = bench.run();
    assert_eq!(run.feed(&at(0, 0)).len(), 0);
    assert_eq!(run.feed(&at(1, 0)).len(), 1);
    let fired = run.feed(&at(2, 3));
    assert_eq!(fired.len(), 1);
    assert_eq!(fired[0].correlation, CorrelationIndex(1));
    assert_eq!(fired[0].group, [("group".into(), "a".to_owned())]);
    let events: Vec<_> = fired[0].events.iter().map(EventId::as_str).collect();
    assert_eq!(events, ["event-2", "event-3"]);
}

#[test]
fn a_term_is_new_once_after_the_group_has_shown_its_habits() {
    let mut run = Bench::new(1, |fields| CorrelationKind::NewTerms {
        fields: vec![fields.intern("value")],
        history_millis: 100 * SECOND,
        learn_millis: 10 * SECOND,
    })
    .run();
    for (time, value, wanted) in [
        (0, "x", false),
        (9_999, "y", false),
        (10_000, "z", true),
        (10_001, "z", false),
        (11_000, "x", false),
        (9_000, "x", false),
        (111_000, "x", false),
        (211_001, "x", true),
    ] {
        let fired = run.feed(&at(time, 0).with("value", &value));
        assert_eq!(!fired.is_empty(), wanted, "{value} at {time}");
        run.restart();
    }
}

#[test]
fn absence_fires_when_the_watermark_has_passed_the_deadline() {
    let watermark = |millis| EventTime::from_millis(START + millis);
    for (matches, is_due, wanted) in [
        (vec![at(0, 1)], true, true),
        (vec![at(0, 1), at(10_000, 0)], true, false),
        (vec![at(0, 1), at(10_001, 0)], true, true),
        (vec![at(5_000, 0), at(0, 1)], false, false),
        (vec![at(-1, 0), at(0, 1)], true, true),
    ] {
        let mut run = Bench::new(2, |_| CorrelationKind::Absence { first_after: 1 }).run();
        run.fires(&matches);
        run.restart();
        let mut fired = Vec::new();
        run.correlator.advance_account(watermark(10_000), &mut run.account, &mut fired);
        assert!(fired.is_empty(), "{matches:?}: the sequel may still come");
        let due = run.shard.take_due_accounts(watermark(10_001));
        assert_eq!(due.len(), usize::from(is_due), "{matches:?}");
        run.correlator.advance_account(watermark(10_001), &mut run.account, &mut fired);
        assert_eq!(!fired.is_empty(), wanted, "{matches:?}");
        run.correlator.advance_account(watermark(99_000), &mut run.account, &mut fired);
        assert_eq!(fired.len(), usize::from(wanted), "{matches:?}: once");
    }
}

#[test]
fn a_baseline_fires_once_for_a_burst() {
    let rule = BaselineRule {
        measure: Measure::Count,
        first_usual: 1,
        one_hour: true,
        one_day: false,
        season: false,
        min_excess: 3.0,
        threshold: 6.0,
        budget: None,
        prior: Prior::PerDay(10.0),
    };
    let mut run = Bench::new(1, |_| CorrelationKind::Baseline(rule)).run();
    let matches: Vec<_> = (0..200).map(|step| at(step * SECOND, 0)).collect();
    let fires = run.fires(&matches);
    assert_eq!(fires.iter().filter(|fired| **fired).count(), 1);
}

#[test]
fn values_and_groups_of_an_account_stay_bounded() {
    let mut bench = Bench::new(1, |fields| kind_of(1, fields, 1e9));
    bench.settings.account_groups_max = 8;
    bench.rulebook.correlations[0].timespan_millis = 86_400 * SECOND;
    let mut run = bench.run();
    for number in 0..60_000 {
        run.feed(&at(number, 0).with("value", &number));
    }
    let bytes = postcard::to_allocvec(&run.account).unwrap().len();
    assert!(bytes < 40_000, "{bytes} bytes");
    for number in 0..2_000 {
        run.feed(&at(300_000 + number, 0).with("group", &number).with("value", &1));
    }
    assert!(run.account.states.0.values().all(|groups| groups.len() <= 8));
    assert!(run.counters.by_correlation[0].groups_dropped > 1_900);
}

#[test]
fn a_million_distinct_values_fit_in_one_window() {
    let span = Span { window_millis: 86_400 * SECOND, kept_millis: 90_000 * SECOND };
    let mut window = Window::default();
    for number in 0..1_000_000_i64 {
        let tag = xxhash_rust::xxh3::xxh3_64(&number.to_le_bytes());
        let entry = Entry::new(EventTime::from_millis(START + number), tag, 0.0);
        window.insert(entry, Aggregate::Distinct, span);
    }
    assert!(postcard::to_allocvec(&window).unwrap().len() < 40_000);
    let newest = window.newest().unwrap();
    let satisfied = window.satisfied(newest, Aggregate::Distinct, span, &at_least(1.0)).unwrap();
    assert!((900_000.0..1_100_000.0).contains(&satisfied.value), "{}", satisfied.value);
}

#[test]
fn a_large_distinct_count_is_estimated_within_a_tenth() {
    let mut bench = Bench::new(1, |fields| kind_of(1, fields, 1.0));
    bench.rulebook.correlations[0].timespan_millis = 86_400 * SECOND;
    let mut run = bench.run();
    let mut last = 0.0;
    for number in 0..50_000 {
        last = run
            .feed(&at(number, 0).with("value", &number))
            .first()
            .map_or(last, |fired| fired.value);
    }
    assert!((45_000.0..55_000.0).contains(&last), "{last}");
}

#[test]
fn a_large_count_is_exact_but_for_the_resolution_of_its_edge() {
    let mut bench = Bench::new(1, |fields| kind_of(0, fields, 1.0));
    bench.settings.lateness = TimeSpan::from_millis(0);
    let mut run = bench.run();
    let mut value = 0.0;
    for number in 0..30_000 {
        value = run.feed(&at(number, 0))[0].value;
    }
    assert!((10_001.0..=10_050.0).contains(&value), "{value}");
}

#[test]
fn state_of_a_removed_rule_is_kept_for_a_while_and_then_dropped() {
    let mut run = Bench::new(1, |fields| kind_of(0, fields, 2.0)).run();
    let day = |days: i64| EventTime::from_millis(START + days * 86_400 * SECOND);
    run.correlator.reconcile(day(0), &mut run.shard);
    run.feed(&at(0, 0));
    let mut empty = Bench::new(0, |fields| kind_of(0, fields, 2.0));
    empty.rulebook.correlations.clear();
    let after = Correlator::new(Arc::new(empty.rulebook));
    for (days, is_kept) in [(1, true), (2, false)] {
        after.reconcile(day(days), &mut run.shard);
        after.forget_unknown(&run.shard, &mut run.account, &mut run.normal);
        assert_eq!(!run.account.is_empty(), is_kept, "day {days}");
    }
}

/// Looks for a run of the three rules, through the match at hand, among all that has arrived.
fn ordered_oracle(matches: &[Match]) -> Vec<bool> {
    let complete = |index: usize| {
        let mut arrived: Vec<usize> = (0..=index).collect();
        arrived.sort_by_key(|at| matches[*at].time);
        let of_rule = |rule: u32| {
            let arrived = arrived.iter().enumerate();
            arrived.filter(move |(_, at)| matches[**at].rules[0] == rule).collect::<Vec<_>>()
        };
        let (first, second, third) = (of_rule(0), of_rule(1), of_rule(2));
        first.iter().any(|a| {
            second.iter().filter(|b| b.0 > a.0).any(|b| {
                third.iter().filter(|c| c.0 > b.0).any(|c| {
                    matches[*c.1].time - matches[*a.1].time <= 10_000
                        && [a.1, b.1, c.1].contains(&&index)
                })
            })
        })
    };
    (0..matches.len()).map(complete).collect()
}

/// Judges every window by looking at every match that has arrived.
fn oracle(kind: usize, bound: f64, matches: &[Match]) -> Vec<bool> {
    let value_of = |matched: &Match| matched.fields[1].1.parse::<f64>().unwrap();
    let number = |count: usize| f64::from(u32::try_from(count).unwrap());
    let distinct = |values: Vec<&str>| number(values.into_iter().collect::<BTreeSet<_>>().len());
    let aggregate = |window: &[&Match]| {
        let mut values: Vec<f64> = window.iter().map(|m| value_of(m)).collect();
        values.sort_by(f64::total_cmp);
        match kind {
            0 => number(window.len()),
            1 => distinct(window.iter().map(|m| m.fields[1].1.as_str()).collect()),
            2 => number(window.iter().map(|m| m.rules[0]).collect::<BTreeSet<_>>().len()),
            3 => values.iter().sum(),
            4 => values.iter().sum::<f64>() / number(values.len()),
            _ => values[values.len().div_ceil(2) - 1],
        }
    };
    (0..matches.len())
        .map(|index| {
            let (arrived, time) = (&matches[..=index], matches[index].time);
            arrived.iter().map(|m| m.time).filter(|to| (time..=time + 10_000).contains(to)).any(
                |to| {
                    let within = |m: &&Match| m.time >= to - 10_000 && m.time <= to;
                    let window: Vec<&Match> = arrived.iter().filter(within).collect();
                    aggregate(&window) >= bound
                },
            )
        })
        .collect()
}

proptest! {
    #[test]
    fn every_window_agrees_with_looking_at_everything(
        kind in 0..7_usize,
        bound in 1..8_u8,
        events in prop::collection::vec((0..60_i64, 0..3_u32, 0..6_u8), 1..60),
        restart_after in 0..60_usize,
    ) {
        let bound = f64::from(bound);
        let matches: Vec<Match> = events
            .into_iter()
            .map(|(second, rule, value)| at(second * SECOND / 2, rule).with("value", &value))
            .collect();
        let mut run = Bench::new(3, |fields| kind_of(kind, fields, bound)).run();
        let mut found = Vec::new();
        for (index, matched) in matches.iter().enumerate() {
            if index == restart_after {
                run.restart();
            }
            found.push(!run.feed(matched).is_empty());
        }
        let wanted =
            if kind == 6 { ordered_oracle(&matches) } else { oracle(kind, bound, &matches) };
        prop_assert_eq!(found, wanted);
    }
}
