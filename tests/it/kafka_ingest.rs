//! Ingestion against Apache Kafka, and its basic path against the in-process broker of the demo.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus::Registry;
use rdkafka::mocking::MockCluster;
use satpam::event::{Offset, RawRecord, ShardId, TopicIndex};
use satpam::ingest::{
    Backlog, DeadLetterSettings, DeadLetterTarget, DeadLetters, Handle, IngestError, InputTopic,
    Kept, Metrics, Readiness, Refusal, Settings, ShardWorker, StartedAt, Wiring, WorkerFailure,
    start,
};
use satpam::telemetry::Liveness;
use tokio_util::sync::CancellationToken;

use crate::support::kafka::{self, PATIENCE, poll_until};

/// What the workers of one instance saw, and what they made durable.
#[derive(Debug, Default)]
struct Seen {
    records: Vec<(ShardId, TopicIndex, i64, Vec<u8>)>,
    assigned: Vec<(ShardId, BTreeMap<TopicIndex, Backlog>)>,
    revoked: Vec<(ShardId, Kept)>,
    durable: BTreeMap<(ShardId, TopicIndex), Offset>,
    readiness: Option<Readiness>,
    read_to_end: BTreeSet<(ShardId, TopicIndex)>,
    /// What the workers do not want to be read on.
    held: BTreeSet<(ShardId, TopicIndex)>,
}

type Shared = Arc<Mutex<Seen>>;

/// Stores nothing until the shard is revoked or it is idle, as the engine does.
struct Recorder {
    seen: Shared,
    fresh: BTreeMap<(ShardId, TopicIndex), Offset>,
    told: Vec<(ShardId, TopicIndex, Offset)>,
    dead_letters: Option<Arc<DeadLetters>>,
}

impl Recorder {
    fn save(&mut self) {
        if let Some(letters) = &self.dead_letters {
            letters.flush(PATIENCE).unwrap();
        }
        for ((shard, topic), next) in std::mem::take(&mut self.fresh) {
            self.seen.lock().unwrap().durable.insert((shard, topic), next);
            self.told.push((shard, topic, next));
        }
    }
}

impl ShardWorker for Recorder {
    fn assigned(
        &mut self,
        shard: ShardId,
        backlog: &BTreeMap<TopicIndex, Backlog>,
    ) -> Result<(), WorkerFailure> {
        self.seen.lock().unwrap().assigned.push((shard, backlog.clone()));
        Ok(())
    }

    fn records(&mut self, records: Vec<RawRecord>) -> Result<(), WorkerFailure> {
        for record in records {
            let (shard, topic) = (record.shard, record.position.topic);
            let offset = record.position.offset.0;
            match record.payload.as_slice() {
                b"panic" => panic!("the engine has a fault"),
                b"fail" => return Err(WorkerFailure("the state is gone".to_owned())),
                _ => {}
            }
            if let Some(letters) = &self.dead_letters
                && record.payload.starts_with(b"broken")
            {
                let refusal = Refusal { reason: "not_json", text: "it is not JSON" };
                letters.send(&record, "input", refusal).unwrap();
            }
            self.fresh.insert((shard, topic), Offset(offset + 1));
            self.seen.lock().unwrap().records.push((shard, topic, offset, record.payload));
        }
        Ok(())
    }

    fn idle(&mut self) -> Result<(), WorkerFailure> {
        self.save();
        Ok(())
    }

    fn revoked(&mut self, shard: ShardId, kept: Kept) -> Result<(), WorkerFailure> {
        match kept {
            Kept::Drain => self.save(),
            Kept::Lost => self.fresh.retain(|(other, _), _| *other != shard),
        }
        self.seen.lock().unwrap().revoked.push((shard, kept));
        Ok(())
    }

    fn read_to_end(&mut self, shard: ShardId, topic: TopicIndex) -> Result<(), WorkerFailure> {
        self.seen.lock().unwrap().read_to_end.insert((shard, topic));
        Ok(())
    }

    fn safe_offsets(&mut self) -> Vec<(ShardId, TopicIndex, Offset)> {
        std::mem::take(&mut self.told)
    }

