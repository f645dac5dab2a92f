//! One worker thread's work: decode, put in order, step, make durable.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::decisions::{self, Decided};
use super::generation;
use super::lane::Lane;
use super::metrics::{Metrics, Part};
use super::patience::{Patience, PatientAccounts};
use crate::clock::Clock;
use crate::console::{CloseAnswer, Closings};
use crate::engine::{self, Incoming, Outcome, Rules, Shard, Throttling, Workspace};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{Category, EventTime, Offset, RawRecord, ShardId, TopicIndex};
use crate::ingest::{Backlog, DeadLetters, Kept, Refusal, ShardWorker, WorkerFailure};
use crate::store::{AuditEntry, Batch, OutboxEntry, Store, StoreError};
use crate::telemetry::Pulse;

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    /// The rule set in use; each worker takes it over between two steps.
    pub(super) rules: Arc<ArcSwap<Rules>>,
    pub(super) engine: engine::Settings,
    pub(super) limits: Limits,
    /// Name and shape of each topic.
    pub(super) topics: BTreeMap<TopicIndex, (String, WireShape)>,
    pub(super) dead_letters: DeadLetters,
    pub(super) metrics: engine::Metrics,
    pub(super) times: Metrics,
    pub(super) patience: Patience,
    pub(super) clock: Arc<dyn Clock>,
    /// Rung after a commit that planned something.
    pub(super) planned: Arc<Notify>,
    /// Incidents that people close.
    pub(super) closings: Arc<Closings>,
}

impl Shared {
    /// Returns the offsets of a shard as Kafka knows them.
    pub(super) fn resume(
        &self,
        shard: ShardId,
    ) -> Result<BTreeMap<TopicIndex, Offset>, StoreError> {
        let stored = self.store.shard(shard).resume_offsets()?;
        let kafka = |(topic, offset)| (topic, generation::kafka(offset));
        Ok(stored.into_iter().map(kafka).collect())
    }
}

/// Records per step: effects of a step become durable together.
const STEP_RECORDS_MAX: usize = 500;
const DEAD_LETTER_FLUSH: Duration = Duration::from_secs(30);

