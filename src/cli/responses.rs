//! `satpam responses`: the actions on accounts that wait for a person, and those that were done.

use std::process::ExitCode;

use super::control::{ByArgs, ControlArgs};
use super::deliveries;
use crate::console::{DeliveryList, DeliveryView, ReasonRequest};

/// Shows and decides the actions on accounts; the daemon must be running.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists actions; without a filter those that wait for a person
    List(ListArgs),
    /// Lets a held action run now
    Approve(DecideArgs),
    /// Forbids a held action for good
    Deny(DecideArgs),
    /// Asks the platform to take a finished action back
    Undo(DecideArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// held, due, done, recorded, parked, refused, several with commas, or all
    #[arg(long, default_value = "held")]
    state: String,
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

#[derive(Debug, clap::Args)]
struct DecideArgs {
    /// The id of the action, or its first six digits or more
    id: String,
    /// Why: for the audit log
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    control: ControlArgs,
}

/// Exit 0 done, 1 it was decided already, 2 there is no such action, 3 the daemon cannot be asked.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => {
            let mut query =
                vec![("kind", "action"), ("state", &*args.state), ("limit", &*args.limit)];
            query.extend(args.account.as_deref().map(|account| ("account", account)));
            query.extend(args.incident.as_deref().map(|incident| ("incident", incident)));
            let when_empty = if args.state == "held" {
                "No action waits for a person."
            } else {
                "There is no such action."
            };
            args.control.ask(
                |client| client.get::<DeliveryList>(&["v1", "outbox"], &query),
                |list| deliveries::list(list, when_empty),
            )
        }
        Verb::Approve(args) => decide(args, "approve", "Approved"),
        Verb::Deny(args) => decide(args, "deny", "Denied"),
        Verb::Undo(args) => decide(args, "undo", "Taken back"),
    }
}

fn decide(args: &DecideArgs, verb: &str, what: &str) -> ExitCode {
    let request = ReasonRequest { reason: args.reason.clone(), by: args.by.by.clone() };
    args.control.ask(
        |client| client.post::<DeliveryView>(&["v1", "outbox", &args.id, verb], &request),
        |one| deliveries::decided(one, what),
    )
}
