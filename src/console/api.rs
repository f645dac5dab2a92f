//! The paths of the control socket, version 1.
//!
//! | request | what |
//! |---|---|
//! | `GET /v1/incidents?state&account&since&limit` | incidents, the latest opened first |
//! | `GET /v1/incidents/{id}` | one incident, explained |
//! | `POST /v1/incidents/{id}/close` | closes it |
//! | `GET /v1/rules/{rule}/staging` | what an experimental rule has matched |
//! | `GET /v1/outbox?state&kind&account&incident&limit` | deliveries, the latest planned first |
//! | `GET /v1/outbox/{id}` | one delivery |
//! | `POST /v1/outbox/{id}/{approve,deny,retry,discard,undo}` | decides about it |

use std::sync::Arc;

use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Path, Query, Request, State};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;

use super::decide::{self, Decision, blocking};
use super::person::Peer;
use super::problem::Problem;
use super::socket::Desk;
use super::views::{
    CloseRequest, ClosingView, DeliveryList, DeliveryView, IncidentList, IncidentView,
    ReasonRequest, StagingView,
};
use super::{explain, find};
use crate::clock::WallTime;
use crate::event::{AccountId, EventTime, TimeSpan};
use crate::incident::{Incident, Verdict};
use crate::rulebook::Status;
use crate::store::{
    Audit, HoldReason, IncidentFilter, OutboxEntry, OutboxFilter, OutboxStatus, Store, StoreError,
};

/// A decision is a reason and a name.
const BODY_BYTES_MAX: usize = 8 * 1024;
const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;
/// So much of the audit log is searched for the lines of one incident.
const AUDIT_SEARCHED: usize = 10_000;
const AUDIT_SHOWN: usize = 200;

type Shared = Arc<Desk>;

/// Builds the paths. Only root and the user of this id are answered.
pub(super) fn router(desk: Desk, own_user_id: u32) -> Router {
    let check = move |ConnectInfo(peer): ConnectInfo<Peer>, request: Request, next: Next| async move {
        match peer.check(own_user_id) {
            Ok(()) => next.run(request).await,
            Err(problem) => problem.into_response(),
        }
    };
    Router::new()
        .route("/v1/incidents", get(incidents))
        .route("/v1/incidents/{id}", get(incident))
        .route("/v1/incidents/{id}/close", post(close))
        .route("/v1/rules/{rule}/staging", get(staging))
        .route("/v1/outbox", get(outbox))
        .route("/v1/outbox/{id}", get(delivery))
        .route("/v1/outbox/{id}/{decision}", post(decision))
        .fallback(async || Problem::not_found("there is no such path"))
        .method_not_allowed_fallback(async || {
            let mut problem = Problem::invalid("this path does not take this method");
            problem.status = 405;
            problem
        })
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(middleware::from_fn(check))
        .with_state(Arc::new(desk))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IncidentQuery {
    state: Option<String>,
    account: Option<String>,
    since: Option<String>,
    limit: Option<usize>,
}

async fn incidents(
    State(desk): State<Shared>,
    query: Result<Query<IncidentQuery>, QueryRejection>,
) -> Result<Json<IncidentList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let open = match query.state.as_deref() {
        None | Some("all") => None,
        Some("open") => Some(true),
        Some("closed") => Some(false),
        Some(_) => return Err(Problem::invalid("`state` is open, closed or all")),
    };
    let since = query.since.map(|text| since(&text, desk.clock.now())).transpose()?;
    let filter = IncidentFilter { open, account: account(query.account)? };
    let limit = limit(query.limit)?;
    blocking(&desk, move |store| {
        // One more than asked for tells whether there are more.
        let mut found = store.incidents().list(&filter, limit + 1)?;
        found.retain(|incident| since.is_none_or(|since| incident.opened >= since));
        let truncated = found.len() > limit;
        found.truncate(limit);
        Ok(Json(IncidentList {
            incidents: found.iter().map(explain::summary).collect(),
            truncated,
        }))
    })
    .await
}

