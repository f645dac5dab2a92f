//! `satpam simulate`: a platform's traffic with labelled attacks, to files, through the rules, or
//! both. The same arguments give the same bytes and the same figures on every machine.

mod figures;
mod measure;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Exit, complain, print_findings};
use crate::demo::traffic::{AttackKind, Attacks, Scenario, TopicKind, Traffic, TrafficEvent};
use crate::engine::Rules;
use crate::event::EventTime;
use crate::rulebook;
use measure::Measurement;

/// Writes labelled streams of simulated tenants and attacks, and measures rules on them.
///
/// With --out the folder gets `events.ndjson` (every event in the order of time, as `satpam eval`
/// reads it), `labels.ndjson` (a line an event of an attack: its id, account and kind) and a file of
/// events for each topic. With --rules the events run through the engine, and the figures of
/// detection are printed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// What is drawn at random follows from this number.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many tenants.
    #[arg(long, default_value_t = 300)]
    accounts: u32,
    /// How many days.
    #[arg(long, default_value_t = 60)]
    days: u32,
    /// The first moment, RFC 3339.
    #[arg(long, default_value = "2026-01-05T00:00:00+07:00")]
    start: jiff::Timestamp,
    /// Share of the tenants that are attacked once, 0 to 1.
    #[arg(long, default_value_t = 0.25)]
    attacks: f64,
    /// Only these kinds of attack; all of them where none is named.
    #[arg(long, value_delimiter = ',', value_parser = kind)]
    kinds: Vec<AttackKind>,
    /// Where the files go; made where it is missing.
    #[arg(long, value_name = "DIR", required_unless_present = "rules")]
    out: Option<PathBuf>,
    /// Folders or files of rules to measure; may be given several times.
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
}

fn kind(word: &str) -> Result<AttackKind, String> {
    let known = AttackKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| {
        let words = AttackKind::ALL.map(AttackKind::as_str);
        format!("no kind of attack; there are {}", words.join(", "))
    })
}

/// Exit 0 when all was done, 2 when the rules cannot be used, 3 when a file cannot be written.
pub(super) fn run(args: &Args) -> ExitCode {
    let scenario = Scenario {
        seed: args.seed,
        accounts: args.accounts,
        start: EventTime::from_millis(args.start.as_millisecond()),
        days: args.days,
        attacks: Attacks {
            share: args.attacks.clamp(0.0, 1.0),
            kinds: if args.kinds.is_empty() {
                AttackKind::ALL.to_vec()
            } else {
                args.kinds.clone()
            },
        },
    };
    let rules = if args.rules.is_empty() {
        None
    } else {
        match rulebook::load_all(&args.rules) {
            Ok(loaded) => Some(Rules::new(loaded.rulebook)),
            Err(failure) => {
                print_findings(&failure);
                return complain(&failure, Exit::Usage);
            }
        }
    };
    match simulate(&scenario, args.out.as_deref(), rules.as_ref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => complain(&error, Exit::Environment),
    }
}

fn simulate(scenario: &Scenario, out: Option<&Path>, rules: Option<&Rules>) -> io::Result<()> {
    let mut files = out.map(Files::create).transpose()?;
    let mut measurement = rules.map(|rules| Measurement::new(rules, scenario));
    for event in Traffic::new(scenario) {
        if let Some(files) = &mut files {
            files.write(&event)?;
        }
        if let Some(measurement) = &mut measurement {
            measurement.take(event)?;
        }
    }
    if let Some(files) = files {
        files.finish()?;
    }
    match measurement {
        Some(measurement) => figures::print(&measurement, &mut io::stdout().lock()),
        None => Ok(()),
    }
}

/// The files of one stream.
struct Files {
    events: BufWriter<File>,
    labels: BufWriter<File>,
    topics: BTreeMap<TopicKind, BufWriter<File>>,
}

impl Files {
    fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = |name: &str| {
            let path = folder.join(format!("{name}.ndjson"));
            File::create(&path).map(BufWriter::new).map_err(|error| {
                io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
            })
        };
        let topics = [
            (TopicKind::Messages, "messages"),
            (TopicKind::Templates, "templates"),
            (TopicKind::Broadcasts, "broadcasts"),
            (TopicKind::Accounts, "accounts"),
        ];
        let topics = topics
            .into_iter()
            .map(|(topic, name)| Ok((topic, file(name)?)))
            .collect::<io::Result<_>>()?;
        Ok(Self { events: file("events")?, labels: file("labels")?, topics })
    }

    fn write(&mut self, event: &TrafficEvent) -> io::Result<()> {
        let topic = self.topics.get_mut(&event.topic);
        for file in std::iter::once(&mut self.events).chain(topic) {
            file.write_all(&event.payload)?;
            file.write_all(b"\n")?;
        }
        if let Some(kind) = event.label {
            let label = serde_json::json!({
                "id": event.id, "account": event.account.as_str(), "attack": kind.as_str(),
                "time": event.time.millis(),
            });
            writeln!(self.labels, "{label}")?;
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.events.flush()?;
        self.labels.flush()?;
        self.topics.values_mut().try_for_each(Write::flush)
    }
}
