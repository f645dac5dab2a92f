//! From YAML files to a checked, compiled rule set.
//!
//! [`load()`] reads the files, [`compile()`] checks and compiles texts; both collect every finding of
//! every file. The path of a rule: `yaml` (a tree with positions), `collection` (several rules from
//! shared parts), `schema` (what a document is), then `detection` with `condition`, `values`,
//! `modifiers` and `pattern`, or `correlation` with its kinds, or `filters`; `lint`, `compare` (with
//! `logic` and `implied`) and `test_cases` remark on what can be used and is probably not meant; `compile` joins it all into a [`Rulebook`].
//!
//! Promise: no input makes this module panic, and its time and memory are bounded by the input's size
//! and the limits of each part. Deliberately absent: evaluation of anything ([`crate::detect`]).

mod accounts_file;
mod atoms;
mod calibration;
mod codes;
mod collection;
mod compare;
mod compile;
mod condition;
mod correlation;
mod correlation_kinds;
mod detection;
mod diagnostic;
mod fields;
mod filters;
mod ignore;
mod implied;
mod lint;
mod lists;
mod load;
mod logic;
mod model;
mod modifiers;
mod nearest;
mod order;
mod pattern;
mod policy;
mod policy_file;
mod regex_check;
mod schema;
mod state_key;
mod test_cases;
mod values;
mod vocabulary;
mod yaml;

#[cfg(test)]
mod tests;

pub use codes::{Code, Explanation};
pub use compile::{Sources, compile};
pub use diagnostic::{Colour, Diagnostic, Fix, Label, Severity, SourceText, Span};
pub use fields::{FieldId, FieldTable};
pub use load::{LoadFailure, Loaded, ReadFiles, load, load_all, read, read_tests, read_within};
pub use model::*;
pub use nearest::nearest;
pub use pattern::fold_case;
pub use policy::{
    ActionKind, Credential, Multipliers, NoisyRules, PlanFigures, Policy, ResponseRule,
    Sensitivity, Thresholds,
};
pub use vocabulary::omnichannel_fields;
