//! The language of `condition:`: reading, printing, and what a condition means over selections.
//!
//! `or` binds weakest, then `and`, `not`, `X of`, parentheses. Keywords are lower case by the
//! specification and accepted in either case.

use std::fmt;
use std::ops::Range;

/// A condition as it is written; names are not resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    Name(String, Position),
    Of(Quantifier, Pattern, Position),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// Bytes of the condition's text. Takes no part in comparisons.
#[derive(Debug, Clone, Default)]
pub(super) struct Position(pub(super) Range<usize>);

impl PartialEq for Position {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Position {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    All,
    /// `1 of`, `any of`, and the historic `3 of`.
    AtLeast(usize),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Pattern {
    Them,
    /// A name in which each `*` stands for any run of characters.
    Names(String),
}

/// Why a text is not a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ConditionError {
    pub(super) at: Range<usize>,
    pub(super) reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// What was expected and what was found.
    Syntax(String),
    Aggregation,
    TooDeep,
}

const MAX_DEPTH: usize = 64;

/// Reads a condition.
pub(super) fn parse(text: &str) -> Result<Condition, ConditionError> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, end: text.len() };
    let condition = parser.or(0)?;
    match parser.peek() {
        None => Ok(condition),
        Some(token) => {
            let found = token.describe();
            Err(syntax(token.at.clone(), format!("expected `and`, `or` or the end, found {found}")))
        }
    }
}

#[derive(Debug, Clone)]
struct Token {
    kind: TokenKind,
    at: Range<usize>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum TokenKind {
    Open,
    Close,
    Word(String),
}

impl Token {
    fn describe(&self) -> String {
        match &self.kind {
            TokenKind::Open => "`(`".to_owned(),
            TokenKind::Close => "`)`".to_owned(),
            TokenKind::Word(word) => format!("`{word}`"),
        }
    }

    fn is(&self, keyword: &str) -> bool {
        matches!(&self.kind, TokenKind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

fn syntax(at: Range<usize>, reason: impl Into<String>) -> ConditionError {
    ConditionError { at, reason: Reason::Syntax(reason.into()) }
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '_' | '-' | '.' | '*')
}

fn tokens(text: &str) -> Result<Vec<Token>, ConditionError> {
    let mut tokens = Vec::new();
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let mut at = start..start + character.len_utf8();
        let kind = match character {
            '(' => TokenKind::Open,
            ')' => TokenKind::Close,
            '|' => {
                return Err(ConditionError { at: start..text.len(), reason: Reason::Aggregation });
            }
            _ if character.is_whitespace() => continue,
            _ if is_word_character(character) => {
                while let Some((next, character)) =
                    characters.next_if(|(_, character)| is_word_character(*character))
                {
                    at.end = next + character.len_utf8();
                }
                TokenKind::Word(text[at.clone()].to_owned())
            }
            other => return Err(syntax(at, format!("`{other}` has no meaning in a condition"))),
        };
        tokens.push(Token { kind, at });
    }
    Ok(tokens)
}

struct Parser<'t> {
    tokens: &'t [Token],
    at: usize,
    end: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Option<&'t Token> {
        self.tokens.get(self.at)
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let found = self.peek().is_some_and(|token| token.is(keyword));
        self.at += usize::from(found);
        found
    }

    fn or(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        self.chain(depth, "or", Self::and, Condition::Or)
    }

    fn and(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        self.chain(depth, "and", Self::not, Condition::And)
    }

