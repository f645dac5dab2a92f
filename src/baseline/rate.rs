//! The level and the decayed windows of one measure.
//!
//! A measure catches up with the account's clock only when something counts for it: hours in which
//! nothing did are closed in closed form, so a silent measure costs nothing, however long.

use serde::{Deserialize, Serialize};

use super::parameters::{
    DAY_MILLIS, DISPERSION, EXPECTATION_FLOOR, FROZEN_KEPT_PER_HOUR, GUARD_BUDGET_HOURS,
    GUARD_SCORE, HOUR_CAP, LATE_LIMIT_MILLIS, LEVEL_KEPT_PER_HOUR, LEVEL_PRIOR_WEIGHT,
    MeasureParameters, RATIO_PSEUDO_COUNT, SCALE_SECONDS, TAIL_KEPT_PER_HOUR, as_number, hour_of,
    seconds_between, start_of, stored,
};
use super::tail::Tail;
use crate::event::EventTime;

/// The last move of the account's clock and what it leaves of both windows, computed once for all
/// measures that take part in the same move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ClockStep {
    pub(super) from: EventTime,
    pub(super) to: EventTime,
    pub(super) kept: [f64; 2],
}

impl Default for ClockStep {
    fn default() -> Self {
        Self::new(EventTime::default(), EventTime::default())
    }
}

impl ClockStep {
    pub(super) fn new(from: EventTime, to: EventTime) -> Self {
        let seconds = seconds_between(from, to);
        let kept = SCALE_SECONDS.map(|scale_seconds| (-seconds / scale_seconds).exp());
        Self { from, to, kept }
    }
}

/// What a measure reads of the account at the time it is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Exposure {
    pub(super) now: EventTime,
    pub(super) step: ClockStep,
    /// The season factor of the open hour; 1 without season.
    pub(super) factor: f64,
    /// Decayed days observed, in units of the mean hour's expectation.
    pub(super) days: f64,
    /// The same of each window.
    pub(super) windows: [f64; 2],
    /// Decayed number of hours observed.
    pub(super) hours: f64,
}

/// One scale of a [`Verdict`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleVerdict {
    /// The decayed count.
    pub count: f64,
    /// What was to be expected of it.
    pub expected: f64,
    /// One-sided negative-binomial deviance, in nats.
    pub deviance: f64,
    /// The deviance cut by the account's own tail, in nats.
    pub score: f64,
}

/// How unusual a measure is after the match at hand was counted.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Verdict {
    /// Where the rule scores the 1 h window.
    pub one_hour: Option<ScaleVerdict>,
    /// Where the rule scores the 24 h window.
    pub one_day: Option<ScaleVerdict>,
    /// The larger score of the scales in use, in nats.
    pub score: f64,
    /// The level: expected a day at season factor 1.
    pub level_per_day: f64,
    /// Whether the threshold is passed, for the first time in 24 hours.
    pub fired: bool,
}

/// Why a match was not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotCounted {
    /// It is more than 24 hours older than the account's clock.
    TooLate,
    /// Its weight is zero, negative or not a number.
    NoWeight,
    /// The account has as many measures as are kept for one.
    TooManyMeasures,
}

/// The state of one measure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Rate {
    as_of: EventTime,
    counts: [f64; 2],
    tails: [Tail; 2],
    /// Numerator of the level.
    sum: f64,
    /// The level, a day; computed when the first match of an hour arrives.
    level: f64,
    level_is_stale: bool,
    hour_sum: f32,
    /// Season factor of the hour in which this was last counted.
    factor: f64,
    frozen_until: EventTime,
    frozen_hours: f32,
    quiet_until: EventTime,
    /// Exposure of the account from before the rule existed.
    missed_days: f32,
    missed_hours: f32,
}

impl Rate {
    /// Starts a measure of an account that was first seen at `first`.
    pub(super) fn new(
        first: EventTime,
        exposure: &Exposure,
        prior_per_day: f64,
        introduced: Option<EventTime>,
    ) -> Self {
        let hours_before = introduced.map_or(0.0, |since| seconds_between(first, since) / 3600.0);
        let age_hours =
            introduced.map_or(0.0, |since| seconds_between(since, exposure.now) / 3600.0);
        let missed =
            |kept: f64| kept.powf(age_hours) * (1.0 - kept.powf(hours_before)) / (1.0 - kept);
        Self {
            as_of: exposure.now,
            counts: [0.0; 2],
            tails: [Tail::default(); 2],
            sum: 0.0,
            level: prior_per_day,
            level_is_stale: true,
            hour_sum: 0.0,
            factor: exposure.factor,
            frozen_until: EventTime::from_millis(0),
            frozen_hours: 0.0,
            quiet_until: EventTime::from_millis(0),
            missed_days: stored(missed(LEVEL_KEPT_PER_HOUR) / 24.0),
            missed_hours: stored(missed(TAIL_KEPT_PER_HOUR)),
        }
    }

