//! The index of one field: from a value to the rules that it calls for.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::affix::{AffixTree, HitId};
use super::gates::{GateBuilder, GateId, Gates, Prospect};
use super::grams::GramIndex;
use super::literal::{Edges, Literal};
use super::trigger::{Trigger, TriggerKey};
use crate::detect::program::StepId;
use crate::rulebook::{AtomId, Target};

/// Everything that is looked for in the values of one field.
#[derive(Debug, Default)]
pub(in crate::detect) struct FieldIndex {
    equal: HashMap<Box<str>, HitId>,
    starts: AffixTree,
    ends: AffixTree,
    /// Literals that begin a word.
    words: AffixTree,
    /// Literals that may stand inside of words.
    contains: GramIndex,
    numbers: HashMap<u64, HitId>,
    present: Option<HitId>,
    /// Whether a text that holds a value holds all that is looked for in it.
    is_contained: bool,
}

/// What a found key stands for.
#[derive(Debug, Default)]
pub(in crate::detect) struct Hits {
    hits: Box<[Hit]>,
    gates: Box<[GateId]>,
}

#[derive(Debug, Clone, Copy)]
struct Hit {
    proves: Option<AtomId>,
    first_gate: u32,
    end_gate: u32,
}

impl Hits {
    pub(in crate::detect) fn len(&self) -> usize {
        self.hits.len()
    }

    /// Returns the test that a found key proves, and the gates that it is an input of.
    pub(in crate::detect) fn of(&self, hit: HitId) -> (Option<AtomId>, &[GateId]) {
        let hit = self.hits[hit as usize];
        (hit.proves, &self.gates[hit.first_gate as usize..hit.end_gate as usize])
    }
}

impl FieldIndex {
    pub(in crate::detect) fn present(&self) -> Option<HitId> {
        self.present
    }

    /// Returns whether a text that values are a part of may be searched in their stead, for what
    /// they may contain.
    pub(in crate::detect) fn is_contained(&self) -> bool {
        self.is_contained
    }

    /// Visits the hits of literals that a folded text contains, some more than once.
    pub(in crate::detect) fn probe_contained(&self, folded: &str, visit: &mut impl FnMut(HitId)) {
        self.contains.scan(folded.as_bytes(), visit);
    }

    pub(in crate::detect) fn wants_text(&self) -> bool {
        !(self.equal.is_empty()
            && self.starts.is_empty()
            && self.ends.is_empty()
            && self.words.is_empty()
            && self.contains.is_empty())
    }

    pub(in crate::detect) fn wants_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Visits the hits of a folded value, some more than once.
    pub(in crate::detect) fn probe_text(&self, folded: &str, visit: &mut impl FnMut(HitId)) {
        if !self.equal.is_empty()
            && let Some(hit) = self.equal.get(folded)
        {
            visit(*hit);
        }
        self.starts.walk(folded.bytes(), visit);
        self.ends.walk(folded.bytes().rev(), visit);
        if !self.words.is_empty() {
            self.words.walk_words(folded.as_bytes(), visit);
        }
        self.contains.scan(folded.as_bytes(), visit);
    }

    /// Visits the hits of a value that is a number, or the text of one.
    pub(in crate::detect) fn probe_number(&self, number: f64, visit: &mut impl FnMut(HitId)) {
        if let Some(hit) = self.numbers.get(&number_key(number)) {
            visit(*hit);
        }
    }
}

/// Collects what rules look for, then builds the index of each field.
#[derive(Debug, Default)]
pub(in crate::detect) struct IndexBuilder {
    pub(in crate::detect) gates: GateBuilder,
    /// The gates of parts of conditions that are dear to run.
    pub(in crate::detect) gate_of_step: HashMap<StepId, GateId>,
    fields: BTreeMap<Target, FieldBuilder>,
    hits: Vec<HitBuilder>,
    /// The tests that are looked for, and the gate that must be open where one holds.
    watched: BTreeMap<AtomId, GateId>,
}

#[derive(Debug, Default)]
struct FieldBuilder {
    equal: BTreeMap<String, HitId>,
    starts: BTreeMap<String, HitId>,
    ends: BTreeMap<String, HitId>,
    contains: BTreeMap<Literal, HitId>,
    numbers: BTreeMap<u64, HitId>,
    present: Option<HitId>,
}

#[derive(Debug, Default)]
struct HitBuilder {
    proves: Option<AtomId>,
    gates: Vec<GateId>,
}

impl IndexBuilder {
    /// Looks for what must be found where a test holds.
    pub(in crate::detect) fn watch(&mut self, trigger: &Trigger, atom: AtomId) {
        if self.watched.contains_key(&atom) {
            return;
        }
        let mut gates =
            vec![self.gate_of_key(trigger, &trigger.key, trigger.proves.then_some(atom))];
        for literals in &trigger.also {
            gates.push(self.gate_of_key(trigger, &TriggerKey::Contains(literals.clone()), None));
        }
        let all =
            self.gates.at_least(gates.len(), gates.iter().map(|gate| Prospect::Behind(*gate)));
        if let Prospect::Behind(gate) = all {
            self.watched.insert(atom, gate);
        }
    }

