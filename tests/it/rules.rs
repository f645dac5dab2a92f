//! `satpam rules`, as rule authors call it; and the tests of the shipped rules.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::project_path;

fn rules(arguments: &[&str], path: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_satpam"))
        .arg("rules")
        .args(arguments)
        .arg(path)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn the_shipped_rules_pass_their_tests() {
    let output = rules(&["test", "--fail-under", "90"], &project_path("rules"));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn the_shipped_rules_have_no_findings() {
    let output = rules(&["lint"], &project_path("rules"));
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

#[test]
fn lint_ends_with_0_1_or_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("asks_for_code.yaml");
    for (content, code, said) in [
        (RULE.to_owned(), 1, "SP507"),
        (format!("# satpam: ignore[SP507] a sketch\n{RULE}"), 0, "0 errors, 0 warnings"),
        (RULE.replace("high", "hihg"), 1, "(1 fixable with --fix)"),
    ] {
        std::fs::write(&file, content).unwrap();
        let output = rules(&["lint"], folder.path());
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.contains(said), "{told}");
    }
    assert_eq!(rules(&["lint"], Path::new("no/such/folder")).status.code(), Some(2));
}

#[test]
fn a_rule_that_no_test_keeps_silent_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("asks_for_code.yaml"), RULE).unwrap();
    let matching = case("a", "kirim kode otp", "{matches: [asks_for_code]}");
    let silent = case("b", "halo", "{not: [asks_for_code]}");
    for (cases, said) in [
        (matching.clone() + &silent, None),
        (
            matching.clone() + &silent + "    todo: some day\n",
            Some("no test has the rule stay silent"),
        ),
        (matching, Some("no test has the rule stay silent")),
        (silent, Some("no test has the rule match")),
    ] {
        let tests = folder.path().join("asks_for_code.test.yaml");
        std::fs::write(tests, format!("tests:\n{cases}")).unwrap();
        let output = rules(&["lint"], folder.path());
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(i32::from(said.is_some())), "{told}");
        assert!(told.contains(said.unwrap_or("0 warnings")), "{told}");
    }
}

const RULE: &str = "\
title: Asks for a code
name: asks_for_code
status: stable
logsource: {product: omnichannel, category: message}
detection:
  asks: {content.norm|contains: 'kode otp'}
  warns: {content.norm|contains: jangan berikan}
  condition: asks and not warns
level: high
";

/// Writes a rule and its tests, runs them, and returns the exit code and what was said.
fn test_rule(tests: &str, format: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("asks_for_code.yaml"), RULE).unwrap();
    std::fs::write(folder.path().join("asks_for_code.test.yaml"), tests).unwrap();
    let output = rules(&["test", "--coverage", "--format", format], folder.path());
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

fn case(name: &str, message: &str, expect: &str) -> String {
    format!(
        "  - name: {name}\n    events:\n    - at: 0s\n      event: {{type: message.sent, \
         account: {{app_code: toko}}, message: {{kind: text, text: {message}}}}}\n    \
         expect: {expect}\n"
    )
}

#[test]
fn a_test_says_what_must_match_and_what_follows() {
    let tests = "tests:\n".to_owned()
        + &case(
            "a",
            "kirim kode otp",
            "{matches: [asks_for_code], risk: {gte: 50}, incident: alert}",
        )
        + &case("b", "jangan berikan kode otp", "{not: [asks_for_code], incident: none}");
    let (code, said) = test_rule(&tests, "text");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("2 passed, 0 failed"), "{said}");
    assert!(said.contains("rules with a firing and a silent test  1/1"), "{said}");
}

#[test]
fn a_failure_says_which_selection_was_to_blame() {
    let wrong = case("b", "jangan berikan kode otp", "{matches: [asks_for_code], risk: {gt: 1}}");
    let (code, said) = test_rule(&("tests:\n".to_owned() + &wrong), "text");
    assert_eq!(code, Some(1), "{said}");
    for part in [
        "`asks_for_code` should have matched and did not",
        "true  `asks`",
        "true  `warns`",
        "the risk should be > 1, it is 0.0",
    ] {
        assert!(said.contains(part), "no {part:?} in:\n{said}");
    }
    let (code, said) = test_rule(&("tests:\n".to_owned() + &wrong), "junit");
    assert_eq!(code, Some(1));
    assert!(said.contains("<testcase name=\"b\"") && said.contains("failures=\"1\""), "{said}");
    let (_, said) = test_rule(&("tests:\n".to_owned() + &wrong), "json");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["files"][0]["tests"][0]["result"], "fail");
    assert_eq!(said["coverage"][0]["rules_tested"], 0);
}

#[test]
fn a_known_gap_is_no_failure_until_it_is_closed() {
    let todo = |message: &str| {
        let case = case("a", message, "{matches: [asks_for_code]}");
        test_rule(&format!("tests:\n{case}    todo: pictures are not read\n"), "text")
    };
    let (code, said) = todo("gambar");
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("0 passed, 0 failed, 1 todo"), "{said}");
    let (code, said) = todo("kode otp");
    assert_eq!(code, Some(1), "{said}");
}

#[test]
fn tests_that_cannot_be_used_are_told_with_their_place() {
    for (tests, expected) in [
        (case("a", "x", "{matches: [asks_for_cod]}"), "did you mean `asks_for_code`?"),
        (case("a", "x", "{}"), "test.yaml:2: the test `a` expects nothing"),
        (case("a", "x", "{match: [asks_for_code]}"), "unknown field"),
        (
            case("a", "x", "{not: [asks_for_code]}").replace("{app_code: toko}", "{}"),
            "event 1 is refused",
        ),
    ] {
        let (code, said) = test_rule(&("tests:\n".to_owned() + &tests), "text");
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(expected), "no {expected:?} in:\n{said}");
    }
}

#[test]
fn the_cost_of_every_rule_is_measured() {
    let output = rules(&["bench", "--rounds", "1", "--format", "json"], &project_path("rules"));
    let costs: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let costs = costs.as_array().unwrap();
    let listed = rules(&["list", "--format", "json"], &project_path("rules"));
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(costs.len(), listed.as_array().unwrap().len());
    let types: std::collections::BTreeSet<_> =
        costs.iter().map(|cost| cost["type"].as_str().unwrap()).collect();
    for kind in ["detection", "baseline", "event_count", "temporal_ordered"] {
        assert!(types.contains(kind), "{types:?}");
    }
    let slowest_first = |pair: &[serde_json::Value]| {
        pair[0]["nanoseconds_per_event"].as_f64() >= pair[1]["nanoseconds_per_event"].as_f64()
    };
    assert!(costs.windows(2).all(slowest_first));
}

#[test]
fn a_code_is_explained() {
    let output = rules(&["explain"], Path::new("SP101"));
    assert!(output.status.success() && text(&output.stdout).starts_with("SP101"));
    assert_eq!(rules(&["explain"], Path::new("SP999")).status.code(), Some(2));
}
