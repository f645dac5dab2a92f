//! Which values were seen before: an adaptive sample of hashes, bounded whatever arrives.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const ENTRIES_MAX: usize = 256;
/// At 2^-24 the sample stands for four billion values.
const LEVEL_MAX: u32 = 24;

/// Remembers the values whose hash begins with `level` zero bits; the level rises as values
/// arrive, so that at most 256 are kept. A count of first sightings is then thinned by
/// 2^-level, and so is its baseline: nothing needs to be rescaled.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct DistinctSample {
    level: u8,
    /// The upper halves of the hashes, sorted.
    #[serde(serialize_with = "write_differences", deserialize_with = "read_differences")]
    hashes: Vec<u32>,
}

impl DistinctSample {
    /// Enters a value by its 64-bit hash; returns whether it belongs to the sample and was not in
    /// it yet.
    pub fn insert(&mut self, value_hash: u64) -> bool {
        let hash = (value_hash >> 32) as u32;
        if !self.samples(hash) {
            return false;
        }
        let Err(position) = self.hashes.binary_search(&hash) else {
            return false;
        };
        self.hashes.insert(position, hash);
        while self.hashes.len() > ENTRIES_MAX && u32::from(self.level) < LEVEL_MAX {
            self.level += 1;
            let kept = self.hashes.partition_point(|hash| self.samples(*hash));
            self.hashes.truncate(kept);
        }
        self.hashes.truncate(ENTRIES_MAX);
        true
    }

    /// Returns about how many values were entered: exact up to 256, then within 13 % (twice the standard
    /// error of a sample of 256).
    pub fn estimate(&self) -> u64 {
        (self.hashes.len() as u64) << self.level
    }

    /// Returns how many values are kept.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    fn samples(&self, hash: u32) -> bool {
        hash.leading_zeros() >= u32::from(self.level)
    }
}

/// Sorted hashes are stored as their differences, which are short where there are many.
fn write_differences<S: Serializer>(hashes: &[u32], serializer: S) -> Result<S::Ok, S::Error> {
    let mut before = 0;
    serializer.collect_seq(hashes.iter().map(|hash| hash - std::mem::replace(&mut before, *hash)))
}

fn read_differences<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u32>, D::Error> {
    let mut hashes = Vec::<u32>::deserialize(deserializer)?;
    let mut before = 0_u32;
    for hash in &mut hashes {
        before = before.wrapping_add(*hash);
        *hash = before;
    }
    Ok(hashes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(value: u64) -> u64 {
        xxhash_rust::xxh3::xxh3_64(&value.to_le_bytes())
    }

    #[test]
    fn a_value_is_first_once() {
        let mut sample = DistinctSample::default();
        for value in 0..100 {
            assert!(sample.insert(hash(value)), "{value}");
            assert!(!sample.insert(hash(value)), "{value}");
        }
    }

    #[test]
    fn a_million_values_stay_bounded_and_firsts_are_thinned_evenly() {
        let mut sample = DistinctSample::default();
        for value in 0..1_000_000 {
            sample.insert(hash(value));
        }
        assert!((100..=ENTRIES_MAX).contains(&sample.len()), "{}", sample.len());
        assert!(sample.estimate().abs_diff(1_000_000) < 130_000, "{}", sample.estimate());
        let before = sample.clone();
        let again = (0..1_000_000).filter(|value| sample.insert(hash(*value))).count();
        assert_eq!(again, 0, "what was seen is not first again");
        assert_eq!(sample, before);
        let bytes = postcard::to_allocvec(&sample).unwrap();
        assert!(bytes.len() <= 3 * ENTRIES_MAX, "{}", bytes.len());
        assert_eq!(postcard::from_bytes::<DistinctSample>(&bytes).unwrap(), sample);
    }
}
