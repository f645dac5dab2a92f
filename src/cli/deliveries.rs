//! Entries of the outbox as people read them.

use std::fmt::Write as _;

use super::control::table;
use crate::console::{DeliveryList, DeliveryView};

/// Enough of an id to name the entry to a command.
pub(super) fn short(id: &str) -> &str {
    id.get(..8).unwrap_or(id)
}

/// A list, or a sentence when it is empty.
pub(super) fn list(list: &DeliveryList, when_empty: &str) -> String {
    if list.deliveries.is_empty() {
        return format!("{when_empty}\n");
    }
    let rows: Vec<[String; 7]> = list
        .deliveries
        .iter()
        .map(|one| {
            [
                short(&one.id).to_owned(),
                one.kind.clone(),
                one.account.clone(),
                one.incident_code.clone(),
                one.planned.clone(),
                one.state.clone(),
                remark(one),
            ]
        })
        .collect();
    let headings = ["ID", "KIND", "ACCOUNT", "INCIDENT", "PLANNED", "STATE", "REMARK"];
    let mut text = table(headings, &rows);
    if list.truncated {
        text.push_str("There are more: ask with a larger --limit or a filter.\n");
    }
    text
}

/// Why it is where it is, in half a line.
pub(super) fn remark(one: &DeliveryView) -> String {
    let mut parts = Vec::new();
    parts.extend(one.held_because.as_ref().map(|why| format!("waits: {why}")));
    if let Some(decision) = &one.decision {
        let word = if decision.approved { "approved" } else { "denied" };
        parts.push(format!("{word} by {}: {}", decision.by, decision.reason));
    }
    if one.state == "due" && one.attempts > 0 {
        let next = one.next_attempt.as_deref().unwrap_or("soon");
        parts.push(format!("{} tries, next {next}", one.attempts));
    }
    let done = one.users.iter().filter(|user| user.done).count();
    if !one.users.is_empty() {
        parts.push(format!("{done} of {} users", one.users.len()));
    }
    parts.extend(one.last_error.clone());
    parts.join("; ")
}

/// What a decision has led to.
pub(super) fn decided(one: &DeliveryView, what: &str) -> String {
    let mut text =
        format!("{what}: {} of {} for {} ({})\n", one.kind, one.incident_code, one.account, one.id);
    let _ = write!(text, "It is {} now", one.state);
    let remark = remark(one);
    if remark.is_empty() {
        text.push_str(".\n");
    } else {
        let _ = writeln!(text, ": {remark}.");
    }
    text
}
