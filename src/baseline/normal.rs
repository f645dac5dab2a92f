//! One account's normal: its clock, its season, and one state for each measure.

use serde::{Deserialize, Serialize};

use super::distinct::DistinctSample;
use super::novelty::Memory;
use super::parameters::{
    DAY_SECONDS, LEVEL_KEPT_PER_HOUR, MeasureParameters, SCALE_SECONDS, TAIL_KEPT_PER_HOUR,
    as_number, hour_of, start_of,
};
use super::rate::{ClockStep, Exposure, NotCounted, Rate, Verdict, level_of};
use super::season::{Bucket, LocalOffset, Season};
use super::usual::UsualSize;
use crate::event::EventTime;

/// Names the state of one measure: the rule's state key, and which group of it where it groups
/// by more than the account (else 0).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct MeasureKey {
    pub rule: u64,
    pub group: u64,
}

/// Measures that are kept for one account.
pub const MEASURES_PER_ACCOUNT: usize = 64;

/// Longest gap that is closed hour by hour: three years, after which not even the season of before
/// shows in the digits that are kept. Whole weeks beyond it are passed over.
const GAP_HOURS_MAX: i64 = 3 * 52 * HOURS_PER_WEEK;
const HOURS_PER_WEEK: i64 = 168;

/// Everything that is known of how one account behaves.
///
/// For each event, in this order: [`Normal::advance`]; [`Memory::observe`]; the rules;
/// [`Normal::count_message`] where a message was sent; [`Normal::count`] for each baseline rule
/// that the event matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    first: EventTime,
    clock: EventTime,
    /// Decayed exposure, in days and in hours, without season.
    days: f64,
    windows: [f64; 2],
    hours: f64,
    /// Only saves work: what is read back starts without.
    #[serde(skip)]
    step: ClockStep,
    /// Absent until the first message.
    volume: Option<Box<Volume>>,
    /// Sorted by key, like the two lists behind it.
    measures: Vec<(MeasureKey, Rate)>,
    samples: Vec<(MeasureKey, DistinctSample)>,
    usual_sizes: Vec<(MeasureKey, UsualSize)>,
    memory: Memory,
}

/// The built-in measure, messages sent, and the season that it teaches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Volume {
    rate: Rate,
    season: Season,
    /// Decayed exposure, in days, weighted by the season.
    days: f64,
    windows: [f64; 2],
    /// Factor of the open hour.
    factor: f64,
}

impl Normal {
    /// Starts to observe an account.
    pub fn new(first: EventTime) -> Self {
        Self {
            first,
            clock: first,
            days: 0.0,
            windows: [0.0; 2],
            hours: 0.0,
            step: ClockStep::default(),
            volume: None,
            measures: Vec::new(),
            samples: Vec::new(),
            usual_sizes: Vec::new(),
            memory: Memory::default(),
        }
    }

    /// Returns when the account was first seen.
    pub fn first_seen(&self) -> EventTime {
        self.first
    }

    /// Returns the largest event time seen.
    pub fn clock(&self) -> EventTime {
        self.clock
    }

