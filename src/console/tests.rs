//! The control socket on a real store and a real responder; a stand-in for the workers closes
//! incidents.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::client::{CallError, Client};
use super::closings::{CloseAnswer, Closings};
use super::socket::{Console, Desk, SocketError};
use crate::clock::{Clock, SystemClock, WallTime};
use crate::event::{AccountId, EventId, EventTime, ShardId};
use crate::incident::{
    Actor, Contribution, DeliveryKind, Impact, Incident, IncidentId, IncidentState, OutboxId,
    Planned, Stage, Verdict, closed,
};
use crate::respond;
use crate::rulebook::{ActionKind, Rulebook};
use crate::store::{self, AuditEntry, Batch, HoldReason, OutboxEntry, OutboxStatus, Store};

struct World {
    store: Store,
    client: Client,
    socket: PathBuf,
    closings: Arc<Closings>,
    desk: Desk,
    stop: CancellationToken,
    _folder: tempfile::TempDir,
}

/// One fixed day, so that what is shown does not change.
#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> WallTime {
        WallTime(1_794_286_800_000)
    }
}

const OPENED: i64 = 1_794_250_800_000;

fn incident(account: &str) -> Incident {
    let account = AccountId::new(account).unwrap();
    let event = EventId::new("wamid.1").unwrap();
    let contribution = Contribution {
        rule: "lottery_prize".into(),
        title: "Announces a prize".into(),
        level: "high".into(),
        status: "stable".into(),
        tenant_text: None,
        event: event.clone(),
        event_type: "template.created".into(),
        time: EventTime::from_millis(OPENED),
        matches: 2,
        base: 60.0,
        multiplier: 1.25,
        multiplier_reasons: vec!["two_factor_off".into()],
        evidence: vec![(
            "content.norm".into(),
            "klik http://undian.example/x wa 6281234567890\u{1b}[2J".into(),
        )],
    };
    Incident {
        id: IncidentId::mint(&account, &event),
        shard: ShardId(0),
        account,
        account_name: Some("Toko\u{202e} Contoh".into()),
        revision: 0,
        stage: Stage::Respond,
        opened: EventTime::from_millis(OPENED),
        last_match: EventTime::from_millis(OPENED),
        risk: 75.0,
        risk_peak: 110.0,
        contributions: vec![contribution],
        actors: vec![Actor {
            id: Some("7".into()),
            email: Some("budi@toko.example".into()),
            role: Some("admin".into()),
            credential: None,
            ip: Some("198.51.100.7".into()),
        }],
        impact: Impact { broadcasts: 1, recipients: 990, ..Impact::default() },
        language: None,
        timezone: "Asia/Jakarta".into(),
        two_factor: Some(false),
        contacts: vec!["budi@toko.example".into()],
        rules_revision: "r1".into(),
        engine_version: "0.1.0".into(),
        state: IncidentState::Open,
    }
}

fn action(incident: &Incident, kind: ActionKind, status: OutboxStatus) -> OutboxEntry {
    let kind = DeliveryKind::Action(kind);
    let mut entry = OutboxEntry::new(Planned {
        id: OutboxId::mint(incident.id, kind, "platform"),
        shard: incident.shard,
        account: incident.account.clone(),
        incident: incident.id,
        kind,
        target: "platform".into(),
        created: incident.opened,
        reason: "Announces a prize".into(),
        needs_approval: None,
        after: Vec::new(),
    });
    entry.status = status;
    // Not before the tests are over: nothing is sent here.
    entry.next_attempt = WallTime(i64::MAX / 2);
    entry
}

/// One rule, in use: the one behind the incident.
fn rules(folder: &Path) -> Arc<dyn Fn() -> Arc<Rulebook> + Send + Sync> {
    let rule = "title: Announces a prize\nname: lottery_prize\nstatus: stable\nlevel: high\n\
        logsource: {product: omnichannel, category: template}\n\
        detection:\n  prize: {content.norm|contains: undian}\n  condition: prize\n";
    let path = folder.join("rules");
    std::fs::create_dir(&path).unwrap();
    std::fs::write(path.join("lottery.yaml"), rule).unwrap();
    let rulebook = Arc::new(crate::rulebook::load(&path).unwrap().rulebook);
    Arc::new(move || Arc::clone(&rulebook))
}

