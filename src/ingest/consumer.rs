//! The poll thread: takes records from Kafka and hands them, in batches, to the workers.
//!
//! It never stops polling for long: when a worker is full it waits a little, and then stops
//! fetching that worker's partitions (which throws fetched records away, so it is the last resort).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::progress::PartitionKey;
use super::queue::{Command, record_bytes};
use super::rebalance::{
    Context, IngestConsumer, add, commit_list, end_pauses, is_incremental, locate,
};
use super::shared::{Shared, by_shard};
use super::startup::check_topics;
use super::{Backlog, IngestError, StartedAt, client};
use crate::event::{EventTime, Offset, Position, RawRecord, ShardId};

/// The poll thread looks around this often when nothing arrives.
const POLL_WAIT: Duration = Duration::from_millis(50);
/// Records are handed over when their batch has so many bytes, however few they are.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// A full worker is waited for so long before its partitions are paused.
const FULL_WORKER_PATIENCE: Duration = Duration::from_secs(2);

/// Runs until told to stop, or until something fails; then lets go of all partitions in order.
pub(super) fn run(shared: &Arc<Shared>) -> Result<(), IngestError> {
    let consumer: IngestConsumer = client::consumer(&shared.settings)
        .create_with_context(Context(Arc::clone(shared)))
        .map_err(IngestError::Client)?;
    if check_topics(shared, &consumer)? {
        let names: Vec<&str> = shared.topics.iter().map(|topic| topic.name.as_str()).collect();
        consumer.subscribe(&names).map_err(IngestError::Client)?;
        info!(topics = ?names, group = shared.settings.group_id, "subscribed");
        let batch_bytes = vec![0; shared.queues.len()];
        Intake { shared, consumer: &consumer, batch_bytes, full: BTreeSet::new() }.serve();
    }
    // Closing revokes all partitions through the callback: workers finish and save, offsets are
    // committed. The queues live longer than this.
    drop(consumer);
    info!("consumer closed");
    Ok(())
}

struct Intake<'a> {
    shared: &'a Arc<Shared>,
    consumer: &'a IngestConsumer,
    batch_bytes: Vec<usize>,
    /// Workers that had no room for long; their partitions are paused.
    full: BTreeSet<usize>,
}

