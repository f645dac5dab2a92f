//! `satpam responses`: the actions on accounts that wait for a person, and those that were done.

use std::process::ExitCode;

use super::deliveries::{DecideArgs, Narrow};

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
    #[command(flatten)]
    narrow: Narrow,
}

/// Exit 0 done, 1 it was decided already, 2 there is no such action, 3 the daemon cannot be asked.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => {
            let when_empty = if args.state == "held" {
                "No action waits for a person."
            } else {
                "There is no such action."
            };
            args.narrow.ask(vec![("kind", "response"), ("state", &*args.state)], when_empty)
        }
        Verb::Approve(args) => args.ask("approve", "Approved"),
        Verb::Deny(args) => args.ask("deny", "Denied"),
        Verb::Undo(args) => args.ask("undo", "Taken back"),
    }
}
