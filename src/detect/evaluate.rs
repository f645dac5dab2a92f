//! The matcher: built once for a rule set, then asked for each event.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::atom::{CompiledAtom, CompiledTest, literal_holds};
use super::derived::{DerivedField, DerivedGroup, DerivedSource};
use super::index::{FieldIndex, IndexBuilder, Trigger, Triggers, each_atom};
use super::paths::PathTrie;
use super::pattern;
use super::program::{Answers, Program, StepId};
use super::route::{EventSource, Route, Routes, SharedRoutes, SourceGroup};
use super::scratch::{FieldValues, HeldId, Memo, Scratch};
use super::values::{
    account_list_holds, account_networks_hold, is_in_network, number_of, time_part,
};
use super::{FieldSource, FieldValue};
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{
    AtomId, Detection, DetectionIndex, Exception, FieldId, Rulebook, Status, Target, TextPart,
};

/// One event and what is known with it.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    pub document: &'a Document,
    pub derived: &'a dyn DerivedSource,
    pub logsource: EventSource<'a>,
    /// For exceptions that are limited to accounts.
    pub account: &'a AccountId,
    /// For exceptions that expire.
    pub time: EventTime,
}

/// Hides the event.
impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Subject")
            .field("account", self.account)
            .field("time", &self.time)
            .finish_non_exhaustive()
    }
}

/// Which derived groups the rules of a set name; the others need neither work nor memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DerivedNeeds {
    groups: BTreeSet<DerivedGroup>,
}

impl DerivedNeeds {
    pub fn needs(&self, group: DerivedGroup) -> bool {
        self.groups.contains(&group)
    }
}

/// All detection rules of a rule set, ready to be asked. Immutable and shared by all threads; each
/// thread brings its own [`Scratch`].
#[derive(Debug)]
pub struct Detector {
    rulebook: Arc<Rulebook>,
    trie: PathTrie,
    atoms: Box<[CompiledAtom]>,
    program: Program,
    /// The condition of each rule, and of its exceptions in their order.
    conditions: Box<[RuleSteps]>,
    derived: Box<[Option<DerivedField>]>,
    groups: Box<[SourceGroup]>,
    routes: SharedRoutes,
    /// What to look for where an expression may match: parsing it again for each route takes long.
    expressions: BTreeMap<AtomId, Trigger>,
    unindexed: Vec<DetectionIndex>,
}

#[derive(Debug)]
struct RuleSteps {
    condition: StepId,
    exceptions: Box<[StepId]>,
}

impl Detector {
    /// Builds the indexes of a rule set. Rules that are deprecated or unsupported are left out.
    pub fn new(rulebook: Arc<Rulebook>) -> Self {
        let derived: Box<[_]> =
            rulebook.fields.iter().map(|(_, name)| DerivedField::from_name(name)).collect();
        let trie = PathTrie::new(
            rulebook.fields.iter().filter(|(field, _)| derived[field.0 as usize].is_none()),
        );
        let atoms: Box<[_]> = rulebook.atoms.iter().map(CompiledAtom::new).collect();
        let mut program = Program::default();
        let conditions = rulebook
            .detections
            .iter()
            .map(|detection| RuleSteps {
                condition: program.add(&detection.condition, &atoms),
                exceptions: detection
                    .exceptions
                    .iter()
                    .map(|exception| program.add(&exception.condition, &atoms))
                    .collect(),
            })
            .collect();
        let mut detector = Self {
            trie,
            atoms,
            program,
            conditions,
            derived,
            groups: Box::default(),
            routes: SharedRoutes::default(),
            expressions: BTreeMap::new(),
            unindexed: Vec::new(),
            rulebook,
        };
        detector.group();
        detector
    }

