//! The request body of the Qiscus broadcast call: one `broadcast.created`.
//!
//! `phone_number` holds one number, several with commas between, or an array. All are counted;
//! the first [`RECIPIENTS_MAX`] become the sample in `broadcast.recipients`.

use std::borrow::Cow;

use super::super::{Kind, ObjectWriter, Value};
use super::rejection::Rejection;
use super::{RawRecord, object, qiscus_request, read};

const RECIPIENTS_MAX: usize = 100;

pub(super) fn envelope(root: Value<'_>, record: &RawRecord) -> Result<String, Rejection> {
    let root = object(Some(root), "(the record)")?;
    let id = qiscus_request::event_id(root, record);
    Ok(ObjectWriter::build(|envelope| {
        qiscus_request::write_head(envelope, root, record, &id, "broadcast.created");
        envelope.object("broadcast", |broadcast| write_broadcast(broadcast, root));
    }))
}

fn write_broadcast(broadcast: &mut ObjectWriter<'_>, root: Value<'_>) {
    if let Some(job) = read::first_id(root, &["job_id", "id"]) {
        broadcast.text("job_id", &job);
    }
    for key in [
        "name",
        "template_name",
        "template_detail_id",
        "namespace",
        "language",
        "variables",
        "header_value",
        "button_params",
        "started_at",
        "status",
    ] {
        qiscus_request::copy(broadcast, key, root, key);
    }
    if let Some(hide) = root.get("hide_variables").and_then(read::boolean) {
        broadcast.boolean("hide_variables", hide);
    }
    let mut count = 0;
    let mut sample = Vec::new();
    for number in root.get("phone_number").into_iter().flat_map(numbers) {
        count += 1;
        if sample.len() < RECIPIENTS_MAX {
            sample.push(number);
        }
    }
    if count > 0 {
        broadcast.integer("recipient_count", count);
        broadcast.texts("recipients", sample);
    }
}

/// Returns the phone numbers of a value, without plus signs.
fn numbers(value: Value<'_>) -> impl Iterator<Item = Cow<'_, str>> {
    let listed = value.elements().filter_map(read::id_text).map(|number| match number {
        Cow::Borrowed(text) => Cow::Borrowed(plain(text)),
        Cow::Owned(text) => Cow::Owned(text),
    });
    let written = match value.kind() {
        Kind::Text(text) => text,
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Array | Kind::Object => {
            ""
        }
    };
    let single = match value.kind() {
        Kind::Int(number) => Some(Cow::Owned(number.to_string())),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Float(_)
        | Kind::Text(_)
        | Kind::Array
        | Kind::Object => None,
    };
    listed
        .chain(written.split(',').map(|number| Cow::Borrowed(plain(number))))
        .chain(single)
        .filter(|number| !number.is_empty())
}

fn plain(number: &str) -> &str {
    let number = number.trim();
    number.strip_prefix('+').unwrap_or(number)
}
