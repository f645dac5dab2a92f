//! What the control socket takes and answers, as JSON. Times are RFC 3339 in UTC, lengths of time
//! are seconds. New fields may come; none is renamed within a version of the paths.

use serde::{Deserialize, Serialize};

/// Why a person decides; `by` refines the user that the kernel names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReasonRequest {
    pub reason: String,
    #[serde(default)]
    pub by: Option<String>,
}

/// As what a person closes an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloseRequest {
    /// `false-positive`, `resolved` or `accepted`.
    #[serde(rename = "as")]
    pub verdict: String,
    pub reason: String,
    #[serde(default)]
    pub by: Option<String>,
}

/// Incidents, the latest opened first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentList {
    pub incidents: Vec<IncidentSummary>,
    /// Whether the limit left some out.
    pub truncated: bool,
}

/// One line of a list of incidents.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentSummary {
    pub id: String,
    /// `SPM-7F3C2A`
    pub code: String,
    pub account: String,
    pub account_name: Option<String>,
    /// `open` or `closed`.
    pub state: String,
    /// `alert`, `notify_tenant` or `respond`.
    pub stage: String,
    /// The highest risk.
    pub risk: f64,
    pub opened: String,
    pub last_match: String,
    /// How many rules stand behind it.
    pub rules: usize,
    /// The title of the rule that weighs most.
    pub title: String,
    pub closed: Option<ClosedView>,
}

/// How an incident ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedView {
    pub at: String,
    /// `quiet`, `false-positive`, `resolved` or `accepted`.
    pub verdict: String,
    pub reason: String,
    pub by: String,
}

/// Everything about an incident, each number explained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IncidentView {
    pub summary: IncidentSummary,
    /// The account's risk at the last match.
    pub risk_at_last_match: f64,
    /// What the contributions are worth at `now`.
    pub risk_now: f64,
    pub now: String,
    pub half_life_seconds: i64,
    /// Those of the rules in use at present.
    pub thresholds: Vec<ThresholdView>,
    /// The heaviest first.
    pub contributions: Vec<ContributionView>,
    pub actors: Vec<ActorView>,
    pub impact: ImpactView,
    pub two_factor: Option<bool>,
    pub timezone: String,
    /// Who is told, masked.
    pub contacts: Vec<String>,
    pub rules_revision: String,
    pub engine_version: String,
    pub deliveries: Vec<DeliveryView>,
    /// What people and satpam did, the latest first.
    pub audit: Vec<AuditView>,
    /// For a false positive: a filter to begin an exception with.
    pub exception: Option<String>,
}

/// A threshold of the policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThresholdView {
    pub name: String,
    pub risk: f64,
    pub crossed: bool,
}

/// What one rule adds to the risk: `risk = base * multiplier * 2^(-age / half-life)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContributionView {
    pub rule: String,
    pub title: String,
    pub level: String,
    pub status: String,
    pub base: f64,
    pub multiplier: f64,
    pub multiplier_reasons: Vec<String>,
    /// What it added to the risk at the incident's last match, and adds at `now`; 0 where a heavier
    /// rule measures the same fact.
    pub worth_at_last_match: f64,
    pub worth_now: f64,
    pub time: String,
    pub matches: u32,
    pub event: String,
    pub event_type: String,
    pub evidence: Vec<EvidenceView>,
}

/// A value that decided, masked and cut.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    pub field: String,
    pub value: String,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorView {
    pub id: Option<String>,
    pub email: Option<String>,
    pub role: Option<String>,
    pub credential: Option<String>,
    pub ip: Option<String>,
}

/// What left the account in the events that matched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImpactView {
    pub messages: u64,
    pub broadcasts: u64,
    pub recipients: u64,
    pub templates: Vec<String>,
    pub hosts: Vec<String>,
}

/// Entries of the outbox, the latest planned first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryList {
    pub deliveries: Vec<DeliveryView>,
    pub truncated: bool,
}

/// One planned mail or action, and how it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeliveryView {
    pub id: String,
    /// `force_password_reset`, `tenant_mail_notice` and so on.
    pub kind: String,
    /// Whether it is an action of the platform's rather than a mail.
    pub is_action: bool,
    pub account: String,
    pub incident: String,
    pub incident_code: String,
    /// `due`, `held`, `done`, `recorded`, `parked` or `refused`.
    pub state: String,
    /// Why it waits for a person.
    pub held_because: Option<String>,
    /// The titles of the rules behind it.
    pub reason: String,
    pub planned: String,
    pub attempts: u32,
    /// Set while it is due.
    pub next_attempt: Option<String>,
    pub last_error: Option<String>,
    pub users: Vec<UserView>,
    pub decision: Option<DecisionView>,
    pub settled: Option<String>,
}

/// What a receiver did for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserView {
    pub user: String,
    pub role: String,
    pub done: bool,
}

/// What a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionView {
    pub approved: bool,
    pub by: String,
    pub reason: String,
    pub at: String,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditView {
    pub at: String,
    pub who: String,
    pub what: String,
    pub subject: String,
    pub reason: String,
}

/// What closing an incident has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClosingView {
    pub incident: IncidentSummary,
    /// Actions that waited for a person, or for another try, and are no longer carried out.
    pub withdrawn: Vec<DeliveryView>,
    /// Actions that were done before: the platform may be asked to take them back.
    pub done: Vec<DeliveryView>,
    /// For a false positive: a filter to begin an exception with.
    pub exception: Option<String>,
}

/// What an experimental rule has matched since it was staged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StagingView {
    pub rule: String,
    /// The first event that was judged with it; nothing when none was yet.
    pub staged: Option<String>,
    /// The latest event that was judged with it.
    pub judged_until: Option<String>,
    /// Days from the first to the latest, by the time of the events.
    pub staged_days: f64,
    pub matches: u64,
    /// Of those, the ones that came while an incident of the account was open.
    pub matches_during_incidents: u64,
    /// Accounts it matched at: exact up to 256 in each shard, an estimate beyond.
    pub accounts: u64,
    pub accounts_with_incidents: u64,
    /// All accounts that are known.
    pub accounts_known: u64,
    pub first_match: Option<String>,
    pub last_match: Option<String>,
    /// The latest days (UTC) with a match, the latest first.
    pub days: Vec<DayView>,
    /// Matches, the latest first, each of another account.
    pub samples: Vec<SampleView>,
}

/// The matches of one day.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayView {
    /// `2027-01-31`
    pub day: String,
    pub matches: u64,
}

/// One match of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SampleView {
    pub time: String,
    pub account: String,
    pub event: String,
}
