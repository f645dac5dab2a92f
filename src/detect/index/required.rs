//! The literals that every match of a regular expression contains.

use regex_syntax::hir::{Class, Hir, HirKind};

use super::rarity;
use crate::detect::fold::fold;
use crate::rulebook::Regex;

/// Sets larger than this cost more than they save.
const ALTERNATIVES_MAX: usize = 64;

/// Returns folded literals of which every match, folded, contains at least one; nothing where the
/// expression does not require any.
pub(super) fn required_literals(regex: &Regex) -> Option<Vec<String>> {
    let hir = regex_syntax::ParserBuilder::new()
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
        .parse(&regex.pattern)
        .ok()?;
    let Part { exact, best } = part(&hir, 0);
    let whole = exact.and_then(Candidate::of);
    Candidate::better(whole, best).map(|candidate| candidate.literals)
}

/// A set of literals of which one must occur, and the odds that one does by chance.
struct Candidate {
    literals: Vec<String>,
    odds: f64,
}

impl Candidate {
    fn of(literals: Vec<String>) -> Option<Self> {
        if literals.is_empty()
            || literals.len() > ALTERNATIVES_MAX
            || literals.iter().any(String::is_empty)
        {
            return None;
        }
        let odds = literals.iter().map(|literal| rarity::odds(literal.as_bytes())).sum();
        Some(Self { literals, odds })
    }

    fn better(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => Some(if other.odds < one.odds { other } else { one }),
            (one, other) => one.or(other),
        }
    }
}

/// What is known of the texts that a part of an expression matches.
struct Part {
    /// All of them, where they are few.
    exact: Option<Vec<String>>,
    /// The best literals that each of them contains.
    best: Option<Candidate>,
}

impl Part {
    const UNKNOWN: Self = Self { exact: None, best: None };

    fn exact(texts: Vec<String>) -> Self {
        Self { exact: Some(texts), best: None }
    }

    fn into_candidate(self) -> Option<Candidate> {
        Candidate::better(self.exact.and_then(Candidate::of), self.best)
    }
}

/// The syntax tree is bounded in depth by its parser (250 levels).
fn part(hir: &Hir, depth: usize) -> Part {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Part::exact(vec![String::new()]),
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0)
            .map_or(Part::UNKNOWN, |text| Part::exact(vec![fold(text)])),
        HirKind::Class(class) => class_texts(class).map_or(Part::UNKNOWN, Part::exact),
        HirKind::Capture(capture) => part(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let once = part(&repetition.sub, depth + 1);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => once,
                (0, _) => Part::UNKNOWN,
                _ => Part { exact: None, best: once.into_candidate() },
            }
        }
        HirKind::Concat(parts) => concatenation(parts, depth),
        HirKind::Alternation(parts) => alternation(parts, depth),
    }
}

/// Returns the folded characters of a small class.
fn class_texts(class: &Class) -> Option<Vec<String>> {
    const CHARACTERS_MAX: u32 = 16;
    const DISTINCT_MAX: usize = 3;
    let Class::Unicode(class) = class else { return None };
    let size: u32 =
        class.iter().map(|range| u32::from(range.end()) - u32::from(range.start()) + 1).sum();
    if size > CHARACTERS_MAX {
        return None;
    }
    let mut texts: Vec<String> = class
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .map(|character| fold(character.encode_utf8(&mut [0; 4])))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    (texts.len() <= DISTINCT_MAX).then_some(texts)
}

fn concatenation(parts: &[Hir], depth: usize) -> Part {
    let mut run = vec![String::new()];
    let mut best = None;
    let mut all_exact = true;
    for sub in parts {
        let Part { exact, best: inner } = part(sub, depth + 1);
        best = Candidate::better(best, inner);
        match exact {
            Some(texts) if run.len() * texts.len() <= ALTERNATIVES_MAX / 4 => {
                run = run
                    .iter()
                    .flat_map(|before| texts.iter().map(move |text| format!("{before}{text}")))
                    .collect();
            }
            exact => {
                all_exact = false;
                best = Candidate::better(best, Candidate::of(std::mem::take(&mut run)));
                // A set too large to join still starts the next run.
                run = exact.unwrap_or_else(|| vec![String::new()]);
            }
        }
    }
    if all_exact {
        return Part { exact: Some(run), best };
    }
    Part { exact: None, best: Candidate::better(best, Candidate::of(run)) }
}

fn alternation(parts: &[Hir], depth: usize) -> Part {
    let parts: Vec<Part> = parts.iter().map(|sub| part(sub, depth + 1)).collect();
    if parts.iter().all(|part| part.exact.is_some()) {
        let texts: Vec<String> =
            parts.into_iter().filter_map(|part| part.exact).flatten().collect();
        return if texts.len() <= ALTERNATIVES_MAX { Part::exact(texts) } else { Part::UNKNOWN };
    }
    let each: Option<Vec<Candidate>> = parts.into_iter().map(Part::into_candidate).collect();
    let literals = each.map(|each| each.into_iter().flat_map(|each| each.literals).collect());
    Part { exact: None, best: literals.and_then(Candidate::of) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_tells_what_it_cannot_match_without() {
        for (pattern, ignore_case, expected) in [
            (r"foo\d+longer", false, Some(vec!["longer"])),
            (r"(?i)PowerShell", false, Some(vec!["powershell"])),
            (r"kirim", true, Some(vec!["kirim"])),
            (r"\b(kirim|sebutkan)\b.{0,40}\botp\b", false, Some(vec!["kirim", "sebutkan"])),
            (r"(abc)?\d", false, None),
            (r"x*", false, None),
            (r"(alpha\d|beta\d)", false, Some(vec!["alpha", "beta"])),
            (r"(alpha|)", false, None),
            (r"(?:quux){2,}", false, Some(vec!["quux"])),
            (r"[Kk]ey[0-9]", false, Some(vec!["key"])),
            (r".*", false, None),
            (r"^\\\\server$", false, Some(vec![r"\\server"])),
        ] {
            let regex =
                Regex { pattern: pattern.into(), ignore_case, multi_line: false, dot_all: false };
            let expected: Option<Vec<String>> =
                expected.map(|texts| texts.into_iter().map(str::to_owned).collect());
            assert_eq!(required_literals(&regex), expected, "{pattern}");
        }
    }
}
