//! What can be said about a condition without an event: that it can never hold, always holds, or
//! holds wherever another one does.
//!
//! Every answer "yes" is a proof; "no" only says that none was found. A proof looks at one pair of
//! parts at a time and not at three parts that exclude each other together, which keeps it cheap;
//! besides, each question has a budget of steps, so that no rule file makes it expensive.

use super::implied;
use super::model::{Atom, AtomId, Expr, Test};

/// Tests of a condition beyond which nothing is said about it.
const TESTS_MAX: usize = 20_000;
/// Steps that one question may take.
const STEPS_MAX: u32 = 200_000;

/// A condition without names of selections, with `not` at single tests only, flat, sorted, and each
/// part once: conditions that differ in how they are written are equal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    Constant(bool),
    Test { atom: AtomId, holds: bool },
    All(Vec<Form>),
    Any(Vec<Form>),
}

impl Form {
    /// Returns the form of a condition; nothing for one that is too large to reason about.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        let mut tests = 0;
        let form = Self::read(expr, true, &mut tests);
        (tests <= TESTS_MAX).then_some(form)
    }

    fn read(expr: &Expr, holds: bool, tests: &mut usize) -> Self {
        if *tests > TESTS_MAX {
            return Self::Constant(holds);
        }
        match expr {
            Expr::Constant(value) => Self::Constant(*value == holds),
            Expr::Atom(atom) => {
                *tests += 1;
                Self::Test { atom: *atom, holds }
            }
            Expr::Not(inner) => Self::read(inner, !holds, tests),
            Expr::Selection(_, inner) => Self::read(inner, holds, tests),
            Expr::And(parts) | Expr::Or(parts) => {
                let parts = parts.iter().map(|part| Self::read(part, holds, tests)).collect();
                if matches!(expr, Expr::And(_)) == holds { all(parts) } else { any(parts) }
            }
        }
    }

    /// Returns the form that holds exactly where this one does not.
    pub(super) fn negated(&self) -> Self {
        let each = |parts: &[Self]| parts.iter().map(Self::negated).collect();
        match self {
            Self::Constant(value) => Self::Constant(!value),
            Self::Test { atom, holds } => Self::Test { atom: *atom, holds: !holds },
            Self::All(parts) => any(each(parts)),
            Self::Any(parts) => all(each(parts)),
        }
    }
}

/// One flat AND; nothing in it always holds, one part is itself.
fn all(parts: Vec<Form>) -> Form {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Form::All(mut inner) => flat.append(&mut inner),
            Form::Constant(true) => {}
            part @ (Form::Constant(false) | Form::Test { .. } | Form::Any(_)) => flat.push(part),
        }
    }
    flat.sort();
    flat.dedup();
    if flat.first() == Some(&Form::Constant(false)) {
        return Form::Constant(false);
    }
    match flat.len() {
        0 => Form::Constant(true),
        1 => flat.remove(0),
        _ => Form::All(flat),
    }
}

/// One flat OR; nothing in it never holds, one part is itself.
fn any(parts: Vec<Form>) -> Form {
    let mut flat = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Form::Any(mut inner) => flat.append(&mut inner),
            Form::Constant(false) => {}
            part @ (Form::Constant(true) | Form::Test { .. } | Form::All(_)) => flat.push(part),
        }
    }
    flat.sort();
    flat.dedup();
    if flat.first() == Some(&Form::Constant(true)) {
        return Form::Constant(true);
    }
    match flat.len() {
        0 => Form::Constant(false),
        1 => flat.remove(0),
        _ => Form::Any(flat),
    }
}

/// Answers questions about the conditions of one rule set.
pub(super) struct Prover<'a> {
    atoms: &'a [Atom],
    /// Whether an event has at most one value of the field that a test looks at.
    is_single: &'a dyn Fn(&Atom) -> bool,
    left: u32,
}

impl<'a> Prover<'a> {
    pub(super) fn new(atoms: &'a [Atom], is_single: &'a dyn Fn(&Atom) -> bool) -> Self {
        Self { atoms, is_single, left: 0 }
    }

    /// Returns whether no event can make the condition hold.
    pub(super) fn never_holds(&mut self, form: &Form) -> bool {
        self.left = STEPS_MAX;
        self.is_false(form)
    }

    /// Returns whether every event makes the condition hold.
    pub(super) fn always_holds(&mut self, form: &Form) -> bool {
        self.never_holds(&form.negated())
    }

    /// Returns whether every event that makes the first condition hold does so for the second.
    pub(super) fn implies(&mut self, first: &Form, second: &Form) -> bool {
        self.left = STEPS_MAX;
        self.leads_to(first, second)
    }

    fn spend(&mut self) -> bool {
        self.left = self.left.saturating_sub(1);
        self.left > 0
    }

    fn is_false(&mut self, form: &Form) -> bool {
        match form {
            Form::Constant(value) => !value,
            Form::Test { .. } => false,
            Form::Any(parts) => parts.iter().all(|part| self.is_false(part)),
            Form::All(parts) => {
                parts.iter().any(|part| self.is_false(part))
                    || (1..parts.len()).any(|at| {
                        parts[..at].iter().any(|earlier| self.excludes(earlier, &parts[at]))
                    })
            }
        }
    }

