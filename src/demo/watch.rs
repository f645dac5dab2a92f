//! Looks at what came out of the daemon: incidents in its store, calls, mails, figures.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use super::DemoError;
use super::mail_server::Received;
use super::platform::{Call, Platform};
use crate::daemon::Running;
use crate::event::AccountId;
use crate::incident::{Incident, IncidentId};
use crate::store::{IncidentFilter, OutboxFilter, OutboxStatus, Store};

/// Incidents looked at, more than any run of the demo has.
const INCIDENTS_MAX: usize = 10_000;

/// What is seen for the first time.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Incidents that are new, or of a higher stage than before.
    pub(super) incidents: Vec<Incident>,
    pub(super) calls: Vec<Call>,
    pub(super) mails: Vec<Received>,
}

/// Everything that was seen.
#[derive(Debug)]
pub(super) struct Watch {
    running: Running,
    mails: mpsc::Receiver<Received>,
    pub(super) incidents: BTreeMap<IncidentId, Incident>,
    pub(super) calls: Vec<Call>,
    pub(super) mails_seen: Vec<Received>,
}

impl Watch {
    pub(super) fn new(running: Running, mails: mpsc::Receiver<Received>) -> Self {
        Self {
            running,
            mails,
            incidents: BTreeMap::new(),
            calls: Vec::new(),
            mails_seen: Vec::new(),
        }
    }

    /// Looks again.
    pub(super) async fn look(&mut self, platform: &Platform) -> Result<News, DemoError> {
        let list =
            |store: &Store| store.incidents().list(&IncidentFilter::default(), INCIDENTS_MAX);
        let mut news = News::default();
        for incident in self.read(list).await? {
            let before = self.incidents.get(&incident.id);
            if before.is_none_or(|before| before.stage < incident.stage) {
                news.incidents.push(incident.clone());
            }
            self.incidents.insert(incident.id, incident);
        }
        // Oldest first, as they happened.
        news.incidents.sort_by_key(|incident| (incident.last_match, incident.id));
        news.calls = platform.calls_from(self.calls.len());
        self.calls.extend_from_slice(&news.calls);
        while let Ok(mail) = self.mails.try_recv() {
            self.mails_seen.push(mail.clone());
            news.mails.push(mail);
        }
        Ok(news)
    }

    /// Tells whether something is still on its way to this account or its platform.
    pub(super) async fn is_delivering(&self, account: &AccountId) -> Result<bool, DemoError> {
        let filter = OutboxFilter {
            statuses: vec![OutboxStatus::Due],
            account: Some(account.clone()),
            ..OutboxFilter::default()
        };
        Ok(!self.read(move |store| store.outbox().list(&filter, 1)).await?.is_empty())
    }

    /// Returns how many events the engine has dealt with.
    pub(super) fn handled(&self) -> u64 {
        self.sum("satpam_events_total")
    }

    /// Returns how many partitions the daemon reads.
    pub(super) fn partitions(&self) -> u64 {
        self.sum("satpam_kafka_assigned_partitions")
    }

    pub(super) fn address(&self) -> std::net::SocketAddr {
        self.running.address
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts, far below 2^52"
    )]
    fn sum(&self, name: &str) -> u64 {
        let families = self.running.telemetry.registry().gather();
        let values = families
            .iter()
            .filter(|family| family.name() == name)
            .flat_map(prometheus::proto::MetricFamily::get_metric)
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value());
        values.sum::<f64>() as u64
    }

    /// Reads the store where blocking is allowed.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, crate::store::StoreError> + Send + 'static,
    ) -> Result<T, DemoError> {
        let store = self.running.store.clone();
        let read = tokio::task::spawn_blocking(move || read(&store)).await;
        Ok(read.map_err(|_| DemoError::DaemonStopped)??)
    }
}
