//! What the process tells about itself: log events, metrics, whether it is alive and ready, and
//! what the service manager wants to hear.
//!
//! Metrics are declared by the stage that counts (`metrics.rs` of each folder) on the registry of
//! [`Telemetry`]; nothing here knows what they mean. Absent on purpose: tracing spans across
//! processes, pushing of metrics, and any label that could name an account or a person.

mod admin;
mod bounded_listener;
mod health;
mod log;
mod openmetrics;
mod registry;
mod settings;
pub mod systemd;

pub use admin::{Admin, AdminError};
pub use bounded_listener::{BoundedListener, BoundedStream};
pub use health::{Condition, Liveness, Pulse, Readiness};
pub use log::{LogError, LogStream};
pub use registry::{MetricKind, MetricText, Telemetry, catalogue, start_at_zero};
pub use settings::{LogFormat, Settings};
