//! `satpam outbox`: mails and actions on their way to the world.

use std::process::ExitCode;

use super::control::{ByArgs, ControlArgs};
use super::deliveries;
use crate::console::{DeliveryList, DeliveryView, ReasonRequest};

/// Shows and mends deliveries; the daemon must be running.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists deliveries; without a filter those that are not finished
    List(ListArgs),
    /// Tries a parked delivery again from the beginning, or a due one at once
    Retry(RetryArgs),
    /// Gives a delivery up
    Discard(DiscardArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// due, held, parked, done, recorded, refused, several with commas, or all
    #[arg(long, default_value = "due,held,parked")]
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
struct RetryArgs {
    /// The id of the delivery, or its first six digits or more
    id: String,
    /// Why: for the audit log
    #[arg(long, default_value = "tried again by hand")]
    reason: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, clap::Args)]
struct DiscardArgs {
    /// The id of the delivery, or its first six digits or more
    id: String,
    /// Why: for the audit log
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    control: ControlArgs,
}

/// Exit 0 done, 1 its state does not allow it, 2 there is no such delivery, 3 the daemon cannot be
/// asked.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => {
            let mut query = vec![("state", &*args.state), ("limit", &*args.limit)];
            query.extend(args.account.as_deref().map(|account| ("account", account)));
            query.extend(args.incident.as_deref().map(|incident| ("incident", incident)));
            args.control.ask(
                |client| client.get::<DeliveryList>(&["v1", "outbox"], &query),
                |list| deliveries::list(list, "There is no such delivery."),
            )
        }
        Verb::Retry(RetryArgs { id, reason, by, control }) => {
            decide(control, id, reason, by, "retry", "To be tried again")
        }
        Verb::Discard(DiscardArgs { id, reason, by, control }) => {
            decide(control, id, reason, by, "discard", "Given up")
        }
    }
}

fn decide(
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
        |one| deliveries::decided(one, what),
    )
}
