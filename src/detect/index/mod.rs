//! Which rules can match an event at all.
//!
//! Every rule names a few of its tests of which at least one must hold where it matches (its
//! [`trigger`]). Only those enter the index; a rule none of whose triggers occurs in an event is
//! never looked at.

mod affix;
mod field;
mod grams;
mod rarity;
mod required;
mod trigger;

pub(super) use field::{FieldIndex, Hits, IndexBuilder};
pub(super) use grams::gram_hash;
pub(super) use trigger::{Trigger, Triggers};
