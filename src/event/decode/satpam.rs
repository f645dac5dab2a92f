//! The shape of our own envelope: the head is read from the document as it stands.
//!
//! This is the fast path, and the last step of every other shape, so that the head and the document
//! of an event cannot disagree.

use std::borrow::Cow;

use super::super::{AccountId, Document, Event, EventId, EventType, InvalidId, Kind, Value};
use super::read;
use super::rejection::{HeadField, InvalidHead, Rejection};

/// Reads the head of an envelope and joins the two.
pub(super) fn event(document: Document) -> Result<Event, Rejection> {
    let head = head(&document)?;
    let (id, event_type, time, account) = head;
    Ok(Event::new(id, event_type, time, account, document))
}

type Head = (EventId, EventType, super::super::EventTime, AccountId);

fn head(document: &Document) -> Result<Head, Rejection> {
    let root = document.root();
    if root.kind() != Kind::Object {
        return Err(Rejection::WrongShape { field: "(the record)", expected: "an object" });
    }
    let (mut id, mut event_type, mut time, mut account) = (None, None, None, None);
    for (key, value) in root.entries() {
        let slot = match key {
            "id" => &mut id,
            "type" => &mut event_type,
            "time" => &mut time,
            "account" => &mut account,
            _ => continue,
        };
        *slot = Some(value);
    }
    let app_code = account.and_then(|account| account.get("app_code"));

    let id = text(id, HeadField::Id)?;
    let id = EventId::new(&id).map_err(|error| invalid(HeadField::Id, error))?;
    let event_type = text(event_type, HeadField::Type)?;
    InvalidId::check(&event_type).map_err(|error| invalid(HeadField::Type, error))?;
    let event_type = EventType::new(&event_type);
    let time = required(time, HeadField::Time)?;
    let time = read::time(time).ok_or_else(|| invalid(HeadField::Time, InvalidHead::NotATime))?;
    let account = text(app_code, HeadField::Account)?;
    let account = AccountId::new(&account).map_err(|error| invalid(HeadField::Account, error))?;
    Ok((id, event_type, time, account))
}

fn required(value: Option<Value<'_>>, field: HeadField) -> Result<Value<'_>, Rejection> {
    value.filter(|value| value.kind() != Kind::Null).ok_or(Rejection::Missing(field))
}

fn text(value: Option<Value<'_>>, field: HeadField) -> Result<Cow<'_, str>, Rejection> {
    read::id_text(required(value, field)?).ok_or_else(|| invalid(field, InvalidHead::NotText))
}

fn invalid(field: HeadField, problem: impl Into<InvalidHead>) -> Rejection {
    Rejection::Invalid { field, problem: problem.into() }
}
