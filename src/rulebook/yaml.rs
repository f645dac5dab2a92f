//! YAML as a tree that remembers where each key and value stands.
//!
//! Bounded against hostile files: nesting, nodes, documents, and what aliases may repeat.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_saphyr::options::NonFiniteFloatPolicy;
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned, options};

use super::codes::Code;
use super::diagnostic::{Diagnostic, SourceText, Span};

/// A value of a YAML document.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    /// Where it is used: of an alias, the alias.
    pub(super) span: Span,
    /// Where it is written: of an alias, what it stands for.
    pub(super) written: Span,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn as_str(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    pub(super) fn entries(&self) -> Option<&[Entry]> {
        if let Value::Map(entries) = &self.value { Some(entries) } else { None }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// Drops the values of a map's other keys.
    pub(super) fn keep(&mut self, keys: &[&str]) {
        if let Value::Map(entries) = &mut self.value {
            entries.retain(|entry| keys.contains(&&*entry.key));
            entries.shrink_to_fit();
        }
    }

    /// Returns a list's elements, or the value itself as the only one.
    pub(super) fn elements(&self) -> &[Node] {
        match &self.value {
            Value::List(nodes) => nodes,
            Value::Null
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Text(_)
            | Value::Map(_) => std::slice::from_ref(self),
        }
    }

    /// Returns what it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Int(_) | Value::Float(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Returns a scalar as it is written in the file; nothing for null, lists and maps.
    pub(super) fn scalar_text(&self, source: &SourceText) -> Option<String> {
        match &self.value {
            Value::Text(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Int(value) => Some(self.number_text(source, value)),
            Value::Float(value) => Some(self.number_text(source, value)),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// `1.10` stays `1.10`.
    fn number_text(&self, source: &SourceText, value: &dyn fmt::Display) -> String {
        let written = source.text.get(self.written.start..self.written.end).map(str::trim);
        match written {
            Some(text) if text.parse::<f64>().is_ok() => text.to_owned(),
            Some(_) | None => value.to_string(),
        }
    }
}

/// Reads all documents of a file; empty ones are left out.
pub(super) fn parse(source: &Arc<SourceText>) -> Result<Vec<Node>, Box<Diagnostic>> {
    let text = source.text.strip_prefix('\u{feff}').unwrap_or(&source.text);
    let shift = source.text.len() - text.len();
    let mut nodes = serde_saphyr::from_multiple_with_options::<Node>(text, parser_options())
        .map_err(|error| {
            let span = error.location().map_or(Span::default(), |location| place(location, text));
            let span =
                Span::new(span.start + shift, (span.end + shift).max(span.start + shift + 1));
            let code = code_of(&error);
            let message = if code == Code::YamlTooLarge {
                // The library tells which of its counters ran over.
                code.explanation().summary.to_owned()
            } else {
                message_of(&error)
            };
            Box::new(Diagnostic::new(code, source, span, message))
        })?;
    nodes.retain(|node| node.value != Value::Null);
    if shift > 0 {
        for node in &mut nodes {
            node.shift(shift);
        }
    }
    Ok(nodes)
}

impl Node {
    fn shift(&mut self, by: usize) {
        let move_span = |span: &mut Span| *span = Span::new(span.start + by, span.end + by);
        move_span(&mut self.span);
        move_span(&mut self.written);
        match &mut self.value {
            Value::List(nodes) => nodes.iter_mut().for_each(|node| node.shift(by)),
            Value::Map(entries) => {
                for entry in entries {
                    move_span(&mut entry.key_span);
                    entry.value.shift(by);
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {}
        }
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign, growing enum")]
fn code_of(error: &serde_saphyr::Error) -> Code {
    use serde_saphyr::Error;
    match error.without_snippet() {
        Error::DuplicateMappingKey { .. } => Code::DuplicateKey,
        Error::Budget { .. }
        | Error::AliasReplayCounterOverflow { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => Code::YamlTooLarge,
        Error::AliasError { error, .. } => code_of(error),
        _ => Code::NotYaml,
    }
}

/// The first sentence, without the library's own position.
fn message_of(error: &serde_saphyr::Error) -> String {
    let formatter = serde_saphyr::UserMessageFormatter;
    let text = error.without_snippet().render_with_formatter(&formatter);
    let line = text.lines().next().unwrap_or_default();
    let line = line.split_once(" at line ").map_or(line, |(head, _)| head);
    let line = line.strip_prefix("error: ").unwrap_or(line);
    if line.is_empty() { "not YAML".to_owned() } else { line.to_owned() }
}

fn parser_options() -> serde_saphyr::Options {
    options! {
        duplicate_keys: DuplicateKeyPolicy::Error,
        strict_booleans: true,
        // A telephone number is not an octal number.
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        with_snippet: false,
        budget: serde_saphyr::budget! {
            max_depth: 32,
            max_nodes: 100_000,
            max_events: 400_000,
            max_documents: 1_000,
            max_aliases: 1_000,
            max_anchors: 1_000,
            max_total_scalar_bytes: 8 << 20,
            max_merge_keys: 100,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 20_000,
            max_replay_stack_depth: 8,
        },
    }
}

/// Of an error; some know their line and column only.
fn place(location: Location, text: &str) -> Span {
    if location.span().byte_offset().is_some() {
        return span_of(location);
    }
    let number = |value: u64| usize::try_from(value).unwrap_or(usize::MAX).saturating_sub(1);
    let mut lines = text.split_inclusive('\n');
    let above = number(location.line());
    let start: usize = lines.by_ref().take(above).map(str::len).sum();
    let line = lines.next().unwrap_or_default().trim_end();
    let behind = line.chars().take(number(location.column())).map(char::len_utf8);
    let start = start + behind.sum::<usize>();
    Span::new(start, start)
}

fn span_of(location: Location) -> Span {
    let index = |value: Option<u64>| value.and_then(|value| usize::try_from(value).ok());
    let start = index(location.span().byte_offset()).unwrap_or(0);
    let len = index(location.span().byte_len()).unwrap_or(0);
    Span::new(start, start + len)
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self {
            value: spanned.value,
            span: span_of(spanned.referenced),
            written: span_of(spanned.defined),
        })
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "the text of the number is kept beside it")]
    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(node) = elements.next_element::<Node>()? {
            nodes.push(node);
        }
        nodes.shrink_to_fit();
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let value = entries.next_value::<Node>()?;
            list.push(Entry { key: key.value, key_span: span_of(key.referenced), value });
        }
        list.shrink_to_fit();
        Ok(Value::Map(list))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(text: &str) -> (Arc<SourceText>, Node) {
        let source = SourceText::new("t.yaml", text);
        let mut nodes = parse(&source).unwrap();
        (source, nodes.remove(0))
    }

    #[test]
    fn keys_and_values_know_their_bytes_also_behind_other_alphabets() {
        for prefix in ["", "\u{feff}"] {
            let (source, node) =
                only(&format!("{prefix}# é\nkünci: 'nilai'\nb: [1.10, 0812, no]\n"));
            let entry = node.get("künci").unwrap();
            assert_eq!(&source.text[entry.key_span.start..entry.key_span.end], "künci");
            assert_eq!(&source.text[entry.value.span.start..entry.value.span.end], "'nilai'");
            let texts: Vec<_> = node
                .get("b")
                .unwrap()
                .value
                .elements()
                .iter()
                .map(|node| node.scalar_text(&source).unwrap())
                .collect();
            assert_eq!(texts, ["1.10", "0812", "no"]);
        }
    }

    #[test]
    fn what_a_hostile_file_does_is_an_error_with_a_place() {
        let bomb = format!(
            "a: &a [x,x,x,x,x,x,x,x,x]\n{}",
            ('b'..='h')
                .map(|c| {
                    let before = char::from_u32(u32::from(c) - 1).unwrap();
                    format!("{c}: &{c} [{}]\n", vec![format!("*{before}"); 9].join(","))
                })
                .collect::<Vec<_>>()
                .concat()
        );
        for (text, code) in [
            (bomb, Code::YamlTooLarge),
            ("[".repeat(5000), Code::NotYaml),
            ("a: 1\na: 2\n".to_owned(), Code::DuplicateKey),
            ("a: 'x".to_owned(), Code::NotYaml),
            ("\ta: x: y".to_owned(), Code::NotYaml),
        ] {
            let error = parse(&SourceText::new("t.yaml", &text)).unwrap_err();
            assert!(error.code == code || error.code == Code::YamlTooLarge, "{error}");
            assert!(!error.message.is_empty());
        }
    }
}
