//! The store's promises, on real files.

use std::collections::BTreeMap;
use std::path::Path;

use prometheus::Registry;
use uuid::Uuid;

use super::{
    AuditEntry, Batch, Decision, HoldReason, IncidentFilter, Metrics, Opened, OutboxEntry,
    OutboxFilter, OutboxStatus, Settings, Store, StoreError, UpdateError, UserOutcome, envelope,
};
use crate::clock::WallTime;
use crate::event::{AccountId, EventId, EventTime, Offset, ShardId, TopicIndex};
use crate::incident::{
    Actor, ApprovalReason, Contribution, DeliveryKind, Impact, Incident, IncidentId, IncidentState,
    OutboxId, Planned, Stage, Verdict,
};
use crate::rulebook::{ActionKind, Credential};

fn try_open(path: &Path) -> Result<(Opened, Metrics), StoreError> {
    let metrics = Metrics::new(&Registry::new()).unwrap();
    let settings = Settings { path: path.to_owned(), cache_bytes: 8 << 20, ..Settings::default() };
    Ok((Store::open(&settings, metrics.clone())?, metrics))
}

fn open(path: &Path) -> Store {
    let (opened, _) = try_open(path).unwrap();
    assert_eq!(opened.recovered, None);
    opened.store
}

fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

fn incident(name: &str, opened: i64) -> Incident {
    let account = account(name);
    let event = EventId::new(&format!("event-{opened}")).unwrap();
    Incident {
        id: IncidentId::mint(&account, &event),
        shard: ShardId(3),
        account,
        account_name: Some("Toko Maju".into()),
        revision: 0,
        stage: Stage::NotifyTenant,
        opened: EventTime::from_millis(opened),
        last_match: EventTime::from_millis(opened + 5),
        risk: 61.5,
        risk_peak: 70.25,
        contributions: vec![Contribution {
            rule: "rule-key".into(),
            title: "First link to a site".into(),
            level: "high".into(),
            status: "stable".into(),
            tenant_text: Some(("tautan pertama".into(), "first link".into())),
            event,
            event_type: "message.sent".into(),
            time: EventTime::from_millis(opened),
            matches: 4,
            base: 40.0,
            multiplier: 1.5,
            multiplier_reasons: vec!["two_factor_off".into()],
            evidence: vec![("content.domains".into(), "hadiah[.]example".into())],
        }],
        actors: vec![Actor {
            id: Some("17".into()),
            email: None,
            role: Some("agent".into()),
            credential: Some(Credential::Token),
            ip: Some("203.0.113.7".into()),
        }],
        impact: Impact { messages: 12, recipients: 1240, ..Impact::default() },
        language: Some("id".into()),
        timezone: "Asia/Jakarta".into(),
        two_factor: Some(false),
        contacts: vec!["admin@toko.example".into()],
        rules_revision: "abc123".into(),
        engine_version: "0.1.0".into(),
        state: IncidentState::Open,
    }
}

fn planned(incident: &Incident, target: &str) -> Planned {
    let kind = DeliveryKind::Action(ActionKind::ForcePasswordReset);
    Planned {
        id: OutboxId::mint(incident.id, kind, target),
        shard: incident.shard,
        account: incident.account.clone(),
        incident: incident.id,
        kind,
        target: target.into(),
        created: incident.opened,
        reason: "First link to a site".into(),
        needs_approval: Some(ApprovalReason::TooFewRules),
        after: vec![OutboxId(Uuid::from_u128(7))],
    }
}

fn entry(incident: &Incident, target: &str) -> OutboxEntry {
    OutboxEntry::new(planned(incident, target))
}

fn batch_of(number: i64) -> Batch {
    let incident = incident(&format!("account-{}", number % 7), number);
    Batch {
        accounts: (0..20).map(|i| (account(&format!("a{i}")), state(number))).collect(),
        offsets: Some([(TopicIndex(0), Offset(number)), (TopicIndex(1), Offset(number))].into()),
        shard_state: Some(state(number)),
        shard_tally: Some(state(number + 1)),
        audit: Vec::new(),
        outbox: vec![entry(&incident, "platform")],
        incidents: vec![incident],
        forgotten: Vec::new(),
    }
}

