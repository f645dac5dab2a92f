//! The properties of the Kafka clients, with the reason for each that is not the default.

use rdkafka::ClientConfig;

use super::Settings;

/// The properties of the consumer.
pub(super) fn consumer(settings: &Settings) -> ClientConfig {
    let mut config = shared(settings);
    config
        .set("group.id", &settings.group_id)
        // Our own store knows the offsets; Kafka's copy is for lag monitors.
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // A stored offset that is gone must be reported, not followed silently.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        // The default of a second stalls a consumer that is slower than the fetcher.
        .set("fetch.queue.backoff.ms", "10")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.wait.max.ms", "50")
        // Ends of partitions, for the lag.
        .set("statistics.interval.ms", "2000");
    if uses_consumer_protocol(settings) {
        // As below; the broker does the assignment.
        config.set("group.remote.assignor", "range");
    } else {
        // One account's events of all topics must meet in one instance. Of the assignors only
        // `range` gives partition N of every topic to the same member; the sticky ones count
        // partitions and tear the topics apart.
        config.set("partition.assignment.strategy", "range");
        config.set("session.timeout.ms", settings.session_timeout.millis().to_string());
    }
    if let Some(instance) = &settings.group_instance_id {
        config.set("group.instance.id", instance);
    }
    add_own(&mut config, settings);
    config
}

/// The properties of a reader that reads once: it joins no group and commits nothing.
pub(super) fn scanner(settings: &Settings) -> ClientConfig {
    let mut config = shared(settings);
    config
        // The client wants a name even where it only reads assigned partitions.
        .set("group.id", &settings.group_id)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // Records that retention takes away while they are read are skipped.
        .set("auto.offset.reset", "earliest")
        .set("isolation.level", "read_committed")
        // Every partition has its own queue.
        .set("queued.max.messages.kbytes", "2048");
    add_own(&mut config, settings);
    config
}

/// The properties of the producer of dead letters.
pub(super) fn producer(settings: &Settings) -> ClientConfig {
    let mut config = shared(settings);
    config
        .set("enable.idempotence", "true")
        // A dead letter is tried until it is written: its offset must not be passed before.
        .set("message.timeout.ms", "0")
        // Records of any size that a broker may hold; the topic's own limit decides.
        .set("message.max.bytes", "67108864")
        // A broker refuses whole batches for their size: large ones would take others with them.
        .set("batch.size", "262144")
        .set("compression.type", "zstd")
        .set("linger.ms", "5");
    add_own(&mut config, settings);
    config
}

/// Tells whether the broker-side group protocol (Kafka 4) is asked for by
/// `client: {group.protocol: consumer}`.
fn uses_consumer_protocol(settings: &Settings) -> bool {
    settings.client.get("group.protocol").is_some_and(|protocol| protocol.expose() == "consumer")
}

fn shared(settings: &Settings) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", "satpam")
        .set("reconnect.backoff.max.ms", "1000")
        .set("socket.timeout.ms", "10000")
        .set("socket.keepalive.enable", "true");
    config
}

/// Adds what the operator sets. Properties that only the other kind of client knows do no harm:
/// librdkafka warns in its log.
fn add_own(config: &mut ClientConfig, settings: &Settings) {
    for (name, value) in &settings.client {
        config.set(name, value.expose());
    }
}
