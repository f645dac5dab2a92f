//! The outbox goes to the world: mails and platform actions.
//!
//! [`start`] runs one dispatcher. It takes what is due, asks [`guard`] whether an action may run,
//! delivers over the entry's own bounded lane, and settles the entry by comparison, so that a
//! person's decision is never overwritten. A crash between a delivery and its settlement repeats
//! the delivery under the same id: receivers see it once. Nothing is dropped: what cannot be
//! delivered is parked.

mod circuit;
mod deliver;
mod email;
pub mod guard;
mod mail_limit;
mod metrics;
mod operate;
mod platform;
pub mod render;
mod retry;
mod settings;
mod shared;
mod signature;
#[cfg(test)]
mod tests;
mod worker;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64};

use tokio_util::sync::CancellationToken;

pub use circuit::CircuitSettings;
pub use mail_limit::MailLimitSettings;
pub use metrics::Metrics;
pub use operate::{OperateError, Operator, Person};
pub use platform::body as platform_request_body;
pub use retry::RetrySettings;
pub use settings::{EmailSettings, PlatformSettings, Settings, TlsMode};

use crate::clock::Clock;
use crate::event::TimeSpan;
use crate::incident::DeliveryKind;
use crate::store::Store;
use crate::telemetry::Pulse;
use shared::Shared;

/// What the responder is told by the other stages while it runs.
#[derive(Debug)]
pub struct Figures {
    /// Accounts that the engine has seen, for the budget's share.
    pub accounts_seen: AtomicU64,
    /// The policy's half-life, in milliseconds, for the explanation in mails to staff.
    pub half_life_millis: AtomicI64,
}

impl Default for Figures {
    fn default() -> Self {
        Self { accounts_seen: AtomicU64::new(0), half_life_millis: AtomicI64::new(6 * 3_600_000) }
    }
}

/// The running responder: its task, and the way for people to decide.
#[derive(Debug)]
pub struct Responder {
    pub task: tokio::task::JoinHandle<()>,
    pub operator: Operator,
}

/// Starts the responder on the current runtime. It stops soon after `cancel`: deliveries under way
/// get a few seconds, and what they did not finish is due again at the next start.
///
/// `notify` is rung by the engine after a commit that planned something; `pulse` beats at each look
/// into the outbox.
#[expect(clippy::too_many_arguments, reason = "each is another stage's, and named once")]
pub fn start(
    settings: Settings,
    store: Store,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    figures: Arc<Figures>,
    notify: Arc<tokio::sync::Notify>,
    pulse: Pulse,
    cancel: CancellationToken,
) -> Result<Responder, SetupError> {
    let shared = Arc::new(Shared::new(settings, store, clock, metrics, figures, notify)?);
    let operator = Operator::new(Arc::clone(&shared));
    Ok(Responder { task: tokio::spawn(worker::run(shared, pulse, cancel)), operator })
}

/// The lane of an entry: each has its own bound, so that none waits for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sink {
    TenantMail,
    StaffMail,
    Platform,
}

impl Sink {
    const ALL: [Self; 3] = [Self::TenantMail, Self::StaffMail, Self::Platform];

    fn of(kind: DeliveryKind) -> Self {
        match kind {
            DeliveryKind::TenantMail(_) => Self::TenantMail,
            DeliveryKind::StaffMail(_)
            | DeliveryKind::Action(crate::rulebook::ActionKind::RequestSecretKeyReset) => {
                Self::StaffMail
            }
            DeliveryKind::Action(_) => Self::Platform,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::TenantMail => "tenant_mail",
            Self::StaffMail => "staff_mail",
            Self::Platform => "platform",
        }
    }

    /// Returns the receiver behind the lane, by the name of its circuit.
    fn target(self) -> &'static str {
        match self {
            Self::TenantMail | Self::StaffMail => "smtp",
            Self::Platform => "platform",
        }
    }
}

/// What became of one look at an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Delivered,
    /// The platform accepted it and is asked after.
    Accepted,
    Retried,
    Parked,
    Refused,
    Held,
    Recorded,
    /// Put off without a try: a cap, an open circuit, or the wait for actions.
    Deferred,
}

impl Outcome {
    const ALL: [Self; 8] = [
        Self::Delivered,
        Self::Accepted,
        Self::Retried,
        Self::Parked,
        Self::Refused,
        Self::Held,
        Self::Recorded,
        Self::Deferred,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Accepted => "accepted",
            Self::Retried => "retried",
            Self::Parked => "parked",
            Self::Refused => "refused",
            Self::Held => "held",
            Self::Recorded => "recorded",
            Self::Deferred => "deferred",
        }
    }
}

/// Why a delivery failed, by what follows. The texts hold no secret and no message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DeliverError {
    /// The receiver answered that this one cannot be taken now.
    #[error("{reason}")]
    Later { reason: String, after: Option<TimeSpan> },
    /// The receiver did not answer, or cannot serve anyone: counts against its circuit.
    #[error("{reason}")]
    Unreachable { reason: String, after: Option<TimeSpan> },
    /// The same bytes will fail again.
    #[error("{0}")]
    Refused(String),
    /// The receiver does not know what the request is about.
    #[error("{0}")]
    NotFound(String),
}

/// Why the responder cannot be started with these settings.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("`{address}` is not a mail address")]
    Address { address: String, source: lettre::address::AddressError },
    #[error("a mail server without TLS is accepted on this machine only, not at `{0}`")]
    PlainSmtp(String),
    #[error("the TLS settings of the mail server are not usable")]
    Smtp(#[source] lettre::transport::smtp::Error),
    #[error("`{0}` is not an https address (http is accepted for this machine only)")]
    BaseUrl(String),
    #[error("the HTTP client could not be made")]
    HttpClient(#[source] reqwest::Error),
    #[error(transparent)]
    SigningKey(#[from] signature::InvalidSigningKey),
    #[error("{} could not be read", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(transparent)]
    Templates(#[from] render::RenderError),
    #[error("the responder's own state could not be read")]
    Store(#[from] crate::store::StoreError),
}

/// Prints an error with its causes, as people read it in `last_error`.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        let next = source.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = source.source();
    }
    text
}

fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn read_file(path: &Path) -> Result<Vec<u8>, SetupError> {
    std::fs::read(path).map_err(|source| SetupError::Read { path: path.to_owned(), source })
}
