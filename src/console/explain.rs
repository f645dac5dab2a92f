//! Stored records as people may see them: every number explained, every text of unknown origin
//! cleaned, no link to click on, no customer's telephone number.

use std::fmt::Write as _;

use super::views::{
    ActorView, AuditView, ClosedView, ContributionView, DecisionView, DeliveryView, EvidenceView,
    ImpactView, IncidentSummary, IncidentView, ThresholdView, UserView,
};
use crate::clock::WallTime;
use crate::event::EventTime;
use crate::incident::{Actor, Contribution, DeliveryKind, Incident, IncidentState, Stage, worths};
use crate::respond::render::mask::{clean, ip, mask_digits, mask_email, quote, word};
use crate::rulebook::{Credential, Policy, Rulebook};
use crate::store::{AuditEntry, OutboxEntry, OutboxStatus};

/// How long a proposed exception lasts.
const EXCEPTION_MILLIS: i64 = 180 * 86_400_000;

pub(super) fn time(millis: i64) -> String {
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| "out of range".to_owned(), |time| format!("{time:.0}"))
}

fn event_time(time_of: EventTime) -> String {
    time(time_of.millis())
}

pub(super) fn summary(incident: &Incident) -> IncidentSummary {
    let heaviest = incident.contributions.iter().max_by(|a, b| {
        (a.base * a.multiplier).total_cmp(&(b.base * b.multiplier)).then(b.rule.cmp(&a.rule))
    });
    let (state, closed) = match &incident.state {
        IncidentState::Open => ("open", None),
        IncidentState::Closed { at, verdict, reason, by } => {
            let closed = ClosedView {
                at: event_time(*at),
                verdict: verdict.as_str().to_owned(),
                reason: line(reason),
                by: line(by),
            };
            ("closed", Some(closed))
        }
    };
    IncidentSummary {
        id: incident.id.to_string(),
        code: incident.id.code(),
        account: clean(incident.account.as_str()),
        account_name: incident.account_name.as_deref().map(quote).filter(|name| !name.is_empty()),
        state: state.to_owned(),
        stage: incident.stage.as_str().to_owned(),
        risk: incident.risk_peak,
        opened: event_time(incident.opened),
        last_match: event_time(incident.last_match),
        rules: incident.contributions.len(),
        title: heaviest.map(|one| clean(&one.title)).unwrap_or_default(),
        closed,
    }
}

/// Explains an incident, but for its deliveries and audit trail.
pub(super) fn incident(incident: &Incident, rulebook: &Rulebook, now: WallTime) -> IncidentView {
    let policy = &rulebook.policy;
    let at = EventTime::from_millis(now.0);
    let counted: Vec<&Contribution> = incident.contributions.iter().collect();
    let added =
        worths(&counted, incident.last_match, policy).into_iter().zip(worths(&counted, at, policy));
    let mut contributions: Vec<ContributionView> =
        counted.iter().zip(added).map(|(one, worths)| contribution(one, worths)).collect();
    contributions.sort_by(|a, b| {
        b.worth_at_last_match.total_cmp(&a.worth_at_last_match).then(a.rule.cmp(&b.rule))
    });
    IncidentView {
        summary: summary(incident),
        risk_at_last_match: incident.risk,
        risk_now: contributions.iter().map(|one| one.worth_now).sum(),
        now: time(now.0),
        half_life_seconds: policy.half_life_millis / 1000,
        thresholds: thresholds(incident.stage, policy),
        contributions,
        actors: incident.actors.iter().map(actor).collect(),
        impact: ImpactView {
            messages: incident.impact.messages,
            broadcasts: incident.impact.broadcasts,
            recipients: incident.impact.recipients,
            templates: incident.impact.templates.iter().map(|name| quote(name)).collect(),
            hosts: incident.impact.hosts.iter().map(|host| quote(host)).collect(),
        },
        two_factor: incident.two_factor,
        timezone: clean(&incident.timezone),
        contacts: incident.contacts.iter().map(|one| mask_email(one)).collect(),
        rules_revision: clean(&incident.rules_revision),
        engine_version: clean(&incident.engine_version),
        deliveries: Vec::new(),
        audit: Vec::new(),
        exception: exception(incident, rulebook, now),
    }
}

fn thresholds(stage: Stage, policy: &Policy) -> Vec<ThresholdView> {
    let threshold = |of: Stage| ThresholdView {
        name: of.as_str().to_owned(),
        risk: match of {
            Stage::Alert => policy.thresholds.alert,
            Stage::NotifyTenant => policy.thresholds.notify_tenant,
            Stage::Respond => policy.thresholds.respond,
        },
        crossed: stage >= of,
    };
    Stage::ALL.into_iter().map(threshold).collect()
}

fn contribution(
    one: &Contribution,
    (worth_at_last_match, worth_now): (f64, f64),
) -> ContributionView {
    ContributionView {
        rule: clean(&one.rule),
        title: clean(&one.title),
        level: clean(&one.level),
        status: clean(&one.status),
        base: one.base,
        multiplier: one.multiplier,
        multiplier_reasons: one.multiplier_reasons.iter().map(|word| clean(word)).collect(),
        worth_at_last_match,
        worth_now,
        time: event_time(one.time),
        matches: one.matches,
        event: clean(one.event.as_str()),
        event_type: word(&one.event_type),
        evidence: one
            .evidence
            .iter()
            .map(|(field, value)| EvidenceView { field: clean(field), value: quote(value) })
            .collect(),
    }
}

