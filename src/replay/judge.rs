//! Holds what was raised against the labels: what was caught, when, and what was a false alarm.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::attack::Attack;
use super::tally::{Alarm, AlarmKind, Noted};
use crate::engine::{Observed, Rules};
use crate::event::{AccountId, Event, EventTime, Kind, Value};
use crate::incident::Stage;
use crate::rulebook::RuleIndex;

/// How long behind the last event of an attack an alarm still counts as one about it.
pub(super) const GRACE_MILLIS: i64 = 24 * 3_600_000;

/// What has happened of one attack so far.
#[derive(Debug)]
pub(super) struct Progress {
    pub(super) attack: Attack,
    pub(super) events: u64,
    /// Messages and broadcasts.
    pub(super) sends: u64,
    pub(super) recipients: u64,
    /// Broadcasts that were counted: creation and start of one count once.
    jobs: BTreeSet<Box<str>>,
    /// The first alarm at each stage.
    pub(super) caught: [Option<Caught>; 3],
    /// Rules that matched at its events or in its time.
    pub(super) rules: BTreeSet<RuleIndex>,
}

/// The first alarm of an attack at one stage, and what had gone out before the event behind it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Caught {
    pub(super) time: EventTime,
    pub(super) sends: u64,
    pub(super) recipients: u64,
    pub(super) rule: Arc<str>,
}

/// How often a rule matched on what was the intruder's, and on what was not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Confusion {
    pub(super) hostile: u64,
    pub(super) ordinary: u64,
}

/// The attacks of a stream while it is played.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) attacks: Vec<Progress>,
    by_account: BTreeMap<AccountId, Vec<usize>>,
    pub(super) rules: BTreeMap<RuleIndex, Confusion>,
    /// The attacks that the event at hand belongs to, with what went out before it.
    current: Vec<(usize, u64, u64)>,
}

impl Judge {
    pub(super) fn new(attacks: Vec<Attack>) -> Self {
        let mut judge = Self::default();
        for attack in attacks {
            let number = judge.attacks.len();
            judge.by_account.entry(attack.account.clone()).or_default().push(number);
            judge.attacks.push(Progress {
                attack,
                events: 0,
                sends: 0,
                recipients: 0,
                jobs: BTreeSet::new(),
                caught: [None, None, None],
                rules: BTreeSet::new(),
            });
        }
        judge
    }

    /// Notes an event that is about to be played.
    pub(super) fn arrive(&mut self, event: &Event) {
        self.current.clear();
        let Some(numbers) = self.by_account.get(event.account()) else { return };
        for number in numbers {
            let progress = &mut self.attacks[*number];
            if progress.attack.includes(event) {
                self.current.push((*number, progress.sends, progress.recipients));
                progress.add(event);
            }
        }
    }

    /// Notes what the event led to.
    pub(super) fn observe(&mut self, seen: &Observed<'_>, noted: &Noted, rules: &Rules) {
        if seen.matches.is_empty() {
            return;
        }
        let is_hostile = seen.subject.is_some() && !self.current.is_empty();
        for rule in seen.matches {
            let confusion = self.rules.entry(*rule).or_default();
            confusion.hostile += u64::from(is_hostile);
            confusion.ordinary += u64::from(!is_hostile);
        }
        let Some(numbers) = self.by_account.get(seen.account) else { return };
        for number in numbers {
            let progress = &mut self.attacks[*number];
            if !progress.spans(seen.time) {
                continue;
            }
            progress.rules.extend(seen.matches);
            let before = self.current.iter().find(|(current, ..)| current == number);
            let (sends, recipients) = match before {
                Some((_, sends, recipients)) if seen.subject.is_some() => (*sends, *recipients),
                Some(_) | None => (progress.sends, progress.recipients),
            };
            let (Some(reached), Some(rule)) = (noted.stage, noted.rule) else { continue };
            for (stage, caught) in Stage::ALL.into_iter().zip(&mut progress.caught) {
                if stage <= reached && caught.is_none() {
                    let rule = rules.meta(rule).key.clone();
                    *caught = Some(Caught { time: seen.time, sends, recipients, rule });
                }
            }
        }
    }

    /// Returns whether an alarm is about no attack.
    pub(super) fn is_false(&self, account: &AccountId, time: EventTime) -> bool {
        let numbers = self.by_account.get(account).map_or(&[][..], Vec::as_slice);
        !numbers.iter().any(|number| self.attacks[*number].spans(time))
    }

    /// Counts the false alarms at each stage.
    pub(super) fn false_alarms(&self, alarms: &[Alarm]) -> [u64; 3] {
        Stage::ALL.map(|stage| {
            let is_false = |alarm: &&Alarm| {
                alarm.kind == AlarmKind::Reached(stage) && self.is_false(&alarm.account, alarm.time)
            };
            alarms.iter().filter(is_false).count() as u64
        })
    }

    /// Returns how much of the time from `first` to `last` an account is under attack, at most.
    pub(super) fn hostile_millis(
        &self,
        account: &AccountId,
        first: EventTime,
        last: EventTime,
    ) -> i64 {
        let numbers = self.by_account.get(account).map_or(&[][..], Vec::as_slice);
        let one = |number: &usize| {
            let attack = &self.attacks[*number].attack;
            let end = attack.last.plus_millis(GRACE_MILLIS).min(last);
            end.millis_since(attack.first.max(first)).max(0)
        };
        numbers.iter().map(one).sum()
    }
}

impl Progress {
    fn spans(&self, time: EventTime) -> bool {
        time >= self.attack.first && time <= self.attack.last.plus_millis(GRACE_MILLIS)
    }

    fn add(&mut self, event: &Event) {
        self.events += 1;
        let root = event.document().root();
        match event.event_type().name() {
            "message.sent" => {
                self.sends += 1;
                self.recipients += 1;
            }
            "broadcast.created" | "broadcast.started" => {
                let job = root.path(&["broadcast", "job_id"]).and_then(Value::to_text);
                if job.is_some_and(|job| !self.jobs.insert(Box::from(&*job))) {
                    return;
                }
                self.sends += 1;
                if let Some(Kind::Int(count)) =
                    root.path(&["broadcast", "recipient_count"]).map(Value::kind)
                {
                    let count = u64::try_from(count).unwrap_or_default();
                    self.recipients = self.recipients.saturating_add(count);
                }
            }
            _ => {}
        }
    }

    /// Returns how many customers the whole attack reaches.
    pub(super) fn recipients_total(&self) -> u64 {
        self.attack.recipients.unwrap_or(self.recipients)
    }

    /// Returns whether the first alarm at a stage came before half of the customers were reached.
    pub(super) fn is_caught_early(&self, stage: usize) -> bool {
        self.caught[stage]
            .as_ref()
            .is_some_and(|caught| caught.recipients.saturating_mul(2) <= self.recipients_total())
    }
}
