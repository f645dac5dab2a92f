//! Labels: which attacks a recorded stream holds.
//!
//! One JSON object a line and attack, in any order:
//!
//! ```json
//! {"account":"toko-17","attack":"7-17","kind":"takeover","first":"2026-11-10T10:00:00Z","last":"2026-11-10T12:30:00Z","recipients":1200,"events":["demo-7-1234","demo-7-1240"]}
//! ```
//!
//! `events` are the ids of the intruder's own events; where they are not known, leave them out, and
//! every event of the account from `first` to `last` counts as the intruder's. `recipients` is how
//! many customers the whole attack reaches; left out, it is counted from the events.

use std::collections::BTreeSet;
use std::io::BufRead;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::event::{AccountId, Event, EventTime};

/// One attack on one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attack {
    pub account: AccountId,
    /// Its name in reports, unique in the file.
    pub name: String,
    /// What sort of attack it is, for the table of kinds.
    pub kind: String,
    /// The times of its first and last event.
    pub first: EventTime,
    pub last: EventTime,
    /// How many customers it reaches; nothing where that is to be counted.
    pub recipients: Option<u64>,
    /// The ids of its events; empty where only the time is known.
    pub events: BTreeSet<Box<str>>,
}

/// A line of the label file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    account: String,
    attack: String,
    kind: String,
    first: Timestamp,
    last: Timestamp,
    #[serde(default)]
    recipients: Option<u64>,
    #[serde(default)]
    events: BTreeSet<Box<str>>,
}

/// A label file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidLabel {
    #[error("the labels cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("line {line} of the labels is not a label: {problem}")]
    Line { line: usize, problem: String },
}

impl Attack {
    /// Returns whether an event is the intruder's.
    pub fn includes(&self, event: &Event) -> bool {
        if self.events.is_empty() {
            return event.time() >= self.first && event.time() <= self.last;
        }
        self.events.contains(event.id().as_str())
    }

    /// Returns the line of the label file.
    pub fn to_line(&self) -> String {
        let line = Line {
            account: self.account.as_str().to_owned(),
            attack: self.name.clone(),
            kind: self.kind.clone(),
            first: timestamp(self.first),
            last: timestamp(self.last),
            recipients: self.recipients,
            events: self.events.clone(),
        };
        serde_json::to_string(&line).unwrap_or_default()
    }
}

/// Reads a label file; empty lines are skipped.
///
/// # Errors
/// The first line that is no label, or labels an attack that ends before it begins.
pub fn read_labels(input: impl BufRead) -> Result<Vec<Attack>, InvalidLabel> {
    let mut attacks = Vec::new();
    for (at, line) in input.lines().enumerate() {
        let line = line.map_err(InvalidLabel::Unreadable)?;
        if line.trim().is_empty() {
            continue;
        }
        let invalid = |problem: String| InvalidLabel::Line { line: at + 1, problem };
        let line: Line = serde_json::from_str(&line).map_err(|error| invalid(error.to_string()))?;
        if line.last < line.first {
            return Err(invalid("`last` is before `first`".to_owned()));
        }
        attacks.push(Attack {
            account: AccountId::new(&line.account).map_err(|error| invalid(error.to_string()))?,
            name: line.attack,
            kind: line.kind,
            first: EventTime::from_millis(line.first.as_millisecond()),
            last: EventTime::from_millis(line.last.as_millisecond()),
            recipients: line.recipients,
            events: line.events,
        });
    }
    Ok(attacks)
}

/// The nearest time that RFC 3339 can write.
pub(super) fn timestamp(time: EventTime) -> Timestamp {
    Timestamp::from_millisecond(time.millis()).unwrap_or(if time.millis() < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    })
}
