//! Which rules can match an event at all.
//!
//! Every rule names a few of its tests of which at least one must hold where it matches (its
//! [`trigger`]). Only those enter the index; a rule none of whose triggers occurs in an event is
//! never looked at.

mod affix;
mod field;
mod grams;
mod literal;
mod rarity;
mod required;
mod trigger;

pub(super) use field::{FieldIndex, Gate, Hits, IndexBuilder};
pub(super) use grams::gram_hash;
pub(super) use rarity::{millibits_of, odds, odds_at_end};
pub(super) use trigger::{Trigger, Triggers, each_atom};
