//! What is done now and then: counting what the store holds, and forgetting what is settled and old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use crate::clock::{Clock, WallTime};
use crate::event::EventTime;
use crate::respond::Figures;
use crate::store::{self, IncidentFilter, Store, StoreError};

/// Counting reads every key: about a second for a million accounts.
const EVERY: Duration = Duration::from_mins(1);

/// More open incidents than this are shown as this many: staff have long been called.
const OPEN_MAX: usize = 10_000;

pub(super) struct Upkeep {
    pub(super) store: Store,
    pub(super) settings: store::Settings,
    pub(super) figures: Arc<Figures>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
}

impl Upkeep {
    /// Works at once and then every minute, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let upkeep = Arc::new(self);
        let mut turns = tokio::time::interval(EVERY);
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = turns.tick() => {}
            }
            let turn = Arc::clone(&upkeep);
            match tokio::task::spawn_blocking(move || turn.turn()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, "the store could not be looked after; tried again");
                }
                Err(error) => tracing::error!(%error, "looking after the store panicked"),
            }
        }
    }

    fn turn(&self) -> Result<(), StoreError> {
        let now = self.clock.now().0;
        let settled_before = now.saturating_sub(self.settings.settled_retention.millis());
        let opened_before = now.saturating_sub(self.settings.incident_retention.millis());
        let entries = self.store.outbox().prune(WallTime(settled_before))?;
        let incidents = self.store.incidents().prune(EventTime::from_millis(opened_before))?;
        if entries > 0 || incidents > 0 {
            tracing::info!(entries, incidents, "settled deliveries and old incidents forgotten");
        }
        let counts = self.store.counts()?;
        self.figures.accounts_seen.store(counts.accounts, Ordering::Relaxed);
        let open = IncidentFilter { open: Some(true), account: None };
        self.metrics.show_open(&self.store.incidents().list(&open, OPEN_MAX)?);
        self.store.size_bytes()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AccountId, ShardId};
    use crate::store::Batch;

    #[derive(Debug)]
    struct Fixed(i64);

    impl Clock for Fixed {
        fn now(&self) -> WallTime {
            WallTime(self.0)
        }
    }

    #[test]
    fn the_share_budget_and_the_figures_know_how_many_accounts_there_are() {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            store::Settings { path: folder.path().join("state"), ..store::Settings::default() };
        let registry = prometheus::Registry::new();
        let metrics = store::Metrics::new(&registry).unwrap();
        let store = Store::open(&settings, metrics.clone()).unwrap().store;
        let account = |n: u32| (AccountId::new(&format!("toko-{n}")).unwrap(), vec![1]);
        let batch = Batch { accounts: (0..7).map(account).collect(), ..Batch::default() };
        assert_eq!(store.shard(ShardId(0)).commit(&batch).unwrap().planned, 0);
        let figures = Arc::new(Figures::default());
        let clock = Arc::new(Fixed(1_800_000_000_000));
        let upkeep = Upkeep {
            store,
            settings,
            figures: Arc::clone(&figures),
            clock,
            metrics: Metrics::new(&registry).unwrap(),
        };
        upkeep.turn().unwrap();
        assert_eq!(figures.accounts_seen.load(Ordering::Relaxed), 7);
        assert_eq!(metrics.keys.with_label_values(&["account"]).get(), 7);
        assert!(metrics.size_bytes.get() > 0);
    }
}