    fn chain(
        &mut self,
        depth: usize,
        keyword: &str,
        part: fn(&mut Self, usize) -> Result<Condition, ConditionError>,
        join: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, ConditionError> {
        let first = part(self, depth)?;
        if !self.take_keyword(keyword) {
            return Ok(first);
        }
        let mut parts = vec![first, part(self, depth)?];
        while self.take_keyword(keyword) {
            parts.push(part(self, depth)?);
        }
        Ok(join(parts))
    }

    fn not(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        if depth > MAX_DEPTH {
            let at = self.peek().map_or(self.end..self.end, |token| token.at.clone());
            return Err(ConditionError { at, reason: Reason::TooDeep });
        }
        if self.take_keyword("not") {
            return Ok(Condition::Not(Box::new(self.not(depth + 1)?)));
        }
        self.primary(depth)
    }

    fn primary(&mut self, depth: usize) -> Result<Condition, ConditionError> {
        let Some(token) = self.peek() else {
            return Err(syntax(
                self.end..self.end,
                "the condition ends where a selection is expected",
            ));
        };
        self.at += 1;
        match &token.kind {
            TokenKind::Open => {
                let inner = self.or(depth + 1)?;
                match self.peek() {
                    Some(Token { kind: TokenKind::Close, .. }) => {
                        self.at += 1;
                        Ok(inner)
                    }
                    Some(other) => {
                        let found = other.describe();
                        Err(syntax(other.at.clone(), format!("expected `)`, found {found}")))
                    }
                    None => Err(syntax(token.at.clone(), "this parenthesis is not closed")),
                }
            }
            TokenKind::Close => Err(syntax(token.at.clone(), "expected a selection, found `)`")),
            TokenKind::Word(word) => {
                if self.take_keyword("of") {
                    return self.of(word, token);
                }
                if ["and", "or", "not", "of"].iter().any(|keyword| token.is(keyword)) {
                    return Err(syntax(
                        token.at.clone(),
                        format!("expected a selection, found the keyword `{word}`"),
                    ));
                }
                if word.contains('*') {
                    return Err(syntax(
                        token.at.clone(),
                        format!("the pattern `{word}` needs `1 of` or `all of` in front"),
                    ));
                }
                Ok(Condition::Name(word.clone(), Position(token.at.clone())))
            }
        }
    }

    fn of(&mut self, word: &str, token: &Token) -> Result<Condition, ConditionError> {
        let quantifier = match word.to_ascii_lowercase().as_str() {
            "all" => Quantifier::All,
            "any" => Quantifier::AtLeast(1),
            number => match number.parse::<usize>() {
                Ok(count) if count > 0 => Quantifier::AtLeast(count),
                Ok(_) | Err(_) => {
                    return Err(syntax(
                        token.at.clone(),
                        format!(
                            "expected a number above 0, `any` or `all` before `of`, found `{word}`"
                        ),
                    ));
                }
            },
        };
        match self.peek() {
            Some(Token { kind: TokenKind::Word(name), at }) => {
                self.at += 1;
                let pattern = if name.eq_ignore_ascii_case("them") {
                    Pattern::Them
                } else {
                    Pattern::Names(name.clone())
                };
                Ok(Condition::Of(quantifier, pattern, Position(token.at.start..at.end)))
            }
            Some(other) => {
                let found = other.describe();
                Err(syntax(
                    other.at.clone(),
                    format!("expected a pattern or `them`, found {found}"),
                ))
            }
            None => Err(syntax(self.end..self.end, "expected a pattern or `them` behind `of`")),
        }
    }
}

impl Pattern {
    /// Returns whether a selection is meant. Names that start with `_` are meant only by patterns
    /// that start with `_`.
    pub(super) fn means(&self, name: &str) -> bool {
        match self {
            Self::Them => !name.starts_with('_'),
            Self::Names(pattern) => {
                (!name.starts_with('_') || pattern.starts_with('_')) && matches(pattern, name)
            }
        }
    }
}

/// Greedy matching with one point to fall back to: linear in practice, quadratic at worst.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut p, mut n) = (0, 0);
    let mut fall_back = None;
    while n < name.len() {
        if p < pattern.len() && pattern[p] == b'*' {
            fall_back = Some((p + 1, n));
            p += 1;
        } else if p < pattern.len() && pattern[p] == name[n] {
            p += 1;
            n += 1;
        } else if let Some((after_star, start)) = fall_back {
            fall_back = Some((after_star, start + 1));
            p = after_star;
            n = start + 1;
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name, _) => formatter.write_str(name),
            Self::Of(quantifier, pattern, _) => {
                match quantifier {
                    Quantifier::All => formatter.write_str("all")?,
                    Quantifier::AtLeast(count) => write!(formatter, "{count}")?,
                }
                match pattern {
                    Pattern::Them => formatter.write_str(" of them"),
                    Pattern::Names(names) => write!(formatter, " of {names}"),
                }
            }
            Self::Not(inner) => match **inner {
                Self::And(_) | Self::Or(_) => write!(formatter, "not ({inner})"),
                Self::Name(..) | Self::Of(..) | Self::Not(_) => write!(formatter, "not {inner}"),
            },
            Self::And(parts) => join(formatter, parts, " and "),
            Self::Or(parts) => join(formatter, parts, " or "),
        }
    }
}