const HELD: OutboxStatus = OutboxStatus::Held(HoldReason::Mode);

impl World {
    /// Serves one open incident with a held reset, a parked pause, and a done revocation.
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let registry = prometheus::Registry::new();
        let settings =
            store::Settings { path: folder.path().join("state"), ..store::Settings::default() };
        let opened = Store::open(&settings, store::Metrics::new(&registry).unwrap()).unwrap();
        let store = opened.store;
        let incident = incident("toko");
        let outbox = vec![
            action(&incident, ActionKind::ForcePasswordReset, HELD),
            action(&incident, ActionKind::PauseBroadcasts, OutboxStatus::Parked),
            action(&incident, ActionKind::RevokeSessions, OutboxStatus::Done),
        ];
        let batch = Batch { incidents: vec![incident], outbox, ..Batch::default() };
        assert_eq!(store.shard(ShardId(0)).commit(&batch).unwrap().planned, 3);
        let stop = CancellationToken::new();
        let liveness = crate::telemetry::Liveness::new(std::time::Duration::from_mins(1));
        let responder = respond::start(
            respond::Settings::default(),
            store.clone(),
            Arc::new(SystemClock),
            respond::Metrics::new(&registry).unwrap(),
            Arc::default(),
            Arc::default(),
            liveness.watch("respond"),
            stop.clone(),
        )
        .unwrap();
        let closings = Arc::new(Closings::default());
        let desk = Desk {
            store: store.clone(),
            operator: responder.operator,
            closings: Arc::clone(&closings),
            clock: Arc::new(Noon),
            rulebook: rules(folder.path()),
            staged: Arc::new(|_, rule| {
                Ok(super::StagingView { rule: rule.to_owned(), ..super::StagingView::default() })
            }),
            metrics: super::Metrics::new(&registry).unwrap(),
        };
        let socket = folder.path().join("control.sock");
        let console = Console::bind(&socket, desk.clone()).unwrap();
        tokio::spawn(console.serve(stop.clone()));
        let client = Client::new(socket.clone());
        Self { store, client, socket, closings, desk, stop, _folder: folder }
    }

    async fn get(&self, path: &'static [&'static str]) -> Result<Value, (u16, String)> {
        let client = self.client.clone();
        let call = tokio::task::spawn_blocking(move || client.get(path, &[]));
        call.await.unwrap().map_err(problem)
    }

    async fn post(&self, path: &[&str], body: Value) -> Result<Value, (u16, String)> {
        let client = self.client.clone();
        let path: Vec<String> = path.iter().map(|one| (*one).to_owned()).collect();
        let call = tokio::task::spawn_blocking(move || {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            client.post(&path, &body)
        });
        call.await.unwrap().map_err(problem)
    }

    /// Does what a worker does between two steps, without an engine.
    async fn work(closings: Arc<Closings>, store: Store) {
        loop {
            for taken in closings.take(ShardId(0)) {
                let found = store.incidents().get(taken.order.incident).unwrap().unwrap();
                if found.state != IncidentState::Open {
                    taken.answer(CloseAnswer::WasClosed(Box::new(found)));
                    continue;
                }
                let order = &taken.order;
                let at = EventTime::from_millis(order.at.0);
                let changes = closed(found, at, order.verdict, &order.reason, &order.by);
                let incident = changes.incident.unwrap();
                let batch = Batch { incidents: vec![incident.clone()], ..Batch::default() };
                assert!(store.shard(ShardId(0)).commit(&batch).unwrap().kept_incidents.is_empty());
                taken.answer(CloseAnswer::Closed(Box::new(incident)));
            }
            tokio::task::yield_now().await;
        }
    }

    fn reset_id() -> String {
        action(&incident("toko"), ActionKind::ForcePasswordReset, HELD).planned.id.to_string()
    }
}

