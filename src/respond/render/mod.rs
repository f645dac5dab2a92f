//! What mails say, as a function of an incident and of what became of its actions. Pure.
//!
//! Everything that comes from events is hostile: it goes through [`mask`] before it gets near a
//! template, and HTML is escaped by the template engine.

mod letter;
pub mod locale;
pub mod mask;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeMap;

use serde::Serialize;

pub use letter::{Mail, RenderError, Templates};

use crate::incident::{DeliveryKind, Incident, Planned, StaffMail, TenantMail};
use crate::rulebook::{ActionKind, Credential};
use crate::store::{OutboxEntry, OutboxStatus};
use letter::Letter;
use locale::Language;

/// Who writes, and whom to turn to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Brand {
    /// Stands in square brackets at the beginning of a tenant's subject.
    pub name: String,
    /// The company, as in "the ... monitoring team".
    pub company: String,
    /// Where tenants write to; without one they are sent to the chat in the dashboard.
    pub support_email: Option<String>,
    /// Link to the staff's runbook, in mails to staff.
    pub runbook_url: Option<String>,
}

impl Default for Brand {
    fn default() -> Self {
        Self {
            name: "Qiscus Security".to_owned(),
            company: "Qiscus".to_owned(),
            support_email: None,
            runbook_url: None,
        }
    }
}

#[derive(Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "the conditions of a mail template")]
struct TenantContext<'a> {
    brand: &'a str,
    company: &'a str,
    support_email: Option<String>,
    account: String,
    code: String,
    variant: &'static str,
    when: String,
    broadcasts: Option<String>,
    recipients: Option<String>,
    messages: Option<String>,
    actors: Vec<ActorContext>,
    hosts: Vec<String>,
    templates: Vec<String>,
    reasons: Vec<String>,
    done: Vec<DoneContext>,
    held: Vec<&'static str>,
    reset_done: bool,
    sessions_revoked: bool,
    secret_key_used: bool,
    secret_key_requested: bool,
    two_factor: bool,
}

#[derive(Serialize)]
struct ActorContext {
    name: String,
    role: Option<String>,
    secret_key: bool,
    ip: Option<String>,
}

#[derive(Serialize)]
struct DoneContext {
    kind: &'static str,
    at: String,
    /// `2 Admin, 3 Agent`; empty where the platform did not say.
    users: String,
    failed: u64,
}

/// Writes a mail to a tenant. `actions` are the entries of the incident's actions in any state.
pub fn tenant_mail(
    templates: &Templates,
    brand: &Brand,
    incident: &Incident,
    kind: TenantMail,
    actions: &[OutboxEntry],
) -> Result<Mail, RenderError> {
    let mut letters = Vec::new();
    for language in Language::of_tenant(incident.language.as_deref()) {
        let context = tenant_context(brand, incident, kind, actions, language);
        let template = match language {
            Language::Indonesian => "tenant.id.txt",
            Language::English => "tenant.en.txt",
        };
        letters.push(templates.letter(template, language.tag(), &context)?);
    }
    templates.lay_out(&letters)
}

