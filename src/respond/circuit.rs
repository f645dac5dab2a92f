//! A circuit breaker: stops asking a receiver that does not answer, and probes it now and then. Pure.

use crate::clock::WallTime;
use crate::event::TimeSpan;

/// When a receiver counts as dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CircuitSettings {
    /// Failures in a row that open the circuit, at least 1.
    pub failures: u32,
    /// How long it stays open before one delivery may probe the receiver.
    pub open_for: TimeSpan,
}

impl Default for CircuitSettings {
    fn default() -> Self {
        Self { failures: 5, open_for: TimeSpan::from_millis(30_000) }
    }
}

/// What the circuit allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Pass,
    /// Ask again at this time.
    Blocked(WallTime),
}

/// The state of one receiver. Not kept across restarts: a start begins closed, and the retry
/// schedule, which is kept, bounds what reaches a receiver that is still dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Circuit {
    settings: CircuitSettings,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: WallTime,
    },
    /// One probe is on its way; if it is never heard of, another may go at `until`.
    Probing {
        until: WallTime,
    },
}

impl Circuit {
    pub(super) fn new(settings: CircuitSettings) -> Self {
        Self { settings, state: State::Closed { failures: 0 } }
    }

    /// Asks whether a delivery may go now. In an open circuit whose time is over, the first to ask
    /// becomes the probe.
    pub(super) fn admit(&mut self, now: WallTime) -> Admission {
        match self.state {
            State::Closed { .. } => Admission::Pass,
            State::Open { until } | State::Probing { until } if now < until => {
                Admission::Blocked(until)
            }
            State::Open { .. } | State::Probing { .. } => {
                self.state = State::Probing { until: self.later(now) };
                Admission::Pass
            }
        }
    }

    /// The receiver answered, be it with a refusal of this one delivery.
    pub(super) fn answered(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// The receiver did not answer, or said that it cannot serve anyone.
    pub(super) fn failed(&mut self, now: WallTime) {
        self.state = match self.state {
            State::Closed { failures } if failures + 1 < self.settings.failures.max(1) => {
                State::Closed { failures: failures + 1 }
            }
            State::Closed { .. } | State::Probing { .. } | State::Open { .. } => {
                State::Open { until: self.later(now) }
            }
        };
    }

    /// Returns the number for the gauge: 0 closed, 1 probing, 2 open.
    pub(super) fn gauge(&self) -> i64 {
        match self.state {
            State::Closed { .. } => 0,
            State::Probing { .. } => 1,
            State::Open { .. } => 2,
        }
    }

    fn later(&self, now: WallTime) -> WallTime {
        WallTime(now.0.saturating_add(self.settings.open_for.millis().max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circuit() -> Circuit {
        Circuit::new(CircuitSettings { failures: 3, open_for: TimeSpan::from_millis(100) })
    }

    #[test]
    fn failures_in_a_row_open_it_and_an_answer_between_does_not() {
        let mut circuit = circuit();
        circuit.failed(WallTime(0));
        circuit.failed(WallTime(1));
        circuit.answered();
        circuit.failed(WallTime(2));
        circuit.failed(WallTime(3));
        assert_eq!((circuit.admit(WallTime(4)), circuit.gauge()), (Admission::Pass, 0));
        circuit.failed(WallTime(5));
        assert_eq!(circuit.admit(WallTime(6)), Admission::Blocked(WallTime(105)));
        assert_eq!(circuit.gauge(), 2);
    }

    #[test]
    fn one_probe_goes_and_its_answer_decides() {
        let mut circuit = circuit();
        for time in 0..3 {
            circuit.failed(WallTime(time));
        }
        assert_eq!(circuit.admit(WallTime(102)), Admission::Pass, "the probe");
        assert_eq!(circuit.admit(WallTime(103)), Admission::Blocked(WallTime(202)), "only one");
        circuit.failed(WallTime(110));
        assert_eq!(circuit.admit(WallTime(150)), Admission::Blocked(WallTime(210)));
        assert_eq!(circuit.admit(WallTime(210)), Admission::Pass);
        circuit.answered();
        assert_eq!((circuit.admit(WallTime(211)), circuit.gauge()), (Admission::Pass, 0));
    }

    #[test]
    fn a_probe_that_is_never_heard_of_does_not_block_for_ever() {
        let mut circuit = circuit();
        for time in 0..3 {
            circuit.failed(WallTime(time));
        }
        assert_eq!(circuit.admit(WallTime(200)), Admission::Pass);
        assert_eq!(circuit.admit(WallTime(300)), Admission::Pass);
    }
}
