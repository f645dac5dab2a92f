//! `satpam incidents`: what was found, why, and what staff make of it.

mod text;

use std::process::ExitCode;

use super::control::{ByArgs, ControlArgs};
use crate::console::{CloseRequest, ClosingView, IncidentList, IncidentView};

/// Shows and closes incidents; the daemon must be running.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Lists incidents, the latest first; without a filter the open ones
    List(ListArgs),
    /// Explains an incident: each number, what was done, and who decided
    Show(ShowArgs),
    /// Closes an incident
    Close(CloseArgs),
}

#[derive(Debug, clap::Args)]
struct ListArgs {
    /// Which incidents
    #[arg(long, value_enum, default_value_t = State::Open)]
    state: State,
    /// Only those of this account (its app code)
    #[arg(long)]
    account: Option<String>,
    /// Only those opened since: a length of time (7d), a day (2026-11-10), or an RFC 3339 time
    #[arg(long)]
    since: Option<String>,
    /// At most so many, up to 1000
    #[arg(long, default_value = "50")]
    limit: String,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum State {
    Open,
    Closed,
    All,
}

#[derive(Debug, clap::Args)]
struct ShowArgs {
    /// The code (SPM-7F3C2A) or id of the incident
    id: String,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, clap::Args)]
struct CloseArgs {
    /// The code (SPM-7F3C2A) or id of the incident
    id: String,
    /// What it was
    #[arg(long = "as", value_enum)]
    verdict: Judgement,
    /// Why: for the audit log, and for whoever reads the incident later
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    by: ByArgs,
    #[command(flatten)]
    control: ControlArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Judgement {
    /// Nothing was wrong: the risk is taken back, and what has not run is withdrawn
    FalsePositive,
    /// It was an intruder, and it is over
    Resolved,
    /// It is as the rules say, and is accepted
    Accepted,
}

/// Exit 0 done, 1 it was closed already, 2 there is no such incident, 3 the daemon cannot be asked.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => {
            let state = match args.state {
                State::Open => "open",
                State::Closed => "closed",
                State::All => "all",
            };
            let mut query = vec![("state", state), ("limit", &*args.limit)];
            query.extend(args.account.as_deref().map(|account| ("account", account)));
            query.extend(args.since.as_deref().map(|since| ("since", since)));
            args.control
                .ask(|client| client.get::<IncidentList>(&["v1", "incidents"], &query), text::list)
        }
        Verb::Show(args) => args.control.ask(
            |client| client.get::<IncidentView>(&["v1", "incidents", &args.id], &[]),
            text::show,
        ),
        Verb::Close(args) => {
            let verdict = match args.verdict {
                Judgement::FalsePositive => "false-positive",
                Judgement::Resolved => "resolved",
                Judgement::Accepted => "accepted",
            };
            let request = CloseRequest {
                verdict: verdict.to_owned(),
                reason: args.reason.clone(),
                by: args.by.by.clone(),
            };
            args.control.ask(
                |client| {
                    client.post::<ClosingView>(&["v1", "incidents", &args.id, "close"], &request)
                },
                text::closed,
            )
        }
    }
}
