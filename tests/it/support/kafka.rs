//! Apache Kafka for tests: one broker for the whole binary, topics by test.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::time::Instant;

/// Any wait for Kafka ends here.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A broker on loopback.
#[derive(Debug)]
pub(crate) struct Broker {
    folder: PathBuf,
    port: u16,
    /// Stops the broker and removes its folder when this process ends, however it ends: it waits
    /// for the end of its input.
    _watcher: Option<Child>,
}

static BROKER: OnceLock<Broker> = OnceLock::new();
static PREFIXES: AtomicU32 = AtomicU32::new(0);

/// A record as a test reads it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Read {
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) payload: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
}

/// Returns the broker that all tests share.
pub(crate) fn shared() -> &'static Broker {
    BROKER.get_or_init(Broker::start)
}

/// Returns a prefix for topics and groups that no other test uses.
pub(crate) fn prefix(test: &str) -> String {
    let number = PREFIXES.fetch_add(1, Ordering::Relaxed);
    format!("{test}-{}-{number}", std::process::id())
}

/// Looks again and again until `found` returns something; panics when it never does.
pub(crate) fn poll_until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

impl Broker {
    /// Starts a broker of one's own, for a test that stops it.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap().keep();
        let (port, controller) = (free_port(), free_port());
        let ports = [port.to_string(), controller.to_string()];
        run(&["start", &text(&folder), &ports[0], &ports[1]]);
        let watcher = Command::new("sh")
            .args(["-c", "cat >/dev/null; \"$0\" stop \"$1\" >/dev/null 2>&1; rm -rf \"$1\""])
            .arg(script())
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, port, _watcher: Some(watcher) }
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Ends the broker at once, without a goodbye.
    pub(crate) fn kill(&self) {
        run(&["kill", &text(&self.folder), "1"]);
    }

    pub(crate) fn restart(&self) {
        run(&["restart", &text(&self.folder), "1"]);
    }
}

/// Makes a topic and waits until it can be read.
pub(crate) fn create_topic(brokers: &str, name: &str, partitions: i32, config: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in config {
        topic = topic.set(key, value);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
    let results = runtime.block_on(admin.create_topics([&topic], &options)).unwrap();
    for result in results {
        result.unwrap();
    }
    poll_until("the topic is known", || {
        let metadata = admin.inner().fetch_metadata(Some(name), PATIENCE).ok()?;
        let found = metadata.topics().first()?.partitions();
        let led = found.iter().filter(|partition| partition.leader() >= 0).count();
        (led == usize::try_from(partitions).unwrap()).then_some(())
    });
}

/// Deletes the records of a partition before an offset, as retention does.
pub(crate) fn delete_records(brokers: &str, topic: &str, partition: i32, before: i64) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_records(&list, &AdminOptions::new())).unwrap();
}

/// Writes records to one partition and waits until the broker has them.
pub(crate) fn produce(brokers: &str, topic: &str, partition: i32, payloads: &[&[u8]]) {
    let producer: BaseProducer = client(brokers).create().unwrap();
    for payload in payloads {
        let record = BaseRecord::<[u8], [u8]>::to(topic)
            .partition(partition)
            .key(b"acme".as_slice())
            .payload(payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

/// Writes records to one partition in one transaction, whose marker takes an offset of its own.
pub(crate) fn produce_in_transaction(
    brokers: &str,
    topic: &str,
    partition: i32,
    payloads: &[&[u8]],
) {
    let mut config = client(brokers);
    let producer: BaseProducer = config.set("transactional.id", topic).create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    for payload in payloads {
        let record = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).payload(payload);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.commit_transaction(PATIENCE).unwrap();
}

/// Deletes a topic and waits until it is gone.
pub(crate) fn delete_topic(brokers: &str, name: &str) {
    let admin: AdminClient<DefaultClientContext> = client(brokers).create().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(admin.delete_topics(&[name], &AdminOptions::new())).unwrap();
    poll_until("the topic is gone", || {
        let metadata = admin.inner().fetch_metadata(Some(name), PATIENCE).ok()?;
        let found = metadata.topics().first();
        found.is_none_or(|topic| topic.error().is_some()).then_some(())
    });
}

/// Reads one partition from its beginning until it has `count` records.
pub(crate) fn read(brokers: &str, topic: &str, partition: i32, count: usize) -> Vec<Read> {
    let consumer: BaseConsumer = client(brokers).set("group.id", "reader").create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let mut records = Vec::new();
    poll_until("the records are in the topic", || {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            let headers = message.headers().map_or_else(Vec::new, |headers| {
                headers
                    .iter()
                    .map(|header| (header.key.to_owned(), header.value.unwrap_or(b"").to_vec()))
                    .collect()
            });
            records.push(Read {
                key: message.key().map(<[u8]>::to_vec),
                payload: message.payload().unwrap_or_default().to_vec(),
                headers,
            });
        }
        (records.len() >= count).then_some(())
    });
    records
}

/// Returns what a group has committed of a partition.
pub(crate) fn committed(brokers: &str, group: &str, topic: &str, partition: i32) -> Option<i64> {
    let consumer: BaseConsumer = client(brokers).set("group.id", group).create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition(topic, partition);
    let list = consumer.committed_offsets(list, PATIENCE).ok()?;
    match list.elements().first()?.offset() {
        Offset::Offset(offset) => Some(offset),
        Offset::Beginning
        | Offset::End
        | Offset::Stored
        | Offset::Invalid
        | Offset::OffsetTail(_) => None,
    }
}

fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers);
    config
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/kafka.sh")
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

fn run(arguments: &[&str]) {
    let output = Command::new(script()).args(arguments).stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "kafka.sh {arguments:?}: {said}");
}
