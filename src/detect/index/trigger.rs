//! Which tests of a rule give it away: of these at least one holds wherever the rule matches.

use super::literal::{Edges, Literal};
use super::rarity;
use super::required::{LiteralSet, required_sets};
use crate::detect::DerivedField;
use crate::detect::fold::fold;
use crate::rulebook::{
    Atom, AtomId, Comparison, Expr, FieldTable, Piece, Target, Test, TextPattern,
};

/// What to look for in a field's values.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::detect) enum TriggerKey {
    /// Folded literals: the value is one, starts or ends with one, or contains one.
    Equal(String),
    Start(String),
    End(String),
    Contains(Vec<Literal>),
    Number(f64),
    /// The field is there: all that can be said of, for example, `gt`.
    Present,
}

/// A test that can be looked up.
#[derive(Debug, Clone)]
pub(in crate::detect) struct Trigger {
    pub(in crate::detect) target: Target,
    pub(in crate::detect) key: TriggerKey,
    /// Whether finding the key is the same as the test holding.
    pub(in crate::detect) proves: bool,
    /// Where the test holds, one literal of each of these is in the value as well.
    pub(in crate::detect) also: Vec<Vec<Literal>>,
    odds: f64,
}

/// The triggers of all tests of a rule set; nothing for a test that may hold where its field is
/// absent.
#[derive(Debug)]
pub(in crate::detect) struct Triggers {
    by_atom: Vec<Option<Trigger>>,
}

/// Odds of a trigger that says no more than that a field is there: most events of a log source
/// have the fields that its rules name.
const ODDS_PRESENT: f64 = 0.9;

impl Trigger {
    /// Returns what to look for where a test may hold; nothing for one that may hold where its
    /// field is absent.
    pub(in crate::detect) fn of(atom: &Atom) -> Option<Self> {
        let sets =
            if let Test::Regex(regex) = &atom.test { required_sets(regex) } else { Vec::new() };
        let tells = |set: &LiteralSet| set.literals.iter().all(is_searched);
        let mut sets = sets.into_iter().filter(tells);
        let (key, proves, odds) = match sets.next() {
            Some(LiteralSet { literals, odds }) => (TriggerKey::Contains(literals), false, odds),
            None => key_of(&atom.test)?,
        };
        let also = sets.map(|set| set.literals).collect();
        // Keywords are looked for in the whole text of an event, where they may be part of a key.
        let proves = proves && atom.target != Target::AnyValue;
        Some(Self { target: atom.target, key, proves, also, odds })
    }
}

impl Triggers {
    /// Works out the trigger of each test. `conditions` are those of all rules, to count how many
    /// name a test.
    pub(in crate::detect) fn new<'r>(
        atoms: &[Atom],
        fields: &FieldTable,
        conditions: impl Iterator<Item = &'r Expr>,
    ) -> Self {
        let mut uses = vec![0; atoms.len()];
        for condition in conditions {
            count_uses(condition, &mut uses);
        }
        let by_atom = atoms
            .iter()
            .zip(uses)
            .map(|(atom, uses)| {
                let trigger = Trigger::of(atom)?;
                let odds = rarity::with_uses(trigger.odds, uses) + cost_of(atom.target, fields);
                Some(Trigger { odds, ..trigger })
            })
            .collect();
        Self { by_atom }
    }

    /// Returns what to look for where a test may hold.
    pub(in crate::detect) fn of(&self, atom: AtomId) -> Option<&Trigger> {
        self.by_atom.get(atom.0 as usize)?.as_ref()
    }

    /// Returns the best triggers of a condition; nothing where it can hold without any.
    pub(in crate::detect) fn choose(&self, condition: &Expr) -> Option<Vec<AtomId>> {
        let (mut atoms, _) = self.best(condition, true)?;
        atoms.sort_unstable();
        atoms.dedup();
        Some(atoms)
    }

    /// Returns whether none of the triggers says no more than that a field is there.
    pub(in crate::detect) fn are_selective(&self, atoms: &[AtomId]) -> bool {
        atoms
            .iter()
            .all(|atom| self.of(*atom).is_some_and(|found| found.key != TriggerKey::Present))
    }

    fn best(&self, expr: &Expr, holds: bool) -> Option<(Vec<AtomId>, f64)> {
        match expr {
            Expr::Atom(atom) if holds => self.of(*atom).map(|found| (vec![*atom], found.odds)),
            Expr::Atom(_) => None,
            Expr::Not(inner) => self.best(inner, !holds),
            Expr::Selection(_, inner) => self.best(inner, holds),
            // Never the case, so nothing needs to be looked for.
            Expr::Constant(value) => (*value != holds).then(|| (Vec::new(), 0.0)),
            Expr::And(parts) if holds => self.rarest(parts, holds),
            Expr::Or(parts) if !holds => self.rarest(parts, holds),
            Expr::And(parts) | Expr::Or(parts) => self.union(parts, holds),
        }
    }

    fn rarest(&self, parts: &[Expr], holds: bool) -> Option<(Vec<AtomId>, f64)> {
        parts
            .iter()
            .filter_map(|part| self.best(part, holds))
            .min_by(|one, other| one.1.total_cmp(&other.1))
    }

    fn union(&self, parts: &[Expr], holds: bool) -> Option<(Vec<AtomId>, f64)> {
        parts.iter().try_fold((Vec::new(), 0.0), |(mut atoms, odds), part| {
            let (more, more_odds) = self.best(part, holds)?;
            atoms.extend(more);
            Some((atoms, odds + more_odds))
        })
    }
}

