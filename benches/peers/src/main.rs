//! satpam's matcher beside rsigma's: the same rules, the same events, in one process and in turns.
//!
//! `cargo run --release --ignore-rust-version --manifest-path benches/peers/Cargo.toml -- RULES`
//! runs everything; RULES is a folder of Sigma rules, for example a checkout of SigmaHQ/sigma. A busy
//! machine moves times by a fifth and more, so engines take turns and only their ratio counts;
//! instructions are counted by `valgrind`, as the difference of two rounds and one, so that loading
//! the rules is not in them. Figures and their reading: `docs/performance.md`.

mod engines;
mod events;
mod measure;
mod random;
mod workloads;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use workloads::Workload;

/// What rsigma's own binary uses; satpam gets no other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Counts of `|contains` rules over one short text.
const TEXT_RULES: [usize; 4] = [10, 100, 1_000, 10_000];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        // One engine alone, for memory and instructions: started by this program itself.
        ["alone", workload, engine, events, rounds] => alone(workload, engine, events, rounds),
        // What `satpam eval --logsource-from product,category,service` can read.
        ["--events", rules] => {
            let workload = Workload::Corpus(PathBuf::from(rules));
            let events = workload.events(&workload.rulebook());
            events.iter().for_each(|event| println!("{}", event.with_source()));
            ExitCode::SUCCESS
        }
        ["--corpus", rules] => everything(&[Workload::Corpus(PathBuf::from(rules))], false),
        ["--text"] => everything(&[], true),
        [rules] => everything(&[Workload::Corpus(PathBuf::from(rules))], true),
        _ => {
            eprintln!("usage: satpam-peers RULES | --corpus RULES | --text | --events RULES");
            ExitCode::from(2)
        }
    }
}

fn everything(corpus: &[Workload], with_text: bool) -> ExitCode {
    let texts = TEXT_RULES.iter().map(|rules| Workload::Text(*rules)).filter(|_| with_text);
    for workload in corpus.iter().cloned().chain(texts) {
        measure::compare(&workload);
    }
    ExitCode::SUCCESS
}

fn alone(workload: &str, engine: &str, events: &str, rounds: &str) -> ExitCode {
    let (Some(workload), Ok(rounds)) = (Workload::from_argument(workload), rounds.parse()) else {
        eprintln!(
            "satpam-peers alone: a workload, an engine, a file of events and how often to read it"
        );
        return ExitCode::from(2);
    };
    measure::alone(&workload, engine, Path::new(events), rounds)
}
