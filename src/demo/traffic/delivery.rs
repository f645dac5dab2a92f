//! The way from the platform to the topic: some events arrive late, some twice.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::BinaryHeap;

use super::random::Random;
use super::{MINUTE, TrafficEvent};
use crate::event::EventTime;

/// The longest delay of an event that is late, or of a repeat.
const DELAY_MINUTES_MAX: u64 = 20;

/// How badly events are delivered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delivery {
    /// Share of the events that arrive up to 20 minutes late, 0 to 1.
    pub late: f64,
    /// Share of the events that arrive again within 20 minutes, 0 to 1.
    pub duplicates: f64,
}

/// Events in the order of their arrival. What is drawn is independent of what the events say.
#[derive(Debug)]
pub struct Delivered<I> {
    events: I,
    delivery: Delivery,
    random: Random,
    /// The event at the head of the source, whose arrival may lie behind that of one that waits.
    next: Option<TrafficEvent>,
    arrivals: BinaryHeap<Reverse<(EventTime, u64)>>,
    waiting: BTreeMap<u64, TrafficEvent>,
    entered: u64,
}

impl Delivery {
    /// Delivers events that come in the order of their times.
    pub fn of<I: Iterator<Item = TrafficEvent>>(self, seed: u64, mut events: I) -> Delivered<I> {
        let next = events.next();
        Delivered {
            events,
            delivery: self,
            random: Random::of(seed, u64::MAX),
            next,
            arrivals: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            entered: 0,
        }
    }
}

impl<I> Delivered<I> {
    fn delay_millis(&mut self) -> i64 {
        let limit = DELAY_MINUTES_MAX * MINUTE.unsigned_abs();
        i64::try_from(self.random.below(limit)).expect("twenty minutes are a small number") + 1
    }

    fn wait(&mut self, event: TrafficEvent, delay_millis: i64) {
        self.entered += 1;
        self.arrivals.push(Reverse((event.time.plus_millis(delay_millis), self.entered)));
        self.waiting.insert(self.entered, event);
    }
}

impl<I: Iterator<Item = TrafficEvent>> Iterator for Delivered<I> {
    type Item = TrafficEvent;

    fn next(&mut self) -> Option<TrafficEvent> {
        loop {
            let arrives = self.arrivals.peek().map(|Reverse((time, number))| (*time, *number));
            if let Some((time, number)) = arrives
                && self.next.as_ref().is_none_or(|next| time <= next.time)
            {
                self.arrivals.pop();
                return self.waiting.remove(&number);
            }
            let event = self.next.take()?;
            self.next = self.events.next();
            if self.random.chance(self.delivery.duplicates) {
                let delay = self.delay_millis();
                self.wait(event.clone(), delay);
            }
            if !self.random.chance(self.delivery.late) {
                return Some(event);
            }
            let delay = self.delay_millis();
            self.wait(event, delay);
        }
    }
}
