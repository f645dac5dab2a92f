//! Where settings come from: the file, then the environment over it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::finding::Tree;

/// Why the configuration cannot be used. The text names the place and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    /// The file itself: the text is a snippet with line, column and a caret.
    #[error("the configuration file {} is not valid\n{text}", path.display())]
    Invalid { path: PathBuf, text: String },
    /// The file with the environment over it.
    #[error("the environment variables {names} make the configuration invalid: {text}")]
    InvalidWithEnvironment { names: String, text: String },
    /// What each value says, together: the text holds a snippet for each finding.
    #[error("the configuration file {} cannot be used\n{text}", path.display())]
    Findings { path: PathBuf, text: String },
}

/// Environment variables of this form replace settings: `SATPAM__KAFKA__GROUP_ID` is
/// `kafka.group_id`.
const PREFIX: &str = "SATPAM__";

/// Reads settings from a text of YAML with the environment over it.
///
/// The file is checked by itself first, so that its errors point into it.
pub(super) fn parse<T: DeserializeOwned>(
    path: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let invalid = |error: &dyn std::fmt::Display| ConfigError::Invalid {
        path: path.to_owned(),
        text: error.to_string(),
    };
    let plain: T = yaml(text).map_err(|error| invalid(&error))?;
    let mut overrides: Vec<(String, String)> = environment
        .into_iter()
        .filter_map(|(name, value)| Some((name.strip_prefix(PREFIX)?.to_lowercase(), value)))
        .collect();
    if overrides.is_empty() {
        return Ok(plain);
    }
    overrides.sort();
    let mut tree: Value = yaml(text).map_err(|error| invalid(&error))?;
    for (name, value) in &overrides {
        put(&mut tree, &name.split("__").collect::<Vec<_>>(), value);
    }
    serde_json::from_value(tree).map_err(|error| ConfigError::InvalidWithEnvironment {
        names: overrides
            .iter()
            .map(|(name, _)| format!("{PREFIX}{}", name.to_uppercase()))
            .collect::<Vec<_>>()
            .join(", "),
        text: error.to_string(),
    })
}

/// Reads the keys of a text of YAML and where they stand.
pub(super) fn tree(path: &Path, text: &str) -> Result<Tree, ConfigError> {
    yaml(text)
        .map_err(|error| ConfigError::Invalid { path: path.to_owned(), text: error.to_string() })
}

/// YAML 1.2's booleans only: `no` is a text, not false.
fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
}

/// Puts a value at a path of keys; what stood in the way is replaced.
fn put(tree: &mut Value, keys: &[&str], text: &str) {
    let Some((key, rest)) = keys.split_first() else {
        *tree = scalar(text);
        return;
    };
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    if let Value::Object(map) = tree {
        put(map.entry(*key).or_insert(Value::Null), rest, text);
    }
}

/// Reads the value of a variable as YAML would: `true`, `5` and `[a, b]` are not texts. What is no
/// YAML is a text as it stands.
fn scalar(text: &str) -> Value {
    yaml(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[derive(Default)]
    struct Sample {
        broker: Inner,
        names: Vec<String>,
    }

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Inner {
        port: u16,
        host: String,
    }

    impl Default for Inner {
        fn default() -> Self {
            Self { port: 1, host: "a".into() }
        }
    }

    fn read(text: &str, environment: &[(&str, &str)]) -> Result<Sample, String> {
        let environment = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        parse(Path::new("satpam.yaml"), text, environment).map_err(|error| error.to_string())
    }

    #[test]
    fn the_environment_replaces_what_the_file_says() {
        let text = "broker: {port: 2}\nnames: [x]\n";
        assert_eq!(read(text, &[]).unwrap().broker.port, 2);
        let sample = read(
            text,
            &[("SATPAM__BROKER__PORT", "3"), ("SATPAM__NAMES", "[y, no]"), ("HOME", "/")],
        )
        .unwrap();
        assert_eq!(sample.broker, Inner { port: 3, host: "a".into() });
        assert_eq!(sample.names, ["y", "no"]);
    }

    #[test]
    fn errors_point_into_the_file_or_name_the_variable() {
        let error = read("broker:\n  prot: 2\n", &[]).unwrap_err();
        assert!(error.contains("satpam.yaml") && error.contains("prot"), "{error}");
        assert!(error.contains("2:3") || error.contains("line 2"), "{error}");
        let error = read("", &[("SATPAM__BROKER__PROT", "3")]).unwrap_err();
        assert!(error.contains("SATPAM__BROKER__PROT") && error.contains("prot"), "{error}");
    }
}
