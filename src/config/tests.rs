//! Configurations as operators write them, and what they are told.

use super::*;

fn read(text: &str) -> Result<Config, String> {
    parse(Path::new("satpam.yaml"), text, []).map_err(|error| error.to_string())
}

#[test]
fn the_default_file_says_what_is_the_default_without_a_file() {
    assert_eq!(format!("{:#?}", read(DEFAULT).unwrap()), format!("{:#?}", Config::default()));
    assert_eq!(format!("{:?}", read("").unwrap()), format!("{:?}", Config::default()));
}

#[test]
fn every_unknown_key_is_shown_with_its_place_and_the_nearest_name() {
    let error =
        read("kafka:\n  brokrs: x\n  workers: 2\nrespond:\n  email:\n    hots: y\n").unwrap_err();
    for part in [
        "satpam.yaml:2:3",
        "`kafka.brokrs`: there is no such setting",
        "did you mean `brokers`?",
        "^^^^^^",
        "satpam.yaml:6:5",
        "did you mean `host`?",
    ] {
        assert!(error.contains(part), "no {part} in:\n{error}");
    }
    let error = read("engine: {zzz: 1}\n").unwrap_err();
    assert!(error.contains("known here are accounts_in_memory, checkpoint_interval"), "{error}");
}

#[test]
fn a_value_that_cannot_be_read_is_shown_with_its_place() {
    for (text, place, word) in [
        ("kafka:\n  workers: many\n", "2:", "workers: many"),
        ("engine:\n  lateness: 5\n", "2:", "lateness: 5"),
        ("respond: {modes: {block_template: always}}\n", "1:", "always"),
        ("kafka: [", "1:", "kafka"),
        ("rules: a\nrules: b\n", "2:", "rules"),
    ] {
        let error = read(text).unwrap_err();
        assert!(error.contains(place) && error.contains(word), "{text}:\n{error}");
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn contradictions_are_shown_at_their_setting_with_what_to_do() {
    let email = "respond:\n  email: {host: mail.example, from: a@b.example";
    for (text, setting, part) in [
        ("topics: {}\n".to_owned(), "topics", "nothing to read"),
        ("topics: {a b: satpam}\n".to_owned(), "topics.a b", "no topics of such a name"),
        (
            "topics: {satpam.dead-letters: satpam}\n".to_owned(),
            "kafka.dead_letter.target.topic",
            "for ever",
        ),
        ("limits: {max_bytes: 0}\n".to_owned(), "limits.max_bytes", "outside of 1 to"),
        ("kafka: {workers: 0}\n".to_owned(), "kafka.workers", "outside of 1 to 256"),
        ("kafka: {brokers: ''}\n".to_owned(), "kafka.brokers", "empty"),
        ("kafka: {session_timeout: 1s}\n".to_owned(), "kafka.session_timeout", "outside of 6s"),
        ("engine: {timezone: Asia/Jakata}\n".to_owned(), "engine.timezone", "IANA name"),
        ("engine: {accounts_in_memory: 0}\n".to_owned(), "engine.accounts_in_memory", "at least 1"),
        (
            "engine: {checkpoint_interval: 0s}\n".to_owned(),
            "engine.checkpoint_interval",
            "outside of 100ms",
        ),
        ("store: {path: /etc/satpam/rules}\n".to_owned(), "store.path", "folder of its own"),
        ("store: {cache_bytes: 0}\n".to_owned(), "store.cache_bytes", "less than 1048576"),
        (
            "respond: {budget: {share_of_accounts: 2}}\n".to_owned(),
            "respond.budget.share_of_accounts",
            "2 of 100",
        ),
        (
            "respond: {budget: {accounts_per_hour: 50}}\n".to_owned(),
            "respond.budget.accounts_per_hour",
            "accounts_per_day",
        ),
        ("respond: {retry: {attempts: 0}}\n".to_owned(), "respond.retry.attempts", "outside of 1"),
        (
            "respond: {retry: {longest_wait: 1s}}\n".to_owned(),
            "respond.retry.longest_wait",
            "first_wait",
        ),
        ("respond: {concurrency: 0}\n".to_owned(), "respond.concurrency", "1 to 64"),
        (format!("{email}, user: u}}\n"), "respond.email.user", "no `password`"),
        (format!("{email}, password: p}}\n"), "respond.email.password", "no `user`"),
        (format!("{email}, tls: none}}\n"), "respond.email", "on this machine only"),
        (format!("{email}, ca_file: /does/not/exist}}\n"), "respond.email", "/does/not/exist"),
        (
            format!("{email}, staff: [nobody]}}\n"),
            "respond.email",
            "`nobody` is not a mail address",
        ),
        (
            "respond: {platform: {base_url: 'http://api.example', signing_secret: x}}\n".to_owned(),
            "respond.platform",
            "not an https address",
        ),
        (
            "respond: {platform: {base_url: 'https://api.example', signing_secret: x}}\n"
                .to_owned(),
            "respond.platform",
            "whsec_",
        ),
        ("telemetry: {stuck_after: 0s}\n".to_owned(), "telemetry.stuck_after", "outside of 1s"),
    ] {
        let error = read(&text).map(|_| ()).expect_err(&text);
        assert!(error.contains(&format!("`{setting}`: ")), "{text}:\n{error}");
        assert!(error.contains(part) && error.contains("= help: "), "{text}:\n{error}");
        assert!(
            error.contains("satpam.yaml:1:")
                || error.contains("satpam.yaml:2:")
                || setting.starts_with("kafka.dead"),
            "{text}:\n{error}"
        );
    }
}

#[test]
fn what_the_environment_contradicts_is_told_without_a_place() {
    let environment = [("SATPAM__KAFKA__WORKERS".to_owned(), "0".to_owned())];
    let error = parse(Path::new("satpam.yaml"), "", environment).unwrap_err().to_string();
    assert!(error.contains("`kafka.workers`: ") && error.contains("1 to 256"), "{error}");
}
