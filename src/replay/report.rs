//! The figures of a backtest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::ablation::Added;
use super::attack::timestamp;
use super::backtest::Backtest;
use super::calibration::BaselineRow;
use super::interval::Interval;
use super::judge::{Judge, Progress};
use super::tally::{Alarm, AlarmKind};
use crate::engine::EventOutcome;
use crate::incident::Stage;

const DAY_MILLIS: f64 = 86_400_000.0;
/// A rule that matches in more than this share of the accounts is marked as noisy.
const NOISY_SHARE: f64 = 0.2;
/// Below this many accounts no rule is marked as noisy.
const NOISY_ACCOUNTS_MIN: usize = 20;
/// Rows of accounts, missed attacks and differences that a report lists.
const ROWS_MAX: usize = 100;

/// What a rule set raised over a stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub rules_revision: Arc<str>,
    pub rules: usize,
    pub events: u64,
    pub duplicates: u64,
    pub late: u64,
    pub accounts: usize,
    /// From the first event of each account to the end of the stream.
    pub account_days: f64,
    pub first: Option<jiff::Timestamp>,
    pub last: Option<jiff::Timestamp>,
    /// How many incidents reached each stage.
    pub incidents: ByStage<u64>,
    pub incidents_per_1000_account_days: ByStage<f64>,
    /// The rules that matched, most matches first.
    pub by_rule: Vec<RuleRow>,
    /// What each baseline comes to on ordinary account-days, and what it should fire from here.
    pub baselines: Vec<BaselineRow>,
    /// The accounts with incidents, most first, at most 100.
    pub by_account: Vec<AccountRow>,
    /// Only with labels.
    pub attacks: Option<AttackReport>,
    /// What each rule adds; only where it was asked for.
    pub ablation: Option<Vec<Added>>,
}

/// One figure for each stage of an incident.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ByStage<T> {
    pub alert: T,
    pub notify: T,
    pub respond: T,
}

/// One rule that matched.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RuleRow {
    pub rule: Arc<str>,
    pub title: Arc<str>,
    pub level: &'static str,
    pub status: &'static str,
    pub risk: f64,
    /// Whether a match counts by itself; else the rule only feeds correlations.
    pub is_reported: bool,
    pub matches: u64,
    pub matches_per_week: f64,
    pub accounts: usize,
    pub is_noisy: bool,
    /// Incidents that opened at a match of it.
    pub opened: u64,
    /// Matches on events of intruders, and on others; only with labels.
    pub hostile: Option<u64>,
    pub ordinary: Option<u64>,
    pub precision: Option<f64>,
    /// Attacks in whose time it matched.
    pub attacks: Option<usize>,
}

/// One account with incidents.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AccountRow {
    pub account: String,
    pub incidents: u64,
    pub risk_peak: f64,
}

/// How the rule set does against the labels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AttackReport {
    /// Attacks of which the stream holds an event.
    pub attacks: usize,
    /// Labels of which it holds none; they count nowhere.
    pub absent: usize,
    pub recall: ByStage<f64>,
    /// 95 % intervals; attacks of one stream are few.
    pub recall_interval: ByStage<Interval>,
    /// Caught before half of the customers were reached.
    pub recall_before_half: ByStage<f64>,
    /// Incidents that reached the stage on no attack.
    pub false_alarms: ByStage<u64>,
    /// Account-days under no attack.
    pub ordinary_account_days: f64,
    pub false_alarms_per_1000_account_days: ByStage<f64>,
    /// 95 % intervals of the rates.
    pub false_alarms_interval: ByStage<Interval>,
    /// Of the attacks that were caught: messages and broadcasts before the alarm's event, median.
    pub sends_before: ByStage<Option<u64>>,
    pub recipients_before: ByStage<Option<u64>>,
    pub by_kind: Vec<KindRow>,
    /// Attacks without an alert, at most 100.
    pub missed: Vec<String>,
}

/// One kind of attack.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindRow {
    pub kind: String,
    pub attacks: usize,
    pub caught: ByStage<usize>,
    pub missed: usize,
    pub recall: f64,
    pub recall_before_half: f64,
    pub sends_before: Option<u64>,
    pub recipients_before: Option<u64>,
    /// The rules whose match raised the first alert, and how often.
    pub first_rules: BTreeMap<Arc<str>, u64>,
}

