//! Offsets that never start again from 0.
//!
//! A topic that is deleted and made anew counts its records from 0 again. Accounts remember offsets
//! to tell what was applied to them, so to the engine and the store each record has its offset with
//! the topic's generation in the bits above it: those of a later generation are always larger.

use crate::event::Offset;

/// Enough for 280 million million records of one partition in one generation.
const OFFSET_BITS: u32 = 48;
const OFFSET_MASK: i64 = (1 << OFFSET_BITS) - 1;
const GENERATION_MAX: i64 = i64::MAX >> OFFSET_BITS;

/// How often one partition was made anew while we read it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Generation(i64);

impl Generation {
    /// Returns the generation of an offset as the store keeps it.
    pub(super) fn of(stored: Offset) -> Self {
        Self(stored.0.max(0) >> OFFSET_BITS)
    }

    /// Returns the generation after this one.
    pub(super) fn next(self) -> Self {
        Self((self.0 + 1).min(GENERATION_MAX))
    }

    /// Returns Kafka's offset as the engine and the store know it.
    pub(super) fn stored(self, kafka: Offset) -> Offset {
        Offset(self.0 << OFFSET_BITS | (kafka.0 & OFFSET_MASK))
    }
}

/// Returns the offset as Kafka knows it.
pub(super) fn kafka(stored: Offset) -> Offset {
    Offset(stored.0 & OFFSET_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_generation_is_larger_and_kafka_s_offset_comes_back() {
        let first = Generation::default();
        assert_eq!(first.stored(Offset(7)), Offset(7), "what was stored before stays as it is");
        let mut before = first.stored(Offset(OFFSET_MASK));
        let mut generation = first;
        for _ in 0..3 {
            generation = generation.next();
            for offset in [0, 1, 5_000_000_000] {
                let stored = generation.stored(Offset(offset));
                assert!(stored > before, "{stored:?} after {before:?}");
                assert_eq!(kafka(stored), Offset(offset));
                assert_eq!(Generation::of(stored), generation);
                before = stored;
            }
        }
    }
}
