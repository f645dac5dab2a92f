//! Reads JSON text into the nodes of a [`Document`](super::Document): RFC 8259, nothing more.
//!
//! Written for this one purpose because a general parser hands every value over through a visitor,
//! which costs as much as the reading. A property test holds it to `serde_json`: the same texts are
//! accepted, with the same values.

use xxhash_rust::xxh3::xxh3_64;

use super::document::{DocumentError, Node};

/// As deep as `serde_json` goes, so that whatever is accepted here can be read there.
const DEPTH_MAX: usize = 127;

/// Up to so many keys, looking through those before is faster than sorting.
const LINEAR_KEYS: u32 = 64;

/// What a text holds.
pub(super) struct Parsed {
    pub(super) nodes: Vec<Node>,
    /// The texts that held an escape, one behind the other.
    pub(super) unescaped: String,
    pub(super) has_duplicate_keys: bool,
}

/// Reads one value that fills the whole text, which is smaller than 2 GiB.
pub(super) fn parse(source: &str) -> Result<Parsed, DocumentError> {
    let mut parser = Parser {
        source,
        at: 0,
        depth: 0,
        parsed: Parsed {
            nodes: Vec::with_capacity(source.len() / 9 + 8),
            unescaped: String::new(),
            has_duplicate_keys: false,
        },
    };
    match parser.document() {
        Ok(()) => Ok(parser.parsed),
        Err(Fault::TooDeep) => Err(DocumentError::TooDeep),
        Err(Fault::Syntax(reason)) => {
            let before = &source.as_bytes()[..parser.at.min(source.len())];
            let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
            let line = memchr::memchr_iter(b'\n', before).count() + 1;
            let column = before.len() - line_start + 1;
            Err(DocumentError::NotJson { reason, line, column })
        }
    }
}

enum Fault {
    TooDeep,
    Syntax(&'static str),
}

const UNFINISHED: Fault = Fault::Syntax("the text ends too early");

struct Parser<'s> {
    source: &'s str,
    /// Index of the next byte to look at; after a fault, of the byte at fault.
    at: usize,
    depth: usize,
    parsed: Parsed,
}

