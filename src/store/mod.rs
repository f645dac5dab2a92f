//! The only place that knows sled.

mod entry;

pub use entry::{Decision, HoldReason, OutboxEntry, OutboxStatus, UserOutcome};
