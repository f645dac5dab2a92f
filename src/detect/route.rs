//! Which rules look at events of a log source: worked out once for each source.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use super::DerivedField;
use super::index::{FieldIndex, Hits, IndexBuilder, Trigger};
use crate::rulebook::{Atom, AtomId, DetectionIndex, FieldId, LogSource, Target};

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
    /// The rules that have triggers, each with the tests that are.
    pub(super) triggered: Vec<(DetectionIndex, Box<[AtomId]>)>,
    /// The rules that have none.
    pub(super) always: Vec<DetectionIndex>,
    /// The regular expressions of all of them.
    pub(super) expressions: BTreeSet<AtomId>,
}

impl SourceGroup {
    pub(super) fn new(logsource: LogSource) -> Self {
        let (triggered, always, expressions) = (Vec::new(), Vec::new(), BTreeSet::new());
        Self { logsource, triggered, always, expressions }
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
    /// Of each test what must have been found before it can hold; 0 where nothing is looked for.
    gates: Box<[u8]>,
}

impl Route {
    fn new(groups: &[&SourceGroup], atoms: &[Atom], derived: &[Option<DerivedField>]) -> Self {
        let mut builder = IndexBuilder::default();
        for (rule, triggers) in groups.iter().flat_map(|group| &group.triggered) {
            for id in triggers {
                let atom = &atoms[id.0 as usize];
                let trigger = Trigger::of(atom).expect("only tests that have a trigger are chosen");
                builder.add(&trigger, *id, *rule);
            }
        }
        let expressions: BTreeSet<AtomId> =
            groups.iter().flat_map(|group| &group.expressions).copied().collect();
        for id in expressions {
            if let Some(trigger) = Trigger::of(&atoms[id.0 as usize]) {
                builder.watch(&trigger, id);
            }
        }
        let gates = (0..).map(AtomId).take(atoms.len()).map(|atom| builder.gate_of(atom)).collect();
        let (indexes, hits) = builder.finish();
        let mut route = Self {
            fields: derived.iter().map(|_| None).collect(),
            derived: Vec::new(),
            any_value: None,
            always: groups.iter().flat_map(|group| &group.always).copied().collect(),
            gates,
            hits,
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

    /// Returns what must have been found in an event before a test can hold; 0 where that is not
    /// looked for.
    pub(super) fn gate(&self, atom: AtomId) -> u8 {
        self.gates[atom.0 as usize]
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
        atoms: &[Atom],
        derived: &[Option<DerivedField>],
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
        let route = Arc::new(Route::new(&chosen, atoms, derived));
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
        atoms: &[Atom],
        derived: &[Option<DerivedField>],
    ) -> &Route {
        let known = self.known.iter().position(|(key, _)| key.is(source));
        let at = known.unwrap_or_else(|| {
            if self.known.len() == ROUTES_MAX {
                self.known.clear();
            }
            self.known.push((Key::of(source), shared.get(source, groups, atoms, derived)));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}
