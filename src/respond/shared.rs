//! What the dispatcher, the deliveries and the operator share.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tracing::error;

use super::circuit::{Admission, Circuit};
use super::email::Mailer;
use super::guard::Budget;
use super::mail_limit::MailLedger;
use super::platform::Platform;
use super::render::Templates;
use super::{Figures, Metrics, Person, Settings, SetupError, Sink};
use crate::clock::{Clock, WallTime};
use crate::event::TimeSpan;
use crate::incident::{DeliveryKind, IncidentId, OutboxId};
use crate::rulebook::ActionKind;
use crate::store::{AuditEntry, OutboxEntry, OutboxStatus, Store, StoreError, UpdateError};

/// What the responder must know after a restart. Every list is bounded by what fills it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) budget: Budget,
    pub(super) mails: MailLedger,
    /// Actions that the platform accepted and has not finished, with when it accepted.
    pub(super) accepted: BTreeMap<OutboxId, WallTime>,
    /// The templates that a `block_template` names, fixed at its first try, so that every try sends
    /// the same bytes.
    pub(super) templates: BTreeMap<OutboxId, Vec<Arc<str>>>,
}

/// Entries that wait for others are remembered at most so many; the rest wait their full time.
const WAITING_MAX: usize = 10_000;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Metrics,
    pub(super) figures: Arc<Figures>,
    pub(super) notify: Arc<Notify>,
    pub(super) templates: Templates,
    pub(super) mailer: Option<Mailer>,
    pub(super) platform: Option<Platform>,
    state: Mutex<State>,
    circuits: Mutex<BTreeMap<&'static str, Circuit>>,
    /// Notices that wait for actions, and which.
    waiting: Mutex<BTreeMap<OutboxId, Vec<OutboxId>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(super) fn new(
        settings: Settings,
        store: Store,
        clock: Arc<dyn Clock>,
        metrics: Metrics,
        figures: Arc<Figures>,
        notify: Arc<Notify>,
    ) -> Result<Self, SetupError> {
        let folder = settings.email.as_ref().and_then(|email| email.templates.as_deref());
        let templates = Templates::load(folder)?;
        let mailer = settings.email.as_ref().map(Mailer::new).transpose()?;
        let platform = settings
            .platform
            .as_ref()
            .map(|platform| Platform::new(platform, metrics.clone()))
            .transpose()?;
        let state = match store.responder_state()? {
            Some(bytes) => postcard::from_bytes(&bytes).unwrap_or_else(|error| {
                error!(%error, "the responder's own state is not readable; budgets start anew");
                State::default()
            }),
            None => State::default(),
        };
        let circuits = ["smtp", "platform"]
            .into_iter()
            .map(|target| (target, Circuit::new(settings.circuit)))
            .collect();
        Ok(Self {
            settings,
            store,
            clock,
            metrics,
            figures,
            notify,
            templates,
            mailer,
            platform,
            state: Mutex::new(state),
            circuits: Mutex::new(circuits),
            waiting: Mutex::new(BTreeMap::new()),
        })
    }

    pub(super) fn now(&self) -> WallTime {
        self.clock.now()
    }

    pub(super) fn half_life(&self) -> TimeSpan {
        TimeSpan::from_millis(self.figures.half_life_millis.load(Ordering::Relaxed))
    }

    /// Runs store work where it may block.
    pub(super) async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(self);
        let result = match tokio::task::spawn_blocking(move || work(&shared)).await {
            Ok(result) => result,
            Err(error) => Err(StoreError::Io(std::io::Error::other(error))),
        };
        if let Err(error) = &result {
            self.metrics.store_failures.inc();
            error!(error = super::chain(error), "the outbox could not be read or written");
        }
        result
    }

    /// Reads the state.
    pub(super) fn state<T>(&self, read: impl FnOnce(&State) -> T) -> T {
        read(&lock(&self.state))
    }

    /// Changes the state and makes it durable. On an error the change does not count.
    pub(super) fn change_state(&self, change: impl FnOnce(&mut State)) -> Result<(), StoreError> {
        let mut state = lock(&self.state);
        let mut changed = state.clone();
        change(&mut changed);
        if *state == changed {
            return Ok(());
        }
        let bytes = postcard::to_stdvec(&changed)
            .map_err(|error| StoreError::Io(std::io::Error::other(error)))?;
        self.store.put_responder_state(&bytes)?;
        *state = changed;
        Ok(())
    }

    pub(super) fn admit(&self, sink: Sink, now: WallTime) -> Admission {
        let mut circuits = lock(&self.circuits);
        let admission =
            circuits.get_mut(sink.target()).map_or(Admission::Pass, |circuit| circuit.admit(now));
        self.show(&circuits, sink);
        admission
    }

    pub(super) fn answered(&self, sink: Sink) {
        let mut circuits = lock(&self.circuits);
        if let Some(circuit) = circuits.get_mut(sink.target()) {
            circuit.answered();
        }
        self.show(&circuits, sink);
    }

    pub(super) fn unreachable(&self, sink: Sink, now: WallTime) {
        let mut circuits = lock(&self.circuits);
        if let Some(circuit) = circuits.get_mut(sink.target()) {
            circuit.failed(now);
        }
        self.show(&circuits, sink);
    }

    fn show(&self, circuits: &BTreeMap<&'static str, Circuit>, sink: Sink) {
        let target = sink.target();
        let gauge = circuits.get(target).map_or(0, Circuit::gauge);
        self.metrics.circuit_state.with_label_values(&[target]).set(gauge);
    }

    /// Remembers that `id` waits for `after`.
    pub(super) fn wait_for(&self, id: OutboxId, after: Vec<OutboxId>) {
        let mut waiting = lock(&self.waiting);
        if waiting.len() < WAITING_MAX {
            waiting.insert(id, after);
        }
    }

    pub(super) fn forget_wait(&self, id: OutboxId) {
        lock(&self.waiting).remove(&id);
    }

    /// Makes the notices due that waited for `settled` and now wait for nothing any more.
    pub(super) fn release(&self, settled: OutboxId) -> Result<(), StoreError> {
        let candidates: Vec<(OutboxId, Vec<OutboxId>)> = lock(&self.waiting)
            .iter()
            .filter(|(_, after)| after.contains(&settled))
            .map(|(id, after)| (*id, after.clone()))
            .collect();
        for (id, after) in candidates {
            if self.any_due(&after)? {
                continue;
            }
            self.forget_wait(id);
            if let Some(entry) = self.store.outbox().get(id)?
                && entry.status == OutboxStatus::Due
            {
                let mut changed = entry.clone();
                changed.next_attempt = self.now();
                self.put(&entry, &changed)?;
            }
        }
        self.notify.notify_one();
        Ok(())
    }

    pub(super) fn any_due(&self, ids: &[OutboxId]) -> Result<bool, StoreError> {
        for id in ids {
            let entry = self.store.outbox().get(*id)?;
            if entry.is_some_and(|entry| entry.status == OutboxStatus::Due) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Writes an entry that nobody has changed meanwhile; tells whether it was written.
    pub(super) fn put(
        &self,
        expected: &OutboxEntry,
        changed: &OutboxEntry,
    ) -> Result<bool, StoreError> {
        was_written(self.store.outbox().update(expected, changed))
    }

    /// Writes what a person decided and the audit entry of it, both or neither, unless the entry
    /// was changed meanwhile.
    pub(super) fn put_decided(
        &self,
        expected: &OutboxEntry,
        changed: &OutboxEntry,
        by: &Person,
        what: &str,
    ) -> Result<bool, StoreError> {
        let audit = AuditEntry {
            at: self.now(),
            who: by.name.as_str().into(),
            what: what.into(),
            subject: changed.planned.id.to_string().into(),
            reason: by.reason.as_str().into(),
        };
        let written =
            was_written(self.store.outbox().update_audited(expected, changed, audit.clone()))?;
        if written {
            audit.log();
        }
        Ok(written)
    }

    /// Returns the entries of an incident's actions, in the order of [`ActionKind::ALL`].
    pub(super) fn actions_of(&self, incident: IncidentId) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut actions = Vec::new();
        for kind in ActionKind::ALL {
            let id = OutboxId::mint(incident, DeliveryKind::Action(kind), "platform");
            actions.extend(self.store.outbox().get(id)?);
        }
        Ok(actions)
    }

    /// Writes an audit entry and the same as a log event.
    pub(super) fn audit(
        &self,
        who: &str,
        what: &str,
        subject: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        let entry = AuditEntry {
            at: self.now(),
            who: who.into(),
            what: what.into(),
            subject: subject.into(),
            reason: reason.into(),
        };
        entry.log();
        self.store.audit().append(&entry).map(|_| ())
    }
}

/// Tells whether an entry was written; one that changed meanwhile was not.
fn was_written(result: Result<(), UpdateError<OutboxEntry>>) -> Result<bool, StoreError> {
    match result {
        Ok(()) => Ok(true),
        Err(UpdateError::Changed(_) | UpdateError::Missing) => Ok(false),
        Err(UpdateError::Store(error)) => Err(error),
    }
}
