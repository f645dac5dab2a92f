//! `N of` as the compiler of rules writes it out: each way to choose so many of the selections. Told
//! apart from other alternatives here, so that each selection is looked at once.

use smallvec::SmallVec;

use crate::rulebook::Expr;

/// Returns how many of which parts must hold, if the alternatives are all the ways to choose so
/// many of them.
pub(super) fn recognise(alternatives: &[Expr]) -> Option<(u16, Vec<&Expr>)> {
    let Some(Expr::And(first)) = alternatives.first() else { return None };
    let count = first.len();
    let mut parts: Vec<&Expr> = Vec::new();
    let mut choices: Vec<SmallVec<[usize; 4]>> = Vec::with_capacity(alternatives.len());
    for alternative in alternatives {
        let Expr::And(chosen) = alternative else { return None };
        let mut choice: SmallVec<[usize; 4]> = SmallVec::new();
        for part in chosen {
            if !matches!(part, Expr::Selection(..)) {
                return None;
            }
            choice.push(parts.iter().position(|known| is_same(known, part)).unwrap_or_else(|| {
                parts.push(part);
                parts.len() - 1
            }));
        }
        choice.sort_unstable();
        choice.dedup();
        if choice.len() != count || parts.len() > alternatives.len() + count {
            return None;
        }
        choices.push(choice);
    }
    choices.sort_unstable();
    choices.dedup();
    let is_each = choices.len() == ways(parts.len(), count)? && parts.len() > count;
    is_each.then_some((u16::try_from(count).ok()?, parts))
}

/// Names are compared first: they tell most selections apart.
fn is_same(one: &Expr, other: &Expr) -> bool {
    match (one, other) {
        (Expr::Selection(name, inner), Expr::Selection(other_name, other_inner)) => {
            name == other_name && inner == other_inner
        }
        _ => false,
    }
}

/// Returns in how many ways so many of the items can be chosen.
fn ways(items: usize, count: usize) -> Option<usize> {
    let mut ways = 1_usize;
    for at in 0..count.min(items) {
        ways = ways.checked_mul(items - at)? / (at + 1);
    }
    Some(ways)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::AtomId;

    fn selection(number: u32) -> Expr {
        Expr::Selection(number.to_string().into(), Box::new(Expr::Atom(AtomId(number))))
    }

    fn alternatives(choices: &[&[u32]]) -> Vec<Expr> {
        let all = |choice: &&[u32]| Expr::And(choice.iter().copied().map(selection).collect());
        choices.iter().map(all).collect()
    }

    #[test]
    fn all_ways_to_choose_are_a_count_and_others_are_not() {
        for (choices, expected) in [
            (&[&[1, 2][..], &[1, 3], &[2, 3]][..], Some((2, 3))),
            (&[&[1, 2], &[1, 3]], None),
            (&[&[1, 2], &[1, 3], &[1, 3]], None),
            (&[&[1, 2]], None),
            (&[&[1, 1], &[1, 2], &[2, 2]], None),
            (&[&[1, 2, 3], &[1, 2, 4], &[1, 3, 4], &[2, 3, 4]], Some((3, 4))),
        ] {
            let alternatives = alternatives(choices);
            let found = recognise(&alternatives).map(|(count, parts)| (count, parts.len()));
            assert_eq!(found, expected, "{choices:?}");
        }
    }
}
