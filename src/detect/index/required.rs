//! The literals that every match of a regular expression contains.

use regex_syntax::hir::{Class, Hir, HirKind, Look};

use super::literal::Literal;
use super::rarity;
use crate::detect::fold::fold;
use crate::rulebook::Regex;

/// Sets larger than this cost more than they save.
const ALTERNATIVES_MAX: usize = 256;
/// Texts of one run that are told apart by its optional parts.
const RUN_MAX: usize = 128;
/// Sets of one expression: its parts that must all be there.
const SETS_MAX: usize = 4;
/// A set that is more likely than this to occur by chance tells nothing.
const ODDS_MAX: f64 = 0.7;

/// Literals of which every match of an expression contains at least one.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::detect) struct LiteralSet {
    pub(super) literals: Vec<Literal>,
    /// That one of them occurs by chance.
    pub(super) odds: f64,
}

/// Returns the structure of an expression; nothing where it is none.
pub(in crate::detect) fn parsed(regex: &Regex) -> Option<Hir> {
    regex_syntax::ParserBuilder::new()
        .case_insensitive(regex.ignore_case)
        .multi_line(regex.multi_line)
        .dot_matches_new_line(regex.dot_all)
        .build()
        .parse(&regex.pattern)
        .ok()
}

/// Returns folded sets of literals, the rarest first: every match, folded, contains a literal of
/// each. None where the expression does not require any.
pub(super) fn required_sets(regex: &Regex) -> Vec<LiteralSet> {
    let Some(hir) = parsed(regex) else { return Vec::new() };
    let mut sets = part(&hir, 0).into_sets();
    let telling = sets.iter().take_while(|set| set.odds <= ODDS_MAX).count();
    sets.truncate(telling.max(1));
    sets
}

impl LiteralSet {
    fn of(texts: Vec<Text>) -> Option<Self> {
        if texts.is_empty()
            || texts.len() > ALTERNATIVES_MAX
            || texts.iter().any(Text::is_in_every_text)
        {
            return None;
        }
        let literals = texts
            .into_iter()
            .map(|text| Literal::of_word(text.text, text.starts_word, text.ends_word));
        Self::of_literals(literals.collect())
    }

    fn of_literals(mut literals: Vec<Literal>) -> Option<Self> {
        literals.sort_unstable();
        literals.dedup();
        if literals.len() > ALTERNATIVES_MAX {
            return None;
        }
        let odds = literals.iter().map(rarity::literal_odds).sum();
        Some(Self { literals, odds })
    }
}

/// A text that a part of an expression matches.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Text {
    text: String,
    /// Whether a boundary of words is asked for at its start, or its end: both, where it is empty.
    starts_word: bool,
    ends_word: bool,
}

impl Text {
    fn plain(text: String) -> Self {
        Self { text, ..Self::default() }
    }

    /// Returns whether looking for this tells nothing: it is empty, or a letter, digit or space
    /// anywhere.
    fn is_in_every_text(&self) -> bool {
        match self.text.as_bytes() {
            [] => true,
            [byte] => !self.starts_word && (byte.is_ascii_alphanumeric() || *byte == b' '),
            _ => false,
        }
    }

    fn joined(&self, behind: &Self) -> Self {
        let is_word = |one: bool, other: bool, is_empty: bool| one || is_empty && other;
        let starts_word = is_word(self.starts_word, behind.starts_word, self.text.is_empty());
        let ends_word = is_word(behind.ends_word, self.ends_word, behind.text.is_empty());
        Self { text: format!("{}{}", self.text, behind.text), starts_word, ends_word }
    }
}

/// What is known of the texts that a part of an expression matches.
struct Part {
    /// All of them, where they are few.
    exact: Option<Vec<Text>>,
    /// Sets of which each of them contains a literal; the rarest first.
    sets: Vec<LiteralSet>,
}

impl Part {
    fn unknown() -> Self {
        Self { exact: None, sets: Vec::new() }
    }

    fn exact(texts: Vec<Text>) -> Self {
        Self { exact: Some(texts), sets: Vec::new() }
    }

    fn into_sets(self) -> Vec<LiteralSet> {
        let mut sets = self.sets;
        sets.extend(self.exact.and_then(LiteralSet::of));
        rarest_first(&mut sets);
        sets
    }
}

fn rarest_first(sets: &mut Vec<LiteralSet>) {
    // Odds are no finer than "likely" for what is short: of such sets the longer literals are rarer.
    let shortest = |set: &LiteralSet| set.literals.iter().map(|one| one.text.len()).min();
    sets.sort_by(|one, other| {
        one.odds.total_cmp(&other.odds).then_with(|| shortest(other).cmp(&shortest(one)))
    });
    sets.dedup();
    sets.truncate(SETS_MAX);
}