fn actor(actor: &Actor) -> ActorView {
    let credential = actor.credential.map(|credential| match credential {
        Credential::Password => "password",
        Credential::Token => "token",
        Credential::SecretKey => "secret_key",
        Credential::Sso => "sso",
        Credential::None => "none",
    });
    ActorView {
        id: actor.id.as_deref().map(quote),
        email: actor.email.as_deref().map(|email| mask_digits(&clean(email))),
        role: actor.role.as_deref().map(quote),
        credential: credential.map(str::to_owned),
        ip: actor.ip.as_deref().map(ip),
    }
}

/// Returns the word of a status.
pub(super) fn state_word(status: OutboxStatus) -> &'static str {
    match status {
        OutboxStatus::Due => "due",
        OutboxStatus::Held(_) => "held",
        OutboxStatus::Done => "done",
        OutboxStatus::Recorded => "recorded",
        OutboxStatus::Parked => "parked",
        OutboxStatus::Refused => "refused",
    }
}

pub(super) fn delivery(entry: &OutboxEntry) -> DeliveryView {
    let planned = &entry.planned;
    let held_because = match entry.status {
        OutboxStatus::Held(reason) => Some(reason.text().to_owned()),
        OutboxStatus::Due
        | OutboxStatus::Done
        | OutboxStatus::Recorded
        | OutboxStatus::Parked
        | OutboxStatus::Refused => None,
    };
    let is_due = entry.status == OutboxStatus::Due;
    DeliveryView {
        id: planned.id.to_string(),
        kind: planned.kind.name().to_owned(),
        is_action: is_action(planned.kind),
        account: clean(planned.account.as_str()),
        incident: planned.incident.to_string(),
        incident_code: planned.incident.code(),
        state: state_word(entry.status).to_owned(),
        held_because,
        reason: line(&planned.reason),
        planned: event_time(planned.created),
        attempts: entry.attempts,
        next_attempt: (is_due && entry.next_attempt.0 > 0).then(|| time(entry.next_attempt.0)),
        last_error: entry.last_error.as_deref().map(line),
        users: entry
            .outcome
            .iter()
            .map(|one| UserView { user: quote(&one.user), role: quote(&one.role), done: one.done })
            .collect(),
        decision: entry.decision.as_ref().map(|decision| DecisionView {
            approved: decision.approved,
            by: line(&decision.by),
            reason: line(&decision.reason),
            at: time(decision.at.0),
        }),
        settled: entry.settled.map(|at| time(at.0)),
    }
}

fn is_action(kind: DeliveryKind) -> bool {
    match kind {
        DeliveryKind::Action(_) => true,
        DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) => false,
    }
}

/// Returns whether people decide about it: every action, and a mail that waits for them.
pub(super) fn is_response(entry: &OutboxEntry) -> bool {
    is_action(entry.planned.kind) || matches!(entry.status, OutboxStatus::Held(_))
}

pub(super) fn audit(entry: &AuditEntry) -> AuditView {
    AuditView {
        at: time(entry.at.0),
        who: line(&entry.who),
        what: line(&entry.what),
        subject: clean(&entry.subject),
        reason: line(&entry.reason),
    }
}

/// Our own sentences may be longer than a quotation: only what a terminal would obey goes.
fn line(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    mask_digits(&visible.collect::<String>())
}

/// Writes the filter that would have kept an incident's detections from matching on this account.
/// Correlations cannot be filtered: what feeds them can.
pub(super) fn exception(incident: &Incident, rulebook: &Rulebook, now: WallTime) -> Option<String> {
    let IncidentState::Closed { verdict, reason, by, .. } = &incident.state else { return None };
    if *verdict != crate::incident::Verdict::FalsePositive {
        return None;
    }
    let is_detection =
        |rule: &str| rulebook.detections.iter().any(|known| &*known.meta.key == rule);
    let rules: Vec<&str> = incident
        .contributions
        .iter()
        .map(|one| &*one.rule)
        .filter(|rule| is_detection(rule))
        .collect();
    if rules.is_empty() {
        return None;
    }
    let account = yaml(incident.account.as_str());
    let until = time(now.0.saturating_add(EXCEPTION_MILLIS));
    let mut text = String::new();
    let rules: Vec<String> = rules.into_iter().map(yaml).collect();
    // Writing into a String cannot fail.
    let _ = write!(
        text,
        "title: {title}\n\
         logsource: {{product: omnichannel}}\n\
         filter:\n  rules: [{rules}]\n  selection: {{account.app_code: {account}}}\n  \
         condition: not selection\n\
         satpam: {{accounts: [{account}], expires: {until}, owner: {by}, reason: {reason}}}\n",
        title = yaml(&format!("Exception after {}", incident.id.code())),
        rules = rules.join(", "),
        until = until.get(..10).unwrap_or(&until),
        by = yaml(by),
        reason = yaml(reason),
    );
    Some(text)
}

/// Writes a text as a YAML string that can be nothing else. JSON's strings are YAML's.
fn yaml(text: &str) -> String {
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        && text.bytes().any(|b| b.is_ascii_alphabetic() && !matches!(b, b'e' | b'E'))
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && !["true", "false", "yes", "no", "on", "off", "null"]
            .contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_yaml_stays_a_text() {
        for (text, written) in [
            ("toko-contoh", "toko-contoh"),
            ("no", "\"no\""),
            ("12", "\"12\""),
            ("a: b", "\"a: b\""),
            ("x\"}\n", "\"x\\\"}\\n\""),
        ] {
            assert_eq!(yaml(text), written);
        }
    }

    #[test]
    fn our_sentences_are_shown_whole_but_nothing_a_terminal_would_obey() {
        assert_eq!(line("a\u{1b}[2J\nb 628123456789"), "a [2J b 628*******89");
    }
}
