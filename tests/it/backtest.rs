//! `satpam simulate` and `satpam backtest`, as rule authors and scripts call them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::project_path;

/// Larger tenants are left out: they would only cost time.
const SMALL: usize = 900;

/// A Monday in Jakarta.
const START: &str = "2026-11-02T00:00:00+07:00";

struct Stream {
    _folder: tempfile::TempDir,
    folder: PathBuf,
    events: usize,
    attacks: usize,
    accounts: usize,
}

impl Stream {
    /// Some tenants over some days; a third of them is taken over.
    fn new(accounts: u32, days: u32) -> Self {
        Self::of(|folder| simulate(11, accounts, days, folder))
    }

    /// The small tenants of what a generator writes.
    fn of(generate: impl Fn(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        generate(&path);
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        let (events, labels) = (read("events.ndjson"), read("labels.ndjson"));
        let mut by_account: BTreeMap<String, usize> = BTreeMap::new();
        for line in events.lines() {
            *by_account.entry(account_of(line)).or_default() += 1;
        }
        by_account.retain(|_, count| *count <= SMALL);
        let keep = |name: &str, lines: &str| {
            let kept = lines.lines().filter(|line| by_account.contains_key(&account_of(line)));
            let kept: Vec<&str> = kept.collect();
            std::fs::write(path.join(name), kept.join("\n")).unwrap();
            kept.len()
        };
        let (events, attacks) = (keep("events.ndjson", &events), keep("labels.ndjson", &labels));
        let accounts = by_account.len();
        Self { _folder: folder, folder: path, events, attacks, accounts }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }
}

/// The account of an event or of a label.
fn account_of(line: &str) -> String {
    let line: Value = serde_json::from_str(line).unwrap();
    let account = line["account"].as_str().or(line["account"]["app_code"].as_str());
    account.unwrap().to_owned()
}

fn simulate(seed: u64, accounts: u32, days: u32, folder: &Path) {
    let output = Command::new(env!("CARGO_BIN_EXE_satpam"))
        .args(["simulate", "--attacks", "0.34", "--kinds", "takeover,blast", "--start", START])
        .args(["--seed", &seed.to_string(), "--accounts", &accounts.to_string()])
        .args(["--days", &days.to_string(), "--out"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

/// The generator that knows nothing of ours; see docs/detection.md.
fn generate(variant: &str, folder: &Path) {
    let output = Command::new("python3")
        .arg(project_path("benches/streams/generate.py"))
        .args(["--accounts", "24", "--days", "40", "--late", "0.05", "--duplicates", "0.01"])
        .args(["--variant", variant, "--out"])
        .arg(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

fn backtest(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_satpam")).arg("backtest").args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

fn rules() -> String {
    project_path("rules").display().to_string()
}

/// A rule set that says nothing but that somebody logged in.
fn logins_only(folder: &Path) -> String {
    let rules = folder.join("logins");
    std::fs::create_dir(&rules).unwrap();
    std::fs::copy(project_path("rules/policy.yaml"), rules.join("policy.yaml")).unwrap();
    std::fs::write(
        rules.join("login.yaml"),
        "title: Somebody <b>logged in</b>\nname: somebody\nstatus: stable\nlevel: high\n\
         logsource: {product: omnichannel, category: login}\n\
         detection:\n  selection: {type: login.succeeded}\n  condition: selection\n",
    )
    .unwrap();
    rules.display().to_string()
}

#[test]
fn the_shipped_rules_find_the_takeovers_of_a_labelled_stream_and_the_report_adds_up() {
    let stream = Stream::new(24, 14);
    let alerts = stream.path("alerts.ndjson");
    let output = backtest(&[
        "--from",
        &stream.path("events.ndjson"),
        "--rules",
        &rules(),
        "--labels",
        &stream.path("labels.ndjson"),
        "--alerts-out",
        &alerts,
        "--ablation",
        "--format",
        "json",
    ]);
    assert!(output.status.success(), "{output:?}");
    let report = json(&output);
    assert_eq!(report["events"], stream.events);
    assert_eq!(report["accounts"], stream.accounts);
    assert_eq!(report["unreadable"], 0);
    let attacks = &report["attacks"];
    assert_eq!(attacks["attacks"], stream.attacks);
    assert!(attacks["recall"]["alert"].as_f64().unwrap() > 0.5, "{attacks:#}");
    let rows = attacks["by_kind"].as_array().unwrap();
    let judged: BTreeMap<String, u64> = rows
        .iter()
        .map(|row| (row["kind"].as_str().unwrap().to_owned(), caught_and_missed(row)))
        .collect();
    assert_eq!(judged, labelled(&stream), "{attacks:#}");

    let lines: Vec<Value> = std::fs::read_to_string(&alerts)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for stage in ["alert", "notify", "respond"] {
        let told = lines.iter().filter(|line| line["kind"] == stage).count();
        assert_eq!(report["incidents"][stage], told, "{stage}");
    }
    for key in ["account", "time", "kind", "rule", "risk"] {
        assert!(lines.iter().all(|line| line.get(key).is_some()), "{key}");
    }
    let reported: u64 = report["by_rule"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["is_reported"] == true)
        .map(|row| row["matches"].as_u64().unwrap())
        .sum();
    assert_eq!(reported, lines.iter().filter(|line| line["kind"] == "match").count() as u64);
    assert!(!report["ablation"].as_array().unwrap().is_empty());
}

#[test]
fn the_same_seed_simulates_the_same_files_and_another_seed_others() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |name: &str, seed: u64| {
        let path = folder.path().join(name);
        simulate(seed, 4, 9, &path);
        let mut files: Vec<_> =
            std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files.iter().map(|file| std::fs::read(file).unwrap()).collect::<Vec<_>>()
    };
    let first = bytes("first", 5);
    assert_eq!(first.len(), 6, "events, labels and four topics");
    assert!(first == bytes("again", 5), "two runs differ");
    assert!(first != bytes("other", 6), "two seeds agree");
}

/// How many attacks of each kind the labels name.
fn labelled(stream: &Stream) -> BTreeMap<String, u64> {
    let mut kinds = BTreeMap::new();
    let labels = std::fs::read_to_string(stream.folder.join("labels.ndjson")).unwrap();
    for line in labels.lines() {
        let label: Value = serde_json::from_str(line).unwrap();
        *kinds.entry(label["kind"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    kinds
}

fn caught_and_missed(row: &Value) -> u64 {
    row["caught"]["alert"].as_u64().unwrap() + row["missed"].as_u64().unwrap()
}

#[test]
fn the_same_stream_gives_the_same_report_also_in_two_files() {
    let stream = Stream::new(8, 10);
    let text = std::fs::read_to_string(stream.folder.join("events.ndjson")).unwrap();
    let (mut odd, mut even) = (String::new(), String::new());
    for (number, line) in text.lines().enumerate() {
        let half = if number % 2 == 0 { &mut even } else { &mut odd };
        writeln!(half, "{line}").unwrap();
    }
    std::fs::write(stream.folder.join("odd.ndjson"), odd).unwrap();
    std::fs::write(stream.folder.join("even.ndjson"), even).unwrap();
    let whole = stream.path("events.ndjson");
    let (odd, even) = (stream.path("odd.ndjson"), stream.path("even.ndjson"));
    let run = |from: &[&str]| {
        let mut arguments = vec!["--format", "json", "--from"];
        arguments.extend(from);
        let rules = rules();
        arguments.extend(["--rules", &rules]);
        json(&backtest(&arguments))
    };
    let first = run(&[&whole]);
    assert_eq!(first, run(&[&whole]), "two runs differ");
    assert_eq!(first["incidents"], run(&[&even, &odd])["incidents"], "two files differ from one");
}

#[test]
fn a_comparison_tells_what_the_other_rules_raise_and_these_do_not() {
    let stream = Stream::new(6, 10);
    let other = logins_only(&stream.folder);
    let events = stream.path("events.ndjson");
    let output =
        backtest(&["--from", &events, "--rules", &other, "--compare", &other, "--format", "json"]);
    let same = &json(&output)["compare"];
    assert_eq!((&same["gained"], &same["lost"]), (&0.into(), &0.into()), "{same:#}");
    assert_eq!(same["by_rule"], serde_json::json!([]));

    let output = backtest(&[
        "--from",
        &events,
        "--rules",
        &rules(),
        "--compare",
        &other,
        "--format",
        "json",
    ]);
    let report = json(&output);
    let compared = &report["compare"];
    assert!(compared["lost"].as_u64().unwrap() > 0, "{compared:#}");
    let row = compared["by_rule"].as_array().unwrap().iter().find(|row| row["rule"] == "somebody");
    assert!(row.unwrap()["here"].is_null());
}

#[test]
fn the_page_escapes_what_rules_say_and_shows_nothing_that_events_say() {
    let stream = Stream::new(6, 10);
    let other = logins_only(&stream.folder);
    let output = backtest(&[
        "--from",
        &stream.path("events.ndjson"),
        "--rules",
        &other,
        "--labels",
        &stream.path("labels.ndjson"),
        "--compare",
        &rules(),
        "--ablation",
        "--format",
        "html",
    ]);
    assert!(output.status.success(), "{output:?}");
    let page = String::from_utf8(output.stdout).unwrap();
    assert!(page.contains("Somebody &lt;b&gt;logged in&lt;&#x2f;b&gt;"), "{page}");
    assert!(!page.contains("<b>"), "{page}");
    let events = std::fs::read_to_string(stream.folder.join("events.ndjson")).unwrap();
    let recipients = events.lines().filter_map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["message"]["recipient"].as_str().map(str::to_owned)
    });
    for recipient in recipients {
        assert!(!page.contains(&recipient), "a phone number: {page}");
    }
}

#[test]
fn what_is_before_since_teaches_and_is_not_counted() {
    let stream = Stream::new(6, 10);
    let output = backtest(&[
        "--from",
        &stream.path("events.ndjson"),
        "--rules",
        &rules(),
        "--since",
        "2026-11-10T00:00:00Z",
        "--format",
        "json",
    ]);
    let report = json(&output);
    let counted = report["events"].as_u64().unwrap();
    assert!(counted > 0 && counted < stream.events as u64, "{counted}");
    assert!(report["first"].as_str().unwrap() >= "2026-11-10", "{report:#}");
    assert!(report["account_days"].as_f64().unwrap() < 6.0 * 3.0, "{report:#}");
}

#[test]
fn each_end_has_its_exit_code_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("broken.ndjson"), "no json\n\n{\"a\":1}\n").unwrap();
    std::fs::write(path("labels.ndjson"), "{\"account\":1}\n").unwrap();
    std::fs::write(path("bad.yaml"), "title: no rule\n").unwrap();
    let broken = path("broken.ndjson");
    let rules = rules();
    for (code, said, arguments) in [
        (1, "record 1", vec!["--from", &broken, "--rules", &rules]),
        (3, "absent.ndjson", vec!["--from", &path("absent.ndjson"), "--rules", &rules]),
        (
            2,
            "line 1",
            vec!["--from", &broken, "--rules", &rules, "--labels", &path("labels.ndjson")],
        ),
        (2, "bad.yaml", vec!["--from", &broken, "--rules", &path("bad.yaml")]),
        (2, "7d", vec!["--from", &broken, "--rules", &rules, "--since", "yesterday"]),
    ] {
        let output = backtest(&arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn streams_of_the_independent_generator_are_the_same_each_time_and_every_attack_is_judged() {
    for variant in ["base", "deliveries"] {
        let stream = Stream::of(|folder| generate(variant, folder));
        let again = Stream::of(|folder| generate(variant, folder));
        let read = |path: String| std::fs::read(path).unwrap();
        for name in ["events.ndjson", "labels.ndjson"] {
            assert!(read(stream.path(name)) == read(again.path(name)), "{variant} {name}");
        }
        let output = backtest(&[
            "--from",
            &stream.path("events.ndjson"),
            "--labels",
            &stream.path("labels.ndjson"),
            "--rules",
            &rules(),
            "--format",
            "json",
        ]);
        assert!(output.status.success(), "{output:?}");
        let report = json(&output);
        assert_eq!(report["unreadable"], 0);
        assert_eq!(report["attacks"]["absent"], 0);
        assert_eq!(report["attacks"]["attacks"], stream.attacks);
        assert!(stream.attacks > 0 && report["duplicates"].as_u64().unwrap() > 0, "{variant}");
    }
}
