//! CloudEvents 1.0 over Kafka, in both modes.
//!
//! In structured mode the record is `{specversion, id, type, time, subject, data}`; in binary mode
//! the attributes are `ce_*` record headers and the record is the data. The presence of a
//! `ce_specversion` or `ce_id` header tells which.
//!
//! - `id`, `type` and `time` come from the attributes; what the data says of them is dropped.
//! - `subject` is the `account.app_code` where the data names none.
//! - A reverse-DNS prefix before a type of the event contract is dropped, so
//!   `com.example.message.sent` is `message.sent`; other types are kept whole.
//! - The data is an envelope (`account`, `actor`, `channel`, `message`, ...). Data without any of
//!   these is taken as the one object that its type asks for: the `message` of a `message.sent`.

use std::borrow::Cow;

use super::super::{Category, EventType, Kind, ObjectWriter, Value};
use super::rejection::Rejection;
use super::{RawRecord, object, read};

/// The members of an envelope that hold objects.
const PARTS: [&str; 8] =
    ["account", "actor", "channel", "message", "template", "broadcast", "login", "change"];

/// The verbs of the event contract, for each category that rules know.
const VERBS: [(&str, &[&str]); 5] = [
    ("message", &["sent", "received", "failed", "blocked"]),
    (
        "template",
        &["created", "updated", "deleted", "approved", "rejected", "paused", "flagged", "disabled"],
    ),
    ("broadcast", &["created", "started", "completed", "cancelled"]),
    ("login", &["succeeded", "failed"]),
    (
        "change",
        &[
            "user_created",
            "user_email",
            "user_role",
            "password",
            "two_factor",
            "two_factor_reset_requested",
            "secret_key",
            "webhook_url",
            "api_token",
            "network_allowlist",
        ],
    ),
];

/// One attribute: of a structured event a value, of a binary one a text.
#[derive(Clone, Copy)]
enum Attribute<'a> {
    Value(Value<'a>),
    Text(&'a str),
}

struct Attributes<'a> {
    specversion: Option<Attribute<'a>>,
    id: Option<Attribute<'a>>,
    event_type: Option<Attribute<'a>>,
    time: Option<Attribute<'a>>,
    subject: Option<Attribute<'a>>,
}

pub(super) fn envelope(root: Value<'_>, record: &RawRecord) -> Result<String, Rejection> {
    let root = object(Some(root), "(the record)")?;
    let binary = record.headers.iter().any(|(name, _)| {
        name.eq_ignore_ascii_case("ce_specversion") || name.eq_ignore_ascii_case("ce_id")
    });
    let (attributes, data) = if binary {
        (Attributes::from_headers(record)?, root)
    } else {
        let attributes = Attributes::from_members(root);
        if read::present(root, "data_base64").is_some() {
            let expected = "supported; JSON belongs in `data`";
            return Err(Rejection::WrongShape { field: "data_base64", expected });
        }
        (attributes, object(root.get("data"), "data")?)
    };
    let version = attributes.specversion.and_then(Attribute::text);
    if version.is_none_or(|version| version != "1.0") {
        return Err(Rejection::WrongShape { field: "specversion", expected: "`1.0`" });
    }
    Ok(write(&attributes, data))
}

fn write(attributes: &Attributes<'_>, data: Value<'_>) -> String {
    let event_type = attributes.event_type.and_then(Attribute::text);
    let event_type = event_type.as_deref().map(without_prefix);
    ObjectWriter::build(|envelope| {
        if let Some(id) = attributes.id {
            id.write(envelope, "id");
        }
        match event_type {
            Some(event_type) => envelope.text("type", event_type),
            None => attributes.event_type.into_iter().for_each(|raw| raw.write(envelope, "type")),
        }
        if let Some(time) = attributes.time {
            time.write(envelope, "time");
        }
        account(envelope, attributes.subject, data.get("account"));
        let is_envelope =
            data.entries().any(|(key, value)| PARTS.contains(&key) && value.kind() == Kind::Object);
        match event_type.map(|name| EventType::new(name).category()) {
            Some(category) if !is_envelope && category != Category::Other => {
                envelope.value(category.as_str(), data);
            }
            Some(_) | None => {
                for (key, value) in data.entries() {
                    if !["id", "type", "time", "account"].contains(&key) {
                        envelope.value(key, value);
                    }
                }
            }
        }
    })
}

/// Writes the account of the data, with the subject as its code where it has none.
fn account(
    envelope: &mut ObjectWriter<'_>,
    subject: Option<Attribute<'_>>,
    account: Option<Value<'_>>,
) {
    envelope.object("account", |out| {
        let named = account.and_then(|account| read::present(account, "app_code"));
        if named.is_none()
            && let Some(subject) = subject
        {
            subject.write(out, "app_code");
        }
        for (key, value) in account.into_iter().flat_map(Value::entries) {
            if named.is_some() || key != "app_code" {
                out.value(key, value);
            }
        }
    });
}

/// Drops what stands before a type of the event contract.
fn without_prefix(name: &str) -> &str {
    let mut labels = name.rsplitn(3, '.');
    let (Some(verb), Some(category)) = (labels.next(), labels.next()) else { return name };
    let known = VERBS.iter().any(|(known, verbs)| *known == category && verbs.contains(&verb));
    if known { &name[name.len() - category.len() - verb.len() - 1..] } else { name }
}

impl<'a> Attribute<'a> {
    fn text(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Value(value) => read::id_text(value),
            Self::Text(text) => Some(Cow::Borrowed(text)),
        }
    }

    fn write(self, out: &mut ObjectWriter<'_>, key: &str) {
        match self {
            Self::Value(value) => out.value(key, value),
            Self::Text(text) => out.text(key, text),
        }
    }
}

impl<'a> Attributes<'a> {
    fn from_members(root: Value<'a>) -> Self {
        let member = |name| read::present(root, name).map(Attribute::Value);
        Self {
            specversion: member("specversion"),
            id: member("id"),
            event_type: member("type"),
            time: member("time"),
            subject: member("subject"),
        }
    }

    fn from_headers(record: &'a RawRecord) -> Result<Self, Rejection> {
        let header = |wanted: &str| -> Result<Option<Attribute<'a>>, Rejection> {
            let mut found = record.headers.iter().filter(|(name, _)| {
                name.get(..3).is_some_and(|prefix| prefix.eq_ignore_ascii_case("ce_"))
                    && name[3..].eq_ignore_ascii_case(wanted)
            });
            let Some((_, bytes)) = found.next() else { return Ok(None) };
            if found.next().is_some() {
                return Err(Rejection::DuplicateKey);
            }
            let text = std::str::from_utf8(bytes)
                .map_err(|error| Rejection::NotUtf8 { valid_up_to: error.valid_up_to() })?;
            Ok(Some(Attribute::Text(text)))
        };
        Ok(Self {
            specversion: header("specversion")?,
            id: header("id")?,
            event_type: header("type")?,
            time: header("time")?,
            subject: header("subject")?,
        })
    }
}