impl Parser<'_> {
    fn document(&mut self) -> Result<(), Fault> {
        self.value()?;
        match self.next_token() {
            None => Ok(()),
            Some(_) => Err(Fault::Syntax("expected the end of the text")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.source.as_bytes().get(self.at).copied()
    }

    /// Passes white space and returns the byte behind it without passing that.
    #[inline]
    fn next_token(&mut self) -> Option<u8> {
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                _ => return Some(byte),
            }
        }
        None
    }

    fn push(&mut self, node: Node) {
        self.parsed.nodes.push(node);
    }

    fn value(&mut self) -> Result<(), Fault> {
        match self.next_token().ok_or(UNFINISHED)? {
            b'"' => {
                let text = self.text()?;
                self.push(text);
                Ok(())
            }
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Node::Bool(true)),
            b'f' => self.word("false", Node::Bool(false)),
            b'n' => self.word("null", Node::Null),
            _ => Err(Fault::Syntax("expected value")),
        }
    }

    fn word(&mut self, word: &'static str, node: Node) -> Result<(), Fault> {
        if !self.source.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Fault::Syntax("expected `true`, `false` or `null`"));
        }
        self.at += word.len();
        self.push(node);
        Ok(())
    }

    /// Reads an array or object into a node that is reserved before what it contains.
    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<(u32, bool), Fault>,
    ) -> Result<(), Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        let reserved = self.parsed.nodes.len();
        self.push(Node::Null);
        let (len, is_object) = read(self)?;
        let next = offset(self.parsed.nodes.len());
        self.parsed.nodes[reserved] =
            if is_object { Node::Object { len, next } } else { Node::Array { len, next } };
        self.depth -= 1;
        Ok(())
    }

    fn array(&mut self) -> Result<(u32, bool), Fault> {
        if self.next_token() == Some(b']') {
            self.at += 1;
            return Ok((0, false));
        }
        let mut len = 0;
        loop {
            self.value()?;
            len += 1;
            match self.next_token().ok_or(UNFINISHED)? {
                b',' => self.at += 1,
                b']' => break,
                _ => return Err(Fault::Syntax("expected `,` or `]`")),
            }
        }
        self.at += 1;
        Ok((len, false))
    }

    fn object(&mut self) -> Result<(u32, bool), Fault> {
        if self.next_token() == Some(b'}') {
            self.at += 1;
            return Ok((0, true));
        }
        let object = self.parsed.nodes.len() - 1;
        let mut seen = [0; SEEN_WORDS];
        let mut len = 0;
        loop {
            if self.next_token().ok_or(UNFINISHED)? != b'"' {
                return Err(Fault::Syntax("key must be a string"));
            }
            let key = self.text()?;
            self.parsed.has_duplicate_keys |= self.is_repeated(&mut seen, object, len, key);
            self.push(key);
            len += 1;
            if self.next_token().ok_or(UNFINISHED)? != b':' {
                return Err(Fault::Syntax("expected `:`"));
            }
            self.at += 1;
            self.value()?;
            match self.next_token().ok_or(UNFINISHED)? {
                b',' => self.at += 1,
                b'}' => break,
                _ => return Err(Fault::Syntax("expected `,` or `}`")),
            }
        }
        self.at += 1;
        self.parsed.has_duplicate_keys |= len > LINEAR_KEYS && self.is_any_repeated(object, len);
        Ok((len, true))
    }

    /// Returns whether a key is the same as one before it in the object of the node `object`. Of an
    /// object with many keys [`Self::is_any_repeated`] tells.
    #[inline]
    fn is_repeated(&self, seen: &mut Seen, object: usize, keys: u32, key: Node) -> bool {
        let hash = key_hash(self.text_of(key));
        let bit = 1 << (hash % 64);
        let word = &mut seen[hash as usize / 64 % SEEN_WORDS];
        let is_known = *word & bit != 0;
        *word |= bit;
        is_known && keys < LINEAR_KEYS && self.is_among(object, keys, key)
    }

    fn is_among(&self, object: usize, keys: u32, key: Node) -> bool {
        let text = self.text_of(key);
        self.keys(object, keys).any(|other| self.text_of(other) == text)
    }

    /// Whether two keys of an object have the same hash. A chance collision has odds of 2^-64 a pair.
    fn is_any_repeated(&self, object: usize, keys: u32) -> bool {
        let hashes = self.keys(object, keys).map(|key| xxh3_64(self.text_of(key)));
        let mut hashes: Vec<u64> = hashes.collect();
        hashes.sort_unstable();
        hashes.windows(2).any(|pair| pair[0] == pair[1])
    }

    /// Returns the first keys of an object that was read so far.
    fn keys(&self, object: usize, keys: u32) -> impl Iterator<Item = Node> {
        let nodes = &self.parsed.nodes;
        let mut at = object + 1;
        (0..keys).map(move |_| {
            let key = nodes[at];
            at = match nodes[at + 1] {
                Node::Array { next, .. } | Node::Object { next, .. } => next as usize,
                Node::Null | Node::Bool(_) | Node::Int(_) | Node::Float(_) | Node::Text { .. } => {
                    at + 2
                }
            };
            key
        })
    }

    fn text_of(&self, key: Node) -> &[u8] {
        let Node::Text { start, end } = key else { return &[] };
        let (start, end) = (start as usize, end as usize);
        match start.checked_sub(self.source.len()) {
            None => &self.source.as_bytes()[start..end],
            Some(start) => &self.parsed.unescaped.as_bytes()[start..end - self.source.len()],
        }
    }

    /// Reads a text from its opening quote to behind its closing one.
    #[inline]
    fn text(&mut self) -> Result<Node, Fault> {
        self.at += 1;
        let start = self.at;
        self.pass_plain();
        if self.peek() == Some(b'"') {
            self.at += 1;
            return Ok(Node::Text { start: offset(start), end: offset(self.at - 1) });
        }
        self.text_with_escapes(start)
    }

    fn text_with_escapes(&mut self, start: usize) -> Result<Node, Fault> {
        if self.parsed.unescaped.capacity() == 0 {
            self.parsed.unescaped.reserve_exact(self.source.len() - start);
        }
        let before = self.source.len() + self.parsed.unescaped.len();
        let mut plain = start;
        loop {
            self.parsed.unescaped.push_str(&self.source[plain..self.at]);
            match self.peek().ok_or(UNFINISHED)? {
                b'"' => break,
                b'\\' => plain = self.escape()?,
                _ => return Err(Fault::Syntax("control character in a string")),
            }
            self.pass_plain();
        }
        self.at += 1;
        let end = self.source.len() + self.parsed.unescaped.len();
        Ok(Node::Text { start: offset(before), end: offset(end) })
    }

    /// Passes what needs no look: up to a quote, a backslash, a control character or the end.
    #[inline]
    fn pass_plain(&mut self) {
        let bytes = self.source.as_bytes();
        let mut at = self.at;
        while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
            let stops = stops(u64::from_le_bytes(*chunk));
            if stops != 0 {
                self.at = at + stops.trailing_zeros() as usize / 8;
                return;
            }
            at += 8;
        }
        self.at = at;
        while self.peek().is_some_and(|byte| byte >= 0x20 && byte != b'"' && byte != b'\\') {
            self.at += 1;
        }
    }

    /// Passes an escape and returns where the text goes on. A character that stands for itself
    /// behind its backslash is left to be copied with what follows it.
    fn escape(&mut self) -> Result<usize, Fault> {
        self.at += 1;
        let character = match self.peek().ok_or(UNFINISHED)? {
            b'"' | b'\\' | b'/' => {
                self.at += 1;
                return Ok(self.at - 1);
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.code_point()?,
            _ => return Err(Fault::Syntax("invalid escape")),
        };
        self.at += 1;
        self.parsed.unescaped.push(character);
        Ok(self.at)
    }

    /// Reads `u` and four digits, twice for a pair of surrogates, up to before the last digit.
    fn code_point(&mut self) -> Result<char, Fault> {
        let lone = Fault::Syntax("half of a surrogate pair in a string");
        let first = self.four_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if !self.source.as_bytes()[self.at + 1..].starts_with(b"\\u") {
            return Err(lone);
        }
        self.at += 2;
        let second = self.four_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        let pair = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        char::from_u32(pair).ok_or(lone)
    }

    fn four_digits(&mut self) -> Result<u32, Fault> {
        let mut number = 0;
        for _ in 0..4 {
            self.at += 1;
            let digit = char::from(self.peek().ok_or(UNFINISHED)?).to_digit(16);
            number = number * 16 + digit.ok_or(Fault::Syntax("invalid escape"))?;
        }
        Ok(number)
    }

    fn number(&mut self) -> Result<(), Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let first_digit = self.at;
        let digits = self.digits()?;
        if digits > 1 && self.source.as_bytes()[first_digit] == b'0' {
            self.at = first_digit + 1;
            return Err(Fault::Syntax("invalid number"));
        }
        let mut is_integer = true;
        if self.peek() == Some(b'.') {
            is_integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        let text = &self.source[start..self.at];
        // An integer has no negative zero; as a float the sign is kept.
        if is_integer
            && text != "-0"
            && let Ok(number) = text.parse()
        {
            self.push(Node::Int(number));
            return Ok(());
        }
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        self.push(Node::Float(number.ok_or(Fault::Syntax("number out of range"))?));
        Ok(())
    }

    /// Passes at least one digit and returns how many.
    fn digits(&mut self) -> Result<usize, Fault> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        match self.at - start {
            0 => Err(Fault::Syntax("invalid number")),
            digits => Ok(digits),
        }
    }
}

