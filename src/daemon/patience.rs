//! A disk that refuses (a full one, for example) is waited for: nothing is lost, Kafka waits, and
//! `/readyz` and a metric say so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::engine::AccountSource;
use crate::event::AccountId;
use crate::store::{ShardStore, StoreError};
use crate::telemetry::{Condition, Pulse, Readiness};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// The stop token is looked at this often while waiting.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Waits for the disk; clones share the count of those that wait.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    readiness: Readiness,
    stop: CancellationToken,
    metrics: Metrics,
    waiting: Arc<AtomicUsize>,
}

impl Patience {
    pub(super) fn new(readiness: Readiness, stop: CancellationToken, metrics: Metrics) -> Self {
        Self { readiness, stop, metrics, waiting: Arc::default() }
    }

    /// Repeats a call of the store until the disk takes it.
    ///
    /// # Errors
    /// What cannot succeed later; and the refusal itself when satpam is told to stop meanwhile.
    pub(super) fn wait<T>(
        &self,
        pulse: &Pulse,
        mut call: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut pause = FIRST_PAUSE;
        let mut waiting: Option<Waiting<'_>> = None;
        loop {
            let error = match call() {
                Ok(value) => return Ok(value),
                Err(error) if !error.is_temporary() || self.stop.is_cancelled() => {
                    return Err(error);
                }
                Err(error) => error,
            };
            if waiting.is_none() {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::error!(%error, cause, "the disk refuses; waiting until it takes the state");
                waiting = Some(Waiting::begin(self));
            }
            let until = Instant::now() + pause;
            while Instant::now() < until && !self.stop.is_cancelled() {
                pulse.beat();
                std::thread::park_timeout(LOOK_EVERY);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

/// One worker that waits.
struct Waiting<'p>(&'p Patience);

impl<'p> Waiting<'p> {
    fn begin(patience: &'p Patience) -> Self {
        patience.waiting.fetch_add(1, Ordering::SeqCst);
        patience.readiness.clear(Condition::StateOpen);
        patience.metrics.state_waiting.inc();
        Self(patience)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.metrics.state_waiting.dec();
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.readiness.set(Condition::StateOpen);
            tracing::info!("no longer waiting for the disk");
        }
    }
}

/// A shard's accounts, read with patience.
pub(super) struct PatientAccounts {
    pub(super) store: ShardStore,
    pub(super) patience: Patience,
    pub(super) pulse: Pulse,
}

impl AccountSource for PatientAccounts {
    fn account(&self, account: &AccountId) -> Result<Option<Vec<u8>>, StoreError> {
        self.patience.wait(&self.pulse, || self.store.account(account))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Liveness;

    fn full() -> StoreError {
        StoreError::Io(std::io::Error::from(std::io::ErrorKind::StorageFull))
    }

    struct Fixture {
        patience: Patience,
        readiness: Readiness,
        stop: CancellationToken,
        pulse: Pulse,
    }

    fn fixture() -> Fixture {
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        readiness.set(Condition::StateOpen);
        let metrics = Metrics::new(&prometheus::Registry::new()).unwrap();
        let patience = Patience::new(readiness.clone(), stop.clone(), metrics);
        let pulse = Liveness::new(Duration::from_mins(1)).watch("worker");
        Fixture { patience, readiness, stop, pulse }
    }

    #[test]
    fn a_full_disk_is_waited_for_and_shown_until_there_is_room() {
        let fixture = fixture();
        let mut calls = 0;
        let answer = fixture.patience.wait(&fixture.pulse, || {
            calls += 1;
            if calls == 1 {
                return Err(full());
            }
            assert!(fixture.readiness.missing().contains(&Condition::StateOpen));
            assert_eq!(fixture.patience.metrics.state_waiting.get(), 1);
            if calls < 3 { Err(full()) } else { Ok("saved") }
        });
        assert_eq!(answer.unwrap(), "saved");
        assert!(!fixture.readiness.missing().contains(&Condition::StateOpen));
        assert_eq!(fixture.patience.metrics.state_waiting.get(), 0);
    }

    #[test]
    fn damage_is_not_waited_for_and_a_stop_ends_the_wait() {
        let fixture = fixture();
        let damaged = || StoreError::Damaged { key: "a".to_owned(), what: "it is too short" };
        let answer: Result<(), _> = fixture.patience.wait(&fixture.pulse, || Err(damaged()));
        assert!(matches!(answer, Err(StoreError::Damaged { .. })));
        let answer: Result<(), _> = fixture.patience.wait(&fixture.pulse, || {
            fixture.stop.cancel();
            Err(full())
        });
        assert!(matches!(answer, Err(StoreError::Io(_))));
    }
}