    /// Chooses the triggers of each rule.
    fn group(&mut self) {
        let detections = &self.rulebook.detections;
        let triggers = Triggers::new(
            &self.rulebook.atoms,
            &self.rulebook.fields,
            detections.iter().map(|detection| &detection.condition),
        );
        let mut groups: Vec<SourceGroup> = Vec::new();
        let mut group_of = BTreeMap::new();
        for (rule, detection) in (0..).map(DetectionIndex).zip(detections) {
            if !is_evaluated(detection) {
                continue;
            }
            let group = *group_of.entry(&detection.logsource).or_insert_with(|| {
                let logsource = detection.logsource.clone();
                groups.push(SourceGroup::new(logsource));
                groups.len() - 1
            });
            groups[group].gated.extend(self.gated(detection));
            groups[group].rules.push(rule);
            let chosen = triggers.choose(&detection.condition);
            if !chosen.as_ref().is_some_and(|chosen| triggers.are_selective(chosen)) {
                self.unindexed.push(rule);
            }
            groups[group].triggers.extend(chosen.into_iter().flatten());
        }
        let gated = groups.iter().flat_map(|group| &group.gated);
        self.expressions = gated
            .filter(|atom| matches!(self.test(**atom), CompiledTest::Regex(_)))
            .filter_map(|atom| Some((*atom, triggers.of(*atom)?.clone())))
            .collect();
        self.groups = groups.into_boxed_slice();
    }

    /// Returns the expressions of a rule, and the literals beside them: what is found of either
    /// says whether an expression has to run.
    fn gated(&self, detection: &Detection) -> BTreeSet<AtomId> {
        let exceptions = detection.exceptions.iter().map(|exception| &exception.condition);
        let mut gated = BTreeSet::new();
        for condition in std::iter::once(&detection.condition).chain(exceptions) {
            let (mut atoms, mut has_expression) = (Vec::new(), false);
            each_atom(condition, &mut |atom| {
                let test = self.test(atom);
                let is_expression = matches!(test, CompiledTest::Regex(_));
                has_expression |= is_expression;
                if is_expression || matches!(test, CompiledTest::Contains { .. }) {
                    atoms.push(atom);
                }
            });
            if has_expression {
                gated.extend(atoms);
            }
        }
        gated
    }

    pub fn rulebook(&self) -> &Arc<Rulebook> {
        &self.rulebook
    }

    /// Returns a test as it was compiled.
    pub(super) fn test(&self, atom: AtomId) -> &CompiledTest {
        &self.atoms[atom.0 as usize].test
    }

    /// Returns which derived groups any rule or correlation names.
    pub fn needs(&self) -> DerivedNeeds {
        DerivedNeeds { groups: self.derived.iter().flatten().map(|field| field.group()).collect() }
    }

    /// Returns the rules that no literal or number gives away: they are evaluated on every event
    /// of their log source, or on all that have a field.
    pub fn unindexed(&self) -> &[DetectionIndex] {
        &self.unindexed
    }

    /// Replaces `out` by the rules that match, in the order of the rule set.
    pub fn evaluate(
        &self,
        subject: &Subject<'_>,
        scratch: &mut Scratch,
        out: &mut Vec<DetectionIndex>,
    ) {
        out.clear();
        self.fit(scratch);
        let Scratch { values, memo, routes, .. } = scratch;
        let route = self.route(subject, routes);
        values.begin(subject.document, &self.trie, &self.rulebook.fields);
        memo.begin(route.hits.len(), route.gates.len());
        Self::collect_candidates(subject, route, values, memo);
        let candidates = std::mem::take(&mut memo.candidates);
        let mut evaluation = Evaluation { detector: self, subject, route, values, memo };
        out.extend(candidates.iter().filter(|rule| evaluation.matches(**rule)));
        memo.candidates = candidates;
        out.sort_unstable();
    }

    fn route<'r>(&self, subject: &Subject<'_>, routes: &'r mut Routes) -> &'r Route {
        routes.get(subject.logsource, &self.routes, &self.groups, |groups| self.new_route(groups))
    }

