//! The settings of everything behind the outbox.

use std::path::PathBuf;

use serde::Deserialize;

use super::circuit::CircuitSettings;
use super::guard::{BudgetSettings, Modes};
use super::mail_limit::MailLimitSettings;
use super::render::Brand;
use super::retry::RetrySettings;
use crate::event::TimeSpan;
use crate::secret::Secret;

/// Settings of the responses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What each kind of action may do by itself.
    pub modes: Modes,
    /// How many accounts the actions may touch without a person.
    pub budget: BudgetSettings,
    /// How long a held action waits for a person, and how long a yes counts.
    pub approval_lasts: TimeSpan,
    /// Longest time a notice to a tenant waits for the actions planned with it, so that it can say
    /// what was done.
    pub notice_waits: TimeSpan,
    pub retry: RetrySettings,
    pub circuit: CircuitSettings,
    /// Deliveries under way at once, for each of tenant mails, staff mails and the platform; 1 to 64.
    pub concurrency: u32,
    pub mail_limits: MailLimitSettings,
    pub brand: Brand,
    /// The mail server. Without one, mails are recorded and not sent.
    pub email: Option<EmailSettings>,
    /// The platform's account API. Without one, its actions are recorded and not asked for.
    pub platform: Option<PlatformSettings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            modes: Modes::default(),
            budget: BudgetSettings::default(),
            approval_lasts: TimeSpan::from_millis(24 * 3_600_000),
            notice_waits: TimeSpan::from_millis(60_000),
            retry: RetrySettings::default(),
            circuit: CircuitSettings::default(),
            concurrency: 4,
            mail_limits: MailLimitSettings::default(),
            brand: Brand::default(),
            email: None,
            platform: None,
        }
    }
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TlsMode {
    /// Plain at first, then STARTTLS; refused if the server does not offer it.
    Starttls,
    /// TLS from the first byte.
    Implicit,
    /// No protection: for a server on this machine only.
    None,
}

/// The mail server and the people behind the addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    pub host: String,
    /// 587 for STARTTLS, 465 for implicit TLS, 25 for none, unless given.
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default = "starttls")]
    pub tls: TlsMode,
    /// Certificates in PEM to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    #[serde(default)]
    pub user: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    /// `Name <address>`; its host also ends the message ids.
    pub from: String,
    #[serde(default)]
    pub reply_to: Option<String>,
    /// Where bounces go, unless to `from`.
    #[serde(default)]
    pub envelope_from: Option<String>,
    /// Addresses of the monitoring staff.
    #[serde(default)]
    pub staff: Vec<String>,
    /// Address of the team that resets Secret Keys.
    #[serde(default)]
    pub support: Option<String>,
    /// Folder with templates that replace the embedded ones of the same name.
    #[serde(default)]
    pub templates: Option<PathBuf>,
    /// Longest time for one mail.
    #[serde(default = "half_a_minute")]
    pub timeout: TimeSpan,
}

/// The platform's account API.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformSettings {
    /// `https://...`; plain `http` is accepted for this machine only.
    pub base_url: String,
    /// Key of the request signature: `whsec_` and base64 of 24 to 64 bytes.
    pub signing_secret: Secret,
    #[serde(default)]
    pub bearer_token: Option<Secret>,
    /// Certificates in PEM to trust beside the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Longest time for one request.
    #[serde(default = "quarter_minute")]
    pub timeout: TimeSpan,
    /// How often an accepted action is asked after.
    #[serde(default = "five_seconds")]
    pub poll_every: TimeSpan,
    /// How long an accepted action may take before it is parked.
    #[serde(default = "one_hour")]
    pub accepted_lasts: TimeSpan,
}

fn starttls() -> TlsMode {
    TlsMode::Starttls
}

fn half_a_minute() -> TimeSpan {
    TimeSpan::from_millis(30_000)
}

fn quarter_minute() -> TimeSpan {
    TimeSpan::from_millis(15_000)
}

fn five_seconds() -> TimeSpan {
    TimeSpan::from_millis(5_000)
}

fn one_hour() -> TimeSpan {
    TimeSpan::from_millis(3_600_000)
}
