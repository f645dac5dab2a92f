//! `satpam simulate`: a platform's traffic with labelled attacks, to files that `satpam backtest`
//! reads. The same arguments give the same bytes on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Exit, complain};
use crate::demo::traffic::{
    AttackKind, Attacks, Delivery, Scenario, TopicKind, Traffic, TrafficEvent,
};
use crate::event::{AccountId, EventTime};
use crate::replay::Attack;

/// Writes a labelled stream of simulated tenants and attacks.
///
/// The folder gets `events.ndjson` (every event in the order of its arrival), `labels.ndjson` (a line an
/// attack) and a file of events for each topic. `satpam backtest --from DIR/events.ndjson --labels
/// DIR/labels.ndjson` measures rules on it.
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
    /// Share of the events that arrive up to 20 minutes late, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    late: f64,
    /// Share of the events that arrive a second time, within 20 minutes, 0 to 1.
    #[arg(long, default_value_t = 0.0)]
    duplicates: f64,
    /// Where the files go; made where it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

fn kind(word: &str) -> Result<AttackKind, String> {
    let known = AttackKind::ALL.into_iter().find(|kind| kind.as_str() == word);
    known.ok_or_else(|| {
        let words = AttackKind::ALL.map(AttackKind::as_str);
        format!("no kind of attack; there are {}", words.join(", "))
    })
}

/// Exit 0 when all was written, 3 when a file cannot be.
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
    let delivery =
        Delivery { late: args.late.clamp(0.0, 1.0), duplicates: args.duplicates.clamp(0.0, 1.0) };
    match simulate(&scenario, delivery, &args.out) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, Exit::Environment),
    }
}

fn simulate(scenario: &Scenario, delivery: Delivery, out: &Path) -> io::Result<()> {
    let mut files = Files::create(out)?;
    for event in delivery.of(scenario.seed, Traffic::new(scenario)) {
        files.write(event)?;
    }
    files.finish()
}

/// The files of one stream.
struct Files {
    events: BufWriter<File>,
    labels: BufWriter<File>,
    topics: BTreeMap<TopicKind, BufWriter<File>>,
    /// What the labels will say: an account is attacked at most once.
    attacks: BTreeMap<AccountId, Attack>,
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
        Ok(Self {
            events: file("events")?,
            labels: file("labels")?,
            topics,
            attacks: BTreeMap::new(),
        })
    }

    fn write(&mut self, event: TrafficEvent) -> io::Result<()> {
        let topic = self.topics.get_mut(&event.topic);
        for file in std::iter::once(&mut self.events).chain(topic) {
            file.write_all(&event.payload)?;
            file.write_all(b"\n")?;
        }
        if let Some(kind) = event.label {
            let attack = self.attacks.entry(event.account.clone()).or_insert_with(|| Attack {
                name: format!("{} on {}", kind.as_str(), event.account),
                account: event.account,
                kind: kind.as_str().to_owned(),
                first: event.time,
                last: event.time,
                recipients: None,
                events: BTreeSet::new(),
            });
            attack.first = attack.first.min(event.time);
            attack.last = attack.last.max(event.time);
            attack.events.insert(event.id.into());
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        for attack in self.attacks.values() {
            writeln!(self.labels, "{}", attack.to_line())?;
        }
        self.events.flush()?;
        self.labels.flush()?;
        self.topics.values_mut().try_for_each(Write::flush)
    }
}
