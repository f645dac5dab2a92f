//! What the events themselves tell about an account: kept, because not every event repeats it.

use std::sync::Arc;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Kind, Value};
use crate::incident::{Actor, Impact};
use crate::rulebook::{AccountSettings, Credential};

/// The account as its latest events described it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Profile {
    pub(super) name: Option<Arc<str>>,
    pub(super) plan: Option<Arc<str>>,
    pub(super) timezone: Option<Arc<str>>,
    pub(super) language: Option<Arc<str>>,
    pub(super) two_factor: Option<bool>,
    pub(super) allowlist: Option<Arc<[IpNet]>>,
    /// Mail addresses of admins that have acted, at most 8, the latest last.
    pub(super) admins: Vec<Arc<str>>,
}

const ADMINS_MAX: usize = 8;
/// A name, plan, zone or language longer than this is not one.
const TEXT_MAX_BYTES: usize = 200;
const ALLOWLIST_MAX: usize = 256;

impl Profile {
    /// Takes over what an event says of its account and actor.
    pub(super) fn learn(&mut self, event: &Event) {
        let root = event.document().root();
        if let Some(account) = root.get("account") {
            for (key, value) in account.byte_entries() {
                match key {
                    b"name" => update(&mut self.name, value),
                    b"plan" => update(&mut self.plan, value),
                    b"timezone" => update(&mut self.timezone, value),
                    b"language" => update(&mut self.language, value),
                    b"two_factor" => self.two_factor = boolean(value).or(self.two_factor),
                    b"network_allowlist" => self.learn_allowlist(value),
                    _ => {}
                }
            }
        }
        let Some(actor) = root.get("actor") else { return };
        if actor.get("role").and_then(Value::as_str) == Some("admin")
            && let Some(email) =
                actor.get("email").and_then(Value::as_str).filter(|text| is_email(text))
        {
            self.learn_admin(email);
        }
    }

    fn learn_admin(&mut self, email: &str) {
        if self.admins.last().is_some_and(|last| &**last == email) {
            return;
        }
        self.admins.retain(|known| &**known != email);
        self.admins.push(email.into());
        if self.admins.len() > ADMINS_MAX {
            self.admins.remove(0);
        }
    }

    fn learn_allowlist(&mut self, value: Value<'_>) {
        if value.kind() != Kind::Array {
            return;
        }
        let parse = |text: &str| {
            let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
            text.parse::<IpNet>().ok().or(address.ok())
        };
        let unchanged = self.allowlist.as_ref().is_some_and(|known| {
            let mut texts = value.elements().filter_map(Value::as_str).filter_map(parse);
            known.iter().all(|net| texts.next() == Some(*net)) && texts.next().is_none()
        });
        if unchanged {
            return;
        }
        let networks: Arc<[IpNet]> = value
            .elements()
            .filter_map(Value::as_str)
            .filter_map(parse)
            .take(ALLOWLIST_MAX)
            .collect();
        self.allowlist = (!networks.is_empty()).then_some(networks);
    }

    /// Returns who is told about an incident: the contacts of the tenant's own file first, then the
    /// admins seen in events, each once.
    pub(super) fn contacts(&self, settings: Option<&AccountSettings>) -> Vec<Arc<str>> {
        let configured = settings.map_or(&[][..], |settings| &settings.contacts);
        let mut contacts: Vec<Arc<str>> = Vec::new();
        for contact in configured.iter().chain(&self.admins) {
            if !contacts.contains(contact) {
                contacts.push(contact.clone());
            }
        }
        contacts
    }
}

/// Returns who acted, as an incident keeps it; nothing where the event names nobody.
pub(super) fn actor(event: &Event) -> Option<Actor> {
    let actor = event.document().root().get("actor")?;
    let text = |key: &str| {
        let text = actor.get(key)?.to_text()?;
        (!text.is_empty() && text.len() <= TEXT_MAX_BYTES).then(|| Arc::from(&*text))
    };
    let credential = match actor.get("auth").and_then(Value::as_str) {
        Some("password") => Some(Credential::Password),
        Some("token") => Some(Credential::Token),
        Some("secret_key") => Some(Credential::SecretKey),
        Some("sso") => Some(Credential::Sso),
        Some("none") => Some(Credential::None),
        Some(_) | None => None,
    };
    let actor = Actor {
        id: text("id"),
        email: text("email"),
        role: text("role"),
        credential,
        ip: text("ip"),
    };
    let nobody = actor.id.is_none() && actor.email.is_none() && actor.ip.is_none();
    (!nobody).then_some(actor)
}

/// Returns what this one event sent to customers.
pub(super) fn impact(event: &Event, new_hosts: Vec<Arc<str>>) -> Impact {
    let root = event.document().root();
    let mut impact = Impact { hosts: new_hosts, ..Impact::default() };
    match event.event_type().name() {
        "message.sent" => impact.messages = 1,
        "broadcast.created" | "broadcast.started" => {
            impact.broadcasts = 1;
            if let Some(Kind::Int(count)) =
                root.path(&["broadcast", "recipient_count"]).map(Value::kind)
            {
                impact.recipients = u64::try_from(count).unwrap_or_default();
            }
            let job = root.path(&["broadcast", "job_id"]).and_then(Value::to_text);
            impact.jobs = job.iter().map(|job| Arc::from(&**job)).collect();
        }
        _ => {}
    }
    let names = [
        root.path(&["template", "name"]),
        root.path(&["broadcast", "template_name"]),
        root.path(&["message", "template_name"]),
    ];
    let names = names.into_iter().flatten().filter_map(Value::as_str);
    impact.templates = names
        .filter(|name| !name.is_empty() && name.len() <= TEXT_MAX_BYTES)
        .map(Into::into)
        .collect();
    impact
}

fn update(known: &mut Option<Arc<str>>, value: Value<'_>) {
    let Some(text) = value.as_str().filter(|text| text.len() <= TEXT_MAX_BYTES) else { return };
    if known.as_deref() != Some(text) && !text.is_empty() {
        *known = Some(text.into());
    }
}

fn boolean(value: Value<'_>) -> Option<bool> {
    match value.kind() {
        Kind::Bool(value) => Some(value),
        Kind::Text("true") => Some(true),
        Kind::Text("false") => Some(false),
        Kind::Null | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Array | Kind::Object => {
            None
        }
    }
}

/// A rough check: the mail server has the last word. White space and control characters could break
/// a header, so they are refused here.
fn is_email(text: &str) -> bool {
    text.len() <= TEXT_MAX_BYTES
        && text.split_once('@').is_some_and(|(local, host)| !local.is_empty() && host.contains('.'))
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';'))
}
