//! The matcher: built once for a rule set, then asked for each event.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::atom::{CompiledAtom, CompiledTest, literal_holds};
use super::derived::{DerivedField, DerivedGroup, DerivedSource};
use super::index::{FieldIndex, Hits, IndexBuilder, Trigger, Triggers, each_atom};
use super::paths::PathTrie;
use super::pattern;
use super::program::{Program, StepId};
use super::route::{EventSource, IndexNumber, Route, SourceGroup};
use super::scratch::{FieldValues, HeldId, Memo, Scratch};
use super::values::{
    account_list_holds, account_networks_hold, is_in_network, number_of, time_part,
};
use super::{FieldSource, FieldValue};
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{
    AtomId, Detection, DetectionIndex, Exception, FieldId, LogSource, Rulebook, Status, Target,
    TextPart,
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
    indexes: Box<[FieldIndex]>,
    hits: Hits,
    /// Of each test what must have been found before it can hold; 0 where nothing is looked for.
    gates: Box<[u8]>,
    groups: Box<[SourceGroup]>,
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
            indexes: Box::default(),
            derived,
            hits: Hits::default(),
            gates: Box::default(),
            groups: Box::default(),
            unindexed: Vec::new(),
            rulebook,
        };
        detector.index();
        detector
    }

    fn index(&mut self) {
        let detections = &self.rulebook.detections;
        let triggers = Triggers::new(
            &self.rulebook.atoms,
            &self.rulebook.fields,
            detections.iter().map(|detection| &detection.condition),
        );
        let mut builder = IndexBuilder::default();
        let mut groups: Vec<SourceGroup> = Vec::new();
        let mut group_of = BTreeMap::new();
        for (rule, detection) in (0..).map(DetectionIndex).zip(detections) {
            if !is_evaluated(detection) {
                continue;
            }
            let group = *group_of.entry(&detection.logsource).or_insert_with(|| {
                let logsource = detection.logsource.clone();
                groups.push(SourceGroup { logsource, indexes: Vec::new(), always: Vec::new() });
                groups.len() - 1
            });
            let Some(chosen) = triggers.choose(&detection.condition) else {
                groups[group].always.push(rule);
                self.unindexed.push(rule);
                continue;
            };
            if !triggers.are_selective(&chosen) {
                self.unindexed.push(rule);
            }
            for atom in chosen {
                if let Some(trigger) = triggers.of(atom) {
                    builder.add(group, trigger, atom, rule);
                }
            }
        }
        self.gates = self.watch(&triggers, &group_of, &mut builder);
        let (indexes, hits) = builder.finish();
        for (number, ((group, target), _)) in indexes.iter().enumerate() {
            groups[*group].indexes.push((*target, IndexNumber(number)));
        }
        self.indexes = indexes.into_iter().map(|(_, index)| index).collect();
        self.hits = hits;
        self.groups = groups.into_boxed_slice();
    }

    /// Lets the literals of all regular expressions be looked for in the fields that are searched
    /// anyway: an expression runs only where its literals are. Returns the gate of each test.
    fn watch(
        &self,
        triggers: &Triggers,
        group_of: &BTreeMap<&LogSource, usize>,
        builder: &mut IndexBuilder,
    ) -> Box<[u8]> {
        let mut gates: Vec<u8> = (0..)
            .map(AtomId)
            .take(self.atoms.len())
            .map(|atom| triggers.of(atom).map_or(0, Trigger::gate))
            .collect();
        for detection in self.rulebook.detections.iter().filter(|one| is_evaluated(one)) {
            let group = group_of[&detection.logsource];
            let exceptions = detection.exceptions.iter().map(|exception| &exception.condition);
            for condition in std::iter::once(&detection.condition).chain(exceptions) {
                each_atom(condition, &mut |atom| {
                    let is_regex = matches!(self.test(atom), CompiledTest::Regex(_));
                    let trigger = triggers.of(atom);
                    if !trigger.is_some_and(|one| builder.watch(group, one, atom, is_regex)) {
                        gates[atom.0 as usize] = 0;
                    }
                });
            }
        }
        gates.into_boxed_slice()
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
        let route = routes.get(subject.logsource, &self.groups, &self.derived);
        values.begin(subject.document, &self.trie, &self.rulebook.fields);
        memo.begin();
        self.collect_candidates(subject, route, values, memo);
        let candidates = std::mem::take(&mut memo.candidates);
        let mut evaluation = Evaluation { detector: self, subject, values, memo };
        out.extend(candidates.iter().filter(|rule| evaluation.matches(**rule)));
        memo.candidates = candidates;
        out.sort_unstable();
    }

    fn fit(&self, scratch: &mut Scratch) {
        if scratch.rulebook.as_ref().is_some_and(|known| Arc::ptr_eq(known, &self.rulebook)) {
            return;
        }
        *scratch = Scratch::default();
        scratch.rulebook = Some(self.rulebook.clone());
        scratch.values.fit(self.derived.len());
        scratch.memo.fit(self.atoms.len(), self.hits.len(), self.rulebook.detections.len());
    }

    fn collect_candidates(
        &self,
        subject: &Subject<'_>,
        route: &Route,
        values: &mut FieldValues,
        memo: &mut Memo,
    ) {
        for rule in &route.always {
            memo.add_candidate(*rule);
        }
        let document = subject.document;
        let mut visit = |hit| self.visit_hit(hit, memo);
        for at in 0..values.present.len() {
            let field = values.present[at];
            self.probe(route.indexes(field), Some(field), values, document, &mut visit);
        }
        for (field, derived_field, indexes) in &route.derived {
            values.load_derived(*field, *derived_field, subject.derived);
            if values.is_present(*field) {
                self.probe(indexes, Some(*field), values, document, &mut visit);
            }
        }
        if !route.any_value.is_empty() {
            values.load_leaves(document);
            if values.first(None).is_some() {
                self.probe(&route.any_value, None, values, document, &mut visit);
            }
        }
    }

    /// Looks the values of a field up in its indexes.
    fn probe(
        &self,
        indexes: &[IndexNumber],
        field: Option<FieldId>,
        values: &mut FieldValues,
        document: &Document,
        visit: &mut impl FnMut(u32),
    ) {
        for index in indexes {
            let index = &self.indexes[index.0];
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
    }

    fn visit_hit(&self, hit: u32, memo: &mut Memo) {
        if !memo.is_first_hit(hit) {
            return;
        }
        let called = self.hits.of(hit);
        if let Some(atom) = called.proves {
            memo.set_atom(atom, true);
        }
        for gate in called.gates {
            memo.open(*gate);
        }
        for rule in called.rules {
            memo.add_candidate(*rule);
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

/// The conditions of one event's candidates.
struct Evaluation<'e, 'a> {
    detector: &'e Detector,
    subject: &'e Subject<'a>,
    values: &'e mut FieldValues,
    memo: &'e mut Memo,
}

impl Evaluation<'_, '_> {
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
        detector.program.holds(step, &mut |atom| self.atom(atom))
    }

    fn atom(&mut self, atom: AtomId) -> bool {
        if let Some(known) = self.memo.atom(atom) {
            return known;
        }
        if !self.memo.is_open(atom, self.detector.gates[atom.0 as usize]) {
            return false;
        }
        let holds = self.test(&self.detector.atoms[atom.0 as usize]);
        self.memo.set_atom(atom, holds);
        holds
    }

    fn test(&mut self, atom: &CompiledAtom) -> bool {
        let field = match atom.target {
            Target::Field(field) => Some(field),
            Target::AnyValue => None,
        };
        self.load(field);
        let mut next = self.values.first(field);
        if let CompiledTest::Exists(present) = &atom.test {
            return self.is_present(field) == *present;
        }
        if matches!(atom.test, CompiledTest::Null) && !self.is_present(field) {
            return true;
        }
        if let CompiledTest::FieldRef { other, .. } = &atom.test {
            self.load(Some(*other));
        }
        while let Some(held) = next {
            if self.value_holds(&atom.test, held) {
                return true;
            }
            next = self.values.next(held);
        }
        false
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
