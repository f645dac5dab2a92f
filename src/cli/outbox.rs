//! `satpam outbox`: mails and actions on their way to the world.

use std::process::ExitCode;

use super::control::{ByArgs, ControlArgs};
use super::deliveries::{DecideArgs, Narrow, decide};

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
    Discard(DecideArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// due, held, parked, done, recorded, refused, several with commas, or all
    #[arg(long, default_value = "due,held,parked")]
    state: String,
    #[command(flatten)]
    narrow: Narrow,
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

/// Exit 0 done, 1 its state does not allow it, 2 there is no such delivery, 3 the daemon cannot be
/// asked.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => {
            args.narrow.ask(vec![("state", &*args.state)], "There is no such delivery.")
        }
        Verb::Retry(RetryArgs { id, reason, by, control }) => {
            decide(control, id, reason, by, "retry", "To be tried again")
        }
        Verb::Discard(args) => args.ask("discard", "Given up"),
    }
}