    /// Returns what sources, domains and templates the account has shown.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    pub fn memory_mut(&mut self) -> &mut Memory {
        &mut self.memory
    }

    /// Moves the account's clock to the time of an event; a late event leaves it.
    ///
    /// `messages_per_day` is what an account of this plan sends before it is known.
    pub fn advance(&mut self, now: EventTime, offset: LocalOffset, messages_per_day: f64) {
        if now <= self.clock {
            return;
        }
        let elapsed = hour_of(now) - hour_of(self.clock);
        let step = ClockStep::new(self.clock, now);
        self.step = step;
        if let Some(volume) = &mut self.volume {
            volume.advance(&step, offset, messages_per_day);
        }
        extend_windows(&mut self.windows, step.kept, 1.0);
        if elapsed > 0 {
            let hours = as_number(elapsed);
            let level_kept = LEVEL_KEPT_PER_HOUR.powf(hours);
            let tail_kept = TAIL_KEPT_PER_HOUR.powf(hours);
            self.days =
                self.days * level_kept + (1.0 - level_kept) / (1.0 - LEVEL_KEPT_PER_HOUR) / 24.0;
            self.hours = self.hours * tail_kept + (1.0 - tail_kept) / (1.0 - TAIL_KEPT_PER_HOUR);
        }
        self.clock = now;
    }

    /// Counts a message for the season.
    pub fn count_message(&mut self, time: EventTime, offset: LocalOffset, messages_per_day: f64) {
        let parameters = MeasureParameters {
            one_hour: true,
            one_day: false,
            season: true,
            min_excess: 3.0,
            threshold: f64::INFINITY,
            prior_per_day: messages_per_day,
            introduced: None,
        };
        self.count_messages(time, offset, &parameters, 1.0);
    }

    pub(super) fn count_messages(
        &mut self,
        time: EventTime,
        offset: LocalOffset,
        parameters: &MeasureParameters,
        messages: f64,
    ) {
        let (first, now, step, hours) = (self.first, self.clock, self.step, self.hours);
        let prior = parameters.prior_per_day;
        let volume = self.volume.get_or_insert_with(|| {
            // What the silence since the account was first seen has taught.
            let mut volume = Box::new(Volume::new(first, prior));
            volume.advance(&ClockStep::new(first, now), offset, prior);
            volume
        });
        let exposure = volume.exposure(now, step, hours);
        // A message that is too late teaches nothing; the rules' own measures report it.
        let _ = volume.rate.count(parameters, &exposure, time, messages);
    }

    /// Counts a match of a baseline rule and says how unusual the measure has become.
    ///
    /// [`Normal::advance`] was called with the event's time before.
    pub fn count(
        &mut self,
        key: MeasureKey,
        parameters: &MeasureParameters,
        time: EventTime,
        weight: f64,
    ) -> Result<Verdict, NotCounted> {
        let exposure = self.exposure(parameters.season);
        let position = match self.measures.binary_search_by_key(&key, |(key, _)| *key) {
            Ok(position) => position,
            Err(_) if self.measures.len() >= MEASURES_PER_ACCOUNT => {
                return Err(NotCounted::TooManyMeasures);
            }
            Err(position) => {
                let (prior, introduced) = (parameters.prior_per_day, parameters.introduced);
                let rate = Rate::new(self.first, &exposure, prior, introduced);
                self.measures.insert(position, (key, rate));
                position
            }
        };
        self.measures[position].1.count(parameters, &exposure, time, weight)
    }

    /// Returns whether a measure of distinct values counts this one: it was not seen before, and
    /// is part of the measure's sample.
    pub fn is_first_of_its_kind(&mut self, key: MeasureKey, value_hash: u64) -> bool {
        entry(&mut self.samples, key, DistinctSample::default)
            .is_some_and(|sample| sample.insert(value_hash))
    }

    /// Returns a size in units of the measure's own usual size, and learns it.
    ///
    /// `prior_size` is the usual size of an account of this plan.
    pub fn in_usual_sizes(&mut self, key: MeasureKey, size: f64, prior_size: f64) -> f64 {
        let now = self.clock;
        entry(&mut self.usual_sizes, key, || UsualSize::new(prior_size, now))
            .map_or(0.0, |usual| usual.relate(size, now))
    }

    /// Drops the measures of rules for which `keep` is false.
    pub fn retain_rules(&mut self, mut keep: impl FnMut(u64) -> bool) {
        self.measures.retain(|(key, _)| keep(key.rule));
        self.samples.retain(|(key, _)| keep(key.rule));
        self.usual_sizes.retain(|(key, _)| keep(key.rule));
    }

    fn exposure(&self, season: bool) -> Exposure {
        match &self.volume {
            Some(volume) if season => volume.exposure(self.clock, self.step, self.hours),
            Some(_) | None => Exposure {
                now: self.clock,
                step: self.step,
                factor: 1.0,
                days: self.days,
                windows: self.windows,
                hours: self.hours,
            },
        }
    }
}

