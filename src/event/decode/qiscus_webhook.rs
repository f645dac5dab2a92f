//! The message object that Qiscus Omnichannel sends to webhooks.
//!
//! Who sent it decides its type, because rules and baselines watch what a business sends:
//!
//! | sender | type | `actor.role` | `actor.auth` |
//! |---|---|---|---|
//! | business, by REST (`post_comment_rest`) | `message.sent` | `api` | `secret_key` |
//! | business, by a client: `<app_code>_admin@qismo.com` | `message.sent` | `admin` | `token` |
//! | business, by a client: any other | `message.sent` | `agent` | `token` |
//! | the customer | `message.received` | `customer` | `none` |
//! | a note in the room (`system_event`) | `message.system_event` | `system` | `none` |
//!
//! The customer is a sender whose `from.email` is a bare phone number, or, outside `wa`, is no
//! e-mail address at all. Everybody else is the business: an intruder must not hide by being taken
//! for a customer.
//!
//! `room.options` is not looked into: it is a text of JSON, often stale, that says nothing of the
//! message.

use super::super::{Kind, ObjectWriter, Value};
use super::rejection::Rejection;
use super::{RawRecord, object, read};

/// Members of `payload.message.payload` that have a place of their own in the envelope.
const ATTACHMENT: [&str; 3] = ["url", "caption", "file_name"];

#[derive(Clone, Copy)]
struct Sender {
    event_type: &'static str,
    role: &'static str,
    auth: &'static str,
}

pub(super) fn envelope(root: Value<'_>, record: &RawRecord) -> Result<String, Rejection> {
    let root = object(Some(root), "(the record)")?;
    let payload = object(root.get("payload"), "payload")?;
    let message = object(payload.get("message"), "payload.message")?;
    let from = payload.get("from");
    let chat_room = payload.get("room");
    let channel = root.get("channel");
    let app_code = app_code(root);
    let source = channel.and_then(|channel| channel.get("source")).and_then(Value::as_str);
    let author = sender(root, message, from, app_code, source);
    let id = read::first_id(message, &["id_str", "id", "unique_temp_id"]);

    Ok(ObjectWriter::build(|envelope| {
        match &id {
            Some(id) => envelope.text("id", id),
            None => envelope.text("id", &record.minted_id()),
        }
        envelope.text("type", author.event_type);
        if let Some(time) = time(message) {
            envelope.value("time", time);
        }
        envelope.object("account", |account| {
            if let Some(app_code) = app_code {
                account.value("app_code", app_code);
            }
        });
        envelope.object("actor", |actor| write_actor(actor, from, author));
        envelope.object("channel", |out| {
            for key in ["id", "source", "name"] {
                copy(out, key, channel.and_then(|channel| read::present(channel, key)));
            }
        });
        envelope.object("message", |out| {
            write_message(out, message, id.as_deref());
            if let Some(room) = chat_room {
                if let Some(id) = read::first_id(room, &["id_str", "id"]) {
                    out.text("room_id", &id);
                }
                if let Some(recipient) = recipient(room).filter(|_| author.role != "customer") {
                    out.text("recipient", recipient);
                }
            }
        });
    }))
}

fn app_code(root: Value<'_>) -> Option<Value<'_>> {
    read::present(root, "app_code")
        .or_else(|| root.get("app_id").filter(|app_id| app_id.as_str().is_some()))
}

fn sender(
    root: Value<'_>,
    message: Value<'_>,
    from: Option<Value<'_>>,
    app_code: Option<Value<'_>>,
    source: Option<&str>,
) -> Sender {
    let email = from.and_then(|from| from.get("email")).and_then(Value::as_str).unwrap_or_default();
    if message.get("type").and_then(Value::as_str) == Some("system_event") {
        return Sender { event_type: "message.system_event", role: "system", auth: "none" };
    }
    let on_whatsapp = source == Some("wa");
    let no_address = !on_whatsapp && !email.is_empty() && !email.contains('@');
    if read::msisdn(email).is_some() || no_address {
        return Sender { event_type: "message.received", role: "customer", auth: "none" };
    }
    if root.get("type").and_then(Value::as_str) == Some("post_comment_rest") {
        return Sender { event_type: "message.sent", role: "api", auth: "secret_key" };
    }
    let code = app_code.and_then(read::id_text).unwrap_or_default();
    let is_admin = email.strip_suffix("_admin@qismo.com").is_some_and(|name| name == code);
    let role = if is_admin { "admin" } else { "agent" };
    Sender { event_type: "message.sent", role, auth: "token" }
}

/// Returns the most exact of the times that are filled in; some producers leave zeros.
fn time(message: Value<'_>) -> Option<Value<'_>> {
    let mut first = None;
    for key in ["unix_nano_timestamp", "timestamp", "created_at", "unix_timestamp"] {
        let Some(value) = read::present(message, key) else { continue };
        if read::time(value).is_some_and(|time| time.millis() != 0) {
            return Some(value);
        }
        first = first.or(Some(value));
    }
    first
}

fn write_actor(actor: &mut ObjectWriter<'_>, from: Option<Value<'_>>, sender: Sender) {
    if let Some(from) = from {
        if let Some(id) = read::first_id(from, &["id_str", "id"]) {
            actor.text("id", &id);
        }
        for key in ["email", "name"] {
            copy(actor, key, read::present(from, key));
        }
    }
    actor.text("role", sender.role);
    actor.text("auth", sender.auth);
}

fn write_message(out: &mut ObjectWriter<'_>, message: Value<'_>, id: Option<&str>) {
    if let Some(id) = id {
        out.text("id", id);
    }
    copy(out, "kind", read::present(message, "type"));
    copy(out, "text", read::present(message, "text"));
    if let Some(payload) = message.get("payload").filter(|p| p.kind() == Kind::Object) {
        for key in ATTACHMENT {
            copy(out, key, read::present(payload, key));
        }
        // Buttons and cards have links of their own: rules can look at them under this name.
        if payload.entries().any(|(key, _)| !ATTACHMENT.contains(&key)) {
            out.value("payload", payload);
        }
    }
    if let Some(extras) = message.get("extras").filter(|extras| extras.entries().next().is_some()) {
        out.value("extras", extras);
    }
}

/// Returns the customer of the room, where a participant or the room is named by a phone number.
fn recipient(room: Value<'_>) -> Option<&str> {
    let participants = room.get("participants").into_iter().flat_map(Value::elements);
    let emails = participants.filter_map(|participant| participant.get("email"));
    emails.chain(room.get("name")).filter_map(Value::as_str).find_map(read::msisdn)
}

fn copy(out: &mut ObjectWriter<'_>, key: &str, value: Option<Value<'_>>) {
    if let Some(value) = value {
        out.value(key, value);
    }
}
