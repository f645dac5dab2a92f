//! Kafka to batches: one poll thread takes records and hands them to the worker of their shard.
//!
//! Promised here:
//! - the records of one partition reach their worker in order, each worker runs on one thread, and
//!   a shard is never with two workers;
//! - partitions start at the offsets of our own store; an offset that Kafka no longer has is
//!   counted and logged as an error before reading goes on;
//! - a revoked shard is finished and saved before another instance may have it;
//! - every queue is bounded by records and bytes; a slow worker slows Kafka down;
//! - a worker that fails ends the ingestion, with its reason.
//!
//! Absent on purpose: looking into records (that is `event`), deciding which offsets are durable
//! (that is the worker), and any timing that a detection depends on.

mod client;
mod consumer;
mod dead_letter;
mod metrics;
mod progress;
mod queue;
mod rebalance;
mod scan;
mod settings;
mod shared;
mod startup;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use rdkafka::error::KafkaError;
use tokio_util::sync::CancellationToken;

pub use dead_letter::{DeadLetterError, DeadLetters, Refusal};
pub use metrics::Metrics;
pub use scan::{PartitionScan, ScanError, scan};
pub use settings::{DeadLetterSettings, DeadLetterTarget, Settings, Start};

use crate::event::{Offset, RawRecord, ShardId, TopicIndex};
use crate::telemetry::Pulse;
use queue::Command;
use shared::{Parts, Shared};

/// A topic to read, with the index that the store keeps for its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputTopic {
    pub index: TopicIndex,
    pub name: String,
}

/// Where one topic of a shard stands when the shard is assigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// The first offset that will be read.
    pub resume: Offset,
    /// The end of the partition at the time of the assignment. Records may stop before it: markers
    /// of transactions and compaction leave holes. So whoever waits for it needs a time limit.
    pub end: Offset,
    pub started_at: StartedAt,
}

/// Why reading starts where it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartedAt {
    /// At the stored offset.
    Stored,
    /// The store does not know the partition: at the earliest or latest record, as configured.
    Unknown,
    /// Kafka deleted records before they were read.
    AfterGap { missed: i64 },
    /// The stored offset lies after the end: the topic was deleted and made anew, and offsets that
    /// were applied before say nothing about its records.
    Recreated,
}

/// How a shard goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// All its records that were taken are handed over: save them, then drop the state.
    Drain,
    /// Another instance may have it already: drop the state.
    Lost,
}

/// Why a worker cannot go on; ends the ingestion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WorkerFailure(pub String);

/// Handles the records of some shards. All calls come from one thread.
///
/// A call may take long (a full disk is waited for): the queue fills, and Kafka waits. What waits
/// inside a call must watch the stop token by itself.
pub trait ShardWorker: Send {
    /// A shard comes, with the topics that come with it; normally all at once. Called again for a
    /// shard that is here already when more of its topics come, or when a topic starts anew.
    fn assigned(
        &mut self,
        shard: ShardId,
        backlog: &BTreeMap<TopicIndex, Backlog>,
    ) -> Result<(), WorkerFailure>;

    /// Records of one or more shards, each partition's in order.
    fn records(&mut self, records: Vec<RawRecord>) -> Result<(), WorkerFailure>;

    /// All that one topic of a shard has at present was handed over: its end may lie further on, but
    /// only markers of transactions, or records of an open one, stand before it.
    fn read_to_end(&mut self, shard: ShardId, topic: TopicIndex) -> Result<(), WorkerFailure>;

    /// Nothing has arrived for the idle interval.
    fn idle(&mut self) -> Result<(), WorkerFailure>;

    /// A shard goes. After this returns, another instance may have it.
    fn revoked(&mut self, shard: ShardId, kept: Kept) -> Result<(), WorkerFailure>;

    /// Returns what has become durable since the last call: next offsets, for Kafka's lag monitors.
    /// Called after each of the above.
    fn safe_offsets(&mut self) -> Vec<(ShardId, TopicIndex, Offset)>;

    /// Returns the partitions that are not to be read on for now, because enough of them waits in
    /// the worker for another topic. Called after each of the above.
    fn held(&mut self) -> BTreeSet<(ShardId, TopicIndex)>;
}

/// Tells how far ingestion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// No broker answers.
    WaitingForKafka,
    /// The group has given us no partition (yet, or because there are more instances).
    WaitingForAssignment,
    Consuming,
}

