//! The tests of a rule set in the form that is fastest to run.

use std::sync::{Arc, OnceLock};

use ipnet::IpNet;

use super::fold::fold;
use super::index::{millibits_of, odds, odds_at_end, parsed};
use super::scratch::Marks;
use crate::rulebook::{
    Atom, Comparison, FieldId, Piece, Regex, Target, Test, TextPart, TextPattern, TimePart,
};

/// One test; the texts in it are folded unless they are `cased`.
#[derive(Debug)]
pub(super) struct CompiledAtom {
    pub(super) target: Target,
    pub(super) test: CompiledTest,
}

#[derive(Debug)]
pub(super) enum CompiledTest {
    Literal {
        part: TextPart,
        literal: Box<str>,
    },
    Contains {
        literal: Needle,
        marks: Option<Marks>,
    },
    Pattern(Box<[Piece]>),
    CasedLiteral {
        part: TextPart,
        literal: Box<str>,
    },
    CasedPattern(Box<[Piece]>),
    /// `*`: any scalar that is not null.
    Anything,
    Regex(Box<LazyRegex>),
    Cidr(IpNet),
    Number(Comparison, f64),
    Null,
    Exists(bool),
    FieldRef {
        other: FieldId,
        part: TextPart,
        cased: bool,
    },
    TimePart(TimePart, i64),
    InAccountList {
        list: Arc<str>,
        part: TextPart,
        cased: bool,
    },
    InAccountNetworks,
}

impl CompiledAtom {
    pub(super) fn new(atom: &Atom) -> Self {
        Self { target: atom.target, test: CompiledTest::new(&atom.test) }
    }

    /// Returns the cost of running the test, in units of about a nanosecond, and a guess at how
    /// often it holds; both only order the parts of a condition.
    pub(super) fn estimate(&self) -> (f64, f64) {
        let (cost, odds) = match &self.test {
            CompiledTest::Null | CompiledTest::Exists(_) => (2.0, 0.4),
            CompiledTest::Number(..) | CompiledTest::Anything => (4.0, 0.2),
            CompiledTest::Literal { literal, .. } => (5.0, odds_at_end(literal.as_bytes())),
            CompiledTest::CasedLiteral { literal, .. } => (8.0, odds_at_end(literal.as_bytes())),
            CompiledTest::Contains { literal, .. } => (10.0, odds(literal.text.as_bytes())),
            CompiledTest::Pattern(_) | CompiledTest::CasedPattern(_) => (60.0, 0.05),
            CompiledTest::Cidr(_) | CompiledTest::FieldRef { .. } => (60.0, 0.2),
            CompiledTest::TimePart(..) => (100.0, 0.2),
            CompiledTest::InAccountList { .. } | CompiledTest::InAccountNetworks => (100.0, 0.1),
            CompiledTest::Regex(_) => (300.0, 0.1),
        };
        match self.target {
            Target::Field(_) => (cost, odds),
            Target::AnyValue => (cost * 30.0 + 500.0, odds),
        }
    }
}

impl CompiledTest {
    fn new(test: &Test) -> Self {
        match test {
            Test::Text(pattern) => Self::text(pattern),
            Test::Regex(regex) => Self::Regex(Box::new(LazyRegex::new(regex))),
            Test::Cidr(network) => Self::Cidr(*network),
            Test::Number(comparison, number) => Self::Number(*comparison, *number),
            // A boolean equals its text, so this is all.
            Test::Boolean(value) => {
                Self::Literal { part: TextPart::Whole, literal: value.to_string().into() }
            }
            Test::Null => Self::Null,
            Test::Exists(present) => Self::Exists(*present),
            Test::FieldRef { other, part, cased } => {
                Self::FieldRef { other: *other, part: *part, cased: *cased }
            }
            Test::TimePart(part, number) => Self::TimePart(*part, *number),
            Test::InAccountList { list, part, cased } => {
                Self::InAccountList { list: list.clone(), part: *part, cased: *cased }
            }
            Test::InAccountNetworks => Self::InAccountNetworks,
        }
    }

    fn text(pattern: &TextPattern) -> Self {
        let (part, literal) = match &*pattern.pieces {
            [] => (TextPart::Whole, ""),
            [Piece::Any] => return Self::Anything,
            [Piece::Text(literal)] => (TextPart::Whole, &**literal),
            [Piece::Text(literal), Piece::Any] => (TextPart::Start, &**literal),
            [Piece::Any, Piece::Text(literal)] => (TextPart::End, &**literal),
            [Piece::Any, Piece::Text(literal), Piece::Any] => (TextPart::Anywhere, &**literal),
            pieces if pattern.cased => return Self::CasedPattern(pieces.into()),
            pieces => return Self::Pattern(pieces.iter().map(folded).collect()),
        };
        if pattern.cased {
            return Self::CasedLiteral { part, literal: literal.into() };
        }
        let literal = fold(literal).into_boxed_str();
        if part == TextPart::Anywhere {
            let marks = Marks::of(literal.as_bytes());
            return Self::Contains { literal: Needle::new(literal), marks };
        }
        Self::Literal { part, literal }
    }
}

