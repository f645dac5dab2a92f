//! How far a backtest is, on a terminal.

use std::io::Write;
use std::time::Duration;

use tokio::time::Instant;

use crate::event::EventTime;

const EVERY: Duration = Duration::from_millis(200);
/// Events between two looks at the time.
const LOOK_EVERY: u64 = 1_024;
const BAR_CELLS: usize = 24;

pub(super) struct Progress {
    is_shown: bool,
    /// How much there is to read, where that is known.
    total_bytes: Option<u64>,
    started: Instant,
    shown: Instant,
    events: u64,
}

impl Progress {
    pub(super) fn new(is_shown: bool, total_bytes: Option<u64>) -> Self {
        let now = Instant::now();
        Self { is_shown, total_bytes, started: now, shown: now, events: 0 }
    }

    pub(super) fn event(&mut self, time: EventTime, read_bytes: u64) {
        self.events += 1;
        if !self.is_shown || !self.events.is_multiple_of(LOOK_EVERY) || self.shown.elapsed() < EVERY
        {
            return;
        }
        self.shown = Instant::now();
        let day = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
        let rate = self.rate();
        let bar = self.total_bytes.map(|total| bar(read_bytes, total)).unwrap_or_default();
        show(&format!("{bar}{} events, {rate} a second, at {day:.0}", self.events));
    }

    /// Clears the line and says how it went.
    pub(super) fn end(&self) {
        if self.is_shown {
            let seconds = self.started.elapsed().as_secs_f64();
            show(&format!("{} events in {seconds:.1} s, {} a second\n", self.events, self.rate()));
        }
    }

    fn rate(&self) -> u64 {
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        self.events.saturating_mul(1_000) / millis
    }
}

/// A terminal that is gone is no reason to stop.
fn show(text: &str) {
    let _ = write!(std::io::stderr(), "\r\x1b[K{text}");
}

fn bar(read: u64, total: u64) -> String {
    let percent = read.min(total).saturating_mul(100).checked_div(total).unwrap_or(100);
    let full = usize::try_from(percent).unwrap_or_default() * BAR_CELLS / 100;
    format!("[{}{}] {percent:>3} %  ", "=".repeat(full), " ".repeat(BAR_CELLS - full))
}
