//! Settings: the stages' own, joined into one file.
//!
//! [`DEFAULT`] is that file with every setting and its meaning; tests of the project compare it with
//! the types. Absent on purpose: settings that no stage reads, and files that include others.

mod check;
mod finding;
mod keys;
mod source;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use finding::{Finding, Tree};
pub use keys::setting_paths;
pub use source::ConfigError;

use finding::Known;

use crate::event::decode::{Limits, WireShape};
use crate::rulebook::nearest;
use crate::{console, engine, ingest, respond, store, telemetry};

/// The commented configuration file with all defaults.
pub const DEFAULT: &str = include_str!("../../deploy/default.yaml");

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

/// Reads the configuration file with the environment over it, and checks it.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text, std::env::vars())
}

/// Reads a configuration from a text with an environment over it, and checks it. `path` is for
/// messages.
pub fn parse(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigError> {
    let tree = source::tree(path, text)?;
    let report = |findings: &[Finding]| {
        let name = path.display().to_string();
        let texts: Vec<String> =
            findings.iter().map(|finding| finding.render(&name, text, &tree)).collect();
        ConfigError::Findings { path: path.to_owned(), text: texts.join("\n\n") }
    };
    let unknown = unknown_settings(&tree);
    if !unknown.is_empty() {
        return Err(report(&unknown));
    }
    let config: Config = source::parse(path, text, environment)?;
    let found = check::findings(&config);
    if found.is_empty() { Ok(config) } else { Err(report(&found)) }
}

/// Returns a finding for each key that is no setting, with the nearest one.
fn unknown_settings(tree: &Tree) -> Vec<Finding> {
    // Without the list, reading the file will find the first of them.
    let Some(paths) = setting_paths::<Config>() else { return Vec::new() };
    let below = |prefix: &str| -> Vec<&str> {
        let start = if prefix.is_empty() { String::new() } else { format!("{prefix}.") };
        let names = paths.iter().filter_map(|path| path.strip_prefix(&start));
        names.filter(|name| !name.contains('.')).collect()
    };
    let known = |path: &str| {
        if !paths.contains(path) {
            Known::No
        } else if below(path).is_empty() {
            Known::Setting
        } else {
            Known::Group
        }
    };
    let mut found = Vec::new();
    tree.each("", &known, &mut |group, key| {
        let names = below(group);
        let help = match nearest(key, names.iter().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("known here are {}", names.join(", ")),
        };
        let setting = if group.is_empty() { key.to_owned() } else { format!("{group}.{key}") };
        found.push(Finding::new(setting, "there is no such setting", help));
    });
    found
}

#[cfg(test)]
mod tests;
