//! Which rules look at events of a log source: worked out once for each source.

use std::collections::BTreeMap;

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

/// What a rule contributes to the routes of its log source.
#[derive(Debug)]
pub(super) struct RoutedRule {
    pub(super) rule: DetectionIndex,
    pub(super) logsource: LogSource,
    /// Where its triggers are looked for; nothing when it has none and is always evaluated.
    pub(super) triggers: Option<Vec<Target>>,
}

/// What is looked at for events of one source.
#[derive(Debug, Default)]
pub(super) struct Route {
    rules: Box<[u64]>,
    fields: Box<[u64]>,
    /// Derived fields that are worked out for every event of this source.
    pub(super) derived: Vec<(FieldId, DerivedField)>,
    pub(super) any_value: bool,
    pub(super) always: Vec<DetectionIndex>,
}

impl Route {
    fn new(
        source: EventSource<'_>,
        rules: &[RoutedRule],
        rule_count: usize,
        derived: &[Option<DerivedField>],
    ) -> Self {
        let mut route = Self {
            rules: vec![0; rule_count.div_ceil(64)].into(),
            fields: vec![0; derived.len().div_ceil(64)].into(),
            ..Self::default()
        };
        let mut wanted = BTreeMap::new();
        for rule in rules.iter().filter(|rule| source.is_covered_by(&rule.logsource)) {
            set(&mut route.rules, rule.rule.0);
            let Some(triggers) = &rule.triggers else {
                route.always.push(rule.rule);
                continue;
            };
            for target in triggers {
                match target {
                    Target::AnyValue => route.any_value = true,
                    Target::Field(field) => match derived[field.0 as usize] {
                        Some(derived) => drop(wanted.insert(*field, derived)),
                        None => set(&mut route.fields, field.0),
                    },
                }
            }
        }
        route.derived = wanted.into_iter().collect();
        route
    }

    pub(super) fn has_rule(&self, rule: DetectionIndex) -> bool {
        has(&self.rules, rule.0)
    }

    /// Returns whether any rule of this source is looked up by this field of the document.
    pub(super) fn has_field(&self, field: FieldId) -> bool {
        has(&self.fields, field.0)
    }
}

fn set(words: &mut [u64], bit: u32) {
    words[(bit / 64) as usize] |= 1 << (bit % 64);
}

fn has(words: &[u64], bit: u32) -> bool {
    words[(bit / 64) as usize] >> (bit % 64) & 1 == 1
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
        rules: &[RoutedRule],
        rule_count: usize,
        derived: &[Option<DerivedField>],
    ) -> &Route {
        let at = match self.known.iter().position(|(key, _)| key.is(source)) {
            Some(at) => at,
            None => {
                if self.known.len() == ROUTES_MAX {
                    self.known.clear();
                }
                let route = Route::new(source, rules, rule_count, derived);
                self.known.push((Key::of(source), route));
                self.known.len() - 1
            }
        };
        &self.known[at].1
    }
}
