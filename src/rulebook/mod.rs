//! From YAML files to a checked, compiled rule set.

mod fields;
mod model;
mod policy;

pub use fields::{FieldId, FieldTable};
pub use model::*;
pub use policy::{
    ActionKind, Credential, Multipliers, PlanFigures, Policy, ResponseRule, Thresholds,
};
