//! Reads what a topic holds once, from its earliest record to its present end, without joining the
//! group or committing anything.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::consumer::base_consumer::PartitionQueue;
use rdkafka::consumer::{BaseConsumer, Consumer, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::time::Instant;

use super::{Settings, client};
use crate::event::{EventTime, Offset, Position, RawRecord, ShardId, TopicIndex};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_WAIT: Duration = Duration::from_millis(100);
/// A broker that gives no record of a partition for so long is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// A topic that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    #[error("kafka refuses")]
    Kafka(#[from] KafkaError),
    #[error("there is no topic of this name, or it has no partitions")]
    Missing,
    #[error("nothing came from partition {partition} for {} s", PATIENCE.as_secs())]
    Silent { partition: i32 },
}

/// One partition, read once.
pub struct PartitionScan {
    consumer: Arc<BaseConsumer>,
    queue: PartitionQueue<DefaultConsumerContext>,
    partition: i32,
    /// The end when the scan began.
    end: i64,
    is_done: bool,
}

impl std::fmt::Debug for PartitionScan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("PartitionScan")
            .field("partition", &self.partition)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// Starts to read every partition of a topic.
///
/// # Errors
/// The brokers do not answer within ten seconds, or know no such topic.
pub fn scan(settings: &Settings, topic: &str) -> Result<Vec<PartitionScan>, ScanError> {
    let consumer: BaseConsumer = client::scanner(settings).create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.filter(|found| found.error().is_none()).ok_or(ScanError::Missing)?;
    let mut assignment = TopicPartitionList::new();
    let mut bounds = Vec::new();
    for partition in found.partitions() {
        let id = partition.id();
        let (start, end) = consumer.fetch_watermarks(topic, id, ANSWER_TIMEOUT)?;
        assignment.add_partition_offset(topic, id, KafkaOffset::Offset(start))?;
        bounds.push((id, start, end));
    }
    if bounds.is_empty() {
        return Err(ScanError::Missing);
    }
    consumer.assign(&assignment)?;
    let consumer = Arc::new(consumer);
    bounds
        .into_iter()
        .map(|(partition, start, end)| {
            let queue =
                consumer.split_partition_queue(topic, partition).ok_or(ScanError::Missing)?;
            let is_done = start >= end;
            Ok(PartitionScan { consumer: Arc::clone(&consumer), queue, partition, end, is_done })
        })
        .collect()
}

impl PartitionScan {
    /// Returns the next record; nothing behind the last one that was there when the scan began.
    ///
    /// # Errors
    /// The client fails for good, or the broker is silent for a minute.
    pub fn next_record(&mut self) -> Result<Option<RawRecord>, ScanError> {
        let began = Instant::now();
        while !self.is_done {
            match self.queue.poll(POLL_WAIT) {
                Some(Ok(message)) => {
                    let offset = message.offset();
                    let record = record(&message);
                    self.is_done = offset + 1 >= self.end;
                    return Ok((offset < self.end).then_some(record));
                }
                Some(Err(KafkaError::PartitionEOF(_))) => self.is_done = true,
                Some(Err(error)) => return Err(error.into()),
                // The client's own events come by the main queue.
                None => match self.consumer.poll(Duration::ZERO) {
                    Some(Err(error @ KafkaError::MessageConsumptionFatal(_))) => {
                        return Err(error.into());
                    }
                    Some(_) | None if began.elapsed() > PATIENCE => {
                        return Err(ScanError::Silent { partition: self.partition });
                    }
                    Some(_) | None => {}
                },
            }
        }
        Ok(None)
    }
}

fn record(message: &BorrowedMessage<'_>) -> RawRecord {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| (header.key.to_owned(), header.value.unwrap_or_default().to_vec()))
            .collect()
    });
    RawRecord {
        shard: ShardId(message.partition()),
        position: Position { topic: TopicIndex(0), offset: Offset(message.offset()) },
        timestamp: message.timestamp().to_millis().map(EventTime::from_millis),
        key: message.key().map(<[u8]>::to_vec),
        headers,
        payload: message.payload().unwrap_or_default().to_vec(),
    }
}
