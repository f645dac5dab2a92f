//! What a rule set raised over a stream: incidents as they grow, and matches of each rule.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::engine::{Observed, Rules};
use crate::event::{AccountId, Event, EventTime};
use crate::incident::{IncidentId, Stage};
use crate::rulebook::{RuleIndex, Status};

/// Something that a rule set raised.
#[derive(Debug, Clone, PartialEq)]
pub struct Alarm {
    pub account: AccountId,
    /// Of the event that made it fire.
    pub time: EventTime,
    pub kind: AlarmKind,
    /// The key of the rule; of several at one event, the one with the highest risk.
    pub rule: Arc<str>,
    /// The account's risk after the event.
    pub risk: f64,
}

/// What was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlarmKind {
    /// A rule that is reported by itself matched.
    Match,
    /// An incident opened or grew to this stage.
    Reached(Stage),
}

impl AlarmKind {
    /// Returns the word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Match => "match",
            Self::Reached(Stage::Alert) => "alert",
            Self::Reached(Stage::NotifyTenant) => "notify",
            Self::Reached(Stage::Respond) => "respond",
        }
    }
}

/// One account of the stream.
#[derive(Debug)]
pub(super) struct AccountTally {
    pub(super) id: AccountId,
    /// Its first event that counts.
    pub(super) first: EventTime,
    pub(super) incidents: u64,
    pub(super) risk_peak: f64,
    /// The latest incident and how far it has gone.
    reached: Option<(IncidentId, Stage)>,
}

/// One rule.
#[derive(Debug, Clone, Default)]
pub(super) struct RuleTally {
    pub(super) matches: u64,
    pub(super) accounts: BTreeSet<usize>,
    /// Incidents that opened at a match of it.
    pub(super) opened: u64,
}

/// What became of one observed event.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The place of the account.
    pub(super) account: usize,
    pub(super) alarms: Vec<Alarm>,
    /// How far the incident has gone that this event opened or joined.
    pub(super) stage: Option<Stage>,
    /// The rule behind it.
    pub(super) rule: Option<RuleIndex>,
}

/// Counts over one stream.
#[derive(Debug)]
pub(super) struct Tally {
    /// Events before this teach and are not counted.
    since: EventTime,
    by_id: HashMap<AccountId, usize>,
    pub(super) accounts: Vec<AccountTally>,
    detections: Vec<RuleTally>,
    correlations: Vec<RuleTally>,
    pub(super) first: Option<EventTime>,
    pub(super) last: EventTime,
    pub(super) events: u64,
    /// Every alarm but plain matches, in the order of the stream.
    pub(super) alarms: Vec<Alarm>,
}

impl Tally {
    pub(super) fn new(rules: &Rules, since: EventTime) -> Self {
        let rulebook = rules.rulebook();
        Self {
            since,
            by_id: HashMap::new(),
            accounts: Vec::new(),
            detections: vec![RuleTally::default(); rulebook.detections.len()],
            correlations: vec![RuleTally::default(); rulebook.correlations.len()],
            first: None,
            last: EventTime::from_millis(i64::MIN),
            events: 0,
            alarms: Vec::new(),
        }
    }

    /// Returns whether what happens at this time counts.
    pub(super) fn counts(&self, time: EventTime) -> bool {
        time >= self.since
    }

    /// Notes that an event is about to be played; returns the place of its account.
    pub(super) fn arrive(&mut self, event: &Event) -> usize {
        let time = event.time();
        if self.counts(time) {
            self.events += 1;
            self.first = Some(self.first.map_or(time, |first| first.min(time)));
            self.last = self.last.max(time);
        }
        let number = self.number(event.account(), time);
        let account = &mut self.accounts[number];
        account.first = account.first.min(time.max(self.since));
        number
    }

    fn number(&mut self, id: &AccountId, time: EventTime) -> usize {
        if let Some(number) = self.by_id.get(id) {
            return *number;
        }
        let number = self.accounts.len();
        self.by_id.insert(id.clone(), number);
        self.accounts.push(AccountTally {
            id: id.clone(),
            first: time.max(self.since),
            incidents: 0,
            risk_peak: 0.0,
            reached: None,
        });
        number
    }

    /// Notes what an event led to.
    pub(super) fn observe(&mut self, seen: &Observed<'_>, rules: &Rules) -> Noted {
        if seen.matches.is_empty() && seen.changes.incident.is_none() {
            return Noted::default();
        }
        let number = self.number(seen.account, seen.time);
        let mut noted = Noted { account: number, ..Noted::default() };
        let is_counted = self.counts(seen.time);
        let risk = seen.risk();
        let alarm = |kind, rule: RuleIndex| Alarm {
            account: seen.account.clone(),
            time: seen.time,
            kind,
            rule: rules.meta(rule).key.clone(),
            risk,
        };
        for rule in seen.matches {
            if is_counted {
                let tally = self.rule_mut(*rule);
                tally.matches += 1;
                tally.accounts.insert(number);
                if rules.reports(*rule) {
                    noted.alarms.push(alarm(AlarmKind::Match, *rule));
                }
            }
        }
        let Some(incident) = seen.changes.incident.as_ref().filter(|_| !seen.changes.closed) else {
            return noted;
        };
        let Some(rule) = strongest(seen.matches, rules) else { return noted };
        noted.stage = Some(incident.stage);
        noted.rule = Some(rule);
        let account = &mut self.accounts[number];
        let before = account.reached.filter(|(id, _)| *id == incident.id).map(|(_, stage)| stage);
        account.reached = Some((incident.id, incident.stage));
        account.risk_peak = account.risk_peak.max(risk);
        if !is_counted {
            return noted;
        }
        if before.is_none() {
            account.incidents += 1;
            self.rule_mut(rule).opened += 1;
        }
        for stage in Stage::ALL {
            if before.is_none_or(|before| before < stage) && stage <= incident.stage {
                let reached = alarm(AlarmKind::Reached(stage), rule);
                self.alarms.push(reached.clone());
                noted.alarms.push(reached);
            }
        }
        noted
    }

    pub(super) fn rule(&self, rule: RuleIndex) -> &RuleTally {
        match rule {
            RuleIndex::Detection(index) => &self.detections[index.0 as usize],
            RuleIndex::Correlation(index) => &self.correlations[index.0 as usize],
        }
    }

    fn rule_mut(&mut self, rule: RuleIndex) -> &mut RuleTally {
        match rule {
            RuleIndex::Detection(index) => &mut self.detections[index.0 as usize],
            RuleIndex::Correlation(index) => &mut self.correlations[index.0 as usize],
        }
    }

    /// Returns how often incidents reached a stage.
    pub(super) fn reached(&self, stage: Stage) -> usize {
        self.alarms.iter().filter(|alarm| alarm.kind == AlarmKind::Reached(stage)).count()
    }
}

/// Returns whether matches of a rule add to the risk.
pub(super) fn is_scored(rule: RuleIndex, rules: &Rules) -> bool {
    let meta = rules.meta(rule);
    rules.reports(rule)
        && meta.risk > 0.0
        && match meta.status {
            Status::Stable | Status::Test => true,
            Status::Experimental | Status::Deprecated | Status::Unsupported => false,
        }
}

fn strongest(matches: &[RuleIndex], rules: &Rules) -> Option<RuleIndex> {
    let mut best: Option<RuleIndex> = None;
    for rule in matches.iter().filter(|rule| is_scored(**rule, rules)) {
        if best.is_none_or(|best| rules.meta(*rule).risk > rules.meta(best).risk) {
            best = Some(*rule);
        }
    }
    best
}