    pub(super) fn level(&self) -> f64 {
        self.level
    }

    pub(super) fn sum(&self) -> f64 {
        self.sum
    }

    /// Counts a match and says how unusual the measure has become.
    pub(super) fn count(
        &mut self,
        parameters: &MeasureParameters,
        exposure: &Exposure,
        time: EventTime,
        weight: f64,
    ) -> Result<Verdict, NotCounted> {
        if !(weight.is_finite() && weight > 0.0) {
            return Err(NotCounted::NoWeight);
        }
        let late_millis = exposure.now.millis_since(time).max(0);
        if late_millis > LATE_LIMIT_MILLIS {
            return Err(NotCounted::TooLate);
        }
        self.catch_up(exposure);
        self.refresh_level(exposure.days, parameters.prior_per_day);
        self.factor = exposure.factor;
        let hours_late = hour_of(exposure.now) - hour_of(time);
        if hours_late <= 0 {
            self.hour_sum += stored(weight);
        } else {
            let kept = LEVEL_KEPT_PER_HOUR.powf(as_number(hours_late));
            self.sum += weight * kept;
        }
        let late_seconds = as_number(late_millis) / 1000.0;
        let mut scales = [None; 2];
        for (scale, used) in [parameters.one_hour, parameters.one_day].into_iter().enumerate() {
            let kept =
                if late_millis == 0 { 1.0 } else { (-late_seconds / SCALE_SECONDS[scale]).exp() };
            self.counts[scale] += weight * kept;
            if used {
                scales[scale] = Some(self.score(scale, parameters.min_excess, exposure));
            }
        }
        Ok(self.decide(parameters.threshold, exposure.now, scales))
    }

    fn decide(
        &mut self,
        threshold: f64,
        now: EventTime,
        [one_hour, one_day]: [Option<ScaleVerdict>; 2],
    ) -> Verdict {
        let score_of = |scale: Option<ScaleVerdict>| scale.map_or(0.0, |scale| scale.score);
        let score = score_of(one_hour).max(score_of(one_day));
        if score >= GUARD_SCORE {
            self.frozen_until = now.plus_millis(DAY_MILLIS);
        }
        let fired = score >= threshold && now >= self.quiet_until;
        if fired {
            self.quiet_until = now.plus_millis(DAY_MILLIS);
        }
        let level_per_day = self.level();
        Verdict { one_hour, one_day, score, level_per_day, fired }
    }

    fn score(&mut self, scale: usize, min_excess: f64, exposure: &Exposure) -> ScaleVerdict {
        let count = self.counts[scale];
        let expected = self.level() * exposure.windows[scale] + EXPECTATION_FLOOR[scale];
        let ratio = (count + RATIO_PSEUDO_COUNT) / (expected + RATIO_PSEUDO_COUNT);
        self.tails[scale].note(ratio);
        if count - expected < min_excess {
            return ScaleVerdict { count, expected, deviance: 0.0, score: 0.0 };
        }
        // The dispersion, and what is not known of the level.
        let shape = 1.0 / (DISPERSION + 1.0 / (LEVEL_PRIOR_WEIGHT + self.sum()));
        let deviance = count * (count / expected).ln()
            - (count + shape) * ((count + shape) / (expected + shape)).ln();
        let deviance = deviance.max(0.0);
        let hours = (exposure.hours - f64::from(self.missed_hours)).max(0.0);
        let surprise = self.tails[scale].surprise(scale, ratio.ln(), hours);
        ScaleVerdict { count, expected, deviance, score: deviance.min(surprise) }
    }

