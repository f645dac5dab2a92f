//! A sliding window over the matches of one group: sorted by event time, bounded, exact while few.
//!
//! Windows are closed at both ends and slide on event time. A late match enters at its own time and
//! is judged in every window that holds it. Beyond [`ENTRIES_MAX`] entries counts and sums are
//! merged to a resolution of 1/512 of what is kept, and distinct values and percentiles become an
//! adaptive hash sample: about 4 % off, and still able to forget by time, which a sketch of
//! registers is not.

use std::collections::{HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::EventTime;
use crate::rulebook::Range;

/// Entries that one window keeps.
pub const ENTRIES_MAX: usize = 1024;
/// Values that a percentile is taken of.
const PERCENTILE_ENTRIES_MAX: usize = 256;
const RESOLUTION: i64 = 512;

/// What is computed over a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Aggregate {
    Count,
    Distinct,
    /// Distinct rules: like `Distinct`, over few tags that are never sampled.
    Rules,
    Sum,
    Average,
    Percentile(f64),
}

/// One match, or several that were merged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) time: EventTime,
    /// Hash of the value or of the event, or the position of the rule.
    pub(super) tag: u64,
    /// The number, or the sum of the merged ones.
    pub(super) number: f64,
    pub(super) matches: u32,
    /// Whether no later entry has this tag.
    is_latest: bool,
}

impl Entry {
    pub(super) fn new(time: EventTime, tag: u64, number: f64) -> Self {
        Self { time, tag, number, matches: 1, is_latest: true }
    }
}

/// How far a window looks back, and how long an entry is kept for matches that are late.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) window_millis: i64,
    pub(super) kept_millis: i64,
}

/// The bounds and the value of a window that satisfies a condition.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Satisfied {
    pub(super) from: EventTime,
    pub(super) to: EventTime,
    pub(super) value: f64,
}

/// The entries of one group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Window {
    entries: VecDeque<Entry>,
    /// Of distinct values and percentiles: only tags that begin with this many zero bits are kept.
    level: u8,
}

impl Window {
    /// Returns the latest time in the window.
    pub(super) fn newest(&self) -> Option<EventTime> {
        self.entries.back().map(|entry| entry.time)
    }

    /// Enters a match; returns false where it is too old to matter.
    pub(super) fn insert(&mut self, entry: Entry, aggregate: Aggregate, span: Span) -> bool {
        let newest = self.newest().map_or(entry.time, |newest| newest.max(entry.time));
        let oldest = newest.plus_millis(-span.kept_millis);
        while self.entries.front().is_some_and(|entry| entry.time < oldest) {
            self.entries.pop_front();
        }
        if entry.time < oldest {
            return false;
        }
        match aggregate {
            Aggregate::Count | Aggregate::Sum | Aggregate::Average => {
                self.insert_merged(entry);
                if self.entries.len() > ENTRIES_MAX {
                    self.coarsen(span.kept_millis / RESOLUTION + 1);
                }
            }
            Aggregate::Distinct => {
                if self.samples(entry.tag) {
                    self.insert_distinct(entry, span.window_millis);
                    self.thin(ENTRIES_MAX);
                }
            }
            Aggregate::Rules => {
                self.insert_distinct(entry, span.window_millis);
                if self.entries.len() > ENTRIES_MAX {
                    self.entries.pop_front();
                }
            }
            Aggregate::Percentile(_) => {
                if self.samples(entry.tag) {
                    let position = self.position_after(entry.time);
                    self.entries.insert(position, entry);
                    self.thin(PERCENTILE_ENTRIES_MAX);
                }
            }
        }
        true
    }

    /// Returns the first window that holds `time` and satisfies the condition. Where `time` is the
    /// newest there is only one such window; a late one is looked for in each that ends at an entry.
    pub(super) fn satisfied(
        &self,
        time: EventTime,
        aggregate: Aggregate,
        span: Span,
        condition: &Range,
    ) -> Option<Satisfied> {
        if self.newest().is_none_or(|newest| newest <= time) {
            let from = time.plus_millis(-span.window_millis);
            let value = self.value_of_newest(from, aggregate)?;
            return condition.holds(value).then_some(Satisfied { from, to: time, value });
        }
        self.satisfied_late(time, aggregate, span, condition)
    }

