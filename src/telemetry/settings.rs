//! The `telemetry` section of the configuration.

use std::net::{Ipv4Addr, SocketAddr};

use serde::Deserialize;

use crate::event::TimeSpan;

/// Logs, metrics and health checks.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The address of `/metrics`, `/livez` and `/readyz`. They need no sign-in: keep it on loopback
    /// or on a network that only the monitoring reaches.
    pub listen: SocketAddr,
    /// What is logged: `error`, `warn`, `info`, `debug` or `trace`, for a part of the program where
    /// wanted: `info,satpam::ingest=debug`.
    pub log_level: String,
    /// `json`, `text`, or `auto`: text where the log goes to a terminal, JSON elsewhere.
    pub log_format: LogFormat,
    /// A stage that has made no step for this long counts as stuck: `/livez` says so, and the
    /// watchdog of the service manager is no longer fed. More than the longest checkpoint takes.
    pub stuck_after: TimeSpan,
}

/// The form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Auto,
    Json,
    Text,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9464)),
            log_level: "info".to_owned(),
            log_format: LogFormat::Auto,
            stuck_after: TimeSpan::from_millis(60_000),
        }
    }
}
