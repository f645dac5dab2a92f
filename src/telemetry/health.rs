//! Alive and ready: what `/livez`, `/readyz` and the watchdog answer by.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What must hold before the process does its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// A rule set is compiled and in use.
    RulesCompiled,
    /// The store is open and readable.
    StateOpen,
    /// Kafka has told us our partitions, be it none.
    AssignmentReceived,
}

impl Condition {
    const ALL: [Self; 3] = [Self::RulesCompiled, Self::StateOpen, Self::AssignmentReceived];

    /// Returns the word that `/readyz` uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RulesCompiled => "rules_compiled",
            Self::StateOpen => "state_open",
            Self::AssignmentReceived => "assignment_received",
        }
    }

    fn bit(self) -> u8 {
        match self {
            Self::RulesCompiled => 1,
            Self::StateOpen => 2,
            Self::AssignmentReceived => 4,
        }
    }
}

/// Which conditions hold; a handle that is cloned to the stages that know. At first none holds.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicU8>);

impl Readiness {
    /// Notes that the condition holds from here on.
    pub fn set(&self, condition: Condition) {
        self.0.fetch_or(condition.bit(), Ordering::Relaxed);
    }

    /// Notes that the condition no longer holds.
    pub fn clear(&self, condition: Condition) {
        self.0.fetch_and(!condition.bit(), Ordering::Relaxed);
    }

    /// Returns the conditions that do not hold, in a fixed order; none means ready.
    pub fn missing(&self) -> Vec<Condition> {
        let held = self.0.load(Ordering::Relaxed);
        Condition::ALL.into_iter().filter(|condition| held & condition.bit() == 0).collect()
    }
}

/// Whether every stage still makes steps: a stage that is stuck (a dead-lock, a call that never
/// returns) is found even though the process answers.
#[derive(Debug, Clone)]
pub struct Liveness {
    stuck_after: Duration,
    stages: Arc<Mutex<Vec<Watched>>>,
}

/// A stage's sign of life.
#[derive(Debug, Clone)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// Notes one turn of the stage's loop, also one that found nothing to do. Costs an addition.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Watched {
    stage: &'static str,
    pulse: Pulse,
    /// The count at the last look, and since when it has stood there.
    seen: u64,
    since: Instant,
}

impl Liveness {
    /// Watches no stage yet; one that makes no step for `stuck_after` counts as stuck.
    pub fn new(stuck_after: Duration) -> Self {
        Self { stuck_after, stages: Arc::default() }
    }

    /// Watches one more stage from here on. The stage beats at least every `stuck_after`, and drops
    /// its pulse when it has ended in order.
    pub fn watch(&self, stage: &'static str) -> Pulse {
        let pulse = Pulse(Arc::default());
        let watched = Watched { stage, pulse: pulse.clone(), seen: 0, since: Instant::now() };
        self.stages.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
        pulse
    }

    /// Returns the stages that are stuck. A stage is stuck when two looks, at least `stuck_after`
    /// apart, found the same count.
    pub fn stuck(&self) -> Vec<&'static str> {
        let now = Instant::now();
        let mut stages = self.stages.lock().unwrap_or_else(PoisonError::into_inner);
        // A pulse that only we still hold belongs to a stage that has ended.
        stages.retain(|watched| Arc::strong_count(&watched.pulse.0) > 1);
        let mut stuck = Vec::new();
        for watched in stages.iter_mut() {
            let count = watched.pulse.0.load(Ordering::Relaxed);
            if count != watched.seen {
                watched.seen = count;
                watched.since = now;
            } else if now.duration_since(watched.since) >= self.stuck_after {
                stuck.push(watched.stage);
            }
        }
        stuck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_means_that_every_condition_holds() {
        let readiness = Readiness::default();
        assert_eq!(readiness.missing(), Condition::ALL);
        for condition in Condition::ALL {
            readiness.clone().set(condition);
        }
        assert_eq!(readiness.missing(), []);
        readiness.clear(Condition::AssignmentReceived);
        assert_eq!(readiness.missing(), [Condition::AssignmentReceived]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_without_a_beat_is_stuck_and_recovers_with_the_next_one() {
        let liveness = Liveness::new(Duration::from_secs(60));
        let ingest = liveness.watch("ingest");
        let respond = liveness.watch("respond");
        tokio::time::advance(Duration::from_secs(59)).await;
        respond.beat();
        assert_eq!(liveness.stuck(), [""; 0]);
        tokio::time::advance(Duration::from_secs(2)).await;
        assert_eq!(liveness.stuck(), ["ingest"]);
        ingest.beat();
        assert_eq!(liveness.stuck(), [""; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stage_that_has_ended_is_not_stuck() {
        let liveness = Liveness::new(Duration::from_secs(60));
        drop(liveness.watch("replay"));
        tokio::time::advance(Duration::from_secs(600)).await;
        assert_eq!(liveness.stuck(), [""; 0]);
    }
}
