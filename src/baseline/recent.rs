//! A bounded set of what was seen, with first and last time; the least recently seen goes first.
//!
//! What was forgotten must not look new when it returns: while the set is full of values of the last
//! 14 days, a value that is not in it may be one of those that had to go, and is taken for known.

use serde::{Deserialize, Serialize};

use crate::event::EventTime;

/// Seconds since the epoch as they are kept, clamped to the years 1970 to 2106.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct Second(u32);

impl Second {
    /// Long ago: never novel.
    pub(super) const OLD: Self = Self(0);

    pub(super) fn of(time: EventTime) -> Self {
        let seconds = time.millis().div_euclid(1000).max(0);
        Self(u32::try_from(seconds).unwrap_or(u32::MAX))
    }

    /// Returns the seconds from `earlier` to this; negative where it lies after.
    pub(super) fn since(self, earlier: Self) -> i64 {
        i64::from(self.0) - i64::from(earlier.0)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    hash: u32,
    first: Second,
    last: Second,
}

/// A full set that reaches back less than this cannot tell a new value from a forgotten one.
const REACH_SECONDS: i64 = 14 * 86_400;

/// At most `LIMIT` entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent<const LIMIT: usize> {
    entries: Vec<Entry>,
}

impl<const LIMIT: usize> Recent<LIMIT> {
    /// Notes a sighting at `now` and returns when the value was first seen. A value that is not
    /// known is entered with `first`, or as old where it may have been forgotten. A late sighting
    /// can only make a value older.
    pub(super) fn note(&mut self, hash: u32, now: Second, first: Second) -> Second {
        if let Some(at) = self.entries.iter().position(|entry| entry.hash == hash) {
            let entry = &mut self.entries[at];
            entry.first = entry.first.min(first);
            entry.last = entry.last.max(now);
            let since = entry.first;
            // What is seen often is found early.
            self.entries.swap(at, at / 2);
            return since;
        }
        if self.entries.len() < LIMIT {
            self.entries.push(Entry { hash, first, last: now });
            return first;
        }
        let Some(oldest) = self.entries.iter_mut().min_by_key(|entry| entry.last) else {
            return first;
        };
        let first = if now.since(oldest.last) < REACH_SECONDS { Second::OLD } else { first };
        *oldest = Entry { hash, first, last: now };
        first
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns when the value was last noted, if it is still known.
    pub(super) fn last_seen(&self, hash: u32) -> Option<Second> {
        self.entries.iter().find(|entry| entry.hash == hash).map(|entry| entry.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Second {
        Second::of(EventTime::from_millis(seconds * 1000))
    }

    #[test]
    fn the_least_recently_seen_goes_first() {
        let mut recent = Recent::<2>::default();
        recent.note(1, at(10), at(10));
        recent.note(2, at(20), at(20));
        recent.note(1, at(30), at(30));
        let later = |seconds| at(REACH_SECONDS + seconds);
        recent.note(3, later(40), later(40));
        assert_eq!(recent.note(1, later(50), later(50)), at(10), "still known");
        let month = at(3 * REACH_SECONDS);
        assert_eq!(recent.note(2, month, month), month, "forgotten");
    }

    #[test]
    fn a_value_that_had_to_go_is_not_new_when_it_returns() {
        let mut recent = Recent::<3>::default();
        let mut new = 0;
        // Five values in turn, an hour apart: as an account with more people than are remembered.
        for hour in 0..100 {
            let now = at(REACH_SECONDS + hour * 3_600);
            let value = u32::try_from(hour % 5).unwrap();
            new += u32::from(recent.note(value, now, now) == now);
        }
        assert_eq!(new, 3, "only those that came while there was room");
    }

    #[test]
    fn a_late_sighting_makes_a_value_older() {
        let mut recent = Recent::<2>::default();
        recent.note(1, at(30), at(30));
        assert_eq!(recent.note(1, at(10), at(10)), at(10));
        assert_eq!(recent.note(1, at(40), at(40)), at(10));
    }
}
