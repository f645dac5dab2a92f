//! The dispatcher: what is due goes to its lane; what no lane can take now waits its turn.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::circuit::Admission;
use super::shared::Shared;
use super::{Outcome, Sink, deliver, retry};
use crate::clock::WallTime;
use crate::event::TimeSpan;
use crate::incident::OutboxId;
use crate::store::{HoldReason, OutboxEntry, OutboxFilter, OutboxStatus, StoreError};
use crate::telemetry::Pulse;

/// Entries looked at in one pass.
const PASS_MAX: usize = 256;
/// The outbox is looked at least this often, whatever the clock says (the demo's runs faster).
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Approvals are looked through for expired ones this often.
const SWEEP_EVERY: TimeSpan = TimeSpan::from_millis(10_000);
const SWEEP_MAX: usize = 10_000;
/// What deliveries under way get at a stop.
const STOP_WITHIN: Duration = Duration::from_secs(5);
/// An entry that a busy lane cannot take is put off by this much and up to as much again.
const BUSY_WAIT: TimeSpan = TimeSpan::from_millis(1_000);

/// Runs until `cancel`.
pub(super) async fn run(shared: Arc<Shared>, pulse: Pulse, cancel: CancellationToken) {
    let width = usize::try_from(shared.settings.concurrency.clamp(1, 64)).unwrap_or(1);
    let mut dispatcher = Dispatcher {
        lanes: Sink::ALL.map(|sink| (sink, Arc::new(Semaphore::new(width)))).into(),
        tasks: JoinSet::new(),
        in_flight: BTreeSet::new(),
        next_sweep: WallTime(i64::MIN),
        shared,
    };
    info!("responses started");
    loop {
        pulse.beat();
        let pause = dispatcher.pass().await.unwrap_or(LOOK_EVERY);
        tokio::select! {
            () = cancel.cancelled() => break,
            () = dispatcher.shared.notify.notified() => {}
            Some(ended) = dispatcher.tasks.join_next() => dispatcher.ended(ended),
            () = tokio::time::sleep(pause) => {}
        }
    }
    dispatcher.stop().await;
    info!("responses stopped");
}

struct Dispatcher {
    shared: Arc<Shared>,
    lanes: BTreeMap<Sink, Arc<Semaphore>>,
    tasks: JoinSet<OutboxId>,
    in_flight: BTreeSet<OutboxId>,
    next_sweep: WallTime,
}

impl Dispatcher {
    /// Sends out what is due; returns how long to wait for more.
    async fn pass(&mut self) -> Result<Duration, StoreError> {
        while let Some(ended) = self.tasks.try_join_next() {
            self.ended(ended);
        }
        let now = self.shared.now();
        self.sweep(now).await?;
        let due =
            self.shared.blocking(move |shared| shared.store.outbox().due(now, PASS_MAX)).await?;
        self.measure(&due, now);
        let crowded = due.len() == PASS_MAX;
        for entry in due {
            if !self.in_flight.contains(&entry.planned.id) {
                self.dispatch(entry, now, crowded).await?;
            }
        }
        let next = self.shared.blocking(|shared| shared.store.outbox().next_due_at()).await?;
        let wait = next.map_or(i64::MAX, |at| at.0.saturating_sub(now.0));
        // What is due already and still here waits for a lane: the end of its task rings.
        let wait = if wait <= 0 { LOOK_EVERY } else { TimeSpan::from_millis(wait).to_std() };
        Ok(wait.min(LOOK_EVERY))
    }

    async fn dispatch(
        &mut self,
        entry: OutboxEntry,
        now: WallTime,
        crowded: bool,
    ) -> Result<(), StoreError> {
        let sink = Sink::of(entry.planned.kind);
        let lane = self.lanes.get(&sink).map(Arc::clone);
        let Some(permit) = lane.and_then(|lane| lane.try_acquire_owned().ok()) else {
            // A full page of entries for one busy lane must not hide those of another.
            if crowded {
                self.put_off(entry, WallTime(now.0 + BUSY_WAIT.millis()), BUSY_WAIT).await?;
            }
            return Ok(());
        };
        if let Admission::Blocked(until) = self.shared.admit(sink, now) {
            return self.put_off(entry, until, BUSY_WAIT).await;
        }
        let id = entry.planned.id;
        self.in_flight.insert(id);
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            deliver::deliver(&shared, entry, sink).await;
            drop(permit);
            id
        });
        Ok(())
    }

    async fn put_off(
        &self,
        entry: OutboxEntry,
        until: WallTime,
        width: TimeSpan,
    ) -> Result<(), StoreError> {
        let sink = Sink::of(entry.planned.kind);
        let labels = [sink.as_str(), Outcome::Deferred.as_str()];
        self.shared.metrics.notifications.with_label_values(&labels).inc();
        let spread = retry::spread(entry.planned.id, entry.attempts, width.millis());
        self.shared
            .blocking(move |shared| {
                let mut changed = entry.clone();
                changed.next_attempt = WallTime(until.0.saturating_add(spread));
                shared.put(&entry, &changed).map(|_| ())
            })
            .await
    }

    fn ended(&mut self, ended: Result<OutboxId, tokio::task::JoinError>) {
        match ended {
            Ok(id) => {
                self.in_flight.remove(&id);
            }
            Err(error) => {
                // Its id is not known: let all be looked at again, which the ids make harmless.
                warn!(%error, "a delivery ended unexpectedly");
                self.in_flight.clear();
            }
        }
    }

    fn measure(&self, due: &[OutboxEntry], now: WallTime) {
        let metrics = &self.shared.metrics;
        for sink in Sink::ALL {
            let count = due.iter().filter(|entry| Sink::of(entry.planned.kind) == sink).count();
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            metrics.queue_length.with_label_values(&[sink.as_str()]).set(count);
        }
        #[expect(clippy::cast_precision_loss, reason = "exact for the next 285,000 years")]
        metrics.last_pass.set(now.0 as f64 / 1000.0);
        let accounts = self.shared.figures.accounts_seen.load(std::sync::atomic::Ordering::Relaxed);
        let settings = self.shared.settings.budget;
        let left = self.shared.state(|state| state.budget.left(settings, accounts, now));
        for (limit, left) in [("hour", left.hour), ("day", left.day), ("share", left.share)] {
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            metrics.budget_left.with_label_values(&[limit]).set(left);
        }
    }

    /// Lets approvals expire, and counts what waits for people.
    async fn sweep(&mut self, now: WallTime) -> Result<(), StoreError> {
        if now < self.next_sweep {
            return Ok(());
        }
        self.next_sweep = WallTime(now.0.saturating_add(SWEEP_EVERY.millis()));
        self.shared
            .blocking(move |shared| {
                let list = |status| {
                    let filter = OutboxFilter { statuses: vec![status], ..OutboxFilter::default() };
                    shared.store.outbox().list(&filter, SWEEP_MAX)
                };
                let held = list(OutboxStatus::Held(HoldReason::Mode))?;
                let parked = list(OutboxStatus::Parked)?;
                let count = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
                shared.metrics.held.set(count(held.len()));
                shared.metrics.parked.set(count(parked.len()));
                for entry in held.iter().filter(|entry| entry.next_attempt <= now) {
                    deliver::expire(shared, entry)?;
                }
                Ok(())
            })
            .await
    }

    async fn stop(mut self) {
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_WITHIN, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}
