//! A bounded set of what was seen, with first and last time; the least recently seen goes first.

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

/// At most `LIMIT` entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recent<const LIMIT: usize> {
    entries: Vec<Entry>,
}

impl<const LIMIT: usize> Recent<LIMIT> {
    /// Notes a sighting at `now` and returns when the value was first seen. A value that is not
    /// known is entered with `first`. A late sighting can only make a value older.
    pub(super) fn note(&mut self, hash: u32, now: Second, first: Second) -> Second {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.hash == hash) {
            entry.first = entry.first.min(first);
            entry.last = entry.last.max(now);
            return entry.first;
        }
        let entry = Entry { hash, first, last: now };
        if self.entries.len() < LIMIT {
            self.entries.push(entry);
        } else if let Some(oldest) = self.entries.iter_mut().min_by_key(|entry| entry.last) {
            *oldest = entry;
        }
        first
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
        recent.note(3, at(40), at(40));
        assert_eq!(recent.note(1, at(50), at(50)), at(10), "still known");
        assert_eq!(recent.note(2, at(60), at(60)), at(60), "forgotten");
    }

    #[test]
    fn a_late_sighting_makes_a_value_older() {
        let mut recent = Recent::<2>::default();
        recent.note(1, at(30), at(30));
        assert_eq!(recent.note(1, at(10), at(10)), at(10));
        assert_eq!(recent.note(1, at(40), at(40)), at(10));
    }
}