/// What two rule sets raise over the same stream.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    pub rules_revision: Arc<str>,
    pub incidents: ByStage<u64>,
    /// Alerts that only this rule set raises: none of the other on that account within 24 h.
    pub gained: u64,
    /// Alerts that only the other raises.
    pub lost: u64,
    /// The first 100 of each.
    pub gained_alerts: Vec<AlertRow>,
    pub lost_alerts: Vec<AlertRow>,
    /// Matches of each rule, here and there, where they differ.
    pub by_rule: Vec<RuleDifference>,
    /// The other rule set against the labels.
    pub attacks: Option<AttackReport>,
}

/// One alert.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AlertRow {
    pub account: String,
    pub time: jiff::Timestamp,
    pub rule: Arc<str>,
    pub risk: f64,
}

/// One rule in two rule sets; nothing where a set has no such rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleDifference {
    pub rule: Arc<str>,
    pub here: Option<u64>,
    pub there: Option<u64>,
}

impl Report {
    pub(super) fn of(backtest: &Backtest<'_>) -> Self {
        let (tally, rules) = (&backtest.tally, backtest.rules);
        let days = |millis: i64| as_f64(millis) / DAY_MILLIS;
        let since_first =
            tally.accounts.iter().map(|one| tally.last.millis_since(one.first).max(0));
        let account_days = days(since_first.sum());
        let incidents = reached(backtest);
        let stream_weeks =
            tally.first.map_or(0.0, |first| days(tally.last.millis_since(first)) / 7.0);
        let mut by_account: Vec<AccountRow> = tally
            .accounts
            .iter()
            .filter(|account| account.incidents > 0)
            .map(|account| AccountRow {
                account: account.id.as_str().to_owned(),
                incidents: account.incidents,
                risk_peak: account.risk_peak,
            })
            .collect();
        by_account
            .sort_by(|a, b| b.incidents.cmp(&a.incidents).then_with(|| a.account.cmp(&b.account)));
        by_account.truncate(ROWS_MAX);
        let attacks = backtest.judge.as_ref().map(|judge| AttackReport::of(backtest, judge));
        let ordinary_days = attacks.as_ref().map_or(account_days, |one| one.ordinary_account_days);
        let count = |fate| backtest.outcomes.get(&fate).copied().unwrap_or_default();
        Self {
            rules_revision: rules.rulebook().revision.clone(),
            rules: rules.all().count(),
            events: tally.events,
            duplicates: count(EventOutcome::Duplicate),
            late: count(EventOutcome::Late),
            accounts: tally.accounts.len(),
            account_days,
            first: tally.first.map(timestamp),
            last: tally.first.map(|_| timestamp(tally.last)),
            incidents,
            incidents_per_1000_account_days: per_1000(incidents, account_days),
            by_rule: rule_rows(backtest, stream_weeks),
            by_account,
            baselines: backtest.calibration.rows(rules, ordinary_days),
            attacks,
            ablation: None,
        }
    }
}

fn rule_rows(backtest: &Backtest<'_>, weeks: f64) -> Vec<RuleRow> {
    let (tally, rules) = (&backtest.tally, backtest.rules);
    let mut rows = Vec::new();
    for rule in rules.all() {
        let (meta, one) = (rules.meta(rule), tally.rule(rule));
        if one.matches == 0 {
            continue;
        }
        let judged = backtest.judge.as_ref();
        let confusion = judged.map(|judge| judge.rules.get(&rule).copied().unwrap_or_default());
        rows.push(RuleRow {
            rule: meta.key.clone(),
            title: meta.title.clone(),
            level: meta.level.as_str(),
            status: meta.status.as_str(),
            risk: meta.risk,
            is_reported: rules.reports(rule),
            matches: one.matches,
            matches_per_week: ratio(count_f64(one.matches), weeks),
            accounts: one.accounts.len(),
            is_noisy: tally.accounts.len() >= NOISY_ACCOUNTS_MIN
                && rules.reports(rule)
                && share(one.accounts.len(), tally.accounts.len()) > NOISY_SHARE,
            opened: one.opened,
            hostile: confusion.map(|one| one.hostile),
            ordinary: confusion.map(|one| one.ordinary),
            precision: confusion
                .map(|one| ratio(count_f64(one.hostile), count_f64(one.hostile + one.ordinary))),
            attacks: judged.map(|judge| {
                judge.attacks.iter().filter(|attack| attack.rules.contains(&rule)).count()
            }),
        });
    }
    rows.sort_by(|a, b| b.matches.cmp(&a.matches).then_with(|| a.rule.cmp(&b.rule)));
    rows
}