fn state(number: i64) -> Vec<u8> {
    number.to_le_bytes().repeat(30)
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path);
    let first = store.shard(ShardId(3));
    let committed = first.commit(&batch_of(10)).unwrap();
    assert_eq!((committed.planned, committed.kept_incidents.len()), (1, 0));
    store.put_responder_state(b"budgets").unwrap();
    let before = store.dump().unwrap();
    drop((store, first));

    let store = open(&path);
    let shard = store.shard(ShardId(3));
    assert_eq!(store.dump().unwrap(), before);
    assert_eq!(store.shards().unwrap(), [ShardId(3)]);
    let offsets: BTreeMap<_, _> = [(TopicIndex(0), Offset(10)), (TopicIndex(1), Offset(10))].into();
    assert_eq!(shard.resume_offsets().unwrap(), offsets);
    assert_eq!(shard.account(&account("a5")).unwrap(), Some(state(10)));
    assert_eq!(shard.account(&account("nobody")).unwrap(), None);
    assert_eq!(shard.shard_state().unwrap(), Some(state(10)));
    assert_eq!(shard.shard_tally().unwrap(), Some(state(11)));
    assert_eq!(store.responder_state().unwrap().as_deref(), Some(b"budgets".as_slice()));
    let mut seen = 0;
    shard
        .for_each_account(|_, bytes| {
            assert_eq!(bytes, state(10));
            seen += 1;
            Ok::<_, StoreError>(())
        })
        .unwrap();
    assert_eq!(seen, 20);
    assert_eq!(store.verify().unwrap().problems, [""; 0]);
    let counts = store.counts().unwrap();
    assert_eq!((counts.accounts, counts.incidents, counts.outbox), (20, 1, 1));
    assert!(store.size_bytes().unwrap() > 0);
}

#[test]
fn a_forgotten_account_is_gone_and_its_incidents_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let shard = store.shard(ShardId(3));
    let _ = shard.commit(&batch_of(1)).unwrap();
    let forget = Batch { forgotten: vec![account("a5")], ..Batch::default() };
    let _ = shard.commit(&forget).unwrap();
    assert_eq!(shard.account(&account("a5")).unwrap(), None);
    assert_eq!(store.incidents().list(&IncidentFilter::default(), 9).unwrap().len(), 1);
}

#[test]
fn a_topic_keeps_its_index_whatever_the_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path);
    for (name, index) in [("messages", 0), ("templates", 1), ("message", 2), ("messages", 0)] {
        assert_eq!(store.topic_index(name).unwrap(), TopicIndex(index), "{name}");
    }
    drop(store);
    let store = open(&path);
    assert_eq!(store.topic_index("templates").unwrap(), TopicIndex(1));
    assert_eq!(store.topic_index("broadcasts").unwrap(), TopicIndex(3));
    for number in 4..256 {
        store.topic_index(&format!("topic-{number}")).unwrap();
    }
    assert!(matches!(store.topic_index("one more"), Err(StoreError::TooManyTopics(_))));
}

#[test]
fn a_second_opener_is_refused_and_nothing_is_set_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let store = open(&path);
    assert!(matches!(try_open(&path), Err(StoreError::InUse(_))));
    drop(store);
    open(&path);
}

#[test]
fn an_entry_that_is_replayed_is_not_planned_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let shard = store.shard(ShardId(3));
    let _ = shard.commit(&batch_of(1)).unwrap();
    let due = store.outbox().due(WallTime(0), 10).unwrap();
    let done = OutboxEntry {
        status: OutboxStatus::Done,
        settled: Some(WallTime(5)),
        attempts: 1,
        ..due[0].clone()
    };
    store.outbox().update(&due[0], &done).unwrap();
    assert_eq!(shard.commit(&batch_of(1)).unwrap().planned, 0);
    assert_eq!(store.outbox().get(done.planned.id).unwrap(), Some(done.clone()));
    assert!(!store.outbox().insert(&due[0]).unwrap());
    assert_eq!(store.outbox().due(WallTime(i64::MAX), 10).unwrap(), []);
}

