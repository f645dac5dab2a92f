//! `satpam rules explain`, as rule authors call it.

use std::fmt::Write as _;
use std::process::{Command, Output};

use serde_json::Value;

const RULES: &str = "\
title: Asks for a code
name: asks_for_code
status: stable
logsource: {product: omnichannel, category: message}
detection:
  asks: {message.text|contains: kode}
  own: {message.text|contains: jangan berikan}
  condition: asks and not own
level: medium
---
title: Asks for codes
name: asks_for_codes
status: stable
correlation:
  type: event_count
  rules: [asks_for_code]
  group-by: [account.app_code]
  timespan: 1h
  condition: {gte: 3}
level: high
";

fn explain(rule: &str, texts: &[&str], more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let mut events = String::new();
    for (minute, text) in texts.iter().enumerate() {
        let event = serde_json::json!({
            "type": "message.sent", "time": format!("2026-11-02T03:{minute:02}:00Z"),
            "account": {"app_code": "toko"}, "message": {"text": text},
        });
        writeln!(events, "{event:#}").unwrap();
    }
    let path = folder.path().join("events.json");
    std::fs::write(&path, events).unwrap();
    Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["rules", "explain", rule, "--rules"])
        .arg(folder.path())
        .arg("--event")
        .arg(&path)
        .args(more)
        .output()
        .unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn a_rule_tells_which_selection_held_and_with_which_value() {
    for (text, code, said) in [
        ("kirim kode", 0, "MATCH"),
        ("kode, jangan berikan", 1, "true  `own`"),
        ("halo\u{1b}[2J", 1, "value \"halo\\u{1b}[2J\""),
    ] {
        let output = explain("asks_for_code", &[text], &[]);
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(told.contains(said), "{said}: {told}");
    }
}

#[test]
fn a_correlation_tells_what_it_counted_also_where_that_is_not_enough() {
    for (count, value, fires) in [(1, 1.0, false), (2, 2.0, false), (3, 3.0, true)] {
        let texts = vec!["kirim kode"; count];
        let report = json(&explain("asks_for_codes", &texts, &["--format", "json"]));
        assert_eq!(report["matches"], fires);
        let correlation = &report["correlation"];
        assert_eq!(correlation["measured"]["value"].as_f64(), Some(value));
        assert_eq!(correlation["asks"], "matches >= 3 within 1h");
        assert_eq!(report["detections"][0]["matched_events"], count);
    }
    let silent = json(&explain("asks_for_codes", &["kirim kode", "halo"], &["--format", "json"]));
    assert!(silent["correlation"].get("measured").is_none(), "{silent:#}");
}

#[test]
fn an_unknown_rule_gets_the_nearest_name_and_a_code_its_page() {
    let output = explain("asks_for_cod", &["halo"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `asks_for_code"));
    let page = Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["rules", "explain", "SP101"])
        .output()
        .unwrap();
    assert!(page.status.success() && !page.stdout.is_empty(), "{page:?}");
}
