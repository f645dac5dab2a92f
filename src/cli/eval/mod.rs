//! `satpam eval`: which rules match these events, one JSON line a match.

mod engine;
mod input;
mod report;
mod sigma;
mod stats;

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, StdoutLock, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::{Exit, complain, print_findings};
use crate::engine::Rules;
use crate::rulebook::{self, LoadFailure, Rulebook};
use engine::Accounts;
use input::{Reading, Subject};
use report::Report;
use sigma::{Anonymous, Logsource, LogsourceFields};
use stats::Stats;

/// Evaluates rules over events: one JSON object a line in, one a match out.
///
/// An event of ours (its `type` begins with message, template, broadcast, login or change) runs
/// through the engine, with the state of its account; what its envelope lacks is filled in. A
/// `CloudEvents` record is unpacked. Any other object is looked at as it stands: rules whose `logsource` names
/// something do not apply to it, unless --any-logsource or --logsource-from says otherwise; then every
/// object is looked at as it stands.
///
/// Time stands still between lines, but for events of ours, which have their own, and with --timed.
/// A correlation is reported on the line that made it fire.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A folder or file of rules; may be given several times.
    #[arg(long, required = true, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// Evaluates every rule, whatever its `logsource` says.
    #[arg(long, conflicts_with = "logsource_from")]
    any_logsource: bool,
    /// The fields that hold an event's product, category and service, in this order.
    #[arg(long, value_name = "PRODUCT,CATEGORY,SERVICE")]
    logsource_from: Option<LogsourceFields>,
    /// Lines are `{"at": SECONDS or RFC 3339, "event": {...}}`.
    #[arg(long)]
    timed: bool,
    /// Ends with one JSON object of figures on the standard error.
    #[arg(long)]
    stats: bool,
    /// The events; `-` is the standard input.
    #[arg(default_value = "-")]
    file: PathBuf,
}

/// Exit 0 also without matches, 1 when lines could not be read, 2 when the rules cannot be used.
pub(super) fn run(args: &Args) -> ExitCode {
    let mut stats = Stats::start();
    let rulebook = match load(&args.rules) {
        Ok(rulebook) => rulebook,
        Err(failure) => {
            print_findings(&failure);
            return complain(&failure, Exit::Usage);
        }
    };
    let rules = Arc::new(Rules::new(rulebook));
    stats.loaded(&rules);
    let output = BufWriter::with_capacity(1 << 16, std::io::stdout().lock());
    let mut evaluation = Evaluation::new(args, &rules, output);
    let ended = if args.file.as_os_str() == "-" {
        evaluation.lines(std::io::stdin().lock())
    } else {
        File::open(&args.file)
            .and_then(|file| evaluation.lines(BufReader::with_capacity(1 << 18, file)))
    };
    if let Err(error) = ended.and_then(|()| evaluation.report.flush()) {
        // Whoever reads the output has seen enough.
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return ExitCode::SUCCESS;
        }
        return complain(&error, Exit::Environment);
    }
    if args.stats {
        stats.print(evaluation.events, evaluation.report.matches());
    }
    if evaluation.unreadable > 0 { Exit::Findings.into() } else { ExitCode::SUCCESS }
}

fn load(paths: &[PathBuf]) -> Result<Rulebook, LoadFailure> {
    let read = rulebook::read_within(paths)?;
    if !read.unreadable.is_empty() {
        return Err(LoadFailure::Invalid(read.unreadable));
    }
    rulebook::compile(&read.sources).map(|(rulebook, _)| rulebook).map_err(LoadFailure::Invalid)
}

struct Evaluation<'r> {
    reading: Reading,
    accounts: Accounts<'r>,
    anonymous: Anonymous<'r>,
    report: Report<'r, BufWriter<StdoutLock<'static>>>,
    events: u64,
    unreadable: u64,
}

impl<'r> Evaluation<'r> {
    fn new(args: &Args, rules: &'r Rules, output: BufWriter<StdoutLock<'static>>) -> Self {
        let (logsource, as_it_stands) = if args.any_logsource {
            (Logsource::Any, true)
        } else if let Some(fields) = &args.logsource_from {
            (Logsource::Fields(fields.clone()), true)
        } else {
            (Logsource::None, false)
        };
        Self {
            reading: Reading::new(args.timed, as_it_stands),
            accounts: Accounts::new(rules),
            anonymous: Anonymous::new(rules, logsource),
            report: Report::new(rules, output),
            events: 0,
            unreadable: 0,
        }
    }

    fn lines(&mut self, mut input: impl BufRead) -> std::io::Result<()> {
        let mut length = 0;
        loop {
            // The document takes the line over, and the next one is likely to be as long.
            let mut line = Vec::with_capacity(length);
            if input.read_until(b'\n', &mut line)? == 0 {
                return Ok(());
            }
            length = line.len();
            self.report.next_line();
            while line.last().is_some_and(u8::is_ascii_whitespace) {
                line.pop();
            }
            if line.is_empty() {
                continue;
            }
            match self.reading.read(line, self.report.line()) {
                Ok(Subject::Ours(events)) => {
                    self.accounts.evaluate(events, self.report.line(), &mut self.report)?;
                }
                Ok(Subject::Other(document, time)) => {
                    self.anonymous.evaluate(&document, time, &mut self.report)?;
                }
                Err(problem) => {
                    self.unreadable += 1;
                    tell(&self.report, &problem);
                    continue;
                }
            }
            self.events += 1;
        }
    }
}

#[expect(clippy::print_stderr, reason = "this command talks to a person")]
fn tell<W: Write>(report: &Report<'_, W>, problem: &str) {
    eprintln!("line {}: {problem}", report.line());
}