fn tenant_context<'a>(
    brand: &'a Brand,
    incident: &Incident,
    kind: TenantMail,
    actions: &[OutboxEntry],
    language: Language,
) -> TenantContext<'a> {
    let zone = locale::zone(&incident.timezone);
    let count = |value: u64| (value > 0).then(|| locale::number(language, value));
    let done = |kind: ActionKind| {
        actions.iter().any(|entry| {
            entry.planned.kind == DeliveryKind::Action(kind) && entry.status == OutboxStatus::Done
        })
    };
    TenantContext {
        brand: &brand.name,
        company: &brand.company,
        support_email: brand.support_email.clone(),
        account: account_name(incident),
        code: incident.id.code(),
        variant: match kind {
            TenantMail::Notice => "notice",
            TenantMail::Update => "update",
            TenantMail::AllClear => "all_clear",
            TenantMail::FalseAlarm => "false_alarm",
        },
        when: when(incident, language),
        broadcasts: count(incident.impact.broadcasts),
        recipients: count(incident.impact.recipients),
        messages: count(incident.impact.messages),
        actors: actors(incident, Audience::Tenant),
        hosts: incident.impact.hosts.iter().map(|host| link(host)).collect(),
        templates: incident.impact.templates.iter().map(|name| mask::quote(name)).collect(),
        reasons: reasons(incident, language),
        done: actions.iter().filter_map(|entry| done_context(entry, language, &zone)).collect(),
        held: actions.iter().filter_map(held_kind).collect(),
        reset_done: done(ActionKind::ForcePasswordReset),
        sessions_revoked: done(ActionKind::RevokeSessions),
        secret_key_used: incident
            .actors
            .iter()
            .any(|actor| actor.credential == Some(Credential::SecretKey)),
        secret_key_requested: done(ActionKind::RequestSecretKeyReset),
        two_factor: incident.two_factor == Some(true),
    }
}

fn account_name(incident: &Incident) -> String {
    let name = incident.account_name.as_deref().map(mask::quote).unwrap_or_default();
    if name.is_empty() { mask::quote(incident.account.as_str()) } else { name }
}

fn when(incident: &Incident, language: Language) -> String {
    let zone = locale::zone(&incident.timezone);
    locale::span(language, &zone, incident.opened.millis(), incident.last_match.millis())
}

/// A host in a form that no mail client turns into a link.
fn link(host: &str) -> String {
    let host = mask::quote(host);
    if host.contains("://") { host } else { format!("hxxps://{host}") }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Audience {
    Tenant,
    Staff,
}

fn actors(incident: &Incident, audience: Audience) -> Vec<ActorContext> {
    let known = |actor: &&crate::incident::Actor| actor.email.is_some() || actor.id.is_some();
    incident
        .actors
        .iter()
        .filter(known)
        .map(|actor| ActorContext {
            name: match (audience, actor.email.as_deref(), actor.id.as_deref()) {
                (Audience::Staff, Some(email), _) => mask::mask_digits(&mask::clean(email)),
                (Audience::Tenant, Some(email), _) => mask::mask_email(email),
                (Audience::Tenant | Audience::Staff, None, id) => mask::quote(id.unwrap_or("?")),
            },
            role: actor.role.as_deref().map(mask::quote),
            secret_key: actor.credential == Some(Credential::SecretKey),
            ip: actor.ip.as_deref().map(mask::ip),
        })
        .collect()
}

/// What the rules say to a tenant, each sentence once.
fn reasons(incident: &Incident, language: Language) -> Vec<String> {
    let mut reasons: Vec<String> = Vec::new();
    for (indonesian, english) in
        incident.contributions.iter().filter_map(|contribution| contribution.tenant_text.as_ref())
    {
        let text = match language {
            Language::Indonesian => indonesian,
            Language::English => english,
        };
        let text = mask::clean(text);
        if !reasons.contains(&text) {
            reasons.push(text);
        }
    }
    reasons
}

fn done_context(
    entry: &OutboxEntry,
    language: Language,
    zone: &jiff::tz::TimeZone,
) -> Option<DoneContext> {
    let DeliveryKind::Action(kind) = entry.planned.kind else { return None };
    if entry.status != OutboxStatus::Done {
        return None;
    }
    let at = entry.settled.unwrap_or(entry.next_attempt);
    let mut roles: BTreeMap<usize, u64> = BTreeMap::new();
    for user in entry.outcome.iter().filter(|user| user.done) {
        *roles.entry(role_rank(&user.role)).or_default() += 1;
    }
    let users: Vec<String> = roles
        .into_iter()
        .map(|(rank, count)| format!("{} {}", locale::number(language, count), ROLES[rank]))
        .collect();
    let failed = entry.outcome.iter().filter(|user| !user.done).count();
    Some(DoneContext {
        kind: kind.as_str(),
        at: locale::time(language, zone, at.0),
        users: users.join(", "),
        failed: u64::try_from(failed).unwrap_or(u64::MAX),
    })
}

const ROLES: [&str; 4] = ["Admin", "Supervisor", "Agent", "User"];

fn role_rank(role: &str) -> usize {
    match role {
        "admin" => 0,
        "supervisor" => 1,
        "agent" => 2,
        _ => 3,
    }
}

fn held_kind(entry: &OutboxEntry) -> Option<&'static str> {
    match (entry.planned.kind, entry.status) {
        (DeliveryKind::Action(kind), OutboxStatus::Held(_)) => Some(kind.as_str()),
        (DeliveryKind::Action(_) | DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_), _) => {
            None
        }
    }
}

