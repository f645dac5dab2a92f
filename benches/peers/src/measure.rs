//! Takes turns, counts, and prints ratios.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, ExitCode};

use rustix::time::{ClockId, clock_gettime};

use crate::engines::{self, NAMES, Peer};
use crate::events::{PeerEvent, SOURCES, source};
use crate::workloads::Workload;

use satpam::rulebook::Rulebook;

const ROUNDS: usize = 9;
/// Events of a run of one engine alone.
const ALONE_EVENTS: usize = 1_000;

/// CPU time of this thread, in nanoseconds.
fn cpu_ns() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
}

/// Runs all engines on a workload and prints a table.
pub fn compare(workload: &Workload) {
    let rulebook = workload.rulebook();
    let events = workload.events(&rulebook);
    let bytes: usize = events.iter().map(|event| event.json.len()).sum();
    println!(
        "\n## {}: {} rules, {} events of {} bytes",
        match workload {
            Workload::Corpus(_) => "corpus",
            Workload::Text(_) => "text",
        },
        rulebook.detections.len(),
        events.len(),
        bytes / events.len()
    );
    let mut peers: Vec<(&str, Box<dyn Peer>)> = NAMES
        .iter()
        .filter(|name| matches!(workload, Workload::Corpus(_)) || **name != "rsigma by hand")
        .filter_map(|name| Some((*name, engines::load(name, workload)?)))
        .collect();
    for (name, peer) in &peers {
        let (rules, problems) = peer.loaded();
        println!("{name}: {rules} rules, {} not loaded", problems.len());
        problems.iter().take(5).for_each(|problem| println!("  {problem}"));
    }
    compare_hits(&rulebook, &events, &mut peers);
    let times = take_turns(&events, &mut peers);
    let names: Vec<&str> = peers.iter().map(|(name, _)| *name).collect();
    drop(peers);
    let file = std::env::temp_dir().join(format!("satpam-peers-{}", std::process::id()));
    write_events(&events, &file);
    table(&Alone { workload, events: &file }, &names, &times);
    std::fs::remove_file(&file).unwrap_or_else(|error| panic!("{error}"));
}

/// Says where an engine finds other rules than satpam, event by event.
fn compare_hits(rulebook: &Rulebook, events: &[PeerEvent], peers: &mut [(&str, Box<dyn Peer>)]) {
    let Some(((_, ours), others)) = peers.split_first_mut() else { return };
    let expected: Vec<_> = events.iter().map(|event| ours.hits(event)).collect();
    let matching = expected.iter().filter(|hits| !hits.is_empty()).count();
    let hits: usize = expected.iter().map(Vec::len).sum();
    println!("hits: {hits}, on {matching} events");
    for (name, other) in others {
        let mut differences = BTreeMap::<(String, &str), usize>::new();
        for (event, ours) in events.iter().zip(&expected) {
            let theirs = other.hits(event);
            for id in ours.iter().filter(|id| !theirs.contains(id)) {
                *differences.entry((id.clone(), "only satpam")).or_default() += 1;
            }
            for id in theirs.iter().filter(|id| !ours.contains(id)) {
                *differences.entry((id.clone(), "not satpam")).or_default() += 1;
            }
        }
        let total: usize = differences.values().sum();
        println!("{name}: {total} hits differ, of {} rules", differences.len());
        for ((id, side), count) in differences.iter().take(20) {
            let known = rulebook.detections.iter();
            let mut known = known.filter(|rule| rule.meta.id.as_deref() == Some(id));
            let title = known.next().map(|rule| rule.meta.title.to_string()).unwrap_or_default();
            println!("  {side}: {count} times {id} {title}");
        }
    }
}

/// CPU microseconds per event of each engine and round, and of its parser alone at the end.
fn take_turns(
    events: &[PeerEvent],
    peers: &mut [(&str, Box<dyn Peer>)],
) -> Vec<(Vec<f64>, Vec<f64>)> {
    let per_event = |started: f64| (cpu_ns() - started) / 1e3 / events.len() as f64;
    let mut times = vec![(Vec::new(), Vec::new()); peers.len()];
    for _ in 0..ROUNDS {
        for ((_, peer), (whole, parse)) in peers.iter_mut().zip(&mut times) {
            let started = cpu_ns();
            let found: usize = events.iter().map(|event| peer.count(event)).sum();
            whole.push(per_event(started));
            std::hint::black_box(found);
            let started = cpu_ns();
            let found: usize = events.iter().map(|event| peer.parse(event)).sum();
            parse.push(per_event(started));
            std::hint::black_box(found);
        }
    }
    times
}

