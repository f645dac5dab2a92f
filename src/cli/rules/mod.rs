//! `satpam rules`: what rule authors work with, one verb a file.

mod explain;
mod lint;
mod test;

use std::process::ExitCode;

/// Checks, tests and explains rules.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    Lint(lint::Args),
    Test(test::Args),
    Explain(explain::Args),
}

/// Runs the verb that the arguments name.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::Lint(args) => lint::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Explain(args) => explain::run(args),
    }
}
