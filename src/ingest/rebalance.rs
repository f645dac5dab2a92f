//! The consumer's callbacks: what happens when partitions come and go.
//!
//! Partitions start at the offsets of our own store, given with the assignment itself (a seek
//! afterwards races with the fetcher). A revoked shard is finished, saved and committed before
//! another instance may have it; a lost one is dropped, because another instance may have it
//! already. All this runs on the poll thread, inside a poll.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset as KafkaOffset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::progress::{PartitionKey, start_offset};
use super::queue::Command;
use super::shared::{Shared, by_shard};
use super::{Backlog, IngestError, Kept, Readiness, Start, StartedAt};
use crate::event::{Offset, ShardId};

/// At most this long for one partition's offsets.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(5);

/// The consumer's context. It holds no consumer: that would keep itself alive.
#[derive(Debug)]
pub(super) struct Context(pub(super) Arc<Shared>);

pub(super) type IngestConsumer = BaseConsumer<Context>;

impl ClientContext for Context {
    fn stats(&self, statistics: Statistics) {
        let mut read_to_end = Vec::new();
        let paused = self.0.paused().clone();
        let mut partitions = self.0.partitions();
        for topic in &self.0.topics {
            let Some(figures) = statistics.topics.get(&topic.name) else { continue };
            let mut numbers: Vec<_> = figures.partitions.values().collect();
            numbers.sort_unstable_by_key(|partition| partition.partition);
            for partition in numbers {
                if partition.hi_offset >= 0 {
                    let key = (ShardId(partition.partition), topic.index);
                    partitions.end(key, Offset(partition.hi_offset));
                }
                // Behind the last stable offset lie records of open transactions.
                let last = if partition.ls_offset >= 0 {
                    partition.hi_offset.min(partition.ls_offset)
                } else {
                    partition.hi_offset
                };
                let key = (ShardId(partition.partition), topic.index);
                // What was fetched of a paused partition was thrown away again.
                let is_quiet = partition.hi_offset >= 0
                    && partition.next_offset >= last
                    && partition.fetchq_cnt == 0
                    && !paused.contains(&key);
                if partitions.looked(key, is_quiet) {
                    read_to_end.push(key);
                }
            }
        }
        let assigned = !partitions.is_empty();
        drop(partitions);
        for (shard, topic) in read_to_end {
            let worker = self.0.worker_of(shard);
            self.0.flush_pending(worker);
            self.0.queues[worker].push_command(Command::ReadToEnd { shard, topic });
        }
        self.0.observe();
        let up = statistics.brokers.values().any(|broker| broker.state == "UP");
        self.0.set_readiness(match (up, assigned) {
            (false, _) => Readiness::WaitingForKafka,
            (true, false) => Readiness::WaitingForAssignment,
            (true, true) => Readiness::Consuming,
        });
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.metrics.client_errors.inc();
        warn!(%error, reason, "kafka client error");
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.assign(consumer, list);
        } else if event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS {
            self.revoke(consumer, list);
        } else {
            error!(event = %RDKafkaErrorCode::from(event), "rebalance failed");
            if let Err(error) = consumer.unassign() {
                error!(%error, "the assignment could not be given up");
            }
        }
    }

    fn commit_callback(&self, result: KafkaResult<()>, _offsets: &TopicPartitionList) {
        match result {
            Ok(()) | Err(KafkaError::ConsumerCommit(RDKafkaErrorCode::NoOffset)) => {}
            Err(error) => {
                self.0.metrics.commit_failures.inc();
                self.0.partitions().commit_failed();
                warn!(%error, "offset commit failed; it is tried again");
            }
        }
    }

    fn main_queue_min_poll_interval(&self) -> rdkafka::util::Timeout {
        rdkafka::util::Timeout::After(Duration::from_millis(100))
    }
}

impl Context {
    fn assign(&self, consumer: &IngestConsumer, list: &TopicPartitionList) {
        let shared = &self.0;
        shared.metrics.rebalances.with_label_values(&["assigned"]).inc();
        let keys = self.keys(list);
        let target = self.start(consumer, &keys);
        let incremental = is_incremental(consumer);
        let result = if incremental {
            consumer.incremental_assign(&target)
        } else {
            consumer.assign(&target)
        };
        info!(partitions = target.count(), incremental, "partitions assigned");
        if let Err(error) = result {
            shared.fail(IngestError::Assignment(error));
        }
        shared.forget_pauses(&keys);
        shared.observe();
        if !shared.partitions().is_empty() {
            shared.set_readiness(Readiness::Consuming);
        }
    }