#[test]
fn due_entries_come_in_order_and_settled_ones_are_forgotten_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let outbox = store.outbox();
    assert_eq!(outbox.next_due_at().unwrap(), None);
    let mut entries = Vec::new();
    for (number, at) in [(1, 300), (2, 100), (3, 200), (4, -50)] {
        let mut entry = entry(&incident("acme", number), "platform");
        entry.planned.shard = ShardId(i32::try_from(number).unwrap() % 2);
        entry.next_attempt = WallTime(at);
        assert!(outbox.insert(&entry).unwrap());
        entries.push(entry);
    }
    let times = |now, limit| -> Vec<i64> {
        let due = outbox.due(WallTime(now), limit).unwrap();
        due.iter().map(|entry| entry.next_attempt.0).collect()
    };
    assert_eq!(times(200, 10), [-50, 100, 200]);
    assert_eq!(times(200, 2), [-50, 100]);
    assert_eq!(times(-51, 10), [0i64; 0]);
    assert_eq!(outbox.next_due_at().unwrap(), Some(WallTime(-50)));

    let settle = |index: usize, status, at| {
        let settled = OutboxEntry { status, settled: Some(WallTime(at)), ..entries[index].clone() };
        outbox.update(&entries[index], &settled).unwrap();
    };
    settle(3, OutboxStatus::Parked, 1_000);
    settle(1, OutboxStatus::Done, 2_000);
    assert_eq!(times(i64::MAX, 10), [200, 300]);
    let parked = OutboxFilter { statuses: vec![OutboxStatus::Parked], ..OutboxFilter::default() };
    assert_eq!(outbox.list(&parked, 10).unwrap().len(), 1);
    let newest: Vec<_> = outbox
        .list(&OutboxFilter::default(), 3)
        .unwrap()
        .iter()
        .map(|entry| entry.planned.created.millis())
        .collect();
    assert_eq!(newest, [4, 3, 2]);
    assert_eq!(outbox.prune(WallTime(1_000)).unwrap(), 0);
    assert_eq!(outbox.prune(WallTime(1_001)).unwrap(), 1);
    assert_eq!(outbox.prune(WallTime(i64::MAX)).unwrap(), 1);
    assert_eq!(outbox.list(&OutboxFilter::default(), 10).unwrap().len(), 2);
}

#[test]
fn of_two_that_decided_from_the_same_entry_only_the_first_wins() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let outbox = store.outbox();
    let seen = entry(&incident("acme", 1), "platform");
    let held = OutboxEntry { status: OutboxStatus::Held(HoldReason::Budget), ..seen.clone() };
    let tried = OutboxEntry { attempts: 1, ..seen.clone() };
    assert!(matches!(outbox.update(&seen, &held), Err(UpdateError::Missing)));
    outbox.insert(&seen).unwrap();
    outbox.update(&seen, &held).unwrap();
    match outbox.update(&seen, &tried) {
        Err(UpdateError::Changed(stored)) => assert_eq!(*stored, held),
        other => panic!("{other:?}"),
    }
    assert_eq!(outbox.next_due_at().unwrap(), None);
}

#[test]
fn what_a_person_decided_about_an_incident_is_not_overwritten_by_the_engine() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let shard = store.shard(ShardId(3));
    let seen = incident("acme", 1);
    let write = |incident: &Incident| {
        shard.commit(&Batch { incidents: vec![incident.clone()], ..Batch::default() }).unwrap()
    };
    assert_eq!(write(&seen).kept_incidents, []);
    assert_eq!(write(&seen).kept_incidents, [], "a replay");
    let closed = Incident {
        revision: 1,
        state: IncidentState::Closed {
            at: EventTime::from_millis(9),
            verdict: Verdict::FalsePositive,
            reason: "our own campaign".into(),
            by: "dewi".into(),
        },
        ..seen.clone()
    };
    store.incidents().update(&seen, &closed).unwrap();
    assert!(matches!(store.incidents().update(&seen, &closed), Err(UpdateError::Changed(_))));
    let grown = Incident { revision: 1, risk: 99.0, ..seen.clone() };
    assert_eq!(write(&grown).kept_incidents, std::slice::from_ref(&closed));
    assert_eq!(store.incidents().get(seen.id).unwrap(), Some(closed.clone()));
    let reopened = Incident { revision: 2, ..grown };
    assert_eq!(write(&reopened).kept_incidents, []);
}

