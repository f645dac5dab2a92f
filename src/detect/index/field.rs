//! The index of one field: from a value to the rules that it calls for.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::affix::{AffixTree, HitId};
use super::grams::GramIndex;
use super::literal::Literal;
use super::trigger::{Trigger, TriggerKey};
use crate::rulebook::{AtomId, DetectionIndex, Target};

/// Everything that is looked for in the values of one field.
#[derive(Debug, Default)]
pub(in crate::detect) struct FieldIndex {
    equal: HashMap<Box<str>, HitId>,
    starts: AffixTree,
    ends: AffixTree,
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
    rules: Box<[DetectionIndex]>,
    gates: Box<[Gate]>,
}

/// One thing that must be found before a test can hold: a bit of [`Trigger::gate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::detect) struct Gate {
    pub(in crate::detect) atom: AtomId,
    pub(in crate::detect) bit: u8,
}

/// What a found key calls for.
#[derive(Debug, Clone, Copy)]
pub(in crate::detect) struct Called<'h> {
    /// The test that it proves.
    pub(in crate::detect) proves: Option<AtomId>,
    /// The rules to evaluate.
    pub(in crate::detect) rules: &'h [DetectionIndex],
    /// What it opens of tests that it does not prove.
    pub(in crate::detect) gates: &'h [Gate],
}

#[derive(Debug, Clone, Copy)]
struct Hit {
    proves: Option<AtomId>,
    first: u32,
    end: u32,
    first_gate: u32,
    end_gate: u32,
}

impl Hits {
    pub(in crate::detect) fn len(&self) -> usize {
        self.hits.len()
    }

    pub(in crate::detect) fn of(&self, hit: HitId) -> Called<'_> {
        let hit = self.hits[hit as usize];
        Called {
            proves: hit.proves,
            rules: &self.rules[hit.first as usize..hit.end as usize],
            gates: &self.gates[hit.first_gate as usize..hit.end_gate as usize],
        }
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
    fields: BTreeMap<Target, FieldBuilder>,
    hits: Vec<HitBuilder>,
    /// The tests that are looked for, and their gates.
    watched: BTreeMap<AtomId, u8>,
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
    rules: Vec<DetectionIndex>,
    gates: Vec<Gate>,
}

impl IndexBuilder {
    /// Lets a trigger call for a rule.
    pub(in crate::detect) fn add(&mut self, trigger: &Trigger, atom: AtomId, rule: DetectionIndex) {
        self.enter(trigger.target, &trigger.key, &mut |hit| {
            if trigger.proves && hit.proves.is_none() {
                hit.proves = Some(atom);
            }
            if hit.rules.last() != Some(&rule) {
                hit.rules.push(rule);
            }
        });
        self.gate(trigger, atom);
    }

    /// Lets the literals that an expression needs be looked for, where its field is searched
    /// anyway: it then runs only where they are.
    pub(in crate::detect) fn watch(&mut self, trigger: &Trigger, atom: AtomId) {
        let has_literals = matches!(trigger.key, TriggerKey::Contains(_));
        if has_literals && self.fields.contains_key(&trigger.target) {
            self.gate(trigger, atom);
        }
    }

    /// Returns what must have been found before a test can hold; 0 where it is not looked for.
    pub(in crate::detect) fn gate_of(&self, atom: AtomId) -> u8 {
        self.watched.get(&atom).copied().unwrap_or_default()
    }

    fn gate(&mut self, trigger: &Trigger, atom: AtomId) {
        if self.watched.insert(atom, trigger.gate()).is_some() {
            return;
        }
        let mut open = |key: &TriggerKey, bit| {
            self.enter(trigger.target, key, &mut |hit| {
                let gate = Gate { atom, bit };
                if hit.proves != Some(atom) && !hit.gates.contains(&gate) {
                    hit.gates.push(gate);
                }
            });
        };
        open(&trigger.key, 1);
        for (at, literals) in (1..).zip(&trigger.also) {
            open(&TriggerKey::Contains(literals.clone()), 1 << at);
        }
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

    /// Builds the indexes.
    pub(in crate::detect) fn finish(self) -> (Vec<(Target, FieldIndex)>, Hits) {
        let fields =
            self.fields.into_iter().map(|(target, field)| (target, field.finish())).collect();
        let (mut rules, mut gates) = (Vec::new(), Vec::new());
        let hits = self
            .hits
            .into_iter()
            .map(|hit| {
                let (first, first_gate) = (narrow(rules.len()), narrow(gates.len()));
                rules.extend(hit.rules);
                gates.extend(hit.gates);
                let (end, end_gate) = (narrow(rules.len()), narrow(gates.len()));
                Hit { proves: hit.proves, first, end, first_gate, end_gate }
            })
            .collect();
        let hits = Hits { hits, rules: rules.into_boxed_slice(), gates: gates.into_boxed_slice() };
        (fields, hits)
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
            && self
                .contains
                .keys()
                .all(|literal| literal.text.is_ascii() && !is_number(&literal.text));
        FieldIndex {
            is_contained,
            equal: self.equal.into_iter().map(|(text, hit)| (text.into(), hit)).collect(),
            starts: AffixTree::new(self.starts.into_iter().map(forwards)),
            ends: AffixTree::new(self.ends.into_iter().map(backwards)),
            contains: GramIndex::new(self.contains.into_iter().collect()),
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
