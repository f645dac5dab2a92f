//! The judge of the matcher: asks every rule about every event, one test after the other, with no
//! index, no memory and no shortcut. Slow and obviously right; the fast matcher must agree.

use super::derived::DerivedField;
use super::evaluate::{Subject, applies, is_evaluated};
use super::fold::fold;
use super::paths;
use super::values::{
    account_list_holds, account_networks_hold, is_in_network, number_of, time_part,
};
use super::{FieldValue, atom};
use crate::event::{Document, Kind, Value};
use crate::rulebook::{
    AccountSettings, Atom, AtomId, DetectionIndex, Expr, FieldId, Piece, Regex, Rulebook, Target,
    Test, TextPart,
};

/// Returns the rules that match, in the order of the rule set.
pub fn evaluate(rulebook: &Rulebook, subject: &Subject<'_>) -> Vec<DetectionIndex> {
    (0..)
        .map(DetectionIndex)
        .zip(&rulebook.detections)
        .filter(|(_, detection)| is_evaluated(detection))
        .filter(|(_, detection)| subject.logsource.is_covered_by(&detection.logsource))
        .filter(|(_, detection)| expr_holds(rulebook, &detection.condition, subject))
        .filter(|(_, detection)| {
            detection
                .exceptions
                .iter()
                .filter(|exception| applies(exception, subject.account, subject.time))
                .all(|exception| expr_holds(rulebook, &exception.condition, subject))
        })
        .map(|(rule, _)| rule)
        .collect()
}

/// Returns whether a condition holds.
pub fn expr_holds(rulebook: &Rulebook, expr: &Expr, subject: &Subject<'_>) -> bool {
    match expr {
        Expr::Atom(atom) => atom_holds(rulebook, *atom, subject),
        Expr::Not(inner) => !expr_holds(rulebook, inner, subject),
        Expr::And(parts) => parts.iter().all(|part| expr_holds(rulebook, part, subject)),
        Expr::Or(parts) => parts.iter().any(|part| expr_holds(rulebook, part, subject)),
        Expr::Selection(_, inner) => expr_holds(rulebook, inner, subject),
        Expr::Constant(value) => *value,
    }
}

/// Returns whether a test holds.
pub fn atom_holds(rulebook: &Rulebook, atom: AtomId, subject: &Subject<'_>) -> bool {
    decide(rulebook, &rulebook.atoms[atom.0 as usize], subject, &compile_and_match).holds
}

/// Whether a test holds, and the value that decided; none where presence or absence did.
pub(super) struct Decision {
    pub(super) holds: bool,
    pub(super) value: Option<OwnedValue>,
}

/// Tells whether a regular expression is found in a text.
pub(super) type IsMatch<'m> = &'m dyn Fn(&Regex, &str) -> bool;

/// The judge's own way, which remembers nothing.
fn compile_and_match(regex: &Regex, text: &str) -> bool {
    atom::compile(regex).is_ok_and(|regex| regex.is_match(text))
}

/// Decides one test, with regular expressions as `is_match` finds them.
pub(super) fn decide(
    rulebook: &Rulebook,
    atom: &Atom,
    subject: &Subject<'_>,
    is_match: IsMatch<'_>,
) -> Decision {
    let values = match atom.target {
        Target::Field(field) => field_values(rulebook, field, subject),
        Target::AnyValue => all_leaves(subject.document),
    };
    match &atom.test {
        Test::Exists(present) => {
            return Decision { holds: values.is_some() == *present, value: None };
        }
        Test::Null if values.is_none() => return Decision { holds: true, value: None },
        Test::Null
        | Test::Text(_)
        | Test::Regex(_)
        | Test::Cidr(_)
        | Test::Number(..)
        | Test::Boolean(_)
        | Test::FieldRef { .. }
        | Test::InAccountList { .. }
        | Test::InAccountNetworks
        | Test::TimePart(..) => {}
    }
    let mut values = values.unwrap_or_default();
    let others = match &atom.test {
        Test::FieldRef { other, .. } => field_values(rulebook, *other, subject).unwrap_or_default(),
        Test::Null
        | Test::Exists(_)
        | Test::Text(_)
        | Test::Regex(_)
        | Test::Cidr(_)
        | Test::Number(..)
        | Test::Boolean(_)
        | Test::InAccountList { .. }
        | Test::InAccountNetworks
        | Test::TimePart(..) => Vec::new(),
    };
    let settings = rulebook.accounts.get(subject.account);
    let holds = |value: &OwnedValue| value_holds(&atom.test, value, &others, settings, is_match);
    match values.iter().position(holds) {
        Some(at) => Decision { holds: true, value: Some(values.swap_remove(at)) },
        None => Decision { holds: false, value: values.into_iter().next() },
    }
}

/// A scalar that was copied out of an event.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum OwnedValue {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
}

impl OwnedValue {
    fn of(value: FieldValue<'_>) -> Self {
        match value {
            FieldValue::Null => Self::Null,
            FieldValue::Bool(value) => Self::Bool(value),
            FieldValue::Int(value) => Self::Int(value),
            FieldValue::Float(value) => Self::Float(value),
            FieldValue::Text(text) => Self::Text(text.to_owned()),
        }
    }