impl World {
    /// What people have decided, by the audit log; the responder may have gone on with it already.
    fn decided(&self) -> Vec<AuditEntry> {
        let audit = self.store.audit().list(None, 10).unwrap();
        audit.into_iter().map(|(_, entry)| entry).filter(|one| &*one.who != "satpam").collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn problem(error: CallError) -> (u16, String) {
    match error {
        CallError::Refused { status, message, .. } => (status, message),
        CallError::NotRunning { .. }
        | CallError::NotAllowed(_)
        | CallError::Broken(_)
        | CallError::NotUnderstood => panic!("{error}"),
    }
}

fn reason() -> Value {
    json!({"reason": "called the tenant", "by": "Sari"})
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_make_no_sense_are_refused_with_a_reason() {
    let world = World::start();
    let reset = World::reset_id();
    let long = "x".repeat(20_000);
    for (path, body, status, word) in [
        (vec!["v1", "outbox", "zzz", "approve"], reason(), 400, "not an id"),
        (vec!["v1", "outbox", "ffffffff", "approve"], reason(), 404, "no entry"),
        (vec!["v1", "outbox", &reset, "explode"], reason(), 404, "approve, deny"),
        (vec!["v1", "outbox", &reset, "approve"], json!({}), 422, "reason"),
        (vec!["v1", "outbox", &reset, "approve"], json!({"reason": " "}), 400, "empty"),
        (vec!["v1", "outbox", &reset, "approve"], json!({"reason": long}), 413, "length limit"),
        (vec!["v1", "outbox", &reset, "approve"], json!({"reason": "x", "force": 1}), 422, "force"),
        (vec!["v1", "outbox", &reset, "retry"], reason(), 409, "parked or due"),
        (vec!["v1", "outbox", &reset, "undo"], reason(), 409, "finished action"),
        (
            vec!["v1", "incidents", "SPM-FFFFFF", "close"],
            json!({"as": "resolved", "reason": "x"}),
            404,
            "no incident",
        ),
        (
            vec!["v1", "incidents", "SPM-FFFFFF", "close"],
            json!({"as": "wrong", "reason": "x"}),
            400,
            "`as` is",
        ),
        (vec!["v1", "incidents"], reason(), 405, "method"),
        (vec!["v2", "incidents"], reason(), 404, "no such path"),
    ] {
        let (found, message) = world.post(&path, body).await.unwrap_err();
        let status = if matches!(status, 413 | 422) { 400 } else { status };
        assert_eq!(found, status, "{path:?}: {message}");
        assert!(message.contains(word), "{path:?}: {message}");
    }
    assert_eq!(world.store.audit().list(None, 10).unwrap(), [], "nothing was decided");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_decided_once_and_the_audit_log_names_the_person() {
    let world = World::start();
    let reset = World::reset_id();
    let approved = world.post(&["v1", "outbox", &reset[..8], "approve"], reason()).await.unwrap();
    assert_eq!(
        (&approved["state"], &approved["decision"]["approved"]),
        (&json!("due"), &json!(true))
    );
    for again in ["approve", "deny"] {
        let (status, _) = world.post(&["v1", "outbox", &reset, again], reason()).await.unwrap_err();
        assert_eq!(status, 409, "{again}");
    }
    let decided = world.decided();
    let [entry] = decided.as_slice() else { panic!("{decided:?}") };
    assert!(entry.who.starts_with("Sari (as "), "{entry:?}");
    assert_eq!((&*entry.what, &*entry.subject), ("approved", &*reset));
    assert_eq!(&*entry.reason, "called the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_who_decide_at_the_same_time_one_wins() {
    let world = World::start();
    let reset = World::reset_id();
    let (approve, deny) = (["v1", "outbox", &reset, "approve"], ["v1", "outbox", &reset, "deny"]);
    let (approved, denied) =
        tokio::join!(world.post(&approve, reason()), world.post(&deny, reason()));
    assert!(approved.is_ok() != denied.is_ok(), "{approved:?} {denied:?}");
    let stored = world.store.outbox().beginning_with(&reset[..8], 2).unwrap();
    assert_eq!(stored[0].decision.as_ref().unwrap().approved, approved.is_ok());
    assert_eq!(world.decided().len(), 1, "one decision, one line");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_false_alarm_is_closed_once_and_what_has_not_run_is_withdrawn() {
    let world = World::start();
    let worker = tokio::spawn(World::work(Arc::clone(&world.closings), world.store.clone()));
    let incident = incident("toko");
    let mut notice = action(&incident, ActionKind::ForcePasswordReset, HELD);
    notice.planned.kind = DeliveryKind::TenantMail(crate::incident::TenantMail::Notice);
    notice.planned.id = OutboxId::mint(incident.id, notice.planned.kind, "tenant");
    let batch = Batch { outbox: vec![notice], ..Batch::default() };
    let _ = world.store.shard(ShardId(0)).commit(&batch).unwrap();
    let client = world.client.clone();
    let query = [("kind", "response"), ("state", "held")];
    let listed = tokio::task::spawn_blocking(move || client.get(&["v1", "outbox"], &query));
    let listed: Value = listed.await.unwrap().map_err(problem).unwrap();
    assert_eq!(listed["deliveries"].as_array().unwrap().len(), 2, "a held mail is to be decided");
    let code = incident.id.code();
    let path = ["v1", "incidents", &code, "close"];
    let body = json!({"as": "false-positive", "reason": "a real raffle"});
    let (first, second) = tokio::join!(world.post(&path, body.clone()), world.post(&path, body));
    let (won, lost) = if first.is_ok() { (first, second) } else { (second, first) };
    let won = won.unwrap();
    let (status, message) = lost.unwrap_err();
    assert_eq!(status, 409);
    assert!(message.contains("closed already as false-positive"), "{message}");
    let kinds = |list: &Value| -> Vec<String> {
        list.as_array()
            .unwrap()
            .iter()
            .map(|one| one["kind"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&won["withdrawn"]),
        ["force_password_reset", "pause_broadcasts", "tenant_mail_notice"]
    );
    assert_eq!(kinds(&won["done"]), ["revoke_sessions"]);
    let incidents = world.get(&["v1", "incidents"]).await.unwrap();
    assert_eq!(incidents["incidents"][0]["closed"]["reason"], "a real raffle");
    let stored = world.store.incidents().get(incident.id).unwrap().unwrap();
    let IncidentState::Closed { verdict, .. } = stored.state else { panic!("{stored:?}") };
    assert_eq!(verdict, Verdict::FalsePositive);
    worker.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shown_holds_every_number_and_nothing_that_must_not_be() {
    let world = World::start();
    let client = world.client.clone();
    let code = incident("toko").id.code();
    let view: super::IncidentView =
        tokio::task::spawn_blocking(move || client.get(&["v1", "incidents", &code], &[]))
            .await
            .unwrap()
            .unwrap();
    let shown = serde_json::to_string_pretty(&view).unwrap();
    for hidden in ["6281234567890", "http://undian.example", "\\u001b", "\u{202e}"] {
        assert!(!shown.contains(hidden), "{hidden} in {shown}");
    }
    insta::assert_snapshot!("incident_view", shown);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_is_its_owners_alone_and_a_dead_one_is_replaced() {
    let world = World::start();
    let mode = std::fs::metadata(&world.socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = Console::bind(&world.socket, world.desk.clone());
    assert!(matches!(again, Err(SocketError::InUse(_))), "{again:?}");
    let folder = world.socket.parent().unwrap();
    let dead = folder.join("dead.sock");
    drop(std::os::unix::net::UnixListener::bind(&dead).unwrap());
    drop(Console::bind(&dead, world.desk.clone()).unwrap());
    let file = folder.join("file");
    std::fs::write(&file, "precious").unwrap();
    let refused = Console::bind(&file, world.desk.clone());
    assert!(matches!(refused, Err(SocketError::NotASocket(_))), "{refused:?}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
}

#[tokio::test]
async fn a_daemon_that_does_not_run_is_named_as_the_cause() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(folder.path().join("control.sock"));
    let error = client.get::<Value>(&["v1", "incidents"], &[]).unwrap_err();
    assert!(matches!(error, CallError::NotRunning { .. }), "{error:?}");
    assert!(error.to_string().contains("The daemon must be running"), "{error}");
}
