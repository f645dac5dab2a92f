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
use super::rebalance::{Context, IngestConsumer, add, commit_list, is_incremental, locate};
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
        Intake { shared, consumer: &consumer, batch_bytes: vec![0; shared.queues.len()] }.serve();
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
}

impl Intake<'_> {
    fn serve(&mut self) {
        let mut paused: BTreeSet<usize> = BTreeSet::new();
        let mut last_commit = Instant::now();
        let commit_interval = self.shared.settings.commit_interval.to_std();
        while !self.shared.stop.is_cancelled() && !self.shared.has_failed() {
            let waiting = self.batch_bytes.iter().any(|bytes| *bytes > 0);
            let wait = if waiting && paused.is_empty() { Duration::ZERO } else { POLL_WAIT };
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    if let Some(worker) = self.take(&message) {
                        self.hand_over(worker, &mut paused);
                    }
                }
                Some(Err(error)) => self.handle_error(error),
                None => {
                    for worker in 0..self.batch_bytes.len() {
                        self.hand_over(worker, &mut paused);
                    }
                }
            }
            if !paused.is_empty() {
                self.resume(&mut paused);
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
    fn hand_over(&mut self, worker: usize, paused: &mut BTreeSet<usize>) {
        let records = std::mem::take(&mut self.shared.pending()[worker]);
        self.batch_bytes[worker] = 0;
        if records.is_empty() {
            return;
        }
        self.observe(&records);
        let patience = if paused.contains(&worker) { Duration::ZERO } else { FULL_WORKER_PATIENCE };
        let Err(records) = self.shared.queues[worker].push_records(records, patience) else {
            return;
        };
        self.batch_bytes[worker] = records.iter().map(record_bytes).sum();
        self.shared.pending()[worker] = records;
        if let Err(error) = self.consumer.pause(&self.partitions_of(worker)) {
            warn!(%error, worker, "partitions of a full worker could not be paused");
        } else if paused.insert(worker) {
            self.shared.metrics.pauses.inc();
            warn!(worker, "a worker is behind; its partitions are paused");
        }
    }

    /// Lets partitions flow again whose worker has caught up.
    fn resume(&mut self, paused: &mut BTreeSet<usize>) {
        for worker in paused.clone() {
            if !self.shared.queues[worker].is_half_empty() {
                continue;
            }
            self.hand_over(worker, paused);
            match self.consumer.resume(&self.partitions_of(worker)) {
                Ok(()) => {
                    paused.remove(&worker);
                    info!(worker, "a worker has caught up; its partitions go on");
                }
                Err(error) => warn!(%error, worker, "partitions could not be resumed"),
            }
        }
    }

    fn partitions_of(&self, worker: usize) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for ((shard, topic), _) in self.shared.partitions().iter() {
            if self.shared.worker_of(shard) == worker {
                list.add_partition(self.shared.topic_name(topic), shard.0);
            }
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
