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

/// What is known of the texts that a part matches.
#[derive(Clone, Copy)]
struct Literals {
    /// Where they are few: how many, and the length of the shortest in bytes.
    exact: Option<(usize, usize)>,
    /// The length of the shortest of the best set of literals of which each text contains one.
    best: usize,
}

/// Texts in a set of literals; the matcher's index takes no larger sets.
const ALTERNATIVES_MAX: usize = 64;

impl Literals {
    const UNKNOWN: Self = Self { exact: None, best: 0 };

    fn required(self) -> usize {
        self.exact.map_or(0, |(_, shortest)| shortest).max(self.best)
    }
}

fn required_literal(hir: &Hir) -> usize {
    literals(hir).required()
}

fn literals(hir: &Hir) -> Literals {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Literals { exact: Some((1, 0)), best: 0 },
        HirKind::Literal(literal) => Literals { exact: Some((1, literal.0.len())), best: 0 },
        HirKind::Class(class) => {
            const DISTINCT_MAX: usize = 3;
            let characters = match class {
                Class::Unicode(class) => {
                    class.iter().map(regex_syntax::hir::ClassUnicodeRange::len).sum()
                }
                Class::Bytes(class) => {
                    class.iter().map(regex_syntax::hir::ClassBytesRange::len).sum()
                }
            };
            let exact = (1..=DISTINCT_MAX).contains(&characters).then_some((characters, 1));
            Literals { exact, best: 0 }
        }
        HirKind::Capture(capture) => literals(&capture.sub),
        HirKind::Repetition(repetition) => match (repetition.min, repetition.max) {
            (1, Some(1)) => literals(&repetition.sub),
            (0, _) => Literals::UNKNOWN,
            _ => Literals { exact: None, best: literals(&repetition.sub).required() },
        },
        HirKind::Concat(parts) => concatenation(parts),
        HirKind::Alternation(parts) => {
            let parts: Vec<_> = parts.iter().map(literals).collect();
            let exact = parts.iter().try_fold((0, usize::MAX), |(count, shortest), part| {
                let (more, length) = part.exact?;
                Some((count + more, shortest.min(length)))
            });
            match exact {
                Some((count, _)) if count > ALTERNATIVES_MAX => Literals::UNKNOWN,
                Some(exact) => Literals { exact: Some(exact), best: 0 },
                None => {
                    let best = parts.iter().map(|part| part.required()).min().unwrap_or(0);
                    Literals { exact: None, best }
                }
            }
        }
    }
}

/// Neighbours of which every text is known join to longer literals: `(kirim|kode) otp`.
fn concatenation(parts: &[Hir]) -> Literals {
    let (mut count, mut length) = (1, 0);
    let (mut best, mut all_exact) = (0, true);
    for part in parts.iter().map(literals) {
        best = best.max(part.best);
        match part.exact {
            Some((more, shortest)) if count * more <= ALTERNATIVES_MAX / 4 => {
                count *= more;
                length += shortest;
            }
            exact => {
                all_exact = false;
                best = best.max(length);
                (count, length) = exact.unwrap_or((1, 0));
            }
        }
    }
    if all_exact {
        return Literals { exact: Some((count, length)), best };
    }
    Literals { exact: None, best: best.max(length) }
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
            (r"\b(kirim|kode)\b", 4),
            ("[Kk]ey[0-9]", 3),
            ("(otp|pin|x)", 1),
            ("(alpha|)", 0),
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
