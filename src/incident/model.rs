//! Incidents, and the outbox entries that carry their consequences to the world.
//!
//! These are stored: they derive serde, and the store puts a version in front of their bytes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{AccountId, EventId, EventTime, ShardId};
use crate::rulebook::{ActionKind, Credential};

/// Names an incident: UUIDv5 of the account and the event that opened it, so that a replay mints
/// the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct IncidentId(pub Uuid);

/// The namespace of satpam's ids: UUIDv5 of the URL namespace and `urn:satpam`.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x36d0_ecc5_b209_5905_af7b_d46b_9c32_a6b2);

impl IncidentId {
    /// Mints the id of the incident that `event` opened for `account`.
    pub fn mint(account: &AccountId, event: &EventId) -> Self {
        let name = format!("incident\n{}\n{}", account.as_str(), event.as_str());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }

    /// Returns the short code that people read to each other: `SPM-7F3C2A`.
    pub fn code(self) -> String {
        let hex = self.0.simple().to_string().to_uppercase();
        format!("SPM-{}", &hex[..6])
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// How far an incident has gone: the highest threshold of the policy that the risk has crossed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    Alert,
    NotifyTenant,
    Respond,
}

impl Stage {
    pub const ALL: [Self; 3] = [Self::Alert, Self::NotifyTenant, Self::Respond];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::NotifyTenant => "notify_tenant",
            Self::Respond => "respond",
        }
    }
}

/// Several matches in one account that belong together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub shard: ShardId,
    pub account: AccountId,
    /// The tenant's own name, `account.name`.
    pub account_name: Option<Arc<str>>,
    /// Counts changes; the first is 0.
    pub revision: u32,
    pub stage: Stage,
    pub opened: EventTime,
    /// When the last match joined.
    pub last_match: EventTime,
    /// The account's risk at the last match, and the highest it has been.
    pub risk: f64,
    pub risk_peak: f64,
    /// What adds up to the risk, at most 32, one a rule.
    pub contributions: Vec<Contribution>,
    /// Who acted in the events that matched, at most 8, the latest last.
    pub actors: Vec<Actor>,
    pub impact: Impact,
    /// `id` or `en`; nothing where it is not known (the mail is bilingual then).
    pub language: Option<Arc<str>>,
    /// IANA name of the tenant's time zone.
    pub timezone: Arc<str>,
    /// Whether two-factor authentication is on for the whole account, if known.
    pub two_factor: Option<bool>,
    /// Who is told: the contacts of the tenant's own file and the admins seen in events.
    pub contacts: Vec<Arc<str>>,
    /// Revision of the rule set and version of satpam that decided.
    pub rules_revision: Arc<str>,
    pub engine_version: Arc<str>,
    pub state: IncidentState,
}

/// What one rule adds to the risk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// The rule's key, and its title, level and status as words at the time of the match. The
    /// status of a stable rule that hit too many accounts is `throttled`.
    pub rule: Arc<str>,
    pub title: Arc<str>,
    pub level: Arc<str>,
    pub status: Arc<str>,
    /// What a tenant is told, in Indonesian and English.
    pub tenant_text: Option<(Arc<str>, Arc<str>)>,
    pub event: EventId,
    pub event_type: Arc<str>,
    /// The last match; the risk decays from here.
    pub time: EventTime,
    /// How often the rule has matched in this incident.
    pub matches: u32,
    /// The rule's own risk.
    pub base: f64,
    /// The product of the posture's factors.
    pub multiplier: f64,
    pub multiplier_reasons: Vec<Arc<str>>,
    /// The values that decided, masked and cut: field, value.
    pub evidence: Vec<(Arc<str>, Arc<str>)>,
}

/// Who acted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub id: Option<Arc<str>>,
    pub email: Option<Arc<str>>,
    pub role: Option<Arc<str>>,
    pub credential: Option<Credential>,
    pub ip: Option<Arc<str>>,
}

/// What left the account in the events that matched, for people: figures and names, no texts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Impact {
    pub messages: u64,
    pub broadcasts: u64,
    /// Sum of the broadcasts' `recipient_count`.
    pub recipients: u64,
    /// Ids of the broadcasts counted, at most 64: creation and start of one job count once.
    pub jobs: Vec<Arc<str>>,
    /// Names of templates, at most 8.
    pub templates: Vec<Arc<str>>,
    /// Link hosts not seen before, at most 8.
    pub hosts: Vec<Arc<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IncidentState {
    Open,
    Closed { at: EventTime, verdict: Verdict, reason: Arc<str>, by: Arc<str> },
}

/// Why an incident was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// Nothing more happened for the policy's quiet time.
    Quiet,
    FalsePositive,
    Resolved,
    AcceptedRisk,
}

impl Verdict {
    /// Returns the word for commands and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::FalsePositive => "false-positive",
            Self::Resolved => "resolved",
            Self::AcceptedRisk => "accepted",
        }
    }
}

/// Names an outbox entry; also its idempotency key. UUIDv5 of incident, kind and target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutboxId(pub Uuid);

impl OutboxId {
    pub fn mint(incident: IncidentId, kind: DeliveryKind, target: &str) -> Self {
        let name = format!("outbox\n{incident}\n{}\n{target}", kind.name());
        Self(Uuid::new_v5(&NAMESPACE, name.as_bytes()))
    }
}

impl fmt::Display for OutboxId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeliveryKind {
    TenantMail(TenantMail),
    StaffMail(StaffMail),
    Action(ActionKind),
}

impl DeliveryKind {
    /// Returns the word for ids, logs and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::TenantMail(TenantMail::Notice) => "tenant_mail_notice",
            Self::TenantMail(TenantMail::Update) => "tenant_mail_update",
            Self::TenantMail(TenantMail::AllClear) => "tenant_mail_all_clear",
            Self::TenantMail(TenantMail::FalseAlarm) => "tenant_mail_false_alarm",
            Self::StaffMail(StaffMail::Opened) => "staff_mail_opened",
            Self::StaffMail(StaffMail::ApprovalNeeded) => "staff_mail_approval_needed",
            Self::Action(kind) => kind.as_str(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TenantMail {
    /// The first mail of an incident. Whether it says "we reset" or "nothing is changed yet" is
    /// decided when it is rendered, from what has been done by then.
    Notice,
    /// An action was done after the notice.
    Update,
    /// The incident closed.
    AllClear,
    /// Staff found that it was a false alarm.
    FalseAlarm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum StaffMail {
    Opened,
    ApprovalNeeded,
}

/// A planned delivery as the engine decides it: everything in it is a function of the events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Planned {
    pub id: OutboxId,
    pub shard: ShardId,
    pub account: AccountId,
    pub incident: IncidentId,
    pub kind: DeliveryKind,
    /// `tenant`, `staff` or `platform`.
    pub target: Arc<str>,
    pub created: EventTime,
    /// For people and the platform: the titles of the rules behind it.
    pub reason: Arc<str>,
    /// What a person must confirm whatever the mode says, and why.
    pub needs_approval: Option<ApprovalReason>,
    /// Wait until these are settled (or a bound has passed), so that a mail can say what was done.
    pub after: Vec<OutboxId>,
}

/// Why a planned action may not run by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ApprovalReason {
    /// The account is protected by its own file.
    Protected,
    /// Neither two distinct stable rules nor a critical one stand behind it.
    TooFewRules,
    /// The last forced response of this kind on this account is too recent.
    Cooldown,
    /// A rule without which it would not have come to this hits too many accounts.
    NoisyRule,
}
