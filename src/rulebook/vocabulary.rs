//! The fields that omnichannel events have, by category, and those that satpam derives.

use super::nearest::nearest;

/// What each event has: the envelope.
const COMMON: &[&str] = &[
    "id",
    "type",
    "time",
    "account.app_code",
    "account.name",
    "account.plan",
    "account.timezone",
    "account.language",
    "account.two_factor",
    "account.network_allowlist",
    "actor.id",
    "actor.email",
    "actor.name",
    "actor.role",
    "actor.auth",
    "actor.ip",
    "actor.user_agent",
    "actor.session",
    "channel.id",
    "channel.source",
    "channel.phone",
];

/// What is derived for each event.
const DERIVED: &[&str] = &[
    "actor.in_allowlist",
    "actor.net",
    "time.local_hour",
    "time.local_weekday",
    "account.age_days",
    "account.is_new",
    "seen.source_new",
    "seen.actor_new",
    "seen.network_new",
];

/// What is derived where there is a text for recipients.
const CONTENT: &[&str] = &[
    "content.text",
    "content.norm",
    "content.squeezed",
    "content.obfuscation",
    "content.urls",
    "content.hosts",
    "content.domains",
    "content.phones",
    "content.has_apk",
    "content.has_ip_url",
    "content.has_punycode",
    "content.has_shortener",
    "seen.domain_new",
    "seen.template_new",
    "seen.recipient_new",
    "seen.language_new",
    "seen.template_age_hours",
    "seen.template_broadcast",
];

const MESSAGE: &[&str] = &[
    "message.id",
    "message.kind",
    "message.text",
    "message.recipient",
    "message.room_id",
    "message.url",
    "message.caption",
    "message.file_name",
    "message.template_name",
    "message.template_detail_id",
    "message.variables",
];

const TEMPLATE: &[&str] = &[
    "template.id",
    "template.detail_id",
    "template.name",
    "template.namespace",
    "template.category",
    "template.language",
    "template.header.type",
    "template.header.content",
    "template.header.url",
    "template.body",
    "template.footer",
    "template.buttons.type",
    "template.buttons.text",
    "template.buttons.url",
    "template.buttons.example",
    "template.buttons.phone_number",
    "template.body_sample",
    "template.approval_status",
    "template.quality",
    "template.rejection_reason",
];

const BROADCAST: &[&str] = &[
    "broadcast.job_id",
    "broadcast.name",
    "broadcast.template_name",
    "broadcast.template_detail_id",
    "broadcast.namespace",
    "broadcast.language",
    "broadcast.recipient_count",
    "broadcast.recipients",
    "broadcast.variables",
    "broadcast.header_value",
    "broadcast.button_params.type",
    "broadcast.button_params.values",
    "broadcast.button_params.index",
    "broadcast.hide_variables",
    "broadcast.started_at",
    "broadcast.status",
    "broadcast.failed_count",
];

const LOGIN: &[&str] = &["login.result", "login.method", "login.new_device"];

/// `old` and `new` hold whatever changed: also what lies below them.
const CHANGE: &[&str] = &["change.what", "change.target", "change.old", "change.new"];

/// Whether events can have a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    Yes,
    /// Events of other categories have it.
    InOtherCategory,
    No {
        nearest: Option<&'static str>,
    },
}

/// Looks a field of an omnichannel event up; without a category every category counts.
pub(super) fn look_up(field: &str, category: Option<&str>) -> Known {
    let in_category = |field: &str, wanted: Option<&str>| {
        lists(wanted).into_iter().flatten().any(|known| is(field, known))
    };
    if in_category(field, category) {
        Known::Yes
    } else if in_category(field, None) {
        Known::InOtherCategory
    } else {
        let near = nearest(field, lists(category).into_iter().flatten().copied());
        Known::No {
            nearest: near.or_else(|| nearest(field, lists(None).into_iter().flatten().copied())),
        }
    }
}

/// Objects count as fields (for `exists`), and so does what lies below a free-form value.
fn is(field: &str, known: &str) -> bool {
    let below = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'))
    };
    let free_form = ["change.old", "change.new", "message.variables", "broadcast.variables"];
    field == known || below(field, known) || (free_form.contains(&known) && below(known, field))
}

/// Returns whether an event has at most one value of a field: not for lists, objects and free-form
/// values.
pub(super) fn is_single(field: &str) -> bool {
    const MANY: [&str; 14] = [
        "account.network_allowlist",
        "content.urls",
        "content.hosts",
        "content.domains",
        "content.phones",
        "message.variables",
        "broadcast.recipients",
        "broadcast.variables",
        "broadcast.button_params.type",
        "broadcast.button_params.values",
        "broadcast.button_params.index",
        "broadcast.hide_variables",
        "change.old",
        "change.new",
    ];
    lists(None).into_iter().flatten().any(|known| *known == field)
        && !MANY.contains(&field)
        && !field.starts_with("template.buttons.")
}

fn lists(category: Option<&str>) -> Vec<&'static [&'static str]> {
    match category {
        Some("message") => vec![COMMON, DERIVED, CONTENT, MESSAGE],
        Some("template") => vec![COMMON, DERIVED, CONTENT, TEMPLATE],
        Some("broadcast") => vec![COMMON, DERIVED, CONTENT, BROADCAST],
        Some("login") => vec![COMMON, DERIVED, LOGIN],
        Some("change") => vec![COMMON, DERIVED, CHANGE],
        Some(_) | None => {
            vec![COMMON, DERIVED, CONTENT, MESSAGE, TEMPLATE, BROADCAST, LOGIN, CHANGE]
        }
    }
}

/// Returns the fields that a rule of this category may name, in the order of the event contract.
pub fn omnichannel_fields(category: Option<&str>) -> Vec<&'static str> {
    lists(category).into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_known_by_category() {
        for (field, category, known) in [
            ("message.text", Some("message"), Known::Yes),
            ("message.text", None, Known::Yes),
            ("message.text", Some("template"), Known::InOtherCategory),
            ("mesage.text", Some("message"), Known::No { nearest: Some("message.text") }),
            ("template.buttons", Some("template"), Known::Yes),
            ("change.new.url", Some("change"), Known::Yes),
            ("change.what.x", Some("change"), Known::No { nearest: Some("change.what") }),
            ("zzzzzz", None, Known::No { nearest: None }),
        ] {
            assert_eq!(look_up(field, category), known, "{field}");
        }
    }
}