    /// Tells the workers of shards that come, and returns the offsets to start from.
    fn start(&self, consumer: &IngestConsumer, keys: &[PartitionKey]) -> TopicPartitionList {
        let shared = &self.0;
        let deadline = Instant::now() + shared.settings.rebalance_timeout.to_std();
        let mut target = TopicPartitionList::new();
        let mut commands = Vec::new();
        for (shard, topics) in by_shard(keys) {
            let stored = match (shared.resume)(shard) {
                Ok(stored) => stored,
                Err(failure) => {
                    shared.fail(IngestError::Resume { shard, reason: failure.0 });
                    BTreeMap::new()
                }
            };
            let mut backlog = BTreeMap::new();
            for topic in topics {
                let known = stored.get(&topic).copied();
                let (offset, entry) = locate(shared, consumer, (shard, topic), known, deadline);
                add(&mut target, shared.topic_name(topic), shard, offset);
                if let Some(entry) = entry {
                    backlog.insert(topic, entry);
                }
            }
            commands.push((shard, backlog));
        }
        for (shard, backlog) in commands {
            for (topic, entry) in &backlog {
                let end = Some(entry.end);
                shared.partitions().assign((shard, *topic), entry.resume, end);
            }
            let queue = &shared.queues[shared.worker_of(shard)];
            queue.push_command(Command::Assigned { shard, backlog });
        }
        target
    }

    fn revoke(&self, consumer: &IngestConsumer, list: &TopicPartitionList) {
        let shared = &self.0;
        let kept = if consumer.assignment_lost() { Kept::Lost } else { Kept::Drain };
        let kind = match kept {
            Kept::Drain => "revoked",
            Kept::Lost => "lost",
        };
        shared.metrics.rebalances.with_label_values(&[kind]).inc();
        info!(partitions = list.count(), kind, "partitions revoked");
        let keys = self.keys(list);
        let shards: Vec<ShardId> = by_shard(&keys).into_keys().collect();
        let finished = self.let_go(&shards, kept);
        if finished && kept == Kept::Drain {
            commit_now(shared, consumer, &keys);
        }
        for key in &keys {
            shared.partitions().revoke(*key);
            shared.forget_figures(*key);
        }
        end_pauses(shared, consumer, &keys);
        let result = if is_incremental(consumer) {
            consumer.incremental_unassign(list)
        } else {
            consumer.unassign()
        };
        if let Err(error) = result {
            error!(%error, "the assignment could not be given up");
        }
        self.keep_other_topics(consumer, &shards);
        shared.observe();
    }

    /// Tells the workers that shards go, and waits until they have let go; `false` when one did not
    /// within the limit.
    fn let_go(&self, shards: &[ShardId], kept: Kept) -> bool {
        let shared = &self.0;
        let (done, answers) = mpsc::sync_channel(shards.len().max(1));
        for shard in shards {
            let worker = shared.worker_of(*shard);
            match kept {
                Kept::Drain => shared.flush_pending(worker),
                Kept::Lost => shared.discard(*shard),
            }
            let done = done.clone();
            shared.queues[worker].push_command(Command::Revoked { shard: *shard, kept, done });
        }
        drop(done);
        let deadline = Instant::now() + shared.settings.rebalance_timeout.to_std();
        for _ in shards {
            let left = deadline.saturating_duration_since(Instant::now());
            if answers.recv_timeout(left).is_err() {
                error!("a worker did not finish its shards in time; others may redo its work");
                return false;
            }
        }
        true
    }

    /// A shard whose other topics stay here (only some of its partitions moved) goes on with them,
    /// from where the store says: what waited in the worker went with the shard's state.
    fn keep_other_topics(&self, consumer: &IngestConsumer, shards: &[ShardId]) {
        let keys: Vec<PartitionKey> = {
            let partitions = self.0.partitions();
            let of_shard = |shard: &ShardId| {
                let shard = *shard;
                partitions.of_shard(shard).map(move |(topic, _)| (shard, topic)).collect::<Vec<_>>()
            };
            shards.iter().flat_map(of_shard).collect()
        };
        // The eager protocol takes everything at once, so something stays with the other one only.
        if keys.is_empty() || !is_incremental(consumer) {
            return;
        }
        let target = self.start(consumer, &keys);
        end_pauses(&self.0, consumer, &keys);
        let result = consumer
            .incremental_unassign(&target)
            .and_then(|()| consumer.incremental_assign(&target));
        if let Err(error) = result {
            self.0.fail(IngestError::Assignment(error));
        }
    }

    fn keys(&self, list: &TopicPartitionList) -> Vec<PartitionKey> {
        list.elements()
            .iter()
            .filter_map(|element| {
                let topic = self.0.topic_index(element.topic())?;
                Some((ShardId(element.partition()), topic))
            })
            .collect()
    }
}

