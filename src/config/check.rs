//! What a configuration must not say although each value can be read: values outside their range,
//! and settings that contradict each other.

use super::Config;
use super::finding::Finding;
use crate::event::TimeSpan;
use crate::ingest::DeadLetterTarget;
use crate::respond::{self, TlsMode};

const HOUR: i64 = 3_600_000;

/// Returns everything that is wrong, in the order of the sections.
pub(super) fn findings(config: &Config) -> Vec<Finding> {
    let mut found = Vec::new();
    topics(config, &mut found);
    kafka(config, &mut found);
    engine(config, &mut found);
    store(config, &mut found);
    limits_on_responses(&config.respond, &mut found);
    email(&config.respond, &mut found);
    telemetry(config, &mut found);
    found
}

fn topics(config: &Config, found: &mut Vec<Finding>) {
    if config.rules.as_os_str().is_empty() {
        found.push(Finding::new("rules", "the path is empty", "name the folder of the rules"));
    }
    if config.topics.is_empty() {
        found.push(Finding::new(
            "topics",
            "there is nothing to read",
            "name at least one topic and the shape of its records, such as `messages: satpam`",
        ));
    }
    for name in config.topics.keys() {
        if !is_topic_name(name) {
            found.push(Finding::new(
                format!("topics.{name}"),
                "Kafka has no topics of such a name",
                "1 to 249 of the letters a-z, A-Z, the digits, `.`, `_` and `-`",
            ));
        }
    }
    let limit = usize::try_from(u32::MAX).unwrap_or(usize::MAX);
    if !(1..=limit).contains(&config.limits.max_bytes) {
        found.push(Finding::new(
            "limits.max_bytes",
            format!("{} is outside of 1 to {limit}", config.limits.max_bytes),
            "the default is 1048576, the largest record of a broker with default settings",
        ));
    }
}

/// The names that a broker takes.
fn is_topic_name(name: &str) -> bool {
    let is_legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=249).contains(&name.len()) && name.bytes().all(is_legal) && !matches!(name, "." | "..")
}

fn kafka(config: &Config, found: &mut Vec<Finding>) {
    if let Err(problem) = config.kafka.check() {
        // The text names the setting first, between backticks.
        let name = problem.split('`').nth(1).unwrap_or_default();
        let setting = format!("kafka.{name}");
        let problem = problem.replacen(&format!("`{name}` is "), "the value is ", 1);
        found.push(Finding::new(setting, problem, "see `satpam config default` for what it means"));
    }
    if let DeadLetterTarget::Topic(name) = &config.kafka.dead_letter.target {
        let setting = "kafka.dead_letter.target.topic";
        if config.topics.contains_key(name) {
            found.push(Finding::new(
                setting,
                format!("`{name}` is also read: a dead letter would come back for ever"),
                "use a topic that is not among `topics`",
            ));
        } else if !name.trim().is_empty() && !is_topic_name(name) {
            found.push(Finding::new(
                setting,
                "Kafka has no topics of such a name",
                "1 to 249 of the letters a-z, A-Z, the digits, `.`, `_` and `-`",
            ));
        }
    }
}

fn engine(config: &Config, found: &mut Vec<Finding>) {
    let engine = &config.engine;
    if jiff::tz::TimeZone::get(&engine.timezone).is_err() {
        found.push(Finding::new(
            "engine.timezone",
            format!("there is no time zone `{}`", engine.timezone),
            "write an IANA name, such as `Asia/Jakarta`, `Asia/Makassar` or `UTC`",
        ));
    }
    span("engine.lateness", engine.lateness, 1_000, 30 * 24 * HOUR, found);
    span("engine.dedupe_window", engine.dedupe_window, 1_000, 7 * 24 * HOUR, found);
    span("engine.checkpoint_interval", engine.checkpoint_interval, 100, HOUR, found);
    if engine.accounts_in_memory == 0 {
        found.push(Finding::new(
            "engine.accounts_in_memory",
            "no account could be worked on",
            "at least 1; the default is 200000",
        ));
    }
}

fn store(config: &Config, found: &mut Vec<Finding>) {
    let store = &config.store;
    if store.path.as_os_str().is_empty() {
        found.push(Finding::new("store.path", "the path is empty", "name a folder of its own"));
    } else if store.path == config.rules {
        found.push(Finding::new(
            "store.path",
            "this is the folder of the rules",
            "the state needs a folder of its own",
        ));
    }
    if store.cache_bytes < 1 << 20 {
        found.push(Finding::new(
            "store.cache_bytes",
            format!("{} is less than 1048576", store.cache_bytes),
            "the default is 67108864",
        ));
    }
    let years = 10 * 365 * 24 * HOUR;
    span("store.settled_retention", store.settled_retention, HOUR, years, found);
    span("store.incident_retention", store.incident_retention, 24 * HOUR, years, found);
}