#[derive(Serialize)]
struct StaffContext {
    variant: &'static str,
    account: String,
    account_code: String,
    code: String,
    incident: String,
    level: String,
    risk: String,
    risk_peak: String,
    stage: &'static str,
    revision: u32,
    when: String,
    broadcasts: String,
    recipients: String,
    messages: String,
    actors: Vec<ActorContext>,
    hosts: Vec<String>,
    templates: Vec<String>,
    two_factor_text: &'static str,
    rules_revision: String,
    engine_version: String,
    contacts: String,
    contributions: Vec<ContributionContext>,
    half_life: String,
    actions: Vec<ActionContext>,
    held_ids: Vec<String>,
    approval_hours: i64,
    runbook_url: Option<String>,
}

#[derive(Serialize)]
struct ContributionContext {
    title: String,
    level: String,
    status: String,
    base: String,
    multiplier: String,
    multiplier_reasons: String,
    risk: String,
    decayed: String,
    matches: u32,
    at: String,
    event: String,
    event_type: String,
    evidence: Vec<String>,
}

#[derive(Serialize)]
struct ActionContext {
    kind: &'static str,
    status: String,
    id: Option<String>,
}

/// What a mail to staff needs beside the incident.
#[derive(Debug, Clone, Copy)]
pub struct StaffFacts<'a> {
    /// Entries of the incident's actions in any state.
    pub actions: &'a [OutboxEntry],
    /// Time in which a contribution halves.
    pub half_life: crate::event::TimeSpan,
    /// How long a held action waits for a person.
    pub approval_lasts: crate::event::TimeSpan,
}

/// Writes a mail to staff.
pub fn staff_mail(
    templates: &Templates,
    brand: &Brand,
    incident: &Incident,
    kind: StaffMail,
    facts: StaffFacts<'_>,
) -> Result<Mail, RenderError> {
    let language = Language::English;
    let context = StaffContext {
        variant: match kind {
            StaffMail::Opened => "opened",
            StaffMail::ApprovalNeeded => "approval",
        },
        account: account_name(incident),
        account_code: mask::quote(incident.account.as_str()),
        code: incident.id.code(),
        incident: incident.id.to_string(),
        level: top_level(incident),
        risk: figure(incident.risk),
        risk_peak: figure(incident.risk_peak),
        stage: incident.stage.as_str(),
        revision: incident.revision,
        when: when(incident, language),
        broadcasts: locale::number(language, incident.impact.broadcasts),
        recipients: locale::number(language, incident.impact.recipients),
        messages: locale::number(language, incident.impact.messages),
        actors: actors(incident, Audience::Staff),
        hosts: incident.impact.hosts.iter().map(|host| link(host)).collect(),
        templates: incident.impact.templates.iter().map(|name| mask::quote(name)).collect(),
        two_factor_text: match incident.two_factor {
            Some(true) => "on",
            Some(false) => "off",
            None => "not known",
        },
        rules_revision: mask::clean(&incident.rules_revision),
        engine_version: mask::clean(&incident.engine_version),
        contacts: match incident.contacts.len() {
            0 => "none is known: this tenant cannot be told by mail".to_owned(),
            count => count.to_string(),
        },
        contributions: contributions(incident, facts.half_life),
        half_life: facts.half_life.to_string(),
        actions: facts.actions.iter().filter_map(action_context).collect(),
        held_ids: facts
            .actions
            .iter()
            .filter(|entry| held_kind(entry).is_some())
            .map(|entry| entry.planned.id.to_string())
            .collect(),
        approval_hours: (facts.approval_lasts.millis() / 3_600_000).max(1),
        runbook_url: brand.runbook_url.clone(),
    };
    let letter = templates.letter("staff.en.txt", "en", &context)?;
    templates.lay_out(&[letter])
}