/// Ends the pauses of partitions that are about to go or to start again. Only of those that are
/// paused: a resumption throws away what was fetched, and does not fetch it again where there was
/// no pause.
pub(super) fn end_pauses(shared: &Shared, consumer: &IngestConsumer, keys: &[PartitionKey]) {
    let mut list = TopicPartitionList::new();
    for (shard, topic) in shared.forget_pauses(keys) {
        list.add_partition(shared.topic_name(topic), shard.0);
    }
    if list.count() > 0
        && let Err(error) = consumer.resume(&list)
    {
        warn!(%error, "partitions could not be resumed");
    }
}

pub(super) fn is_incremental(consumer: &IngestConsumer) -> bool {
    match consumer.rebalance_protocol() {
        RebalanceProtocol::Cooperative => true,
        RebalanceProtocol::Eager | RebalanceProtocol::None => false,
    }
}

/// Decides where a partition is read from, and says so loudly when it is not where we stopped.
///
/// When the broker does not tell the partition's offsets in time, reading starts unchecked: an
/// offset that is gone then shows as an error of the fetcher.
pub(super) fn locate(
    shared: &Shared,
    consumer: &IngestConsumer,
    key: PartitionKey,
    stored: Option<Offset>,
    deadline: Instant,
) -> (KafkaOffset, Option<Backlog>) {
    let (partition, topic) = key;
    let name = shared.topic_name(topic);
    let left = deadline.saturating_duration_since(Instant::now()).min(WATERMARK_TIMEOUT);
    let (first, end) = match consumer.fetch_watermarks(name, partition.0, left) {
        Ok((first, end)) => (Offset(first), Offset(end)),
        Err(error) => {
            warn!(%error, topic = name, %partition, "offsets could not be looked up");
            return match (stored, shared.settings.start) {
                (Some(stored), _) => {
                    let started_at = StartedAt::Stored;
                    let backlog = Backlog { resume: stored, end: stored, started_at };
                    (KafkaOffset::Offset(stored.0), Some(backlog))
                }
                (None, Start::Earliest) => (KafkaOffset::Beginning, Some(unknown())),
                (None, Start::Latest) => (KafkaOffset::End, Some(unknown())),
            };
        }
    };
    let from_latest = shared.settings.start == Start::Latest;
    let (resume, started_at) = start_offset(stored, (first, end), from_latest);
    let reason = match started_at {
        StartedAt::Stored | StartedAt::Unknown => {
            debug!(topic = name, %partition, offset = resume.0, "reading starts");
            None
        }
        StartedAt::AfterGap { missed } => {
            shared.metrics.missed_messages.inc_by(missed.unsigned_abs());
            error!(
                topic = name,
                %partition,
                missed,
                "kafka deleted records before they were read; reading goes on after them"
            );
            Some("gap")
        }
        StartedAt::Recreated => {
            error!(
                topic = name,
                %partition,
                stored = stored.map(|offset| offset.0),
                end = end.0,
                "the topic was made anew; reading starts at its beginning"
            );
            Some("recreated")
        }
    };
    if let Some(reason) = reason {
        shared.metrics.offsets_out_of_range.with_label_values(&[reason]).inc();
    }
    (KafkaOffset::Offset(resume.0), Some(Backlog { resume, end: end.max(resume), started_at }))
}

fn unknown() -> Backlog {
    Backlog { resume: Offset(0), end: Offset(0), started_at: StartedAt::Unknown }
}

pub(super) fn add(list: &mut TopicPartitionList, topic: &str, shard: ShardId, offset: KafkaOffset) {
    list.add_partition_offset(topic, shard.0, offset)
        .expect("an offset of the broker or of our store is not negative");
}

/// Commits what is safe of these partitions and waits for the broker's answer: at most the
/// session timeout when there is no broker.
fn commit_now(shared: &Shared, consumer: &IngestConsumer, keys: &[PartitionKey]) {
    let commits = shared.partitions().take_commits(|key| keys.contains(&key));
    if commits.is_empty() {
        return;
    }
    if let Err(error) = consumer.commit(&commit_list(shared, &commits), CommitMode::Sync) {
        shared.metrics.commit_failures.inc();
        warn!(%error, "offset commit at revocation failed; only lag monitors are affected");
    }
}

pub(super) fn commit_list(
    shared: &Shared,
    commits: &[(PartitionKey, Offset)],
) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(commits.len());
    for ((shard, topic), offset) in commits {
        add(&mut list, shared.topic_name(*topic), *shard, KafkaOffset::Offset(offset.0));
    }
    list
}
