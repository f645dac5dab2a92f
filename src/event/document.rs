//! A JSON document as one flat list of nodes: parsed once, cheap to move between threads, and
//! looked into without allocation.
//!
//! Nodes stand in the order of the text (an object or array is followed by what it contains), so a
//! walk reads memory forwards. Texts are ranges of the source; those that held an escape stand behind
//! it. Reading is strict: UTF-8, RFC 8259, at most 127 levels deep.
//!
//! An object that names a key twice keeps both entries: [`Value::get`] answers with the last, as
//! most readers would, and [`Document::has_duplicate_keys`] lets a caller refuse the ambiguity.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use super::parser::{self, Parsed};

/// Why a text is not a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("not UTF-8 from byte {valid_up_to}")]
    NotUtf8 { valid_up_to: usize },
    #[error("nested deeper than 127 levels")]
    TooDeep,
    #[error("not JSON: {reason} at line {line} column {column}")]
    NotJson { reason: &'static str, line: usize, column: usize },
    #[error("larger than 2 GiB")]
    TooLarge,
}

/// A parsed JSON document. See the module documentation.
#[derive(Clone)]
pub struct Document {
    /// The source, and behind it the texts that held an escape.
    text: String,
    source_bytes: usize,
    nodes: Vec<Node>,
    has_duplicate_keys: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A range of the document's text.
    Text {
        start: u32,
        end: u32,
    },
    /// `next` is the index of the first node behind everything that this one contains.
    Array {
        len: u32,
        next: u32,
    },
    Object {
        len: u32,
        next: u32,
    },
}

impl Node {
    #[inline]
    fn text_range(self) -> Option<Range<usize>> {
        match self {
            Self::Text { start, end } => Some(start as usize..end as usize),
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Float(_)
            | Self::Array { .. }
            | Self::Object { .. } => None,
        }
    }
}

/// What a [`Value`] is. Integers beyond 64 bits are [`Kind::Float`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind<'d> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'d str),
    Array,
    Object,
}

/// One value inside a [`Document`].
#[derive(Clone, Copy)]
pub struct Value<'d> {
    document: &'d Document,
    at: u32,
}

impl Document {
    /// Parses one JSON value that fills the whole text (white space around it is allowed).
    pub fn parse(bytes: Vec<u8>) -> Result<Self, DocumentError> {
        let mut text = String::from_utf8(bytes).map_err(|error| DocumentError::NotUtf8 {
            valid_up_to: error.utf8_error().valid_up_to(),
        })?;
        let source_bytes = text.len();
        // What an escape stands for is never longer than the escape.
        if u32::try_from(source_bytes * 2).is_err() {
            return Err(DocumentError::TooLarge);
        }
        let Parsed { mut nodes, unescaped, has_duplicate_keys } = parser::parse(&text)?;
        text.reserve_exact(unescaped.len());
        text.push_str(&unescaped);
        // To shrink is to copy: worth it only where much was reserved for nothing.
        if nodes.capacity() > nodes.len() * 2 {
            nodes.shrink_to_fit();
        }
        Ok(Self { text, source_bytes, nodes, has_duplicate_keys })
    }

    /// Builds a document from a JSON value, for shapes that are rewritten into the envelope.
    ///
    /// # Panics
    /// Never: a `serde_json::Value` prints as JSON. Deeper than 127 levels is an error.
    pub fn from_json(value: &serde_json::Value) -> Result<Self, DocumentError> {
        Self::parse(value.to_string().into_bytes())
    }

    /// Returns the outermost value.
    pub fn root(&self) -> Value<'_> {
        Value { document: self, at: 0 }
    }

    /// Returns the text that was parsed.
    pub fn source(&self) -> &str {
        &self.text[..self.source_bytes]
    }

    /// Returns the text that was parsed, and behind it the texts that held an escape.
    pub(crate) fn whole_text(&self) -> &str {
        &self.text
    }

    /// Returns whether any object names a key twice.
    pub fn has_duplicate_keys(&self) -> bool {
        self.has_duplicate_keys
    }

    /// Returns the bytes of a text, without the cost of cutting at characters.
    #[inline]
    fn bytes(&self, node: Node) -> Option<&[u8]> {
        self.text.as_bytes().get(node.text_range()?)
    }

    #[inline]
    fn text(&self, node: Node) -> Option<&str> {
        Some(&self.text[node.text_range()?])
    }
}

/// Hides the content: it holds customers' messages and phone numbers.
impl fmt::Debug for Document {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Document")
            .field("bytes", &self.source_bytes)
            .finish_non_exhaustive()
    }
}

impl<'d> Value<'d> {
    fn node(self) -> Node {
        self.document.nodes[self.at as usize]
    }

    fn next(self) -> u32 {
        match self.node() {
            Node::Array { next, .. } | Node::Object { next, .. } => next,
            Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text { .. } => {
                self.at + 1
            }
        }
    }