    fn held(&mut self) -> BTreeSet<(ShardId, TopicIndex)> {
        self.seen.lock().unwrap().held.clone()
    }
}

struct Instance {
    handle: Handle,
    stop: CancellationToken,
    seen: Shared,
    metrics: Metrics,
}

impl Instance {
    fn start(settings: &Settings, topics: &[&str]) -> Self {
        Self::start_from(settings, topics, BTreeMap::new())
    }

    fn start_from(
        settings: &Settings,
        topics: &[&str],
        stored: BTreeMap<TopicIndex, Offset>,
    ) -> Self {
        let stop = CancellationToken::new();
        let metrics = Metrics::new(&Registry::new()).unwrap();
        let has_letters = settings.dead_letter.target != DeadLetterTarget::Topic("none".to_owned());
        let letters = has_letters
            .then(|| Arc::new(DeadLetters::open(settings, metrics.clone(), stop.clone()).unwrap()));
        let seen = Shared::default();
        let (for_workers, for_resume, for_readiness) =
            (Arc::clone(&seen), Arc::clone(&seen), Arc::clone(&seen));
        let topics = topics
            .iter()
            .zip(0..)
            .map(|(name, index)| InputTopic { index: TopicIndex(index), name: (*name).to_owned() });
        let wiring = Wiring {
            topics: topics.collect(),
            resume: Box::new(move |shard| {
                let mut offsets = stored.clone();
                for ((_, topic), next) in
                    for_resume.lock().unwrap().durable.iter().filter(|(key, _)| key.0 == shard)
                {
                    offsets.insert(*topic, *next);
                }
                Ok(offsets)
            }),
            make_worker: Box::new(move |_| {
                Box::new(Recorder {
                    seen: Arc::clone(&for_workers),
                    fresh: BTreeMap::new(),
                    told: Vec::new(),
                    dead_letters: letters.clone(),
                })
            }),
            metrics: metrics.clone(),
            on_readiness: Box::new(move |readiness| {
                for_readiness.lock().unwrap().readiness = Some(readiness);
            }),
            pulse: Liveness::new(Duration::from_mins(1)).watch("ingest"),
            stop: stop.clone(),
        };
        Self { handle: start(settings, wiring).unwrap(), stop, seen, metrics }
    }

    fn stop(self) -> Result<(), IngestError> {
        self.stop.cancel();
        self.handle.join()
    }

    fn wait_for_records(&self, count: usize) {
        poll_until("the records arrive", || {
            (self.seen.lock().unwrap().records.len() >= count).then_some(())
        });
    }

    fn payloads(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.records.iter().map(|record| String::from_utf8_lossy(&record.3).into()).collect()
    }
}

fn settings(brokers: &str, group: &str) -> Settings {
    Settings {
        brokers: brokers.to_owned(),
        group_id: group.to_owned(),
        commit_interval: satpam::event::TimeSpan::from_millis(200),
        dead_letter: DeadLetterSettings {
            target: DeadLetterTarget::Topic("none".to_owned()),
            ..DeadLetterSettings::default()
        },
        ..Settings::default()
    }
}

#[test]
fn the_in_process_broker_of_the_demo_is_read_and_committed_to() {
    let cluster = MockCluster::new(1).unwrap();
    let brokers = cluster.bootstrap_servers();
    cluster.create_topic("messages", 2, 1).unwrap();
    cluster.create_topic("templates", 2, 1).unwrap();
    kafka::produce(&brokers, "messages", 0, &[b"a", b"b"]);
    kafka::produce(&brokers, "templates", 1, &[b"c"]);
    let instance = Instance::start(&settings(&brokers, "demo"), &["messages", "templates"]);
    instance.wait_for_records(3);
    let seen = Arc::clone(&instance.seen);
    instance.stop().unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.durable[&(ShardId(0), TopicIndex(0))], Offset(2));
    assert_eq!(seen.durable[&(ShardId(1), TopicIndex(1))], Offset(1));
    assert_eq!(seen.revoked.len(), 2);
    assert!(seen.revoked.iter().all(|(_, kept)| *kept == Kept::Drain));
    drop(seen);
    assert_eq!(kafka::committed(&brokers, "demo", "messages", 0), Some(2));
}

