//! `satpam rules explain`: what a diagnostic code means, and why a rule did or did not match.

mod played;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use super::lint::explain_code;
use crate::cli::{Exit, complain, print_findings};
use crate::engine::Rules;
use crate::rulebook::{self, RuleIndex};
use played::{Events, Played};

/// Explains a diagnostic code, or a rule on an event.
///
/// The events of the file are played in their order, from an empty state; the rule is explained on
/// the last one, so what is before it is its history. Of a correlation the report tells what it
/// counted there, also where that was not enough.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code such as SP101, or a rule's name, id or file stem.
    rule: String,
    /// The events: JSON objects in the satpam envelope, one or several; `-` is the standard input.
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// The folder of rules.
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A tree for a person.
    Text,
    /// One JSON object.
    Json,
}

/// Exit 0 when the rule matches on the last event (or a code was explained), 1 when it does not, 2
/// when there is no such rule or code, or the events cannot be used.
pub(super) fn run(args: &Args) -> ExitCode {
    let Some(path) = &args.event else { return explain_word(args) };
    let loaded = match rulebook::load(&args.rules) {
        Ok(loaded) => loaded,
        Err(failure) => {
            print_findings(&failure);
            return complain(&failure, Exit::Usage);
        }
    };
    let rules = Rules::new(loaded.rulebook);
    let rule = match find(&rules, &args.rule) {
        Ok(rule) => rule,
        Err(problem) => return unusable(&problem),
    };
    let played = Events::read(path).and_then(|events| Played::of(&rules, rule, events));
    let played = match played {
        Ok(played) => played,
        Err(problem) => return unusable(&problem),
    };
    let measured = match played::measure(&args.rules, rule, &played) {
        Ok(measured) => measured,
        Err(problem) => return unusable(&problem),
    };
    let report = report::Report::of(&rules, rule, &played, measured);
    if let Err(error) = report::print(args.format, &report)
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        return complain(&error, Exit::Environment);
    }
    if report.matches { ExitCode::SUCCESS } else { Exit::Findings.into() }
}

#[expect(clippy::print_stdout, reason = "this command talks to a person")]
fn explain_word(args: &Args) -> ExitCode {
    if let Some(page) = explain_code(&args.rule) {
        print!("{page}");
        return ExitCode::SUCCESS;
    }
    unusable(&format!("there is no code `{}`; to explain a rule, add --event FILE", args.rule))
}

fn find(rules: &Rules, name: &str) -> Result<RuleIndex, String> {
    let is_named = |rule: &RuleIndex| {
        let meta = rules.meta(*rule);
        &*meta.key == name || meta.id.as_deref() == Some(name) || meta.name.as_deref() == Some(name)
    };
    rules.all().find(is_named).ok_or_else(|| {
        let keys: Vec<_> = rules.all().map(|rule| rules.meta(rule).key.clone()).collect();
        let hint = rulebook::nearest(name, keys.iter().map(|key| &**key));
        let hint = hint.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("there is no rule `{name}`{hint}")
    })
}

#[expect(clippy::print_stderr, reason = "this command talks to a person")]
fn unusable(problem: &str) -> ExitCode {
    eprintln!("satpam: {problem}");
    Exit::Usage.into()
}
