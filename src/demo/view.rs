//! What the demo shows: lines that stay, and on a terminal one line that changes.

use std::io::{IsTerminal as _, Write};

use anstyle::{AnsiColor, Style};

use crate::event::EventTime;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(super) const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(super) const GUARD: Style = AnsiColor::Cyan.on_default().bold();

/// Who a line is about: the word before it, and its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voice {
    Demo,
    Intruder,
    Satpam,
    Platform,
    Mail,
}

impl Voice {
    fn word(self) -> (&'static str, Style) {
        match self {
            Self::Demo => ("", Style::new()),
            Self::Intruder => ("intruder", BAD),
            Self::Satpam => ("satpam", GUARD),
            Self::Platform => ("platform", GOOD),
            Self::Mail => ("mail", GOOD),
        }
    }
}

/// The output of the demo. A reader that went away changes nothing about the run, so that errors of
/// writing are left out.
pub struct View {
    out: Box<dyn Write + Send>,
    is_live: bool,
}

impl std::fmt::Debug for View {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("View").field("is_live", &self.is_live).finish_non_exhaustive()
    }
}

impl View {
    /// Shows the run on the standard output, in colour where it is a terminal.
    pub fn stdout() -> Self {
        let is_live = std::io::stdout().is_terminal();
        Self { out: Box::new(anstream::AutoStream::auto(std::io::stdout())), is_live }
    }

    /// Writes a line that stays.
    pub(super) fn line(&mut self, text: &str) {
        self.clear();
        let _ = writeln!(self.out, "{text}");
        let _ = self.out.flush();
    }

    /// Writes what somebody does, with the demo's time.
    pub(super) fn tell(&mut self, time: EventTime, voice: Voice, text: &str) {
        let (word, style) = voice.word();
        self.line(&format!("{DIM}{}{DIM:#}  {style}{word:<8}{style:#}  {text}", stamp(time)));
    }

    /// Writes a line under the last one.
    pub(super) fn more(&mut self, text: &str) {
        self.line(&format!("                            {text}"));
    }

    /// Replaces the line that changes, where there is one.
    pub(super) fn status(&mut self, text: &str) {
        if self.is_live {
            let _ = write!(self.out, "\r\x1b[2K{DIM}{text}{DIM:#}");
            let _ = self.out.flush();
        }
    }

    fn clear(&mut self) {
        if self.is_live {
            let _ = write!(self.out, "\r\x1b[2K");
        }
    }
}

/// Returns the day and time in Jakarta, where the tenants are.
pub(super) fn stamp(time: EventTime) -> String {
    let offset = jiff::tz::Offset::constant(7);
    let timestamp = jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default();
    offset.to_datetime(timestamp).strftime("%a %d %b %H:%M").to_string()
}

/// Returns a number with separators: `12,345`.
pub(super) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_written_for_people() {
        for (value, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(number(value), text);
        }
        assert_eq!(stamp(EventTime::from_millis(1_793_552_400_000)), "Mon 02 Nov 00:00");
    }
}