fn folded(piece: &Piece) -> Piece {
    match piece {
        Piece::Text(text) => Piece::Text(fold(text).into()),
        Piece::Any => Piece::Any,
        Piece::One => Piece::One,
    }
}

/// Returns whether `text` holds `literal` in that place.
pub(super) fn literal_holds(part: TextPart, text: &str, literal: &str) -> bool {
    match part {
        TextPart::Whole => text == literal,
        TextPart::Start => text.starts_with(literal),
        TextPart::End => text.ends_with(literal),
        TextPart::Anywhere => memchr::memmem::find(text.as_bytes(), literal.as_bytes()).is_some(),
    }
}

/// A literal to be found in texts by its rarest byte.
#[derive(Debug)]
pub(super) struct Needle {
    text: Box<str>,
    /// Where its rarest byte is, of the first 256.
    rarest: u8,
}

impl Needle {
    fn new(text: Box<str>) -> Self {
        let rarest = (0..=u8::MAX).zip(text.bytes()).max_by_key(|(_, byte)| millibits_of(*byte));
        Self { rarest: rarest.map_or(0, |(at, _)| at), text }
    }

    /// Returns whether the literal stands in the text.
    pub(super) fn is_in(&self, text: &[u8]) -> bool {
        /// Places that were the wrong ones before a search that is linear in any text.
        const TRIES_MAX: usize = 16;
        let (literal, rarest) = (self.text.as_bytes(), usize::from(self.rarest));
        let Some(byte) = literal.get(rarest) else { return true };
        let Some(last) = text.len().checked_sub(literal.len()) else { return false };
        for (tries, at) in memchr::memchr_iter(*byte, &text[rarest..=last + rarest]).enumerate() {
            if text[at..].starts_with(literal) {
                return true;
            }
            if tries == TRIES_MAX {
                return memchr::memmem::find(&text[at..], literal).is_some();
            }
        }
        false
    }
}

/// A regular expression that is compiled when it is first asked: most never are.
#[derive(Debug)]
pub(super) struct LazyRegex {
    source: Regex,
    /// Bytes of the shortest text that it can match.
    shortest: OnceLock<usize>,
    /// For ASCII texts, where `\w` and its like are a tenth of the size and mean the same; nothing
    /// where the expression names other characters.
    ascii: OnceLock<Option<regex::bytes::Regex>>,
    unicode: OnceLock<Option<regex::Regex>>,
}

impl LazyRegex {
    fn new(source: &Regex) -> Self {
        let (shortest, ascii, unicode) = Default::default();
        Self { source: source.clone(), shortest, ascii, unicode }
    }

    /// Returns whether the text contains a match. An expression that does not compile matches
    /// nothing; the compiler of rules has refused such ones.
    pub(super) fn is_match(&self, text: &str) -> bool {
        // An expression for long texts is large, and slow to find that a text is not.
        if text.len() < *self.shortest.get_or_init(|| shortest(&self.source)) {
            return false;
        }
        if text.is_ascii()
            && let Some(regex) = self.ascii.get_or_init(|| compile_ascii(&self.source).ok())
        {
            return regex.is_match(text.as_bytes());
        }
        let unicode = self.unicode.get_or_init(|| compile(&self.source).ok());
        unicode.as_ref().is_some_and(|regex| regex.is_match(text))
    }
}

fn compile_ascii(regex: &Regex) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(&regex.pattern)
        .unicode(false)
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
}

fn shortest(regex: &Regex) -> usize {
    parsed(regex).and_then(|hir| hir.properties().minimum_len()).unwrap_or_default()
}

/// Compiles a rule's expression with the limits that all of satpam uses.
pub(super) fn compile(regex: &Regex) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(&regex.pattern)
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_says_the_same_of_ascii_texts_as_of_others() {
        let texts = ["", "a k", "K-1_", "\u{212a}", "é", "b\n\r\u{1}~", "aa bb", "s\u{17f}S"];
        for pattern in [
            r"\w",
            r"\W\b",
            r"(?i)K",
            "é|k",
            "[^é]",
            r"\p{Lu}",
            ".",
            r"^\S+$",
            r"\d|\B",
            "[^a-z ]",
            "(?u)\\w+$",
        ] {
            for ignore_case in [false, true] {
                let pattern = Box::from(pattern);
                let regex = Regex { pattern, ignore_case, multi_line: false, dot_all: false };
                for text in texts {
                    let expected = compile(&regex).unwrap().is_match(text);
                    assert_eq!(
                        LazyRegex::new(&regex).is_match(text),
                        expected,
                        "{regex:?} {text:?}"
                    );
                }
            }
        }
    }
}
