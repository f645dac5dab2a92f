//! Runs a labelled stream through the engine and notes when it raised what.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use crate::demo::traffic::{AttackKind, Scenario, TrafficEvent};
use crate::engine::{self, Incoming, NoAccounts, Observed, Rules, Settings, Shard, Workspace};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{
    AccountId, Event, EventTime, Kind, Offset, Position, RawRecord, ShardId, TopicIndex, Value,
};
use crate::incident::Stage;

/// How long after its last event an incident still counts as caused by an attack: what it did lies
/// in the windows for so long.
const AFTERMATH_MILLIS: i64 = 24 * 3_600_000;

/// What an attack had done at some moment.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Damage {
    pub(super) events: u64,
    pub(super) recipients: u64,
}

/// One attack and what became of it.
#[derive(Debug)]
pub(super) struct Attack {
    pub(super) kind: AttackKind,
    first: EventTime,
    last: EventTime,
    pub(super) damage: Damage,
    /// What it had done when each stage was reached for the first time.
    pub(super) reached: BTreeMap<Stage, Damage>,
}

/// What a rule matched.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct RuleCount {
    pub(super) hostile: u64,
    pub(super) ordinary: u64,
    /// Incidents that it stood behind when they opened.
    pub(super) caught: u64,
    pub(super) false_alarms: u64,
}

/// A stream being measured.
pub(super) struct Measurement<'r> {
    pub(super) rules: &'r Rules,
    shard: Shard,
    settings: Settings,
    workspace: Workspace,
    pub(super) attacks: BTreeMap<AccountId, Attack>,
    first_seen: BTreeMap<AccountId, EventTime>,
    /// Incidents and their stages outside of attacks: the stage is the highest that was reached.
    pub(super) false_alarms: BTreeMap<Arc<str>, Stage>,
    pub(super) by_rule: BTreeMap<Arc<str>, RuleCount>,
    false_alarm_days: BTreeMap<i64, u64>,
    pub(super) events: u64,
    end: EventTime,
}