/// Returns whether a literal is worth a search: one or two ASCII signs are in most texts.
fn is_searched(literal: &Literal) -> bool {
    literal.text.len() > 2 || !literal.text.is_ascii() || literal.edges != Edges::default()
}

fn count_uses(expr: &Expr, uses: &mut [u32]) {
    each_atom(expr, &mut |atom| {
        if let Some(uses) = uses.get_mut(atom.0 as usize) {
            *uses += 1;
        }
    });
}

/// Visits the tests of a condition, those that stand in it twice as often.
pub(in crate::detect) fn each_atom(expr: &Expr, visit: &mut impl FnMut(AtomId)) {
    match expr {
        Expr::Atom(atom) => visit(*atom),
        Expr::Not(inner) | Expr::Selection(_, inner) => each_atom(inner, visit),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| each_atom(part, visit)),
        Expr::Constant(_) => {}
    }
}

/// What looking at a target costs, in the currency of odds: derived fields must be worked out
/// first, and keywords read the whole event.
fn cost_of(target: Target, fields: &FieldTable) -> f64 {
    match target {
        Target::AnyValue => 0.1,
        Target::Field(field) if DerivedField::from_name(fields.name(field)).is_some() => 0.02,
        Target::Field(_) => 0.0,
    }
}

/// Returns what to look for, whether finding it proves the test, and the odds of finding it.
fn key_of(test: &Test) -> Option<(TriggerKey, bool, f64)> {
    let present = (TriggerKey::Present, false, ODDS_PRESENT);
    match test {
        Test::Text(pattern) => Some(text_key(pattern)),
        Test::Number(Comparison::Equal, number) => Some((TriggerKey::Number(*number), true, 0.02)),
        // An expression that requires a literal has it for its key.
        Test::Regex(_)
        | Test::Number(..)
        | Test::Cidr(_)
        | Test::FieldRef { .. }
        | Test::TimePart(..)
        | Test::InAccountList { .. }
        | Test::InAccountNetworks => Some(present),
        Test::Boolean(value) => Some((TriggerKey::Equal(value.to_string()), true, 0.4)),
        Test::Exists(true) => Some((TriggerKey::Present, true, ODDS_PRESENT)),
        Test::Null | Test::Exists(false) => None,
    }
}

fn text_key(pattern: &TextPattern) -> (TriggerKey, bool, f64) {
    let proves = !pattern.cased;
    let at_end = |literal: &str| rarity::odds_at_end(literal.as_bytes());
    let folded = |literal: &str| if literal.is_empty() { None } else { Some(fold(literal)) };
    match &*pattern.pieces {
        [] => return (TriggerKey::Equal(String::new()), true, 0.05),
        [Piece::Text(literal)] => {
            let literal = fold(literal);
            let odds = at_end(&literal) / 4.0;
            return (TriggerKey::Equal(literal), proves, odds);
        }
        [Piece::Text(literal), Piece::Any] if !literal.is_empty() => {
            let literal = fold(literal);
            let odds = at_end(&literal);
            return (TriggerKey::Start(literal), proves, odds);
        }
        [Piece::Any, Piece::Text(literal)] if !literal.is_empty() => {
            let literal = fold(literal);
            let odds = at_end(&literal);
            return (TriggerKey::End(literal), proves, odds);
        }
        [Piece::Any, Piece::Text(literal), Piece::Any] if !literal.is_empty() => {
            let literal = fold(literal);
            let odds = rarity::odds(literal.as_bytes());
            let literal = Literal::anywhere(literal);
            if !is_searched(&literal) {
                return (TriggerKey::Present, false, ODDS_PRESENT);
            }
            return (TriggerKey::Contains(vec![literal]), proves, odds);
        }
        _ => {}
    }
    let pieces = &pattern.pieces;
    let mut keys = Vec::new();
    if let Some(Piece::Text(literal)) = pieces.first() {
        keys.extend(folded(literal).map(|key| (at_end(&key), TriggerKey::Start(key))));
    }
    if let Some(Piece::Text(literal)) = pieces.last() {
        keys.extend(folded(literal).map(|key| (at_end(&key), TriggerKey::End(key))));
    }
    for piece in pieces {
        if let Piece::Text(literal) = piece {
            keys.extend(
                folded(literal)
                    .map(|key| (rarity::odds(key.as_bytes()), Literal::anywhere(key)))
                    .filter(|(_, literal)| is_searched(literal))
                    .map(|(odds, key)| (odds, TriggerKey::Contains(vec![key]))),
            );
        }
    }
    keys.into_iter()
        .min_by(|one, other| one.0.total_cmp(&other.0))
        .map_or((TriggerKey::Present, false, ODDS_PRESENT), |(odds, key)| (key, false, odds))
}
