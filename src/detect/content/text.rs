//! `content.text`: everything of an event that a recipient would read, with placeholders filled in.
//!
//! The bad link often does not stand in the approved text but in a variable, a button parameter or
//! the header value. So every value that reaches the recipient is part of the text, whether the
//! template is known (then it is filled in) or not (then it is appended).

use crate::event::{Document, Value};

use super::links::cut;

/// Longest text that is looked at, in bytes; what follows is not read. The longest message of the
/// platform has 4,096 characters, a template body 1,024: no recipient gets to see more.
pub(super) const MAX_TEXT_BYTES: usize = 32 * 1024;
/// At most so many variables are filled in or appended.
const MAX_VARIABLES: usize = 256;

/// What a recipient would read, and links beside it.
pub(super) struct Readable {
    pub(super) text: String,
    /// Links that are opened rather than read: attachments, header media.
    pub(super) linked: String,
}

/// Collects the text of a message, template or broadcast event; empty for other events.
pub(super) fn collect(document: &Document, template_text: Option<&str>) -> Readable {
    let mut collector = Collector::default();
    let root = document.root();
    if let Some(template) = root.get("template") {
        collector.template(template);
    }
    for object in ["message", "broadcast"] {
        if let Some(sent) = root.get(object) {
            collector.sent(sent, template_text);
        }
    }
    Readable { text: collector.text, linked: collector.linked }
}

/// Returns the text of a template event with its `{{n}}` as they are, to be filled in later from
/// the variables of the messages and broadcasts that name the template.
pub fn template_text(document: &Document) -> Option<String> {
    let template = document.root().get("template")?;
    let mut collector = Collector::default();
    collector.template_parts(template, &[]);
    let Collector { mut text, linked, .. } = collector;
    if !linked.is_empty() {
        text.push('\n');
        text.push_str(&linked);
    }
    (!text.is_empty()).then_some(text)
}

#[derive(Default)]
struct Collector {
    text: String,
    linked: String,
}

impl Collector {
    fn template(&mut self, template: Value<'_>) {
        let samples = strings(template.get("body_sample"));
        let unused = self.template_parts(template, &samples);
        self.append(&unused);
    }

    /// Appends header, body, footer and buttons; returns the values that no placeholder took.
    fn template_parts<'v>(&mut self, template: Value<'_>, values: &[&'v str]) -> Vec<&'v str> {
        let header = template.get("header");
        self.field(header, "content");
        let unused = match template.get("body").and_then(Value::as_str) {
            Some(body) => self.render(body, values),
            None => values.to_vec(),
        };
        self.field(Some(template), "footer");
        for button in template.get("buttons").into_iter().flat_map(Value::elements) {
            for name in ["text", "url", "example", "phone_number"] {
                self.texts(button.get(name));
            }
        }
        self.link(header, "url");
        unused
    }

    /// Appends what a message or broadcast carries.
    fn sent(&mut self, sent: Value<'_>, template_text: Option<&str>) {
        for name in ["text", "caption", "file_name"] {
            self.field(Some(sent), name);
        }
        let values = strings(sent.get("variables"));
        let unused = match template_text {
            Some(template) => self.render(template, &values),
            None => values,
        };
        self.append(&unused);
        self.texts(sent.get("header_value"));
        for parameter in sent.get("button_params").into_iter().flat_map(Value::elements) {
            self.texts(parameter.get("values"));
        }
        self.link(Some(sent), "url");
    }

    /// Fills `{{1}}`, `{{2}}`, ... from the values; other placeholders stay. Returns the values
    /// that were not used.
    fn render<'v>(&mut self, template: &str, values: &[&'v str]) -> Vec<&'v str> {
        self.break_line();
        let mut is_used = vec![false; values.len()];
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("{{") {
            self.push(before);
            let inside = cut(after, 16);
            let place = inside.split_once("}}").and_then(|(number, _)| {
                let place = number.trim().parse::<usize>().ok()?.checked_sub(1)?;
                Some((place, number.len() + 2))
            });
            let filled = place.and_then(|(place, len)| Some((values.get(place)?, place, len)));
            if let Some((value, place, len)) = filled {
                self.push(value);
                is_used[place] = true;
                rest = &after[len..];
            } else {
                self.push("{{");
                rest = after;
            }
            if self.text.len() >= MAX_TEXT_BYTES {
                break;
            }
        }
        self.push(rest);
        let unused = values.iter().zip(&is_used).filter(|(_, used)| !**used);
        unused.map(|(value, _)| *value).collect()
    }

    fn append(&mut self, values: &[&str]) {
        for value in values {
            self.line(value);
        }
    }

    fn field(&mut self, object: Option<Value<'_>>, name: &str) {
        if let Some(text) = object.and_then(|object| object.get(name)).and_then(Value::as_str) {
            self.line(text);
        }
    }

    /// Appends a text or each text of a list.
    fn texts(&mut self, value: Option<Value<'_>>) {
        self.append(&strings(value));
    }

    fn link(&mut self, object: Option<Value<'_>>, name: &str) {
        if let Some(link) = object.and_then(|object| object.get(name)).and_then(Value::as_str) {
            if !self.linked.is_empty() {
                self.linked.push('\n');
            }
            self.linked.push_str(cut(link, MAX_TEXT_BYTES - self.linked.len().min(MAX_TEXT_BYTES)));
        }
    }

    fn line(&mut self, text: &str) {
        if !text.is_empty() {
            self.break_line();
            self.push(text);
        }
    }

    fn break_line(&mut self) {
        if !self.text.is_empty() {
            self.push("\n");
        }
    }

    fn push(&mut self, text: &str) {
        let room = MAX_TEXT_BYTES.saturating_sub(self.text.len());
        self.text.push_str(cut(text, room));
    }
}

/// Returns a text, or the texts of a list; what is not text is left out.
fn strings(value: Option<Value<'_>>) -> Vec<&str> {
    let Some(value) = value else { return Vec::new() };
    match value.as_str() {
        Some(text) => vec![text],
        None => value.elements().filter_map(Value::as_str).take(MAX_VARIABLES).collect(),
    }
}
