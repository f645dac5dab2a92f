//! A stand-in for the platform's account API: it checks the signature of each request, records it,
//! and does what it is asked: after a reset the intruder is out, after a pause nothing more is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::clock::DemoClock;
use crate::event::{AccountId, EventTime};
use crate::rulebook::ActionKind;

const BODY_MAX: usize = 64 * 1024;
const CALLS_MAX: usize = 10_000;
/// How far the time of a signature may be off. Wide: the demo's clock runs fast.
const SIGNATURE_MILLIS: i64 = 3_600_000;
/// What the platform sends of one broadcast in a second, as WhatsApp's own limit.
pub(super) const MESSAGES_PER_SECOND: u64 = 80;

/// An action that was asked for with a signature that is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) account: AccountId,
    pub(super) kind: ActionKind,
    /// The roles in the order in which they are to be treated; empty where it is not about users.
    pub(super) roles: Vec<String>,
    pub(super) reason: String,
    pub(super) at: EventTime,
    pub(super) arrived: Instant,
}

/// A broadcast that the platform accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Job {
    account: AccountId,
    recipients: u64,
    started: EventTime,
}

#[derive(Debug, Default)]
struct Record {
    calls: Vec<Call>,
    /// Bodies by idempotency key.
    seen: BTreeMap<String, Vec<u8>>,
    /// Requests that were turned away.
    refused: u64,
    jobs: Vec<Job>,
}

/// The platform's side of the demo.
#[derive(Debug, Clone)]
pub(super) struct Platform {
    clock: Arc<DemoClock>,
    key: Arc<[u8]>,
    record: Arc<Mutex<Record>>,
}

#[derive(Deserialize)]
struct Body {
    id: String,
    kind: ActionKind,
    reason: String,
    #[serde(default)]
    users: Users,
}

#[derive(Default, Deserialize)]
struct Users {
    roles: Vec<String>,
}

impl Platform {
    /// `key` is what both sides sign with.
    pub(super) fn new(clock: Arc<DemoClock>, key: &[u8]) -> Self {
        Self { clock, key: key.into(), record: Arc::default() }
    }

    /// Serves the API until `stop`.
    pub(super) async fn serve(&self, stop: CancellationToken) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new()
            .route("/accounts/{account}/actions", post(request))
            .route("/accounts/{account}/actions/{id}", get(poll).delete(undo))
            .layer(axum::extract::DefaultBodyLimit::max(BODY_MAX))
            .with_state(self.clone());
        let served = axum::serve(listener, router)
            .with_graceful_shutdown(async move { stop.cancelled().await });
        tokio::spawn(async move {
            if let Err(error) = served.await {
                tracing::warn!(%error, "the platform of the demo ended");
            }
        });
        Ok(address)
    }

    /// Returns the calls from number `from` on.
    pub(super) fn calls_from(&self, from: usize) -> Vec<Call> {
        self.record().calls.get(from..).unwrap_or_default().to_vec()
    }

    /// Returns how many requests were turned away.
    pub(super) fn refused(&self) -> u64 {
        self.record().refused
    }

    /// Tells whether the intruder's session and password of this account are worth nothing any more.
    pub(super) fn is_locked(&self, account: &AccountId) -> bool {
        self.first(account, |kind| {
            matches!(kind, ActionKind::ForcePasswordReset | ActionKind::RevokeSessions)
        })
        .is_some()
    }

    /// Begins to send a broadcast.
    pub(super) fn begin_broadcast(&self, account: &AccountId, recipients: u64, at: EventTime) {
        let job = Job { account: account.clone(), recipients, started: at };
        self.record().jobs.push(job);
    }

    /// Returns how many people the account's broadcasts have reached so far.
    pub(super) fn reached(&self, account: &AccountId) -> u64 {
        let paused = self.first(account, |kind| kind == ActionKind::PauseBroadcasts);
        let now = self.clock.time();
        let until = paused.map_or(now, |paused| paused.min(now));
        let record = self.record();
        let jobs = record.jobs.iter().filter(|job| job.account == *account);
        jobs.map(|job| {
            let millis = u64::try_from(until.millis_since(job.started)).unwrap_or(0);
            job.recipients.min(millis.saturating_mul(MESSAGES_PER_SECOND) / 1_000)
        })
        .sum()
    }

    fn first(&self, account: &AccountId, is_it: impl Fn(ActionKind) -> bool) -> Option<EventTime> {
        let record = self.record();
        record.calls.iter().find(|call| call.account == *account && is_it(call.kind)).map(|c| c.at)
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks the headers of a request against its body, as Standard Webhooks says.
    fn is_signed(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let (Some(id), Some(timestamp), Some(signatures)) =
            (text("webhook-id"), text("webhook-timestamp"), text("webhook-signature"))
        else {
            return false;
        };
        let age = timestamp.parse::<i64>().map(|seconds| {
            self.clock.time().millis().saturating_sub(seconds.saturating_mul(1_000))
        });
        let is_fresh = age.is_ok_and(|age| age.saturating_abs() <= SIGNATURE_MILLIS);
        let is_right = |signature: &str| {
            let Some(encoded) = signature.strip_prefix("v1,") else { return false };
            let Ok(given) = STANDARD.decode(encoded) else { return false };
            let mut mac =
                Hmac::<Sha256>::new_from_slice(&self.key).expect("HMAC takes a key of any length");
            mac.update(format!("{id}.{timestamp}.").as_bytes());
            mac.update(body);
            mac.verify_slice(&given).is_ok()
        };
        is_fresh && text("idempotency-key") == Some(id) && signatures.split(' ').any(is_right)
    }

    fn refuse(&self, status: StatusCode, detail: &str) -> Response {
        self.record().refused += 1;
        (status, Json(json!({"status": "failed", "detail": detail}))).into_response()
    }
}