fn top_level(incident: &Incident) -> String {
    const LEVELS: [&str; 5] = ["critical", "high", "medium", "low", "informational"];
    let has = |level: &&&str| incident.contributions.iter().any(|one| *one.level == ***level);
    (*LEVELS.iter().find(has).unwrap_or(&"informational")).to_owned()
}

fn figure(value: f64) -> String {
    format!("{value:.1}")
}

fn contributions(
    incident: &Incident,
    half_life: crate::event::TimeSpan,
) -> Vec<ContributionContext> {
    let zone = locale::zone(&incident.timezone);
    incident
        .contributions
        .iter()
        .map(|one| {
            let risk = one.base * one.multiplier;
            #[expect(clippy::cast_precision_loss, reason = "lengths of time below 2^52 ms")]
            let halvings = incident.last_match.millis_since(one.time).max(0) as f64
                / half_life.millis().max(1) as f64;
            ContributionContext {
                title: mask::clean(&one.title),
                level: mask::clean(&one.level),
                status: mask::clean(&one.status),
                base: figure(one.base),
                multiplier: format!("{:.2}", one.multiplier),
                multiplier_reasons: one.multiplier_reasons.join(", "),
                risk: figure(risk),
                decayed: figure(risk * (-halvings).exp2()),
                matches: one.matches,
                at: locale::time(Language::English, &zone, one.time.millis()),
                event: mask::quote(one.event.as_str()),
                event_type: mask::word(&one.event_type),
                evidence: one
                    .evidence
                    .iter()
                    .map(|(field, value)| {
                        format!("{} = {}", mask::clean(field), mask::quote(value))
                    })
                    .collect(),
            }
        })
        .collect()
}

fn action_context(entry: &OutboxEntry) -> Option<ActionContext> {
    let kind = match entry.planned.kind {
        DeliveryKind::Action(kind) => kind.as_str(),
        DeliveryKind::TenantMail(TenantMail::Notice) => "mail to the tenant",
        DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) => return None,
    };
    let id = |wanted: bool| wanted.then(|| entry.planned.id.to_string());
    let (status, id) = match entry.status {
        OutboxStatus::Due => ("on its way".to_owned(), id(false)),
        OutboxStatus::Held(reason) => {
            (format!("needs approval, because {}", reason.text()), id(true))
        }
        OutboxStatus::Done => ("done".to_owned(), id(true)),
        OutboxStatus::Recorded => ("recorded only".to_owned(), id(false)),
        OutboxStatus::Parked => ("failed and parked".to_owned(), id(true)),
        OutboxStatus::Refused => ("refused".to_owned(), id(true)),
    };
    Some(ActionContext { kind, status, id })
}

#[derive(Serialize)]
struct SupportContext<'a> {
    account: String,
    account_code: String,
    code: String,
    incident: String,
    request: String,
    when: String,
    reason: &'a str,
}

/// Writes the request to the support team for a reset of the tenant's Secret Key.
pub fn support_mail(
    templates: &Templates,
    incident: &Incident,
    planned: &Planned,
) -> Result<Mail, RenderError> {
    let reason = mask::quote(&planned.reason);
    let context = SupportContext {
        account: account_name(incident),
        account_code: mask::quote(incident.account.as_str()),
        code: incident.id.code(),
        incident: incident.id.to_string(),
        request: planned.id.to_string(),
        when: when(incident, Language::English),
        reason: &reason,
    };
    let letter: Letter = templates.letter("support.en.txt", "en", &context)?;
    templates.lay_out(&[letter])
}
