//! What an evaluation cost, for comparisons.

use std::fs;

use serde::Serialize;
use tokio::time::Instant;

use crate::engine::Rules;

/// Measures from the start of the command.
pub(super) struct Stats {
    started: Instant,
    loaded: Option<(Instant, f64)>,
    rules: usize,
}

#[derive(Serialize)]
struct Figures {
    events: u64,
    matches: u64,
    rules: usize,
    load_seconds: f64,
    eval_wall_seconds: f64,
    /// Of the one thread that evaluates, reading and parsing included.
    eval_cpu_seconds: f64,
    peak_rss_bytes: u64,
}

impl Stats {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), loaded: None, rules: 0 }
    }

    /// Notes that the rules are ready.
    pub(super) fn loaded(&mut self, rules: &Rules) {
        self.rules = rules.rulebook().detections.len() + rules.rulebook().correlations.len();
        self.loaded = Some((Instant::now(), cpu_seconds()));
    }

    #[expect(clippy::print_stderr, reason = "the figures are for a person or a script")]
    pub(super) fn print(&self, events: u64, matches: u64) {
        let Some((loaded, cpu)) = self.loaded else { return };
        let figures = Figures {
            events,
            matches,
            rules: self.rules,
            load_seconds: (loaded - self.started).as_secs_f64(),
            eval_wall_seconds: loaded.elapsed().as_secs_f64(),
            eval_cpu_seconds: cpu_seconds() - cpu,
            peak_rss_bytes: peak_rss_bytes(),
        };
        eprintln!("{}", serde_json::to_string(&figures).unwrap_or_default());
    }
}

/// Returns the time that this thread has run; 0 where the system does not tell (not Linux).
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: f64 =
        text.split(' ').next().and_then(|field| field.parse().ok()).unwrap_or_default();
    nanoseconds / 1e9
}

/// Returns the most memory that the process held; 0 where the system does not tell (not Linux).
fn peak_rss_bytes() -> u64 {
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