#[test]
fn incidents_are_listed_newest_first_by_state_and_account() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    for (name, opened, shard) in [("acme", 1, 0), ("acme", 3, 0), ("beta", 2, 1), ("acm", 4, 1)] {
        let incident = Incident { shard: ShardId(shard), ..incident(name, opened) };
        let batch = Batch { incidents: vec![incident], ..Batch::default() };
        let _ = store.shard(ShardId(shard)).commit(&batch).unwrap();
    }
    let list = |open, of: Option<&str>, limit| -> Vec<i64> {
        let filter = IncidentFilter { open, account: of.map(account) };
        let found = store.incidents().list(&filter, limit).unwrap();
        found.iter().map(|incident| incident.opened.millis()).collect()
    };
    assert_eq!(list(None, None, 10), [4, 3, 2, 1]);
    assert_eq!(list(Some(true), None, 2), [4, 3]);
    assert_eq!(list(Some(true), Some("acme"), 10), [3, 1]);
    assert_eq!(list(Some(false), None, 10), [0i64; 0]);

    let seen = incident("acme", 1);
    let seen = Incident { shard: ShardId(0), ..seen };
    let closed = Incident {
        revision: 1,
        state: IncidentState::Closed {
            at: EventTime::from_millis(9),
            verdict: Verdict::Quiet,
            reason: "quiet".into(),
            by: "satpam".into(),
        },
        ..seen.clone()
    };
    store.incidents().update(&seen, &closed).unwrap();
    assert_eq!(list(Some(false), None, 10), [1]);
    assert_eq!(list(Some(true), None, 10), [4, 3, 2]);
    assert_eq!(store.incidents().prune(EventTime::from_millis(1)).unwrap(), 0);
    assert_eq!(store.incidents().prune(EventTime::from_millis(100)).unwrap(), 1);
    assert_eq!(list(None, None, 10), [4, 3, 2]);
    assert_eq!(list(None, Some("acme"), 10), [3]);
}

#[test]
fn the_audit_log_only_grows_and_is_read_backwards() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    for number in 0..3u64 {
        let store = open(&path);
        let entry = audit_entry(i64::try_from(number).unwrap());
        assert_eq!(store.audit().append(&entry).unwrap(), number);
    }
    let store = open(&path);
    let numbers = |before, limit| -> Vec<u64> {
        store.audit().list(before, limit).unwrap().into_iter().map(|(number, _)| number).collect()
    };
    assert_eq!(numbers(None, 2), [2, 1]);
    assert_eq!(numbers(Some(1), 2), [0]);
}

fn audit_entry(at: i64) -> AuditEntry {
    AuditEntry {
        at: WallTime(at),
        who: "dewi".into(),
        what: "approved".into(),
        subject: "outbox".into(),
        reason: "confirmed by telephone".into(),
    }
}

#[test]
fn a_damaged_database_is_set_aside_and_an_empty_one_begun() {
    for damage in ["rubbish", "config"] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let store = open(&path);
        let _ = store.shard(ShardId(0)).commit(&batch_of(1)).unwrap();
        drop(store);
        if damage == "config" {
            std::fs::write(path.join("conf"), b"not sled's").unwrap();
        } else {
            let file = path.join("db");
            let length = usize::try_from(std::fs::metadata(&file).unwrap().len()).unwrap();
            std::fs::write(&file, vec![0xa5; length]).unwrap();
        }
        let (opened, metrics) = try_open(&path).unwrap();
        let recovered = opened.recovered.expect("the damage was noticed");
        assert_eq!(recovered.quarantined, folder.path().join("state.corrupt-1"), "{damage}");
        assert!(recovered.quarantined.join("db").exists(), "{damage}");
        assert_eq!(metrics.recovered.get(), 1);
        assert_eq!(opened.store.shards().unwrap(), []);
        let _ = opened.store.shard(ShardId(0)).commit(&batch_of(2)).unwrap();
    }
}

#[test]
fn damage_is_an_error_when_quarantine_is_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    drop(open(&path));
    std::fs::write(path.join("conf"), b"not sled's").unwrap();
    let settings = Settings { path: path.clone(), quarantine: false, ..Settings::default() };
    let metrics = Metrics::new(&Registry::new()).unwrap();
    assert!(matches!(Store::open(&settings, metrics), Err(StoreError::Database(_))));
    assert!(path.join("conf").exists());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "that a lock is waited for is seen only in time")]
fn a_state_that_is_just_being_let_go_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    drop(open(&path));
    for name in ["state/db", "state.lock"] {
        let held = std::fs::File::open(folder.path().join(name)).unwrap();
        held.lock().unwrap();
        let (started, wait) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let opening = scope.spawn(|| {
                started.send(()).unwrap();
                drop(open(&path));
            });
            wait.recv().unwrap();
            std::thread::sleep(std::time::Duration::from_millis(100));
            drop(held);
            opening.join().unwrap();
        });
    }
}

