//! Which rules look at events of a log source: worked out once for each source.

use super::DerivedField;
use crate::rulebook::{DetectionIndex, FieldId, LogSource, Target};

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

/// The rules of one `logsource`, with indexes of their own: a text is searched only for what rules
/// that look at the event want of it.
#[derive(Debug)]
pub(super) struct SourceGroup {
    pub(super) logsource: LogSource,
    /// Where triggers are looked for, and in which index.
    pub(super) indexes: Vec<(Target, IndexNumber)>,
    /// The rules that have no trigger.
    pub(super) always: Vec<DetectionIndex>,
}

/// Index into the indexes of a detector.
#[derive(Debug, Clone, Copy)]
pub(super) struct IndexNumber(pub(super) usize);

/// What is looked at for events of one source.
#[derive(Debug, Default)]
pub(super) struct Route {
    /// The indexes of each field of documents.
    fields: Box<[Box<[IndexNumber]>]>,
    /// Derived fields that are worked out for every event of this source.
    pub(super) derived: Vec<(FieldId, DerivedField, Box<[IndexNumber]>)>,
    pub(super) any_value: Vec<IndexNumber>,
    pub(super) always: Vec<DetectionIndex>,
}

impl Route {
    fn new(
        source: EventSource<'_>,
        groups: &[SourceGroup],
        derived: &[Option<DerivedField>],
    ) -> Self {
        let mut route = Self::default();
        let mut fields = vec![Vec::new(); derived.len()];
        for group in groups.iter().filter(|group| source.is_covered_by(&group.logsource)) {
            route.always.extend(&group.always);
            for (target, index) in &group.indexes {
                match target {
                    Target::AnyValue => route.any_value.push(*index),
                    Target::Field(field) => fields[field.0 as usize].push(*index),
                }
            }
        }
        for ((field, derived), indexes) in (0..).map(FieldId).zip(derived).zip(&mut fields) {
            if let Some(derived) = derived
                && !indexes.is_empty()
            {
                route.derived.push((field, *derived, std::mem::take(indexes).into()));
            }
        }
        route.fields = fields.into_iter().map(Into::into).collect();
        route
    }

    /// Returns the indexes in which the values of this field of the document are looked for.
    pub(super) fn indexes(&self, field: FieldId) -> &[IndexNumber] {
        &self.fields[field.0 as usize]
    }
}

/// The routes that one thread has needed so far.
#[derive(Debug, Default)]
pub(super) struct Routes {
    known: Vec<(Key, Route)>,
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
        groups: &[SourceGroup],
        derived: &[Option<DerivedField>],
    ) -> &Route {
        let known = self.known.iter().position(|(key, _)| key.is(source));
        let at = known.unwrap_or_else(|| {
            if self.known.len() == ROUTES_MAX {
                self.known.clear();
            }
            self.known.push((Key::of(source), Route::new(source, groups, derived)));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}
