//! What became of a batch: the account of every event, and the effects to make durable.

use std::collections::BTreeMap;

use super::breaker::Throttling;
use crate::event::{AccountId, Category};
use crate::incident::{Incident, IncidentId, Planned};
use crate::rulebook::RuleIndex;

/// What became of one event. Every event has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventOutcome {
    /// The rules have seen it.
    Processed,
    /// Its id was seen within the dedupe window.
    Duplicate,
    /// It is older than the lateness limit.
    Late,
    /// It was applied before a restart and is read again.
    Replayed,
}

impl EventOutcome {
    pub const ALL: [Self; 4] = [Self::Processed, Self::Duplicate, Self::Late, Self::Replayed];

    /// Returns the word of the `outcome` label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Processed => "processed",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Replayed => "replayed",
        }
    }
}

/// Everything that a batch led to.
#[derive(Debug, Default)]
pub struct Outcome {
    /// How many events of each category ended how.
    pub events: BTreeMap<(Category, EventOutcome), u64>,
    /// How many distinct events had each rule match.
    pub matches: BTreeMap<RuleIndex, u64>,
    /// Of those, the matches that count by themselves: not the bases of correlations alone.
    pub alerts: BTreeMap<RuleIndex, u64>,
    /// Incidents that opened, grew or closed, as they stand at the end of the batch.
    pub incidents: BTreeMap<IncidentId, Incident>,
    pub planned: Vec<Planned>,
    /// The accounts whose state must become durable together with these effects.
    pub accounts: Vec<AccountId>,
    pub opened: Vec<IncidentId>,
    pub closed: Vec<IncidentId>,
    /// Rules that were throttled or let go: the whole shard must become durable with these effects.
    pub throttlings: Vec<Throttling>,
    /// Matches of rules that were throttled.
    pub throttled: BTreeMap<RuleIndex, u64>,
    /// Matches that a correlation could not count, by reason.
    pub skipped: crate::detect::correlate::Counters,
}

impl Outcome {
    /// Returns whether something must be made durable at once.
    pub fn has_effects(&self) -> bool {
        !self.incidents.is_empty() || !self.planned.is_empty() || !self.throttlings.is_empty()
    }

    pub(super) fn count(&mut self, category: Category, outcome: EventOutcome) {
        *self.events.entry((category, outcome)).or_default() += 1;
    }
}