impl Volume {
    fn new(first: EventTime, prior: f64) -> Self {
        let exposure = Exposure {
            now: first,
            step: ClockStep::default(),
            factor: 1.0,
            days: 0.0,
            windows: [0.0; 2],
            hours: 0.0,
        };
        let rate = Rate::new(first, &exposure, prior, None);
        Self { rate, season: Season::flat(), days: 0.0, windows: [0.0; 2], factor: 1.0 }
    }

    fn exposure(&self, now: EventTime, step: ClockStep, hours: f64) -> Exposure {
        Exposure { now, step, factor: self.factor, days: self.days, windows: self.windows, hours }
    }

    fn advance(&mut self, step: &ClockStep, offset: LocalOffset, prior: f64) {
        let (clock, now) = (step.from, step.to);
        let (open, target) = (hour_of(clock), hour_of(now));
        if open == target {
            extend_windows(&mut self.windows, step.kept, self.factor);
            return;
        }
        self.close_open_hour(clock, open, offset, prior);
        let mut hour = open + 1;
        if target - hour > GAP_HOURS_MAX {
            let passed = (target - hour - GAP_HOURS_MAX) / HOURS_PER_WEEK * HOURS_PER_WEEK;
            hour += passed;
            self.windows = [0.0; 2];
        }
        self.close_empty_hours(hour, target, offset, prior);
        // The loop above needs no more of the rate than its sum; here all of it catches up.
        self.rate.close_empty_hours(open + 1, target - open - 1);
        self.rate.refresh_level(self.days, prior);
        self.rate.decay_windows(now, step);
        self.factor = self.season.factor(Bucket::of(target, offset));
        let rest = ClockStep::new(start_of(target), now);
        extend_windows(&mut self.windows, rest.kept, self.factor);
    }

    fn close_open_hour(&mut self, clock: EventTime, hour: i64, offset: LocalOffset, prior: f64) {
        let end = start_of(hour + 1);
        extend_windows(&mut self.windows, ClockStep::new(clock, end).kept, self.factor);
        self.rate.refresh_level(self.days, prior);
        let level = self.rate.level();
        let expected = self.rate.expected_in_hour(self.factor);
        let learnt = self.rate.close_open_hour(start_of(hour), self.factor);
        self.season.learn(Bucket::of(hour, offset), level, expected, learnt);
        self.days = self.days * LEVEL_KEPT_PER_HOUR + self.factor / 24.0;
    }

    fn close_empty_hours(&mut self, first: i64, target: i64, offset: LocalOffset, prior: f64) {
        let kept = SCALE_SECONDS.map(|seconds| (-3600.0 / seconds).exp());
        let mut sum = self.rate.sum();
        for hour in first..target {
            let bucket = Bucket::of(hour, offset);
            let factor = self.season.factor(bucket);
            extend_windows(&mut self.windows, kept, factor);
            let level = level_of(sum, self.days, prior);
            self.season.learn(bucket, level, level * factor / 24.0, 0.0);
            self.days = self.days * LEVEL_KEPT_PER_HOUR + factor / 24.0;
            sum *= LEVEL_KEPT_PER_HOUR;
        }
    }
}

/// Adds time, of which `kept` is left of what was before, to the decayed exposure of both windows.
fn extend_windows(windows: &mut [f64; 2], kept: [f64; 2], factor: f64) {
    for ((window, kept), scale_seconds) in windows.iter_mut().zip(kept).zip(SCALE_SECONDS) {
        *window = *window * kept + factor * scale_seconds / DAY_SECONDS * (1.0 - kept);
    }
}

/// Returns the value of a key in a sorted list, adding it while there is room.
fn entry<T>(
    list: &mut Vec<(MeasureKey, T)>,
    key: MeasureKey,
    start: impl FnOnce() -> T,
) -> Option<&mut T> {
    let position = match list.binary_search_by_key(&key, |(key, _)| *key) {
        Ok(position) => position,
        Err(_) if list.len() >= MEASURES_PER_ACCOUNT => return None,
        Err(position) => {
            list.insert(position, (key, start()));
            position
        }
    };
    Some(&mut list[position].1)
}
