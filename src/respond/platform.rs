//! The platform's account API: asks for an action, asks after it, undoes it.
//!
//! The contract is `docs/platform-actions.openapi.yaml`. The body of a request is a function of the
//! plan alone, so that a retry sends the same bytes under the same `Idempotency-Key`.

use std::sync::Arc;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Method, StatusCode};
use serde::{Deserialize, Serialize};

use super::metrics::Metrics;
use super::render::mask;
use super::settings::PlatformSettings;
use super::signature::SigningKey;
use super::{DeliverError, SetupError};
use crate::clock::WallTime;
use crate::event::{AccountId, TimeSpan};
use crate::incident::{OutboxId, Planned};
use crate::rulebook::ActionKind;
use crate::secret::Secret;
use crate::store::UserOutcome;

/// Longest answer that is read, in bytes.
const ANSWER_MAX: usize = 256 * 1024;
/// Users of one answer that are kept.
const USERS_MAX: usize = 1_000;

/// The client of the account API.
#[derive(Debug)]
pub(super) struct Platform {
    client: reqwest::Client,
    base: reqwest::Url,
    key: SigningKey,
    bearer: Option<Secret>,
    metrics: Metrics,
}

/// What the platform answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is done, with a result for each user where the action is about users.
    Done(Vec<UserOutcome>),
    /// It will be done: ask again after this time, if the platform said one.
    Accepted(Option<TimeSpan>),
    /// It does not know this action.
    Unknown,
}

#[derive(Serialize)]
struct Request<'a> {
    id: String,
    kind: &'static str,
    incident: String,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    users: Option<Users>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    templates: &'a [Arc<str>],
    requested_at: String,
}

#[derive(Serialize)]
struct Users {
    roles: [&'static str; 3],
}

#[derive(Deserialize)]
struct Reply {
    status: ReplyStatus,
    #[serde(default)]
    users: Vec<ReplyUser>,
    #[serde(default)]
    detail: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ReplyStatus {
    Done,
    Accepted,
    Failed,
}

#[derive(Deserialize)]
struct ReplyUser {
    id: String,
    role: String,
    done: bool,
}

/// Returns the bytes of a request: the same for the same plan. `templates` are the names that
/// `block_template` is about.
///
/// # Panics
/// Never: a request can be encoded.
pub fn body(planned: &Planned, kind: ActionKind, templates: &[Arc<str>]) -> Vec<u8> {
    let users = match kind {
        ActionKind::ForcePasswordReset
        | ActionKind::RevokeSessions
        | ActionKind::RequireTwoFactor => {
            // Admins first: they are the ones who can help the others afterwards.
            Some(Users { roles: ["admin", "supervisor", "agent"] })
        }
        ActionKind::PauseBroadcasts
        | ActionKind::BlockTemplate
        | ActionKind::RequestSecretKeyReset => None,
    };
    let requested_at = jiff::Timestamp::from_millisecond(planned.created.millis())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let reason: String = mask::clean(&planned.reason);
    let request = Request {
        id: planned.id.to_string(),
        kind: kind.as_str(),
        incident: planned.incident.to_string(),
        reason: &reason,
        users,
        templates: match kind {
            ActionKind::BlockTemplate => templates,
            ActionKind::ForcePasswordReset
            | ActionKind::RevokeSessions
            | ActionKind::PauseBroadcasts
            | ActionKind::RequestSecretKeyReset
            | ActionKind::RequireTwoFactor => &[],
        },
        requested_at: requested_at.to_string(),
    };
    serde_json::to_vec(&request).expect("a struct of texts is JSON")
}

impl Platform {
    /// Prepares the client; nobody is asked yet.
    pub(super) fn new(settings: &PlatformSettings, metrics: Metrics) -> Result<Self, SetupError> {
        let (client, base, key) = prepare(settings)?;
        Ok(Self { client, base, key, bearer: settings.bearer_token.clone(), metrics })
    }

    /// Asks for the action.
    pub(super) async fn request(
        &self,
        planned: &Planned,
        body: Vec<u8>,
        now: WallTime,
    ) -> Result<Answer, DeliverError> {
        let url = self.url(&planned.account, None)?;
        self.call("request", Method::POST, url, planned.id, body, now).await
    }

    /// Asks what became of an accepted action.
    pub(super) async fn poll(
        &self,
        planned: &Planned,
        now: WallTime,
    ) -> Result<Answer, DeliverError> {
        let url = self.url(&planned.account, Some(planned.id))?;
        match self.call("poll", Method::GET, url, planned.id, Vec::new(), now).await {
            Err(DeliverError::NotFound(_)) => Ok(Answer::Unknown),
            answer => answer,
        }
    }

    /// Takes an action back, where the platform can.
    pub(super) async fn undo(&self, planned: &Planned, now: WallTime) -> Result<(), DeliverError> {
        let url = self.url(&planned.account, Some(planned.id))?;
        self.call("undo", Method::DELETE, url, planned.id, Vec::new(), now).await.map(|_| ())
    }

    fn url(&self, account: &AccountId, id: Option<OutboxId>) -> Result<reqwest::Url, DeliverError> {
        let mut url = self.base.clone();
        let dots = matches!(account.as_str(), "." | "..");
        if dots {
            return Err(DeliverError::Refused("the account's code cannot stand in a URL".into()));
        }
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["accounts", account.as_str(), "actions"]);
            if let Some(id) = id {
                path.push(&id.to_string());
            }
        }
        Ok(url)
    }

