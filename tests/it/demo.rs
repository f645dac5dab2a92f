//! `satpam demo` as a newcomer starts it: the main job through the broker inside the process.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::project_path;

/// Enough tenants to hold one that is worth attacking, and few enough to be done soon.
const FEW: &str = "40";

fn demo(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["demo", "--accounts", FEW])
        .args(arguments)
        .env("TMPDIR", folder)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Returns the first line that holds all of `parts`.
fn line<'t>(shown: &'t str, parts: &[&str]) -> &'t str {
    shown
        .lines()
        .find(|line| parts.iter().all(|part| line.contains(part)))
        .unwrap_or_else(|| panic!("no line with {parts:?} in:\n{shown}"))
}

#[test]
fn the_demo_catches_the_takeover_and_shows_incident_mail_and_reset() {
    let folder = tempfile::tempdir().unwrap();
    let played = demo(folder.path(), &[]);
    let shown = text(&played.stdout);
    assert_eq!(played.status.code(), Some(0), "{shown}\n{}", text(&played.stderr));
    assert!(!shown.contains('\u{1b}'), "colour outside of a terminal:\n{shown}");

    // The attacked tenant is named, and all else is about the same one.
    let attack = line(&shown, &["takeover of "]);
    let (name, account) = attack.split_once("takeover of ").unwrap().1.split_once(" (").unwrap();
    let account = account.trim_end_matches(')');
    line(&shown, &["satpam", "incident SPM-", name, account, "the platform is called"]);
    line(&shown, &["platform", &format!("force_password_reset on {account}, for admin, then")]);
    line(&shown, &["| Subject: [Qiscus Security]", name]);
    let to = line(&shown, &["| To: "]);
    assert!(to.ends_with(&format!("@{account}.example")), "{to}");
    // Decoded, in the tenant's language, and without a link that could be followed.
    line(&shown, &["| YANG HARUS ANDA LAKUKAN SEKARANG"]);
    let mail: String = shown.lines().filter(|line| line.starts_with("    | ")).collect();
    assert!(mail.contains("hxxp") && !mail.contains("http://") && !mail.contains("https://"));

    line(&shown, &["yes", "before they went far"]);
    line(&shown, &["yes", "no other tenant was locked out or paused"]);
    line(&shown, &["The takeover was caught."]);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something is left behind");
}

#[test]
fn without_the_rules_that_catch_it_the_demo_says_so_and_where_the_log_is() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    for part in ["policy.yaml", "lists", "obfuscation"] {
        copy(&project_path("rules").join(part), &rules.join(part));
    }
    let played = demo(folder.path(), &["--rules", rules.to_str().unwrap()]);
    let (shown, complaint) = (text(&played.stdout), text(&played.stderr));
    assert_eq!(played.status.code(), Some(1), "{shown}\n{complaint}");
    line(&shown, &["NO", "the platform was told to reset the passwords"]);
    line(&shown, &["NO", "before they went far"]);
    line(&shown, &["The takeover was not caught"]);
    let log = line(&complaint, &["the log of the daemon is "]).rsplit(' ').next().unwrap();
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("metrics and health are served"), "{log}");
}

#[test]
fn rules_that_cannot_be_used_are_shown_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules");
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("broken.yaml"), "title: [\n").unwrap();
    let played = demo(folder.path(), &["--rules", rules.to_str().unwrap()]);
    let complaint = text(&played.stderr);
    assert_eq!(played.status.code(), Some(2), "{complaint}");
    line(&complaint, &["broken.yaml:"]);
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::copy(from, to).unwrap();
        return;
    }
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        copy(&path, &to.join(path.file_name().unwrap()));
    }
}
