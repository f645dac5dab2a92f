//! `new_terms`: values that a group has not shown within its history.

use serde::{Deserialize, Serialize};

use crate::event::EventTime;

/// Values that one group keeps; the least recently seen goes first.
const TERMS_MAX: usize = 256;

/// The values of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Terms {
    first: EventTime,
    /// Hash, and when it was seen last.
    terms: Vec<(u64, EventTime)>,
}

impl Terms {
    pub(super) fn new(first: EventTime) -> Self {
        Self { first, terms: Vec::new() }
    }

    /// Enters a value; returns whether it is new after the group had `learn` to show its habits.
    pub(super) fn is_new(
        &mut self,
        term: u64,
        time: EventTime,
        history_millis: i64,
        learn_millis: i64,
    ) -> bool {
        self.first = self.first.min(time);
        let has_learnt = time.millis_since(self.first) >= learn_millis;
        if let Some((_, last)) = self.terms.iter_mut().find(|(known, _)| *known == term) {
            let is_forgotten = time.millis_since(*last) > history_millis;
            *last = time.max(*last);
            return is_forgotten && has_learnt;
        }
        if self.terms.len() < TERMS_MAX {
            self.terms.push((term, time));
        } else if let Some(oldest) = self.terms.iter_mut().min_by_key(|(_, last)| *last) {
            *oldest = (term, time);
        }
        has_learnt
    }
}