#[test]
fn reading_goes_on_at_the_stored_offset_whatever_kafka_has_committed() {
    let brokers = kafka::shared().address();
    let topic = kafka::prefix("resume");
    kafka::create_topic(&brokers, &topic, 1, &[]);
    kafka::produce(&brokers, &topic, 0, &[b"0", b"1", b"2", b"3", b"4"]);
    let config = settings(&brokers, &topic);
    let first = Instance::start(&config, &[&topic]);
    first.wait_for_records(5);
    poll_until("the offset is committed while running", || {
        (kafka::committed(&brokers, &topic, &topic, 0) == Some(5)).then_some(())
    });
    first.stop().unwrap();

    let stored = [(TopicIndex(0), Offset(3))].into();
    let second = Instance::start_from(&config, &[&topic], stored);
    second.wait_for_records(2);
    assert_eq!(second.payloads(), ["3", "4"]);
    let backlog = second.seen.lock().unwrap().assigned[0].1[&TopicIndex(0)];
    let expected = Backlog { resume: Offset(3), end: Offset(5), started_at: StartedAt::Stored };
    assert_eq!(backlog, expected);
    second.stop().unwrap();
}

#[test]
fn partitions_of_all_topics_move_together_and_what_was_done_is_committed_before() {
    for protocol in ["classic", "consumer"] {
        let brokers = kafka::shared().address();
        let name = kafka::prefix("rebalance");
        let topics = [format!("{name}-a"), format!("{name}-b")];
        for topic in &topics {
            kafka::create_topic(&brokers, topic, 4, &[]);
        }
        let names = [topics[0].as_str(), topics[1].as_str()];
        let mut config = settings(&brokers, &name);
        config.client.insert("group.protocol".to_owned(), satpam::secret::Secret::new(protocol));
        let first = Instance::start(&config, &names);
        for partition in 0..4 {
            kafka::produce(&brokers, names[0], partition, &[b"x", b"y"]);
        }
        first.wait_for_records(8);
        let second = Instance::start(&config, &names);
        let moved = poll_until("the second instance gets two shards", || {
            let seen = second.seen.lock().unwrap();
            let topics: usize = seen.assigned.iter().map(|(_, backlog)| backlog.len()).sum();
            let mut shards: Vec<_> = seen.assigned.iter().map(|(shard, _)| *shard).collect();
            shards.sort_unstable();
            shards.dedup();
            (topics == 4).then_some(shards)
        });
        assert_eq!(moved.len(), 2, "{protocol}: both topics of a shard are with one instance");
        for shard in &moved {
            let committed = kafka::committed(&brokers, &name, names[0], shard.0);
            assert_eq!(committed, Some(2), "{protocol}: shard {shard}");
            let seen = first.seen.lock().unwrap();
            assert!(seen.revoked.contains(&(*shard, Kept::Drain)), "{protocol}");
            assert_eq!(seen.durable[&(*shard, TopicIndex(0))], Offset(2), "{protocol}");
        }
        second.stop().unwrap();
        first.stop().unwrap();
    }
}

#[test]
fn a_broken_record_reaches_the_dead_letter_topic_whole_and_the_next_one_arrives() {
    let brokers = kafka::shared().address();
    let topic = kafka::prefix("broken");
    let dead = format!("{topic}-dead");
    kafka::create_topic(&brokers, &topic, 1, &[("max.message.bytes", "1000000")]);
    kafka::create_topic(&brokers, &dead, 1, &[("max.message.bytes", "100000")]);
    // Bytes that no compression makes small (a linear congruential generator, Knuth's MMIX).
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_le_bytes()[7]
    });
    let large: Vec<u8> = b"broken large ".iter().copied().chain(noise.take(300_000)).collect();
    kafka::produce(&brokers, &topic, 0, &[b"broken \xff", &large, b"good"]);
    let mut config = settings(&brokers, &topic);
    config.dead_letter.target = DeadLetterTarget::Topic(dead.clone());
    let instance = Instance::start(&config, &[&topic]);
    instance.wait_for_records(3);
    let letters = kafka::read(&brokers, &dead, 0, 2);
    let small = letters.iter().find(|letter| letter.payload.len() < 100).unwrap();
    assert_eq!(small.payload, b"broken \xff");
    assert_eq!(small.key.as_deref(), Some(b"acme".as_slice()));
    let headers: Vec<(&str, &[u8])> =
        small.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
    let expected: [(&str, &[u8]); 5] = [
        ("satpam-error", b"it is not JSON"),
        ("satpam-reason", b"not_json"),
        ("satpam-topic", b"input"),
        ("satpam-partition", b"0"),
        ("satpam-offset", b"0"),
    ];
    assert_eq!(headers, expected);
    let cut = letters.iter().find(|letter| letter.payload.len() > 100).unwrap();
    assert!(
        cut.headers.contains(&("satpam-truncated-from".to_owned(), b"300013".to_vec())),
        "a record that the topic refuses for its size is cut, not dropped"
    );
    let metrics = instance.metrics.clone();
    instance.stop().unwrap();
    assert_eq!(metrics.dead_letters.with_label_values(&["not_json"]).get(), 2);
    assert_eq!(metrics.dead_letters_pending.get(), 0);
}