    /// Whether the two never hold together.
    fn excludes(&mut self, left: &Form, right: &Form) -> bool {
        if !self.spend() {
            return false;
        }
        match (left, right) {
            (Form::Constant(false), _) | (_, Form::Constant(false)) => true,
            (Form::Any(parts), other) | (other, Form::Any(parts)) => {
                parts.iter().all(|part| self.excludes(part, other))
            }
            (Form::All(parts), other) | (other, Form::All(parts)) => {
                parts.iter().any(|part| self.excludes(part, other))
            }
            (
                Form::Test { atom: left, holds: left_holds },
                Form::Test { atom: right, holds: right_holds },
            ) => match (left_holds, right_holds) {
                (true, true) => self.tests_exclude(*left, *right),
                (true, false) => self.test_implies(*left, *right),
                (false, true) => self.test_implies(*right, *left),
                (false, false) => self.one_always_holds(*left, *right),
            },
            (Form::Constant(true), Form::Constant(true) | Form::Test { .. })
            | (Form::Test { .. }, Form::Constant(true)) => false,
        }
    }

    /// Whether the second holds wherever the first does.
    fn leads_to(&mut self, first: &Form, second: &Form) -> bool {
        if !self.spend() {
            return false;
        }
        match (first, second) {
            (Form::Constant(false), _) | (_, Form::Constant(true)) => true,
            (Form::Any(parts), _) => parts.iter().all(|part| self.leads_to(part, second)),
            (_, Form::All(parts)) => parts.iter().all(|part| self.leads_to(first, part)),
            (Form::All(parts), Form::Any(alternatives)) => {
                parts.iter().any(|part| self.leads_to(part, second))
                    || alternatives.iter().any(|one| self.leads_to(first, one))
            }
            (Form::All(parts), Form::Test { .. }) => {
                parts.iter().any(|part| self.leads_to(part, second))
            }
            (Form::Test { .. }, Form::Any(alternatives)) => {
                alternatives.binary_search(first).is_ok()
                    || alternatives.iter().any(|one| self.leads_to(first, one))
            }
            (Form::Test { atom, holds }, Form::Test { atom: other, holds: other_holds }) => {
                match (holds, other_holds) {
                    (true, true) => self.test_implies(*atom, *other),
                    (true, false) => self.tests_exclude(*atom, *other),
                    (false, true) => self.one_always_holds(*atom, *other),
                    (false, false) => self.test_implies(*other, *atom),
                }
            }
            (Form::Constant(true), Form::Constant(false) | Form::Test { .. } | Form::Any(_))
            | (Form::All(_) | Form::Test { .. }, Form::Constant(false)) => false,
        }
    }

    fn atom(&self, id: AtomId) -> &'a Atom {
        &self.atoms[id.0 as usize]
    }

    fn test_implies(&self, first: AtomId, second: AtomId) -> bool {
        let (first, second) = (self.atom(first), self.atom(second));
        first == second
            || first.target == second.target && implied::by_test(&first.test, &second.test)
    }

    fn tests_exclude(&self, first: AtomId, second: AtomId) -> bool {
        let (first, second) = (self.atom(first), self.atom(second));
        first.target == second.target
            && (absent(&first.test) && present(&second.test)
                || absent(&second.test) && present(&first.test)
                || (self.is_single)(first) && implied::excluded(&first.test, &second.test))
    }

    /// Whether an event that fails one of the tests passes the other.
    fn one_always_holds(&self, first: AtomId, second: AtomId) -> bool {
        let (first, second) = (self.atom(first), self.atom(second));
        first.target == second.target
            && (covers_absence(&first.test) && second.test == Test::Exists(true)
                || covers_absence(&second.test) && first.test == Test::Exists(true))
    }
}

fn absent(test: &Test) -> bool {
    *test == Test::Exists(false)
}

/// Whether an absent field passes the test.
fn covers_absence(test: &Test) -> bool {
    matches!(test, Test::Exists(false) | Test::Null)
}

