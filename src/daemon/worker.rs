//! One worker thread's work: decode, put in order, step, make durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::decisions::{self, Decided};
use crate::console::{CloseAnswer, Closings};
use crate::engine::{self, Incoming, Merge, Outcome, Rules, Shard, Workspace};
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{Offset, RawRecord, ShardId, TopicIndex};
use crate::ingest::{Backlog, DeadLetters, Kept, Refusal, ShardWorker, WorkerFailure};
use crate::store::{AuditEntry, Batch, OutboxEntry, Store};

/// What all workers share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) rules: Arc<Rules>,
    pub(super) engine: engine::Settings,
    pub(super) limits: Limits,
    /// Name and shape of each topic.
    pub(super) topics: BTreeMap<TopicIndex, (String, WireShape)>,
    pub(super) dead_letters: DeadLetters,
    pub(super) metrics: engine::Metrics,
    /// Rung after a commit that planned something.
    pub(super) planned: Arc<Notify>,
    /// Incidents that people close.
    pub(super) closings: Arc<Closings>,
}

/// Records per step: effects of a step become durable together.
const STEP_RECORDS_MAX: usize = 500;
/// How long a topic whose end holds only transaction markers is waited for.
const MERGE_WAITS: Duration = Duration::from_secs(2);
const DEAD_LETTER_FLUSH: Duration = Duration::from_secs(30);

struct Lane {
    shard: Shard,
    merge: Merge,
    /// When the merge last made progress.
    moved: Instant,
}

pub(super) struct Worker {
    shared: Arc<Shared>,
    lanes: BTreeMap<ShardId, Lane>,
    workspace: Workspace,
    checkpointed: Instant,
    safe: Vec<(ShardId, TopicIndex, Offset)>,
}