    async fn call(
        &self,
        endpoint: &'static str,
        method: Method,
        url: reqwest::Url,
        id: OutboxId,
        body: Vec<u8>,
        now: WallTime,
    ) -> Result<Answer, DeliverError> {
        let id = id.to_string();
        let seconds = now.0.div_euclid(1_000);
        let mut request = self
            .client
            .request(method, url)
            .header("idempotency-key", &id)
            .header("webhook-id", &id)
            .header("webhook-timestamp", seconds.to_string())
            .header("webhook-signature", self.key.sign(&id, seconds, &body))
            .header("content-type", "application/json")
            .body(body);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer.expose());
        }
        let answered = request.send().await;
        let status = answered.as_ref().ok().map(|response| response.status().as_u16());
        self.metrics.platform_request(endpoint, status);
        let response = answered.map_err(|error| unreachable_platform(&error))?;
        read(response, now).await
    }
}

/// Returns why a client cannot be made of these settings.
pub(super) fn check(settings: &PlatformSettings) -> Result<(), SetupError> {
    prepare(settings).map(|_| ())
}

fn prepare(
    settings: &PlatformSettings,
) -> Result<(reqwest::Client, reqwest::Url, SigningKey), SetupError> {
    let mut base: reqwest::Url =
        settings.base_url.parse().map_err(|_| SetupError::BaseUrl(settings.base_url.clone()))?;
    let secure = base.scheme() == "https";
    let local = base.scheme() == "http" && base.host_str().is_some_and(super::is_loopback);
    if !(secure || local) || base.cannot_be_a_base() {
        return Err(SetupError::BaseUrl(settings.base_url.clone()));
    }
    if !base.path().ends_with('/') {
        base.set_path(&format!("{}/", base.path()));
    }
    // A second provider is refused; that one is set is all that matters.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = reqwest::Client::builder()
        .timeout(settings.timeout.to_std())
        .connect_timeout(settings.timeout.to_std().min(std::time::Duration::from_secs(5)))
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .user_agent(concat!("satpam/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &settings.ca_file {
        let pem = super::read_file(path)?;
        let certificate = reqwest::Certificate::from_pem(&pem).map_err(SetupError::HttpClient)?;
        builder = builder.tls_certs_merge([certificate]);
    }
    let client = builder.build().map_err(SetupError::HttpClient)?;
    Ok((client, base, SigningKey::new(&settings.signing_secret)?))
}

/// Turns an HTTP answer into ours.
async fn read(mut response: reqwest::Response, now: WallTime) -> Result<Answer, DeliverError> {
    let status = response.status();
    let after = retry_after(response.headers(), now);
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= ANSWER_MAX => bytes.extend(chunk),
            Ok(Some(_) | None) => break,
            // The action may have been done: the same key will tell.
            Err(error) => return Err(unreachable_platform(&error)),
        }
    }
    let reply: Option<Reply> = serde_json::from_slice(&bytes).ok();
    let detail = || {
        let detail = reply.as_ref().and_then(|reply| reply.detail.as_deref()).map(mask::quote);
        match detail {
            Some(detail) => format!("HTTP {}: {detail}", status.as_u16()),
            None => format!("HTTP {}", status.as_u16()),
        }
    };
    match status {
        StatusCode::OK | StatusCode::CREATED => match reply {
            Some(Reply { status: ReplyStatus::Done, users, .. }) => {
                Ok(Answer::Done(outcomes(users)))
            }
            Some(Reply { status: ReplyStatus::Accepted, .. }) => Ok(Answer::Accepted(after)),
            Some(Reply { status: ReplyStatus::Failed, .. }) => Err(DeliverError::Refused(detail())),
            None => Err(DeliverError::Later {
                reason: format!("HTTP {} without a readable answer", status.as_u16()),
                after,
            }),
        },
        StatusCode::ACCEPTED => Ok(Answer::Accepted(after)),
        StatusCode::NO_CONTENT => Ok(Answer::Done(Vec::new())),
        StatusCode::NOT_FOUND => Err(DeliverError::NotFound(detail())),
        StatusCode::CONFLICT => Err(DeliverError::Refused(format!(
            "{}: the same idempotency key with another body, which is a fault of satpam",
            detail()
        ))),
        StatusCode::TOO_MANY_REQUESTS => Err(DeliverError::Later { reason: detail(), after }),
        StatusCode::REQUEST_TIMEOUT => Err(DeliverError::Unreachable { reason: detail(), after }),
        _ if status.is_server_error() => Err(DeliverError::Unreachable { reason: detail(), after }),
        _ => Err(DeliverError::Refused(detail())),
    }
}

fn outcomes(users: Vec<ReplyUser>) -> Vec<UserOutcome> {
    users
        .into_iter()
        .take(USERS_MAX)
        .map(|user| UserOutcome {
            user: mask::clean(&user.id).into(),
            role: mask::clean(&user.role).into(),
            done: user.done,
        })
        .collect()
}

fn unreachable_platform(error: &reqwest::Error) -> DeliverError {
    DeliverError::Unreachable { reason: super::chain(error), after: None }
}

/// Reads `Retry-After`: seconds, or an HTTP date.
fn retry_after(headers: &HeaderMap, now: WallTime) -> Option<TimeSpan> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<i64>() {
        return Some(TimeSpan::from_millis(seconds.saturating_mul(1_000)));
    }
    let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp().as_millisecond();
    Some(TimeSpan::from_millis(at.saturating_sub(now.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_to_wait_is_read_in_both_forms() {
        for (text, millis) in [
            ("7", Some(7_000)),
            ("-5", Some(0)),
            ("Tue, 24 Nov 2026 03:04:10 GMT", Some(10_000)),
            ("Tue, 24 Nov 2020 03:04:10 GMT", Some(0)),
            ("soon", None),
            ("99999999999999999999", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            let after = retry_after(&headers, WallTime(1_795_489_440_000));
            assert_eq!(after.map(TimeSpan::millis), millis, "{text}");
        }
    }
}
