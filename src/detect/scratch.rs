//! What one evaluation writes down. It is kept from event to event, so that in the steady state
//! nothing is allocated; numbers of the event (epochs) tell what is of this event.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use super::atom::{Needle, literal_holds};
use super::derived::{DerivedField, DerivedSource};
use super::fold::{self, fold_into};
use super::index::{GateId, Gates, gram_hash};
use super::paths::{self, Found};
use super::route::Routes;
use super::{FieldValue, paths::PathTrie};
use crate::event::{Document, Kind, Value};
use crate::rulebook::{AtomId, DetectionIndex, FieldId, FieldTable, Rulebook, TextPart};

/// Working memory of one thread; see the module documentation. Fits any [`super::Detector`]: it
/// adapts when it meets another one.
#[derive(Default)]
pub struct Scratch {
    pub(super) rulebook: Option<Arc<Rulebook>>,
    pub(super) values: FieldValues,
    pub(super) memo: Memo,
    pub(super) routes: Routes,
}

/// Hides the content: it is that of events.
impl std::fmt::Debug for Scratch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// What is known so far about this event: which tests hold, which rules are candidates.
#[derive(Default)]
pub(super) struct Memo {
    /// Twice the epoch, plus one where the test holds.
    atoms: Vec<u32>,
    hits: Vec<u32>,
    rules: Vec<u32>,
    /// The epoch, and how many inputs of a gate came in it.
    gates: Vec<(u32, u32)>,
    epoch: u32,
    pub(super) candidates: Vec<DetectionIndex>,
}

/// The last epoch before all marks are wiped; half the range, as atoms keep one bit.
const EPOCH_MAX: u32 = u32::MAX / 2;

impl Memo {
    pub(super) fn fit(&mut self, atoms: usize, rules: usize) {
        *self = Self {
            atoms: vec![0; atoms],
            hits: Vec::new(),
            rules: vec![0; rules],
            gates: Vec::new(),
            epoch: 0,
            candidates: Vec::new(),
        };
    }

    /// Forgets the last event; the next one can have so many hits and gates.
    pub(super) fn begin(&mut self, hits: usize, gates: usize) {
        self.candidates.clear();
        self.epoch += 1;
        if self.epoch == EPOCH_MAX {
            self.fit(self.atoms.len(), self.rules.len());
            self.epoch = 1;
        }
        if self.hits.len() < hits {
            self.hits.resize(hits, 0);
        }
        if self.gates.len() < gates {
            self.gates.resize(gates, (0, 0));
        }
    }

    pub(super) fn atom(&self, atom: AtomId) -> Option<bool> {
        let mark = self.atoms[atom.0 as usize];
        (mark >> 1 == self.epoch).then_some(mark & 1 == 1)
    }

    pub(super) fn set_atom(&mut self, atom: AtomId, holds: bool) {
        self.atoms[atom.0 as usize] = self.epoch << 1 | u32::from(holds);
    }

    /// Notes an input of a gate; one that is open now feeds others and calls for its rules.
    pub(super) fn feed(&mut self, gate: GateId, gates: &Gates) {
        let (epoch, fed) = &mut self.gates[gate as usize];
        *fed = 1 + if *epoch == self.epoch { *fed } else { 0 };
        *epoch = self.epoch;
        if *fed != gates.needed(gate) {
            return;
        }
        for rule in gates.rules(gate) {
            self.add_candidate(*rule);
        }
        for output in gates.outputs(gate) {
            self.feed(*output, gates);
        }
    }

    pub(super) fn is_open(&self, gate: GateId, gates: &Gates) -> bool {
        let (epoch, fed) = self.gates[gate as usize];
        epoch == self.epoch && fed >= gates.needed(gate)
    }

    /// Returns whether this is the hit's first time in this event.
    pub(super) fn is_first_hit(&mut self, hit: u32) -> bool {
        std::mem::replace(&mut self.hits[hit as usize], self.epoch) != self.epoch
    }

    pub(super) fn add_candidate(&mut self, rule: DetectionIndex) {
        let mark = &mut self.rules[rule.0 as usize];
        if *mark != self.epoch {
            *mark = self.epoch;
            self.candidates.push(rule);
        }
    }
}

