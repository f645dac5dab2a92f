//! The usual size of what an account does, for sums: a broadcast counts in units of its own.

use serde::{Deserialize, Serialize};

use super::parameters::{as_number, hour_of, stored};
use crate::event::EventTime;

/// What an hour leaves: half-life 42 days.
const KEPT_PER_HOUR: f64 = 0.99931;
const PRIOR_NUMBER: f64 = 2.0;
const LEAST_NUMBER: f64 = 0.5;
/// One size teaches at most this many usual sizes.
const TEACHES_MAX: f64 = 5.0;
const LEAST_SIZE: f64 = 1.0;

/// A decayed mean of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct UsualSize {
    hour: i64,
    number: f32,
    sum: f32,
}

impl UsualSize {
    pub(super) fn new(prior_size: f64, now: EventTime) -> Self {
        let prior_size =
            if prior_size.is_finite() { prior_size.max(LEAST_SIZE) } else { LEAST_SIZE };
        Self {
            hour: hour_of(now),
            number: stored(PRIOR_NUMBER),
            sum: stored(PRIOR_NUMBER * prior_size),
        }
    }

    /// Returns `size` in units of the usual size before it, and learns it.
    pub(super) fn relate(&mut self, size: f64, now: EventTime) -> f64 {
        if !(size.is_finite() && size > 0.0) {
            return 0.0;
        }
        let number = f64::from(self.number);
        let usual = f64::from(self.sum) / number;
        let elapsed = hour_of(now) - self.hour;
        let kept = if elapsed > 0 { KEPT_PER_HOUR.powf(as_number(elapsed)) } else { 1.0 };
        let number = (number * kept).max(LEAST_NUMBER);
        self.hour = self.hour.max(hour_of(now));
        self.sum = stored(number * usual + size.min(TEACHES_MAX * usual));
        self.number = stored(number + 1.0);
        size / usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(day: i64) -> EventTime {
        EventTime::from_millis(day * 86_400_000)
    }

    #[test]
    fn sizes_are_told_in_units_of_the_usual_one() {
        let mut usual = UsualSize::new(100.0, day(0));
        assert!((usual.relate(200.0, day(0)) - 2.0).abs() < 1e-6);
        // (2 x 100 + 200) / 3
        assert!((usual.relate(400.0, day(0)) - 3.0).abs() < 1e-5);
    }

    #[test]
    fn one_huge_size_teaches_five_usual_ones() {
        let mut usual = UsualSize::new(10.0, day(0));
        assert!((usual.relate(1e9, day(0)) - 1e8).abs() < 1.0);
        assert!((usual.relate(70.0 / 3.0, day(0)) - 1.0).abs() < 1e-5, "(20 + 50) / 3");
    }

    #[test]
    fn silence_forgets_the_number_and_keeps_the_size() {
        let mut usual = UsualSize::new(10.0, day(0));
        usual.relate(10.0, day(0));
        assert!((usual.relate(20.0, day(10_000)) - 2.0).abs() < 1e-5);
        assert!((usual.relate(25.0, day(10_000)) - 25.0 / (50.0 / 3.0)).abs() < 1e-5);
    }

    #[test]
    fn hostile_sizes_weigh_nothing() {
        let mut usual = UsualSize::new(f64::NAN, day(0));
        for size in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
            assert!(usual.relate(size, day(0)).abs() < f64::EPSILON, "{size}");
        }
    }
}
