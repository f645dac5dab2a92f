//! What correlations remember: per account, and per shard where they do not group by account.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::absence::Waiting;
use super::ordered::Sequence;
use super::terms::Terms;
use super::window::Window;
use crate::event::{AccountId, EventId, EventTime};
use crate::rulebook::StateKey;

/// Contributing events that are named as evidence.
pub const EVIDENCE_MAX: usize = 5;

/// The correlations of one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountWindows {
    pub(super) states: States,
}

impl AccountWindows {
    /// Returns whether nothing is remembered, so that nothing needs to be stored.
    pub fn is_empty(&self) -> bool {
        self.states.0.is_empty()
    }

    /// Returns when the next `absence` may become due.
    pub fn next_deadline(&self) -> Option<EventTime> {
        self.states.next_deadline()
    }
}

/// The correlations of one shard that are not of one account, and when accounts are due.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ShardWindows {
    pub(super) states: States,
    /// When each rule was first loaded here.
    pub(super) introduced: BTreeMap<StateKey, EventTime>,
    /// When each rule that still has state was last loaded.
    pub(super) removed: BTreeMap<StateKey, EventTime>,
    pub(super) deadlines: BTreeSet<(EventTime, AccountId)>,
    /// No `absence` of the shard itself is due before; what it waits for may have come.
    expected: Option<EventTime>,
}

impl ShardWindows {
    /// Notes when an `absence` of the shard itself will be due.
    pub(super) fn expect(&mut self, deadline: EventTime) {
        self.expected = Some(self.expected.map_or(deadline, |first| first.min(deadline)));
    }

    pub(super) fn is_due(&self, watermark: EventTime) -> bool {
        self.expected.is_some_and(|deadline| deadline < watermark)
    }

    pub(super) fn expect_next(&mut self) {
        self.expected = self.states.next_deadline();
    }

    /// Remembers that an account waits for something, after it was read from the store.
    pub fn remind(&mut self, account: &AccountId, deadline: EventTime) {
        self.deadlines.insert((deadline, account.clone()));
    }

    /// Takes the accounts that have to be looked at with
    /// [`advance_account`](super::Correlator::advance_account), the earliest first.
    pub fn take_due_accounts(&mut self, watermark: EventTime) -> Vec<AccountId> {
        let mut due = Vec::new();
        while self.deadlines.first().is_some_and(|(deadline, _)| *deadline < watermark)
            && let Some((_, account)) = self.deadlines.pop_first()
        {
            if !due.contains(&account) {
                due.push(account);
            }
        }
        due
    }
}

/// Groups of rules, by the rule's state key and the hash of the group's values.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct States(pub(super) BTreeMap<StateKey, BTreeMap<u64, Group>>);

impl States {
    /// Returns a group, making it and, where there are too many, dropping an eighth of the groups,
    /// those that were quiet for longest. Also returns how many were dropped.
    pub(super) fn group(
        &mut self,
        key: StateKey,
        hash: u64,
        groups_max: usize,
        start: impl FnOnce() -> Memory,
    ) -> (&mut Group, u64) {
        let groups = self.0.entry(key).or_default();
        let mut dropped = 0;
        if groups.len() >= groups_max.max(1) && !groups.contains_key(&hash) {
            let mut quiet: Vec<(EventTime, u64)> =
                groups.iter().map(|(hash, group)| (group.touched, *hash)).collect();
            quiet.sort_unstable();
            let excess = groups.len() + 1 - groups_max.max(1);
            for (_, hash) in quiet.into_iter().take(excess.max(groups_max / 8)) {
                groups.remove(&hash);
                dropped += 1;
            }
        }
        let group = groups.entry(hash).or_insert_with(|| Group {
            touched: EventTime::from_millis(i64::MIN),
            evidence: SmallVec::new(),
            memory: start(),
        });
        (group, dropped)
    }

    fn next_deadline(&self) -> Option<EventTime> {
        let groups = self.0.values().flat_map(BTreeMap::values);
        groups.filter_map(|group| group.memory.next_deadline()).min()
    }
}

/// One group of one correlation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Group {
    pub(super) touched: EventTime,
    evidence: SmallVec<[Evidence; 1]>,
    pub(super) memory: Memory,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Evidence {
    time: EventTime,
    tag: u64,
    event: EventId,
}

impl Group {
    /// Notes which event contributed; of equal tags the older goes first.
    pub(super) fn note(&mut self, time: EventTime, tag: u64, event: &EventId) {
        self.touched = self.touched.max(time);
        if self.evidence.last().is_some_and(|last| last.event == *event) {
            return;
        }
        if self.evidence.len() >= EVIDENCE_MAX {
            let repeated = self.evidence.iter().position(|older| older.tag == tag);
            self.evidence.remove(repeated.unwrap_or(0));
        }
        self.evidence.push(Evidence { time, tag, event: event.clone() });
    }

    /// Returns the noted events within a window.
    pub(super) fn evidence(&self, from: EventTime, to: EventTime) -> Vec<EventId> {
        let within = self.evidence.iter().filter(|noted| noted.time >= from && noted.time <= to);
        within.map(|noted| noted.event.clone()).collect()
    }
}

/// What a group remembers, by the kind of its correlation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) enum Memory {
    Window(Window),
    Sequence(Sequence),
    Terms(Terms),
    Waiting(Waiting),
}

impl Memory {
    fn next_deadline(&self) -> Option<EventTime> {
        match self {
            Self::Waiting(waiting) => waiting.next_deadline(),
            Self::Window(_) | Self::Sequence(_) | Self::Terms(_) => None,
        }
    }
}
