//! A record as it came from Kafka, before anyone has looked into it.

use std::fmt;

use super::{EventTime, Position, ShardId};

/// One Kafka record. `Debug` hides key, headers and payload: they hold customers' data.
#[derive(Clone, PartialEq, Eq)]
pub struct RawRecord {
    pub shard: ShardId,
    pub position: Position,
    /// Kafka's own timestamp of the record.
    pub timestamp: Option<EventTime>,
    pub key: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub payload: Vec<u8>,
}

impl fmt::Debug for RawRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawRecord")
            .field("shard", &self.shard)
            .field("position", &self.position)
            .field("bytes", &self.payload.len())
            .finish_non_exhaustive()
    }
}
