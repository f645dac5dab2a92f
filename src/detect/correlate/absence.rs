//! `absence`: what should have followed did not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{AccountId, EventId, EventTime};

/// Openings that one group may have at a time; the oldest goes first.
const OPEN_MAX: usize = 64;
const ANSWERS_MAX: usize = 64;

/// An event that waits for its sequel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Opening {
    pub(super) since: EventTime,
    /// The last time at which the sequel still counts.
    pub(super) deadline: EventTime,
    pub(super) event: EventId,
    pub(super) account: AccountId,
    pub(super) group: Vec<(Arc<str>, String)>,
}

/// What one group waits for, and what came (an answer may arrive before its question).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    open: Vec<Opening>,
    /// Times of sequels, ascending.
    answers: Vec<EventTime>,
}

impl Waiting {
    /// Notes the sequel: whatever waits for it at this time no longer does.
    pub(super) fn answer(&mut self, time: EventTime, kept_millis: i64) {
        self.open.retain(|opening| time < opening.since || time > opening.deadline);
        let at = self.answers.partition_point(|other| *other <= time);
        self.answers.insert(at, time);
        let newest = self.answers.last().copied().unwrap_or(time);
        let oldest = newest.plus_millis(-kept_millis);
        self.answers.retain(|time| *time >= oldest);
        if self.answers.len() > ANSWERS_MAX {
            self.answers.remove(0);
        }
    }

    /// Starts to wait, unless the sequel is known already. Returns whether it waits.
    pub(super) fn open(&mut self, opening: Opening) -> bool {
        let first = self.answers.partition_point(|time| *time < opening.since);
        if self.answers.get(first).is_some_and(|time| *time <= opening.deadline) {
            return false;
        }
        let at = self.open.partition_point(|other| other.deadline <= opening.deadline);
        self.open.insert(at, opening);
        if self.open.len() > OPEN_MAX {
            self.open.remove(0);
        }
        true
    }

    /// Returns the openings whose time has passed: the watermark lies behind their deadline.
    pub(super) fn take_due(&mut self, watermark: EventTime) -> Vec<Opening> {
        let due = self.open.partition_point(|opening| opening.deadline < watermark);
        self.open.drain(..due).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<EventTime> {
        self.open.first().map(|opening| opening.deadline)
    }
}
