//! What staff decide while satpam runs: the control socket, and what its answers look like.
//!
//! The daemon answers JSON over HTTP on a Unix socket that its own user and root alone can open.
//! Each decision has a person and a reason and is audited in the same atomic change. Incidents are
//! closed by the thread that owns the account ([`Closings`]), actions by the responder's
//! [`crate::respond::Operator`]. Texts that come from events are masked here, once, for every
//! reader. Absent on purpose: any decision that the daemon takes by itself, and a network address.

mod api;
mod client;
mod closings;
mod decide;
mod explain;
mod find;
mod metrics;
mod person;
mod problem;
mod settings;
mod socket;
#[cfg(test)]
mod tests;
mod views;

pub use client::{CallError, Client};
pub use closings::{CloseAnswer, CloseError, CloseOrder, Closings, Taken};
pub use metrics::Metrics;
pub use settings::Settings;
pub use socket::{Console, Desk, SocketError, StagingReader};
pub use views::{
    ActorView, AuditView, CloseRequest, ClosedView, ClosingView, ContributionView, DayView,
    DecisionView, DeliveryList, DeliveryView, EvidenceView, ImpactView, IncidentList,
    IncidentSummary, IncidentView, ReasonRequest, SampleView, StagingView, ThresholdView, UserView,
};
