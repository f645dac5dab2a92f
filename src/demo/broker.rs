//! The broker inside the process: librdkafka's mock cluster, and a producer for the traffic.
//!
//! A mock partition keeps only its last 5 MiB and drops older records silently: whoever produces
//! bounds what is under way (see `story`).

use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};

use super::traffic::{TopicKind, TrafficEvent};

pub(super) const PARTITIONS: i32 = 8;
pub(super) const TOPICS: [TopicKind; 4] =
    [TopicKind::Messages, TopicKind::Templates, TopicKind::Broadcasts, TopicKind::Accounts];

/// Returns the name of a topic.
pub(super) fn topic(kind: TopicKind) -> &'static str {
    match kind {
        TopicKind::Messages => "omnichannel.messages",
        TopicKind::Templates => "omnichannel.templates",
        TopicKind::Broadcasts => "omnichannel.broadcasts",
        TopicKind::Accounts => "omnichannel.accounts",
    }
}

/// A broker with the four topics, on a free port of this machine.
pub(super) struct Broker {
    cluster: MockCluster<'static, DefaultProducerContext>,
    producer: ThreadedProducer<DefaultProducerContext>,
}

impl std::fmt::Debug for Broker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Broker").field("address", &self.address()).finish_non_exhaustive()
    }
}

impl Broker {
    pub(super) fn start() -> Result<Self, KafkaError> {
        let cluster = MockCluster::new(1)?;
        for kind in TOPICS {
            cluster.create_topic(topic(kind), PARTITIONS, 1)?;
        }
        let producer = ClientConfig::new()
            .set("bootstrap.servers", cluster.bootstrap_servers())
            .set("client.id", "demo-traffic")
            // The same on all topics: one account's events meet in one partition number.
            .set("partitioner", "murmur2")
            .set("enable.idempotence", "true")
            .set("linger.ms", "5")
            .create()?;
        Ok(Self { cluster, producer })
    }

    pub(super) fn address(&self) -> String {
        self.cluster.bootstrap_servers()
    }

    /// Hands an event to the producer. The record carries the event's own time.
    pub(super) fn send(&self, event: &TrafficEvent) -> Result<(), KafkaError> {
        let record = BaseRecord::to(topic(event.topic))
            .key(event.account.as_str())
            .payload(&event.payload)
            .timestamp(event.time.millis());
        self.producer.send(record).map_err(|(error, _)| error)
    }
}
