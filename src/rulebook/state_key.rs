//! The hash that names a correlation's stored state.
//!
//! It covers what shapes the state: the rule's key, what feeds it, how it groups, what it measures
//! and how far it looks back. Thresholds, titles and levels are left out: they may change and the
//! windows go on.

use std::fmt::Write as _;

use xxhash_rust::xxh3::xxh3_64;

use super::correlation::Compiled;
use super::fields::{FieldId, FieldTable};
use super::model::{CorrelationKind, Measure, StateKey};

pub(super) fn of(key: &str, compiled: &Compiled, fields: &FieldTable) -> StateKey {
    let mut text = format!("{key}\n{}\n", compiled.timespan_millis);
    for rule in &compiled.rules {
        line(&mut text, "rule", &rule.key);
    }
    for group in &compiled.group_by {
        line(&mut text, "group", &group.name);
        for field in &group.per_rule {
            line(&mut text, "field", fields.name(*field));
        }
    }
    kind(&mut text, &compiled.kind, fields);
    StateKey(xxh3_64(text.as_bytes()))
}

fn line(text: &mut String, what: &str, value: &str) {
    writeln!(text, "{what} {value:?}").expect("a String takes any text");
}

fn kind(text: &mut String, kind: &CorrelationKind, fields: &FieldTable) {
    let mut add = |word: &str, named: &[FieldId], more: String| {
        line(text, word, &more);
        for field in named {
            line(text, "value", fields.name(*field));
        }
    };
    match kind {
        CorrelationKind::EventCount { .. } => add("event_count", &[], String::new()),
        CorrelationKind::ValueCount { fields, .. } => add("value_count", fields, String::new()),
        // The window keeps the values; sum, average and percentile are read from the same state,
        // and yet each rule type keeps its own.
        CorrelationKind::ValueSum { field, .. } => add("value_sum", &[*field], String::new()),
        CorrelationKind::ValueAverage { field, .. } => add("value_avg", &[*field], String::new()),
        CorrelationKind::ValuePercentile { field, .. } => {
            add("value_percentile", &[*field], String::new());
        }
        CorrelationKind::Temporal { .. } => add("temporal", &[], String::new()),
        CorrelationKind::TemporalOrdered => add("temporal_ordered", &[], String::new()),
        CorrelationKind::Absence { first_after } => add("absence", &[], first_after.to_string()),
        CorrelationKind::NewTerms { fields, history_millis, .. } => {
            add("new_terms", fields, history_millis.to_string());
        }
        CorrelationKind::Baseline(rule) => {
            let shape = format!("{} {} {}", rule.one_hour, rule.one_day, rule.season);
            let (word, field) = match &rule.measure {
                Measure::Count => ("count", None),
                Measure::Sum(field) => ("sum", Some(*field)),
                Measure::SumPerUsual(field) => ("sum_per_usual", Some(*field)),
                Measure::Distinct(field) => ("distinct", Some(*field)),
            };
            add(word, field.as_slice(), shape);
        }
    }
}
