//! The words that every stage shares: ids, times, the event itself and how it is decoded.
//!
//! An [`Event`] is a small typed head (what the engine decides by) and a [`Document`] (what rules
//! look into), always in the shape of the satpam envelope whatever shape was on the wire.

pub mod decode;
mod document;
mod id;
mod object_writer;
mod parser;
mod record;
mod span;
mod time;

pub use document::{Document, DocumentError, Kind, Value};
pub use id::{AccountId, EventId, InvalidId, Offset, Position, ShardId, TopicIndex};
pub use object_writer::ObjectWriter;
pub(crate) use parser::key_hash;
pub use record::RawRecord;
pub use span::{InvalidTimeSpan, TimeSpan};
pub use time::EventTime;

/// One thing that happened in one account.
#[derive(Debug, Clone)]
pub struct Event {
    id: EventId,
    event_type: EventType,
    time: EventTime,
    account: AccountId,
    document: Document,
}

impl Event {
    /// Joins a head and the document it was read from.
    pub fn new(
        id: EventId,
        event_type: EventType,
        time: EventTime,
        account: AccountId,
        document: Document,
    ) -> Self {
        Self { id, event_type, time, account, document }
    }

    /// Returns the id that is unique per event.
    pub fn id(&self) -> &EventId {
        &self.id
    }

    /// Returns what kind of thing happened.
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// Returns when it happened, by the producer's clock.
    pub fn time(&self) -> EventTime {
        self.time
    }

    /// Returns the tenant.
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Returns the whole event in the shape of the satpam envelope.
    pub fn document(&self) -> &Document {
        &self.document
    }
}

/// The `type` of an event, for example `message.sent`. Unknown types are kept as they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventType {
    name: Box<str>,
    category: Category,
}

impl EventType {
    /// Reads a type by its name; the part before the first dot is the category.
    pub fn new(name: &str) -> Self {
        let category = match name.split('.').next().unwrap_or_default() {
            "message" => Category::Message,
            "template" => Category::Template,
            "broadcast" => Category::Broadcast,
            "login" => Category::Login,
            "change" => Category::Change,
            _ => Category::Other,
        };
        Self { name: name.into(), category }
    }

    /// Returns the full name, `message.sent`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the Sigma `logsource.category` of such events.
    pub fn category(&self) -> Category {
        self.category
    }
}

/// The Sigma `logsource.category` of our events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Category {
    Message,
    Template,
    Broadcast,
    Login,
    Change,
    /// A type that this version does not know.
    Other,
}

impl Category {
    pub const ALL: [Self; 6] =
        [Self::Message, Self::Template, Self::Broadcast, Self::Login, Self::Change, Self::Other];

    /// Returns the word that rules and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Template => "template",
            Self::Broadcast => "broadcast",
            Self::Login => "login",
            Self::Change => "change",
            Self::Other => "other",
        }
    }
}