async fn request(
    State(platform): State<Platform>,
    Path(account): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if !platform.is_signed(&headers, &body) {
        return platform.refuse(StatusCode::UNAUTHORIZED, "the signature is not right");
    }
    let (Ok(account), Ok(read)) = (AccountId::new(&account), serde_json::from_slice::<Body>(&body))
    else {
        return platform.refuse(StatusCode::UNPROCESSABLE_ENTITY, "not an action");
    };
    if headers.get("idempotency-key").is_none_or(|key| key.as_bytes() != read.id.as_bytes()) {
        return platform.refuse(StatusCode::UNPROCESSABLE_ENTITY, "the id is not the key");
    }
    let reply = done(&read.users.roles);
    let mut record = platform.record();
    match record.seen.get(&read.id) {
        Some(before) if before[..] == body[..] => return reply.into_response(),
        Some(_) => {
            drop(record);
            return platform.refuse(StatusCode::CONFLICT, "another body under the same key");
        }
        None if record.calls.len() >= CALLS_MAX => {
            drop(record);
            return platform.refuse(StatusCode::TOO_MANY_REQUESTS, "later");
        }
        None => {}
    }
    record.seen.insert(read.id, body.to_vec());
    record.calls.push(Call {
        account,
        kind: read.kind,
        roles: read.users.roles,
        reason: read.reason,
        at: platform.clock.time(),
        arrived: Instant::now(),
    });
    reply.into_response()
}

async fn poll(
    State(platform): State<Platform>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if !platform.is_signed(&headers, &[]) {
        return platform.refuse(StatusCode::UNAUTHORIZED, "the signature is not right");
    }
    if platform.record().seen.contains_key(&id) {
        return Json(json!({"status": "done"})).into_response();
    }
    platform.refuse(StatusCode::NOT_FOUND, "no such action")
}

/// No action of the demo is taken back.
async fn undo(State(platform): State<Platform>, headers: HeaderMap) -> Response {
    if !platform.is_signed(&headers, &[]) {
        return platform.refuse(StatusCode::UNAUTHORIZED, "the signature is not right");
    }
    platform.refuse(StatusCode::UNPROCESSABLE_ENTITY, "this platform undoes nothing")
}

