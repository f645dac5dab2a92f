//! The responder against a platform on loopback that fails in every way, with a real store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use tokio_util::sync::CancellationToken;

use super::guard::{Mode, Modes};
use super::*;
use crate::clock::SystemClock;
use crate::event::{AccountId, EventTime, ShardId};
use crate::incident::{
    ApprovalReason, DeliveryKind, IncidentId, OutboxId, Planned, StaffMail, TenantMail,
};
use crate::rulebook::ActionKind;
use crate::secret::Secret;
use crate::store::{HoldReason, OutboxEntry, OutboxStatus};

/// The answers that the stub gives in turn, the last one for ever; and what it was sent.
#[derive(Default)]
struct Stub {
    answers: Vec<(u16, &'static str)>,
    requests: Vec<(String, String, Vec<u8>)>,
}

type SharedStub = Arc<Mutex<Stub>>;

const DONE: (u16, &str) =
    (200, r#"{"status":"done","users":[{"id":"1","role":"admin","done":true}]}"#);

async fn answer(
    State(stub): State<SharedStub>,
    method: axum::http::Method,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> impl IntoResponse {
    let mut stub = stub.lock().unwrap();
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    assert!(headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    stub.requests.push((method.to_string(), key, body.to_vec()));
    let (status, text) =
        if stub.answers.len() > 1 { stub.answers.remove(0) } else { stub.answers[0] };
    (StatusCode::from_u16(status).unwrap(), [("retry-after", "0")], text)
}

struct World {
    store: Store,
    stub: SharedStub,
    settings: Settings,
    _folder: tempfile::TempDir,
}

async fn world(answers: &[(u16, &'static str)], mode: Mode) -> World {
    let stub: SharedStub =
        Arc::new(Mutex::new(Stub { answers: answers.to_vec(), requests: Vec::new() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&stub));
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let folder = tempfile::tempdir().unwrap();
    let store_settings = crate::store::Settings {
        path: folder.path().join("state"),
        ..crate::store::Settings::default()
    };
    let registry = prometheus::Registry::new();
    let store =
        Store::open(&store_settings, crate::store::Metrics::new(&registry).unwrap()).unwrap().store;
    let short = TimeSpan::from_millis(20);
    let settings = Settings {
        modes: Modes { force_password_reset: mode, ..Modes::default() },
        retry: RetrySettings { first_wait: short, longest_wait: short, attempts: 8 },
        circuit: CircuitSettings { failures: 2, open_for: short },
        platform: Some(PlatformSettings {
            base_url,
            signing_secret: Secret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
            bearer_token: None,
            ca_file: None,
            timeout: TimeSpan::from_millis(2_000),
            poll_every: short,
            accepted_lasts: TimeSpan::from_millis(60_000),
        }),
        ..Settings::default()
    };
    World { store, stub, settings, _folder: folder }
}

fn planned(account: &str) -> Planned {
    let account = AccountId::new(account).unwrap();
    let incident = IncidentId::mint(&account, &crate::event::EventId::new("e").unwrap());
    let kind = DeliveryKind::Action(ActionKind::ForcePasswordReset);
    Planned {
        id: OutboxId::mint(incident, kind, "platform"),
        shard: ShardId(0),
        account,
        incident,
        kind,
        target: "platform".into(),
        created: EventTime::from_millis(1_795_489_440_000),
        reason: "First link to a site".into(),
        needs_approval: None,
        after: Vec::new(),
    }
}

impl World {
    fn start(&self) -> (Responder, CancellationToken) {
        let cancel = CancellationToken::new();
        let responder = start(
            self.settings.clone(),
            self.store.clone(),
            Arc::new(SystemClock),
            Metrics::new(&prometheus::Registry::new()).unwrap(),
            Arc::new(Figures::default()),
            Arc::new(tokio::sync::Notify::new()),
            crate::telemetry::Liveness::new(Duration::from_mins(1)).watch("respond"),
            cancel.clone(),
        );
        (responder.unwrap(), cancel)
    }

    async fn until(&self, id: OutboxId, wanted: fn(OutboxStatus) -> bool) -> OutboxEntry {
        for _ in 0..1_500 {
            let entry = self.store.outbox().get(id).unwrap();
            if let Some(entry) = entry.filter(|entry| wanted(entry.status)) {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.store.outbox().get(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_platform_answers_first_the_action_is_done_once_under_one_key() {
    for answers in [
        vec![DONE],
        vec![(503, ""), (500, "oops"), (429, ""), (200, "{\"status\":\"do"), DONE],
        vec![(202, ""), (202, ""), (200, r#"{"status":"accepted"}"#), DONE],
        vec![(202, ""), (404, ""), DONE],
    ] {
        let world = world(&answers, Mode::Auto).await;
        let plan = planned("toko");
        world.store.outbox().insert(&OutboxEntry::new(plan.clone())).unwrap();
        let (responder, cancel) = world.start();
        let entry = world.until(plan.id, |status| status == OutboxStatus::Done).await;
        assert_eq!(entry.outcome.len(), 1, "{answers:?}");
        cancel.cancel();
        responder.task.await.unwrap();
        let stub = world.stub.lock().unwrap();
        let bodies: std::collections::BTreeSet<&Vec<u8>> =
            stub.requests.iter().filter(|r| r.0 == "POST").map(|r| &r.2).collect();
        assert_eq!(bodies.len(), 1, "every try sends the same bytes");
        assert!(stub.requests.iter().all(|request| request.1 == plan.id.to_string()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_and_the_last_try_park_the_action_and_a_person_may_send_it_again() {
    for answer in [
        (404, ""),
        (422, r#"{"status":"failed","detail":"no such account"}"#),
        (409, ""),
        (503, ""),
    ] {
        let world = world(&[answer], Mode::Auto).await;
        let plan = planned("toko");
        world.store.outbox().insert(&OutboxEntry::new(plan.clone())).unwrap();
        let (responder, cancel) = world.start();
        let entry = world.until(plan.id, |status| status == OutboxStatus::Parked).await;
        assert!(entry.last_error.unwrap().contains(&answer.0.to_string()));
        world.stub.lock().unwrap().answers = vec![DONE];
        let by = Person { name: "ana".to_owned(), reason: "fixed".to_owned() };
        responder.operator.retry(plan.id, by).await.unwrap();
        world.until(plan.id, |status| status == OutboxStatus::Done).await;
        cancel.cancel();
        responder.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_action_waits_for_a_person_across_a_restart_and_both_answers_are_final() {
    for approve in [true, false] {
        let world = world(&[DONE], Mode::Approve).await;
        let plan = planned("toko");
        world.store.outbox().insert(&OutboxEntry::new(plan.clone())).unwrap();
        let (responder, cancel) = world.start();
        world.until(plan.id, |status| matches!(status, OutboxStatus::Held(_))).await;
        cancel.cancel();
        responder.task.await.unwrap();
        assert!(world.stub.lock().unwrap().requests.is_empty());
        let (responder, cancel) = world.start();
        let by = Person { name: "ana".to_owned(), reason: "called them".to_owned() };
        if approve {
            responder.operator.approve(plan.id, by).await.unwrap();
            world.until(plan.id, |status| status == OutboxStatus::Done).await;
        } else {
            responder.operator.deny(plan.id, by).await.unwrap();
            world.until(plan.id, |status| status == OutboxStatus::Refused).await;
        }
        assert_eq!(world.stub.lock().unwrap().requests.len(), usize::from(approve));
        cancel.cancel();
        responder.task.await.unwrap();
        let log = world.store.audit().list(None, 10).unwrap();
        assert!(log.iter().any(|(_, one)| &*one.who == "ana" && &*one.reason == "called them"));
    }
}

/// A notice that needs a person; the mail server is away, which a mail that may go finds out.
#[tokio::test(flavor = "multi_thread")]
async fn a_notice_behind_which_a_noisy_rule_stands_waits_for_a_person_and_staff_are_asked() {
    for approve in [true, false] {
        let mut world = world(&[DONE], Mode::Auto).await;
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let email = serde_json::json!({
            "host": "127.0.0.1", "port": closed.port(), "tls": "none", "from": "satpam@ops.example",
            "staff": ["staff@ops.example"],
        });
        world.settings.email = Some(serde_json::from_value(email).unwrap());
        let incident = render::tests::incident(None);
        let kind = DeliveryKind::TenantMail(TenantMail::Notice);
        let notice = Planned {
            id: OutboxId::mint(incident.id, kind, "tenant"),
            incident: incident.id,
            kind,
            target: "tenant".into(),
            needs_approval: Some(ApprovalReason::NoisyRule),
            ..planned(incident.account.as_str())
        };
        let id = notice.id;
        let batch = crate::store::Batch {
            incidents: vec![incident.clone()],
            outbox: vec![OutboxEntry::new(notice)],
            ..crate::store::Batch::default()
        };
        let _ = world.store.shard(ShardId(0)).commit(&batch).unwrap();
        let (responder, cancel) = world.start();
        let held = world.until(id, |status| matches!(status, OutboxStatus::Held(_))).await;
        assert_eq!(
            (held.status, held.attempts),
            (OutboxStatus::Held(HoldReason::Approval(ApprovalReason::NoisyRule)), 0)
        );
        let asked = DeliveryKind::StaffMail(StaffMail::ApprovalNeeded);
        let asked = OutboxId::mint(incident.id, asked, "staff/notice");
        world.until(asked, |_| true).await;
        let by = Person { name: "ana".to_owned(), reason: "looked".to_owned() };
        if approve {
            responder.operator.approve(id, by).await.unwrap();
            let tried = world.until(id, |status| status == OutboxStatus::Parked).await;
            assert!(tried.attempts > 1, "it was tried until the last try: {tried:?}");
        } else {
            responder.operator.deny(id, by).await.unwrap();
            let denied = world.until(id, |status| status == OutboxStatus::Refused).await;
            assert_eq!(denied.attempts, 0);
        }
        cancel.cancel();
        responder.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spent_budget_holds_the_rest_and_survives_a_restart() {
    let mut world = world(&[DONE], Mode::Auto).await;
    world.settings.budget.accounts_per_hour = 1;
    let (first, second) = (planned("one"), planned("two"));
    world.store.outbox().insert(&OutboxEntry::new(first.clone())).unwrap();
    let (responder, cancel) = world.start();
    world.until(first.id, |status| status == OutboxStatus::Done).await;
    cancel.cancel();
    responder.task.await.unwrap();
    world.store.outbox().insert(&OutboxEntry::new(second.clone())).unwrap();
    let (responder, cancel) = world.start();
    let held = OutboxStatus::Held(HoldReason::Budget);
    let entry = world.until(second.id, |status| matches!(status, OutboxStatus::Held(_))).await;
    assert_eq!(entry.status, held);
    cancel.cancel();
    responder.task.await.unwrap();
}