#[test]
fn a_full_disk_is_an_error_and_the_same_commit_succeeds_once_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = as_root(&["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs"], folder.path());
    assert!(mounted, "a disk to fill needs the right to mount one");
    let outcome = std::panic::catch_unwind(|| fill_and_recover(folder.path()));
    assert!(as_root(&["umount", "-l"], folder.path()));
    outcome.unwrap();
}

/// Runs a command on a folder, with `sudo` where this is not root's test run.
fn as_root(command: &[&str], folder: &Path) -> bool {
    let run = |arguments: &[&str]| {
        let status = std::process::Command::new(arguments[0])
            .args(&arguments[1..])
            .arg(folder)
            .stderr(std::process::Stdio::null())
            .status();
        status.is_ok_and(|status| status.success())
    };
    run(command) || run(&[&["sudo", "-n"], command].concat())
}

fn fill_and_recover(folder: &Path) {
    let path = folder.join("state");
    let store = open(&path);
    let shard = store.shard(ShardId(0));
    let _ = shard.commit(&Batch { shard_state: Some(state(1)), ..Batch::default() }).unwrap();
    let ballast = folder.join("ballast");
    let mut size = 6 << 20;
    while std::fs::write(&ballast, vec![1; size]).is_err() && size > 4096 {
        size -= 4096;
    }
    let large = Batch {
        accounts: (0..4000).map(|i| (account(&format!("a{i}")), state(i64::from(i)))).collect(),
        shard_state: Some(state(2)),
        ..Batch::default()
    };
    for _ in 0..3 {
        let error = shard.commit(&large).unwrap_err();
        assert!(error.is_temporary(), "{error:?}");
    }
    std::fs::remove_file(&ballast).unwrap();
    let _ = shard.commit(&large).unwrap();
    assert_eq!(shard.shard_state().unwrap(), Some(state(2)));
    drop((store, shard));
    let store = open(&path);
    assert_eq!(store.shard(ShardId(0)).account(&account("a3999")).unwrap(), Some(state(3999)));
}

const CHILD_FOLDER: &str = "SATPAM_TEST_STORE_CHILD";

/// The child of the next test: commits for ever and prints what is durable.
#[test]
#[expect(clippy::print_stdout, reason = "the parent test reads it")]
fn child_that_commits_until_it_is_killed() {
    let Some(path) = std::env::var_os(CHILD_FOLDER) else { return };
    let store = open(Path::new(&path));
    let shard = store.shard(ShardId(3));
    let from = shard.resume_offsets().unwrap().get(&TopicIndex(0)).map_or(0, |next| next.0);
    for number in from + 1.. {
        let _ = shard.commit(&batch_of(number)).unwrap();
        println!("\ndurable {number}");
    }
}

#[test]
fn a_kill_loses_no_durable_commit_and_leaves_no_half_one() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    for round in 1..=4 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "store::tests::child_that_commits_until_it_is_killed", "--nocapture"])
            .env(CHILD_FOLDER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let durable: Vec<i64> = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix("durable ")?.parse().ok())
            .take(15 * round)
            .collect();
        child.kill().unwrap();
        child.wait().unwrap();
        let durable = *durable.last().expect("the child committed something");

        let store = open(&path);
        let shard = store.shard(ShardId(3));
        let found = shard.resume_offsets().unwrap()[&TopicIndex(0)].0;
        assert!(found >= durable, "{durable} was durable, {found} was found");
        assert_eq!(shard.resume_offsets().unwrap()[&TopicIndex(1)].0, found);
        assert_eq!(shard.shard_state().unwrap(), Some(state(found)));
        for i in 0..20 {
            assert_eq!(shard.account(&account(&format!("a{i}"))).unwrap(), Some(state(found)));
        }
        let counts = store.counts().unwrap();
        let found = u64::try_from(found).unwrap();
        assert_eq!((counts.incidents, counts.outbox), (found, found));
    }
}