pub(super) struct Worker {
    shared: Arc<Shared>,
    /// The rule set that the lanes are fitted to.
    rules: Arc<Rules>,
    lanes: BTreeMap<ShardId, Lane>,
    workspace: Workspace,
    checkpointed: Instant,
    safe: Vec<(ShardId, TopicIndex, Offset)>,
    pulse: Pulse,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>, pulse: Pulse) -> Self {
        Self {
            rules: shared.rules.load_full(),
            shared,
            lanes: BTreeMap::new(),
            workspace: Workspace::default(),
            checkpointed: Instant::now(),
            safe: Vec::new(),
            pulse,
        }
    }

    fn decode(&self, record: &RawRecord) -> Result<Incoming, WorkerFailure> {
        let Some((name, shape)) = self.shared.topics.get(&record.position.topic) else {
            return Err(WorkerFailure("a record of a topic that is not configured".to_owned()));
        };
        let events = match decode::decode(shape, record, &self.shared.limits) {
            Ok(events) => events.into_vec(),
            Err(rejection) => {
                let text = rejection.to_string();
                let refusal = Refusal { reason: rejection.reason().as_str(), text: &text };
                self.shared.dead_letters.send(record, name, refusal).map_err(failure)?;
                Vec::new()
            }
        };
        Ok(Incoming { position: record.position, events })
    }

    /// Runs everything that may go next in one shard.
    fn pump(&mut self, id: ShardId) -> Result<(), WorkerFailure> {
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        loop {
            let records: Vec<Incoming> =
                std::iter::from_fn(|| lane.merge.pop()).take(STEP_RECORDS_MAX).collect();
            if records.is_empty() {
                return Ok(());
            }
            self.pulse.beat();
            let shared = &self.shared;
            let (began, count) = (Instant::now(), records.len());
            let times = event_times(&records);
            let outcome = engine::step(
                &mut lane.shard,
                &self.rules,
                &shared.engine,
                records,
                &mut self.workspace,
                &mut |_| {},
            )
            .map_err(failure)?;
            shared.times.took(Part::Step, began.elapsed(), count);
            shared.metrics.count(&outcome, &self.rules);
            shared.metrics.unreadable_accounts.inc_by(lane.shard.take_unreadable());
            if outcome.has_effects() {
                let began = Instant::now();
                save_effects(shared, &self.rules, lane, outcome, Vec::new(), &self.pulse)?;
                shared.times.took(Part::Commit, began.elapsed(), count);
            }
            judged(shared, &times);
        }
    }

    /// Carries out what people decided about incidents of this worker's shards.
    fn decide(&mut self) -> Result<(), WorkerFailure> {
        let shared = &self.shared;
        for (id, lane) in &mut self.lanes {
            for taken in shared.closings.take(*id) {
                let decided = shared.patience.wait(&self.pulse, || {
                    decisions::close(&shared.store, &mut lane.shard, &self.rules, &taken.order)
                });
                match decided.map_err(failure)? {
                    Decided::Close { outcome, audit, closed } => {
                        shared.metrics.count(&outcome, &self.rules);
                        let entries = vec![audit.clone()];
                        save_effects(shared, &self.rules, lane, *outcome, entries, &self.pulse)?;
                        audit.log();
                        taken.answer(CloseAnswer::Closed(closed));
                    }
                    Decided::Nothing(answer) => taken.answer(answer),
                }
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, id: ShardId) -> Result<(), WorkerFailure> {
        let most = self.shared.engine.accounts_in_memory / self.lanes.len().max(1);
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        let timer = self.shared.times.checkpoint_seconds.start_timer();
        self.shared.dead_letters.flush(DEAD_LETTER_FLUSH).map_err(failure)?;
        let mut batch = Batch::default();
        lane.shard.add_checkpoint(lane.merge.resume_offsets(), &mut batch);
        commit(&self.shared, &self.rules, lane, &batch, &self.pulse)?;
        lane.shard.checkpointed(most);
        self.safe.extend(lane.kafka_offsets(id));
        timer.observe_duration();
        Ok(())
    }

    fn checkpoint_when_due(&mut self) -> Result<(), WorkerFailure> {
        if self.checkpointed.elapsed() >= self.shared.engine.checkpoint_interval.to_std() {
            self.checkpoint_all()?;
        }
        Ok(())
    }

    fn checkpoint_all(&mut self) -> Result<(), WorkerFailure> {
        let shards: Vec<ShardId> = self.lanes.keys().copied().collect();
        for shard in shards {
            self.checkpoint(shard)?;
        }
        self.checkpointed = Instant::now();
        Ok(())
    }

    /// Takes over a rule set that was loaded meanwhile. What was judged by the one before becomes
    /// durable first, so that a replay never judges it again by other rules.
    fn take_over_rules(&mut self) -> Result<(), WorkerFailure> {
        let rules = self.shared.rules.load_full();
        if Arc::ptr_eq(&rules, &self.rules) {
            return Ok(());
        }
        self.checkpoint_all()?;
        for lane in self.lanes.values_mut() {
            self.shared.metrics.show_throttled(lane.shard.throttled_rules(), -1);
            lane.shard.adopt(&rules);
            self.shared.metrics.show_throttled(lane.shard.throttled_rules(), 1);
        }
        self.rules = rules;
        // The shards' state says from here on by which rules it came about.
        self.checkpoint_all()
    }

    fn open(&self, id: ShardId) -> Result<Lane, WorkerFailure> {
        let store = self.shared.store.shard(id);
        let patience = &self.shared.patience;
        let stored = patience.wait(&self.pulse, || store.resume_offsets()).map_err(failure)?;
        let state = patience.wait(&self.pulse, || store.shard_state()).map_err(failure)?;
        let tally = patience.wait(&self.pulse, || store.shard_tally()).map_err(failure)?;
        let pulse = self.pulse.clone();
        let accounts = PatientAccounts { store, patience: patience.clone(), pulse };
        let mut shard = Shard::new(id, Box::new(accounts), state.as_deref(), tally.as_deref());
        shard.adopt(&self.rules);
        self.shared.metrics.show_throttled(shard.throttled_rules(), 1);
        Ok(Lane::new(shard, &stored))
    }
}

impl ShardWorker for Worker {
    fn assigned(
        &mut self,
        id: ShardId,
        backlog: &BTreeMap<TopicIndex, Backlog>,
    ) -> Result<(), WorkerFailure> {
        self.pulse.beat();
        if !self.lanes.contains_key(&id) {
            let lane = self.open(id)?;
            self.lanes.insert(id, lane);
        }
        if self.lanes.get_mut(&id).is_some_and(|lane| lane.add(backlog)) {
            self.checkpoint(id)?;
        }
        Ok(())
    }

    fn records(&mut self, records: Vec<RawRecord>) -> Result<(), WorkerFailure> {
        self.take_over_rules()?;
        self.decide()?;
        let (began, count) = (Instant::now(), records.len());
        let mut touched = BTreeSet::new();
        for record in &records {
            let incoming = self.decode(record)?;
            let Some(lane) = self.lanes.get_mut(&record.shard) else { continue };
            lane.push(incoming);
            touched.insert(record.shard);
        }
        self.shared.times.took(Part::Decode, began.elapsed(), count);
        for shard in touched {
            self.pump(shard)?;
        }
        self.checkpoint_when_due()
    }

    fn read_to_end(&mut self, id: ShardId, topic: TopicIndex) -> Result<(), WorkerFailure> {
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.merge.stop_waiting(topic);
        }
        self.pump(id)
    }

    fn idle(&mut self) -> Result<(), WorkerFailure> {
        self.pulse.beat();
        self.take_over_rules()?;
        self.decide()?;
        self.checkpoint_when_due()
    }

    fn revoked(&mut self, id: ShardId, kept: Kept) -> Result<(), WorkerFailure> {
        self.pulse.beat();
        if kept == Kept::Drain {
            self.checkpoint(id)?;
        }
        if let Some(lane) = self.lanes.remove(&id) {
            self.shared.metrics.show_throttled(lane.shard.throttled_rules(), -1);
        }
        Ok(())
    }

    fn safe_offsets(&mut self) -> Vec<(ShardId, TopicIndex, Offset)> {
        std::mem::take(&mut self.safe)
    }

    fn held(&mut self) -> BTreeSet<(ShardId, TopicIndex)> {
        let held = |(id, lane): (&ShardId, &Lane)| {
            let id = *id;
            lane.merge.held().map(move |topic| (id, topic)).collect::<Vec<_>>()
        };
        self.lanes.iter().flat_map(held).collect()
    }
}