async fn incident(
    State(desk): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<IncidentView>, Problem> {
    let (rulebook, now) = ((desk.rulebook)(), desk.clock.now());
    blocking(&desk, move |store| {
        let incident = find::incident(store, &name)?;
        let mut view = explain::incident(&incident, &rulebook, now);
        let deliveries = decide::deliveries(store, incident.id)?;
        view.audit = audit_of(&store.audit(), &incident, &deliveries)?;
        view.deliveries = deliveries.iter().map(explain::delivery).collect();
        Ok(Json(view))
    })
    .await
}

async fn staging(
    State(desk): State<Shared>,
    Path(rule): Path<String>,
) -> Result<Json<StagingView>, Problem> {
    let rulebook = (desk.rulebook)();
    let detections = rulebook.detections.iter().map(|rule| &rule.meta);
    let metas = || detections.clone().chain(rulebook.correlations.iter().map(|rule| &rule.meta));
    let Some(meta) = metas().find(|meta| *meta.key == *rule) else {
        let near = crate::rulebook::nearest(&rule, metas().map(|meta| &*meta.key));
        let near = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let message = format!("satpam runs without a rule of this name{near}");
        return Err(Problem::not_found(message));
    };
    if meta.status != Status::Experimental {
        let status = meta.status.as_str();
        let message = format!(
            "satpam runs with the status {status} of this rule: only experimental ones are watched"
        );
        return Err(Problem::invalid(message));
    }
    let read = Arc::clone(&desk.staged);
    blocking(&desk, move |store| Ok(Json(read(store, &rule)?))).await
}

/// Finds what was done to an incident and to its deliveries, the latest first.
fn audit_of(
    audit: &Audit,
    incident: &Incident,
    deliveries: &[OutboxEntry],
) -> Result<Vec<super::views::AuditView>, StoreError> {
    let subjects: std::collections::BTreeSet<String> = deliveries
        .iter()
        .map(|entry| entry.planned.id.to_string())
        .chain([incident.id.to_string()])
        .collect();
    let entries = audit.list(None, AUDIT_SEARCHED)?;
    let own = entries.iter().filter(|(_, entry)| subjects.contains(&*entry.subject));
    Ok(own.take(AUDIT_SHOWN).map(|(_, entry)| explain::audit(entry)).collect())
}

async fn close(
    State(desk): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    request: Result<Json<CloseRequest>, JsonRejection>,
) -> Result<Json<ClosingView>, Problem> {
    let decided = async {
        let Json(request) = request.map_err(|error| Problem::invalid(error.body_text()))?;
        let verdict = match request.verdict.as_str() {
            "false-positive" => Verdict::FalsePositive,
            "resolved" => Verdict::Resolved,
            "accepted" => Verdict::AcceptedRisk,
            _ => {
                return Err(Problem::invalid("`as` is false-positive, resolved or accepted"));
            }
        };
        let person = peer.person(request.by.as_deref(), &request.reason)?;
        decide::close(&desk, &name, verdict, person).await
    }
    .await;
    desk.metrics.decided("close", decided.is_ok());
    decided.map(Json)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct OutboxQuery {
    /// Words with commas between them.
    state: Option<String>,
    kind: Option<String>,
    account: Option<String>,
    incident: Option<String>,
    limit: Option<usize>,
}

async fn outbox(
    State(desk): State<Shared>,
    query: Result<Query<OutboxQuery>, QueryRejection>,
) -> Result<Json<DeliveryList>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let statuses = statuses(query.state.as_deref())?;
    let wants_response = match query.kind.as_deref() {
        None => None,
        Some("response") => Some(true),
        Some("mail") => Some(false),
        Some(_) => return Err(Problem::invalid("`kind` is response or mail")),
    };
    let account = account(query.account)?;
    let limit = limit(query.limit)?;
    blocking(&desk, move |store| {
        let incident = query.incident.map(|name| find::incident(store, &name)).transpose()?;
        let filter = OutboxFilter { statuses, account, incident: incident.map(|one| one.id) };
        let (found, truncated) = matching(store, &filter, wants_response, limit)?;
        let deliveries = found.iter().map(explain::delivery).collect();
        Ok(Json(DeliveryList { deliveries, truncated }))
    })
    .await
}

/// Lists entries of one kind. The store does not know kinds, so it is asked for more where the
/// first answer held too few.
fn matching(
    store: &Store,
    filter: &OutboxFilter,
    wants_response: Option<bool>,
    limit: usize,
) -> Result<(Vec<OutboxEntry>, bool), StoreError> {
    let mut asked = limit + 1;
    loop {
        let mut found = store.outbox().list(filter, asked)?;
        let is_all = found.len() < asked;
        found.retain(|entry| {
            wants_response.is_none_or(|wanted| wanted == explain::is_response(entry))
        });
        if is_all || found.len() > limit || asked >= LIMIT_MAX * 16 {
            let truncated = found.len() > limit || !is_all;
            found.truncate(limit);
            return Ok((found, truncated));
        }
        asked *= 4;
    }
}

async fn delivery(
    State(desk): State<Shared>,
    Path(name): Path<String>,
) -> Result<Json<DeliveryView>, Problem> {
    blocking(&desk, move |store| Ok(Json(explain::delivery(&find::delivery(store, &name)?)))).await
}

async fn decision(
    State(desk): State<Shared>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((name, word)): Path<(String, String)>,
    request: Result<Json<ReasonRequest>, JsonRejection>,
) -> Result<Json<DeliveryView>, Problem> {
    let Some(decision) = Decision::read(&word) else {
        return Err(Problem::not_found("an entry takes approve, deny, retry, discard or undo"));
    };
    let decided = async {
        let Json(request) = request.map_err(|error| Problem::invalid(error.body_text()))?;
        let person = peer.person(request.by.as_deref(), &request.reason)?;
        decide::about_delivery(&desk, &name, decision, person).await
    }
    .await;
    desk.metrics.decided(decision.as_str(), decided.is_ok());
    decided.map(Json)
}

fn limit(asked: Option<usize>) -> Result<usize, Problem> {
    match asked.unwrap_or(LIMIT_DEFAULT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        _ => Err(Problem::invalid(format!("`limit` is a number from 1 to {LIMIT_MAX}"))),
    }
}

fn account(asked: Option<String>) -> Result<Option<AccountId>, Problem> {
    let read = |text: String| {
        AccountId::new(&text).map_err(|error| Problem::invalid(format!("`account`: {error}")))
    };
    asked.map(read).transpose()
}

/// Reads `7d` (before now), `2026-11-10` (UTC) or an RFC 3339 time.
fn since(text: &str, now: WallTime) -> Result<EventTime, Problem> {
    if let Ok(span) = text.parse::<TimeSpan>() {
        return Ok(EventTime::from_millis(now.0.saturating_sub(span.millis())));
    }
    let day = format!("{text}T00:00:00Z");
    let time = text.parse().or_else(|_| day.parse());
    let time: jiff::Timestamp = time.map_err(|_| {
        Problem::invalid("`since` is a length of time (7d), a day (2026-11-10) or an RFC 3339 time")
    })?;
    Ok(EventTime::from_millis(time.as_millisecond()))
}

fn statuses(words: Option<&str>) -> Result<Vec<OutboxStatus>, Problem> {
    const KNOWN: [OutboxStatus; 6] = [
        OutboxStatus::Due,
        OutboxStatus::Held(HoldReason::Mode),
        OutboxStatus::Done,
        OutboxStatus::Recorded,
        OutboxStatus::Parked,
        OutboxStatus::Refused,
    ];
    let Some(words) = words.filter(|words| *words != "all") else { return Ok(Vec::new()) };
    let read = |word: &str| {
        KNOWN.into_iter().find(|status| explain::state_word(*status) == word).ok_or_else(|| {
            Problem::invalid("`state` is due, held, done, recorded, parked, refused or all")
        })
    };
    words.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_beginning_is_a_length_of_time_a_day_or_a_time() {
        let now = WallTime(1_794_000_000_000);
        for (text, millis) in [
            ("1h", Some(1_793_996_400_000)),
            ("2026-11-10", Some(1_794_268_800_000)),
            ("2026-11-10T07:00:00+07:00", Some(1_794_268_800_000)),
            ("yesterday", None),
            ("", None),
            ("2026-13-01", None),
        ] {
            assert_eq!(since(text, now).ok().map(EventTime::millis), millis, "{text}");
        }
    }

    #[test]
    fn states_are_words_with_commas() {
        assert_eq!(statuses(None).unwrap(), []);
        assert_eq!(statuses(Some("all")).unwrap(), []);
        assert_eq!(
            statuses(Some("due,parked")).unwrap(),
            [OutboxStatus::Due, OutboxStatus::Parked]
        );
        for words in ["", "due,", "Due", "due parked"] {
            assert!(statuses(Some(words)).is_err(), "{words}");
        }
    }
}