/// The values of the fields of this event.
#[derive(Default)]
pub(super) struct FieldValues {
    epoch: u32,
    slots: Vec<Slot>,
    held: Vec<Held>,
    /// The fields that the document has, in its order.
    pub(super) present: Vec<FieldId>,
    ambiguous: Vec<FieldId>,
    raw: String,
    /// The whole text of the document with its ASCII letters folded, so that a range of the one is
    /// a range of the other; behind it the folded forms of other values.
    folded: String,
    is_ascii: bool,
    /// Whether no other character of the document folds to an ASCII one.
    folds_apart: bool,
    document_bytes: usize,
    signatures: Vec<Signature>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    epoch: u32,
    shape: u32,
    first: u32,
    last: u32,
    is_present: bool,
}

#[derive(Debug, Clone)]
struct Held {
    next: u32,
    scalar: Scalar,
    folded: Option<(u32, u32)>,
    /// How often a literal was looked for in it.
    searches: u32,
    signature: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// A range of the whole text of the document.
    Document(u32, u32),
    /// A derived text: a range of [`FieldValues::raw`].
    Raw(u32, u32),
}

/// No value, at the end of a list.
const NONE: u32 = u32::MAX;

/// A position in the list of a field's values.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeldId(u32);

impl FieldValues {
    /// Makes room for so many fields, and the list of all leaves behind them.
    pub(super) fn fit(&mut self, fields: usize) {
        *self = Self { slots: vec![Slot::default(); fields + 1], ..Self::default() };
    }

