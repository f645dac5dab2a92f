//! `satpam rules bench`: what each rule costs, the slowest first.
//!
//! Each detection is evaluated alone, over the same events, again and again; the best round counts,
//! so that other work of the machine does not. Inside a whole rule set a rule costs less, since
//! rules share their searches: the numbers are for comparing rules with each other. Of a correlation
//! the counting is measured, of the matches that the engine finds in these events, with the
//! correlations that it builds on; finding the matches is the cost of its base rules.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::counting::{self, Stream, unknown_account};
use super::facts::{Authored, kind};
use super::{Format, cannot, ended, unusable};
use crate::demo::traffic::{Attacks, Scenario, Traffic};
use crate::detect::content::Derived;
use crate::detect::{Detector, EventSource, Scratch, Subject};
use crate::engine::Rules;
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{CorrelationIndex, Detection, Rulebook};

/// Measures what each rule costs an event, the slowest first.
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
    /// `detection`, or the type of the correlation: then the cost is that of counting.
    #[serde(rename = "type")]
    kind: &'static str,
    nanoseconds_per_event: f64,
    /// Events that the rule matched, or how often the correlation fired.
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
    let rules = Rules::new(authored.rulebook);
    let rulebook = rules.rulebook();
    let mut costs: Vec<_> = rulebook
        .detections
        .iter()
        .map(|rule| measure(rulebook, rule, &documents, args.rounds))
        .collect();
    costs.extend(counted(&rules, &documents, args.rounds));
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

/// Measures the correlations.
fn counted<'r>(rules: &'r Rules, documents: &[Document], rounds: u32) -> Vec<Cost<'r>> {
    if !rules.has_correlations() {
        return Vec::new();
    }
    let stream = Stream::judge(rules, documents, unknown_account());
    let prepared = stream.prepare(rules);
    let events = u32::try_from(prepared.len().max(1)).expect("there are at most a few thousand");
    let correlations = (0..).map(CorrelationIndex).zip(&rules.rulebook().correlations);
    let cost = |(index, rule): (CorrelationIndex, &'r crate::rulebook::Correlation)| {
        let counted = counting::measure(rules, &prepared, index, rounds);
        Cost {
            rule: &rule.meta.key,
            kind: kind(&rule.kind),
            nanoseconds_per_event: counted.time.as_secs_f64() * 1e9 / f64::from(events),
            matches: counted.fired,
            tried_on_every_event: false,
        }
    };
    correlations.map(cost).collect()
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
    let facts = unknown_account();
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
        kind: "detection",
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
            writeln!(output, "  ns/event  matches  type              rule")?;
            for cost in costs {
                let remark =
                    if cost.tried_on_every_event { "  (tried on every event)" } else { "" };
                let Cost { rule, kind, nanoseconds_per_event, matches, .. } = cost;
                writeln!(
                    output,
                    "{nanoseconds_per_event:10.1}  {matches:7}  {kind:16}  {rule}{remark}"
                )?;
            }
        }
    }
    output.flush()
}
