//! The request body of the Qiscus template call: one event for each entry of `hsm_details`.
//!
//! The event is `template.created`; with an `approval_status` of 1 it is `template.approved` and
//! with -1 `template.rejected`. Its id is the record's with `-1`, `-2`, ... behind, so that the
//! languages of one template are told apart.

use super::super::{Kind, ObjectWriter, Value};
use super::rejection::Rejection;
use super::{EVENTS_MAX, Limits, RawRecord, object, qiscus_request, read};

pub(super) fn envelopes(
    root: Value<'_>,
    record: &RawRecord,
    limits: &Limits,
) -> Result<Vec<String>, Rejection> {
    let root = object(Some(root), "(the record)")?;
    let details = root.get("hsm_details");
    let Some(details) = details.filter(|details| details.elements().next().is_some()) else {
        let expected = "an array with at least one entry";
        return Err(Rejection::WrongShape { field: "hsm_details", expected });
    };
    let id = qiscus_request::event_id(root, record);
    let mut texts = Vec::new();
    // Each event repeats what the languages share, so a small record could grow without this.
    let mut bytes_left = limits.max_bytes.saturating_mul(4);
    for (detail, number) in details.elements().zip(1..) {
        let detail = object(Some(detail), "hsm_details[]")?;
        let text = envelope(root, detail, record, &format!("{id}-{number}"));
        if texts.len() == EVENTS_MAX || text.len() > bytes_left {
            return Err(Rejection::TooManyEvents { limit: EVENTS_MAX });
        }
        bytes_left -= text.len();
        texts.push(text);
    }
    Ok(texts)
}

fn envelope(root: Value<'_>, detail: Value<'_>, record: &RawRecord, id: &str) -> String {
    let status = ["approval_status"].iter().find_map(|key| {
        read::present(detail, key).or_else(|| read::present(root, key)).and_then(read::id_text)
    });
    let (event_type, status) = match status.as_deref() {
        Some("1") => ("template.approved", Some("approved")),
        Some("-1") => ("template.rejected", Some("rejected")),
        Some("0") => ("template.created", Some("pending")),
        Some(other) => ("template.created", Some(other)),
        None => ("template.created", None),
    };
    ObjectWriter::build(|envelope| {
        qiscus_request::write_head(envelope, root, record, id, event_type);
        envelope.object("template", |template| {
            for key in ["id", "name", "category", "namespace"] {
                qiscus_request::copy(template, key, root, key);
            }
            qiscus_request::copy(template, "detail_id", detail, "id");
            write_detail(template, detail);
            if let Some(status) = status {
                template.text("approval_status", status);
            }
        });
    })
}

fn write_detail(template: &mut ObjectWriter<'_>, detail: Value<'_>) {
    qiscus_request::copy(template, "language", detail, "language");
    template.object("header", |header| {
        qiscus_request::copy(header, "type", detail, "header_type");
        qiscus_request::copy(header, "content", detail, "header_content");
        if let Some(url) = header_url(detail) {
            header.text("url", url);
        }
    });
    qiscus_request::copy(template, "body", detail, "content");
    for key in ["footer", "buttons", "body_sample", "header_sample", "quality", "rejection_reason"]
    {
        qiscus_request::copy(template, key, detail, key);
    }
}

/// Returns the address of a header's medium: its default, or the sample that was sent for review.
fn header_url(detail: Value<'_>) -> Option<&str> {
    let default = detail.get("header_default_value").and_then(Value::as_str);
    let samples = detail.get("header_sample").into_iter();
    let samples = samples.flat_map(|sample| match sample.kind() {
        Kind::Text(_) => vec![sample],
        Kind::Array => sample.elements().take(1).collect(),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Object => Vec::new(),
    });
    let candidates = default.into_iter().chain(samples.filter_map(Value::as_str));
    candidates.into_iter().find(|text| text.contains("://"))
}
