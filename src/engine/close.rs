//! What people decide about an incident, applied between two steps.
//!
//! A decision is not a function of the events. It becomes one with the state by being made durable
//! in one batch with the account it belongs to: a replay after a crash then starts behind it.

use super::outcome::Outcome;
use super::rules::Rules;
use super::shard::Shard;
use crate::event::EventTime;
use crate::incident::{self, Incident, IncidentState, Verdict};
use crate::store::StoreError;

/// A person closes an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Closing {
    /// As it is stored. It must be open.
    pub incident: Incident,
    pub verdict: Verdict,
    pub reason: String,
    pub by: String,
    pub at: EventTime,
}

/// Closes an incident in the account that it belongs to, in memory or not. The outcome must be
/// made durable like that of a step.
///
/// An incident that its account no longer knows (the account was forgotten, or its record could not
/// be read) is closed as it is stored. A stored incident that is closed already changes nothing.
///
/// # Errors
/// The account could not be read from the store; nothing has changed.
pub fn close(shard: &mut Shard, rules: &Rules, closing: &Closing) -> Result<Outcome, StoreError> {
    let mut outcome = Outcome::default();
    let Closing { incident, verdict, reason, by, at } = closing;
    if incident.state != IncidentState::Open {
        return Ok(outcome);
    }
    let mut changes = None;
    if let Some(mut account) = shard.take(&incident.account, rules)? {
        if account.ledger.incident().is_some_and(|open| open.id == incident.id) {
            changes = Some(account.ledger.close(*at, *verdict, reason, by));
            outcome.accounts.push(incident.account.clone());
        }
        shard.put_back(incident.account.clone(), account, &rules.rulebook.policy);
    }
    let changes =
        changes.unwrap_or_else(|| incident::closed(incident.clone(), *at, *verdict, reason, by));
    if let Some(incident) = changes.incident {
        outcome.closed.push(incident.id);
        outcome.incidents.insert(incident.id, incident);
    }
    outcome.planned = changes.planned;
    Ok(outcome)
}

/// Takes over incidents that a commit found changed by someone else first. The accounts are saved
/// with the next checkpoint; until then a crash finds the same again.
///
/// # Errors
/// An account could not be read from the store.
pub fn take_over(shard: &mut Shard, rules: &Rules, stored: &[Incident]) -> Result<(), StoreError> {
    for incident in stored {
        if let Some(mut account) = shard.take(&incident.account, rules)? {
            account.ledger.take_over(incident);
            shard.put_back(incident.account.clone(), account, &rules.rulebook.policy);
        }
    }
    Ok(())
}
