//! What the request bodies of the Qiscus broadcast and template calls have in common: the account,
//! the user who asked, the WhatsApp channel, and no id or time of their own.

use std::borrow::Cow;

use super::super::{Kind, ObjectWriter, Value};
use super::{RawRecord, read};

/// Words for who a user is, in the platform's spelling and ours.
const ROLES: [&str; 7] = ["admin", "supervisor", "agent", "bot", "api", "customer", "system"];

/// Returns the request's own event id, or one made from the record's position.
pub(super) fn event_id<'d>(root: Value<'d>, record: &RawRecord) -> Cow<'d, str> {
    read::first_id(root, &["event_id"]).unwrap_or_else(|| record.minted_id().into())
}

/// Writes what stands before the object of the event.
pub(super) fn write_head(
    envelope: &mut ObjectWriter<'_>,
    root: Value<'_>,
    record: &RawRecord,
    id: &str,
    event_type: &str,
) {
    envelope.text("id", id);
    envelope.text("type", event_type);
    let own_time = ["time", "created_at"].iter().find_map(|key| read::present(root, key));
    match own_time {
        Some(time) => envelope.value("time", time),
        None => record.timestamp_text().iter().for_each(|time| envelope.text("time", time)),
    }
    envelope.object("account", |account| copy(account, "app_code", root, "app_code"));
    envelope.object("actor", |actor| {
        if let Some(user) = root.get("user") {
            write_user(actor, user);
        }
    });
    envelope.object("channel", |channel| {
        copy(channel, "id", root, "channel_id");
        channel.text("source", "wa");
    });
}

/// Writes the user: an object, or only an e-mail address or id.
fn write_user(actor: &mut ObjectWriter<'_>, user: Value<'_>) {
    match user.kind() {
        Kind::Text(text) if text.contains('@') => actor.text("email", text),
        Kind::Text(text) => actor.text("id", text),
        Kind::Int(number) => actor.text("id", &number.to_string()),
        Kind::Object => {
            if let Some(id) = read::first_id(user, &["id_str", "id"]) {
                actor.text("id", &id);
            }
            for key in ["email", "name", "auth", "ip", "user_agent", "session"] {
                copy(actor, key, user, key);
            }
            let role = ["role", "type_as_string"].iter().find_map(|key| user.get(key)?.as_str());
            let role = role.map(str::to_ascii_lowercase);
            if let Some(role) = role.filter(|role| ROLES.contains(&role.as_str())) {
                actor.text("role", &role);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Array => {}
    }
}

/// Copies one member, under another name, unless it is absent or null.
pub(super) fn copy(out: &mut ObjectWriter<'_>, key: &str, from: Value<'_>, from_key: &str) {
    if let Some(value) = read::present(from, from_key) {
        out.value(key, value);
    }
}