    /// Finds the fields of a document.
    pub(super) fn begin(&mut self, document: &Document, trie: &PathTrie, fields: &FieldTable) {
        self.held.clear();
        self.present.clear();
        self.ambiguous.clear();
        self.raw.clear();
        self.signatures.clear();
        self.fold_document(document);
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.slots.fill(Slot::default());
            self.epoch = 1;
        }
        trie.walk(document.root(), document.has_duplicate_keys(), self);
        for at in 0..self.ambiguous.len() {
            let field = self.ambiguous[at];
            self.look_up(field, document, fields.name(field));
        }
    }

    fn fold_document(&mut self, document: &Document) {
        let text = document.whole_text();
        self.is_ascii = text.is_ascii();
        self.folds_apart = self.is_ascii || fold::folds_apart(text);
        self.document_bytes = text.len();
        self.folded.clear();
        self.folded.push_str(text);
        self.folded.make_ascii_lowercase();
    }

    /// Returns the whole text of the document, its keys and signs too, in which ASCII literals are
    /// found as in its folded values; nothing where there is no such text.
    pub(super) fn folded_document(&self) -> Option<&str> {
        if self.folds_apart { self.folded.get(..self.document_bytes) } else { None }
    }

    /// Replaces what the walk found of a field that is written in two ways at once.
    fn look_up(&mut self, field: FieldId, document: &Document, name: &str) {
        self.open(field.0 as usize, 0, true);
        paths::lookup(document.root(), name, &mut true, &mut |value| {
            self.push(field.0 as usize, scalar_of(value));
        });
    }

    /// Takes the values of a derived field, once.
    pub(super) fn load_derived(
        &mut self,
        field: FieldId,
        derived_field: DerivedField,
        derived: &dyn DerivedSource,
    ) {
        let slot = field.0 as usize;
        if self.slots[slot].epoch == self.epoch {
            return;
        }
        self.open(slot, 0, false);
        derived.derived(derived_field, &mut |value| {
            let scalar = match value {
                FieldValue::Null => Scalar::Null,
                FieldValue::Bool(value) => Scalar::Bool(value),
                FieldValue::Int(value) => Scalar::Int(value),
                FieldValue::Float(value) => Scalar::Float(value),
                FieldValue::Text(text) => {
                    let start = narrow(self.raw.len());
                    self.raw.push_str(text);
                    Scalar::Raw(start, narrow(self.raw.len()))
                }
            };
            self.slots[slot].is_present = true;
            self.push(slot, scalar);
            true
        });
    }

    /// Takes all strings and numbers of the document, once.
    pub(super) fn load_leaves(&mut self, document: &Document) {
        let slot = self.slots.len() - 1;
        if self.slots[slot].epoch == self.epoch {
            return;
        }
        self.open(slot, 0, false);
        paths::leaves(document.root(), &mut |value| {
            self.slots[slot].is_present = true;
            self.push(slot, scalar_of(value));
        });
    }

    pub(super) fn is_present(&self, field: FieldId) -> bool {
        let slot = &self.slots[field.0 as usize];
        slot.epoch == self.epoch && slot.is_present
    }

    /// Returns the first value of a field, or of all leaves.
    pub(super) fn first(&self, field: Option<FieldId>) -> Option<HeldId> {
        let slot = field.map_or(self.slots.len() - 1, |field| field.0 as usize);
        let slot = &self.slots[slot];
        (slot.epoch == self.epoch && slot.first != NONE).then_some(HeldId(slot.first))
    }

    pub(super) fn next(&self, held: HeldId) -> Option<HeldId> {
        let next = self.held[held.0 as usize].next;
        (next != NONE).then_some(HeldId(next))
    }

    pub(super) fn get<'v>(&'v self, held: HeldId, document: &'v Document) -> FieldValue<'v> {
        match self.held[held.0 as usize].scalar {
            Scalar::Null => FieldValue::Null,
            Scalar::Bool(value) => FieldValue::Bool(value),
            Scalar::Int(value) => FieldValue::Int(value),
            Scalar::Float(value) => FieldValue::Float(value),
            Scalar::Document(start, end) => {
                FieldValue::Text(&document.whole_text()[start as usize..end as usize])
            }
            Scalar::Raw(start, end) => FieldValue::Text(&self.raw[start as usize..end as usize]),
        }
    }

    /// Returns the text of a value as it is, of numbers and booleans too; nothing for null.
    pub(super) fn text<'v>(&'v mut self, held: HeldId, document: &'v Document) -> Option<&'v str> {
        match self.held[held.0 as usize].scalar {
            Scalar::Null => None,
            Scalar::Document(start, end) => {
                Some(&document.whole_text()[start as usize..end as usize])
            }
            Scalar::Raw(start, end) => Some(&self.raw[start as usize..end as usize]),
            Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_) => self.folded(held, document),
        }
    }

    /// Returns the folded text of a value; nothing for null.
    pub(super) fn folded(&mut self, held: HeldId, document: &Document) -> Option<&str> {
        let range = self.fold(held, document)?;
        self.folded.get(range)
    }

    fn fold(&mut self, held: HeldId, document: &Document) -> Option<Range<usize>> {
        let Held { scalar, folded, .. } = &mut self.held[held.0 as usize];
        if let Some((start, end)) = *folded {
            return Some(start as usize..end as usize);
        }
        let start = self.folded.len();
        match *scalar {
            Scalar::Null => return None,
            Scalar::Bool(value) => self.folded.push_str(if value { "true" } else { "false" }),
            Scalar::Int(value) => {
                write!(self.folded, "{value}").expect("a String takes all");
            }
            Scalar::Float(value) => {
                write!(self.folded, "{value}").expect("a String takes all");
            }
            Scalar::Document(start, end) => {
                let range = start as usize..end as usize;
                let text = if self.is_ascii { "" } else { &document.whole_text()[range.clone()] };
                if text.is_ascii() {
                    *folded = Some((start, end));
                    return Some(range);
                }
                fold_into(text, &mut self.folded);
            }
            Scalar::Raw(start, end) => {
                fold_into(&self.raw[start as usize..end as usize], &mut self.folded);
            }
        }
        *folded = Some((narrow(start), narrow(self.folded.len())));
        Some(start..self.folded.len())
    }

    /// Returns whether the folded text of a value contains a literal.
    pub(super) fn contains(
        &mut self,
        held: HeldId,
        document: &Document,
        literal: &Needle,
        marks: Option<Marks>,
    ) -> bool {
        /// Searches of one text after which its signature pays.
        const SEARCHES_BEFORE: u32 = 8;
        let Some(range) = self.fold(held, document) else { return false };
        let text = &self.folded.as_bytes()[range];
        if let Some(marks) = marks {
            let value = &mut self.held[held.0 as usize];
            value.searches += 1;
            if value.searches > SEARCHES_BEFORE {
                let signature = *value.signature.get_or_insert_with(|| {
                    self.signatures.push(Signature::of(text));
                    narrow(self.signatures.len() - 1)
                });
                if !self.signatures[signature as usize].may_contain(marks) {
                    return false;
                }
            }
        }
        literal.is_in(text)
    }

    /// Returns whether the text of one value holds that of another in this place.
    pub(super) fn compare(
        &mut self,
        held: HeldId,
        other: HeldId,
        document: &Document,
        part: TextPart,
        cased: bool,
    ) -> bool {
        let (Some(text), Some(literal)) = (self.fold(held, document), self.fold(other, document))
        else {
            return false;
        };
        if cased {
            let text = self.folded_or_raw(held, document, text);
            return literal_holds(part, text, self.folded_or_raw(other, document, literal));
        }
        literal_holds(part, &self.folded[text], &self.folded[literal])
    }

    fn folded_or_raw<'v>(
        &'v self,
        held: HeldId,
        document: &'v Document,
        folded: Range<usize>,
    ) -> &'v str {
        match self.get(held, document) {
            FieldValue::Text(text) => text,
            FieldValue::Null | FieldValue::Bool(_) | FieldValue::Int(_) | FieldValue::Float(_) => {
                &self.folded[folded]
            }
        }
    }

    fn open(&mut self, slot: usize, shape: u32, is_present: bool) {
        self.slots[slot] = Slot { epoch: self.epoch, shape, first: NONE, last: NONE, is_present };
    }

    fn push(&mut self, slot: usize, scalar: Scalar) {
        let at = narrow(self.held.len());
        self.held.push(Held { next: NONE, scalar, folded: None, searches: 0, signature: None });
        let slot = &mut self.slots[slot];
        match self.held.get_mut(slot.last as usize) {
            Some(last) => last.next = at,
            None => slot.first = at,
        }
        slot.last = at;
    }
}