impl AttackReport {
    fn of(backtest: &Backtest<'_>, judge: &Judge) -> Self {
        let tally = &backtest.tally;
        let (seen, absent): (Vec<&Progress>, Vec<&Progress>) =
            judge.attacks.iter().partition(|one| one.events > 0);
        let ordinary_millis: i64 = tally
            .accounts
            .iter()
            .map(|account| {
                let all = tally.last.millis_since(account.first).max(0);
                let hostile = judge.hostile_millis(&account.id, account.first, tally.last);
                (all - hostile).max(0)
            })
            .sum();
        let ordinary_account_days = as_f64(ordinary_millis) / DAY_MILLIS;
        let false_alarms = by_stage(judge.false_alarms(&tally.alarms));
        let mut kinds: BTreeMap<&str, Vec<&Progress>> = BTreeMap::new();
        for attack in &seen {
            kinds.entry(&attack.attack.kind).or_default().push(attack);
        }
        let missed = seen.iter().filter(|one| one.caught[0].is_none());
        Self {
            attacks: seen.len(),
            absent: absent.len(),
            recall: by_stage([0, 1, 2].map(|stage| recall(&seen, stage))),
            recall_interval: by_stage([0, 1, 2].map(|stage| recall_interval(&seen, stage))),
            recall_before_half: by_stage([0, 1, 2].map(|stage| recall_before_half(&seen, stage))),
            false_alarms,
            ordinary_account_days,
            false_alarms_per_1000_account_days: per_1000(false_alarms, ordinary_account_days),
            false_alarms_interval: interval_per_1000(false_alarms, ordinary_account_days),
            sends_before: by_stage([0, 1, 2].map(|stage| sends_before(&seen, stage))),
            recipients_before: by_stage([0, 1, 2].map(|stage| recipients_before(&seen, stage))),
            by_kind: kinds.into_iter().map(|(kind, all)| KindRow::of(kind, &all)).collect(),
            missed: missed.map(|one| one.attack.name.clone()).take(ROWS_MAX).collect(),
        }
    }
}

impl KindRow {
    fn of(kind: &str, attacks: &[&Progress]) -> Self {
        let caught = [0, 1, 2].map(|stage| caught(attacks, stage));
        let mut first_rules = BTreeMap::new();
        for first in attacks.iter().filter_map(|one| one.caught[0].as_ref()) {
            *first_rules.entry(first.rule.clone()).or_default() += 1;
        }
        Self {
            kind: kind.to_owned(),
            attacks: attacks.len(),
            caught: by_stage(caught),
            missed: attacks.len() - caught[0],
            recall: recall(attacks, 0),
            recall_before_half: recall_before_half(attacks, 0),
            sends_before: sends_before(attacks, 0),
            recipients_before: recipients_before(attacks, 0),
            first_rules,
        }
    }
}

