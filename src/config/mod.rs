//! Settings: the stages' own, joined into one file.

mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use source::ConfigError;

use crate::event::decode::{Limits, WireShape};
use crate::{console, engine, ingest, respond, store, telemetry};

/// The whole configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder of rules, lists, accounts and the policy.
    pub rules: PathBuf,
    /// The topics to read, by name, and what their records look like.
    pub topics: BTreeMap<String, WireShape>,
    /// What a record may be at most.
    pub limits: Limits,
    pub kafka: ingest::Settings,
    pub engine: engine::Settings,
    pub store: store::Settings,
    pub respond: respond::Settings,
    pub telemetry: telemetry::Settings,
    pub console: console::Settings,
}

impl Default for Config {
    fn default() -> Self {
        let topic = |name: &str| (format!("omnichannel.{name}"), WireShape::Satpam);
        Self {
            rules: PathBuf::from("/etc/satpam/rules"),
            topics: ["messages", "templates", "broadcasts"].into_iter().map(topic).collect(),
            limits: Limits::default(),
            kafka: ingest::Settings::default(),
            engine: engine::Settings::default(),
            store: store::Settings::default(),
            respond: respond::Settings::default(),
            telemetry: telemetry::Settings::default(),
            console: console::Settings::default(),
        }
    }
}

/// Reads the configuration file with the environment over it.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let config: Config = source::parse(path, &text, std::env::vars())?;
    config.kafka.check().map_err(ConfigError::Contradiction)?;
    Ok(config)
}
