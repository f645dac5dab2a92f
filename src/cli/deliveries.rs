//! Entries of the outbox as people read them.

use std::fmt::Write as _;
use std::process::ExitCode;

use super::control::{ByArgs, ControlArgs, table};
use crate::console::{DeliveryList, DeliveryView, ReasonRequest};

/// What limits a list, beside the state.
#[derive(Debug, clap::Args)]
pub(super) struct Narrow {
    /// Only those of this account (its app code)
    #[arg(long)]
    account: Option<String>,
    /// Only those of this incident (its code or id)
    #[arg(long)]
    incident: Option<String>,
    /// At most so many, up to 1000
    #[arg(long, default_value = "50")]
    limit: String,
    #[command(flatten)]
    control: ControlArgs,
}

impl Narrow {
    /// Asks for a list and prints it; `query` is what else limits it.
    pub(super) fn ask<'q>(
        &'q self,
        mut query: Vec<(&'q str, &'q str)>,
        when_empty: &str,
    ) -> ExitCode {
        query.push(("limit", &self.limit));
        query.extend(self.account.as_deref().map(|account| ("account", account)));
        query.extend(self.incident.as_deref().map(|incident| ("incident", incident)));
        self.control.ask(
            |client| client.get::<DeliveryList>(&["v1", "outbox"], &query),
            |found| list(found, when_empty),
        )
    }
}

/// A decision about one of them.
#[derive(Debug, clap::Args)]
pub(super) struct DecideArgs {
    /// The id, or its first six digits or more
    id: String,
    /// Why: for the audit log
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    control: ControlArgs,
}

impl DecideArgs {
    /// Asks for the decision `verb` and says that it is done with `what`.
    pub(super) fn ask(&self, verb: &str, what: &str) -> ExitCode {
        decide(&self.control, &self.id, &self.reason, &self.by, verb, what)
    }
}

/// Asks for a decision about the delivery `id`.
pub(super) fn decide(
    control: &ControlArgs,
    id: &str,
    reason: &str,
    by: &ByArgs,
    verb: &str,
    what: &str,
) -> ExitCode {
    let request = ReasonRequest { reason: reason.to_owned(), by: by.by.clone() };
    control.ask(
        |client| client.post::<DeliveryView>(&["v1", "outbox", id, verb], &request),
        |one| decided(one, what),
    )
}

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
