//! What is generated from the program and the rules is fresh, and the schemas for editors say what
//! satpam says. `UPDATE=1 cargo test --test it` writes the pages.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::support::{project_path, published, read, violation};

fn satpam(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(arguments)
        .current_dir(project_path("."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "satpam {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_of_findings_is_fresh() {
    published("docs/diagnostics.md", &satpam(&["rules", "docs", "--codes"]));
}

#[test]
fn the_pages_of_the_rules_are_fresh() {
    let folder = tempfile::tempdir().unwrap();
    satpam(&["rules", "docs", "--out", folder.path().to_str().unwrap()]);
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        let text = std::fs::read_to_string(entry.path()).unwrap();
        published(&format!("docs/rules/{name}"), &text);
        names.insert(name);
    }
    for entry in std::fs::read_dir(project_path("docs/rules")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "docs/rules/{name} is the page of no rule: delete it");
    }
}

#[test]
fn a_page_stands_for_every_rule_that_is_listed() {
    let listed: Value =
        serde_json::from_str(&satpam(&["rules", "list", "--format", "json"])).unwrap();
    let rules = listed.as_array().unwrap();
    assert!(rules.len() > 50);
    for rule in rules {
        let key = rule["key"].as_str().unwrap();
        assert!(project_path(&format!("docs/rules/{key}.md")).exists(), "{key}");
    }
    let baselines = satpam(&["rules", "list", "--type", "baseline", "--level", "high"]);
    assert!(baselines.lines().any(|line| line.starts_with("first_contacts_above_habit ")));
    assert!(!baselines.contains("shortened_link"));
    let shown = satpam(&["rules", "show", "message_first_contact"]);
    assert!(shown.contains("first_contacts_above_habit") && shown.contains("seen.recipient_new"));
}

#[test]
fn the_page_of_the_commands_is_fresh() {
    let folder = tempfile::tempdir().unwrap();
    satpam(&["man", "--markdown", "--out", folder.path().to_str().unwrap()]);
    let page = std::fs::read_to_string(folder.path().join("cli.md")).unwrap();
    for part in ["## satpam rules lint", "Exit code: 0 nothing found, 1", "`--format <FORMAT>`"] {
        assert!(page.contains(part), "no {part:?} in\n{page}");
    }
    published("docs/cli.md", &page);
    assert!(satpam(&["rules", "lint", "--help"]).contains("Exit code: 0 nothing found"));
}

#[test]
fn shells_and_manuals_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(satpam(&["completions", shell]).contains("rules"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    satpam(&["man", "--out", folder.path().to_str().unwrap()]);
    for page in ["satpam.1", "satpam-rules-lint.1", "satpam-check.1"] {
        assert!(folder.path().join(page).exists(), "{page}");
    }
}

fn schema(name: &str) -> Value {
    let kept = read(&format!("deploy/schema/{name}.schema.json"));
    assert_eq!(kept, satpam(&["rules", "schema", name]));
    serde_json::from_str(&kept).unwrap()
}

fn documents(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_multiple_with_options(text, options).unwrap()
}

fn yaml_files(folder: PathBuf) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(yaml_files(path));
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files
}

#[test]
fn every_shipped_file_fits_its_schema() {
    let [rule, policy, test, account] = ["rule", "policy", "test", "account"].map(schema);
    for path in yaml_files(project_path("rules")) {
        let name = path.to_str().unwrap();
        let schema = match name {
            _ if name.contains("/lists/") => continue,
            _ if name.contains("/accounts/") => &account,
            _ if name.ends_with("policy.yaml") => &policy,
            _ if name.ends_with(".test.yaml") => &test,
            _ => &rule,
        };
        for document in documents(&std::fs::read_to_string(&path).unwrap()) {
            assert_eq!(violation(schema, &document), None, "{name}");
        }
    }
}

const DETECTION: &str = "{title: t, logsource: {product: omnichannel, category: login}, \
                         detection: {s: {actor.id: x}, condition: s}}";