fn table(alone: &Alone<'_>, names: &[&str], times: &[(Vec<f64>, Vec<f64>)]) {
    println!(
        "{:<16}{:>10}{:>10}{:>14}{:>14}{:>10}",
        "engine", "CPU us", "parse us", "x satpam's us", "instructions", "RSS MB"
    );
    let Some((ours, _)) = times.first() else { return };
    for (name, (whole, parse)) in names.iter().zip(times) {
        let ratios = whole.iter().zip(ours).map(|(theirs, ours)| theirs / ours).collect();
        println!(
            "{name:<16}{:>10.2}{:>10.2}{:>14.2}{:>14}{:>10}",
            median(whole.clone()),
            median(parse.clone()),
            median(ratios),
            alone.instructions(name).map_or("-".to_owned(), |count| count.to_string()),
            alone.memory(name).map_or("-".to_owned(), |megabytes| megabytes.to_string()),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn write_events(events: &[PeerEvent], file: &Path) {
    let number = |event: &PeerEvent| SOURCES.iter().position(|known| known == event.source);
    let line = |event: &PeerEvent| Some(format!("{} {}\n", number(event)?, event.json));
    let text: String = events.iter().filter_map(line).collect();
    std::fs::write(file, text).unwrap_or_else(|error| panic!("{error}"));
}

fn read_events(file: &Path, count: usize) -> Vec<PeerEvent> {
    let text = std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{error}"));
    let event = |line: &str| -> Option<PeerEvent> {
        let (number, json) = line.split_once(' ')?;
        Some(PeerEvent { json: json.to_owned(), source: source(number.parse().ok()?) })
    };
    text.lines().take(count).filter_map(event).collect()
}

/// Loads one engine, runs it over some events and prints how much memory it holds.
pub fn alone(workload: &Workload, engine: &str, file: &Path, rounds: usize) -> ExitCode {
    let Some(mut peer) = engines::load(engine, workload) else { return ExitCode::from(2) };
    let events = read_events(file, ALONE_EVENTS);
    let found: usize = (0..rounds).flat_map(|_| &events).map(|event| peer.count(event)).sum();
    println!("{found} hits, {} MB", resident_megabytes().unwrap_or_default());
    ExitCode::SUCCESS
}

fn resident_megabytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024)
}

/// A workload for processes that run one engine alone.
struct Alone<'w> {
    workload: &'w Workload,
    events: &'w Path,
}

impl Alone<'_> {
    fn add_arguments(&self, command: &mut Command, engine: &str, rounds: usize) {
        command.args(["alone", &self.workload.argument(), engine]);
        command.arg(self.events).arg(rounds.to_string());
    }

    /// What a process with this engine alone holds, in MB.
    fn memory(&self, engine: &str) -> Option<u64> {
        let mut command = Command::new(std::env::current_exe().ok()?);
        self.add_arguments(&mut command, engine, 1);
        let text = String::from_utf8(command.output().ok()?.stdout).ok()?;
        text.split_whitespace().rev().nth(1)?.parse().ok()
    }

    /// Instructions per event, parse included: what a second round adds, when everything that is
    /// made on first use is there.
    fn instructions(&self, engine: &str) -> Option<u64> {
        let twice = self.instructions_of(engine, 2)?;
        Some(twice.checked_sub(self.instructions_of(engine, 1)?)? / ALONE_EVENTS as u64)
    }

    fn instructions_of(&self, engine: &str, rounds: usize) -> Option<u64> {
        let mut command = Command::new("valgrind");
        command.args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]);
        command.arg(std::env::current_exe().ok()?);
        self.add_arguments(&mut command, engine, rounds);
        let text = String::from_utf8(command.output().ok()?.stderr).ok()?;
        let line = text.lines().find(|line| line.contains("I") && line.contains("refs:"))?;
        line.rsplit(':').next()?.trim().replace(',', "").parse().ok()
    }
}
