//! `rules/policy.yaml`, read over the shipped default: what the file leaves out keeps its default.

use std::sync::Arc;

use super::diagnostic::{Findings, SourceText, Span};
use super::model::Level;
use super::policy::{Credential, PlanFigures, Policy, ResponseRule, Sensitivity};
use super::schema::Reader;
use super::yaml::{self, Entry, Node};

const KEYS: [&str; 12] = [
    "half-life",
    "levels",
    "multipliers",
    "thresholds",
    "responses",
    "close-after",
    "cooldown",
    "learning",
    "plans",
    "same-evidence",
    "noisy-rules",
    "sensitivity",
];

/// The most that a risk, a multiplier's effect or a threshold may be.
const MAX_RISK: f64 = 1000.0;

/// Groups of names of rules, each with its place.
pub(super) type Evidence = Vec<Vec<(Arc<str>, Span)>>;

/// Reads the file and returns the policy with the groups of `same-evidence` as they are written;
/// findings tell what was wrong.
pub(super) fn read(source: &Arc<SourceText>, findings: &mut Findings) -> (Policy, Evidence) {
    let mut policy = Policy::default();
    let mut evidence = Evidence::new();
    let nodes = match yaml::parse(source) {
        Ok(nodes) => nodes,
        Err(error) => {
            findings.push(*error);
            return (policy, evidence);
        }
    };
    let Some(node) = nodes.first() else { return (policy, evidence) };
    let mut reader = Reader { source, findings };
    if !reader.known_keys(node, &KEYS, "the policy") {
        return (policy, evidence);
    }
    let times: [(&str, &mut i64); 4] = [
        ("half-life", &mut policy.half_life_millis),
        ("close-after", &mut policy.close_after_millis),
        ("cooldown", &mut policy.cooldown_millis),
        ("learning", &mut policy.learning_millis),
    ];
    for (key, value) in times {
        set(value, reader.time_span(node, key));
    }
    if let Some(entry) = node.get("levels")
        && reader.known_keys(&entry.value, &Level::ALL.map(Level::as_str), "levels")
    {
        for (level, risk) in Level::ALL.into_iter().zip(&mut policy.levels) {
            set(risk, reader.number(&entry.value, level.as_str(), 0.0, MAX_RISK));
        }
    }
    multipliers(&mut reader, node, &mut policy);
    thresholds(&mut reader, node, &mut policy);
    if let Some(entry) = node.get("responses") {
        policy.responses =
            entry.value.elements().iter().filter_map(|node| response(&mut reader, node)).collect();
    }
    if let Some(entry) = node.get("same-evidence") {
        let mut named = |rule: &Node| reader.scalar(rule).map(|word| (word, rule.span));
        evidence = entry
            .value
            .elements()
            .iter()
            .map(|group| group.elements().iter().filter_map(&mut named).collect())
            .collect();
        let groups = evidence.iter().map(|group| group.iter().map(|(rule, _)| Arc::clone(rule)));
        policy.same_evidence = groups.map(Iterator::collect).collect();
    }
    noisy_rules(&mut reader, node, &mut policy);
    set(&mut policy.sensitivity, reader.word(node, "sensitivity", &Sensitivity::ALL));
    if let Some(entry) = node.get("plans")
        && reader.is_map(&entry.value)
    {
        policy.plans = entry
            .value
            .entries()
            .unwrap_or_default()
            .iter()
            .filter_map(|entry| plan(&mut reader, entry))
            .collect();
        policy.plans.sort_by(|a, b| a.0.cmp(&b.0));
    }
    (policy, evidence)
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn multipliers(reader: &mut Reader<'_>, node: &Node, policy: &mut Policy) {
    let Some(entry) = node.get("multipliers") else { return };
    let values: [(&str, &mut f64); 4] = [
        ("two_factor_off", &mut policy.multipliers.two_factor_off),
        ("outside_allowlist", &mut policy.multipliers.outside_allowlist),
        ("network_new", &mut policy.multipliers.network_new),
        ("learning", &mut policy.multipliers.learning),
    ];
    if !reader.known_keys(&entry.value, &values.each_ref().map(|(key, _)| *key), "multipliers") {
        return;
    }
    for (key, value) in values {
        set(value, reader.number(&entry.value, key, 0.0, 100.0));
    }
}

fn noisy_rules(reader: &mut Reader<'_>, node: &Node, policy: &mut Policy) {
    let Some(entry) = node.get("noisy-rules") else { return };
    let noisy = &mut policy.noisy_rules;
    if reader.known_keys(&entry.value, &["accounts-per-hour", "times-usual"], "noisy-rules") {
        let accounts = reader.number(&entry.value, "accounts-per-hour", 1.0, 1e6);
        set(&mut noisy.accounts_per_hour, accounts);
        set(&mut noisy.times_usual, reader.number(&entry.value, "times-usual", 0.0, 1e3));
    }
}

fn thresholds(reader: &mut Reader<'_>, node: &Node, policy: &mut Policy) {
    let Some(entry) = node.get("thresholds") else { return };
    let thresholds = &mut policy.thresholds;
    let values: [(&str, &mut f64); 3] = [
        ("alert", &mut thresholds.alert),
        ("notify_tenant", &mut thresholds.notify_tenant),
        ("respond", &mut thresholds.respond),
    ];
    if !reader.known_keys(&entry.value, &values.each_ref().map(|(key, _)| *key), "thresholds") {
        return;
    }
    for (key, value) in values {
        // Above 0: a threshold of 0 would respond to accounts that did nothing.
        set(value, reader.number(&entry.value, key, 0.1, MAX_RISK * 32.0));
    }
    if !(thresholds.alert <= thresholds.notify_tenant
        && thresholds.notify_tenant <= thresholds.respond)
    {
        reader.invalid(
            entry.key_span,
            format!(
                "thresholds must rise: alert {} <= notify_tenant {} <= respond {}",
                thresholds.alert, thresholds.notify_tenant, thresholds.respond
            ),
        );
    }
}

fn response(reader: &mut Reader<'_>, node: &Node) -> Option<ResponseRule> {
    if !reader.known_keys(node, &["when", "do"], "a response") {
        return None;
    }
    let (Some(when), Some(actions)) = (node.get("when"), node.get("do")) else {
        let span = node.entries().and_then(<[Entry]>::first).map_or(node.span, |e| e.key_span);
        let missing = if node.get("when").is_none() { "when" } else { "do" };
        reader.missing(span, missing);
        return None;
    };
    if !reader.known_keys(&when.value, &["actor.auth"], "when") {
        return None;
    }
    let Some(auth) = when.value.get("actor.auth") else {
        reader.missing(when.key_span, "actor.auth");
        return None;
    };
    let words = [
        ("password", Credential::Password),
        ("token", Credential::Token),
        ("secret_key", Credential::SecretKey),
        ("sso", Credential::Sso),
        ("none", Credential::None),
    ];
    let credentials = auth.value.elements().iter();
    let credentials =
        credentials.filter_map(|node| reader.word_of(node, "credential", &words)).collect();
    let actions = actions.value.elements().iter().filter_map(|node| reader.action(node)).collect();
    Some(ResponseRule { credentials, actions })
}

fn plan(reader: &mut Reader<'_>, entry: &Entry) -> Option<(Box<str>, PlanFigures)> {
    const FIGURES: [&str; 5] =
        ["messages", "first_contacts", "broadcasts", "templates", "broadcast_size"];
    if !reader.known_keys(&entry.value, &FIGURES, "a plan") {
        return None;
    }
    let mut values = [0.0; 5];
    for (key, value) in FIGURES.into_iter().zip(&mut values) {
        if entry.value.get(key).is_none() {
            reader.missing(entry.key_span, key);
        }
        // Above 0: it is the level that a new account starts from.
        *value = reader.number(&entry.value, key, 1e-6, 1e9)?;
    }
    let [messages, first_contacts, broadcasts, templates, broadcast_size] = values;
    let figures = PlanFigures { messages, first_contacts, broadcasts, templates, broadcast_size };
    Some((entry.key.as_str().into(), figures))
}
