//! Matches become risk, risk becomes incidents, incidents become planned responses. Pure.

mod ledger;
mod model;
mod plan;
mod risk;
#[cfg(test)]
mod tests;

pub use ledger::{Changes, Ledger, Match, Occasion, Tenant, closed};
pub use model::{
    Actor, ApprovalReason, Contribution, DeliveryKind, Impact, Incident, IncidentId, IncidentState,
    NAMESPACE, OutboxId, Planned, StaffMail, Stage, TenantMail, Verdict,
};
pub use risk::{CONTRIBUTIONS_MAX, Posture, worths};