/// Makes what a step or a person's decision led to durable, with the state it came from.
fn save_effects(
    shared: &Shared,
    rules: &Rules,
    lane: &mut Lane,
    outcome: Outcome,
    audit: Vec<AuditEntry>,
    pulse: &Pulse,
) -> Result<(), WorkerFailure> {
    let mut batch = Batch {
        incidents: outcome.incidents.into_values().collect(),
        outbox: outcome.planned.into_iter().map(OutboxEntry::new).collect(),
        audit,
        ..Batch::default()
    };
    if rules.has_shard_state() || !outcome.throttlings.is_empty() {
        shared.dead_letters.flush(DEAD_LETTER_FLUSH).map_err(failure)?;
        lane.shard.add_checkpoint(lane.merge.resume_offsets(), &mut batch);
    } else {
        lane.shard.add_accounts(&outcome.accounts, &mut batch);
    }
    commit(shared, rules, lane, &batch, pulse)?;
    log_throttlings(lane.shard.id(), &outcome.throttlings);
    for incident in &batch.incidents {
        tracing::warn!(
            incident = %incident.id,
            code = incident.id.code(),
            account = %incident.account,
            stage = incident.stage.as_str(),
            risk = incident.risk,
            "an incident changed"
        );
    }
    shared.planned.notify_one();
    Ok(())
}

fn log_throttlings(shard: ShardId, throttlings: &[Throttling]) {
    for Throttling { rule, is_throttled, accounts, usual } in throttlings {
        if *is_throttled {
            tracing::warn!(%rule, %shard, accounts, usual, "a rule hits too many accounts and is throttled");
        } else {
            tracing::info!(%rule, %shard, accounts, "a rule is no longer throttled");
        }
    }
}

/// Makes a batch durable, however long the disk refuses. Incidents that someone else has changed
/// first are taken over into the shard's memory.
fn commit(
    shared: &Shared,
    rules: &Rules,
    lane: &mut Lane,
    batch: &Batch,
    pulse: &Pulse,
) -> Result<(), WorkerFailure> {
    let store = shared.store.shard(lane.shard.id());
    let committed = shared.patience.wait(pulse, || store.commit(batch)).map_err(failure)?;
    for incident in &committed.kept_incidents {
        tracing::info!(incident = %incident.id, "an incident was changed by someone else first");
    }
    engine::take_over(&mut lane.shard, rules, &committed.kept_incidents).map_err(failure)
}

fn event_times(records: &[Incoming]) -> Vec<(Category, EventTime)> {
    let events = records.iter().flat_map(|record| &record.events);
    events.map(|event| (event.event_type().category(), event.time())).collect()
}

/// Notes how long after they happened events were judged and their effects durable.
#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for 285,000 years")]
fn judged(shared: &Shared, times: &[(Category, EventTime)]) {
    let now = shared.clock.now().0;
    for (category, time) in times {
        let seconds = now.saturating_sub(time.millis()) as f64 / 1000.0;
        let latency = shared.times.detection_latency.with_label_values(&[category.as_str()]);
        latency.observe(seconds.max(0.0));
        if seconds < 0.0 {
            shared.times.clock_skew.observe(-seconds);
        }
    }
}

fn failure(error: impl std::error::Error) -> WorkerFailure {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    WorkerFailure(text)
}
