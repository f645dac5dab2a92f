//! The conditions of all rules as one list of steps, the cheap and decisive parts first.

use super::atom::CompiledAtom;
use super::choice;
use super::index::{IndexBuilder, Prospect};
use crate::rulebook::{AtomId, Expr};

/// Index of a step in its [`Program`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct StepId(u32);

#[derive(Debug, Clone, Copy)]
enum Step {
    Atom(AtomId),
    Not(StepId),
    /// Ranges of [`Program::parts`].
    All(u32, u32),
    AnyOf(u32, u32),
    /// How many parts must hold, then their range.
    AtLeast(u16, u32, u32),
    Constant(bool),
}

#[derive(Debug, Default)]
pub(super) struct Program {
    steps: Vec<Step>,
    /// Of each step whether it has parts and running them is dear.
    is_dear: Vec<bool>,
    parts: Vec<StepId>,
}

/// Answers what a condition asks of the event at hand.
pub(super) trait Answers {
    /// Returns whether a test holds.
    fn atom(&mut self, atom: AtomId) -> bool;

    /// Returns false for a dear part that cannot hold, as far as that is known.
    fn can_hold(&self, step: StepId) -> bool;
}

/// What running a part of a condition costs, and how often it holds.
#[derive(Clone, Copy)]
struct Estimate {
    cost: f64,
    odds: f64,
}

impl Program {
    /// Adds a condition.
    pub(super) fn add(&mut self, expr: &Expr, atoms: &[CompiledAtom]) -> StepId {
        self.compile(expr, atoms).0
    }

    fn compile(&mut self, expr: &Expr, atoms: &[CompiledAtom]) -> (StepId, Estimate) {
        match expr {
            Expr::Selection(_, inner) => self.compile(inner, atoms),
            Expr::Atom(atom) => {
                let (cost, odds) = atoms[atom.0 as usize].estimate();
                (self.push(Step::Atom(*atom)), Estimate { cost, odds })
            }
            Expr::Constant(value) => {
                let odds = if *value { 1.0 } else { 0.0 };
                (self.push(Step::Constant(*value)), Estimate { cost: 1.0, odds })
            }
            Expr::Not(inner) => {
                let (step, estimate) = self.compile(inner, atoms);
                let odds = 1.0 - estimate.odds;
                (self.push(Step::Not(step)), Estimate { odds, ..estimate })
            }
            Expr::And(parts) => {
                let (first, end, misses) = self.compile_parts(parts, atoms, |odds| 1.0 - odds);
                let estimate = Estimate { cost: misses.cost, odds: 1.0 - misses.odds };
                (self.push_parts(Step::All(first, end), &estimate), estimate)
            }
            Expr::Or(parts) if let Some((count, parts)) = choice::recognise(parts) => {
                let (first, end, any) = self.compile_parts(parts, atoms, |odds| odds);
                (self.push_parts(Step::AtLeast(count, first, end), &any), any)
            }
            Expr::Or(parts) => {
                let (first, end, estimate) = self.compile_parts(parts, atoms, |odds| odds);
                (self.push_parts(Step::AnyOf(first, end), &estimate), estimate)
            }
        }
    }

    /// Adds parts of which the first that is `decisive` ends the evaluation; the estimate's odds
    /// are those that any is.
    fn compile_parts<'e>(
        &mut self,
        parts: impl IntoIterator<Item = &'e Expr>,
        atoms: &[CompiledAtom],
        decisive: impl Fn(f64) -> f64,
    ) -> (u32, u32, Estimate) {
        let mut compiled: Vec<_> =
            parts.into_iter().map(|part| self.compile(part, atoms)).collect();
        let rank = |estimate: &Estimate| estimate.cost / decisive(estimate.odds).max(1e-3);
        compiled.sort_by(|one, other| rank(&one.1).total_cmp(&rank(&other.1)));
        let mut cost = 0.0;
        let mut undecided = 1.0;
        for (_, estimate) in &compiled {
            cost += undecided * estimate.cost;
            undecided *= 1.0 - decisive(estimate.odds);
        }
        let first = narrow(self.parts.len());
        self.parts.extend(compiled.into_iter().map(|(step, _)| step));
        (first, narrow(self.parts.len()), Estimate { cost, odds: 1.0 - undecided })
    }

    fn push(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.is_dear.push(false);
        StepId(narrow(self.steps.len() - 1))
    }

    fn push_parts(&mut self, step: Step, estimate: &Estimate) -> StepId {
        /// About that of one regular expression.
        const COST_DEAR: f64 = 250.0;
        let step = self.push(step);
        self.is_dear[step.0 as usize] = estimate.cost >= COST_DEAR;
        step
    }

    /// Returns whether a condition holds, asking for no more tests than decide it.
    pub(super) fn holds(&self, step: StepId, answers: &mut impl Answers) -> bool {
        if self.is_dear[step.0 as usize] && !answers.can_hold(step) {
            return false;
        }
        match self.steps[step.0 as usize] {
            Step::Atom(id) => answers.atom(id),
            Step::Not(inner) => !self.holds(inner, answers),
            Step::All(first, end) => self.parts[first as usize..end as usize]
                .iter()
                .all(|part| self.holds(*part, answers)),
            Step::AnyOf(first, end) => self.parts[first as usize..end as usize]
                .iter()
                .any(|part| self.holds(*part, answers)),
            Step::AtLeast(count, first, end) => {
                let parts = &self.parts[first as usize..end as usize];
                let mut missing = usize::from(count);
                for (at, part) in parts.iter().enumerate() {
                    if missing == 0 || parts.len() - at < missing {
                        break;
                    }
                    missing -= usize::from(self.holds(*part, answers));
                }
                missing == 0
            }
            Step::Constant(value) => value,
        }
    }

    /// Returns when a condition can hold, or where not `holds` fail to.
    pub(super) fn prospect(&self, step: StepId, holds: bool, index: &mut IndexBuilder) -> Prospect {
        let (count, first, end) = match self.steps[step.0 as usize] {
            Step::Atom(id) if holds => return index.prospect(id),
            Step::Atom(_) => return Prospect::Always,
            Step::Not(inner) => return self.prospect(inner, !holds, index),
            Step::Constant(value) if value == holds => return Prospect::Always,
            Step::Constant(_) => return Prospect::Never,
            Step::All(first, end) => (end as usize - first as usize, first, end),
            Step::AnyOf(first, end) => (1, first, end),
            Step::AtLeast(count, first, end) => (usize::from(count), first, end),
        };
        let parts = &self.parts[first as usize..end as usize];
        let needed = if holds { count } else { parts.len() + 1 - count };
        let parts: Vec<Prospect> =
            parts.iter().map(|part| self.prospect(*part, holds, index)).collect();
        let prospect = index.gates.at_least(needed, parts);
        if holds
            && self.is_dear[step.0 as usize]
            && let Prospect::Behind(gate) = prospect
        {
            index.gate_of_step.insert(step, gate);
        }
        prospect
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("fewer than 2^32 steps in all conditions")
}
