//! The documents that are made from the program: the settings and the metrics. Each is compared with
//! the program and rewritten by `UPDATE=1 cargo test --test it docs_config`: after a setting or a
//! metric was added, run that and commit what changed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use satpam::config::{self, Config};
use satpam::telemetry::{Telemetry, catalogue};

use crate::deploy::source_literals;
use crate::support::{project_path, published};

/// A setting as the default configuration shows it.
#[derive(Debug)]
struct Entry {
    path: String,
    /// The default or, of a setting that is not set, an example; empty for a group.
    value: String,
    is_set: bool,
    meaning: String,
}

/// Returns the settings of the default configuration in its order. A comment directly before a key is
/// its meaning; `#key:` is a setting that is not set.
fn entries() -> Vec<Entry> {
    let known = config::setting_paths::<Config>().unwrap();
    let mut entries: Vec<Entry> = Vec::new();
    let mut groups: Vec<(usize, String)> = Vec::new();
    let mut meaning: Vec<&str> = Vec::new();
    for line in config::DEFAULT.lines() {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if text.is_empty() || text == "#" {
            meaning.clear();
        } else if let Some(comment) = text.strip_prefix("# ") {
            meaning.push(comment);
        } else {
            let is_set = !text.starts_with('#');
            let (key, value) = text.trim_start_matches('#').split_once(':').unwrap();
            groups.retain(|(of, _)| *of < indent);
            let mut path: Vec<&str> = groups.iter().map(|(_, name)| name.as_str()).collect();
            path.push(key);
            let path = path.join(".");
            groups.push((indent, key.to_owned()));
            if known.contains(&path) {
                let value = value.trim().to_owned();
                entries.push(Entry { path, value, is_set, meaning: meaning.join(" ") });
            }
            meaning.clear();
        }
    }
    entries
}

/// The default configuration with every setting in it: `#key:` becomes `key:`.
fn with_every_setting() -> serde_json::Value {
    let text: String = config::DEFAULT
        .lines()
        .filter(|line| !line.trim_start().starts_with("# ") && line.trim() != "#")
        .map(|line| line.replacen('#', "", 1) + "\n")
        .collect();
    // `off` is a word, as for satpam itself.
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(&text, options)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn every_setting_is_in_the_default_configuration_with_its_meaning() {
    let known = config::setting_paths::<Config>().unwrap();
    let entries = entries();
    let shown: BTreeSet<&str> = entries.iter().map(|entry| entry.path.as_str()).collect();
    let missing: Vec<_> = known.iter().filter(|path| !shown.contains(path.as_str())).collect();
    assert!(missing.is_empty(), "not in deploy/default.yaml: {missing:#?}");
    assert_eq!(shown.len(), entries.len(), "a setting stands twice");
    let silent: Vec<_> =
        entries.iter().filter(|entry| entry.meaning.is_empty()).map(|entry| &entry.path).collect();
    assert!(silent.is_empty(), "no comment above: {silent:#?}");
}

#[test]
fn the_examples_of_settings_that_are_not_set_can_be_used() {
    let mut tree = with_every_setting();
    // Either, or.
    let target = tree["kafka"]["dead_letter"]["target"].as_object_mut().unwrap();
    target.remove("topic").unwrap();
    let config: Config = serde_json::from_value(tree.clone()).unwrap();
    assert!(config.respond.email.is_some() && config.respond.platform.is_some());
    // The files that the examples name do not exist here; all else must be free of contradictions.
    for section in ["email", "platform"] {
        let section = tree["respond"][section].as_object_mut().unwrap();
        section.remove("ca_file").unwrap();
        section.remove("templates");
    }
    let path = project_path("deploy/default.yaml");
    config::parse(&path, &tree.to_string(), []).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn the_page_of_settings_is_fresh() {
    let mut page = String::from(
        "# Settings\n\n\
         Made from `deploy/default.yaml` (`satpam config default` prints it); do not edit. A file needs \
         only what differs from the defaults. `satpam config check FILE` says what is wrong with one. \
         An environment variable replaces a setting: `SATPAM__KAFKA__GROUP_ID` is `kafka.group_id`; \
         its value is read as YAML.\n\n\
         Lengths of time are numbers with units: `250ms`, `90s`, `5m`, `1h30m`, `7d`. Sizes are in \
         bytes.\n",
    );
    let mut section = String::new();
    for entry in entries() {
        let first = entry.path.split('.').next().unwrap();
        if section != first {
            first.clone_into(&mut section);
            write!(page, "\n## {first}\n\n{}\n\n", entry.meaning).unwrap();
            page.push_str("| Setting | Default | Meaning |\n| --- | --- | --- |\n");
            if entry.value.is_empty() {
                continue;
            }
        }
        let value = match (entry.value.as_str(), entry.is_set) {
            ("", true) => String::new(),
            ("", false) => "not set".to_owned(),
            (value, true) => format!("`{value}`"),
            (value, false) => format!("not set; such as `{value}`"),
        };
        let meaning = entry.meaning.replace('|', "\\|");
        writeln!(page, "| `{}` | {value} | {meaning} |", entry.path).unwrap();
    }
    published(
        "docs/configuration.md",
        &page.replace("| Setting | Default | Meaning |\n| --- | --- | --- |\n\n", "\n"),
    );
}

#[test]
fn the_page_of_metrics_is_fresh() {
    let telemetry = Telemetry::new().unwrap();
    let registry = telemetry.registry();
    let engine = satpam::engine::Metrics::new(registry).unwrap();
    satpam::store::Metrics::new(registry).unwrap();
    satpam::respond::Metrics::new(registry).unwrap();
    satpam::console::Metrics::new(registry).unwrap();
    satpam::daemon::Metrics::new(registry).unwrap();
    let ingest = satpam::ingest::Metrics::new(registry).unwrap();
    // Labels that are open have no values yet: a metric that is missing below is given one here.
    let rulebook = satpam::rulebook::load(&project_path("rules")).unwrap().rulebook;
    engine.show_rules(&satpam::engine::Rules::new(rulebook));
    ingest.lag.with_label_values(&["topic", "0"]).set(0);
    ingest.last_message_timestamp.with_label_values(&["topic", "0"]).set(0.0);
    ingest.topic_lag.with_label_values(&["topic"]).set(0);
    ingest.dead_letters.with_label_values(&["reason"]).inc_by(0);
    let mut rows: Vec<String> = Vec::new();
    for metric in catalogue(registry) {
        let labels: Vec<String> = metric.labels.iter().map(|name| format!("`{name}`")).collect();
        let (kind, labels) = (metric.kind.as_str(), labels.join(", "));
        rows.push(format!("| `{}` | {kind} | {labels} | {} |", metric.name, metric.help));
    }
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the program by a test; do not edit. Served at `/metrics` of `telemetry.listen`, in \
         the text format of Prometheus and as OpenMetrics. Labels come from closed sets or name rules, \
         topics and partitions; none names an account or a person. A metric whose labels are open (a \
         rule, a partition) appears with its first value, every other one stands at zero from the \
         start. Histograms also have `_bucket`, `_sum` and `_count`.\n\n\
         | Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n",
    );
    page.push_str(&rows.join("\n"));
    page.push('\n');
    published("docs/metrics.md", &page);
    let is_name = |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let missing: Vec<String> = source_literals()
        .into_iter()
        .filter(|name| name.starts_with("satpam_") && is_name(name))
        .filter(|name| !page.contains(&format!("| `{name}` |")))
        .collect();
    assert!(missing.is_empty(), "declared in the source and not in the page: {missing:?}");
}
