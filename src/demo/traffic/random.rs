//! Seeded random numbers: `SplitMix64` (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
//! Generators", OOPSLA 2014). Small, and the same on every machine and in every version.

#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a generator of its own for one part of the whole.
    pub(super) fn of(seed: u64, part: u64) -> Self {
        let mut random = Self(seed ^ part.wrapping_mul(0xd1b5_4a32_d192_ed03));
        Self(random.next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number from 0 to below 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit exactly")]
    pub(super) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns a number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let len = u64::try_from(list.len()).expect("a length fits 64 bits");
        &list[usize::try_from(self.below(len)).expect("below a length")]
    }

    /// Returns the time to the next of events that come at random, `mean` milliseconds apart.
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates")]
    pub(super) fn gap_millis(&mut self, mean: f64) -> i64 {
        let gap = -(1.0 - self.unit()).ln() * mean;
        (gap as i64).clamp(1, 400 * super::DAY)
    }

    /// Returns a number with a long upper tail around `median` (log-normal).
    pub(super) fn long_tailed(&mut self, median: f64, spread: f64) -> f64 {
        // The sum of twelve uniform numbers is close enough to a normal one.
        let normal = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        median * (normal * spread).exp()
    }
}
