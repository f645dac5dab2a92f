//! Ids and positions as types, so that one cannot be passed for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A text that cannot be an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("the id is empty")]
    Empty,
    #[error("the id has {0} bytes, more than 128")]
    TooLong(usize),
    /// Ids end up in mail headers, log lines and store keys, where such a character divides.
    #[error("the id holds a control character")]
    ControlCharacter,
}

const MAX_BYTES: usize = 128;

impl InvalidId {
    /// Tells whether a text could be an id: 1 to 128 bytes, no control characters.
    pub fn check(raw: &str) -> Result<(), Self> {
        match raw.len() {
            0 => Err(Self::Empty),
            1..=MAX_BYTES if has_control(raw) => Err(Self::ControlCharacter),
            1..=MAX_BYTES => Ok(()),
            bytes => Err(Self::TooLong(bytes)),
        }
    }
}

/// Tells whether a text holds a control character of Unicode.
fn has_control(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_control())
        || (!text.is_ascii() && text.chars().any(char::is_control))
}

/// The tenant: `account.app_code`, 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId(Arc<str>);

impl AccountId {
    /// Checks the length and the characters.
    pub fn new(raw: &str) -> Result<Self, InvalidId> {
        InvalidId::check(raw)?;
        Ok(Self(raw.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for AccountId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The event's own `id`, 1 to 128 bytes without control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventId(Box<str>);

impl EventId {
    /// Checks the length and the characters.
    pub fn new(raw: &str) -> Result<Self, InvalidId> {
        InvalidId::check(raw)?;
        Ok(Self(raw.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Which of the configured input topics, in the order of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TopicIndex(pub u8);

/// One shard of the state: the partition number that all co-partitioned topics share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ShardId(pub i32);

impl fmt::Display for ShardId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The offset of a record in its partition, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Offset(pub i64);

/// Where a record stands: topic and offset inside a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    pub topic: TopicIndex,
    pub offset: Offset,
}
