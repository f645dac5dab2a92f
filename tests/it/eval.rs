//! `satpam eval`, as rule authors and scripts call it.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::support::project_path;

const RULES: &str = "\
title: Whoami
name: whoami
id: 0f1d4ae3-7a9b-4d8f-9d70-0f6b7a3d7c55
status: stable
logsource: {product: windows, category: process_creation}
detection:
  selection: {CommandLine|contains: whoami}
  condition: selection
level: low
---
title: Whoami by system
name: whoami_by_system
logsource: {product: windows, category: process_creation}
detection:
  selection: {CommandLine|contains: whoami, User: system}
  condition: selection
level: medium
---
title: Many
name: many
correlation:
  type: event_count
  rules: [whoami]
  group-by: [User]
  timespan: 1m
  condition: {gte: 3}
level: high
";

fn eval(rules: &str, arguments: &[&str], input: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yml");
    std::fs::write(&path, rules).unwrap();
    eval_path(&path, arguments, input)
}

fn eval_path(rules: &std::path::Path, arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["eval", "--rules"])
        .arg(rules)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Line and name of each match.
fn matches(output: &Output) -> Vec<(u64, String)> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|found| (found["line"].as_u64().unwrap(), found["name"].as_str().unwrap().to_owned()))
        .collect()
}

fn expected(matches: &[(u64, &str)]) -> Vec<(u64, String)> {
    matches.iter().map(|(line, name)| (*line, (*name).to_owned())).collect()
}

#[test]
fn objects_of_any_product_are_evaluated_as_they_stand() {
    let input = "{\"CommandLine\":\"cmd /c WHOAMI\",\"User\":\"SYSTEM\"}\n\n{\"User\":\"a\"}\n";
    let output = eval(RULES, &["--any-logsource"], input);
    assert!(output.status.success());
    // `whoami` feeds a correlation, so it is not reported by itself.
    assert_eq!(matches(&output), expected(&[(1, "whoami_by_system")]));
    let first: Value =
        serde_json::from_slice(output.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    assert_eq!(
        first,
        json!({"line": 1, "kind": "detection", "rule": "whoami_by_system",
            "name": "whoami_by_system", "title": "Whoami by system", "level": "medium",
            "status": "test", "risk": 25.0})
    );
}

#[test]
fn a_rule_applies_when_all_that_its_logsource_names_is_what_the_event_says() {
    let event = |product: &str, category: &str| {
        let event = json!({"p": product, "c": category, "User": "system", "CommandLine": "whoami"});
        event.to_string()
    };
    let lines =
        [event("windows", "process_creation"), event("windows", "other"), event("linux", "")];
    let input = lines.join("\n");
    let output = eval(RULES, &["--logsource-from", "p,c,s"], &input);
    assert_eq!(matches(&output), expected(&[(1, "whoami_by_system")]));
    // Without either option an event that names no source matches no rule that names one.
    assert_eq!(matches(&eval(RULES, &[], &input)), []);
}

#[test]
fn correlations_follow_the_times_of_the_lines() {
    let at = |at: Value, user: &str| {
        json!({"at": at, "event": {"User": user, "CommandLine": "whoami"}}).to_string()
    };
    let lines = [
        at(json!(0), "a"),
        at(json!(30.5), "a"),
        at(json!("1970-01-01T00:01:00Z"), "a"),
        at(json!(61), "b"),
        // A minute and a millisecond after the second.
        at(json!(90.501), "a"),
    ];
    let output = eval(RULES, &["--any-logsource", "--timed"], &lines.join("\n"));
    assert!(output.status.success());
    assert_eq!(matches(&output), expected(&[(3, "many")]));
}

#[test]
fn a_line_that_is_no_event_is_told_and_the_others_are_evaluated() {
    let input = "{\"a\":\n[1]\n{\"CommandLine\":\"whoami\",\"User\":\"system\"}\n";
    let output = eval(RULES, &["--any-logsource"], input);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(matches(&output), expected(&[(3, "whoami_by_system")]));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("line 1: not JSON") && told.contains("line 2: not a JSON object"));
}

#[test]
fn rules_that_do_not_load_are_told_with_their_place() {
    let rule = "title: x\nlogsource: {product: p}\ndetection: {a: {b: c}, condition: d}\n";
    let output = eval(rule, &[], "{}");
    assert_eq!(output.status.code(), Some(2));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.contains("rules.yml:3:"), "{told}");
    assert!(output.stdout.is_empty());
}

#[test]
fn figures_are_told_as_one_object() {
    let input = "{\"CommandLine\":\"whoami\",\"User\":\"system\"}\n{}\n";
    let output = eval(RULES, &["--any-logsource", "--stats"], input);
    let figures: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert_eq!(figures["events"], 2);
    assert_eq!(figures["matches"], 1);
    assert_eq!(figures["rules"], 3);
    for name in ["load_seconds", "eval_wall_seconds", "eval_cpu_seconds"] {
        assert!(figures[name].as_f64().unwrap() >= 0.0, "{name}");
    }
    assert!(figures["peak_rss_bytes"].as_u64().unwrap() > 1_000_000);
}

#[test]
fn an_event_of_ours_needs_no_more_than_what_rules_look_at() {
    let text = "Selamat! Anda pemenang undian BRI, klik http://bri-undian88.xyz PIN pemenang 25f47";
    let input = json!({"type": "message.sent", "message": {"text": text}}).to_string();
    let output = eval_path(&project_path("rules"), &[], &input);
    let names: Vec<String> = matches(&output).into_iter().map(|(_, name)| name).collect();
    assert!(names.contains(&"prize_winner_pin".to_owned()), "{names:?}");
}
