//! Exactness: a daemon that is killed again and again ends with the state, the incidents and the
//! deliveries of one that never was.
//!
//! All records are in Kafka before the first daemon starts: what is read behind the ends is ordered
//! by arrival, which no two runs share.

use std::collections::BTreeMap;
use std::path::Path;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use satpam::demo::traffic::{AttackKind, Attacks, Scenario, TopicKind, Traffic};
use satpam::event::EventTime;
use satpam::incident::{DeliveryKind, StaffMail, TenantMail};
use satpam::store::{self, OutboxFilter, Store};

use crate::support::daemon::{Daemon, MailServer, Platform, Setup, TOPICS};
use crate::support::kafka;

const PARTITIONS: usize = 3;
const EVENTS: usize = 20_000;
const KILLS_MIN: usize = 20;
/// Kills beyond these would only take time.
const KILLS_MAX: usize = 30;
/// Monday 2026-11-02 00:00 in Jakarta.
const START: i64 = 1_793_552_400_000;

/// A small random number generator: the same kills on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Writes the events of a scenario, some of them twice or broken, and returns how many records each
/// topic has in each partition.
fn produce(brokers: &str, prefix: &str) -> BTreeMap<(String, i32), i64> {
    let scenario = Scenario {
        seed: 20,
        accounts: 40,
        start: EventTime::from_millis(START),
        days: 20,
        attacks: Attacks { share: 0.6, kinds: AttackKind::ALL.to_vec() },
    };
    let producer: BaseProducer =
        ClientConfig::new().set("bootstrap.servers", brokers).create().unwrap();
    let mut counts = BTreeMap::new();
    let mut dice = Dice(7);
    // The last days hold the attacks: of a longer history the end is taken.
    let events: Vec<_> = Traffic::new(&scenario).collect();
    assert!(events.len() > EVENTS, "only {} events", events.len());
    for event in &events[events.len() - EVENTS..] {
        let topic = match event.topic {
            TopicKind::Messages => "messages",
            TopicKind::Templates => "templates",
            TopicKind::Broadcasts => "broadcasts",
            TopicKind::Accounts => "accounts",
        };
        let topic = format!("{prefix}{topic}");
        let sum: usize = event.account.as_str().bytes().map(usize::from).sum();
        let partition = i32::try_from(sum % PARTITIONS).unwrap();
        let mut payloads = vec![event.payload.as_slice()];
        match dice.below(200) {
            0 => payloads.push(&event.payload),
            1 => payloads.push(b"{not json"),
            _ => {}
        }
        for payload in payloads {
            let key = event.account.as_str().as_bytes();
            let mut record =
                BaseRecord::<[u8], [u8]>::to(&topic).partition(partition).key(key).payload(payload);
            while let Err((_, back)) = producer.send(record) {
                producer.poll(std::time::Duration::from_millis(10));
                record = back;
            }
            *counts.entry((topic.clone(), partition)).or_default() += 1;
        }
    }
    producer.flush(kafka::PATIENCE).unwrap();
    counts
}

/// What is compared: everything that is a function of the events: accounts, shard states, offsets,
/// incidents, plans. Left out are the attempts of the deliveries, their times and their outcomes,
/// which depend on when the receivers were asked, and the mails that the responder plans by its own
/// clock: it asks staff for approval, and tells the tenant what was done.
#[derive(Debug)]
struct Final {
    lines: Vec<String>,
    incidents: usize,
    deliveries: Vec<String>,
    resume: BTreeMap<(String, i32), i64>,
}