/// The bytes of every stored type. When this fails, a stored type has changed: earlier stores must
/// stay readable, so raise the version and keep the reader of the old one.
#[test]
fn the_bytes_of_stored_types_stay_as_they_are() {
    let incident = incident("acme", 1_700_000_000_000);
    let closed = Incident {
        state: IncidentState::Closed {
            at: EventTime::from_millis(1_700_000_100_000),
            verdict: Verdict::AcceptedRisk,
            reason: "known".into(),
            by: "dewi".into(),
        },
        ..incident.clone()
    };
    let outbox = OutboxEntry {
        status: OutboxStatus::Held(HoldReason::Approval(ApprovalReason::Cooldown)),
        attempts: 3,
        next_attempt: WallTime(1_700_000_000_001),
        last_error: Some("HTTP 503".into()),
        outcome: vec![UserOutcome { user: "17".into(), role: "admin".into(), done: true }],
        decision: Some(Decision {
            approved: true,
            by: "dewi".into(),
            reason: "confirmed".into(),
            at: WallTime(1_700_000_000_002),
        }),
        settled: Some(WallTime(1_700_000_000_003)),
        ..entry(&incident, "platform")
    };
    golden("incident-open", &incident);
    golden("incident-closed", &closed);
    golden("outbox", &outbox);
    golden("audit", &audit_entry(1_700_000_000_000));
}

fn golden<T>(name: &str, value: &T)
where
    T: serde::Serialize + serde::de::DeserializeOwned + PartialEq + std::fmt::Debug,
{
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/store/v1/{name}.bin"));
    let key = name.as_bytes();
    let bytes = envelope::encode(key, value);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &bytes).unwrap();
    }
    let stored = std::fs::read(&path).unwrap();
    assert_eq!(envelope::decode::<T>(key, &stored).unwrap(), *value, "{name} is not readable");
    assert_eq!(stored, bytes, "{name} is written differently");
}

#[test]
fn a_decision_and_its_audit_line_are_written_together_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let incident = incident("toko", 10);
    let entry = entry(&incident, "platform");
    {
        let store = open(&path);
        let batch = Batch {
            incidents: vec![incident],
            outbox: vec![entry.clone()],
            audit: vec![audit_entry(1)],
            ..Batch::default()
        };
        let _ = store.shard(ShardId(3)).commit(&batch).unwrap();
        let mut changed = entry.clone();
        changed.attempts = 1;
        store.outbox().update_audited(&entry, &changed, audit_entry(2)).unwrap();
        let late = store.outbox().update_audited(&entry, &changed, audit_entry(3));
        assert!(matches!(late, Err(UpdateError::Changed(_))), "{late:?}");
    }
    let store = open(&path);
    let times: Vec<i64> =
        store.audit().list(None, 10).unwrap().into_iter().map(|(_, entry)| entry.at.0).collect();
    assert_eq!(times, [2, 1]);
    assert_eq!(store.outbox().get(entry.planned.id).unwrap().unwrap().attempts, 1);
}

#[test]
fn audited_changes_of_many_shards_never_wait_for_each_other_in_a_circle() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    // Shards 0 and 64 share their turn with the audit log.
    std::thread::scope(|scope| {
        for shard in [0, 1, 64, 65] {
            let store = &store;
            scope.spawn(move || {
                for number in 0..10 {
                    let batch = Batch {
                        accounts: vec![(account("a"), vec![1])],
                        audit: vec![audit_entry(number)],
                        ..Batch::default()
                    };
                    let _ = store.shard(ShardId(shard)).commit(&batch).unwrap();
                    store.audit().append(&audit_entry(number)).unwrap();
                }
            });
        }
    });
    let numbers: Vec<u64> =
        store.audit().list(None, 1_000).unwrap().into_iter().map(|(number, _)| number).collect();
    assert_eq!(numbers, (0..80).rev().collect::<Vec<u64>>());
}

#[test]
fn records_are_found_by_the_beginning_of_their_id() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("state"));
    let incident = incident("toko", 10);
    let batch = Batch { incidents: vec![incident.clone()], ..Batch::default() };
    let _ = store.shard(ShardId(3)).commit(&batch).unwrap();
    let digits = incident.id.0.simple().to_string();
    for length in [1, 6, 7, 32] {
        let found = store.incidents().beginning_with(&digits[..length], 2).unwrap();
        assert_eq!(found, std::slice::from_ref(&incident), "{length} digits");
    }
    assert_eq!(store.incidents().beginning_with("zz", 2).unwrap(), []);
    assert_eq!(store.incidents().beginning_with(&digits[1..], 2).unwrap(), []);
}