/// Marks, in the top bit of each byte, the first byte that is a quote, a backslash or a control
/// character. Marks behind the first may be wrong.
#[inline]
fn stops(word: u64) -> u64 {
    const ONES: u64 = u64::MAX / 0xff;
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    // With this bit turned a quote stands right behind the control characters, which change places.
    let quote_or_control = below(word ^ (ONES * 2), 0x21);
    let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
    (quote_or_control | backslash) & (ONES * 0x80)
}

/// Fits by construction: a source of less than 2 GiB holds no more nodes, and no longer texts.
#[inline]
fn offset(value: usize) -> u32 {
    u32::try_from(value).expect("a document is smaller than 2 GiB")
}

/// A bit for each hash of the keys of an object: a new bit is a new key.
type Seen = [u64; SEEN_WORDS];

const SEEN_WORDS: usize = 16;

/// A hash of length, first and last bytes: enough to tell most keys apart, and cheap. It is no
/// defence against an object whose keys were made to collide.
#[inline]
pub(crate) fn key_hash(key: &[u8]) -> u32 {
    let (first, last) =
        if let (Some(first), Some(last)) = (key.first_chunk::<8>(), key.last_chunk()) {
            (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
        } else if let (Some(first), Some(last)) = (key.first_chunk::<4>(), key.last_chunk()) {
            (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
        } else {
            let byte = |at: usize| key.get(at).map_or(0, |byte| u64::from(*byte));
            (byte(0) | byte(1) << 8 | byte(2) << 16, 0)
        };
    let mixed =
        (first ^ last.rotate_left(29) ^ key.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    // The upper half is the well mixed one.
    u32::try_from(mixed >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value as Json;

    use super::super::{Document, Kind, Value};

    fn to_json(value: Value<'_>) -> Json {
        match value.kind() {
            Kind::Null => Json::Null,
            Kind::Bool(value) => value.into(),
            Kind::Int(value) => value.into(),
            Kind::Float(value) => value.into(),
            Kind::Text(text) => text.into(),
            Kind::Array => value.elements().map(to_json).collect(),
            Kind::Object => {
                Json::Object(value.entries().map(|(k, v)| (k.to_owned(), to_json(v))).collect())
            }
        }
    }

    /// Accepts what `serde_json` accepts, with the same values; integers beyond 63 bits as floats.
    fn agrees(bytes: &[u8]) {
        let text = String::from_utf8_lossy(bytes);
        let ours = Document::parse(bytes.to_vec()).ok().map(|document| to_json(document.root()));
        let theirs = serde_json::from_slice::<Json>(bytes).ok().map(with_wide_integers_as_floats);
        assert_eq!(ours, theirs, "{text:?}");
    }

    fn with_wide_integers_as_floats(json: Json) -> Json {
        match json {
            Json::Number(number) if number.is_u64() && !number.is_i64() => number.as_f64().into(),
            Json::Array(list) => list.into_iter().map(with_wide_integers_as_floats).collect(),
            Json::Object(map) => {
                map.into_iter().map(|(k, v)| (k, with_wide_integers_as_floats(v))).collect()
            }
            other @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_)) => other,
        }
    }

    #[test]
    fn the_corners_of_the_grammar_are_read_as_serde_json_reads_them() {
        for text in CORNERS {
            agrees(text.as_bytes());
        }
        for levels in [1, 126, 127, 128, 129] {
            agrees(("[".repeat(levels) + &"]".repeat(levels)).as_bytes());
        }
    }

    const CORNERS: &[&str] = &[
        "",
        " ",
        "0",
        "-0",
        "-",
        "00",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1e5",
        "1E+5",
        "1e",
        "1e-",
        "1e999",
        "-1e999",
        "1e-999",
        "+1",
        "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808",
        "-9223372036854775809",
        "18446744073709551616",
        "0x10",
        "NaN",
        "1 2",
        "tru",
        "true",
        "truex",
        "nul",
        "[]",
        "[ ]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "{\"a\":1 \"b\":2}",
        "]",
        "\"",
        "\"\\\"",
        "\"\\",
        "\"\\u12\"",
        "\"\\u00e9\"",
        "\"\\ud83d\\ude00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83dx\"",
        "\"\\x\"",
        "\"\\/\\b\\f\\n\\r\\t\"",
        "\"a\tb\"",
        "\"\u{7f}\u{80}\u{2028}\"",
        "\"12345678\"",
        "\"1234567\\n12345678é\"",
        "\u{feff}1",
        "\u{b}1",
        "\u{a0}1",
        "[\"\u{1}\"]",
        "\"\\u+123\"",
        "\"\\u 123\"",
    ];

    #[test]
    fn a_fault_is_told_with_its_line_and_column() {
        for (text, message) in [
            ("{\"a\":}", "not JSON: expected value at line 1 column 6"),
            ("{\n \"a\": tru }", "not JSON: expected `true`, `false` or `null` at line 2 column 7"),
            ("[1", "not JSON: the text ends too early at line 1 column 3"),
            ("", "not JSON: the text ends too early at line 1 column 1"),
            ("1 x", "not JSON: expected the end of the text at line 1 column 3"),
        ] {
            let error = Document::parse(text.into()).unwrap_err();
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    fn json() -> impl Strategy<Value = Json> {
        let scalar = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            any::<f64>().prop_map(Json::from),
            any::<String>().prop_map(Json::from),
            "[a-z\"\\\\\n\u{1}é]{0,20}".prop_map(Json::from),
        ];
        scalar.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::btree_map("[a-c\"é]{0,9}", inner, 0..6)
                    .prop_map(|map| map.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_is_read_as_serde_json_reads_it(json in json(), pretty in any::<bool>()) {
            let text = if pretty { format!("{json:#}") } else { json.to_string() };
            agrees(text.as_bytes());
        }

        #[test]
        fn damaged_json_is_judged_as_serde_json_judges_it(
            json in json(),
            edits in prop::collection::vec(
                (any::<prop::sample::Index>(), prop::sample::select(&b"\"\\{}[],:01-.eEu \n\x01\xff"[..])),
                1..4,
            ),
        ) {
            let mut bytes = json.to_string().into_bytes();
            for (at, byte) in edits {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            agrees(&bytes);
        }
    }
}