impl<'r> Measurement<'r> {
    pub(super) fn new(rules: &'r Rules, scenario: &Scenario) -> Self {
        let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None);
        shard.adopt(rules);
        Self {
            rules,
            shard,
            settings: Settings::default(),
            workspace: Workspace::default(),
            attacks: BTreeMap::new(),
            first_seen: BTreeMap::new(),
            false_alarms: BTreeMap::new(),
            by_rule: BTreeMap::new(),
            false_alarm_days: BTreeMap::new(),
            events: 0,
            end: scenario.start.plus_millis(i64::from(scenario.days) * 86_400_000),
        }
    }

    /// Runs the next event through the engine.
    pub(super) fn take(&mut self, traffic: TrafficEvent) -> io::Result<()> {
        self.events += 1;
        let position = Position {
            topic: TopicIndex(0),
            offset: Offset(i64::try_from(self.events).unwrap_or(i64::MAX)),
        };
        let record = RawRecord {
            shard: ShardId(0),
            position,
            timestamp: None,
            key: None,
            headers: Vec::new(),
            payload: traffic.payload,
        };
        let events = decode::decode(&WireShape::Satpam, &record, &Limits::default())
            .map_err(|rejection| io::Error::other(rejection.to_string()))?
            .into_vec();
        if !self.first_seen.contains_key(&traffic.account) {
            self.first_seen.insert(traffic.account.clone(), traffic.time);
        }
        if let Some(kind) = traffic.label {
            let recipients = events.first().map_or(0, recipients);
            let attack = self.attacks.entry(traffic.account.clone()).or_insert_with(|| Attack {
                kind,
                first: traffic.time,
                last: traffic.time,
                damage: Damage::default(),
                reached: BTreeMap::new(),
            });
            attack.last = traffic.time;
            attack.damage.events += u64::from(recipients > 0);
            attack.damage.recipients += recipients;
        }
        let records = vec![Incoming { position, events }];
        let Self { rules, shard, settings, workspace, .. } = self;
        let mut seen = Vec::new();
        engine::step(shard, rules, settings, records, workspace, &mut |observed| {
            seen.push(Sight::of(observed, rules));
        })
        .map_err(io::Error::other)?;
        for sight in seen {
            self.note(&traffic.account, traffic.time, traffic.label.is_some(), sight);
        }
        Ok(())
    }

    fn note(&mut self, account: &AccountId, time: EventTime, is_hostile: bool, sight: Sight) {
        for rule in &sight.matched {
            let count = self.by_rule.entry(rule.clone()).or_default();
            if is_hostile { count.hostile += 1 } else { count.ordinary += 1 }
        }
        let Some(raised) = sight.raised else { return };
        let attack = self.attacks.get_mut(account).filter(|attack| {
            time >= attack.first && time <= attack.last.plus_millis(AFTERMATH_MILLIS)
        });
        let is_caught = attack.is_some();
        if let Some(attack) = attack {
            for stage in [Stage::Alert, Stage::NotifyTenant, Stage::Respond] {
                if stage <= raised.stage {
                    attack.reached.entry(stage).or_insert(attack.damage);
                }
            }
        } else if raised.opened || self.false_alarms.contains_key(&raised.incident) {
            let stage = self.false_alarms.entry(raised.incident).or_insert(raised.stage);
            *stage = raised.stage.max(*stage);
        }
        if !raised.opened {
            return;
        }
        if !is_caught {
            *self.false_alarm_days.entry(time.millis().div_euclid(86_400_000)).or_default() += 1;
        }
        for rule in raised.rules {
            let count = self.by_rule.entry(rule).or_default();
            if is_caught { count.caught += 1 } else { count.false_alarms += 1 }
        }
    }

    /// Days of accounts that were not under attack, silent ones included.
    pub(super) fn clean_account_days(&self) -> f64 {
        let mut millis = 0;
        for (account, first) in &self.first_seen {
            millis += self.end.millis_since(*first);
            if let Some(attack) = self.attacks.get(account) {
                let over = attack.last.plus_millis(AFTERMATH_MILLIS).min(self.end);
                millis -= over.millis_since(attack.first);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of years are exact")]
        let millis = millis as f64;
        millis / 86_400_000.0
    }

    pub(super) fn accounts(&self) -> usize {
        self.first_seen.len()
    }

    /// The most false alarms of one day.
    pub(super) fn worst_day(&self) -> u64 {
        self.false_alarm_days.values().copied().max().unwrap_or_default()
    }
}

/// What is kept of an observed event.
struct Sight {
    matched: BTreeSet<Arc<str>>,
    raised: Option<Raised>,
}

struct Raised {
    incident: Arc<str>,
    stage: Stage,
    opened: bool,
    rules: Vec<Arc<str>>,
}

impl Sight {
    fn of(observed: &Observed<'_>, rules: &Rules) -> Self {
        let matched = observed.matches.iter().map(|rule| rules.meta(*rule).key.clone()).collect();
        let changes = observed.changes;
        let raised = changes.incident.as_ref().filter(|_| !changes.closed).map(|incident| Raised {
            incident: incident.id.to_string().into(),
            stage: incident.stage,
            opened: changes.opened,
            rules: incident.contributions.iter().map(|one| one.rule.clone()).collect(),
        });
        Self { matched, raised }
    }
}

/// How many people an event reaches.
fn recipients(event: &Event) -> u64 {
    match event.event_type().name() {
        "message.sent" => 1,
        "broadcast.created" => {
            let count = event.document().root().path(&["broadcast", "recipient_count"]);
            match count.map(Value::kind) {
                Some(Kind::Int(count)) => u64::try_from(count).unwrap_or_default(),
                _ => 0,
            }
        }
        _ => 0,
    }
}
