//! Does this event, for this account, match? Pure: no clock, no I/O, no state of its own but what
//! it is given.
//!
//! - [`content`]: what is derived from an event (`content.*`, `time.*`, ...).
//! - [`index`] and [`evaluate`]: which rules can match at all, and which do.
//! - [`correlate`]: matches over time.

#[cfg(test)]
mod agreement;
mod atom;
mod choice;
#[cfg(test)]
mod conformance;
pub mod content;
pub mod correlate;
mod deciding;
mod derived;
mod evaluate;
mod explain;
mod fold;
mod index;
pub mod naive;
mod paths;
mod pattern;
mod program;
mod route;
mod scratch;
mod values;

pub use derived::{DerivedField, DerivedGroup, DerivedSource, NothingDerived};
pub use evaluate::{DerivedNeeds, Detector, EventFields, Subject};
pub use explain::{DecidingValue, Explanation, Finding};
pub use route::EventSource;
pub use scratch::Scratch;

use std::sync::Arc;

use ipnet::IpNet;

use crate::baseline::Seen;
use crate::event::EventTime;
use crate::rulebook::FieldId;

/// A scalar value of a field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a str),
}

/// Answers what values a field of the event at hand has: none when it is absent, several when it
/// is, or lies inside, an array.
pub trait FieldSource {
    /// Calls `visit` for each scalar value of the field, in the order of the event, until it
    /// returns false. An array or object that is present but empty counts as no value.
    fn values(&self, field: FieldId, visit: &mut dyn FnMut(FieldValue<'_>) -> bool);

    /// Returns whether the field is present at all, also as null, empty or an object.
    fn is_present(&self, field: FieldId) -> bool;
}

/// What the engine knows of the account when the event arrives, for the derived fields.
#[derive(Debug, Clone)]
pub struct AccountFacts {
    /// The account's time zone; Asia/Jakarta where nothing else is known.
    pub timezone: jiff::tz::TimeZone,
    /// When the account was first seen, for `account.age_days`.
    pub first_seen: EventTime,
    /// Whether the account is in its learning period, for `account.is_new`.
    pub is_new: bool,
    /// The account's network allow-list; nothing where it has none.
    pub allowlist: Option<Arc<[IpNet]>>,
    /// The text of the template that a message or broadcast names, with its `{{n}}`, where known.
    pub template_text: Option<Arc<str>>,
    /// What the account had not shown before this event.
    pub seen: Seen,
}
