//! The ids of an account's latest events, to drop what a producer sent twice.

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::event::{EventId, EventTime};

/// Most ids kept for one account; the oldest make room.
const IDS_MAX: usize = 512;

/// A ring of hashed ids, each with the second it happened in.
///
/// Two ids of one account share a hash with odds of 2^-64 a pair.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct RecentIds {
    hashes: Vec<u64>,
    seconds: Vec<u32>,
    /// Where the next id goes once the ring is full.
    cursor: u16,
}

impl RecentIds {
    /// Returns whether this id was noted within `window_seconds` around `time`.
    pub(super) fn contains(&self, id: &EventId, time: EventTime, window_seconds: u32) -> bool {
        let (hash, second) = (xxh3_64(id.as_str().as_bytes()), second(time));
        position_of(&self.hashes, hash)
            .is_some_and(|at| self.seconds[at].abs_diff(second) <= window_seconds)
    }

    /// Notes an id.
    pub(super) fn note(&mut self, id: &EventId, time: EventTime) {
        let (hash, second) = (xxh3_64(id.as_str().as_bytes()), second(time));
        if self.hashes.len() < IDS_MAX {
            self.hashes.push(hash);
            self.seconds.push(second);
            return;
        }
        let at = usize::from(self.cursor);
        self.hashes[at] = hash;
        self.seconds[at] = second;
        self.cursor = u16::try_from((at + 1) % IDS_MAX).unwrap_or_default();
    }

    /// Forgets ids that lie further back than the window, so that quiet accounts stay small.
    pub(super) fn forget_older(&mut self, now: EventTime, window_seconds: u32) {
        let oldest = second(now).saturating_sub(window_seconds);
        let mut kept = Self::default();
        let from_oldest =
            (0..self.hashes.len()).map(|at| (at + usize::from(self.cursor)) % IDS_MAX);
        for at in from_oldest.filter(|at| self.seconds[*at] >= oldest) {
            kept.hashes.push(self.hashes[at]);
            kept.seconds.push(self.seconds[at]);
        }
        *self = kept;
    }
}

/// Returns where a hash stands first. Looks at several at a time: most are not there.
fn position_of(hashes: &[u64], wanted: u64) -> Option<usize> {
    const AT_A_TIME: usize = 16;
    // Counting instead of stopping at the first lets the compiler compare several at once.
    let has_it = |some: &[u64]| some.iter().filter(|hash| **hash == wanted).count() > 0;
    let from = hashes.chunks(AT_A_TIME).position(has_it)? * AT_A_TIME;
    let offset = hashes[from..].iter().position(|hash| *hash == wanted)?;
    Some(from + offset)
}

/// Seconds since the Unix epoch, within the range of 32 bits (until 2106).
fn second(time: EventTime) -> u32 {
    u32::try_from((time.millis() / 1000).max(0)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> EventId {
        EventId::new(&format!("e{n}")).unwrap()
    }

    fn at(seconds: i64) -> EventTime {
        EventTime::from_millis(seconds * 1000)
    }

    #[test]
    fn an_id_is_known_within_the_window_only() {
        let mut recent = RecentIds::default();
        recent.note(&id(1), at(1000));
        for (n, time, known) in
            [(1, 1000, true), (1, 1060, true), (1, 1061, false), (2, 1000, false)]
        {
            assert_eq!(recent.contains(&id(n), at(time), 60), known, "e{n} at {time}");
        }
    }

    #[test]
    fn the_ring_is_bounded_and_forgets_the_oldest_first() {
        let mut recent = RecentIds::default();
        let last = 2000;
        for n in 0..last {
            recent.note(&id(n), at(i64::from(n)));
        }
        assert_eq!(recent.hashes.len(), IDS_MAX);
        assert!(recent.contains(&id(last - 1), at(i64::from(last)), 3600));
        assert!(recent.contains(&id(last - 512), at(i64::from(last)), 3600));
        assert!(!recent.contains(&id(last - 513), at(i64::from(last)), 3600));
        recent.forget_older(at(i64::from(last)), 10);
        assert_eq!(recent.hashes.len(), 10);
        recent.note(&id(last), at(i64::from(last)));
        assert!(recent.contains(&id(last - 5), at(i64::from(last)), 10));
    }
}
