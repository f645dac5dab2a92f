//! What each rule adds: the stream's matches are added up again without it.
//!
//! The matches themselves stay (a correlation still sees its base rules): what is taken away is what
//! the rule adds to the risk. Incidents close here when the account acts again, in the engine when
//! the shard's time passes; that changes no alarm's stage, only which incident it belongs to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use super::attack::Attack;
use super::judge::GRACE_MILLIS;
use super::tally::is_scored;
use crate::engine::{Observed, Rules};
use crate::event::{AccountId, EventId, EventTime, ShardId};
use crate::incident::{Impact, IncidentId, Ledger, Match, Occasion, Posture, Stage, Tenant};
use crate::rulebook::RuleIndex;

/// What one rule adds, at the stage `alert`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Added {
    pub rule: Arc<str>,
    /// Incidents that would not have opened without it, less those that would have opened instead.
    pub incidents: i64,
    /// Of these, on no attack.
    pub false_alarms: i64,
    /// Attacks that only this rule catches.
    pub attacks: i64,
}

/// Matches that add to the risk, by account.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<usize, Vec<Scored>>);

#[derive(Debug)]
struct Scored {
    time: EventTime,
    now: EventTime,
    posture: Posture,
    rules: Box<[RuleIndex]>,
}

#[derive(Debug, Default)]
struct Raised {
    incidents: i64,
    false_alarms: i64,
    attacks: BTreeSet<usize>,
}

impl History {
    pub(super) fn note(&mut self, account: usize, seen: &Observed<'_>, rules: &Rules) {
        let scored: Box<[RuleIndex]> =
            seen.matches.iter().copied().filter(|rule| is_scored(*rule, rules)).collect();
        if scored.is_empty() {
            return;
        }
        let scored =
            Scored { time: seen.time, now: seen.now(), posture: seen.posture, rules: scored };
        self.0.entry(account).or_default().push(scored);
    }

    /// Returns what each rule adds that added to the risk at all; `accounts` are named by their
    /// place, and so are the attacks on them.
    pub(super) fn added(
        &self,
        rules: &Rules,
        since: EventTime,
        accounts: &BTreeMap<usize, (AccountId, Vec<&Attack>)>,
    ) -> Vec<Added> {
        let mut touched: BTreeMap<RuleIndex, BTreeSet<usize>> = BTreeMap::new();
        for (account, history) in &self.0 {
            for rule in history.iter().flat_map(|scored| &scored.rules) {
                touched.entry(*rule).or_default().insert(*account);
            }
        }
        let raised = |account: usize, without: Option<RuleIndex>| {
            accounts.get(&account).map_or_else(Raised::default, |(id, attacks)| {
                raised(&self.0[&account], rules, since, id, attacks, without)
            })
        };
        let whole: BTreeMap<usize, Raised> =
            self.0.keys().map(|account| (*account, raised(*account, None))).collect();
        touched
            .into_iter()
            .map(|(rule, touched)| {
                let mut added = Added {
                    rule: rules.meta(rule).key.clone(),
                    incidents: 0,
                    false_alarms: 0,
                    attacks: 0,
                };
                for account in touched {
                    let (with, without) = (&whole[&account], raised(account, Some(rule)));
                    added.incidents += with.incidents - without.incidents;
                    added.false_alarms += with.false_alarms - without.false_alarms;
                    let lost = with.attacks.difference(&without.attacks).count();
                    added.attacks += i64::try_from(lost).unwrap_or(i64::MAX);
                }
                added
            })
            .collect()
    }
}

fn raised(
    history: &[Scored],
    rules: &Rules,
    since: EventTime,
    account: &AccountId,
    attacks: &[&Attack],
    without: Option<RuleIndex>,
) -> Raised {
    let rulebook = rules.rulebook();
    let mut ledger = Ledger::default();
    let mut raised = Raised::default();
    let mut known: Option<IncidentId> = None;
    for (number, scored) in history.iter().enumerate() {
        let matches: Vec<Match<'_>> = scored
            .rules
            .iter()
            .filter(|rule| Some(**rule) != without)
            .map(|rule| Match { rule: rules.meta(*rule), evidence: Vec::new(), throttled: false })
            .collect();
        if matches.is_empty() {
            continue;
        }
        ledger.close_if_over(scored.now, &rulebook.policy);
        let event = EventId::new(&number.to_string()).expect("a number is an event id");
        let occasion = Occasion {
            shard: ShardId(0),
            account,
            event: &event,
            event_type: "",
            time: scored.time,
            now: scored.now,
            watermark: scored.now,
            actor: None,
            posture: scored.posture,
            impact: Impact::default(),
            tenant: Tenant {
                name: None,
                language: None,
                timezone: "UTC".into(),
                two_factor: None,
                contacts: &[],
                protected: false,
            },
            rules_revision: &rulebook.revision,
        };
        let changes = ledger.record(&matches, &occasion, &rulebook.policy);
        let Some(incident) = changes.incident.filter(|incident| incident.stage >= Stage::Alert)
        else {
            continue;
        };
        let about: Vec<usize> = attacks
            .iter()
            .enumerate()
            .filter(|(_, attack)| {
                scored.time >= attack.first && scored.time <= attack.last.plus_millis(GRACE_MILLIS)
            })
            .map(|(number, _)| number)
            .collect();
        if known != Some(incident.id) && scored.time >= since {
            raised.incidents += 1;
            raised.false_alarms += i64::from(about.is_empty());
        }
        known = Some(incident.id);
        raised.attacks.extend(about);
    }
    raised
}