#[test]
fn offsets_that_kafka_no_longer_has_are_reported_before_reading_goes_on() {
    let brokers = kafka::shared().address();
    for (stored, deleted, reads, started_at, reason) in [
        (1, 3, ["3", "4"].as_slice(), StartedAt::AfterGap { missed: 2 }, "gap"),
        (9, 0, ["0", "1", "2", "3", "4"].as_slice(), StartedAt::Recreated, "recreated"),
    ] {
        let topic = kafka::prefix("range");
        kafka::create_topic(&brokers, &topic, 1, &[]);
        kafka::produce(&brokers, &topic, 0, &[b"0", b"1", b"2", b"3", b"4"]);
        kafka::delete_records(&brokers, &topic, 0, deleted);
        let from = [(TopicIndex(0), Offset(stored))].into();
        let instance = Instance::start_from(&settings(&brokers, &topic), &[&topic], from);
        instance.wait_for_records(reads.len());
        assert_eq!(instance.payloads(), reads);
        let assigned = instance.seen.lock().unwrap().assigned.clone();
        assert_eq!(assigned[0].1[&TopicIndex(0)].started_at, started_at);
        let counter = instance.metrics.offsets_out_of_range.with_label_values(&[reason]);
        assert_eq!(counter.get(), 1, "{reason}");
        instance.stop().unwrap();
    }
}

#[test]
fn topics_with_different_partition_counts_are_refused_by_name_and_count() {
    let brokers = kafka::shared().address();
    let name = kafka::prefix("counts");
    let topics = [format!("{name}-a"), format!("{name}-b")];
    kafka::create_topic(&brokers, &topics[0], 2, &[]);
    kafka::create_topic(&brokers, &topics[1], 3, &[]);
    let instance = Instance::start(&settings(&brokers, &name), &[&topics[0], &topics[1]]);
    let error = instance.handle.join().unwrap_err().to_string();
    let expected = format!(
        "the topics must have the same number of partitions, but `{}` has 2 and `{}` has 3",
        topics[0], topics[1]
    );
    assert_eq!(error, expected);
}

