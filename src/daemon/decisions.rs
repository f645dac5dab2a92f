//! What people decide, carried out by the worker that owns the account.

use crate::console::{CloseAnswer, CloseOrder};
use crate::engine::{Closing, Outcome, Rules, Shard};
use crate::event::EventTime;
use crate::incident::{Incident, IncidentState};
use crate::store::{AuditEntry, Store, StoreError};

/// What an order comes to, before it is durable.
pub(super) enum Decided {
    /// To be committed with the audit entry, then answered.
    Close { outcome: Box<Outcome>, audit: AuditEntry, closed: Box<Incident> },
    /// Nothing to commit.
    Nothing(CloseAnswer),
}

/// Closes the incident in the shard's memory. What is stored decides whether it is open.
pub(super) fn close(
    store: &Store,
    shard: &mut Shard,
    rules: &Rules,
    order: &CloseOrder,
) -> Result<Decided, StoreError> {
    let Some(stored) = store.incidents().get(order.incident)? else {
        return Ok(Decided::Nothing(CloseAnswer::Missing));
    };
    if stored.state != IncidentState::Open {
        return Ok(Decided::Nothing(CloseAnswer::WasClosed(Box::new(stored))));
    }
    let closing = Closing {
        incident: stored.clone(),
        verdict: order.verdict,
        reason: order.reason.clone(),
        by: order.by.clone(),
        at: EventTime::from_millis(order.at.0),
    };
    let outcome = crate::engine::close(shard, rules, &closing)?;
    let closed = outcome.incidents.get(&order.incident).cloned().unwrap_or(stored);
    let audit = AuditEntry {
        at: order.at,
        who: order.by.as_str().into(),
        what: format!("closed as {}", order.verdict.as_str()).into(),
        subject: order.incident.to_string().into(),
        reason: order.reason.as_str().into(),
    };
    Ok(Decided::Close { outcome: Box::new(outcome), audit, closed: Box::new(closed) })
}
