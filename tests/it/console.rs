//! Staff at work on the real daemon: a held reset is approved, another action denied, and a false
//! alarm closed for good, whatever happens to the process.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::daemon::{Daemon, MailServer, Platform, Setup, TOPICS};
use crate::support::intruder::{self, TOKO};
use crate::support::kafka;

/// Runs a command of the command line against the daemon of `setup`.
fn satpam(setup: &Setup, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(arguments)
        .arg("--config")
        .arg(setup.folder.join("satpam.yaml"))
        .output()
        .unwrap()
}

/// Runs a command that must work, and returns what it printed.
fn text(setup: &Setup, arguments: &[&str]) -> String {
    let output = satpam(setup, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(setup: &Setup, arguments: &[&str]) -> Value {
    let arguments = [arguments, &["--format", "json"]].concat();
    serde_json::from_str(&text(setup, &arguments)).unwrap()
}

/// Runs a command that must fail, and returns its exit code and complaint.
fn refused(setup: &Setup, arguments: &[&str]) -> (Option<i32>, String) {
    let output = satpam(setup, arguments);
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// The actions that wait for a person: kind and id.
fn held(setup: &Setup) -> BTreeMap<String, String> {
    let output = satpam(setup, &["responses", "list", "--format", "json"]);
    let list: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let deliveries = list["deliveries"].as_array().into_iter().flatten();
    deliveries.map(|one| (text(&one["kind"]), text(&one["id"]))).collect()
}

/// How often the platform was asked to reset passwords, and to end sessions.
fn calls(platform: &Platform) -> [usize; 2] {
    let bodies: Vec<Value> = platform.by_key().into_values().flatten().collect();
    ["force_password_reset", "revoke_sessions"]
        .map(|kind| bodies.iter().filter(|body| body["kind"] == kind).count())
}

fn open_incidents(setup: &Setup) -> usize {
    let list = json(setup, &["incidents", "list", "--account", "toko-contoh"]);
    list["incidents"].as_array().unwrap().len()
}

/// A message as the tenant sends every day, at a time after the intruder's.
fn ordinary_message(prefix: &str, id: &str, minute: u32) {
    let message = TOKO.event(
        id,
        "message.sent",
        &format!("2026-11-10T10:{minute:02}:00+07:00"),
        "203.0.113.10",
        "budi",
        &serde_json::json!({"message": {"id": id, "kind": "text", "recipient": "628120000001",
            "text": "Terima kasih, pesanan Anda sudah kami kirim hari ini."}}),
    );
    let broker = kafka::shared().address();
    kafka::produce(&broker, &format!("{prefix}messages"), 0, &[&message]);
}

#[test]
fn staff_decide_and_a_false_alarm_stays_closed_over_a_crash() {
    let broker = kafka::shared();
    let prefix = format!("{}-", kafka::prefix("console"));
    for name in TOPICS.iter().chain(&["dead"]) {
        kafka::create_topic(&broker.address(), &format!("{prefix}{name}"), 1, &[]);
    }
    intruder::produce(TOKO, &broker.address(), &prefix);
    let folder = tempfile::tempdir().unwrap();
    let (mails, platform) = (MailServer::start(), Platform::start());
    let mut setup = Setup::new(folder.path(), &prefix, mails.port, platform.port);
    setup.mode = "approve";
    let daemon = Daemon::start(&setup);

    let waiting = daemon.until("the held actions", || {
        let held = held(&setup);
        ["force_password_reset", "revoke_sessions"]
            .iter()
            .all(|kind| held.contains_key(*kind))
            .then_some(held)
    });
    let (reset, sessions) = (&waiting["force_password_reset"], &waiting["revoke_sessions"]);
    let listed = text(&setup, &["responses", "list"]);
    assert!(listed.contains(&reset[..8]) && listed.contains("its mode is `approve`"), "{listed}");
    assert_eq!(calls(&platform), [0, 0], "an action ran without a person");

    approve_and_deny(&setup, &daemon, &platform, reset, sessions);
    let code = explained(&setup);
    daemon.terminate();

    // After a restart the account is not in memory: closing must reach it all the same.
    let daemon = Daemon::start(&setup);
    daemon.until("the partition is owned", || daemon.has_caught_up(1).then_some(()));
    let reason = "the tenant ran a raffle";
    let close = ["incidents", "close", &code, "--as", "false-positive", "--reason", reason];
    let closed = json(&setup, &close);
    assert_eq!(closed["incident"]["closed"]["verdict"], "false-positive");
    // What is answered is durable, however the process ends.
    daemon.kill();
    assert_eq!(refused(&setup, &["incidents", "list"]).0, Some(3));

    let daemon = Daemon::start(&setup);
    ordinary_message(&prefix, "later-1", 1);
    daemon.until("the later message", || {
        let read = daemon.sum("satpam_events_total").is_some_and(|events| events > 0.0);
        (read && daemon.has_caught_up(1)).then_some(())
    });
    assert_eq!(open_incidents(&setup), 0);
    assert_eq!(refused(&setup, &close).0, Some(1), "it is closed already");
    let shown = text(&setup, &["incidents", "show", &code]);
    assert!(shown.contains("closed as false-positive") && shown.contains(reason), "{shown}");
    assert!(held(&setup).is_empty(), "nothing waits for a decision any more");
    daemon.until("the mail that it was a false alarm", || {
        let list = json(&setup, &["outbox", "list", "--incident", &code, "--state", "all"]);
        let deliveries = list["deliveries"].as_array().unwrap();
        deliveries.iter().any(|one| one["kind"] == "tenant_mail_false_alarm").then_some(())
    });
    daemon.terminate();
    assert_eq!(calls(&platform), [1, 0], "exactly what was approved has run, once");
    let (code, complaint) = refused(&setup, &["responses", "list"]);
    assert_eq!(code, Some(3));
    assert!(complaint.contains("The daemon must be running"), "{complaint}");
}

/// The reset runs once, the other never; neither can be decided twice.
fn approve_and_deny(
    setup: &Setup,
    daemon: &Daemon,
    platform: &Platform,
    reset: &str,
    sessions: &str,
) {
    let approve = ["responses", "approve", &reset[..8], "--reason", "called them", "--by", "Sari"];
    let approved = json(setup, &approve);
    assert_eq!(approved["decision"]["approved"], true);
    assert!(approved["decision"]["by"].as_str().unwrap().starts_with("Sari (as "), "{approved}");
    let deny = ["responses", "deny", sessions, "--reason", "a reset is enough"];
    assert!(text(setup, &deny).starts_with("Denied: revoke_sessions"));
    daemon.until("the reset", || (calls(platform) == [1, 0]).then_some(()));
    for again in [&approve[..5], &["responses", "deny", reset, "--reason", "too late"], &deny] {
        assert_eq!(refused(setup, again).0, Some(1), "{again:?}");
    }
    assert_eq!(refused(setup, &["responses", "approve", "ffffffff", "--reason", "x"]).0, Some(2));
    daemon.until("the reset is settled", || {
        let done = json(setup, &["responses", "list", "--state", "done"]);
        let deliveries = done["deliveries"].as_array().unwrap().clone();
        deliveries
            .iter()
            .any(|one| one["id"] == reset && one["users"][0]["done"] == true)
            .then_some(())
    });
}

/// Every number of the incident is there, and nothing that must not be. Returns its code.
fn explained(setup: &Setup) -> String {
    let list = json(setup, &["incidents", "list"]);
    let code = list["incidents"][0]["code"].as_str().unwrap().to_owned();
    let view = json(setup, &["incidents", "show", &code]);
    let contributions = view["contributions"].as_array().unwrap();
    assert!(contributions.len() > 1, "{view}");
    let sum: f64 =
        contributions.iter().map(|one| one["worth_at_last_match"].as_f64().unwrap()).sum();
    let risk = view["risk_at_last_match"].as_f64().unwrap();
    assert!((sum - risk).abs() < 0.5, "the contributions add up to {sum}, the risk is {risk}");
    assert!(view["audit"].as_array().unwrap().iter().any(|one| one["what"] == "approved"));
    let shown = text(setup, &["incidents", "show", &code]);
    for part in ["stage respond", "promo_123", "approved by Sari", "198.51.100.77", "crossed"] {
        assert!(shown.contains(part), "no `{part}` in\n{shown}");
    }
    assert!(!shown.contains("http://"), "a live link is shown:\n{shown}");
    code
}