/// Every tenant of this platform has one admin, one supervisor and three agents.
fn done(roles: &[String]) -> Json<Value> {
    let users: Vec<Value> = roles
        .iter()
        .flat_map(|role| {
            let count = if role == "agent" { 3 } else { 1 };
            (1..=count)
                .map(move |n| json!({"id": format!("{role}-{n}"), "role": role, "done": true}))
        })
        .collect();
    Json(json!({"status": "done", "users": users}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[u8] = b"a key of thirty-two bytes, known";

    fn platform() -> Platform {
        Platform::new(Arc::new(DemoClock::new(EventTime::from_millis(5_000_000))), KEY)
    }

    fn signed(id: &str, seconds: i64, body: &[u8], key: &[u8]) -> HeaderMap {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(format!("{id}.{seconds}.").as_bytes());
        mac.update(body);
        let signature = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("idempotency-key", id),
            ("webhook-id", id),
            ("webhook-timestamp", &seconds.to_string()),
            ("webhook-signature", &signature),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        headers
    }

    fn body(id: &str, kind: &str) -> Vec<u8> {
        let users = json!({"roles": ["admin", "agent"]});
        json!({"id": id, "kind": kind, "reason": "r", "users": users}).to_string().into_bytes()
    }

    async fn ask(platform: &Platform, headers: HeaderMap, body: Vec<u8>) -> StatusCode {
        let path = Path("toko".to_owned());
        request(State(platform.clone()), path, headers, body.into()).await.status()
    }

    #[tokio::test]
    async fn only_what_is_signed_now_with_the_key_is_recorded_and_that_once() {
        let platform = platform();
        let reset = body("a", "force_password_reset");
        let wrong_key = signed("a", 5_000, &reset, b"another key");
        assert_eq!(ask(&platform, wrong_key, reset.clone()).await, StatusCode::UNAUTHORIZED);
        let old = signed("a", 1_000, &reset, KEY);
        assert_eq!(ask(&platform, old, reset.clone()).await, StatusCode::UNAUTHORIZED);
        assert_eq!(ask(&platform, HeaderMap::new(), reset.clone()).await, StatusCode::UNAUTHORIZED);
        let unknown = body("b", "make_coffee");
        let headers = signed("b", 5_000, &unknown, KEY);
        assert_eq!(ask(&platform, headers, unknown).await, StatusCode::UNPROCESSABLE_ENTITY);
        assert!(!platform.is_locked(&AccountId::new("toko").unwrap()));

        let right = signed("a", 5_000, &reset, KEY);
        assert_eq!(ask(&platform, right.clone(), reset.clone()).await, StatusCode::OK);
        assert_eq!(ask(&platform, right, reset).await, StatusCode::OK);
        let other = body("a", "revoke_sessions");
        let headers = signed("a", 5_000, &other, KEY);
        assert_eq!(ask(&platform, headers, other).await, StatusCode::CONFLICT);
        let calls = platform.calls_from(0);
        assert_eq!(calls.len(), 1);
        assert_eq!(
            (calls[0].kind, calls[0].roles[0].as_str()),
            (ActionKind::ForcePasswordReset, "admin")
        );
        assert!(platform.is_locked(&AccountId::new("toko").unwrap()));
        assert_eq!(platform.refused(), 5);
    }

    #[tokio::test]
    async fn a_pause_stops_what_is_being_sent() {
        let platform = platform();
        let account = AccountId::new("toko").unwrap();
        let now = EventTime::from_millis(5_000_000);
        platform.begin_broadcast(&account, 1_000, now);
        platform.clock.follow(now.plus_millis(2_000));
        let pause = body("p", "pause_broadcasts");
        assert_eq!(ask(&platform, signed("p", 5_000, &pause, KEY), pause).await, StatusCode::OK);
        platform.clock.follow(now.plus_millis(60_000));
        assert_eq!(platform.reached(&account), 2 * MESSAGES_PER_SECOND);
        platform.begin_broadcast(&account, 1_000, now.plus_millis(61_000));
        assert_eq!(platform.reached(&account), 2 * MESSAGES_PER_SECOND);
    }
}