const CORRELATION: &str = "{title: t, correlation: {type: event_count, rules: [r], \
                           group-by: [account.app_code], timespan: 5m, condition: {gte: 5}}}";

#[test]
fn the_schemas_refuse_what_satpam_refuses() {
    let [rule, policy, test, account] = ["rule", "policy", "test", "account"].map(schema);
    for good in [DETECTION, CORRELATION] {
        assert_eq!(violation(&rule, &documents(good)[0]), None, "{good}");
    }
    for (text, good, broken) in [
        (DETECTION, "title: t, ", ""),
        (DETECTION, "title: t", "title: t, level: hihg"),
        (DETECTION, "title: t", "title: t, status: done"),
        (DETECTION, "logsource: {product: omnichannel, category: login}, ", ""),
        (DETECTION, "category: login", "category: logins"),
        (DETECTION, ", condition: s", ""),
        (DETECTION, "{actor.id: x}", "{}"),
        (DETECTION, "actor.id: x", "actor.id|contain: x"),
        (DETECTION, "detection: {", "detektion: {"),
        (DETECTION, "title: t", "title: t, satpam: {risk: 2000}"),
        (DETECTION, "title: t", "title: t, satpam: {rsk: 1}"),
        (DETECTION, "title: t", "title: t, satpam: {tenant: {en: x}}"),
        (DETECTION, "title: t", "title: t, satpam: {contain: [explode]}"),
        (CORRELATION, "event_count", "event_counts"),
        (CORRELATION, "timespan: 5m, ", ""),
        (CORRELATION, "timespan: 5m", "timespan: 5 minutes"),
        (CORRELATION, "timespan", "timespam"),
        (CORRELATION, ", condition: {gte: 5}", ""),
        (CORRELATION, "{gte: 5}", "{more: 5}"),
        (CORRELATION, "event_count", "value_count"),
        (CORRELATION, "event_count", "baseline"),
        (CORRELATION, "event_count", "new_terms"),
        (CORRELATION, "event_count", "absence"),
        (CORRELATION, "rules: [r], ", ""),
        (CORRELATION, "rules: [r]", "rules: [r], season: true"),
    ] {
        assert!(text.contains(good), "{good}");
        let changed = text.replacen(good, broken, 1);
        assert!(violation(&rule, &documents(&changed)[0]).is_some(), "{changed}");
    }
    for (schema, text) in [
        (&policy, "half-life: 6 hours"),
        (&policy, "thresholds: {alarm: 50}"),
        (&policy, "responses: [{when: {actor.auth: [passwort]}, do: [revoke_sessions]}]"),
        (&policy, "responses: [{do: [revoke_sessions]}]"),
        (&account, "language: fr"),
        (&account, "protected: maybe"),
        (&account, "colour: red"),
        (&test, "tests: [{name: x, events: [], expect: {}}]"),
        (&test, "tests: [{name: x, events: [{at: 0s}], expect: {matches: [r]}}]"),
        (&test, "tests: [{name: x, events: [], expect: {incident: big}}]"),
        (&test, "test: []"),
    ] {
        assert!(violation(schema, &documents(text)[0]).is_some(), "{text}");
    }
}

#[test]
fn a_new_rule_passes_lint_and_its_own_tests() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().to_str().unwrap();
    for kind in ["detection", "correlation", "baseline"] {
        satpam(&["rules", "new", &format!("a_{kind}"), "--kind", kind, "--out", rules]);
    }
    satpam(&["rules", "lint", rules]);
    satpam(&["rules", "test", rules]);
    satpam(&["rules", "fmt", "--check", rules]);
    let [rule, test] = ["rule", "test"].map(schema);
    for path in yaml_files(folder.path().to_owned()) {
        let schema = if path.to_str().unwrap().ends_with(".test.yaml") { &test } else { &rule };
        for document in documents(&std::fs::read_to_string(&path).unwrap()) {
            assert_eq!(violation(schema, &document), None, "{}", path.display());
        }
    }
}
