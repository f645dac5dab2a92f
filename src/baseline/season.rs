//! When in the week the account is busy: 48 factors, weekdays and weekends by the hour.

use serde::{Deserialize, Serialize};

use super::parameters::{DISPERSION, stored};

/// How far local time is ahead of UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalOffset(i64);

impl LocalOffset {
    /// Takes seconds east of UTC; parts of an hour are cut off, since seasons are by the hour.
    pub fn from_seconds(seconds: i32) -> Self {
        Self(i64::from(seconds).div_euclid(3600))
    }
}

/// One of 24 hours of a weekday, or of 24 of a weekend day, in local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket(usize);

const BUCKETS: usize = 48;
/// Prior weight of a factor, in messages.
const PRIOR_WEIGHT: f64 = 10.0;
const LEAST_FACTOR: f64 = 0.01;
/// What one visit of a bucket leaves of the visits before: half-life 6 weeks, of 5 or 2 days.
const KEPT_WEEKDAY: f64 = 0.977_159_968_434_245_9;
const KEPT_WEEKEND: f64 = 0.943_874_312_681_693_5;

impl Bucket {
    /// Returns the bucket of an hour since the epoch.
    pub(super) fn of(hour: i64, offset: LocalOffset) -> Self {
        let local = hour.saturating_add(offset.0);
        // 1970-01-01 was a Thursday, and Monday is 0.
        let day_of_week = (local.div_euclid(24) + 3).rem_euclid(7);
        let hour_of_day = usize::try_from(local.rem_euclid(24)).expect("between 0 and 23");
        Self(if day_of_week >= 5 { 24 + hour_of_day } else { hour_of_day })
    }
}

/// What each bucket has seen against what the level alone would expect of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Season {
    seen: Vec<f32>,
    expected: Vec<f32>,
}

impl Season {
    pub(super) fn flat() -> Self {
        Self { seen: vec![0.0; BUCKETS], expected: vec![0.0; BUCKETS] }
    }

    /// Returns how much busier than the mean hour this one is.
    pub(super) fn factor(&self, bucket: Bucket) -> f64 {
        let seen = self.seen.get(bucket.0).copied().map_or(0.0, f64::from);
        let expected = self.expected.get(bucket.0).copied().map_or(0.0, f64::from);
        ((PRIOR_WEIGHT + seen) / (PRIOR_WEIGHT + expected)).max(LEAST_FACTOR)
    }

    /// Learns from a closed hour: `level` a day was in force, `expected` with the factor, and
    /// `learnt` is what was seen. A noisy hour weighs less.
    pub(super) fn learn(&mut self, bucket: Bucket, level: f64, expected: f64, learnt: f64) {
        let weight = 1.0 / (1.0 + DISPERSION * expected);
        let kept = if bucket.0 < 24 { KEPT_WEEKDAY } else { KEPT_WEEKEND };
        if let Some(seen) = self.seen.get_mut(bucket.0) {
            *seen = stored(f64::from(*seen) * kept + learnt * weight);
        }
        if let Some(sum) = self.expected.get_mut(bucket.0) {
            *sum = stored(f64::from(*sum) * kept + level / 24.0 * weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_local_hours_of_weekdays_and_weekends() {
        let jakarta = LocalOffset::from_seconds(25_200);
        // 2026-01-05 00:00 UTC is Monday 07:00 in Jakarta.
        let monday = 1_767_571_200 / 3600;
        for (hours_later, bucket) in [(0, 7), (16, 23), (17, 0), (17 + 4 * 24, 24), (7 * 24, 7)] {
            let found = Bucket::of(monday + hours_later, jakarta);
            assert_eq!(found, Bucket(bucket), "{hours_later} h");
        }
        assert_eq!(Bucket::of(0, LocalOffset::default()), Bucket(0));
        assert!(Bucket::of(i64::MIN, jakarta).0 < BUCKETS);
    }

    #[test]
    fn the_decays_are_six_weeks() {
        assert!((KEPT_WEEKDAY - 0.5_f64.powf(1.0 / 30.0)).abs() < 1e-15);
        assert!((KEPT_WEEKEND - 0.5_f64.powf(1.0 / 12.0)).abs() < 1e-15);
    }
}
