//! Which rules look at events of a log source: worked out once for each source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;

use super::DerivedField;
use super::index::{FieldIndex, GateId, Gates, Hits, IndexBuilder, Prospect};
use super::program::StepId;
use crate::rulebook::{AtomId, DetectionIndex, FieldId, LogSource, Target};

/// Where an event comes from, in Sigma's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventSource<'a> {
    /// Rules apply whose parts that are set equal these.
    Named { product: Option<&'a str>, category: Option<&'a str>, service: Option<&'a str> },
    /// Every rule applies, whatever its `logsource` says.
    Any,
}

impl EventSource<'_> {
    /// Returns whether a rule looks at events of this source.
    pub fn is_covered_by(&self, rule: &LogSource) -> bool {
        match self {
            Self::Any => true,
            Self::Named { product, category, service } => {
                [(&rule.product, product), (&rule.category, category), (&rule.service, service)]
                    .into_iter()
                    .all(|(wanted, given)| {
                        wanted.as_deref().is_none_or(|wanted| Some(wanted) == *given)
                    })
            }
        }
    }
}

/// The rules of one `logsource`.
#[derive(Debug)]
pub(super) struct SourceGroup {
    pub(super) logsource: LogSource,
    pub(super) rules: Vec<DetectionIndex>,
    /// The tests of which one holds wherever a rule matches; a rule may have none.
    pub(super) triggers: BTreeSet<AtomId>,
    /// The tests whose literals are looked for where their field is searched anyway.
    pub(super) gated: BTreeSet<AtomId>,
}

impl SourceGroup {
    pub(super) fn new(logsource: LogSource) -> Self {
        let (rules, triggers, gated) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        Self { logsource, rules, triggers, gated }
    }
}

/// What is looked for in events of one source: one index for each field over all rules that cover
/// the source, so that a text is searched once.
#[derive(Debug)]
pub(super) struct Route {
    /// By the number of a field of documents.
    fields: Box<[Option<Box<FieldIndex>>]>,
    /// Derived fields that are worked out for every event of this source.
    pub(super) derived: Vec<(FieldId, DerivedField, FieldIndex)>,
    pub(super) any_value: Option<Box<FieldIndex>>,
    pub(super) always: Vec<DetectionIndex>,
    pub(super) hits: Hits,
    pub(super) gates: Gates,
    /// Of each test the gate that must be open before it can hold; [`NO_GATE`] where there is none.
    gate_of_atom: Box<[GateId]>,
    gate_of_step: HashMap<StepId, GateId>,
}

const NO_GATE: GateId = GateId::MAX;

impl Route {
    /// Makes an index of what the rules of the groups look for; `prospect` says when a rule can
    /// match.
    pub(super) fn new(
        mut index: IndexBuilder,
        groups: &[&SourceGroup],
        atoms: usize,
        derived: &[Option<DerivedField>],
        prospect: impl Fn(DetectionIndex, &mut IndexBuilder) -> Prospect,
    ) -> Self {
        let mut always = Vec::new();
        for rule in groups.iter().flat_map(|group| &group.rules) {
            match prospect(*rule, &mut index) {
                Prospect::Always => always.push(*rule),
                Prospect::Never => {}
                Prospect::Behind(gate) => index.gates.call(gate, *rule),
            }
        }
        let gate_of_atom = (0..)
            .map(AtomId)
            .take(atoms)
            .map(|atom| match index.prospect(atom) {
                Prospect::Behind(gate) => gate,
                Prospect::Always | Prospect::Never => NO_GATE,
            })
            .collect();
        let gate_of_step = std::mem::take(&mut index.gate_of_step);
        let (indexes, hits, gates) = index.finish();
        let mut route = Self {
            fields: derived.iter().map(|_| None).collect(),
            derived: Vec::new(),
            any_value: None,
            always,
            hits,
            gates,
            gate_of_atom,
            gate_of_step,
        };
        for (target, index) in indexes {
            match target {
                Target::AnyValue => route.any_value = Some(Box::new(index)),
                Target::Field(field) => match derived[field.0 as usize] {
                    Some(derived) => route.derived.push((field, derived, index)),
                    None => route.fields[field.0 as usize] = Some(Box::new(index)),
                },
            }
        }
        route
    }