    fn new_route(&self, groups: &[&SourceGroup]) -> Route {
        let mut index = IndexBuilder::default();
        let trigger = |atom: &AtomId| match self.expressions.get(atom) {
            Some(trigger) => Some(Cow::Borrowed(trigger)),
            None => Trigger::of(&self.rulebook.atoms[atom.0 as usize]).map(Cow::Owned),
        };
        for atom in groups.iter().flat_map(|group| &group.triggers) {
            let trigger = trigger(atom).expect("only tests that have a trigger are chosen");
            index.watch(&trigger, *atom);
        }
        for atom in groups.iter().flat_map(|group| &group.gated) {
            if let Some(trigger) = trigger(atom) {
                index.watch_beside(&trigger, *atom);
            }
        }
        Route::new(index, groups, self.atoms.len(), &self.derived, |rule, index| {
            let condition = self.conditions[rule.0 as usize].condition;
            self.program.prospect(condition, true, index)
        })
    }

    fn fit(&self, scratch: &mut Scratch) {
        if scratch.rulebook.as_ref().is_some_and(|known| Arc::ptr_eq(known, &self.rulebook)) {
            return;
        }
        *scratch = Scratch::default();
        scratch.rulebook = Some(self.rulebook.clone());
        scratch.values.fit(self.derived.len());
        scratch.memo.fit(self.atoms.len(), self.rulebook.detections.len());
    }

    fn collect_candidates(
        subject: &Subject<'_>,
        route: &Route,
        values: &mut FieldValues,
        memo: &mut Memo,
    ) {
        for rule in &route.always {
            memo.add_candidate(*rule);
        }
        let document = subject.document;
        let mut visit = |hit| visit_hit(hit, route, memo);
        for at in 0..values.present.len() {
            let field = values.present[at];
            if let Some(index) = route.index(field) {
                probe(index, Some(field), values, document, &mut visit);
            }
        }
        for (field, derived_field, index) in &route.derived {
            values.load_derived(*field, *derived_field, subject.derived);
            if values.is_present(*field) {
                probe(index, Some(*field), values, document, &mut visit);
            }
        }
        if let Some(index) = &route.any_value {
            if index.is_contained()
                && let Some(folded) = values.folded_document()
            {
                index.probe_contained(folded, &mut visit);
                return;
            }
            values.load_leaves(document);
            if values.first(None).is_some() {
                probe(index, None, values, document, &mut visit);
            }
        }
    }

    /// Returns the fields of the event that `scratch` was used for last, by [`Self::evaluate`].
    pub fn fields<'a>(
        &'a self,
        document: &'a Document,
        derived: &'a dyn DerivedSource,
        scratch: &'a Scratch,
    ) -> EventFields<'a> {
        EventFields { detector: self, document, derived, values: &scratch.values }
    }
}

/// Looks the values of a field up in its index.
fn probe(
    index: &FieldIndex,
    field: Option<FieldId>,
    values: &mut FieldValues,
    document: &Document,
    visit: &mut impl FnMut(u32),
) {
    if let Some(hit) = index.present() {
        visit(hit);
    }
    let mut next = values.first(field);
    while let Some(held) = next {
        if index.wants_numbers()
            && let Some(number) = number_of(values.get(held, document))
        {
            index.probe_number(number, visit);
        }
        if index.wants_text()
            && let Some(folded) = values.folded(held, document)
        {
            index.probe_text(folded, visit);
        }
        next = values.next(held);
    }
}

fn visit_hit(hit: u32, route: &Route, memo: &mut Memo) {
    if !memo.is_first_hit(hit) {
        return;
    }
    let (proves, gates) = route.hits.of(hit);
    if let Some(atom) = proves {
        memo.set_atom(atom, true);
    }
    for gate in gates {
        memo.feed(*gate, &route.gates);
    }
}

/// Returns whether a rule is evaluated at all.
pub(super) fn is_evaluated(detection: &Detection) -> bool {
    match detection.meta.status {
        Status::Experimental | Status::Test | Status::Stable => true,
        Status::Deprecated | Status::Unsupported => false,
    }
}

/// Returns whether an exception has a say for this account at this time.
pub(super) fn applies(exception: &Exception, account: &AccountId, time: EventTime) -> bool {
    (exception.accounts.is_empty() || exception.accounts.contains(account))
        && exception.expires.is_none_or(|expires| time < expires)
}

impl Answers for Evaluation<'_, '_> {
    fn atom(&mut self, atom: AtomId) -> bool {
        Evaluation::atom(self, atom)
    }