/// The syntax tree is bounded in depth by its parser (250 levels).
fn part(hir: &Hir, depth: usize) -> Part {
    match hir.kind() {
        HirKind::Empty => Part::exact(vec![Text::default()]),
        HirKind::Look(look) => {
            let is_boundary = *look == Look::WordUnicode;
            let text = String::new();
            Part::exact(vec![Text { text, starts_word: is_boundary, ends_word: is_boundary }])
        }
        HirKind::Literal(literal) => std::str::from_utf8(&literal.0)
            .map_or_else(|_| Part::unknown(), |text| Part::exact(vec![Text::plain(fold(text))])),
        HirKind::Class(class) => class_texts(class).map_or_else(Part::unknown, Part::exact),
        HirKind::Capture(capture) => part(&capture.sub, depth + 1),
        HirKind::Repetition(repetition) => {
            let once = part(&repetition.sub, depth + 1);
            match (repetition.min, repetition.max) {
                (1, Some(1)) => once,
                (0, Some(1)) => once.exact.map_or_else(Part::unknown, |mut texts| {
                    texts.push(Text::default());
                    Part::exact(texts)
                }),
                (0, _) => Part::unknown(),
                _ => Part { exact: None, sets: once.into_sets() },
            }
        }
        HirKind::Concat(parts) => concatenation(&parts.iter().collect::<Vec<_>>(), depth),
        HirKind::Alternation(parts) => alternation(parts, depth),
    }
}

/// Returns the folded characters of a small class.
fn class_texts(class: &Class) -> Option<Vec<Text>> {
    const CHARACTERS_MAX: u32 = 16;
    const DISTINCT_MAX: usize = 4;
    let Class::Unicode(class) = class else { return None };
    let size: u32 =
        class.iter().map(|range| u32::from(range.end()) - u32::from(range.start()) + 1).sum();
    if size > CHARACTERS_MAX {
        return None;
    }
    let mut texts: Vec<Text> = class
        .iter()
        .flat_map(|range| range.start()..=range.end())
        .map(|character| Text::plain(fold(character.encode_utf8(&mut [0; 4]))))
        .collect();
    texts.sort_unstable();
    texts.dedup();
    (texts.len() <= DISTINCT_MAX).then_some(texts)
}

fn concatenation(parts: &[&Hir], depth: usize) -> Part {
    let mut run = vec![Text::default()];
    let mut run_start = 0;
    let mut sets = Vec::new();
    let mut all_exact = true;
    for (at, sub) in parts.iter().enumerate() {
        let Part { exact, sets: inner } = part(sub, depth + 1);
        sets.extend(inner);
        match exact {
            // A long list of words keeps its boundaries.
            Some(texts)
                if run.len() * texts.len() <= RUN_MAX || run.len() == 1 || texts.len() == 1 =>
            {
                run = run
                    .iter()
                    .flat_map(|before| texts.iter().map(|text| before.joined(text)))
                    .collect();
            }
            exact => {
                let behind = parts.get(at + 1).copied().filter(|next| is_boundary(next));
                let between = match exact {
                    Some(_) => Vec::new(),
                    None => branches_between(&parts[run_start..at], sub, behind, depth),
                };
                all_exact = false;
                let before = std::mem::take(&mut run);
                // A letter before the branches is part of their literals.
                if between.is_empty() || before.iter().any(|text| text.text.len() > 1) {
                    sets.extend(LiteralSet::of(before));
                }
                sets.extend(between);
                // A set too large to join still starts the next run.
                run_start = if exact.is_some() { at } else { at + 1 };
                run = exact.unwrap_or_else(|| vec![Text::default()]);
            }
        }
    }
    if !all_exact {
        sets.extend(LiteralSet::of(std::mem::take(&mut run)));
    }
    rarest_first(&mut sets);
    Part { exact: all_exact.then_some(run), sets }
}

/// Returns the sets of an alternative with what stands around it: a boundary of words before it, or
/// a letter, is one before each of its branches.
fn branches_between(
    before: &[&Hir],
    alternative: &Hir,
    behind: Option<&Hir>,
    depth: usize,
) -> Vec<LiteralSet> {
    /// Each level looks at the branches once more.
    const DEPTH_MAX: usize = 8;
    let mut inner = alternative;
    while let HirKind::Capture(capture) = inner.kind() {
        inner = &capture.sub;
    }
    let HirKind::Alternation(branches) = inner.kind() else { return Vec::new() };
    if depth > DEPTH_MAX || (before.is_empty() && behind.is_none()) {
        return Vec::new();
    }
    let with_neighbours = |branch: &Hir| {
        let mut parts = before.to_vec();
        if let HirKind::Concat(inner) = branch.kind() {
            parts.extend(inner);
        } else {
            parts.push(branch);
        }
        parts.extend(behind);
        concatenation(&parts, depth + 1)
    };
    any_of(branches.iter().map(with_neighbours).collect())
}

