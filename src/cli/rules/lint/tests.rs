//! Tests of the output formats and of `--fix`.

use std::path::Path;

use super::*;

const RULE: &str = "\
title: Login
level: hihg
logsource: {category: test}
detection:
  selection:
    user|contian: admin
  condition: selektion
";

fn outcome(folder: &Path, fix: bool) -> Result<Outcome, String> {
    let args = Args { paths: vec![folder.to_owned()], format: Format::Text, fix };
    check(&args, WallTime(0))
}

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rule.yaml"), text).unwrap();
    folder
}

fn codes(outcome: &Outcome) -> Vec<&'static str> {
    outcome.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[test]
fn safe_fixes_are_made_and_names_are_left_to_the_author() {
    let folder = folder_with(RULE);
    assert_eq!(codes(&outcome(folder.path(), false).unwrap()), ["SP008", "SP101"]);
    let outcome = outcome(folder.path(), true).unwrap();
    assert_eq!((codes(&outcome), outcome.fixed), (vec!["SP202"], 2));
    let text = std::fs::read_to_string(folder.path().join("rule.yaml")).unwrap();
    assert!(text.contains("level: high\n") && text.contains("user|contains: admin"), "{text}");
}

#[test]
fn each_format_holds_the_place_and_the_code() {
    let folder = folder_with(RULE);
    let outcome = outcome(folder.path(), false).unwrap();
    let mut json = Vec::new();
    report::json(&mut json, &outcome).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["errors"], 2);
    assert_eq!(json["findings"][0]["line"], 2);
    assert_eq!(json["findings"][0]["end_column"], 12);
    let mut sarif = Vec::new();
    report::sarif(&mut sarif, &outcome).unwrap();
    let sarif: serde_json::Value = serde_json::from_slice(&sarif).unwrap();
    let region = &sarif["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"];
    assert_eq!(region["startColumn"], 8);
    let mut github = Vec::new();
    report::github(&mut github, &outcome).unwrap();
    let github = String::from_utf8(github).unwrap();
    assert!(github.starts_with("::error file=") && github.contains("title=SP008::"), "{github}");
    assert_eq!(github.lines().count(), 2, "line breaks of messages are escaped: {github}");
    let mut text = Vec::new();
    report::text(&mut text, &outcome).unwrap();
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with("1 file: 2 errors, 0 warnings (2 fixable with --fix)\n"), "{text}");
}

#[test]
fn what_cannot_be_read_is_told_with_its_path_and_cause() {
    let error = outcome(Path::new("no/such/folder"), false).unwrap_err();
    assert!(error.starts_with("cannot read no/such/folder: "), "{error}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rule.yaml"), [b't', 0xff]).unwrap();
    assert_eq!(codes(&outcome(folder.path(), false).unwrap()), ["SP011"]);
}

#[test]
fn a_part_of_a_rule_folder_is_checked_with_the_lists_of_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for inner in ["lists", "links"] {
        std::fs::create_dir(root.join(inner)).unwrap();
    }
    std::fs::write(root.join("policy.yaml"), "half-life: 6h\n").unwrap();
    std::fs::write(root.join("lists/hosts.txt"), "one\n").unwrap();
    let rule = RULE
        .replace("hihg", "high")
        .replace("user|contian: admin", "user|expand: '%hosts%'")
        .replace("selektion", "selection");
    std::fs::write(root.join("links/rule.yaml"), rule).unwrap();
    for path in ["links", "links/rule.yaml"] {
        assert!(outcome(&root.join(path), false).unwrap().findings.is_empty(), "{path}");
    }
}

#[test]
fn every_code_explains_itself() {
    for code in Code::ALL {
        assert!(
            explain_code(code.as_str()).is_some_and(|page| page.contains("Example:")),
            "{code}"
        );
    }
    assert_eq!(explain_code("SP999"), None);
}