#[test]
fn a_topic_that_does_not_exist_is_named() {
    let brokers = kafka::shared().address();
    let topic = kafka::prefix("missing");
    let instance = Instance::start(&settings(&brokers, &topic), &[&topic]);
    match instance.handle.join() {
        Err(IngestError::TopicMissing(name)) => assert_eq!(name, topic),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_worker_that_fails_ends_the_ingestion_with_its_reason() {
    let cluster = MockCluster::new(1).unwrap();
    let brokers = cluster.bootstrap_servers();
    for (payload, reason) in
        [(b"panic".as_slice(), "the engine has a fault"), (b"fail", "the state is gone")]
    {
        let topic = String::from_utf8_lossy(payload).into_owned();
        cluster.create_topic(&topic, 1, 1).unwrap();
        kafka::produce(&brokers, &topic, 0, &[payload]);
        let instance = Instance::start(&settings(&brokers, &topic), &[&topic]);
        let ended = instance.handle.ended();
        poll_until("ingestion ends by itself", || ended.is_cancelled().then_some(()));
        match instance.handle.join() {
            Err(IngestError::Worker { reason: found, .. }) => assert_eq!(found, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_broker_that_dies_is_waited_for_and_no_record_is_missed() {
    let broker = kafka::Broker::start();
    let brokers = broker.address();
    let topic = kafka::prefix("restart");
    kafka::create_topic(&brokers, &topic, 1, &[]);
    kafka::produce(&brokers, &topic, 0, &[b"before"]);
    let instance = Instance::start(&settings(&brokers, &topic), &[&topic]);
    instance.wait_for_records(1);
    broker.kill();
    poll_until("the loss shows in the readiness", || {
        let readiness = instance.seen.lock().unwrap().readiness;
        (readiness == Some(Readiness::WaitingForKafka)).then_some(())
    });
    broker.restart();
    kafka::produce(&brokers, &topic, 0, &[b"after"]);
    instance.wait_for_records(2);
    poll_until("the readiness comes back", || {
        let readiness = instance.seen.lock().unwrap().readiness;
        (readiness == Some(Readiness::Consuming)).then_some(())
    });
    let payloads = instance.payloads();
    assert_eq!(payloads.first().map(String::as_str), Some("before"));
    assert_eq!(payloads.last().map(String::as_str), Some("after"));
    instance.stop().unwrap();
}

#[test]
fn ingestion_that_waits_for_a_broker_can_be_stopped() {
    let instance = Instance::start(&settings("127.0.0.1:1", "nobody"), &["messages"]);
    poll_until("the wait shows", || {
        let readiness = instance.seen.lock().unwrap().readiness;
        (readiness == Some(Readiness::WaitingForKafka)).then_some(())
    });
    let began = tokio::time::Instant::now();
    instance.stop().unwrap();
    assert!(began.elapsed() < Duration::from_secs(30), "the stop was not heard");
}

#[test]
fn a_partition_that_the_worker_has_enough_of_is_not_read_on_until_it_says_so() {
    let brokers = kafka::shared().address();
    let name = kafka::prefix("held");
    let topics = [format!("{name}-a"), format!("{name}-b")];
    for topic in &topics {
        kafka::create_topic(&brokers, topic, 1, &[]);
        kafka::produce(&brokers, topic, 0, &[b"first"]);
    }
    let instance = Instance::start(&settings(&brokers, &name), &[&topics[0], &topics[1]]);
    instance.wait_for_records(2);
    let held = (ShardId(0), TopicIndex(0));
    instance.seen.lock().unwrap().held.insert(held);
    // The poll thread learns of it with the worker's next turn; what is under way still comes.
    let mut written = 0;
    poll_until("the partition is no longer read", || {
        kafka::produce(&brokers, &topics[0], 0, &[b"more"]);
        kafka::produce(&brokers, &topics[1], 0, &[b"more"]);
        written += 1;
        let behind = |seen: &Seen| {
            let of = |topic| seen.records.iter().filter(|record| record.1 == topic).count();
            (of(TopicIndex(0)), of(TopicIndex(1)))
        };
        let (first, second) = behind(&instance.seen.lock().unwrap());
        (second > first + 3).then_some(())
    });
    instance.seen.lock().unwrap().held.clear();
    instance.wait_for_records(2 + 2 * written);
    instance.stop().unwrap();
}

#[test]
fn a_topic_that_ends_in_transaction_markers_is_known_to_be_read_to_its_end() {
    let brokers = kafka::shared().address();
    let name = kafka::prefix("markers");
    kafka::create_topic(&brokers, &name, 1, &[]);
    kafka::produce_in_transaction(&brokers, &name, 0, &[b"one", b"two"]);
    let instance = Instance::start(&settings(&brokers, &name), &[&name]);
    instance.wait_for_records(2);
    let backlog = instance.seen.lock().unwrap().assigned[0].1[&TopicIndex(0)];
    assert_eq!(backlog.end, Offset(3), "the marker has an offset and is never shown");
    poll_until("the worker is told", || {
        let seen = instance.seen.lock().unwrap();
        seen.read_to_end.contains(&(ShardId(0), TopicIndex(0))).then_some(())
    });
    instance.stop().unwrap();
}