fn is_boundary(hir: &Hir) -> bool {
    matches!(hir.kind(), HirKind::Look(Look::WordUnicode))
}

fn alternation(parts: &[Hir], depth: usize) -> Part {
    let parts: Vec<Part> = parts.iter().map(|sub| part(sub, depth + 1)).collect();
    if parts.iter().all(|part| part.exact.is_some()) {
        let mut texts: Vec<Text> =
            parts.into_iter().filter_map(|part| part.exact).flatten().collect();
        texts.sort_unstable();
        texts.dedup();
        return if texts.len() <= ALTERNATIVES_MAX { Part::exact(texts) } else { Part::unknown() };
    }
    Part { exact: None, sets: any_of(parts) }
}

/// Returns the sets of which each text of any of the parts contains a literal.
fn any_of(parts: Vec<Part>) -> Vec<LiteralSet> {
    let each: Vec<Vec<LiteralSet>> = parts.into_iter().map(Part::into_sets).collect();
    let most = each.iter().map(Vec::len).max().unwrap_or_default();
    // One set of each branch; a branch with fewer than others gives its last once more.
    let mut sets: Vec<LiteralSet> = (0..most)
        .filter_map(|at| {
            let of_branch = |sets: &Vec<LiteralSet>| sets.get(at).or(sets.last()).cloned();
            let chosen: Option<Vec<LiteralSet>> = each.iter().map(of_branch).collect();
            let literals = chosen?.into_iter().flat_map(|set| set.literals).collect();
            LiteralSet::of_literals(literals)
        })
        .collect();
    rarest_first(&mut sets);
    sets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn regex(pattern: &str, ignore_case: bool) -> Regex {
        Regex { pattern: pattern.into(), ignore_case, multi_line: false, dot_all: false }
    }

    /// Writes a boundary of words as `|`.
    fn show(literal: &Literal) -> String {
        let edge = |is_edge| if is_edge { "|" } else { "" };
        let Literal { text, edges } = literal;
        format!("{}{text}{}", edge(edges.starts_word), edge(edges.ends_word))
    }

    #[test]
    fn an_expression_tells_what_it_cannot_match_without() {
        let none: &[&[&str]] = &[];
        for (pattern, ignore_case, expected) in [
            (r"fool\d+longer", false, &[&["longer"][..], &["fool"]][..]),
            (r"(?i)PowerShell", false, &[&["powershell"]]),
            (r"kirim", true, &[&["kirim"]]),
            (
                r"\b(kirim|sebutkan)\b.{0,40}\botp\b",
                false,
                &[&["|kirim|", "|sebutkan|"], &["|otp|"]],
            ),
            (r"(abc)?\d", false, none),
            (r"([a-z] ){3}\d", false, none),
            (r"\b[ab]\b", false, &[&["|a|", "|b|"]]),
            (r"x*", false, none),
            (r"(alpha\d|beta\d)", false, &[&["alpha", "beta"]]),
            (r"(alpha|)", false, none),
            (r"(?:quux){2,}", false, &[&["quux"]]),
            (r"[Kk]ey[0-9]", false, &[&["key"]]),
            (r".*", false, none),
            (r"^\\\\server$", false, &[&[r"\\server"]]),
            (r"\b(hub\w*|wa|sms)\b.{0,9}\d", false, &[&["|hub", "|sms|", "|wa|"]]),
            (r"\b0(9\d|87\d)x?", false, &[&["|087", "|09"]]),
            (r"\bj[ei]+p", false, &[&["|j"]]),
            (r"pe?nang\b", false, &[&["penang|", "pnang|"]]),
            (r"\bwin \$", false, &[&["|win $"]]),
            (r"(?-u:\b)server", false, &[&["server"]]),
            (
                r"alphabet.*betamax|gammon",
                false,
                &[&["alphabet", "gammon"], &["betamax", "gammon"]],
            ),
        ] {
            let sets = required_sets(&regex(pattern, ignore_case));
            let mut found: Vec<Vec<String>> =
                sets.iter().map(|set| set.literals.iter().map(show).collect()).collect();
            found.sort();
            let mut expected: Vec<Vec<&str>> = expected.iter().map(|set| set.to_vec()).collect();
            expected.sort();
            assert_eq!(found, expected, "{pattern}");
        }
    }
}