impl Difference {
    pub(super) fn between(here: &Backtest<'_>, there: &Backtest<'_>) -> Self {
        let gained = only_in(here, there);
        let lost = only_in(there, here);
        let rows = |alarms: &[&Alarm]| alarms.iter().take(ROWS_MAX).map(|one| row(one)).collect();
        let matches = |backtest: &Backtest<'_>| -> BTreeMap<Arc<str>, u64> {
            let rules = backtest.rules;
            let one = |rule| (rules.meta(rule).key.clone(), backtest.tally.rule(rule).matches);
            rules.all().map(one).collect()
        };
        let (ours, theirs) = (matches(here), matches(there));
        let mut by_rule = Vec::new();
        for rule in ours.keys().chain(theirs.keys().filter(|rule| !ours.contains_key(*rule))) {
            let (here, there) = (ours.get(rule).copied(), theirs.get(rule).copied());
            if here != there {
                by_rule.push(RuleDifference { rule: rule.clone(), here, there });
            }
        }
        Self {
            rules_revision: there.rules.rulebook().revision.clone(),
            incidents: reached(there),
            gained: gained.len() as u64,
            lost: lost.len() as u64,
            gained_alerts: rows(&gained),
            lost_alerts: rows(&lost),
            by_rule,
            attacks: there.judge.as_ref().map(|judge| AttackReport::of(there, judge)),
        }
    }
}

/// The alerts of one rule set on accounts where the other has none within a day.
fn only_in<'a>(here: &'a Backtest<'_>, there: &Backtest<'_>) -> Vec<&'a Alarm> {
    const NEAR_MILLIS: i64 = 24 * 3_600_000;
    let is_alert = |alarm: &&Alarm| alarm.kind == AlarmKind::Reached(Stage::Alert);
    let mut theirs: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for alarm in there.tally.alarms.iter().filter(is_alert) {
        theirs.entry(alarm.account.as_str()).or_default().push(alarm.time.millis());
    }
    here.tally
        .alarms
        .iter()
        .filter(is_alert)
        .filter(|alarm| {
            let times = theirs.get(alarm.account.as_str()).map_or(&[][..], Vec::as_slice);
            !times.iter().any(|time| (alarm.time.millis() - time).abs() <= NEAR_MILLIS)
        })
        .collect()
}

fn row(alarm: &Alarm) -> AlertRow {
    AlertRow {
        account: alarm.account.as_str().to_owned(),
        time: timestamp(alarm.time),
        rule: alarm.rule.clone(),
        risk: alarm.risk,
    }
}

fn reached(backtest: &Backtest<'_>) -> ByStage<u64> {
    by_stage(Stage::ALL.map(|stage| backtest.tally.reached(stage) as u64))
}

fn by_stage<T>([alert, notify, respond]: [T; 3]) -> ByStage<T> {
    ByStage { alert, notify, respond }
}

fn per_1000(counts: ByStage<u64>, account_days: f64) -> ByStage<f64> {
    let one = |count| 1000.0 * ratio(count_f64(count), account_days);
    ByStage { alert: one(counts.alert), notify: one(counts.notify), respond: one(counts.respond) }
}

fn interval_per_1000(counts: ByStage<u64>, account_days: f64) -> ByStage<Interval> {
    let unit = ratio(1000.0, account_days);
    by_stage(
        [counts.alert, counts.notify, counts.respond]
            .map(|count| Interval::of_count(count_f64(count), unit)),
    )
}

fn recall_interval(attacks: &[&Progress], stage: usize) -> Interval {
    let count = |count: usize| count_f64(count as u64);
    Interval::of_share(count(caught(attacks, stage)), count(attacks.len()))
}

fn caught(attacks: &[&Progress], stage: usize) -> usize {
    attacks.iter().filter(|one| one.caught[stage].is_some()).count()
}

fn recall(attacks: &[&Progress], stage: usize) -> f64 {
    share(caught(attacks, stage), attacks.len())
}

fn recall_before_half(attacks: &[&Progress], stage: usize) -> f64 {
    share(attacks.iter().filter(|one| one.is_caught_early(stage)).count(), attacks.len())
}

fn sends_before(attacks: &[&Progress], stage: usize) -> Option<u64> {
    median(attacks.iter().filter_map(|one| Some(one.caught[stage].as_ref()?.sends)).collect())
}

fn recipients_before(attacks: &[&Progress], stage: usize) -> Option<u64> {
    median(attacks.iter().filter_map(|one| Some(one.caught[stage].as_ref()?.recipients)).collect())
}

/// The lower of the two in the middle.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn share(part: usize, whole: usize) -> f64 {
    ratio(count_f64(part as u64), count_f64(whole as u64))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub(super) fn count_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 53 bits")]
fn as_f64(millis: i64) -> f64 {
    millis as f64
}
