//! What each shape becomes, what is refused and why, and that nothing panics.

mod broken;
mod laws;
mod shapes;

use serde_json::Value as Json;

use super::super::{EventTime, Offset, Position, ShardId, TopicIndex};
use super::{Events, Limits, RawRecord, Rejection, WireShape, decode};

/// The Kafka timestamp of every record here: 2026-11-24T03:00:00Z.
const TIMESTAMP: i64 = 1_795_489_200_000;

fn record(payload: impl Into<Vec<u8>>) -> RawRecord {
    RawRecord {
        payload: payload.into(),
        key: None,
        headers: Vec::new(),
        timestamp: Some(EventTime::from_millis(TIMESTAMP)),
        position: Position { topic: TopicIndex(2), offset: Offset(41) },
        shard: ShardId(7),
    }
}

fn with_headers(payload: &str, headers: &[(&str, &str)]) -> RawRecord {
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    RawRecord { headers: headers.collect(), ..record(payload) }
}

fn shape(text: &str) -> WireShape {
    serde_json::from_str(text).unwrap()
}

fn decoded(shape: &WireShape, record: &RawRecord) -> Result<Events, Rejection> {
    decode(shape, record, &Limits::default())
}

/// Returns the events of a record as JSON, and checks that head and document agree.
fn envelopes(shape: &WireShape, record: &RawRecord) -> Vec<Json> {
    let events = decoded(shape, record).unwrap();
    let envelopes = events.iter().map(|event| {
        let json: Json = serde_json::from_str(event.document().source()).unwrap();
        assert_eq!(json["id"].to_string().trim_matches('"'), event.id().as_str());
        assert_eq!(json["type"], event.event_type().name());
        assert_eq!(json["account"]["app_code"], event.account().as_str());
        json
    });
    envelopes.collect()
}