    /// Returns what this value is.
    pub fn kind(self) -> Kind<'d> {
        match self.node() {
            Node::Null => Kind::Null,
            Node::Bool(value) => Kind::Bool(value),
            Node::Int(value) => Kind::Int(value),
            Node::Float(value) => Kind::Float(value),
            Node::Array { .. } => Kind::Array,
            Node::Object { .. } => Kind::Object,
            node @ Node::Text { .. } => Kind::Text(self.document.text(node).unwrap_or_default()),
        }
    }

    /// Returns whether this value is a string, without the cost of reading it.
    pub fn is_text(self) -> bool {
        matches!(self.node(), Node::Text { .. })
    }

    /// Returns where in [`Document::whole_text`] a string value stands.
    pub(crate) fn text_range(self) -> Option<Range<usize>> {
        self.node().text_range()
    }

    /// Returns the text of a string value.
    pub fn as_str(self) -> Option<&'d str> {
        self.document.text(self.node())
    }

    /// Returns a string, number or boolean as text; nothing for null, arrays and objects.
    pub fn to_text(self) -> Option<Cow<'d, str>> {
        match self.kind() {
            Kind::Text(text) => Some(Cow::Borrowed(text)),
            Kind::Int(value) => Some(Cow::Owned(value.to_string())),
            Kind::Float(value) => Some(Cow::Owned(value.to_string())),
            Kind::Bool(value) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
            Kind::Null | Kind::Array | Kind::Object => None,
        }
    }

    /// Returns the value of a key of an object; of a key that stands twice, the last.
    pub fn get(self, key: &str) -> Option<Value<'d>> {
        let key = key.as_bytes();
        let mut named =
            self.byte_entries().filter(|(name, _)| *name == key).map(|(_, value)| value);
        if self.document.has_duplicate_keys { named.last() } else { named.next() }
    }

    /// Returns the value behind several keys, `root.path(&["account", "app_code"])`.
    pub fn path(self, keys: &[&str]) -> Option<Value<'d>> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// Returns the entries of an object in the order of the text; nothing for other values.
    pub fn entries(self) -> impl Iterator<Item = (&'d str, Value<'d>)> {
        self.entry_values().map(|value| {
            let key = Value { document: value.document, at: value.at - 1 };
            (key.as_str().unwrap_or_default(), value)
        })
    }

    /// As [`Self::entries`], with the bytes of the keys: enough to compare them, and cheaper.
    pub fn byte_entries(self) -> impl Iterator<Item = (&'d [u8], Value<'d>)> {
        self.entry_values().map(|value| {
            let key = value.document.nodes[value.at as usize - 1];
            (value.document.bytes(key).unwrap_or_default(), value)
        })
    }

    /// Returns the values of an object without their keys, in the order of the text; nothing for
    /// other values.
    pub fn entry_values(self) -> impl Iterator<Item = Value<'d>> {
        let len = if let Node::Object { len, .. } = self.node() { len } else { 0 };
        let mut at = self.at + 1;
        (0..len).map(move |_| {
            let value = Value { document: self.document, at: at + 1 };
            at = value.next();
            value
        })
    }

    /// Returns the elements of an array; nothing for other values.
    pub fn elements(self) -> impl Iterator<Item = Value<'d>> {
        let len = if let Node::Array { len, .. } = self.node() { len } else { 0 };
        let mut at = self.at + 1;
        (0..len).map(move |_| {
            let value = Value { document: self.document, at };
            at = value.next();
            value
        })
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Value").field("at", &self.at).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Document, DocumentError> {
        Document::parse(text.as_bytes().to_vec())
    }

    #[test]
    fn every_kind_of_value_is_found_again() {
        let document = parse(
            r#" {"a":{"b":[1,-2.5,"x\n\u00e9",null,true]},"c":"plain","d":18446744073709551615} "#,
        )
        .unwrap();
        let root = document.root();
        let list: Vec<_> = root.path(&["a", "b"]).unwrap().elements().map(Value::kind).collect();
        let expected =
            [Kind::Int(1), Kind::Float(-2.5), Kind::Text("x\né"), Kind::Null, Kind::Bool(true)];
        assert_eq!(list, expected);
        assert_eq!(root.get("c").and_then(Value::as_str), Some("plain"));
        assert_eq!(root.get("d").map(Value::kind), Some(Kind::Float(18_446_744_073_709_551_615.0)));
        let keys: Vec<_> = root.entries().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "c", "d"]);
        assert!(root.path(&["a", "x"]).is_none());
    }

    #[test]
    fn the_last_of_two_equal_keys_answers_and_the_repeat_is_told() {
        let many: Vec<_> = (0..80).map(|n| format!("\"k{n}\":{n}")).collect();
        // Alike in length, start and end.
        let similar = r#""a_long_key_1_of_two":1,"a_long_key_2_of_two":{"b":[2]}"#;
        for (text, repeated) in [
            (r#"{"a":1,"a":2}"#.to_owned(), true),
            (r#"{"a":1,"b":{"a":2}}"#.to_owned(), false),
            (format!("{{{}}}", many.join(",")), false),
            (format!("{{{}}}", many[..30].join(",")), false),
            (format!("{{{},\"k7\":0}}", many[..30].join(",")), true),
            (format!("{{{similar}}}"), false),
            (format!("{{{similar},{similar}}}"), true),
            (format!("{{{similar},\"\\u0061_long_key_1_of_two\":3}}"), true),
            (format!("{{{},\"k7\":0}}", many.join(",")), true),
        ] {
            assert_eq!(parse(&text).unwrap().has_duplicate_keys(), repeated, "{text}");
        }
        let document = parse(r#"{"a":1,"a":2}"#).unwrap();
        assert_eq!(document.root().get("a").map(Value::kind), Some(Kind::Int(2)));
    }

    #[test]
    fn hostile_texts_are_refused_with_the_reason() {
        assert_eq!(parse(&"[".repeat(100_000)).unwrap_err(), DocumentError::TooDeep);
        let error = Document::parse(vec![b'"', 0xff, b'"']).unwrap_err();
        assert_eq!(error, DocumentError::NotUtf8 { valid_up_to: 1 });
        let error = parse("{\"a\":}").unwrap_err();
        assert_eq!(error.to_string(), "not JSON: expected value at line 1 column 6");
        assert!(parse("{} {}").is_err());
        assert!(parse("").is_err());
    }
}
