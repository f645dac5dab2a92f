//! The command line: one file a verb.

mod backtest;
mod check;
mod completions;
mod config;
mod control;
mod deliveries;
mod demo;
mod eval;
mod health;
mod incidents;
mod man;
mod outbox;
mod reference;
mod responses;
mod rules;
mod run;
mod simulate;

use std::process::ExitCode;

use clap::{FromArgMatches as _, Parser, Subcommand};

use crate::rulebook::{Colour, LoadFailure};

/// Detects taken-over accounts of a business messaging platform and stops what they send.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(run::Args),
    Check(check::Args),
    Demo(demo::Args),
    Incidents(incidents::Args),
    Responses(responses::Args),
    Outbox(outbox::Args),
    Eval(eval::Args),
    Config(config::Args),
    Health(health::Args),
    Backtest(backtest::Args),
    Rules(rules::Args),
    Completions(completions::Args),
    Man(man::Args),
    Simulate(simulate::Args),
}

/// Exit codes that scripts may rely on; 0 is success.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// It worked, and there is something to look at.
    Findings = 1,
    /// The arguments, the configuration or the rules cannot be used.
    Usage = 2,
    /// Something around us does not work: the broker, the disk.
    Environment = 3,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let matches = reference::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match arguments.verb {
        Verb::Run(args) => run::run(&args),
        Verb::Check(args) => check::run(&args),
        Verb::Demo(args) => demo::run(&args),
        Verb::Incidents(args) => incidents::run(&args),
        Verb::Responses(args) => responses::run(&args),
        Verb::Outbox(args) => outbox::run(&args),
        Verb::Eval(args) => eval::run(&args),
        Verb::Config(args) => config::run(&args),
        Verb::Health(args) => health::run(&args),
        Verb::Backtest(args) => backtest::run(&args),
        Verb::Rules(args) => rules::run(&args),
        Verb::Completions(args) => completions::run(&args),
        Verb::Man(args) => man::run(&args),
        Verb::Simulate(args) => simulate::run(&args),
    }
}

/// Prints an error with its causes.
#[expect(clippy::print_stderr, reason = "the log may not be running")]
fn complain(error: &dyn std::error::Error, exit: Exit) -> ExitCode {
    eprintln!("satpam: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
    exit.into()
}

/// Prints every finding of rules that cannot be used.
#[expect(clippy::print_stderr, reason = "findings are for a person")]
fn print_findings(failure: &LoadFailure) {
    if let LoadFailure::Invalid(findings) = failure {
        for finding in findings {
            eprintln!("{}", finding.render(Colour::Never));
        }
    }
}
