//! The values that decided a match: what an incident keeps as evidence. Reads what the matcher knows
//! of the event already, and asks no more than decides.

use super::evaluate::{Detector, Evaluation, Subject, applies};
use super::explain::DecidingValue;
use super::scratch::Scratch;
use crate::rulebook::{DetectionIndex, Expr, Target};

impl Detector {
    /// Returns, for a rule that matched the event that `scratch` was used for last, the value that
    /// held in the first holding test of each target, in the order of the rule; at most `most`.
    /// Tests behind a `not`, and of the presence of a field, have none.
    pub fn deciding_values(
        &self,
        rule: DetectionIndex,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
        most: usize,
    ) -> Vec<(Target, DecidingValue)> {
        let detection = &self.rulebook().detections[rule.0 as usize];
        let mut evaluation = Evaluation::new(self, subject, scratch);
        let mut found = Vec::new();
        evaluation.collect(&detection.condition, most, &mut found);
        for exception in &detection.exceptions {
            if applies(exception, subject.account, subject.time) {
                evaluation.collect(&exception.condition, most, &mut found);
            }
        }
        found
    }
}

impl Evaluation<'_, '_> {
    fn collect(&mut self, expr: &Expr, most: usize, found: &mut Vec<(Target, DecidingValue)>) {
        if found.len() >= most || !self.adds_target(expr, found) || !self.expr_holds(expr) {
            return;
        }
        match expr {
            Expr::Atom(atom) => {
                let value = self.deciding_value(*atom).map(DecidingValue::new);
                found.extend(value.map(|value| (self.target(*atom), value)));
            }
            Expr::Selection(_, inner) => self.collect(inner, most, found),
            Expr::And(parts) | Expr::Or(parts) => {
                for part in parts {
                    self.collect(part, most, found);
                }
            }
            Expr::Not(_) | Expr::Constant(_) => {}
        }
    }

    /// Returns whether a part tests a target of which nothing was found yet: all others need not be
    /// evaluated.
    fn adds_target(&self, expr: &Expr, found: &[(Target, DecidingValue)]) -> bool {
        match expr {
            Expr::Atom(atom) => {
                let target = self.target(*atom);
                found.iter().all(|(known, _)| *known != target)
            }
            Expr::Selection(_, inner) => self.adds_target(inner, found),
            Expr::And(parts) | Expr::Or(parts) => {
                parts.iter().any(|part| self.adds_target(part, found))
            }
            Expr::Not(_) | Expr::Constant(_) => false,
        }
    }

    fn expr_holds(&mut self, expr: &Expr) -> bool {
        match expr {
            Expr::Atom(atom) => self.atom(*atom),
            Expr::Not(inner) => !self.expr_holds(inner),
            Expr::Selection(_, inner) => self.expr_holds(inner),
            Expr::And(parts) => parts.iter().all(|part| self.expr_holds(part)),
            Expr::Or(parts) => parts.iter().any(|part| self.expr_holds(part)),
            Expr::Constant(value) => *value,
        }
    }
}
