//! Which rules can match an event at all.
//!
//! Every rule names a few of its tests of which at least one must hold where it matches (its
//! [`trigger`]). Those enter the index, and the literals that expressions need; what is found opens
//! [`gates`], and only a rule whose outermost gate opens is looked at.

mod affix;
mod field;
mod gates;
mod grams;
mod literal;
mod rarity;
mod required;
mod trigger;

pub(super) use field::{FieldIndex, Hits, IndexBuilder};
pub(super) use gates::{GateId, Gates, Prospect};
pub(super) use grams::gram_hash;
pub(super) use rarity::{millibits_of, odds, odds_at_end};
pub(super) use required::parsed;
pub(super) use trigger::{Trigger, Triggers, each_atom};
