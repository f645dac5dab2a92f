//! What the tests have exercised: rules, their selections, and whether each selection ever decided.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;

use crate::detect::{Explanation, Finding};
use crate::engine::{Observed, Rules};
use crate::rulebook::{DetectionIndex, Expr, RuleIndex};

/// What was seen of the rules under test.
#[derive(Debug, Default)]
pub(super) struct Coverage {
    under_test: BTreeSet<DetectionIndex>,
    fired: BTreeSet<RuleIndex>,
    /// Rules that a test asked to stay silent, and that did.
    silent: BTreeSet<RuleIndex>,
    terms: BTreeMap<(DetectionIndex, Arc<str>), Term>,
}

/// One selection of one rule.
#[derive(Debug, Default)]
struct Term {
    was_true: bool,
    /// Some event was decided by it: had it been otherwise, so had the rule.
    decided: bool,
}

/// The figures of all tests.
#[derive(Debug, Serialize)]
pub(super) struct CoverageReport {
    pub(super) rules: usize,
    /// Rules that a test has fire and another has stay silent.
    pub(super) rules_tested: usize,
    pub(super) rules_without_firing_test: Vec<String>,
    pub(super) rules_without_silent_test: Vec<String>,
    pub(super) selections: usize,
    /// As `RULE.SELECTION`.
    pub(super) selections_never_true: Vec<String>,
    pub(super) selections_never_decided: Vec<String>,
    /// Of the conditions, those whose every selection decided once; 0 to 100.
    pub(super) conditions_decided_percent: f64,
}

impl Coverage {
    /// Looks at these rules until the next call: those of the file that the tests belong to.
    pub(super) fn look_at(&mut self, rules: impl IntoIterator<Item = DetectionIndex>) {
        self.under_test = rules.into_iter().collect();
    }

    pub(super) fn note(&mut self, seen: &Observed<'_>, rules: &Rules) {
        self.fired.extend(seen.matches);
        let Some(subject) = seen.subject else { return };
        for rule in &self.under_test {
            let detection = &rules.rulebook().detections[rule.0 as usize];
            if !subject.logsource.is_covered_by(&detection.logsource) {
                continue;
            }
            let explanation = rules.detector().explain(*rule, subject);
            let mut selections = BTreeMap::new();
            collect(&explanation, &mut selections);
            for (name, was_true) in selections {
                let decided = holds_with(&explanation, &name) != explanation.holds;
                let term = self.terms.entry((*rule, name)).or_default();
                term.was_true |= was_true;
                term.decided |= decided;
            }
        }
    }

    pub(super) fn note_silent(&mut self, rules: impl IntoIterator<Item = RuleIndex>) {
        self.silent.extend(rules);
    }

    pub(super) fn report(&self, rules: &Rules, tested: &BTreeSet<RuleIndex>) -> CoverageReport {
        let key = |rule: RuleIndex| rules.meta(rule).key.to_string();
        let without = |seen: &BTreeSet<RuleIndex>| -> Vec<String> {
            tested.iter().filter(|rule| !seen.contains(rule)).map(|rule| key(*rule)).collect()
        };
        let (mut never_true, mut never_decided) = (Vec::new(), Vec::new());
        let (mut selections, mut conditions, mut decided) = (0, 0_u32, 0_u32);
        for rule in tested {
            let RuleIndex::Detection(index) = *rule else { continue };
            let mut names = BTreeSet::new();
            names_of(&rules.rulebook().detections[index.0 as usize].condition, &mut names);
            let before = never_decided.len();
            selections += names.len();
            for name in names {
                let term = self.terms.get(&(index, name.clone()));
                let label = format!("{}.{name}", key(*rule));
                if !term.is_some_and(|term| term.was_true) {
                    never_true.push(label.clone());
                }
                if !term.is_some_and(|term| term.decided) {
                    never_decided.push(label);
                }
            }
            conditions += 1;
            decided += u32::from(before == never_decided.len());
        }
        let percent = if conditions == 0 {
            100.0
        } else {
            f64::from(decided) * 100.0 / f64::from(conditions)
        };
        CoverageReport {
            rules: tested.len(),
            rules_tested: tested
                .iter()
                .filter(|rule| self.fired.contains(rule) && self.silent.contains(rule))
                .count(),
            rules_without_firing_test: without(&self.fired),
            rules_without_silent_test: without(&self.silent),
            selections,
            selections_never_true: never_true,
            selections_never_decided: never_decided,
            conditions_decided_percent: percent,
        }
    }
}

fn names_of(expr: &Expr, names: &mut BTreeSet<Arc<str>>) {
    match expr {
        Expr::Selection(name, _) => {
            names.insert(name.clone());
        }
        Expr::Not(inner) => names_of(inner, names),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().for_each(|part| names_of(part, names)),
        Expr::Atom(_) | Expr::Constant(_) => {}
    }
}

/// The selections of a condition, and whether they held.
fn collect(part: &Explanation, selections: &mut BTreeMap<Arc<str>, bool>) {
    if let Finding::Selection(name) = &part.finding {
        selections.insert(name.clone(), part.holds);
        return;
    }
    part.parts.iter().for_each(|inner| collect(inner, selections));
}

/// Whether the rule would hold if one selection were otherwise.
fn holds_with(part: &Explanation, flipped: &str) -> bool {
    let mut parts = part.parts.iter().map(|inner| holds_with(inner, flipped));
    match &part.finding {
        Finding::Selection(name) => part.holds != (**name == *flipped),
        Finding::Test { .. } | Finding::Constant => part.holds,
        Finding::Not => !parts.any(|holds| holds),
        Finding::AnyOf => parts.any(|holds| holds),
        Finding::Rule | Finding::All | Finding::Exception(_) => parts.all(|holds| holds),
    }
}
