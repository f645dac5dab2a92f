//! An experimental rule is watched by the real daemon, and `satpam rules promote` says whether it
//! is ready: of the running daemon, and of its state when it does not run.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::support::daemon::{Daemon, MailServer, Platform, Setup, TOPICS};
use crate::support::intruder::TOKO;
use crate::support::kafka;

const RULE: &str = "\
title: A raffle is announced
name: raffle
status: experimental
level: critical
logsource: {product: omnichannel, category: message}
detection: {raffle: {message.text|contains: undian}, condition: raffle}
---
title: Anything is sent
name: anything
status: stable
level: low
logsource: {product: omnichannel, category: message}
detection: {anything: {message.kind: text}, condition: anything}
satpam: {risk: 0}
";

fn write_rules(folder: &Path) {
    std::fs::create_dir(folder).unwrap();
    std::fs::write(folder.join("raffle.yaml"), RULE).unwrap();
    let case = |name: &str, text: &str, expect: &str| {
        format!(
            "  - name: {name}\n    events:\n    - at: 0s\n      event: {{type: message.sent, \
             account: {{app_code: toko}}, message: {{kind: text, text: {text}}}}}\n    \
             expect: {expect}\n"
        )
    };
    let cases = case("a", "undian", "{matches: [raffle, anything]}")
        + &case("b", "pesanan", "{not: [raffle]}");
    std::fs::write(folder.join("raffle.test.yaml"), format!("tests:\n{cases}")).unwrap();
}

fn promote(setup: &Setup, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["rules", "promote"])
        .args(arguments)
        .arg("--config")
        .arg(setup.folder.join("satpam.yaml"))
        .output()
        .unwrap()
}

fn answer(setup: &Setup, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = promote(setup, &[&["raffle", "--format", "json"], arguments].concat());
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

fn produce(prefix: &str) {
    let message = |day: u32, text: &str| {
        TOKO.event(
            &format!("m-{day}"),
            "message.sent",
            &format!("2026-11-{day:02}T10:00:00+07:00"),
            "203.0.113.10",
            "budi",
            &json!({"message": {"id": "m", "kind": "text", "recipient": "628120000001", "text": text}}),
        )
    };
    let messages: Vec<_> = (1..=9)
        .map(|day| message(day, if day % 3 == 0 { "ada undian" } else { "pesanan" }))
        .collect();
    let payloads: Vec<&[u8]> = messages.iter().map(AsRef::as_ref).collect();
    kafka::produce(&kafka::shared().address(), &format!("{prefix}messages"), 0, &payloads);
}

#[test]
fn a_rule_is_promoted_by_what_it_matched_while_it_was_staged() {
    let prefix = format!("{}-", kafka::prefix("promote"));
    for name in TOPICS.iter().chain(&["dead"]) {
        kafka::create_topic(&kafka::shared().address(), &format!("{prefix}{name}"), 1, &[]);
    }
    let folder = tempfile::tempdir().unwrap();
    let (mails, platform) = (MailServer::start(), Platform::start());
    let mut setup = Setup::new(folder.path(), &prefix, mails.port, platform.port);
    setup.rules = folder.path().join("rules");
    "engine: {checkpoint_interval: 1s}\n".clone_into(&mut setup.more);
    write_rules(&setup.rules);
    let daemon = Daemon::start(&setup);
    produce(&prefix);
    let everyone = ["--max-accounts", "100"];
    let (_, running) = daemon.until("the matches of the rule", || {
        let (code, answer) = answer(&setup, &everyone);
        (answer["staging"]["matches"] == 3).then_some((code, answer))
    });
    let staging = &running["staging"];
    assert_eq!(staging["accounts"], 1);
    assert_eq!(staging["accounts_with_incidents"], 0, "it is only watched: {running}");
    assert_eq!(staging["days"][0], json!({"day": "2026-11-09", "matches": 1}));
    let sample = staging["samples"][0]["event"].as_str().unwrap();
    assert!(sample.ends_with("m-9"), "the latest match: {sample}");
    daemon.terminate();

    // The same from the state, with the daemon gone.
    let (code, stopped) = answer(&setup, &everyone);
    assert_eq!((code, &stopped["staging"]), (Some(0), staging), "{stopped}");
    let (code, _) = answer(&setup, &["--max-accounts", "100", "--min-days", "30"]);
    assert_eq!(code, Some(1), "eight days are not thirty");
    let output = promote(&setup, &["raffle"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "it matches at every account: {said}");
    assert!(said.contains("NO   matched without an open incident at 1 of 1 accounts"), "{said}");
    std::fs::remove_file(setup.rules.join("raffle.test.yaml")).unwrap();
    let (code, untested) = answer(&setup, &everyone);
    assert_eq!(code, Some(1), "{untested}");
    for (rule, complaint) in
        [("rafle", "did you mean `raffle`?"), ("anything", "its status is stable")]
    {
        let output = promote(&setup, &[rule]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(complaint), "{said}");
    }
}