    /// Returns the index in which the values of this field of the document are looked for.
    pub(super) fn index(&self, field: FieldId) -> Option<&FieldIndex> {
        self.fields[field.0 as usize].as_deref()
    }

    /// Returns the gate that must be open before a test can hold, where there is one.
    pub(super) fn gate(&self, atom: AtomId) -> Option<GateId> {
        let gate = self.gate_of_atom[atom.0 as usize];
        (gate != NO_GATE).then_some(gate)
    }

    /// Returns the gate that must be open before a dear part of a condition can hold, where there
    /// is one.
    pub(super) fn gate_of_step(&self, step: StepId) -> Option<GateId> {
        self.gate_of_step.get(&step).copied()
    }
}

/// The routes of a rule set, each made when the first event needs it. Sources that the same rules
/// cover share one.
#[derive(Debug, Default)]
pub(super) struct SharedRoutes {
    known: Mutex<Vec<SharedRoute>>,
}

/// The groups that cover a source, and what is looked for.
type SharedRoute = (Box<[usize]>, Arc<Route>);

impl SharedRoutes {
    fn get(
        &self,
        source: EventSource<'_>,
        groups: &[SourceGroup],
        make: impl FnOnce(&[&SourceGroup]) -> Route,
    ) -> Arc<Route> {
        let covering: Box<[usize]> = (0..groups.len())
            .filter(|group| source.is_covered_by(&groups[*group].logsource))
            .collect();
        // A route is made while the others wait: they are about to need the same one.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, route)) = known.iter().find(|(key, _)| *key == covering) {
            return route.clone();
        }
        let chosen: Vec<_> = covering.iter().map(|group| &groups[*group]).collect();
        let route = Arc::new(make(&chosen));
        if known.len() == ROUTES_MAX {
            known.clear();
        }
        known.push((covering, route.clone()));
        route
    }
}

/// The routes that one thread has needed so far.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: Vec<(Key, Arc<Route>)>,
}

/// More sources than a deployment has; reaching it starts afresh, so a source that varies with the
/// event cannot fill the memory.
const ROUTES_MAX: usize = 128;

#[derive(Debug, PartialEq, Eq)]
enum Key {
    Any,
    Named([Option<Box<str>>; 3]),
}

impl Key {
    fn of(source: EventSource<'_>) -> Self {
        match source {
            EventSource::Any => Self::Any,
            EventSource::Named { product, category, service } => {
                Self::Named([product, category, service].map(|part| part.map(Into::into)))
            }
        }
    }

    fn is(&self, source: EventSource<'_>) -> bool {
        match (self, source) {
            (Self::Any, EventSource::Any) => true,
            (Self::Named(parts), EventSource::Named { product, category, service }) => {
                // The category differs most often, so it is compared first.
                parts[1].as_deref() == category
                    && parts[2].as_deref() == service
                    && parts[0].as_deref() == product
            }
            (Self::Any, EventSource::Named { .. }) | (Self::Named(_), EventSource::Any) => false,
        }
    }
}

impl Routes {
    pub(super) fn get(
        &mut self,
        source: EventSource<'_>,
        shared: &SharedRoutes,
        groups: &[SourceGroup],
        make: impl FnOnce(&[&SourceGroup]) -> Route,
    ) -> &Route {
        let known = self.known.iter().position(|(key, _)| key.is(source));
        let at = known.unwrap_or_else(|| {
            if self.known.len() == ROUTES_MAX {
                self.known.clear();
            }
            self.known.push((Key::of(source), shared.get(source, groups, make)));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}