    fn can_hold(&self, step: StepId) -> bool {
        let gate = self.route.gate_of_step(step);
        gate.is_none_or(|gate| self.memo.is_open(gate, &self.route.gates))
    }
}

/// The conditions of one event's candidates.
pub(super) struct Evaluation<'e, 'a> {
    detector: &'e Detector,
    subject: &'e Subject<'a>,
    route: &'e Route,
    values: &'e mut FieldValues,
    memo: &'e mut Memo,
}

impl<'e, 'a> Evaluation<'e, 'a> {
    /// Goes on with the event that `scratch` was used for last.
    pub(super) fn new(
        detector: &'e Detector,
        subject: &'e Subject<'a>,
        scratch: &'e mut Scratch,
    ) -> Self {
        let Scratch { values, memo, routes, .. } = scratch;
        let route = detector.route(subject, routes);
        Self { detector, subject, route, values, memo }
    }

    fn matches(&mut self, rule: DetectionIndex) -> bool {
        let steps = &self.detector.conditions[rule.0 as usize];
        if !self.holds(steps.condition) {
            return false;
        }
        let detection = &self.detector.rulebook.detections[rule.0 as usize];
        detection.exceptions.iter().zip(&steps.exceptions).all(|(exception, step)| {
            !applies(exception, self.subject.account, self.subject.time) || self.holds(*step)
        })
    }

    fn holds(&mut self, step: StepId) -> bool {
        let detector = self.detector;
        detector.program.holds(step, self)
    }

    fn is_open(&self, atom: AtomId) -> bool {
        self.route.gate(atom).is_none_or(|gate| self.memo.is_open(gate, &self.route.gates))
    }

    /// Returns what a test looks at.
    pub(super) fn target(&self, atom: AtomId) -> Target {
        self.detector.atoms[atom.0 as usize].target
    }

    /// Returns whether a test holds.
    pub(super) fn atom(&mut self, atom: AtomId) -> bool {
        if let Some(known) = self.memo.atom(atom) {
            return known;
        }
        if !self.is_open(atom) {
            return false;
        }
        let holds = self.test(&self.detector.atoms[atom.0 as usize]);
        self.memo.set_atom(atom, holds);
        holds
    }

    fn test(&mut self, atom: &CompiledAtom) -> bool {
        let field = field_of(atom.target);
        self.load(field);
        if let CompiledTest::Exists(present) = &atom.test {
            return self.is_present(field) == *present;
        }
        if matches!(atom.test, CompiledTest::Null) && !self.is_present(field) {
            return true;
        }
        if let CompiledTest::FieldRef { other, .. } = &atom.test {
            self.load(Some(*other));
        }
        self.first_holding(&atom.test, field).is_some()
    }

    /// Returns the first value of a field that a test holds for.
    fn first_holding(&mut self, test: &CompiledTest, field: Option<FieldId>) -> Option<HeldId> {
        let mut next = self.values.first(field);
        while let Some(held) = next {
            if self.value_holds(test, held) {
                return Some(held);
            }
            next = self.values.next(held);
        }
        None
    }

    /// Returns the text of the first value that a test holds for; `null` for null.
    pub(super) fn deciding_value(&mut self, atom: AtomId) -> Option<String> {
        let atom = &self.detector.atoms[atom.0 as usize];
        let field = field_of(atom.target);
        self.load(field);
        if let CompiledTest::FieldRef { other, .. } = &atom.test {
            self.load(Some(*other));
        }
        let held = self.first_holding(&atom.test, field)?;
        let text = self.values.text(held, self.subject.document);
        Some(text.map_or_else(|| "null".to_owned(), str::to_owned))
    }

    fn load(&mut self, field: Option<FieldId>) {
        match field {
            None => self.values.load_leaves(self.subject.document),
            Some(field) => {
                if let Some(derived_field) = self.detector.derived[field.0 as usize] {
                    self.values.load_derived(field, derived_field, self.subject.derived);
                }
            }
        }
    }