fn inspect(state: &Path, prefix: &str) -> Final {
    let settings =
        store::Settings { path: state.to_owned(), quarantine: false, ..store::Settings::default() };
    let metrics = store::Metrics::new(&prometheus::Registry::new()).unwrap();
    let store = Store::open(&settings, metrics).unwrap().store;
    let verified = store.verify().unwrap();
    assert_eq!(verified.problems, [""; 0]);
    let dump = store.dump().unwrap();
    let of_events = |line: &&str| {
        !line.contains(r#""kind":{"StaffMail":"ApprovalNeeded"}"#)
            && !line.contains(r#""kind":{"TenantMail":"Update"}"#)
    };
    let lines: Vec<String> = dump.lines().filter(of_events).map(str::to_owned).collect();
    let by_responder = [
        DeliveryKind::StaffMail(StaffMail::ApprovalNeeded),
        DeliveryKind::TenantMail(TenantMail::Update),
    ];
    let entries = store.outbox().list(&OutboxFilter::default(), 100_000).unwrap();
    let planned = entries.iter().map(|entry| &entry.planned);
    let of_events = planned.filter(|plan| !by_responder.contains(&plan.kind));
    let mut deliveries: Vec<String> = of_events.map(|plan| plan.id.to_string()).collect();
    deliveries.sort();
    let mut resume = BTreeMap::new();
    for shard in store.shards().unwrap() {
        let offsets = store.shard(shard).resume_offsets().unwrap();
        for topic in TOPICS {
            let topic = format!("{prefix}{topic}");
            let index = store.topic_index(&topic).unwrap();
            if let Some(offset) = offsets.get(&index) {
                resume.insert((topic, shard.0), offset.0);
            }
        }
    }
    let incidents = lines.iter().filter(|line| line.split(' ').nth(2) == Some("i")).count();
    Final { lines, incidents, deliveries, resume }
}

/// Waits until everything is read and every delivery has been settled.
fn finish(daemon: Daemon) {
    daemon.until_while_it_moves("all records are handled", || {
        daemon.has_caught_up(PARTITIONS).then_some(())
    });
    daemon.until("all deliveries are settled", || {
        (daemon.sum("satpam_notification_queue_length") == Some(0.0)).then_some(())
    });
    daemon.terminate();
}

fn setup(folder: &Path, prefix: &str, name: &str, mail: &MailServer, platform: &Platform) -> Setup {
    let folder = folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let mut setup = Setup::new(&folder, prefix, mail.port, platform.port);
    setup.group = format!("{prefix}{name}");
    // A member that comes back under its name takes its partitions over at once.
    setup.kafka = format!("  group_instance_id: {name}\n  batch_records_max: 100\n");
    setup.more.push_str("engine: {checkpoint_interval: 100ms}\n");
    // No action waits for the budget, which counts by the clock.
    setup.respond.push_str(
        "  budget: {share_at_least: 1000, accounts_per_hour: 1000, accounts_per_day: 1000}\n",
    );
    setup
}

/// Lists what differs, cut.
fn difference(killed: &[String], whole: &[String]) -> String {
    let cut = |line: &String| line.chars().take(400).collect::<String>();
    let only = |a: &[String], b: &[String]| -> Vec<String> {
        a.iter().filter(|line| !b.contains(line)).map(cut).collect()
    };
    let (first, second) = (only(killed, whole), only(whole, killed));
    format!(
        "{} lines only after kills, {} only without:\n{}\n----\n{}",
        first.len(),
        second.len(),
        first.iter().take(4).cloned().collect::<Vec<_>>().join("\n"),
        second.iter().take(4).cloned().collect::<Vec<_>>().join("\n")
    )
}

#[test]
fn a_daemon_that_is_killed_again_and_again_ends_like_one_that_never_was() {
    let brokers = kafka::shared().address();
    let prefix = format!("{}-", kafka::prefix("crash"));
    for name in TOPICS {
        let partitions = i32::try_from(PARTITIONS).unwrap();
        kafka::create_topic(&brokers, &format!("{prefix}{name}"), partitions, &[]);
    }
    kafka::create_topic(&brokers, &format!("{prefix}dead"), 1, &[]);
    let produced = produce(&brokers, &prefix);

    let folder = tempfile::tempdir().unwrap();
    let (mail, platform) = (MailServer::start(), Platform::start());
    let whole = setup(folder.path(), &prefix, "whole", &mail, &platform);
    finish(Daemon::start(&whole));
    let whole_requests = platform.by_key();

    let (mail, platform) = (MailServer::start(), Platform::start());
    let killed = setup(folder.path(), &prefix, "killed", &mail, &platform);
    let mut dice = Dice(11);
    let mut kills = 0;
    loop {
        if kills == KILLS_MAX {
            finish(Daemon::start(&killed));
            break;
        }
        let daemon = Daemon::start(&killed);
        let moment = f64::from(u32::try_from(dice.below(1_500)).unwrap());
        let ended = daemon.until("the moment to kill it", || {
            let handled = daemon.sum("satpam_events_total")?;
            (handled >= moment || daemon.has_caught_up(PARTITIONS)).then_some(handled < moment)
        });
        if ended {
            finish(daemon);
            break;
        }
        daemon.kill();
        kills += 1;
    }
    assert!(kills >= KILLS_MIN, "only {kills} kills before everything was read");

    let (whole, killed) = (inspect(&whole.state(), &prefix), inspect(&killed.state(), &prefix));
    assert_eq!(whole.resume, produced, "the uninterrupted run has not read everything");
    assert_eq!(killed.resume, produced, "records were left out");
    assert!(whole.incidents >= 5, "only {} incidents: the test shows little", whole.incidents);
    assert!(
        killed.lines == whole.lines,
        "{kills} kills: {}",
        difference(&killed.lines, &whole.lines)
    );
    assert_eq!(killed.deliveries, whole.deliveries);

    let requests = platform.by_key();
    let keys = |requests: &BTreeMap<String, Vec<serde_json::Value>>| -> Vec<String> {
        requests.keys().cloned().collect()
    };
    assert!(!requests.is_empty());
    assert_eq!(keys(&requests), keys(&whole_requests));
    for (key, bodies) in &requests {
        assert!(bodies.iter().all(|body| *body == bodies[0]), "{key} came with two bodies");
    }
}
