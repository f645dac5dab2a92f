//! `satpam backtest`: what a rule set would have raised over recorded events.

mod input;
mod progress;

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{Exit, complain, print_findings};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config, ConfigError};
use crate::engine::Rules;
use crate::event::{EventTime, TimeSpan};
use crate::replay::{self, Alarm, Attack, Backtest, Difference, InvalidLabel, Options, Report};
use crate::rulebook::{self, LoadFailure};
use input::{Input, InputError, Source};
use progress::Progress;

/// Plays recorded events through the engine and reports what the rules raise.
///
/// The state begins empty and time is the events' own; nothing is sent anywhere. Events of several
/// sources are put in the order of their times; within one source they should already be in it, as
/// an event that is too late against its account is not evaluated, as in the daemon.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// NDJSON files of events (satpam envelopes or `CloudEvents`), `-`, or `kafka:TOPIC`.
    #[arg(long, required = true, num_args = 1.., value_name = "FILE|kafka:TOPIC")]
    from: Vec<Source>,
    /// The rules to try: a folder with its policy.
    #[arg(long, default_value = "rules", value_name = "DIR")]
    rules: PathBuf,
    /// Other rules to compare with, over the same events.
    #[arg(long, value_name = "DIR")]
    compare: Option<PathBuf>,
    /// The attacks in the stream, one JSON object a line; see docs/backtest.md.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Also finds out what each rule adds, by adding the matches up without it.
    #[arg(long)]
    ablation: bool,
    /// Counts from here on (RFC 3339, or a time before now such as 7d); what is before teaches the
    /// baselines.
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<EventTime>,
    /// Writes what is raised, a JSON object a line.
    #[arg(long, value_name = "FILE")]
    alerts_out: Option<PathBuf>,
    /// How the report is written.
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
    /// Writes the report there instead of to the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The daemon's configuration: its engine settings, and its brokers and topics for `kafka:`.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Brokers for `kafka:`, before those of the configuration.
    #[arg(long, value_name = "HOST:PORT,...")]
    brokers: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Tables for a terminal.
    Text,
    /// One JSON object.
    Json,
    /// One page without scripts; it names accounts and rules, never what an event says.
    Html,
}

