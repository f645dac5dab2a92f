//! Matches become risk, risk becomes incidents, incidents become planned responses. Pure.

mod model;

pub use model::{
    Actor, ApprovalReason, Contribution, DeliveryKind, Impact, Incident, IncidentId, IncidentState,
    NAMESPACE, OutboxId, Planned, StaffMail, Stage, TenantMail, Verdict,
};
