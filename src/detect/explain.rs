//! Why a rule did or did not match one event: its condition as a tree, with the value that decided
//! each test.

use std::fmt;
use std::sync::Arc;

use super::atom::CompiledTest;
use super::evaluate::{Subject, applies};
use super::{Detector, naive};
use crate::rulebook::{AtomId, DetectionIndex, Expr, Regex};

/// A part of a condition and whether it held. Every part is evaluated, also those that no longer
/// decide.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    pub holds: bool,
    pub finding: Finding,
    /// In the order of the rule.
    pub parts: Vec<Explanation>,
}

/// What a part of a condition is.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// The rule itself; its parts are the condition and the exceptions that apply.
    Rule,
    All,
    AnyOf,
    Not,
    Constant,
    /// A named selection of the rule.
    Selection(Arc<str>),
    /// A filter that has a say for this account at this time.
    Exception(Arc<str>),
    /// One test of [`crate::rulebook::Rulebook::atoms`]; the value is the one that held, else the
    /// field's first, and nothing where the field is absent or only its presence was asked.
    Test {
        atom: AtomId,
        value: Option<DecidingValue>,
    },
}

/// A value out of an event; null reads `null`.
#[derive(Clone, PartialEq, Eq)]
pub struct DecidingValue(String);

impl DecidingValue {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Returns the text, which may be a customer's.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DecidingValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DecidingValue({} bytes)", self.0.len())
    }
}

impl Detector {
    /// Explains one rule on one event, whatever the rule's log source and status.
    pub fn explain(&self, rule: DetectionIndex, subject: &Subject<'_>) -> Explanation {
        let detection = &self.rulebook().detections[rule.0 as usize];
        let mut parts = vec![self.explain_expr(&detection.condition, subject)];
        for exception in &detection.exceptions {
            if applies(exception, subject.account, subject.time) {
                let condition = self.explain_expr(&exception.condition, subject);
                parts.push(Explanation {
                    holds: condition.holds,
                    finding: Finding::Exception(exception.name.clone()),
                    parts: vec![condition],
                });
            }
        }
        let holds = parts.iter().all(|part| part.holds);
        Explanation { holds, finding: Finding::Rule, parts }
    }

    fn explain_expr(&self, expr: &Expr, subject: &Subject<'_>) -> Explanation {
        let one = |inner: &Expr| vec![self.explain_expr(inner, subject)];
        let all = |parts: &[Expr]| -> Vec<_> {
            parts.iter().map(|part| self.explain_expr(part, subject)).collect()
        };
        let (finding, parts) = match expr {
            Expr::Atom(atom) => return self.explain_test(*atom, subject),
            Expr::Constant(holds) => {
                let finding = Finding::Constant;
                return Explanation { holds: *holds, finding, parts: Vec::new() };
            }
            Expr::Not(inner) => (Finding::Not, one(inner)),
            Expr::Selection(name, inner) => (Finding::Selection(name.clone()), one(inner)),
            Expr::And(parts) => (Finding::All, all(parts)),
            Expr::Or(parts) => (Finding::AnyOf, all(parts)),
        };
        let holds = match expr {
            Expr::Or(_) => parts.iter().any(|part| part.holds),
            Expr::Not(_) => !parts.iter().any(|part| part.holds),
            Expr::And(_) | Expr::Selection(..) | Expr::Atom(_) | Expr::Constant(_) => {
                parts.iter().all(|part| part.holds)
            }
        };
        Explanation { holds, finding, parts }
    }

    fn explain_test(&self, atom: AtomId, subject: &Subject<'_>) -> Explanation {
        let rulebook = self.rulebook();
        // The judge's tests, but with expressions that are compiled once: evidence is collected on
        // every match.
        let is_match = |_: &Regex, text: &str| {
            let CompiledTest::Regex(regex) = self.test(atom) else { return false };
            regex.is_match(text)
        };
        let test = &rulebook.atoms[atom.0 as usize];
        let decision = naive::decide(rulebook, test, subject, &is_match);
        let value = decision
            .value
            .map(|value| DecidingValue(value.text().unwrap_or_else(|| "null".to_owned())));
        let finding = Finding::Test { atom, value };
        Explanation { holds: decision.holds, finding, parts: Vec::new() }
    }
}
