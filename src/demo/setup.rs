//! The configuration of the daemon in the demo: as shipped, but for where things are, and that
//! actions run without a person.

use std::net::SocketAddr;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::broker;
use crate::config::Config;
use crate::event::TimeSpan;
use crate::event::decode::WireShape;
use crate::ingest;
use crate::respond::guard::{Mode, Modes};
use crate::respond::{self, EmailSettings, PlatformSettings, TlsMode};
use crate::secret::Secret;
use crate::store;
use crate::telemetry;

/// Both sides of the platform's API sign with it; it never leaves this machine.
pub(super) const SIGNING_KEY: &[u8; 32] = b"the demo signs with a known key.";
/// Address of the monitoring team.
pub(super) const STAFF: &str = "monitoring@qiscus.example";

/// Where the daemon finds the rest of the demo.
#[derive(Debug)]
pub(super) struct Places<'a> {
    /// Folder for state and dead letters.
    pub(super) folder: &'a Path,
    pub(super) rules: &'a Path,
    pub(super) brokers: String,
    pub(super) mail: SocketAddr,
    pub(super) platform: SocketAddr,
}

/// Returns the configuration.
pub(super) fn config(places: &Places<'_>) -> Config {
    let topics = broker::TOPICS.map(|kind| (broker::topic(kind).to_owned(), WireShape::Satpam));
    let mut kafka = ingest::Settings {
        brokers: places.brokers.clone(),
        group_id: "satpam-demo".to_owned(),
        ..ingest::Settings::default()
    };
    kafka.dead_letter.target = ingest::DeadLetterTarget::File {
        path: places.folder.join("dead-letters.jsonl"),
        rotate_bytes: 16 << 20,
        keep: 1,
    };
    Config {
        rules: places.rules.to_owned(),
        topics: topics.into_iter().collect(),
        kafka,
        store: store::Settings { path: places.folder.join("state"), ..store::Settings::default() },
        respond: responses(places),
        telemetry: telemetry::Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            ..telemetry::Settings::default()
        },
        ..Config::default()
    }
}

fn responses(places: &Places<'_>) -> respond::Settings {
    respond::Settings {
        modes: Modes {
            force_password_reset: Mode::Auto,
            revoke_sessions: Mode::Auto,
            block_template: Mode::Auto,
            ..Modes::default()
        },
        // In the demo's time, which runs fast.
        notice_waits: TimeSpan::from_millis(3_600_000),
        email: Some(EmailSettings {
            host: places.mail.ip().to_string(),
            port: Some(places.mail.port()),
            tls: TlsMode::None,
            ca_file: None,
            user: None,
            password: None,
            from: "Qiscus Security <security@qiscus.example>".to_owned(),
            reply_to: None,
            envelope_from: None,
            staff: vec![STAFF.to_owned()],
            support: Some("support@qiscus.example".to_owned()),
            templates: None,
            timeout: TimeSpan::from_millis(30_000),
        }),
        platform: Some(PlatformSettings {
            base_url: format!("http://{}", places.platform),
            signing_secret: Secret::new(format!("whsec_{}", STANDARD.encode(SIGNING_KEY))),
            bearer_token: None,
            ca_file: None,
            timeout: TimeSpan::from_millis(15_000),
            poll_every: TimeSpan::from_millis(5_000),
            accepted_lasts: TimeSpan::from_millis(3_600_000),
        }),
        ..respond::Settings::default()
    }
}