    /// Brings the windows to the account's clock and closes the hours since the last match.
    fn catch_up(&mut self, exposure: &Exposure) {
        let open = hour_of(self.as_of);
        let elapsed = hour_of(exposure.now) - open;
        self.decay_windows(exposure.now, &exposure.step);
        if elapsed > 0 {
            self.close_open_hour(start_of(open), self.factor);
            self.close_empty_hours(open + 1, elapsed - 1);
        }
    }

    /// Brings the windows to the account's clock, and nothing else.
    pub(super) fn decay_windows(&mut self, now: EventTime, step: &ClockStep) {
        if now <= self.as_of {
            return;
        }
        let is_same_step = step.from == self.as_of && step.to == now;
        let kept = if is_same_step { step.kept } else { ClockStep::new(self.as_of, now).kept };
        for (count, kept) in self.counts.iter_mut().zip(kept) {
            *count *= kept;
        }
        self.as_of = now;
    }

    /// Returns what is expected of an hour with this season factor.
    pub(super) fn expected_in_hour(&self, factor: f64) -> f64 {
        self.level() * factor / 24.0
    }

    /// Closes the hour that the measure was last counted in, and returns what it taught.
    pub(super) fn close_open_hour(&mut self, start: EventTime, factor: f64) -> f64 {
        let expected = self.expected_in_hour(factor);
        let deviation = (expected + DISPERSION * expected * expected).sqrt();
        let mut cap = HOUR_CAP * expected + HOUR_CAP * deviation + HOUR_CAP;
        if self.is_frozen(start) {
            cap = expected;
        }
        self.pass_frozen_hour(start);
        let learnt = f64::from(self.hour_sum).min(cap);
        self.hour_sum = 0.0;
        self.sum = self.sum * LEVEL_KEPT_PER_HOUR + learnt;
        for (scale, tail) in self.tails.iter_mut().enumerate() {
            tail.close_hour(scale, TAIL_KEPT_PER_HOUR);
        }
        self.miss(LEVEL_KEPT_PER_HOUR, TAIL_KEPT_PER_HOUR);
        self.level_is_stale = true;
        learnt
    }

    /// Closes `hours` hours in which nothing was counted, from the hour `first` on.
    pub(super) fn close_empty_hours(&mut self, first: i64, hours: i64) {
        if hours <= 0 {
            return;
        }
        // At most 24 hours after the last match can still be frozen.
        let mut passed = 0;
        while passed < hours && self.is_frozen(start_of(first + passed)) {
            self.pass_frozen_hour(start_of(first + passed));
            passed += 1;
        }
        let rest = FROZEN_KEPT_PER_HOUR.powf(as_number(hours - passed));
        self.frozen_hours = stored(f64::from(self.frozen_hours) * rest);
        let level_kept = LEVEL_KEPT_PER_HOUR.powf(as_number(hours));
        let tail_kept = TAIL_KEPT_PER_HOUR.powf(as_number(hours));
        self.sum *= level_kept;
        for tail in &mut self.tails {
            tail.decay(tail_kept);
        }
        self.miss(level_kept, tail_kept);
        self.level_is_stale = true;
    }

    /// Computes the level anew from the decayed days observed.
    pub(super) fn refresh_level(&mut self, days: f64, prior_per_day: f64) {
        if !self.level_is_stale {
            return;
        }
        let days = (days - f64::from(self.missed_days)).max(0.0);
        self.level = level_of(self.sum, days, prior_per_day);
        self.level_is_stale = false;
    }

    fn is_frozen(&self, hour_start: EventTime) -> bool {
        hour_start < self.frozen_until && f64::from(self.frozen_hours) < GUARD_BUDGET_HOURS
    }

    fn pass_frozen_hour(&mut self, hour_start: EventTime) {
        let used = if self.is_frozen(hour_start) { 1.0 } else { 0.0 };
        self.frozen_hours = stored((f64::from(self.frozen_hours) + used) * FROZEN_KEPT_PER_HOUR);
    }

    fn miss(&mut self, level_kept: f64, tail_kept: f64) {
        self.missed_days = stored(f64::from(self.missed_days) * level_kept);
        self.missed_hours = stored(f64::from(self.missed_hours) * tail_kept);
    }
}

/// Returns the level, a day at season factor 1, from what was seen over the days observed.
pub(super) fn level_of(sum: f64, days: f64, prior_per_day: f64) -> f64 {
    (LEVEL_PRIOR_WEIGHT + sum) / (LEVEL_PRIOR_WEIGHT / prior_per_day + days)
}