impl Worker {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            lanes: BTreeMap::new(),
            workspace: Workspace::default(),
            checkpointed: Instant::now(),
            safe: Vec::new(),
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
            lane.moved = Instant::now();
            let shared = &self.shared;
            let outcome = engine::step(
                &mut lane.shard,
                &shared.rules,
                &shared.engine,
                records,
                &mut self.workspace,
                &mut |_| {},
            )
            .map_err(failure)?;
            shared.metrics.count(&outcome, &shared.rules);
            shared.metrics.unreadable_accounts.inc_by(lane.shard.take_unreadable());
            if outcome.has_effects() {
                make_durable(shared, lane, outcome, Vec::new())?;
            }
        }
    }

    /// Carries out what people decided about this worker's shards.
    fn decide(&mut self) -> Result<(), WorkerFailure> {
        let shared = &self.shared;
        for (id, lane) in &mut self.lanes {
            for taken in shared.closings.take(*id) {
                let decided =
                    decisions::close(&shared.store, &mut lane.shard, &shared.rules, &taken.order);
                match decided.map_err(failure)? {
                    Decided::Close { outcome, audit, closed } => {
                        shared.metrics.count(&outcome, &shared.rules);
                        make_durable(shared, lane, outcome, vec![audit.clone()])?;
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
        let Some(lane) = self.lanes.get_mut(&id) else { return Ok(()) };
        self.shared.dead_letters.flush(DEAD_LETTER_FLUSH).map_err(failure)?;
        let resume = lane.merge.resume_offsets();
        let mut batch = Batch::default();
        lane.shard.add_checkpoint(resume.clone(), &mut batch);
        commit(&self.shared, lane, &batch)?;
        let most = self.shared.engine.accounts_in_memory / self.lanes.len().max(1);
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.shard.checkpointed(most);
        }
        self.safe.extend(resume.into_iter().map(|(topic, offset)| (id, topic, offset)));
        Ok(())
    }

    fn checkpoint_when_due(&mut self) -> Result<(), WorkerFailure> {
        if self.checkpointed.elapsed() < self.shared.engine.checkpoint_interval.to_std() {
            return Ok(());
        }
        let shards: Vec<ShardId> = self.lanes.keys().copied().collect();
        for shard in shards {
            self.checkpoint(shard)?;
        }
        self.checkpointed = Instant::now();
        Ok(())
    }
}

impl ShardWorker for Worker {
    fn assigned(
        &mut self,
        id: ShardId,
        backlog: &BTreeMap<TopicIndex, Backlog>,
    ) -> Result<(), WorkerFailure> {
        let starts: BTreeMap<TopicIndex, (Offset, Offset)> =
            backlog.iter().map(|(topic, one)| (*topic, (one.resume, one.end))).collect();
        if let Some(lane) = self.lanes.get_mut(&id) {
            lane.merge.add(starts);
            return Ok(());
        }
        let store = self.shared.store.shard(id);
        let state = store.shard_state().map_err(failure)?;
        let mut shard = Shard::new(id, Box::new(store), state.as_deref());
        shard.adopt(&self.shared.rules);
        self.lanes.insert(id, Lane { shard, merge: Merge::new(starts), moved: Instant::now() });
        Ok(())
    }

    fn records(&mut self, records: Vec<RawRecord>) -> Result<(), WorkerFailure> {
        self.decide()?;
        let mut touched = Vec::new();
        for record in &records {
            let incoming = self.decode(record)?;
            let Some(lane) = self.lanes.get_mut(&record.shard) else { continue };
            lane.merge.push(incoming);
            if touched.last() != Some(&record.shard) {
                touched.push(record.shard);
            }
        }
        touched.sort_unstable();
        touched.dedup();
        for shard in touched {
            self.pump(shard)?;
        }
        self.checkpoint_when_due()
    }

    fn idle(&mut self) -> Result<(), WorkerFailure> {
        self.decide()?;
        let mut stuck = Vec::new();
        for (id, lane) in &mut self.lanes {
            if lane.merge.waits_for().is_some() && lane.moved.elapsed() > MERGE_WAITS {
                lane.merge.stop_waiting();
                stuck.push(*id);
            }
        }
        for id in stuck {
            self.pump(id)?;
        }
        self.checkpoint_when_due()
    }

    fn revoked(&mut self, id: ShardId, kept: Kept) -> Result<(), WorkerFailure> {
        if kept == Kept::Drain {
            self.checkpoint(id)?;
        }
        self.lanes.remove(&id);
        Ok(())
    }

    fn safe_offsets(&mut self) -> Vec<(ShardId, TopicIndex, Offset)> {
        std::mem::take(&mut self.safe)
    }
}

/// Makes a batch durable. A disk that refuses ends the worker: the daemon stops with the reason, and
/// its next start resumes from what is durable, so nothing is lost.
///
/// Incidents that someone else has changed first are taken over into memory.
fn commit(shared: &Shared, lane: &mut Lane, batch: &Batch) -> Result<(), WorkerFailure> {
    let committed = shared.store.shard(lane.shard.id()).commit(batch).map_err(failure)?;
    for incident in &committed.kept_incidents {
        tracing::info!(incident = %incident.id, "an incident was changed by someone else first");
    }
    engine::take_over(&mut lane.shard, &shared.rules, &committed.kept_incidents).map_err(failure)
}

/// Makes effects durable at once, with the accounts that they come from.
fn make_durable(
    shared: &Shared,
    lane: &mut Lane,
    outcome: Outcome,
    audit: Vec<AuditEntry>,
) -> Result<(), WorkerFailure> {
    let mut batch = Batch {
        incidents: outcome.incidents.into_values().collect(),
        outbox: outcome.planned.into_iter().map(OutboxEntry::new).collect(),
        audit,
        ..Batch::default()
    };
    if shared.rules.has_shard_state() {
        shared.dead_letters.flush(DEAD_LETTER_FLUSH).map_err(failure)?;
        lane.shard.add_checkpoint(lane.merge.resume_offsets(), &mut batch);
    } else {
        lane.shard.add_accounts(&outcome.accounts, &mut batch);
    }
    commit(shared, lane, &batch)?;
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