    /// Looks for the literals that a test needs, where its field is searched anyway: it then runs
    /// only where they are.
    pub(in crate::detect) fn watch_beside(&mut self, trigger: &Trigger, atom: AtomId) {
        let has_literals = matches!(trigger.key, TriggerKey::Contains(_));
        if has_literals && self.fields.contains_key(&trigger.target) {
            self.watch(trigger, atom);
        }
    }

    /// Returns when a test can hold.
    pub(in crate::detect) fn prospect(&self, atom: AtomId) -> Prospect {
        self.watched.get(&atom).map_or(Prospect::Always, |gate| Prospect::Behind(*gate))
    }

    /// Makes a gate that any text of a key opens.
    fn gate_of_key(
        &mut self,
        trigger: &Trigger,
        key: &TriggerKey,
        proves: Option<AtomId>,
    ) -> GateId {
        let gate = self.gates.add();
        self.enter(trigger.target, key, &mut |hit| {
            hit.proves = hit.proves.or(proves);
            hit.gates.push(gate);
        });
        gate
    }

    /// Finds or makes what a key stands for.
    fn enter(&mut self, target: Target, key: &TriggerKey, change: &mut dyn FnMut(&mut HitBuilder)) {
        let field = self.fields.entry(target).or_default();
        let hits = &mut self.hits;
        let mut enter = |slot: &mut HitId| {
            if *slot == UNSET {
                *slot = HitId::try_from(hits.len()).expect("fewer than 2^32 triggers");
                hits.push(HitBuilder::default());
            }
            change(&mut hits[*slot as usize]);
        };
        match key {
            TriggerKey::Equal(key) => enter(field.equal.entry(key.clone()).or_insert(UNSET)),
            TriggerKey::Start(key) => enter(field.starts.entry(key.clone()).or_insert(UNSET)),
            TriggerKey::End(key) => enter(field.ends.entry(key.clone()).or_insert(UNSET)),
            TriggerKey::Contains(keys) => {
                for key in keys {
                    enter(field.contains.entry(key.clone()).or_insert(UNSET));
                }
            }
            TriggerKey::Number(key) => {
                enter(field.numbers.entry(number_key(*key)).or_insert(UNSET));
            }
            TriggerKey::Present => enter(field.present.get_or_insert(UNSET)),
        }
    }

    /// Builds the indexes of the fields, what their hits stand for, and the gates.
    pub(in crate::detect) fn finish(self) -> (Vec<(Target, FieldIndex)>, Hits, Gates) {
        let fields =
            self.fields.into_iter().map(|(target, field)| (target, field.finish())).collect();
        let mut gates = Vec::new();
        let hits = self
            .hits
            .into_iter()
            .map(|hit| {
                let first_gate = narrow(gates.len());
                gates.extend(hit.gates);
                Hit { proves: hit.proves, first_gate, end_gate: narrow(gates.len()) }
            })
            .collect();
        (fields, Hits { hits, gates: gates.into_boxed_slice() }, self.gates.finish())
    }
}

impl FieldBuilder {
    fn finish(self) -> FieldIndex {
        let forwards = |(text, hit): (String, HitId)| (text.into_bytes(), hit);
        let backwards = |(text, hit): (String, HitId)| (text.bytes().rev().collect(), hit);
        // A number may be written in other ways than it is compared.
        let is_number = |text: &str| text.bytes().all(|byte| b"0123456789.-".contains(&byte));
        let is_contained = self.equal.is_empty()
            && self.starts.is_empty()
            && self.ends.is_empty()
            && self.numbers.is_empty()
            && self.present.is_none()
            && self.contains.keys().all(|literal| {
                // Texts that held an escape stand behind each other without a boundary of words.
                let may_stand_anywhere = literal.edges == Edges::default();
                may_stand_anywhere && literal.text.is_ascii() && !is_number(&literal.text)
            });
        let (words, contains): (Vec<_>, Vec<_>) =
            self.contains.into_iter().partition(|(literal, _)| literal.edges.starts_word);
        FieldIndex {
            is_contained,
            equal: self.equal.into_iter().map(|(text, hit)| (text.into(), hit)).collect(),
            starts: AffixTree::new(self.starts.into_iter().map(forwards)),
            ends: AffixTree::new(self.ends.into_iter().map(backwards)),
            words: AffixTree::of_words(words),
            contains: GramIndex::new(contains),
            numbers: self.numbers.into_iter().collect(),
            present: self.present,
        }
    }
}

/// Marks a key that has no hit yet.
const UNSET: HitId = HitId::MAX;

/// Equal numbers have equal keys: both zeros are one.
fn number_key(number: f64) -> u64 {
    (number + 0.0).to_bits()
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("fewer than 2^32 triggers")
}
