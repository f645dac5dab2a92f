//! `satpam rules bench`: what each detection costs, the slowest first.
//!
//! Each detection is evaluated alone, over the same events, again and again; the best round counts,
//! so that other work of the machine does not. Inside a whole rule set a rule costs less, since
//! rules share their searches: the numbers are for comparing rules with each other.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::facts::Authored;
use super::{Format, cannot, ended, unusable};
use crate::baseline::Seen;
use crate::demo::traffic::{Attacks, Scenario, Traffic};
use crate::detect::content::Derived;
use crate::detect::{AccountFacts, Detector, EventSource, Scratch, Subject};
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{Detection, Rulebook};

/// Measures what each detection costs an event, the slowest first.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule folders and files
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// Events, one JSON object a line; without it those of the demo's ordinary tenants
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// How often all events are evaluated; the best round counts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Events that are taken at most: enough for a stable mean, and they fit into a cache.
const EVENTS_MAX: usize = 2_000;

#[derive(Debug, Serialize)]
struct Cost<'r> {
    rule: &'r str,
    nanoseconds_per_event: f64,
    /// Events that the rule matched.
    matches: usize,
    /// Whether it is tried on every event, for want of a literal that could be looked for.
    tried_on_every_event: bool,
}

/// Exit code: 0, or 2 where the rules or the events cannot be used.
pub(super) fn run(args: &Args) -> ExitCode {
    let authored = match Authored::load(&args.paths) {
        Ok(authored) => authored,
        Err(failure) => return unusable(&failure),
    };
    let documents = match args.events.as_deref().map_or_else(|| Ok(built_in()), read) {
        Ok(documents) if documents.is_empty() => return cannot("measure without events"),
        Ok(documents) => documents,
        Err(reason) => return cannot(&reason),
    };
    let mut costs: Vec<_> = authored
        .rulebook
        .detections
        .iter()
        .map(|rule| measure(&authored.rulebook, rule, &documents, args.rounds))
        .collect();
    costs.sort_by(|a, b| b.nanoseconds_per_event.total_cmp(&a.nanoseconds_per_event));
    ended(print(args.format, &costs))
}

fn read(path: &Path) -> Result<Vec<Document>, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("read {name}: {error}"))?;
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let parsed = lines.take(EVENTS_MAX).map(|(number, line)| {
        Document::parse(line.as_bytes().to_vec())
            .map_err(|error| format!("read {name}:{number}: {error}"))
    });
    parsed.collect()
}

fn built_in() -> Vec<Document> {
    let scenario = Scenario {
        seed: 1,
        accounts: 50,
        start: EventTime::from_millis(1_767_571_200_000),
        days: 30,
        attacks: Attacks { share: 0.0, kinds: Vec::new() },
    };
    let events = Traffic::new(&scenario).take(EVENTS_MAX);
    events.filter_map(|event| Document::parse(event.payload).ok()).collect()
}

fn measure<'r>(
    rulebook: &Rulebook,
    rule: &'r Detection,
    documents: &[Document],
    rounds: u32,
) -> Cost<'r> {
    let alone = Rulebook {
        fields: rulebook.fields.clone(),
        atoms: rulebook.atoms.clone(),
        detections: vec![rule.clone()],
        correlations: Vec::new(),
        policy: rulebook.policy.clone(),
        accounts: rulebook.accounts.clone(),
        revision: Arc::clone(&rulebook.revision),
    };
    let detector = Detector::new(Arc::new(alone));
    let facts = AccountFacts {
        timezone: TimeZone::UTC,
        first_seen: EventTime::from_millis(0),
        is_new: false,
        allowlist: None,
        template_text: None,
        seen: Seen::default(),
    };
    let time = EventTime::from_millis(0);
    let derived: Vec<_> =
        documents.iter().map(|document| Derived::new(document, time, &facts)).collect();
    let account = AccountId::new("bench").expect("a short word is an account id");
    let (mut scratch, mut found, mut matches) = (Scratch::default(), Vec::new(), 0);
    let mut best = Duration::MAX;
    for _ in 0..rounds {
        matches = 0;
        #[expect(
            clippy::disallowed_methods,
            reason = "a benchmark reads the clock; nothing is decided by it"
        )]
        let start = std::time::Instant::now();
        for (document, derived) in documents.iter().zip(&derived) {
            let logsource = EventSource::Any;
            let subject = Subject { document, derived, logsource, account: &account, time };
            detector.evaluate(&subject, &mut scratch, &mut found);
            matches += found.len();
        }
        best = best.min(start.elapsed());
    }
    let events = u32::try_from(documents.len()).expect("there are at most a few thousand");
    Cost {
        rule: &rule.meta.key,
        nanoseconds_per_event: best.as_secs_f64() * 1e9 / f64::from(events),
        matches,
        tried_on_every_event: !detector.unindexed().is_empty(),
    }
}

fn print(format: Format, costs: &[Cost<'_>]) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut output, costs)?;
            writeln!(output)?;
        }
        Format::Text => {
            writeln!(output, "  ns/event  matches  rule")?;
            for cost in costs {
                let remark =
                    if cost.tried_on_every_event { "  (tried on every event)" } else { "" };
                let Cost { rule, nanoseconds_per_event, matches, .. } = cost;
                writeln!(output, "{nanoseconds_per_event:10.1}  {matches:7}  {rule}{remark}")?;
            }
        }
    }
    output.flush()
}
