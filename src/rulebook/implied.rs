//! What one test of a value says about another test of the same value.

use super::model::{Comparison, Piece, Test, TextPattern};
use super::pattern::fold_case;

/// Returns whether every value that passes `first` passes `second`. "No" only says that it was not
/// seen: regular expressions are not compared, for example.
pub(super) fn by_test(first: &Test, second: &Test) -> bool {
    match (first, second) {
        (Test::Text(narrow), Test::Text(wide)) => matches_all_of(wide, narrow),
        (Test::Number(comparison, bound), Test::Number(other, other_bound)) => {
            Interval::of(*comparison, *bound)
                .zip(Interval::of(*other, *other_bound))
                .is_some_and(|(narrow, wide)| narrow.low >= wide.low && narrow.high <= wide.high)
        }
        (Test::Cidr(narrow), Test::Cidr(wide)) => wide.contains(narrow),
        (Test::Exists(false), Test::Null)
        | (
            Test::Text(_)
            | Test::Regex(_)
            | Test::Cidr(_)
            | Test::Number(..)
            | Test::Boolean(_)
            | Test::FieldRef { .. }
            | Test::TimePart(..)
            | Test::InAccountList { .. }
            | Test::InAccountNetworks,
            Test::Exists(true),
        ) => true,
        _ => first == second,
    }
}

/// Returns whether no single value passes both.
pub(super) fn excluded(first: &Test, second: &Test) -> bool {
    match (first, second) {
        (Test::Text(left), Test::Text(right)) => match (literal(left), literal(right)) {
            (Some(one), Some(other)) if left.cased == right.cased => one != other,
            (Some(one), Some(other)) => fold_case(&one) != fold_case(&other),
            _ => false,
        },
        (Test::Number(comparison, bound), Test::Number(other, other_bound)) => {
            Interval::of(*comparison, *bound)
                .zip(Interval::of(*other, *other_bound))
                .is_some_and(|(left, right)| left.high < right.low || right.high < left.low)
        }
        (Test::Boolean(left), Test::Boolean(right)) => left != right,
        (Test::Cidr(left), Test::Cidr(right)) => !left.contains(right) && !right.contains(left),
        (Test::TimePart(part, left), Test::TimePart(other, right)) => {
            part == other && left != right
        }
        _ => false,
    }
}

/// The numbers that pass a comparison. A bound is a number and whether it lies just below (-1), at
/// (0) or just above (1) it, so that open and closed ends compare as they should.
struct Interval {
    low: (f64, i8),
    high: (f64, i8),
}

impl Interval {
    fn of(comparison: Comparison, bound: f64) -> Option<Self> {
        const LEAST: (f64, i8) = (f64::NEG_INFINITY, 0);
        const MOST: (f64, i8) = (f64::INFINITY, 0);
        let (low, high) = match comparison {
            Comparison::Equal => ((bound, 0), (bound, 0)),
            Comparison::Less => (LEAST, (bound, -1)),
            Comparison::LessOrEqual => (LEAST, (bound, 0)),
            Comparison::Greater => ((bound, 1), MOST),
            Comparison::GreaterOrEqual => ((bound, 0), MOST),
            Comparison::NotEqual => return None,
        };
        Some(Self { low, high })
    }
}

/// Returns the only text that passes, where there is only one apart from its letter case.
fn literal(pattern: &TextPattern) -> Option<String> {
    match pattern.pieces.as_slice() {
        [] => Some(String::new()),
        [Piece::Text(text)] => Some(text.to_string()),
        [Piece::Any | Piece::One, ..] | [Piece::Text(_), _, ..] => None,
    }
}

/// A character or wildcard of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symbol {
    Character(char),
    One,
    Any,
}

/// Returns whether `wide` matches every text that `narrow` does.
fn matches_all_of(wide: &TextPattern, narrow: &TextPattern) -> bool {
    if wide.cased && !narrow.cased {
        return false;
    }
    let folds = narrow.cased && !wide.cased;
    // A folded character can be two, so `?` does not mean the same in both.
    if folds && wide.pieces.contains(&Piece::One) {
        return false;
    }
    // The usual case, without a copy: one literal anywhere in the text.
    if let ([Piece::Any, Piece::Text(wanted), Piece::Any], false) = (wide.pieces.as_slice(), folds)
    {
        return narrow.pieces.iter().any(|piece| match piece {
            Piece::Text(text) => text.contains(&**wanted),
            Piece::Any | Piece::One => false,
        });
    }
    covers(&symbols(wide, false), &symbols(narrow, folds))
}

fn symbols(pattern: &TextPattern, folds: bool) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for piece in &pattern.pieces {
        match piece {
            Piece::Any => symbols.push(Symbol::Any),
            Piece::One => symbols.push(Symbol::One),
            Piece::Text(text) if folds => {
                symbols.extend(fold_case(text).chars().map(Symbol::Character));
            }
            Piece::Text(text) => symbols.extend(text.chars().map(Symbol::Character)),
        }
    }
    symbols
}