    fn borrowed(&self) -> FieldValue<'_> {
        match self {
            Self::Null => FieldValue::Null,
            Self::Bool(value) => FieldValue::Bool(*value),
            Self::Int(value) => FieldValue::Int(*value),
            Self::Float(value) => FieldValue::Float(*value),
            Self::Text(text) => FieldValue::Text(text),
        }
    }

    /// Returns the value as text; nothing for null.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Null => None,
            Self::Bool(value) => Some(value.to_string()),
            Self::Int(value) => Some(value.to_string()),
            Self::Float(value) => Some(value.to_string()),
            Self::Text(text) => Some(text.clone()),
        }
    }
}

/// Returns the scalars of a field, or nothing where it is absent.
fn field_values(
    rulebook: &Rulebook,
    field: FieldId,
    subject: &Subject<'_>,
) -> Option<Vec<OwnedValue>> {
    let name = rulebook.fields.name(field);
    let mut values = Vec::new();
    let mut is_present = false;
    match DerivedField::from_name(name) {
        Some(derived_field) => {
            subject.derived.derived(derived_field, &mut |value| {
                is_present = true;
                values.push(OwnedValue::of(value));
                true
            });
        }
        None => paths::lookup(subject.document.root(), name, &mut is_present, &mut |value| {
            values.push(owned(value));
        }),
    }
    is_present.then_some(values)
}

fn all_leaves(document: &Document) -> Option<Vec<OwnedValue>> {
    let mut values = Vec::new();
    paths::leaves(document.root(), &mut |value| values.push(owned(value)));
    (!values.is_empty()).then_some(values)
}

fn owned(value: Value<'_>) -> OwnedValue {
    match value.kind() {
        Kind::Bool(value) => OwnedValue::Bool(value),
        Kind::Int(value) => OwnedValue::Int(value),
        Kind::Float(value) => OwnedValue::Float(value),
        Kind::Text(text) => OwnedValue::Text(text.to_owned()),
        Kind::Null | Kind::Array | Kind::Object => OwnedValue::Null,
    }
}

fn value_holds(
    test: &Test,
    value: &OwnedValue,
    others: &[OwnedValue],
    settings: Option<&AccountSettings>,
    is_match: IsMatch<'_>,
) -> bool {
    match test {
        Test::Text(pattern) => value.text().is_some_and(|text| {
            if pattern.cased {
                return pieces_match(&pattern.pieces, &text.chars().collect::<Vec<_>>());
            }
            let pieces: Vec<Piece> = pattern
                .pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Text(literal) => Piece::Text(fold(literal).into()),
                    Piece::Any => Piece::Any,
                    Piece::One => Piece::One,
                })
                .collect();
            pieces_match(&pieces, &fold(&text).chars().collect::<Vec<_>>())
        }),
        Test::Regex(regex) => value.text().is_some_and(|text| is_match(regex, &text)),
        Test::Cidr(network) => is_in_network(network, value.borrowed()),
        Test::Number(comparison, number) => {
            number_of(value.borrowed()).is_some_and(|value| comparison.holds(value, *number))
        }
        Test::Boolean(wanted) => {
            value.text().is_some_and(|text| text.eq_ignore_ascii_case(&wanted.to_string()))
        }
        Test::Null => *value == OwnedValue::Null,
        Test::Exists(_) => false,
        Test::FieldRef { part, cased, .. } => {
            others.iter().any(|other| reference_holds(*part, *cased, value, other))
        }
        Test::TimePart(part, number) => time_part(*part, value.borrowed()) == Some(*number),
        Test::InAccountList { list, part, cased } => {
            account_list_holds(settings, list, *part, *cased, value.text().as_deref())
        }
        Test::InAccountNetworks => account_networks_hold(settings, value.borrowed()),
    }
}

fn reference_holds(part: TextPart, cased: bool, value: &OwnedValue, other: &OwnedValue) -> bool {
    let (Some(mut text), Some(mut literal)) = (value.text(), other.text()) else { return false };
    if !cased {
        (text, literal) = (fold(&text), fold(&literal));
    }
    match part {
        TextPart::Whole => {
            let number = number_of(value.borrowed());
            text == literal || number.is_some() && number == number_of(other.borrowed())
        }
        TextPart::Start => text.starts_with(&literal),
        TextPart::End => text.ends_with(&literal),
        TextPart::Anywhere => text.contains(&literal),
    }
}

/// Matches by marking, after each piece, every place in the text that the pieces so far can reach.
fn pieces_match(pieces: &[Piece], text: &[char]) -> bool {
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    for piece in pieces {
        let mut next = vec![false; text.len() + 1];
        for at in (0..=text.len()).filter(|at| reached[*at]) {
            match piece {
                Piece::Any => next[at..].fill(true),
                Piece::One if at < text.len() => next[at + 1] = true,
                Piece::One => {}
                Piece::Text(literal) => {
                    let literal: Vec<char> = literal.chars().collect();
                    if text[at..].starts_with(&literal) {
                        next[at + literal.len()] = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached[text.len()]
}

/// Returns the texts of a field's scalars, or nothing where it is absent.
#[cfg(test)]
pub(super) fn field_texts(
    rulebook: &Rulebook,
    field: FieldId,
    subject: &Subject<'_>,
) -> Option<Vec<Option<String>>> {
    let values = field_values(rulebook, field, subject)?;
    Some(values.iter().map(OwnedValue::text).collect())
}
