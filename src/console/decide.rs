//! What a person's decision leads to.

use std::time::Duration;

use super::closings::{CloseAnswer, CloseOrder};
use super::problem::Problem;
use super::socket::Desk;
use super::views::{ClosingView, DeliveryView};
use super::{explain, find};
use crate::incident::{DeliveryKind, Incident, OutboxId, StaffMail, TenantMail, Verdict};
use crate::respond::{OperateError, Operator, Person};
use crate::rulebook::ActionKind;
use crate::store::{OutboxEntry, OutboxStatus, Store, StoreError};

/// Longer than a worker takes for its longest step and a checkpoint.
const CLOSE_PATIENCE: Duration = Duration::from_secs(10);

/// What can be decided about one entry of the outbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Approve,
    Deny,
    Retry,
    Discard,
    Undo,
}

impl Decision {
    pub(super) fn read(word: &str) -> Option<Self> {
        Some(match word {
            "approve" => Self::Approve,
            "deny" => Self::Deny,
            "retry" => Self::Retry,
            "discard" => Self::Discard,
            "undo" => Self::Undo,
            _ => return None,
        })
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
            Self::Retry => "retry",
            Self::Discard => "discard",
            Self::Undo => "undo",
        }
    }

    async fn carry_out(
        self,
        operator: &Operator,
        id: OutboxId,
        by: Person,
    ) -> Result<OutboxEntry, OperateError> {
        match self {
            Self::Approve => operator.approve(id, by).await,
            Self::Deny => operator.deny(id, by).await,
            Self::Retry => operator.retry(id, by).await,
            Self::Discard => operator.discard(id, by).await,
            Self::Undo => operator.undo(id, by).await,
        }
    }
}

/// Decides about an entry of the outbox.
pub(super) async fn about_delivery(
    desk: &Desk,
    name: &str,
    decision: Decision,
    by: Person,
) -> Result<DeliveryView, Problem> {
    let wanted = name.to_owned();
    let found = blocking(desk, move |store| find::delivery(store, &wanted)).await?;
    let decided = decision.carry_out(&desk.operator, found.planned.id, by).await?;
    Ok(explain::delivery(&decided))
}

/// Closes an incident: first in the engine, then what still waits for it is withdrawn.
pub(super) async fn close(
    desk: &Desk,
    name: &str,
    verdict: Verdict,
    by: Person,
) -> Result<ClosingView, Problem> {
    let wanted = name.to_owned();
    let found = blocking(desk, move |store| find::incident(store, &wanted)).await?;
    let order = CloseOrder {
        incident: found.id,
        shard: found.shard,
        verdict,
        reason: by.reason.clone(),
        by: by.name.clone(),
        at: desk.clock.now(),
    };
    let closed = match desk.closings.close(order, CLOSE_PATIENCE).await? {
        CloseAnswer::Closed(closed) => closed,
        CloseAnswer::WasClosed(closed) => {
            let how = explain::summary(&closed).closed;
            let how = how.map(|how| format!(" as {} by {} at {}", how.verdict, how.by, how.at));
            return Err(Problem::conflict(format!(
                "{} was closed already{}",
                closed.id.code(),
                how.unwrap_or_default()
            )));
        }
        CloseAnswer::Missing => {
            return Err(Problem::not_found(format!("there is no incident `{name}` any more")));
        }
    };
    desk.metrics.judged(verdict);
    let (withdrawn, done) = withdraw(desk, &closed, verdict, &by).await?;
    let rulebook = (desk.rulebook)();
    Ok(ClosingView {
        incident: explain::summary(&closed),
        withdrawn,
        done,
        exception: explain::exception(&closed, &rulebook, desk.clock.now()),
    })
}

/// Takes back the responses that have not run: what waits for a person, and after a false alarm also
/// what is tried again. Returns these, and the actions that were done before.
async fn withdraw(
    desk: &Desk,
    incident: &Incident,
    verdict: Verdict,
    by: &Person,
) -> Result<(Vec<DeliveryView>, Vec<DeliveryView>), Problem> {
    let id = incident.id;
    let entries = blocking(desk, move |store| Ok(deliveries(store, id)?)).await?;
    let reason = format!("the incident was closed as {}: {}", verdict.as_str(), by.reason);
    let (mut withdrawn, mut done) = (Vec::new(), Vec::new());
    for entry in entries.iter().filter(|entry| explain::is_response(entry)) {
        let decision = match entry.status {
            OutboxStatus::Held(_) => Decision::Deny,
            OutboxStatus::Due | OutboxStatus::Parked if verdict == Verdict::FalsePositive => {
                Decision::Discard
            }
            OutboxStatus::Done => {
                done.push(explain::delivery(entry));
                continue;
            }
            OutboxStatus::Due
            | OutboxStatus::Parked
            | OutboxStatus::Recorded
            | OutboxStatus::Refused => continue,
        };
        let person = Person { name: by.name.clone(), reason: reason.clone() };
        match decision.carry_out(&desk.operator, entry.planned.id, person).await {
            Ok(entry) => withdrawn.push(explain::delivery(&entry)),
            // It was sent, or decided, at this moment: the list of the incident shows how.
            Err(OperateError::WrongState { .. } | OperateError::Changed) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok((withdrawn, done))
}

/// Reads the deliveries of an incident in the order in which they matter. Their ids are a function
/// of the incident, so nothing is searched.
pub(super) fn deliveries(
    store: &Store,
    incident: crate::incident::IncidentId,
) -> Result<Vec<OutboxEntry>, StoreError> {
    let actions = ActionKind::ALL.map(|kind| (DeliveryKind::Action(kind), "platform"));
    let tenant =
        [TenantMail::Notice, TenantMail::Update, TenantMail::AllClear, TenantMail::FalseAlarm]
            .map(|mail| (DeliveryKind::TenantMail(mail), "tenant"));
    let staff = [StaffMail::Opened, StaffMail::ApprovalNeeded]
        .map(|mail| (DeliveryKind::StaffMail(mail), "staff"));
    let mut found = Vec::new();
    for (kind, target) in actions.into_iter().chain(tenant).chain(staff) {
        found.extend(store.outbox().get(OutboxId::mint(incident, kind, target))?);
    }
    Ok(found)
}

/// Runs store work where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    desk: &Desk,
    work: impl FnOnce(&Store) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let store = desk.store.clone();
    let task = tokio::task::spawn_blocking(move || work(&store));
    task.await.unwrap_or_else(|_| {
        Err(Problem::unavailable("the request was interrupted; the log says why"))
    })
}
