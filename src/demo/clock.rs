//! The demo's own time: it follows the history, then runs faster than the machine's.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::clock::{Clock, WallTime};
use crate::event::EventTime;

/// A clock that can be set and whose speed can be changed. Shared by the daemon's responses, the
/// mail server and the platform, so that all times that a person reads belong together.
#[derive(Debug)]
pub(super) struct DemoClock {
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// The demo's time at `since`.
    millis: i64,
    since: Instant,
    /// Demo seconds in one real second.
    speed: u32,
}

impl State {
    fn now(&self) -> i64 {
        let passed = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX);
        self.millis.saturating_add(passed.saturating_mul(i64::from(self.speed)) / 1_000)
    }
}

impl DemoClock {
    /// Starts standing still.
    pub(super) fn new(time: EventTime) -> Self {
        let state = State { millis: time.millis(), since: Instant::now(), speed: 0 };
        Self { state: Mutex::new(state) }
    }

    /// Moves a clock that stands still; never backwards.
    pub(super) fn follow(&self, time: EventTime) {
        self.change(|state| state.millis = state.millis.max(time.millis()));
    }

    /// Goes on from the present time at another speed.
    pub(super) fn set_speed(&self, speed: u32) {
        self.change(|state| {
            (state.millis, state.since) = (state.now(), Instant::now());
            state.speed = speed;
        });
    }

    pub(super) fn time(&self) -> EventTime {
        EventTime::from_millis(self.now().0)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Clock for DemoClock {
    fn now(&self) -> WallTime {
        WallTime(self.state.lock().unwrap_or_else(PoisonError::into_inner).now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_then_runs_at_its_speed_and_never_goes_back() {
        let clock = DemoClock::new(EventTime::from_millis(1_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), WallTime(1_000));
        clock.follow(EventTime::from_millis(4_000));
        clock.follow(EventTime::from_millis(3_000));
        assert_eq!(clock.now(), WallTime(4_000));
        clock.set_speed(60);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), WallTime(124_000));
        clock.set_speed(1);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(clock.now(), WallTime(126_000));
    }
}