    fn value_of_newest(&self, from: EventTime, aggregate: Aggregate) -> Option<f64> {
        let start = self.entries.partition_point(|entry| entry.time < from);
        match aggregate {
            Aggregate::Distinct | Aggregate::Rules => {
                let distinct = self.entries.range(start..).filter(|entry| entry.is_latest).count();
                Some(as_number(distinct) * self.scale())
            }
            Aggregate::Count | Aggregate::Sum | Aggregate::Average | Aggregate::Percentile(_) => {
                let mut running = Running::default();
                for entry in self.entries.range(start..) {
                    running.add(entry, aggregate);
                }
                running.value(aggregate, self.scale())
            }
        }
    }

    fn satisfied_late(
        &self,
        time: EventTime,
        aggregate: Aggregate,
        span: Span,
        condition: &Range,
    ) -> Option<Satisfied> {
        let last_end = time.plus_millis(span.window_millis);
        let first = time.plus_millis(-span.window_millis);
        let (mut low, mut high) = (self.entries.partition_point(|entry| entry.time < first), 0);
        high = high.max(low);
        let mut running = Running::default();
        loop {
            // The end is a time in the window at which nothing more arrives.
            let to = match self.entries.get(high) {
                Some(entry) if entry.time < time => time,
                Some(entry) if entry.time <= last_end => entry.time,
                Some(_) | None => return None,
            };
            while let Some(entry) = self.entries.get(high).filter(|entry| entry.time <= to) {
                running.add(entry, aggregate);
                high += 1;
            }
            let from = to.plus_millis(-span.window_millis);
            while let Some(entry) = self.entries.get(low).filter(|entry| entry.time < from) {
                running.remove(entry, aggregate);
                low += 1;
            }
            if let Some(value) = running.value(aggregate, self.scale())
                && condition.holds(value)
            {
                return Some(Satisfied { from, to, value });
            }
        }
    }

    fn position_after(&self, time: EventTime) -> usize {
        self.entries.partition_point(|entry| entry.time <= time)
    }

    fn insert_merged(&mut self, entry: Entry) {
        let position = self.position_after(entry.time);
        if let Some(before) = position.checked_sub(1).and_then(|at| self.entries.get_mut(at))
            && before.time == entry.time
        {
            before.matches = before.matches.saturating_add(1);
            before.number += entry.number;
            return;
        }
        self.entries.insert(position, entry);
    }

    /// Enters a tag and drops the sighting between two others that no window tells apart: every
    /// window that holds the middle one of three within one timespan holds an outer one as well.
    fn insert_distinct(&mut self, mut entry: Entry, window_millis: i64) {
        let position = self.position_after(entry.time);
        let same = |(at, other): (usize, &Entry)| (other.tag == entry.tag).then_some(at);
        let before = self.entries.iter().enumerate().take(position).rev().find_map(same);
        let after = self.entries.iter().enumerate().skip(position).find_map(same);
        entry.is_latest = after.is_none();
        if let (Some(before), Some(after)) = (before, after) {
            let apart = self.entries[after].time.millis_since(self.entries[before].time);
            if apart <= window_millis {
                return;
            }
        }
        if after.is_none()
            && let Some(before) = before
        {
            self.entries[before].is_latest = false;
        }
        self.entries.insert(position, entry);
        if let Some(after) = after.map(|after| after + 1) {
            self.drop_if_redundant(after, window_millis);
        }
        if let Some(before) = before {
            self.drop_if_redundant(before, window_millis);
        }
    }