/// Puts parentheses around whatever would otherwise be read as part of the same chain.
fn join(formatter: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            formatter.write_str(word)?;
        }
        let bare = match part {
            Condition::Name(..) | Condition::Of(..) | Condition::Not(_) => true,
            Condition::And(_) => word == " or ",
            Condition::Or(_) => false,
        };
        if bare { write!(formatter, "{part}")? } else { write!(formatter, "({part})")? }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn conditions_are_read_by_precedence() {
        for (text, printed) in [
            ("a or b and not c", "a or b and not c"),
            ("(a or b) and c", "(a or b) and c"),
            ("((a))", "a"),
            ("NOT a AND b", "not a and b"),
            ("1 of sel_* and not any of filter*", "1 of sel_* and not 1 of filter*"),
            ("all of them", "all of them"),
            ("2 of them or x", "2 of them or x"),
            ("not (a or b)", "not (a or b)"),
            ("not not a", "not not a"),
            ("a and (b and c)", "a and (b and c)"),
        ] {
            assert_eq!(parse(text).unwrap().to_string(), printed, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_is_an_error_with_its_place() {
        for (text, at) in [
            ("", 0..0),
            ("a and", 5..5),
            ("a b", 2..3),
            ("(a", 0..1),
            ("a)", 1..2),
            ("sel_*", 0..5),
            ("x of them", 0..1),
            ("0 of them", 0..1),
            ("1 of", 4..4),
            ("a & b", 2..3),
            ("a | count() > 5", 2..15),
            ("and b", 0..3),
        ] {
            assert_eq!(parse(text).unwrap_err().at, at, "{text}");
        }
        let deep = parse(&format!("{}a", "(".repeat(100_000))).unwrap_err();
        assert_eq!(deep.reason, Reason::TooDeep);
        assert_eq!(parse(&"not ".repeat(100_000)).unwrap_err().reason, Reason::TooDeep);
    }

    #[test]
    fn underscored_selections_are_left_out_of_patterns() {
        for (pattern, name, means) in [
            ("*", "_a", false),
            ("_*", "_a", true),
            ("sel*", "selection", true),
            ("*tion", "selection", true),
            ("s*t*n", "selection", true),
            ("s*x*n", "selection", false),
            ("selection", "selection", true),
        ] {
            assert_eq!(Pattern::Names(pattern.to_owned()).means(name), means, "{pattern} {name}");
        }
        assert!(!Pattern::Them.means("_a"));
    }

    fn conditions() -> impl Strategy<Value = Condition> {
        let name = "[a-z_][a-z0-9_-]{0,8}".prop_filter("no keyword", |name| {
            !["and", "or", "not", "of", "them"].contains(&name.as_str())
        });
        let leaf = prop_oneof![
            name.clone().prop_map(|name| Condition::Name(name, Position::default())),
            (prop_oneof![Just(Quantifier::All), (1..5usize).prop_map(Quantifier::AtLeast)], name)
                .prop_map(|(quantifier, name)| {
                    let pattern = Pattern::Names(format!("{name}*"));
                    Condition::Of(quantifier, pattern, Position::default())
                }),
        ];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                inner.clone().prop_map(|inner| Condition::Not(Box::new(inner))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
                prop::collection::vec(inner, 2..4).prop_map(Condition::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_printed_condition_is_read_back_as_itself(condition in conditions()) {
            prop_assert_eq!(parse(&condition.to_string()).unwrap(), condition);
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn no_sequence_of_tokens_makes_the_parser_panic(
            words in prop::collection::vec(
                prop::sample::select(vec!["(", ")", "and", "or", "not", "of", "1", "all", "them", "a*", "x", "|"]),
                0..40,
            )
        ) {
            let _ = parse(&words.join(" "));
        }
    }
}