impl Intake<'_> {
    fn serve(&mut self) {
        let mut last_commit = Instant::now();
        let commit_interval = self.shared.settings.commit_interval.to_std();
        while !self.shared.stop.is_cancelled() && !self.shared.has_failed() {
            let waiting = self.batch_bytes.iter().any(|bytes| *bytes > 0);
            let wait = if waiting && self.full.is_empty() { Duration::ZERO } else { POLL_WAIT };
            self.shared.pulse.beat();
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    if let Some(worker) = self.take(&message) {
                        self.hand_over(worker);
                    }
                }
                Some(Err(error)) => self.handle_error(error),
                None => {
                    for worker in 0..self.batch_bytes.len() {
                        self.hand_over(worker);
                    }
                }
            }
            if !self.full.is_empty() {
                self.relieve();
            }
            if self.shared.take_pauses_changed() {
                self.pause_and_resume();
            }
            if last_commit.elapsed() >= commit_interval {
                last_commit = Instant::now();
                self.commit();
            }
        }
    }

    /// Adds a record to its worker's batch; returns the worker when the batch is full.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> Option<usize> {
        let topic = self.shared.topic_index(message.topic())?;
        let shard = ShardId(message.partition());
        let timestamp = message.timestamp().to_millis().map(EventTime::from_millis);
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers
                .iter()
                .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
                .collect()
        });
        let record = RawRecord {
            shard,
            position: Position { topic, offset: Offset(message.offset()) },
            timestamp,
            key: message.key().map(<[u8]>::to_vec),
            headers,
            payload: message.payload().unwrap_or_default().to_vec(),
        };
        let worker = self.shared.worker_of(shard);
        self.batch_bytes[worker] += record_bytes(&record);
        self.shared.partitions().delivered((shard, topic), record.position.offset);
        let mut pending = self.shared.pending();
        pending[worker].push(record);
        let full = pending[worker].len() >= self.shared.settings.batch_records_max
            || self.batch_bytes[worker] >= BATCH_BYTES_MAX;
        full.then_some(worker)
    }

    /// Gives a worker its batch. When it has no room for long, its partitions are paused and the
    /// batch waits here.
    fn hand_over(&mut self, worker: usize) {
        let records = std::mem::take(&mut self.shared.pending()[worker]);
        self.batch_bytes[worker] = 0;
        if records.is_empty() {
            return;
        }
        self.observe(&records);
        let is_full = self.full.contains(&worker);
        let patience = if is_full { Duration::ZERO } else { FULL_WORKER_PATIENCE };
        let Err(records) = self.shared.queues[worker].push_records(records, patience) else {
            return;
        };
        self.batch_bytes[worker] = records.iter().map(record_bytes).sum();
        self.shared.pending()[worker] = records;
        if self.full.insert(worker) {
            self.shared.metrics.pauses.inc();
            warn!(worker, "a worker is behind; its partitions are paused");
            self.pause_and_resume();
        }
    }

    /// Lets the partitions flow again of workers that have caught up.
    fn relieve(&mut self) {
        for worker in self.full.clone() {
            if self.shared.queues[worker].is_half_empty() {
                self.hand_over(worker);
                self.full.remove(&worker);
                info!(worker, "a worker has caught up; its partitions go on");
                self.pause_and_resume();
            }
        }
    }

    /// Pauses the partitions of full workers and those that a worker has enough of, and lets all
    /// others flow.
    fn pause_and_resume(&self) {
        let held = self.shared.held();
        let wanted: BTreeSet<PartitionKey> = self
            .shared
            .partitions()
            .iter()
            .map(|(key, _)| key)
            .filter(|key| held.contains(key) || self.full.contains(&self.shared.worker_of(key.0)))
            .collect();
        let mut paused = self.shared.paused();
        let stopped = self.list(wanted.difference(&paused));
        if stopped.count() > 0
            && let Err(error) = self.consumer.pause(&stopped)
        {
            warn!(%error, "partitions could not be paused");
        }
        let released = self.list(paused.difference(&wanted));
        if released.count() > 0
            && let Err(error) = self.consumer.resume(&released)
        {
            warn!(%error, "partitions could not be resumed");
        }
        *paused = wanted;
    }

    fn list<'k>(&self, keys: impl Iterator<Item = &'k PartitionKey>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (shard, topic) in keys {
            list.add_partition(self.shared.topic_name(*topic), shard.0);
        }
        list
    }

    fn commit(&self) {
        let commits = self.shared.partitions().take_commits(|_| true);
        if commits.is_empty() {
            return;
        }
        debug!(partitions = commits.len(), "committing offsets");
        let list = commit_list(self.shared, &commits);
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            self.shared.metrics.commit_failures.inc();
            self.shared.partitions().commit_failed();
            warn!(%error, "offset commit failed; it is tried again");
        }
    }

    fn handle_error(&self, error: KafkaError) {
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            self.shared.fail(IngestError::Client(error));
            return;
        }
        self.shared.metrics.client_errors.inc();
        match code {
            Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => {
                self.find_lost_offsets();
            }
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::SaslAuthenticationFailed
                | RDKafkaErrorCode::SSL,
            ) => error!(%error, "kafka refuses to serve"),
            _ => warn!(%error, "kafka client error; it is tried again"),
        }
    }

    /// The fetcher met an offset that the broker does not have, and does not say where: looks at
    /// every partition and starts the wrong ones at their beginning.
    fn find_lost_offsets(&self) {
        let deadline = Instant::now() + self.shared.settings.rebalance_timeout.to_std();
        let known: Vec<(PartitionKey, Offset)> = self
            .shared
            .partitions()
            .iter()
            .map(|(key, progress)| (key, progress.delivered))
            .collect();
        let mut all = TopicPartitionList::new();
        let mut moved = TopicPartitionList::new();
        let mut moved_keys: Vec<PartitionKey> = Vec::new();
        for ((shard, topic), next) in known {
            let name = self.shared.topic_name(topic);
            let (offset, backlog) =
                locate(self.shared, self.consumer, (shard, topic), Some(next), deadline);
            add(&mut all, name, shard, offset);
            let Some(backlog) = backlog else { continue };
            if backlog.started_at == StartedAt::Stored {
                continue;
            }
            add(&mut moved, name, shard, offset);
            moved_keys.push((shard, topic));
            self.restart(shard, topic, backlog);
        }
        debug!(partitions = by_shard(&moved_keys).len(), "partitions start again");
        end_pauses(self.shared, self.consumer, &moved_keys);
        let result = if is_incremental(self.consumer) {
            self.consumer
                .incremental_unassign(&moved)
                .and_then(|()| self.consumer.incremental_assign(&moved))
        } else {
            self.consumer.assign(&all)
        };
        if let Err(error) = result {
            self.shared.fail(IngestError::Assignment(error));
        }
    }

    fn restart(&self, shard: ShardId, topic: crate::event::TopicIndex, backlog: Backlog) {
        let worker = self.shared.worker_of(shard);
        self.shared.flush_pending(worker);
        self.shared.partitions().assign((shard, topic), backlog.resume, Some(backlog.end));
        self.shared.queues[worker]
            .push_command(Command::Assigned { shard, backlog: [(topic, backlog)].into() });
    }

    #[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for 285,000 years")]
    fn observe(&self, records: &[RawRecord]) {
        let mut last: std::collections::BTreeMap<PartitionKey, i64> =
            std::collections::BTreeMap::new();
        for record in records {
            if let Some(timestamp) = record.timestamp {
                last.insert((record.shard, record.position.topic), timestamp.millis());
            }
        }
        for ((shard, topic), millis) in last {
            let labels = [self.shared.topic_name(topic), &shard.to_string()];
            let gauge = self.shared.metrics.last_message_timestamp.with_label_values(&labels);
            gauge.set(millis as f64 / 1000.0);
        }
    }
}