/// Why ingestion cannot start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    #[error("the kafka settings are wrong: {0}")]
    Settings(String),
    #[error("no topic is configured")]
    NoTopic,
    #[error("the topic `{0}` does not exist")]
    TopicMissing(String),
    #[error(
        "the topics must have the same number of partitions, but `{first}` has {first_count} and `{second}` has {second_count}"
    )]
    PartitionCounts { first: String, first_count: usize, second: String, second_count: usize },
    #[error("the kafka client failed")]
    Client(#[source] KafkaError),
    #[error("the partitions could not be taken")]
    Assignment(#[source] KafkaError),
    #[error("the stored offsets of shard {shard} could not be read: {reason}")]
    Resume { shard: ShardId, reason: String },
    #[error("worker {number} failed: {reason}")]
    Worker { number: usize, reason: String },
    #[error("a thread could not be started")]
    Thread(#[source] std::io::Error),
}

/// Returns the next offset to read of each topic of a shard, from our own store.
pub type Resume =
    Box<dyn Fn(ShardId) -> Result<BTreeMap<TopicIndex, Offset>, WorkerFailure> + Send + Sync>;

/// What ingestion works with.
pub struct Wiring {
    pub topics: Vec<InputTopic>,
    pub resume: Resume,
    /// Makes the worker of each number, 0 to `workers`.
    pub make_worker: Box<dyn FnMut(usize) -> Box<dyn ShardWorker>>,
    pub metrics: Metrics,
    /// Called at each change, from the poll thread: it must not wait.
    pub on_readiness: Box<dyn Fn(Readiness) + Send + Sync>,
    /// The poll thread's sign of life.
    pub pulse: Pulse,
    /// Cancelled by whoever wants ingestion to end.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for Wiring {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Wiring").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// A running ingestion.
#[derive(Debug)]
pub struct Handle {
    thread: JoinHandle<Result<(), IngestError>>,
    ended: CancellationToken,
}

impl Handle {
    /// Returns a token that is cancelled when ingestion has ended, told to or not.
    pub fn ended(&self) -> CancellationToken {
        self.ended.clone()
    }

    /// Waits for the end (blocking: after a stop, the workers save what they have) and returns how
    /// it came.
    pub fn join(self) -> Result<(), IngestError> {
        self.thread.join().unwrap_or_else(|_| {
            Err(IngestError::Worker { number: 0, reason: "the poll thread panicked".to_owned() })
        })
    }
}

/// Starts the poll thread and the workers. Brokers that do not answer are waited for; what else is
/// wrong with topics ends the ingestion: see [`Handle::ended`] and [`Handle::join`].
///
/// # Errors
/// [`IngestError::Settings`], [`IngestError::NoTopic`] and [`IngestError::Thread`].
pub fn start(settings: &Settings, mut wiring: Wiring) -> Result<Handle, IngestError> {
    settings.check().map_err(IngestError::Settings)?;
    if wiring.topics.is_empty() {
        return Err(IngestError::NoTopic);
    }
    let workers: Vec<_> = (0..settings.workers).map(&mut wiring.make_worker).collect();
    let parts = Parts {
        topics: wiring.topics,
        metrics: wiring.metrics,
        resume: wiring.resume,
        on_readiness: wiring.on_readiness,
        pulse: wiring.pulse,
        stop: wiring.stop,
    };
    let shared = Shared::new(settings.clone(), parts);
    // Every topic has its figure before the first assignment.
    shared.observe();
    let ended = shared.ended.clone();
    let guard = shared.ended.clone().drop_guard();
    let thread = thread::Builder::new()
        .name("satpam-ingest".to_owned())
        .spawn(move || {
            let _guard = guard;
            supervise(&shared, workers)
        })
        .map_err(IngestError::Thread)?;
    Ok(Handle { thread, ended })
}

/// Runs the workers around the poll loop, so that they outlive the consumer.
fn supervise(shared: &Arc<Shared>, workers: Vec<Box<dyn ShardWorker>>) -> Result<(), IngestError> {
    let mut threads = Vec::new();
    let mut outcome = Ok(());
    for (number, worker) in workers.into_iter().enumerate() {
        let for_thread = Arc::clone(shared);
        let spawned = thread::Builder::new()
            .name(format!("satpam-worker-{number}"))
            .spawn(move || worker::run(&for_thread, number, worker));
        match spawned {
            Ok(thread) => threads.push(thread),
            Err(error) => outcome = Err(IngestError::Thread(error)),
        }
    }
    if outcome.is_ok() {
        outcome = consumer::run(shared);
    }
    for queue in &shared.queues {
        queue.push_command(Command::Stop);
    }
    for thread in threads {
        // A panic is caught inside and has been reported.
        let _ = thread.join();
    }
    outcome.and_then(|()| shared.take_failure().map_or(Ok(()), Err))
}
