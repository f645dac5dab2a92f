//! What must be true before the first record is read: the brokers answer, the topics exist, and
//! all have the same number of partitions.

use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::time::Instant;
use tracing::{info, warn};

use super::rebalance::IngestConsumer;
use super::shared::Shared;
use super::{IngestError, Readiness};

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
const RETRY_AFTER: Duration = Duration::from_millis(500);
/// A topic that was made a moment ago is not known to every broker yet.
const MISSING_TOPIC_PATIENCE: Duration = Duration::from_secs(10);
/// The same complaint is not logged more often.
const COMPLAIN_EVERY: Duration = Duration::from_secs(30);

/// Waits until the topics can be read; returns `false` when told to stop before.
pub(super) fn check_topics(
    shared: &Shared,
    consumer: &IngestConsumer,
) -> Result<bool, IngestError> {
    let began = Instant::now();
    let mut complained: Option<Instant> = None;
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for topic in &shared.topics {
        let count = loop {
            if shared.stop.is_cancelled() {
                return Ok(false);
            }
            match partition_count(consumer, &topic.name) {
                Ok(count) => break count,
                Err(CountError::Missing) if began.elapsed() > MISSING_TOPIC_PATIENCE => {
                    return Err(IngestError::TopicMissing(topic.name.clone()));
                }
                Err(CountError::Missing) => {}
                Err(CountError::NoAnswer(error)) => {
                    shared.set_readiness(Readiness::WaitingForKafka);
                    if complained.is_none_or(|last| last.elapsed() > COMPLAIN_EVERY) {
                        complained = Some(Instant::now());
                        let brokers = &shared.settings.brokers;
                        warn!(%error, brokers, "kafka does not answer; waiting for it");
                    }
                }
            }
            shared.pulse.beat();
            // Nothing is subscribed: this only waits, and serves the client's own events.
            if let Some(Err(error)) = consumer.poll(RETRY_AFTER) {
                tracing::debug!(%error, "while waiting for kafka");
            }
        };
        counts.push((&topic.name, count));
    }
    if let [(first, expected), others @ ..] = counts.as_slice()
        && let Some((other, found)) = others.iter().find(|(_, count)| count != expected)
    {
        return Err(IngestError::PartitionCounts {
            first: (*first).to_owned(),
            first_count: *expected,
            second: (*other).to_owned(),
            second_count: *found,
        });
    }
    info!(topics = counts.len(), partitions = counts.first().map(|count| count.1), "topics found");
    Ok(true)
}

enum CountError {
    Missing,
    NoAnswer(KafkaError),
}

fn partition_count(consumer: &IngestConsumer, topic: &str) -> Result<usize, CountError> {
    let metadata =
        consumer.fetch_metadata(Some(topic), ANSWER_TIMEOUT).map_err(CountError::NoAnswer)?;
    let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
        return Err(CountError::Missing);
    };
    if let Some(error) = found.error() {
        let code = RDKafkaErrorCode::from(error);
        let unknown = [RDKafkaErrorCode::UnknownTopicOrPartition, RDKafkaErrorCode::UnknownTopic];
        return Err(if unknown.contains(&code) {
            CountError::Missing
        } else {
            CountError::NoAnswer(KafkaError::MetadataFetch(code))
        });
    }
    match found.partitions().len() {
        0 => Err(CountError::Missing),
        count => Ok(count),
    }
}
