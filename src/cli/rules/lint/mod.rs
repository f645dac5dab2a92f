//! `satpam rules lint` and the part of `satpam rules explain` that is about codes.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use crate::clock::{Clock, SystemClock, WallTime};
use crate::event::EventTime;
use crate::rulebook::{self, Code, Diagnostic, LoadFailure, Severity};

mod fixes;
mod report;

/// Checks rule files and tells every finding with its place.
#[derive(Debug, Clone, clap::Args)]
pub(in crate::cli) struct Args {
    /// Rule folders and files, checked together as one rule set
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Change the files where the right word is certain, and report what is left
    #[arg(long)]
    fix: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum Format {
    /// As a compiler prints them
    Text,
    /// One JSON object
    Json,
    /// SARIF 2.1.0, for code scanning
    Sarif,
    /// Workflow commands of GitHub Actions
    Github,
}

/// What was found, and in how much.
#[derive(Debug, Default)]
struct Outcome {
    findings: Vec<Diagnostic>,
    files: usize,
    rules: usize,
    fixed: usize,
}

impl Outcome {
    fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|finding| finding.severity == severity).count()
    }
}

/// Checks rules and prints what was found.
///
/// Exit code: 0 nothing found, 1 errors or warnings, 2 the paths cannot be read or written.
pub(in crate::cli) fn run(args: &Args) -> ExitCode {
    let now = SystemClock.now();
    let outcome = match check(args, now) {
        Ok(outcome) => outcome,
        Err(error) => return unusable(&error),
    };
    if let Err(error) = print(args.format, &outcome) {
        // Whoever reads the findings went away: that is no finding.
        return if error.kind() == io::ErrorKind::BrokenPipe {
            exit_code(&outcome)
        } else {
            unusable(&format!("cannot print the findings: {error}"))
        };
    }
    exit_code(&outcome)
}

fn exit_code(outcome: &Outcome) -> ExitCode {
    if outcome.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn unusable(error: &str) -> ExitCode {
    // Nothing is left to do when standard error is closed as well.
    let _ = writeln!(anstream::stderr(), "error: {error}");
    ExitCode::from(2)
}

fn check(args: &Args, now: WallTime) -> Result<Outcome, String> {
    let mut fixed = 0;
    loop {
        let mut outcome = check_once(args, now)?;
        if args.fix {
            let changes = fixes::apply(&outcome.findings)?;
            if changes > 0 {
                // One fix can uncover the next finding; each removes one, so this ends.
                fixed += changes;
                if fixed < MAX_FIXES {
                    continue;
                }
            }
        }
        outcome.fixed = fixed;
        return Ok(outcome);
    }
}

/// Changes made by one run; more than this is no slip of the pen.
const MAX_FIXES: usize = 10_000;

fn check_once(args: &Args, now: WallTime) -> Result<Outcome, String> {
    let read = rulebook::read_within(&args.paths).map_err(|error| with_cause(&error))?;
    let files = read.files.len();
    if !read.unreadable.is_empty() {
        return Ok(Outcome { findings: read.unreadable, files, ..Outcome::default() });
    }
    let mut sources = read.sources;
    rulebook::read_tests(&mut sources).map_err(|error| with_cause(&error))?;
    sources.now = Some(EventTime::from_millis(now.0));
    Ok(match rulebook::compile(&sources) {
        Ok((rulebook, findings)) => {
            let rules = rulebook.detections.len() + rulebook.correlations.len();
            Outcome { findings, files, rules, fixed: 0 }
        }
        Err(findings) => Outcome { findings, files, ..Outcome::default() },
    })
}

fn with_cause(error: &LoadFailure) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

fn print(format: Format, outcome: &Outcome) -> io::Result<()> {
    let mut output = anstream::AutoStream::auto(io::stdout()).lock();
    match format {
        Format::Text => report::text(&mut output, outcome)?,
        Format::Json => report::json(&mut output, outcome)?,
        Format::Sarif => report::sarif(&mut output, outcome)?,
        Format::Github => report::github(&mut output, outcome)?,
    }
    output.flush()
}

/// Returns the page of a code such as `SP101`, or nothing where there is no such code.
pub(in crate::cli) fn explain_code(code: &str) -> Option<String> {
    let code = Code::find(code)?;
    let explanation = code.explanation();
    let example: Vec<_> = explanation.example.lines().map(|line| format!("    {line}")).collect();
    Some(format!(
        "{code} ({severity}): {summary}\n\n{text}\n\nExample:\n\n{example}\n",
        severity = code.severity().as_str(),
        summary = explanation.summary,
        text = explanation.text,
        example = example.join("\n"),
    ))
}

#[cfg(test)]
mod tests;
