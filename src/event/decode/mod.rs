//! From a Kafka record to events, for every shape that a topic may have on the wire.
//!
//! Whatever the shape, an event ends as a [`Document`] in the satpam envelope, and its head is read
//! from that document by one function. Decoding is a function of the record alone: "in the future"
//! is measured against the record's own timestamp, and an id that the source lacks is made from the
//! record's position, so a record that is read again gives the same events. Whether an event is too
//! late is not decided here: that depends on what else the engine has seen.

mod cloudevents;
mod map;
mod qiscus_broadcast;
mod qiscus_request;
mod qiscus_template;
mod qiscus_webhook;
mod read;
mod rejection;
mod satpam;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use smallvec::SmallVec;

pub use map::{InvalidMap, MapPaths};
pub use rejection::{HeadField, InvalidHead, Rejection, RejectionReason};

use super::{Document, Event, Position, RawRecord, TimeSpan, Value};

/// What the records of a topic look like. Written as a word, or as `map: {envelope: source}`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireShape {
    /// Our own envelope.
    #[default]
    Satpam,
    /// CloudEvents 1.0, structured or binary.
    #[serde(rename = "cloudevents")]
    CloudEvents,
    /// The message object of Qiscus Omnichannel webhooks.
    QiscusWebhook,
    /// The request body of the Qiscus broadcast call.
    QiscusBroadcast,
    /// The request body of the Qiscus template call; one event for each language.
    QiscusTemplate,
    /// Any other JSON, by paths.
    Map(MapPaths),
}

/// What a record may be at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest payload in bytes, 1 to 4294967295. Default 1048576 (1 MiB).
    pub max_bytes: usize,
    /// How far ahead of its record's Kafka timestamp an event may lie. Default `10m`.
    pub future: TimeSpan,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, future: TimeSpan::from_millis(600_000) }
    }
}

/// The events of one record: one, but for templates in several languages.
pub type Events = SmallVec<[Event; 1]>;

/// Most events that one record may become.
const EVENTS_MAX: usize = 100;

/// Reads the events of a record.
///
/// The record is borrowed, so that a caller can write a rejected one whole to the dead letter.
///
/// # Errors
/// The first reason for which the record is not an event; a record is never read in part.
pub fn decode(shape: &WireShape, record: &RawRecord, limits: &Limits) -> Result<Events, Rejection> {
    let bytes = record.payload.len();
    if bytes == 0 {
        return Err(Rejection::Empty);
    }
    if bytes > limits.max_bytes {
        return Err(Rejection::TooLarge { bytes, limit: limits.max_bytes });
    }
    let source = parse(record.payload.clone())?;
    let rewritten = match shape {
        WireShape::Satpam => return one(source, record, limits),
        WireShape::CloudEvents => cloudevents::envelope(source.root(), record)?,
        WireShape::QiscusWebhook => qiscus_webhook::envelope(source.root(), record)?,
        WireShape::QiscusBroadcast => qiscus_broadcast::envelope(source.root(), record)?,
        WireShape::Map(paths) => map::envelope(paths, source.root(), record),
        WireShape::QiscusTemplate => {
            return qiscus_template::envelopes(source.root(), record, limits)?
                .into_iter()
                .map(|text| event(parse(text.into_bytes())?, record, limits))
                .collect();
        }
    };
    one(parse(rewritten.into_bytes())?, record, limits)
}

fn parse(bytes: Vec<u8>) -> Result<Document, Rejection> {
    let document = Document::parse(bytes)?;
    if document.has_duplicate_keys() { Err(Rejection::DuplicateKey) } else { Ok(document) }
}

fn one(document: Document, record: &RawRecord, limits: &Limits) -> Result<Events, Rejection> {
    let mut events = Events::new();
    events.push(event(document, record, limits)?);
    Ok(events)
}

fn event(document: Document, record: &RawRecord, limits: &Limits) -> Result<Event, Rejection> {
    let event = satpam::event(document)?;
    if let Some(timestamp) = record.timestamp {
        let ahead = event.time().millis_since(timestamp);
        if ahead > limits.future.millis() {
            let ahead = TimeSpan::from_millis(ahead);
            return Err(Rejection::FromTheFuture { ahead, limit: limits.future });
        }
    }
    Ok(event)
}

impl RawRecord {
    /// Returns the id of an event whose source has none: `kafka-TOPIC-PARTITION-OFFSET`, with the
    /// topic's place in the configuration.
    ///
    /// A position is unique and stays the same when the record is read again, which is all that an
    /// id must be; unlike a hash of it, it leads a person straight to the record.
    fn minted_id(&self) -> String {
        let Position { topic, offset } = self.position;
        format!("kafka-{}-{}-{}", topic.0, self.shard, offset.0)
    }

    /// Returns the record's own time as RFC 3339, for shapes that carry none.
    fn timestamp_text(&self) -> Option<String> {
        self.timestamp.and_then(read::rfc3339)
    }
}

/// Refuses what is not an object where a shape needs one.
fn object<'d>(value: Option<Value<'d>>, field: &'static str) -> Result<Value<'d>, Rejection> {
    value
        .filter(|value| value.kind() == super::Kind::Object)
        .ok_or(Rejection::WrongShape { field, expected: "an object" })
}