/// Matches a pattern against another as if that were a text: its `*` is a character that only a `*`
/// matches, its `?` one that `?` and `*` match.
fn covers(wide: &[Symbol], narrow: &[Symbol]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Behind the last `*` of `wide`, and where it stopped in `narrow`.
    let mut again: Option<(usize, usize)> = None;
    while from < narrow.len() {
        let fits = match wide.get(at) {
            Some(Symbol::Any) => {
                again = Some((at + 1, from));
                at += 1;
                continue;
            }
            Some(Symbol::One) => narrow[from] != Symbol::Any,
            Some(symbol @ Symbol::Character(_)) => *symbol == narrow[from],
            None => false,
        };
        if fits {
            (at, from) = (at + 1, from + 1);
        } else if let Some((behind, stopped)) = again {
            again = Some((behind, stopped + 1));
            (at, from) = (behind, stopped + 1);
        } else {
            return false;
        }
    }
    wide[at..].iter().all(|symbol| *symbol == Symbol::Any)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rulebook::pattern::SigmaString;

    fn pattern(text: &str, cased: bool) -> TextPattern {
        SigmaString::parse(text).into_pattern(cased)
    }

    #[test]
    fn patterns_are_compared_by_what_they_match() {
        for (narrow, wide, implied) in [
            ("abc", "abc", true),
            ("abc", "*b*", true),
            ("*abc*", "*b*", true),
            ("*b*", "*abc*", false),
            ("abc*", "ab*", true),
            ("ab*", "abc*", false),
            ("*c", "*bc", false),
            ("a*c", "a*", true),
            ("a*", "a?*", false),
            ("a?c", "a*c", true),
            ("a*c", "a?c", false),
            ("", "*", true),
            ("a?", "??", true),
            ("*", "", false),
        ] {
            let (narrow, wide) = (pattern(narrow, false), pattern(wide, false));
            assert_eq!(matches_all_of(&wide, &narrow), implied, "{narrow:?} => {wide:?}");
        }
        for (narrow, wide, implied) in [
            (("ABC", true), ("*bc", false), true),
            (("abc", false), ("abc", true), false),
            (("İ", true), ("?", false), false),
        ] {
            let [narrow, wide] = [narrow, wide].map(|(text, cased)| pattern(text, cased));
            assert_eq!(matches_all_of(&wide, &narrow), implied, "{narrow:?} => {wide:?}");
        }
    }

    /// Every text of up to four letters that a pattern over `a` and `b` matches, the slow way.
    fn matched(pattern: &TextPattern, text: &str) -> bool {
        let text: Vec<Symbol> = text.chars().map(Symbol::Character).collect();
        covers(&symbols(pattern, false), &text)
    }

    fn texts() -> Vec<String> {
        let mut all = vec![String::new()];
        let mut from = 0;
        for _ in 0..5 {
            let to = all.len();
            for at in from..to {
                for letter in ["a", "b"] {
                    all.push(format!("{}{letter}", all[at]));
                }
            }
            from = to;
        }
        all
    }

    proptest! {
        #[test]
        fn a_pattern_that_is_implied_matches_every_text_of_the_other(
            narrow in "[ab*?]{0,5}", wide in "[ab*?]{0,5}",
        ) {
            let (narrow, wide) = (pattern(&narrow, false), pattern(&wide, false));
            if matches_all_of(&wide, &narrow) {
                for text in texts() {
                    prop_assert!(!matched(&narrow, &text) || matched(&wide, &text), "{}", text);
                }
            }
        }

        #[test]
        fn comparisons_that_are_implied_or_excluded_are_so_for_every_number(
            left in 0..6_usize, right in 0..6_usize, low in -2_i8..3, high in -2_i8..3,
        ) {
            const ALL: [Comparison; 6] = [
                Comparison::Equal, Comparison::NotEqual, Comparison::Less,
                Comparison::LessOrEqual, Comparison::Greater, Comparison::GreaterOrEqual,
            ];
            let test = |index: usize, bound: i8| Test::Number(ALL[index], f64::from(bound));
            let (first, second) = (test(left, low), test(right, high));
            let (implies, excludes) = (by_test(&first, &second), excluded(&first, &second));
            for half in -8_i8..9 {
                let value = f64::from(half) / 2.0;
                let passes = ALL[left].holds(value, f64::from(low));
                let other = ALL[right].holds(value, f64::from(high));
                prop_assert!(!implies || !passes || other, "{first:?} {second:?} {value}");
                prop_assert!(!excludes || !passes || !other, "{first:?} {second:?} {value}");
            }
        }
    }
}
