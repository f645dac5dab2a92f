//! Whether a regular expression can be used, found out without compiling it.

use regex_syntax::ParserBuilder;
use regex_syntax::ast::ErrorKind;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::model::Regex;

/// Why a regular expression is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RegexFault {
    Syntax {
        reason: String,
        /// Bytes of the pattern.
        start: usize,
        end: usize,
    },
    /// Look-around or back-references.
    Unsupported {
        what: &'static str,
        start: usize,
        end: usize,
    },
    TooLarge,
}

/// States of the program above which a pattern is refused; measured against the `regex` crate's own
/// default limit, which such a pattern stays well below.
const MAX_STATES: u64 = 150_000;
const MAX_BYTES: usize = 16 << 10;

/// Checks a pattern and returns the length of the longest literal that every match contains.
pub(super) fn check(regex: &Regex) -> Result<usize, RegexFault> {
    if regex.pattern.len() > MAX_BYTES {
        return Err(RegexFault::TooLarge);
    }
    // Letter case does not matter to what is checked, and folding it would hide the literals.
    let parsed = ParserBuilder::new()
        .nest_limit(64)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
        .parse(&regex.pattern);
    let hir = parsed.map_err(|error| fault_of(&error))?;
    if states(&hir) > MAX_STATES {
        return Err(RegexFault::TooLarge);
    }
    Ok(required_literal(&hir))
}

#[expect(clippy::wildcard_enum_match_arm, reason = "foreign, growing enums")]
fn fault_of(error: &regex_syntax::Error) -> RegexFault {
    match error {
        regex_syntax::Error::Parse(error) => {
            let (start, end) = (error.span().start.offset, error.span().end.offset);
            match error.kind() {
                ErrorKind::UnsupportedLookAround => {
                    RegexFault::Unsupported { what: "look-around", start, end }
                }
                ErrorKind::UnsupportedBackreference => {
                    RegexFault::Unsupported { what: "a back-reference", start, end }
                }
                kind => RegexFault::Syntax { reason: kind.to_string(), start, end },
            }
        }
        regex_syntax::Error::Translate(error) => {
            let (start, end) = (error.span().start.offset, error.span().end.offset);
            RegexFault::Syntax { reason: error.kind().to_string(), start, end }
        }
        _ => RegexFault::Syntax { reason: error.to_string(), start: 0, end: 0 },
    }
}

/// An upper estimate of the states of the compiled program.
fn states(hir: &Hir) -> u64 {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => u64::try_from(literal.0.len()).unwrap_or(u64::MAX),
        HirKind::Class(Class::Unicode(class)) => 2 + 2 * class.ranges().len() as u64,
        HirKind::Class(Class::Bytes(class)) => 1 + class.ranges().len() as u64,
        HirKind::Repetition(repetition) => {
            let copies = u64::from(repetition.max.unwrap_or(repetition.min).max(1));
            states(&repetition.sub).saturating_add(1).saturating_mul(copies)
        }
        HirKind::Capture(capture) => states(&capture.sub).saturating_add(2),
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().fold(1, |sum, part| states(part).saturating_add(sum))
        }
    }
}

fn required_literal(hir: &Hir) -> usize {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => 0,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Repetition(repetition) => {
            if repetition.min == 0 {
                0
            } else {
                required_literal(&repetition.sub)
            }
        }
        HirKind::Capture(capture) => required_literal(&capture.sub),
        HirKind::Concat(parts) => parts.iter().map(required_literal).max().unwrap_or(0),
        HirKind::Alternation(parts) => parts.iter().map(required_literal).min().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(pattern: &str) -> Result<usize, RegexFault> {
        check(&Regex {
            pattern: pattern.into(),
            ignore_case: false,
            multi_line: false,
            dot_all: false,
        })
    }

    #[test]
    fn the_longest_required_literal_is_found() {
        for (pattern, length) in [
            (r"\b(kirim|sebutkan)\b.{0,40}\botp\b", 5),
            (r"\d{4,8}", 0),
            ("(abc)?", 0),
            ("(abcd)+x", 4),
            ("", 0),
        ] {
            assert_eq!(checked(pattern), Ok(length), "{pattern}");
        }
    }

    #[test]
    fn what_the_matcher_could_not_compile_is_refused() {
        assert!(matches!(checked("a(?!b)"), Err(RegexFault::Unsupported { start: 1, .. })));
        assert!(matches!(checked(r"(a)\1"), Err(RegexFault::Unsupported { .. })));
        assert!(matches!(checked("(otp"), Err(RegexFault::Syntax { .. })));
        for pattern in [r"(\w{1,200}){1,200}", r"((a{1,500}){1,500}){1,500}", &"a".repeat(20_000)] {
            assert_eq!(checked(pattern), Err(RegexFault::TooLarge), "{pattern:.40}");
        }
    }
}