    fn drop_if_redundant(&mut self, middle: usize, window_millis: i64) {
        let tag = self.entries[middle].tag;
        let same = |entry: &&Entry| entry.tag == tag;
        let before = self.entries.range(..middle).rev().find(same).map(|entry| entry.time);
        let after = self.entries.range(middle + 1..).find(same).map(|entry| entry.time);
        if let (Some(before), Some(after)) = (before, after)
            && after.millis_since(before) <= window_millis
        {
            self.entries.remove(middle);
        }
    }

    fn samples(&self, tag: u64) -> bool {
        tag.leading_zeros() >= u32::from(self.level)
    }

    fn scale(&self) -> f64 {
        2_f64.powi(i32::from(self.level))
    }

    fn thin(&mut self, entries_max: usize) {
        while self.entries.len() > entries_max && self.level < 60 {
            self.level += 1;
            let level = u32::from(self.level);
            self.entries.retain(|entry| entry.tag.leading_zeros() >= level);
        }
        while self.entries.len() > entries_max {
            self.entries.pop_front();
        }
    }

    /// Merges what lies within `resolution` into its latest, so that nothing leaves too early.
    fn coarsen(&mut self, resolution_millis: i64) {
        let mut merged: VecDeque<Entry> = VecDeque::with_capacity(ENTRIES_MAX);
        for entry in self.entries.drain(..) {
            let step = entry.time.millis().div_euclid(resolution_millis);
            match merged.back_mut() {
                Some(last) if last.time.millis().div_euclid(resolution_millis) == step => {
                    last.time = entry.time;
                    last.number += entry.number;
                    last.matches = last.matches.saturating_add(entry.matches);
                }
                Some(_) | None => merged.push_back(entry),
            }
        }
        self.entries = merged;
    }
}

/// The value of a window while its ends move.
#[derive(Default)]
struct Running {
    matches: u64,
    sum: f64,
    tags: HashMap<u64, u32>,
    /// Sorted.
    numbers: Vec<f64>,
}

impl Running {
    fn add(&mut self, entry: &Entry, aggregate: Aggregate) {
        self.matches += u64::from(entry.matches);
        match aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Average => self.sum += entry.number,
            Aggregate::Distinct | Aggregate::Rules => {
                *self.tags.entry(entry.tag).or_default() += 1;
            }
            Aggregate::Percentile(_) => {
                let at = self.numbers.partition_point(|number| *number < entry.number);
                self.numbers.insert(at, entry.number);
            }
        }
    }

    fn remove(&mut self, entry: &Entry, aggregate: Aggregate) {
        self.matches -= u64::from(entry.matches);
        match aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Average => self.sum -= entry.number,
            Aggregate::Distinct | Aggregate::Rules => {
                if let Some(count) = self.tags.get_mut(&entry.tag) {
                    *count -= 1;
                    if *count == 0 {
                        self.tags.remove(&entry.tag);
                    }
                }
            }
            Aggregate::Percentile(_) => {
                let at = self.numbers.partition_point(|number| *number < entry.number);
                self.numbers.remove(at);
            }
        }
    }

    fn value(&self, aggregate: Aggregate, scale: f64) -> Option<f64> {
        if self.matches == 0 {
            return None;
        }
        Some(match aggregate {
            Aggregate::Count => count_as_number(self.matches),
            Aggregate::Sum => self.sum,
            Aggregate::Average => self.sum / count_as_number(self.matches),
            Aggregate::Distinct | Aggregate::Rules => as_number(self.tags.len()) * scale,
            Aggregate::Percentile(percentile) => nearest_rank(&self.numbers, percentile)?,
        })
    }
}

/// Returns the nearest-rank percentile of sorted numbers.
fn nearest_rank(sorted: &[f64], percentile: f64) -> Option<f64> {
    let rank = (percentile.clamp(0.0, 100.0) / 100.0 * as_number(sorted.len())).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the length")]
    let rank = rank as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

fn as_number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[expect(clippy::cast_precision_loss, reason = "exact below 2^53 matches")]
fn count_as_number(count: u64) -> f64 {
    count as f64
}
