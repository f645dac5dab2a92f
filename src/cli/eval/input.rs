//! What a line holds.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::decode::{self, Events, Limits, WireShape};
use crate::event::{
    Category, Document, EventTime, EventType, Kind, Offset, Position, RawRecord, ShardId,
    TopicIndex, Value,
};

/// What is to be evaluated.
pub(super) enum Subject {
    /// Events of our envelope.
    Ours(Events),
    /// An object to be looked at as it stands, and when.
    Other(Document, EventTime),
}

/// How lines are read.
pub(super) struct Reading {
    is_timed: bool,
    as_it_stands: bool,
    /// The time of the last event: of the next one where it has none.
    now: EventTime,
}

#[derive(Deserialize)]
struct Timed<'l> {
    at: At,
    #[serde(borrow)]
    event: &'l RawValue,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum At {
    Seconds(f64),
    Time(jiff::Timestamp),
}

impl Reading {
    pub(super) fn new(is_timed: bool, as_it_stands: bool) -> Self {
        Self { is_timed, as_it_stands, now: EventTime::from_millis(0) }
    }

    /// Reads line `number` (from 1).
    pub(super) fn read(&mut self, line: Vec<u8>, number: u64) -> Result<Subject, String> {
        if !self.is_timed {
            return self.subject(line, number, false);
        }
        let timed: Timed<'_> = serde_json::from_slice(&line)
            .map_err(|error| format!("not a line of `at` and `event`: {error}"))?;
        self.now = timed.at.time()?;
        self.subject(timed.event.get().as_bytes().to_vec(), number, true)
    }

    fn subject(&mut self, bytes: Vec<u8>, number: u64, sets_time: bool) -> Result<Subject, String> {
        let document = Document::parse(bytes).map_err(|error| error.to_string())?;
        if document.root().kind() != Kind::Object {
            return Err("not a JSON object".to_owned());
        }
        if self.as_it_stands {
            return Ok(Subject::Other(document, self.now));
        }
        let root = document.root();
        let source = document.source();
        let (shape, payload) = if root.get("specversion").is_some() {
            (WireShape::CloudEvents, source.as_bytes().to_vec())
        } else if root.get("type").and_then(Value::as_str).is_some_and(is_ours) {
            let has_account = root.path(&["account", "app_code"]).is_some();
            let is_whole = has_account && root.get("id").is_some() && root.get("time").is_some();
            let payload = if is_whole && !sets_time {
                source.as_bytes().to_vec()
            } else {
                self.completed(source, number, sets_time)?
            };
            (WireShape::Satpam, payload)
        } else {
            return Ok(Subject::Other(document, self.now));
        };
        let record = RawRecord {
            shard: ShardId(0),
            position: position(number),
            timestamp: None,
            key: None,
            headers: Vec::new(),
            payload,
        };
        let events = decode::decode(&shape, &record, &Limits::default())
            .map_err(|rejection| rejection.to_string())?;
        if let Some(event) = events.first() {
            self.now = event.time();
        }
        Ok(Subject::Ours(events))
    }

    /// Fills in what the head of an envelope lacks.
    fn completed(&self, source: &str, number: u64, sets_time: bool) -> Result<Vec<u8>, String> {
        let invalid = |error: serde_json::Error| error.to_string();
        let mut head: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(source).map_err(invalid)?;
        if !head.contains_key("id") {
            head.insert("id".to_owned(), format!("line-{number}").into());
        }
        if sets_time || !head.contains_key("time") {
            head.insert("time".to_owned(), self.now.millis().to_string().into());
        }
        let account = head.entry("account").or_insert_with(|| serde_json::json!({}));
        if let Some(account) = account.as_object_mut() {
            account.entry("app_code").or_insert_with(|| NO_ACCOUNT.into());
        }
        serde_json::to_vec(&head).map_err(invalid)
    }
}

/// Events of ours that name no account belong to this one.
pub(super) const NO_ACCOUNT: &str = "none";

/// The line takes the place of the offset, so a repeated event is evaluated again.
pub(super) fn position(line: u64) -> Position {
    Position { topic: TopicIndex(0), offset: Offset(i64::try_from(line).unwrap_or(i64::MAX)) }
}

fn is_ours(name: &str) -> bool {
    EventType::new(name).category() != Category::Other
}

impl At {
    fn time(&self) -> Result<EventTime, String> {
        match self {
            Self::Time(time) => Ok(EventTime::from_millis(time.as_millisecond())),
            Self::Seconds(seconds) => {
                // Ten thousand years on both sides of 1970.
                if !seconds.is_finite() || seconds.abs() > 3.2e11 {
                    return Err(format!("`at` is no time: {seconds}"));
                }
                #[expect(clippy::cast_possible_truncation, reason = "the range was checked")]
                Ok(EventTime::from_millis((seconds * 1000.0).round() as i64))
            }
        }
    }
}