/// Whether only a field that is there passes the test.
fn present(test: &Test) -> bool {
    !covers_absence(test)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::{Rulebook, Sources, compile};

    fn rulebook(selections: &[&str], conditions: &[&str]) -> Rulebook {
        let document = |condition: &&str| {
            format!(
                "title: t\nlogsource: {{category: test}}\ndetection: {{{}, condition: {condition}}}\n",
                selections.join(", ")
            )
        };
        let text = conditions.iter().map(document).collect::<Vec<_>>().join("---\n");
        let sources = Sources::of_rules([("rule.yaml", &*text)]);
        compile(&sources).unwrap_or_else(|findings| panic!("{text}: {findings:?}")).0
    }

    fn form(rulebook: &Rulebook, index: usize) -> Form {
        Form::of(&rulebook.detections[index].condition).unwrap()
    }

    #[test]
    fn what_can_never_hold_and_what_always_holds_is_seen() {
        for (selections, condition, never, always) in [
            (["a: {f: x}", "b: {g: x}"], "a and b", false, false),
            (["a: {f: x}", "b: {f: x}"], "a and not b", true, false),
            (["a: {f: x}", "b: {f: x}"], "a or not b", false, true),
            (["a: {f: x}", "b: {f: [x, y]}"], "a and not b", true, false),
            (["a: {f: x}", "b: {f: [x, y]}"], "b and not a", false, false),
            (["a: {f|contains: kode otp}", "b: {f|contains: otp}"], "a and not b", true, false),
            (["a: {f|contains: otp}", "b: {f|contains: kode otp}"], "a and not b", false, false),
            (["a: {f|exists: true}", "b: {f|exists: false}"], "a and b", true, false),
            (["a: {f|exists: true}", "b: {f|exists: false}"], "a or b", false, true),
            (["a: {f: x}", "b: {f|exists: false}"], "a and b", true, false),
            (["a: {f: x}", "b: {f: null}"], "a and b", false, false),
            (["a: {f|gt: 5}", "b: {f|lte: 5}"], "a and b", true, false),
            (["a: {f|gt: 5}", "b: {f|lt: 7}"], "a and b", false, false),
            (["a: {f: x}", "b: {f: y}"], "a and b", true, false),
            (["a: {f: x*}", "b: {f: y}"], "a and b", false, false),
            (["a: {f: 1}", "b: {f: 2}"], "a and b", true, false),
            (["a: {many: x}", "b: {many: y}"], "a and b", false, false),
            (["a: {many|gt: 5}", "b: {many|lte: 5}"], "a and b", false, false),
            (["a: {f|contains: [x, y]}", "b: {f|exists: true}"], "a and not b", true, false),
            (["a: {f: x, g: y}", "b: {g: [y, z]}"], "a and not b", true, false),
            (["a: {f: [x, y]}", "b: {f: [z, w]}"], "a and b", true, false),
            (["a: {f|neq: x}", "b: {f: x}"], "a and b", true, false),
            (["a: {f|neq: x}", "b: {f: x}"], "a or b", false, true),
        ] {
            let rulebook = rulebook(&selections, &[condition]);
            let many = rulebook.fields.get("many");
            let is_single = |atom: &Atom| match atom.target {
                crate::rulebook::Target::Field(field) => Some(field) != many,
                crate::rulebook::Target::AnyValue => false,
            };
            let mut prover = Prover::new(&rulebook.atoms, &is_single);
            let form = form(&rulebook, 0);
            let found = (prover.never_holds(&form), prover.always_holds(&form));
            assert_eq!(found, (never, always), "{selections:?} {condition}");
        }
    }

    #[test]
    fn a_condition_that_holds_wherever_another_does_is_seen() {
        let selections = [
            "a: {f|contains: otp}",
            "b: {f|contains: [otp, pin]}",
            "c: {g|startswith: http}",
            "d: {g|startswith: 'https://'}",
        ];
        for (first, second, implied) in [
            ("a", "b", true),
            ("b", "a", false),
            ("a and c", "a", true),
            ("a", "a or c", true),
            ("a and d", "b and c", true),
            ("a and c", "b and d", false),
            ("a or b", "b", true),
            ("a and not c", "a and not d", true),
            ("a and not d", "a and not c", false),
            ("(a and c) or (b and d)", "(b or a) and c", true),
        ] {
            let rulebook = rulebook(&selections, &[first, second]);
            let mut prover = Prover::new(&rulebook.atoms, &|_| false);
            let [first_form, second_form] = [0, 1].map(|index| form(&rulebook, index));
            assert_eq!(prover.implies(&first_form, &second_form), implied, "{first} => {second}");
            assert!(prover.implies(&first_form, &first_form));
        }
    }

    #[test]
    fn conditions_that_differ_in_writing_only_have_one_form() {
        let selections = ["a: {f: x}", "b: {g: y}", "c: {f: x}"];
        for (first, second) in [
            ("a and b", "b and a"),
            ("a or c", "a"),
            ("not (a and b)", "not b or not a"),
            ("not not a", "c"),
            ("1 of them", "b or a"),
        ] {
            let rulebook = rulebook(&selections, &[first, second]);
            assert_eq!(form(&rulebook, 0), form(&rulebook, 1), "{first} / {second}");
        }
    }

    #[test]
    fn a_hostile_condition_is_given_up_on() {
        let list = |name: &str, from: usize| {
            let values: Vec<_> = (from..from + 4_000).map(|value| format!("v{value}")).collect();
            format!("{name}: {{f|contains: [{}]}}", values.join(", "))
        };
        let selections = [list("a", 10_000), list("b", 20_000)];
        let rulebook =
            rulebook(&selections.each_ref().map(String::as_str), &["a and b", "a and not b"]);
        let mut prover = Prover::new(&rulebook.atoms, &|_| true);
        for index in [0, 1] {
            assert!(!prover.never_holds(&form(&rulebook, index)));
        }
    }
}
