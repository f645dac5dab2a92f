//! Mails over SMTP: one message for each recipient, so that a bad address spoils only itself and
//! admins do not learn each other's addresses.

use std::time::SystemTime;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::transport::smtp::{AsyncSmtpTransportBuilder, PoolConfig};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::render::{Mail, mask};
use super::settings::{EmailSettings, TlsMode};
use super::{DeliverError, SetupError};
use crate::clock::WallTime;
use crate::incident::{IncidentId, OutboxId};

/// Sends mails.
#[derive(Debug)]
pub(super) struct Mailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    envelope_from: Address,
}

/// Where a mail stands in the conversation about one incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    pub incident: IncidentId,
    pub audience: Audience,
    /// The entry that is delivered, and whether it is the first of the conversation.
    pub entry: OutboxId,
    pub place: Place,
    pub importance: Importance,
}

/// Who reads; each audience has a conversation of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    Tenant,
    Staff,
    Support,
}

/// A first mail, or one that joins it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    First,
    Reply,
}

/// Whether mail programs mark it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Importance {
    Normal,
    High,
}

impl Mailer {
    /// Prepares the connection; nothing is sent and nobody is asked yet. Needs a running runtime, for
    /// the pool of connections.
    pub(super) fn new(settings: &EmailSettings) -> Result<Self, SetupError> {
        let Prepared { builder, from, reply_to, envelope_from } = Prepared::new(settings)?;
        Ok(Self { transport: builder.build(), from, reply_to, envelope_from })
    }

    /// Returns why [`Mailer::new`] would fail. Needs no runtime.
    pub(super) fn check(settings: &EmailSettings) -> Result<(), SetupError> {
        Prepared::new(settings).map(|_| ())
    }

    /// Sends one mail to one recipient.
    pub(super) async fn send(
        &self,
        recipient: &str,
        mail: &Mail,
        thread: Thread,
        now: WallTime,
    ) -> Result<(), DeliverError> {
        let message = self.message(recipient, mail, thread, now)?;
        match self.transport.send(message).await {
            Ok(_) => Ok(()),
            Err(error) => Err(classify(&error)),
        }
    }

    fn message(
        &self,
        recipient: &str,
        mail: &Mail,
        thread: Thread,
        now: WallTime,
    ) -> Result<Message, DeliverError> {
        let address = |text: &str| {
            text.trim()
                .parse::<Mailbox>()
                .map_err(|error| DeliverError::Refused(format!("not a mail address: {error}")))
        };
        let to = address(recipient)?;
        let envelope = lettre::address::Envelope::new(
            Some(self.envelope_from.clone()),
            vec![to.email.clone()],
        )
        .map_err(|error| DeliverError::Refused(error.to_string()))?;
        let host = self.from.email.domain();
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .envelope(envelope)
            .date(date(now))
            .subject(mask::clean(&mail.subject))
            .message_id(Some(thread.message_id(host)))
            .raw_header(header("Auto-Submitted", "auto-generated"))
            .raw_header(header("X-Auto-Response-Suppress", "All"))
            .raw_header(header("Content-Language", &mail.languages));
        if let Some(reply_to) = &self.reply_to {
            builder = builder.reply_to(reply_to.clone());
        }
        if thread.place == Place::Reply {
            let first = thread.first_id(host);
            builder = builder.in_reply_to(first.clone()).references(first);
        }
        if thread.importance == Importance::High {
            builder = builder.raw_header(header("Importance", "high"));
        }
        builder
            .multipart(MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone()))
            .map_err(|error| DeliverError::Refused(error.to_string()))
    }
}

/// A mailer before its connections.
struct Prepared {
    builder: AsyncSmtpTransportBuilder,
    from: Mailbox,
    reply_to: Option<Mailbox>,
    envelope_from: Address,
}

impl Prepared {
    fn new(settings: &EmailSettings) -> Result<Self, SetupError> {
        let mailbox = |text: &str| {
            text.parse::<Mailbox>()
                .map_err(|source| SetupError::Address { address: text.to_owned(), source })
        };
        let from = mailbox(&settings.from)?;
        let envelope_from = match &settings.envelope_from {
            Some(text) => mailbox(text)?.email,
            None => from.email.clone(),
        };
        let reply_to = settings.reply_to.as_deref().map(mailbox).transpose()?;
        for address in settings.staff.iter().chain(&settings.support) {
            mailbox(address)?;
        }
        Ok(Self { builder: transport(settings)?, from, reply_to, envelope_from })
    }
}

impl Thread {
    /// The id of this mail: a function of the entry, so that a second delivery is recognised.
    fn message_id(self, host: &str) -> String {
        match self.place {
            Place::First => self.first_id(host),
            Place::Reply => format!("<{}-{}.{}@{host}>", self.word(), self.incident, self.entry),
        }
    }

    fn first_id(self, host: &str) -> String {
        format!("<{}-{}.0@{host}>", self.word(), self.incident)
    }

    fn word(self) -> &'static str {
        match self.audience {
            Audience::Tenant => "alert",
            Audience::Staff => "staff",
            Audience::Support => "support",
        }
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

fn date(now: WallTime) -> SystemTime {
    let since = std::time::Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
    SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
}

/// Codes of a sign-in that failed (RFC 4954): permanent for the server, and not about any mail. The
/// mails wait until someone has corrected the password.
const SIGN_IN_FAILED: [u16; 4] = [530, 534, 535, 538];

/// The refusal of one message is about the message; everything else is about the server.
fn classify(error: &lettre::transport::smtp::Error) -> DeliverError {
    let text = super::chain(error);
    let code = error.status().map(u16::from);
    if code.is_some_and(|code| SIGN_IN_FAILED.contains(&code)) {
        DeliverError::Unreachable { reason: text, after: None }
    } else if error.is_permanent() {
        DeliverError::Refused(text)
    } else if error.is_transient() {
        DeliverError::Later { reason: text, after: None }
    } else {
        DeliverError::Unreachable { reason: text, after: None }
    }
}

fn transport(settings: &EmailSettings) -> Result<AsyncSmtpTransportBuilder, SetupError> {
    let loopback = super::is_loopback(&settings.host);
    let tls = || -> Result<TlsParameters, SetupError> {
        let mut builder = TlsParameters::builder(settings.host.clone());
        if let Some(path) = &settings.ca_file {
            let pem = super::read_file(path)?;
            let certificate = Certificate::from_pem(&pem).map_err(SetupError::Smtp)?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(SetupError::Smtp)
    };
    let (tls, port) = match settings.tls {
        TlsMode::Starttls => (Tls::Required(tls()?), 587),
        TlsMode::Implicit => (Tls::Wrapper(tls()?), 465),
        TlsMode::None if loopback => (Tls::None, 25),
        TlsMode::None => return Err(SetupError::PlainSmtp(settings.host.clone())),
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
        .port(settings.port.unwrap_or(port))
        .tls(tls)
        .timeout(Some(settings.timeout.to_std()))
        .pool_config(PoolConfig::new().max_size(8));
    if let (Some(user), Some(password)) = (&settings.user, &settings.password) {
        builder = builder.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    Ok(builder)
}