impl<'d> Found<'d> for FieldValues {
    fn present(&mut self, field: FieldId, shape: u32) {
        let slot = &self.slots[field.0 as usize];
        if slot.epoch != self.epoch {
            self.open(field.0 as usize, shape, true);
            self.present.push(field);
        } else if slot.shape != shape {
            self.slots[field.0 as usize].shape = shape;
            self.ambiguous.push(field);
        }
    }

    fn scalar(&mut self, field: FieldId, _: u32, value: Value<'d>) {
        self.push(field.0 as usize, scalar_of(value));
    }
}

fn scalar_of(value: Value<'_>) -> Scalar {
    if let Some(range) = value.text_range() {
        return Scalar::Document(narrow(range.start), narrow(range.end));
    }
    match value.kind() {
        Kind::Bool(value) => Scalar::Bool(value),
        Kind::Int(value) => Scalar::Int(value),
        Kind::Float(value) => Scalar::Float(value),
        Kind::Null | Kind::Text(_) | Kind::Array | Kind::Object => Scalar::Null,
    }
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("what is derived from an event is smaller than 4 GiB")
}

/// Which runs of four bytes a text has: tells of most literals at once that they are not in it.
struct Signature([u64; SIGNATURE_WORDS]);

const SIGNATURE_WORDS: usize = 64;
/// What is left of a hash of 32 bits to number the bits of a signature.
const SIGNATURE_SHIFT: u32 = 32 - (SIGNATURE_WORDS * 64).ilog2();

/// The bits of a signature that a literal needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marks(u16, u16);

impl Marks {
    /// Returns the bits of the literal's first and last four bytes; nothing for shorter ones.
    pub(super) fn of(literal: &[u8]) -> Option<Self> {
        let first = literal.first_chunk()?;
        let last = literal.last_chunk()?;
        Some(Self(mark(*first), mark(*last)))
    }
}

fn mark(run: [u8; 4]) -> u16 {
    let bit = gram_hash(u32::from_le_bytes(run)) >> SIGNATURE_SHIFT;
    u16::try_from(bit).expect("a signature has fewer than 2^16 bits")
}

impl Signature {
    fn of(text: &[u8]) -> Self {
        let mut words = [0; SIGNATURE_WORDS];
        for window in text.windows(4) {
            if let Some(run) = window.first_chunk() {
                let bit = usize::from(mark(*run));
                words[bit / 64 % SIGNATURE_WORDS] |= 1 << (bit % 64);
            }
        }
        Self(words)
    }

    fn may_contain(&self, marks: Marks) -> bool {
        [marks.0, marks.1]
            .into_iter()
            .map(usize::from)
            .all(|bit| self.0[bit / 64 % SIGNATURE_WORDS] >> (bit % 64) & 1 == 1)
    }
}