    fn is_present(&self, field: Option<FieldId>) -> bool {
        match field {
            Some(field) => self.values.is_present(field),
            None => self.values.first(None).is_some(),
        }
    }

    fn value_holds(&mut self, test: &CompiledTest, held: HeldId) -> bool {
        let document = self.subject.document;
        let values = &mut *self.values;
        match test {
            CompiledTest::Literal { part, literal } => values
                .folded(held, document)
                .is_some_and(|folded| literal_holds(*part, folded, literal)),
            CompiledTest::Contains { literal, marks } => {
                values.contains(held, document, literal, *marks)
            }
            CompiledTest::Pattern(pieces) => {
                values.folded(held, document).is_some_and(|folded| pattern::matches(pieces, folded))
            }
            CompiledTest::CasedLiteral { part, literal } => {
                values.text(held, document).is_some_and(|text| literal_holds(*part, text, literal))
            }
            CompiledTest::CasedPattern(pieces) => {
                values.text(held, document).is_some_and(|text| pattern::matches(pieces, text))
            }
            CompiledTest::Anything => values.get(held, document) != FieldValue::Null,
            CompiledTest::Regex(regex) => {
                values.text(held, document).is_some_and(|text| regex.is_match(text))
            }
            CompiledTest::Cidr(network) => is_in_network(network, values.get(held, document)),
            CompiledTest::Number(comparison, number) => number_of(values.get(held, document))
                .is_some_and(|value| comparison.holds(value, *number)),
            CompiledTest::Null => values.get(held, document) == FieldValue::Null,
            CompiledTest::Exists(_) => false,
            CompiledTest::FieldRef { other, part, cased } => {
                self.field_holds(held, *other, *part, *cased)
            }
            CompiledTest::TimePart(part, number) => {
                time_part(*part, values.get(held, document)) == Some(*number)
            }
            CompiledTest::InAccountList { list, part, cased } => {
                let settings = self.detector.rulebook.accounts.get(self.subject.account);
                account_list_holds(settings, list, *part, *cased, values.text(held, document))
            }
            CompiledTest::InAccountNetworks => {
                let settings = self.detector.rulebook.accounts.get(self.subject.account);
                let value = values.get(held, document);
                account_networks_hold(settings, value)
            }
        }
    }

    fn field_holds(&mut self, held: HeldId, other: FieldId, part: TextPart, cased: bool) -> bool {
        let document = self.subject.document;
        let mut next = self.values.first(Some(other));
        while let Some(other) = next {
            if part == TextPart::Whole {
                let left = number_of(self.values.get(held, document));
                if left.is_some() && left == number_of(self.values.get(other, document)) {
                    return true;
                }
            }
            if self.values.compare(held, other, document, part, cased) {
                return true;
            }
            next = self.values.next(other);
        }
        false
    }
}

fn field_of(target: Target) -> Option<FieldId> {
    match target {
        Target::Field(field) => Some(field),
        Target::AnyValue => None,
    }
}

/// The fields of one event, for correlations.
#[derive(Clone, Copy)]
pub struct EventFields<'a> {
    detector: &'a Detector,
    document: &'a Document,
    derived: &'a dyn DerivedSource,
    values: &'a FieldValues,
}

impl std::fmt::Debug for EventFields<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("EventFields").finish_non_exhaustive()
    }
}

impl FieldSource for EventFields<'_> {
    fn values(&self, field: FieldId, visit: &mut dyn FnMut(FieldValue<'_>) -> bool) {
        if let Some(derived_field) = self.detector.derived[field.0 as usize] {
            self.derived.derived(derived_field, visit);
            return;
        }
        let mut next = self.values.first(Some(field));
        while let Some(held) = next {
            if !visit(self.values.get(held, self.document)) {
                return;
            }
            next = self.values.next(held);
        }
    }

    fn is_present(&self, field: FieldId) -> bool {
        let Some(derived_field) = self.detector.derived[field.0 as usize] else {
            return self.values.is_present(field);
        };
        let mut is_present = false;
        self.derived.derived(derived_field, &mut |_| {
            is_present = true;
            false
        });
        is_present
    }
}