fn limits_on_responses(respond: &respond::Settings, found: &mut Vec<Finding>) {
    let budget = &respond.budget;
    if !(0.0..=1.0).contains(&budget.share_of_accounts) {
        found.push(Finding::new(
            "respond.budget.share_of_accounts",
            format!("{} is outside of 0 to 1", budget.share_of_accounts),
            "a share: 0.02 is 2 of 100 accounts",
        ));
    }
    if budget.accounts_per_hour > budget.accounts_per_day {
        found.push(Finding::new(
            "respond.budget.accounts_per_hour",
            format!(
                "{} in an hour are more than `accounts_per_day`, {}",
                budget.accounts_per_hour, budget.accounts_per_day
            ),
            "the hour's limit would never be reached: lower it, or raise the day's",
        ));
    }
    let retry = &respond.retry;
    span("respond.retry.first_wait", retry.first_wait, 1, 24 * HOUR, found);
    if retry.longest_wait < retry.first_wait {
        found.push(Finding::new(
            "respond.retry.longest_wait",
            format!("{} is less than `first_wait`, {}", retry.longest_wait, retry.first_wait),
            "raise it, or lower `first_wait`",
        ));
    }
    for (setting, value, least, most) in [
        ("respond.retry.attempts", retry.attempts, 1, 10_000),
        ("respond.circuit.failures", respond.circuit.failures, 1, 10_000),
        ("respond.concurrency", respond.concurrency, 1, 64),
    ] {
        if !(least..=most).contains(&value) {
            let problem = format!("{value} is outside of {least} to {most}");
            found.push(Finding::new(setting, problem, "see `satpam config default`"));
        }
    }
    span("respond.circuit.open_for", respond.circuit.open_for, 1, HOUR, found);
    span("respond.approval_lasts", respond.approval_lasts, 60_000, 30 * 24 * HOUR, found);
    span("respond.notice_waits", respond.notice_waits, 0, HOUR, found);
}

fn email(respond: &respond::Settings, found: &mut Vec<Finding>) {
    if let Some(email) = &respond.email {
        match (&email.user, &email.password) {
            (Some(_), None) => found.push(Finding::new(
                "respond.email.user",
                "there is no `password` to it",
                "set SATPAM__RESPOND__EMAIL__PASSWORD, or leave `user` out",
            )),
            (None, Some(_)) => found.push(Finding::new(
                "respond.email.password",
                "there is no `user` to it",
                "name the `user`, or leave `password` out",
            )),
            (Some(_), Some(_)) | (None, None) => {}
        }
        if email.tls == TlsMode::None && email.ca_file.is_some() {
            found.push(Finding::new(
                "respond.email.ca_file",
                "`tls: none` looks at no certificate",
                "use `tls: starttls` or `tls: implicit`, or leave `ca_file` out",
            ));
        }
        span("respond.email.timeout", email.timeout, 100, HOUR, found);
    }
    if let Some(platform) = &respond.platform {
        span("respond.platform.timeout", platform.timeout, 100, HOUR, found);
        span("respond.platform.poll_every", platform.poll_every, 100, HOUR, found);
    }
    // Addresses, keys and certificates are read as at the start, so that the answer is the same.
    for (setting, error) in respond::unusable(respond) {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
        let problem = format!("{error}{}", cause.unwrap_or_default());
        found.push(Finding::new(setting, problem, "satpam would refuse to start with it"));
    }
}

fn telemetry(config: &Config, found: &mut Vec<Finding>) {
    let stuck = config.telemetry.stuck_after;
    span("telemetry.stuck_after", stuck, 1_000, 24 * HOUR, found);
}

fn span(setting: &str, value: TimeSpan, least: i64, most: i64, found: &mut Vec<Finding>) {
    if !(least..=most).contains(&value.millis()) {
        let (least, most) = (TimeSpan::from_millis(least), TimeSpan::from_millis(most));
        found.push(Finding::new(
            setting,
            format!("{value} is outside of {least} to {most}"),
            "see `satpam config default` for what it means",
        ));
    }
}
