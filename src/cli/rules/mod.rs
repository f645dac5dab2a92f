//! `satpam rules`: what rule authors work with, one verb a file.

mod bench;
mod counting;
mod docs;
mod explain;
mod facts;
mod fmt;
mod lint;
mod list;
mod new;
mod promote;
mod schema;
mod show;
mod test;
mod tree;

use std::io::{self, Write as _};
use std::process::ExitCode;

use super::{Exit, complain, print_findings};
use crate::rulebook::{LoadFailure, nearest};

/// Checks, tests and explains rules.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    List(list::Args),
    Show(show::Args),
    Docs(docs::Args),
    Bench(bench::Args),
    New(new::Args),
    Fmt(fmt::Args),
    Schema(schema::Args),
    Lint(lint::Args),
    Test(test::Args),
    Explain(explain::Args),
    Promote(promote::Args),
}

/// Runs the verb that the arguments name.
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::List(args) => list::run(args),
        Verb::Show(args) => show::run(args),
        Verb::Docs(args) => docs::run(args),
        Verb::Bench(args) => bench::run(args),
        Verb::New(args) => new::run(args),
        Verb::Fmt(args) => fmt::run(args),
        Verb::Schema(args) => schema::run(args),
        Verb::Lint(args) => lint::run(args),
        Verb::Test(args) => test::run(args),
        Verb::Explain(args) => explain::run(args),
        Verb::Promote(args) => promote::run(args),
    }
}

/// How a command prints its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON value
    Json,
}

/// Tells why rules cannot be used.
fn unusable(failure: &LoadFailure) -> ExitCode {
    print_findings(failure);
    complain(failure, Exit::Usage)
}

/// Tells what could not be done.
fn cannot(what: &str) -> ExitCode {
    // Nothing is left to do when standard error is closed as well.
    let _ = writeln!(anstream::stderr(), "satpam: cannot {what}");
    Exit::Usage.into()
}

/// Tells that there is no such rule, and which one may have been meant.
fn no_such_rule<'r>(name: &str, known: impl Iterator<Item = &'r str>) -> ExitCode {
    let near = nearest(name, known).map(|near| format!("; did you mean `{near}`?"));
    cannot(&format!("find a rule `{name}`{}", near.unwrap_or_default()))
}

/// Prints a whole text.
fn print(text: &str) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}

/// Ends a command that printed; whoever stopped reading had enough.
fn ended(printed: io::Result<()>) -> ExitCode {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            cannot(&format!("print: {error}"))
        }
        Ok(()) | Err(_) => ExitCode::SUCCESS,
    }
}
