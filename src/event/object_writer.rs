//! Writes one JSON object as text, in the order of the calls: how wire shapes become the envelope.

use std::fmt::Write as _;

use super::document::{Kind, Value};

/// Writes the entries of one JSON object. Naming a key twice is the caller's mistake.
#[derive(Debug)]
pub struct ObjectWriter<'o> {
    out: &'o mut String,
}

impl ObjectWriter<'_> {
    /// Returns the text of the object that `fill` writes.
    pub fn build(fill: impl FnOnce(&mut ObjectWriter<'_>)) -> String {
        let mut out = String::with_capacity(768);
        out.push('{');
        fill(&mut ObjectWriter { out: &mut out });
        out.push('}');
        out
    }

    /// Writes a string.
    pub fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        write_text(self.out, value);
    }

    /// Writes an integer.
    pub fn integer(&mut self, key: &str, value: i64) {
        self.key(key);
        write_display(self.out, value);
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, key: &str, value: bool) {
        self.key(key);
        self.out.push_str(if value { "true" } else { "false" });
    }

    /// Writes a copy of a value with all that it contains.
    pub fn value(&mut self, key: &str, value: Value<'_>) {
        self.key(key);
        write_value(self.out, value);
    }

    /// Writes an array of strings.
    pub fn texts<T: AsRef<str>>(&mut self, key: &str, texts: impl IntoIterator<Item = T>) {
        self.key(key);
        self.out.push('[');
        for (at, text) in texts.into_iter().enumerate() {
            if at > 0 {
                self.out.push(',');
            }
            write_text(self.out, text.as_ref());
        }
        self.out.push(']');
    }

    /// Writes an object that `fill` writes; one without entries is left out.
    pub fn object(&mut self, key: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
        let before = self.out.len();
        self.key(key);
        self.out.push('{');
        let opened = self.out.len();
        fill(&mut ObjectWriter { out: self.out });
        if self.out.len() == opened {
            self.out.truncate(before);
        } else {
            self.out.push('}');
        }
    }

    fn key(&mut self, key: &str) {
        // Behind an entry stands a quote, a digit, a letter or a closing bracket, never this.
        if !self.out.ends_with('{') {
            self.out.push(',');
        }
        write_text(self.out, key);
        self.out.push(':');
    }
}

fn write_value(out: &mut String, value: Value<'_>) {
    match value.kind() {
        Kind::Null => out.push_str("null"),
        Kind::Bool(true) => out.push_str("true"),
        Kind::Bool(false) => out.push_str("false"),
        Kind::Int(number) => write_display(out, number),
        // `Debug` prints an exponent for large numbers where `Display` prints all digits.
        Kind::Float(number) => write_display(out, format_args!("{number:?}")),
        Kind::Text(text) => write_text(out, text),
        Kind::Array => {
            out.push('[');
            for (at, element) in value.elements().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_value(out, element);
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            for (at, (key, entry)) in value.entries().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(out, key);
                out.push(':');
                write_value(out, entry);
            }
            out.push('}');
        }
    }
}

fn write_display(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("writing to a string does not fail");
}

fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    while let Some(at) = rest.bytes().position(needs_escape) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => write_display(out, format_args!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Document;
    use super::*;

    #[test]
    fn an_object_is_written_in_the_order_of_the_calls() {
        let source = Document::parse(br#"{"a":[1,-2.5,{"b":"x\"\u0001"}],"c":null}"#.to_vec());
        let source = source.unwrap();
        let text = ObjectWriter::build(|object| {
            object.text("text", "a\n\"b\\");
            object.object("empty", |_| {});
            object.object("inner", |inner| {
                inner.integer("n", -7);
                inner.boolean("yes", true);
            });
            object.value("copy", source.root());
            object.texts("list", ["x", "y"]);
        });
        let expected = r#"{"text":"a\n\"b\\","inner":{"n":-7,"yes":true},"copy":{"a":[1,-2.5,{"b":"x\"\u0001"}],"c":null},"list":["x","y"]}"#;
        assert_eq!(text, expected);
    }

    proptest! {
        #[test]
        fn what_is_copied_is_what_was_read(text in any::<String>(), number in any::<f64>()) {
            let json = serde_json::json!({ "t": text, "n": number, "deep": [[{ "k": text }]] });
            let document = Document::from_json(&json).unwrap();
            let copy = ObjectWriter::build(|object| object.value("copy", document.root()));
            let back: serde_json::Value = serde_json::from_str(&copy).unwrap();
            prop_assert_eq!(&back["copy"], &json);
        }
    }
}
