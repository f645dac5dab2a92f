//! The constants of the rate engine, and what a rule adds to them.

use crate::event::EventTime;

pub(super) const HOUR_MILLIS: i64 = 3_600_000;
pub(super) const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;
/// Time constants of the two decayed windows, in seconds.
pub(super) const SCALE_SECONDS: [f64; 2] = [3_600.0, 86_400.0];
pub(super) const DAY_SECONDS: f64 = 86_400.0;
/// What an hour leaves of the level: half-life 14 days.
pub(super) const LEVEL_KEPT_PER_HOUR: f64 = 0.997_939_188_356_834_4;
/// What an hour leaves of the tail: half-life 28 days.
pub(super) const TAIL_KEPT_PER_HOUR: f64 = 0.998_969_062_762_623_5;
/// What an hour leaves of the hours that the learning guard has used: half-life 13.7 days.
pub(super) const FROZEN_KEPT_PER_HOUR: f64 = 0.9979;
/// Prior weight of the level, in events.
pub(super) const LEVEL_PRIOR_WEIGHT: f64 = 2.0;
/// Dispersion: the variance of a count with mean `mu` is `mu + DISPERSION mu^2`.
pub(super) const DISPERSION: f64 = 0.5;
/// Added to the expectation of each scale: 0.02 sqrt(scale / 1 h).
pub(super) const EXPECTATION_FLOOR: [f64; 2] = [0.02, 0.097_979_589_711_327_11];
/// Pseudo-count of the log ratio.
pub(super) const RATIO_PSEUDO_COUNT: f64 = 2.0;
/// What one hour may teach at most: `10 mu + 10 sd + 10`.
pub(super) const HOUR_CAP: f64 = 10.0;
/// The score from which what is seen is no longer learnt, in nats.
pub(super) const GUARD_SCORE: f64 = 7.0;
/// How many hours the guard may hold back the level; then growth is believed.
pub(super) const GUARD_BUDGET_HOURS: f64 = 48.0;
/// How late a match may be and still count.
pub(super) const LATE_LIMIT_MILLIS: i64 = DAY_MILLIS;

/// The parameters of one measure: what a `baseline` rule says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeasureParameters {
    /// Whether the 1 h window is scored.
    pub one_hour: bool,
    /// Whether the 24 h window is scored.
    pub one_day: bool,
    /// Whether the expectation follows the account's season.
    pub season: bool,
    /// Least excess of the count over its expectation before there is a score.
    pub min_excess: f64,
    /// The score, in nats, from which the measure fires.
    pub threshold: f64,
    /// Expected weight a day of an account that has shown nothing yet, above 0.
    pub prior_per_day: f64,
    /// When the rule was first loaded, where that was after the account was first seen: the time
    /// before is then not taken for silence. Nothing means "as long as the account is known".
    pub introduced: Option<EventTime>,
}

/// Rounds to the precision that is kept. Only what changes once an hour, or is a plain sum, is
/// kept so: a sum of many tiny decays would stand still.
#[expect(clippy::cast_possible_truncation, reason = "the rounding is the purpose")]
pub(super) fn stored(value: f64) -> f32 {
    value as f32
}

/// Returns a number of hours for arithmetic.
#[expect(clippy::cast_precision_loss, reason = "exact for the next 10^12 years")]
pub(super) fn as_number(hours: i64) -> f64 {
    hours as f64
}

/// Returns the index of the hour, since the epoch, that a time lies in.
pub(super) fn hour_of(time: EventTime) -> i64 {
    time.millis().div_euclid(HOUR_MILLIS)
}

/// Returns when an hour begins.
pub(super) fn start_of(hour: i64) -> EventTime {
    EventTime::from_millis(hour.saturating_mul(HOUR_MILLIS))
}

/// Returns the seconds between two times, 0 where `later` is not later.
pub(super) fn seconds_between(earlier: EventTime, later: EventTime) -> f64 {
    as_number(later.millis_since(earlier).max(0)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decays_are_those_of_the_half_lives() {
        assert!((LEVEL_KEPT_PER_HOUR - 0.5_f64.powf(1.0 / (24.0 * 14.0))).abs() < 1e-15);
        assert!((TAIL_KEPT_PER_HOUR - 0.5_f64.powf(1.0 / (24.0 * 28.0))).abs() < 1e-15);
        assert!((EXPECTATION_FLOOR[1] - 0.02 * 24.0_f64.sqrt()).abs() < 1e-15);
    }
}
