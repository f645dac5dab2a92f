//! How far a measured figure may be from the true one: intervals of 95 %.

use serde::Serialize;

/// Two-sided 95 % of the normal distribution.
const Z: f64 = 1.959_964;

/// The lower and the upper bound of a figure.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    /// Returns that of a share, `part` of `whole` (Wilson 1927); from 0 to 1 where nothing was seen.
    pub(super) fn of_share(part: f64, whole: f64) -> Self {
        if whole <= 0.0 {
            return Self { low: 0.0, high: 1.0 };
        }
        let share = part / whole;
        let scale = 1.0 + Z * Z / whole;
        let center = (share + Z * Z / (2.0 * whole)) / scale;
        let variance = share * (1.0 - share) / whole + Z * Z / (4.0 * whole * whole);
        let half = Z * variance.sqrt() / scale;
        Self { low: (center - half).max(0.0), high: (center + half).min(1.0) }
    }

    /// Returns that of a count of rare independent things (Byar's approximation of the Poisson
    /// limits), each `unit` in the figure.
    pub(super) fn of_count(count: f64, unit: f64) -> Self {
        let bound = |count: f64, z: f64| {
            let root = 1.0 - 1.0 / (9.0 * count) + z / (3.0 * count.sqrt());
            (count * root.powi(3)).max(0.0)
        };
        let low = if count > 0.0 { bound(count, -Z) } else { 0.0 };
        Self { low: low * unit, high: bound(count + 1.0, Z) * unit }
    }
}

#[cfg(test)]
mod tests {
    use super::Interval;

    fn assert_near(found: Interval, low: f64, high: f64) {
        let is_near = |a: f64, b: f64| (a - b).abs() < 0.02 * b.max(0.05);
        assert!(is_near(found.low, low) && is_near(found.high, high), "{found:?}");
    }

    #[test]
    fn shares_and_rare_counts_have_the_intervals_of_the_tables() {
        assert_near(Interval::of_share(8.0, 10.0), 0.490, 0.943);
        assert_near(Interval::of_share(0.0, 10.0), 0.0, 0.278);
        assert_near(Interval::of_share(0.0, 0.0), 0.0, 1.0);
        // The exact limits of a Poisson count.
        assert_near(Interval::of_count(0.0, 1.0), 0.0, 3.69);
        assert_near(Interval::of_count(10.0, 1.0), 4.80, 18.39);
        assert_near(Interval::of_count(10.0, 0.1), 0.480, 1.839);
    }
}
