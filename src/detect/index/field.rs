//! The index of one field: from a value to the rules that it calls for.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::affix::{AffixTree, HitId};
use super::grams::GramIndex;
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
}

/// What a found key stands for.
#[derive(Debug, Default)]
pub(in crate::detect) struct Hits {
    hits: Box<[Hit]>,
    rules: Box<[DetectionIndex]>,
}

#[derive(Debug, Clone, Copy)]
struct Hit {
    proves: Option<AtomId>,
    first: u32,
    end: u32,
}

impl Hits {
    pub(in crate::detect) fn len(&self) -> usize {
        self.hits.len()
    }

    /// Returns the tests that hold where, and only where, their hit is found.
    pub(in crate::detect) fn proven(&self) -> impl Iterator<Item = AtomId> {
        self.hits.iter().filter_map(|hit| hit.proves)
    }

    /// Returns the test that the hit proves, and the rules to evaluate.
    pub(in crate::detect) fn of(&self, hit: HitId) -> (Option<AtomId>, &[DetectionIndex]) {
        let hit = self.hits[hit as usize];
        (hit.proves, &self.rules[hit.first as usize..hit.end as usize])
    }
}

impl FieldIndex {
    pub(in crate::detect) fn present(&self) -> Option<HitId> {
        self.present
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
}

#[derive(Debug, Default)]
struct FieldBuilder {
    equal: BTreeMap<String, HitId>,
    starts: BTreeMap<String, HitId>,
    ends: BTreeMap<String, HitId>,
    contains: BTreeMap<String, HitId>,
    numbers: BTreeMap<u64, HitId>,
    present: Option<HitId>,
}

#[derive(Debug, Default)]
struct HitBuilder {
    proves: Option<AtomId>,
    rules: Vec<DetectionIndex>,
}

impl IndexBuilder {
    /// Lets a trigger call for a rule.
    pub(in crate::detect) fn add(&mut self, trigger: &Trigger, atom: AtomId, rule: DetectionIndex) {
        let field = self.fields.entry(trigger.target).or_default();
        let hits = &mut self.hits;
        let mut enter = |slot: &mut HitId| {
            if *slot == UNSET {
                *slot = HitId::try_from(hits.len()).expect("fewer than 2^32 triggers");
                hits.push(HitBuilder::default());
            }
            let hit = &mut hits[*slot as usize];
            if trigger.proves && hit.proves.is_none() {
                hit.proves = Some(atom);
            }
            if hit.rules.last() != Some(&rule) {
                hit.rules.push(rule);
            }
        };
        match &trigger.key {
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
        let mut rules = Vec::new();
        let hits = self
            .hits
            .into_iter()
            .map(|hit| {
                let first = narrow(rules.len());
                rules.extend(hit.rules);
                Hit { proves: hit.proves, first, end: narrow(rules.len()) }
            })
            .collect();
        (fields, Hits { hits, rules: rules.into_boxed_slice() })
    }
}

impl FieldBuilder {
    fn finish(self) -> FieldIndex {
        let forwards = |(text, hit): (String, HitId)| (text.into_bytes(), hit);
        let backwards = |(text, hit): (String, HitId)| (text.bytes().rev().collect(), hit);
        let contains: Vec<_> = self
            .contains
            .into_iter()
            .map(|(text, hit)| (text.into_bytes().into_boxed_slice(), hit))
            .collect();
        FieldIndex {
            equal: self.equal.into_iter().map(|(text, hit)| (text.into(), hit)).collect(),
            starts: AffixTree::new(self.starts.into_iter().map(forwards)),
            ends: AffixTree::new(self.ends.into_iter().map(backwards)),
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
