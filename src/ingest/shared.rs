//! What the poll thread, its callbacks and the workers share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::progress::{PartitionKey, Partitions};
use super::queue::Queue;
use super::{IngestError, InputTopic, Readiness, Resume, Settings};
use crate::event::{RawRecord, ShardId, TopicIndex};
use crate::telemetry::Pulse;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) topics: Vec<InputTopic>,
    pub(super) metrics: Metrics,
    pub(super) resume: Resume,
    pub(super) queues: Vec<Queue>,
    pub(super) stop: CancellationToken,
    pub(super) ended: CancellationToken,
    pub(super) on_readiness: Box<dyn Fn(Readiness) + Send + Sync>,
    pub(super) pulse: Pulse,
    partitions: Mutex<Partitions>,
    /// The batch that each worker gets next.
    pending: Mutex<Vec<Vec<RawRecord>>>,
    /// The partitions that each worker does not want to be read on.
    held: Mutex<Vec<BTreeSet<PartitionKey>>>,
    /// Those, or the assignment, have changed since the poll thread looked.
    pauses_changed: AtomicBool,
    /// The partitions that the client does not fetch.
    paused: Mutex<BTreeSet<PartitionKey>>,
    readiness: Mutex<Option<Readiness>>,
    failure: Mutex<Option<IngestError>>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// What [`Shared::new`] takes besides the settings.
pub(super) struct Parts {
    pub(super) topics: Vec<InputTopic>,
    pub(super) metrics: Metrics,
    pub(super) resume: Resume,
    pub(super) on_readiness: Box<dyn Fn(Readiness) + Send + Sync>,
    pub(super) pulse: Pulse,
    pub(super) stop: CancellationToken,
}

impl Shared {
    pub(super) fn new(settings: Settings, parts: Parts) -> Arc<Self> {
        let queue = |_| Queue::new(settings.queue_records_max, settings.queue_bytes_max);
        Arc::new(Self {
            queues: (0..settings.workers).map(queue).collect(),
            pending: Mutex::new(vec![Vec::new(); settings.workers]),
            held: Mutex::new(vec![BTreeSet::new(); settings.workers]),
            pauses_changed: AtomicBool::new(false),
            paused: Mutex::default(),
            settings,
            topics: parts.topics,
            metrics: parts.metrics,
            resume: parts.resume,
            stop: parts.stop,
            ended: CancellationToken::new(),
            on_readiness: parts.on_readiness,
            pulse: parts.pulse,
            partitions: Mutex::default(),
            readiness: Mutex::default(),
            failure: Mutex::default(),
        })
    }

    /// Returns the number of the worker of a shard.
    pub(super) fn worker_of(&self, shard: ShardId) -> usize {
        usize::try_from(shard.0).unwrap_or_default() % self.queues.len()
    }

    pub(super) fn topic_index(&self, name: &str) -> Option<TopicIndex> {
        self.topics.iter().find(|topic| topic.name == name).map(|topic| topic.index)
    }

    pub(super) fn topic_name(&self, index: TopicIndex) -> &str {
        self.topics.iter().find(|topic| topic.index == index).map_or("", |topic| &topic.name)
    }

    pub(super) fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pending(&self) -> MutexGuard<'_, Vec<Vec<RawRecord>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which partitions a worker does not want to be read on.
    pub(super) fn hold(&self, worker: usize, partitions: BTreeSet<PartitionKey>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held[worker] != partitions {
            held[worker] = partitions;
            self.pauses_changed.store(true, Ordering::Release);
        }
    }

    /// Returns whether pauses have to be looked at again, once.
    pub(super) fn take_pauses_changed(&self) -> bool {
        self.pauses_changed.swap(false, Ordering::AcqRel)
    }

    pub(super) fn paused(&self) -> MutexGuard<'_, BTreeSet<PartitionKey>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets the pauses of partitions that go or start again; returns those that were paused.
    pub(super) fn forget_pauses(&self, keys: &[PartitionKey]) -> Vec<PartitionKey> {
        let mut paused = self.paused();
        let forgotten = keys.iter().copied().filter(|key| paused.remove(key)).collect();
        self.pauses_changed.store(true, Ordering::Release);
        forgotten
    }

    /// Returns the partitions that some worker does not want to be read on.
    pub(super) fn held(&self) -> BTreeSet<PartitionKey> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().flatten().copied().collect()
    }

    /// Keeps the first failure; the poll thread ends soon.
    pub(super) fn fail(&self, error: IngestError) {
        tracing::error!(%error, "ingestion failed");
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn take_failure(&self) -> Option<IngestError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Reports a change of readiness.
    pub(super) fn set_readiness(&self, readiness: Readiness) {
        let mut last = self.readiness.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != Some(readiness) {
            *last = Some(readiness);
            drop(last);
            tracing::info!(?readiness, "ingestion");
            (self.on_readiness)(readiness);
        }
    }

    /// Brings the figures of all partitions up to date.
    pub(super) fn observe(&self) {
        let partitions = self.partitions();
        let mut count = 0;
        let mut by_topic: BTreeMap<&str, i64> =
            self.topics.iter().map(|topic| (topic.name.as_str(), 0)).collect();
        for ((shard, topic), progress) in partitions.iter() {
            let name = self.topic_name(topic);
            let lag = progress.lag();
            self.metrics.lag.with_label_values(&[name, &shard.to_string()]).set(lag);
            *by_topic.entry(name).or_default() += lag;
            count += 1;
        }
        for (topic, lag) in by_topic {
            self.metrics.topic_lag.with_label_values(&[topic]).set(lag);
        }
        self.metrics.assigned_partitions.set(count);
    }

    /// Removes the figures of a partition that another instance owns.
    pub(super) fn forget_figures(&self, (shard, topic): PartitionKey) {
        let labels = [self.topic_name(topic), &shard.to_string()];
        // They are missing if nothing was read.
        let _ = self.metrics.lag.remove_label_values(&labels);
        let _ = self.metrics.last_message_timestamp.remove_label_values(&labels);
    }

    /// Hands a worker its pending records ahead of a command that follows.
    pub(super) fn flush_pending(&self, worker: usize) {
        let records = std::mem::take(&mut self.pending()[worker]);
        if !records.is_empty() {
            self.queues[worker].force_records(records);
        }
    }

    /// Drops what waits of a shard that another instance owns by now.
    pub(super) fn discard(&self, shard: ShardId) {
        let worker = self.worker_of(shard);
        self.pending()[worker].retain(|record| record.shard != shard);
        self.queues[worker].discard(shard);
    }
}

/// Sorts partitions by shard.
pub(super) fn by_shard(keys: &[PartitionKey]) -> BTreeMap<ShardId, Vec<TopicIndex>> {
    let mut shards: BTreeMap<ShardId, Vec<TopicIndex>> = BTreeMap::new();
    for (shard, topic) in keys {
        shards.entry(*shard).or_default().push(*topic);
    }
    shards
}
