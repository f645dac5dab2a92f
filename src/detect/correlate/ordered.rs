//! `temporal_ordered`: have the rules matched in their order within one window?

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::event::EventTime;

/// Matches that one sequence keeps.
const ENTRIES_MAX: usize = 256;

/// The matches of one group, by event time; equal times keep the order of arrival.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sequence {
    entries: VecDeque<(EventTime, u16)>,
}

impl Sequence {
    /// Enters a match of the rule at `position` and returns the ends of a run through it that is
    /// complete, where there is one: the latest start before it and the earliest end after it.
    pub(super) fn insert(
        &mut self,
        time: EventTime,
        position: u16,
        rules: u16,
        window_millis: i64,
        kept_millis: i64,
    ) -> Option<(EventTime, EventTime)> {
        let newest = self.entries.back().map_or(time, |(newest, _)| time.max(*newest));
        let oldest = newest.plus_millis(-kept_millis);
        while self.entries.front().is_some_and(|(time, _)| *time < oldest) {
            self.entries.pop_front();
        }
        if time < oldest {
            return None;
        }
        let at = self.entries.partition_point(|(other, _)| *other <= time);
        self.entries.insert(at, (time, position));
        let run = self.run_through(at, time, position, rules);
        self.bound();
        run.filter(|(start, end)| end.millis_since(*start) <= window_millis)
    }

    fn run_through(
        &self,
        at: usize,
        time: EventTime,
        position: u16,
        rules: u16,
    ) -> Option<(EventTime, EventTime)> {
        let (mut start, mut cursor) = (time, at);
        for wanted in (0..position).rev() {
            cursor = self.entries.range(..cursor).rposition(|(_, found)| *found == wanted)?;
            start = self.entries[cursor].0;
        }
        let (mut end, mut cursor) = (time, at);
        for wanted in position + 1..rules {
            cursor +=
                1 + self.entries.range(cursor + 1..).position(|(_, found)| *found == wanted)?;
            end = self.entries[cursor].0;
        }
        Some((start, end))
    }

    /// Drops the middle of three neighbours of one rule (a run needs only the first as an end and
    /// the last as a start, unless something late falls between), then the oldest.
    fn bound(&mut self) {
        if self.entries.len() <= ENTRIES_MAX {
            return;
        }
        let mut kept: VecDeque<(EventTime, u16)> = VecDeque::with_capacity(ENTRIES_MAX);
        for entry in self.entries.drain(..) {
            let same = kept.iter().rev().take(2).filter(|(_, rule)| *rule == entry.1).count();
            if same == 2 {
                kept.pop_back();
            }
            kept.push_back(entry);
        }
        while kept.len() > ENTRIES_MAX / 2 {
            kept.pop_front();
        }
        self.entries = kept;
    }
}