/// What ends a backtest early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the rules cannot be used")]
    Rules(#[from] LoadFailure),
    #[error("the configuration cannot be used")]
    Config(#[from] ConfigError),
    #[error("cannot use {path}")]
    Labels { path: PathBuf, source: InvalidLabel },
    #[error("cannot open {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("the events cannot be read")]
    Input(#[from] InputError),
    #[error("the engine stopped")]
    Engine(#[from] crate::store::StoreError),
    #[error("the report cannot be written")]
    Output(#[from] io::Error),
    #[error(transparent)]
    Html(#[from] replay::UnprintableReport),
}

impl Failure {
    fn exit(&self) -> Exit {
        match self {
            Self::Rules(_) | Self::Config(_) | Self::Labels { .. } | Self::File { .. } => {
                Exit::Usage
            }
            Self::Input(_) | Self::Engine(_) | Self::Output(_) | Self::Html(_) => Exit::Environment,
        }
    }
}

/// Exit 0 when everything was read, 1 when lines or records could not be, 2 when the arguments, the
/// rules or the labels cannot be used, 3 when a file, the broker or the output fails.
pub(super) fn run(args: &Args) -> ExitCode {
    match backtest(args) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => Exit::Findings.into(),
        // Whoever reads the report has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            if let Failure::Rules(rules) = &failure {
                print_findings(rules);
            }
            complain(&failure, failure.exit())
        }
    }
}

/// Returns how many records could not be read.
fn backtest(args: &Args) -> Result<u64, Failure> {
    let config = args.config.as_deref().map(config::load).transpose()?.unwrap_or_default();
    let rules = load(&args.rules)?;
    let other = args.compare.as_deref().map(load).transpose()?;
    let attacks = args.labels.as_deref().map(labels).transpose()?;
    let options = Options {
        settings: config.engine.clone(),
        since: args.since.unwrap_or(EventTime::from_millis(i64::MIN)),
        attacks,
        ablation: args.ablation,
    };
    let mut second = other
        .as_ref()
        .map(|other| Backtest::new(other, Options { ablation: false, ..options.clone() }));
    let mut first = Backtest::new(&rules, options);
    let mut alerts = args.alerts_out.as_deref().map(Alerts::create).transpose()?;
    let kafka = brokers(&config, args.brokers.as_deref());
    let mut input = Input::open(&args.from, &config, &kafka)?;
    let mut progress = Progress::new(io::stderr().is_terminal(), input.total_bytes());
    while let Some(event) = input.next_event()? {
        progress.event(event.time(), input.read_bytes());
        if let Some(second) = &mut second {
            second.play(event.clone())?;
        }
        for alarm in first.play(event)? {
            if let Some(alerts) = &mut alerts {
                alerts.write(&alarm)?;
            }
        }
    }
    progress.end();
    if let Some(alerts) = alerts {
        alerts.end()?;
    }
    let report = first.report();
    let difference = second.as_ref().map(|second| first.difference(second));
    print(args, &report, difference.as_ref(), input.unreadable())?;
    Ok(input.unreadable())
}

fn load(path: &Path) -> Result<Rules, LoadFailure> {
    rulebook::load(path).map(|loaded| Rules::new(loaded.rulebook))
}

fn labels(path: &Path) -> Result<Vec<Attack>, Failure> {
    let file =
        File::open(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
    replay::read_labels(BufReader::new(file))
        .map_err(|source| Failure::Labels { path: path.to_owned(), source })
}

fn brokers(config: &Config, asked: Option<&str>) -> crate::ingest::Settings {
    let mut settings = config.kafka.clone();
    if let Some(brokers) = asked {
        brokers.clone_into(&mut settings.brokers);
    }
    settings
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// Records that are no events.
    unreadable: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    compare: Option<&'a Difference>,
}

fn print(
    args: &Args,
    report: &Report,
    difference: Option<&Difference>,
    unreadable: u64,
) -> Result<(), Failure> {
    let text = match args.format {
        Format::Text => replay::text(report, difference),
        Format::Json => {
            let whole = Whole { report, unreadable, compare: difference };
            serde_json::to_string_pretty(&whole).map_err(io::Error::from)? + "\n"
        }
        Format::Html => replay::html(report, difference)?,
    };
    if let Some(path) = &args.output {
        std::fs::write(path, text)
            .map_err(|source| Failure::File { path: path.clone(), source })?;
    } else {
        let mut output = io::stdout().lock();
        output.write_all(text.as_bytes())?;
        output.flush()?;
    }
    Ok(())
}

/// The file of what is raised.
struct Alerts(BufWriter<File>);

#[derive(Serialize)]
struct AlertLine<'a> {
    account: &'a str,
    time: jiff::Timestamp,
    kind: &'static str,
    rule: &'a str,
    risk: f64,
}

impl Alerts {
    fn create(path: &Path) -> Result<Self, Failure> {
        File::create(path)
            .map(|file| Self(BufWriter::new(file)))
            .map_err(|source| Failure::File { path: path.to_owned(), source })
    }

    fn write(&mut self, alarm: &Alarm) -> io::Result<()> {
        let line = AlertLine {
            account: alarm.account.as_str(),
            time: jiff::Timestamp::from_millisecond(alarm.time.millis()).unwrap_or_default(),
            kind: alarm.kind.as_str(),
            rule: &alarm.rule,
            risk: alarm.risk,
        };
        serde_json::to_writer(&mut self.0, &line)?;
        self.0.write_all(b"\n")
    }

    fn end(mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Reads a time, or a length of time before now.
fn since(text: &str) -> Result<EventTime, String> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Ok(EventTime::from_millis(time.as_millisecond()));
    }
    let span: TimeSpan = text.parse().map_err(
        |_| "write a time such as 2026-11-01T00:00:00Z, or 7d for seven days before now",
    )?;
    Ok(EventTime::from_millis(SystemClock.now().0.saturating_sub(span.millis())))
}
