//! What correlations read of an event: group keys, values, numbers.

use std::fmt::Write as _;
use std::sync::Arc;

use smallvec::SmallVec;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::detect::{FieldSource, FieldValue};
use crate::rulebook::{Correlation, FieldId, Rulebook};

/// Values of one field of one event that are counted.
const VALUES_MAX: usize = 64;

/// The group that a match belongs to.
#[derive(Debug, Clone)]
pub(super) struct GroupKey {
    pub(super) hash: u64,
    pub(super) values: Vec<(Arc<str>, String)>,
}

/// Reads the group of a match; nothing where a group field is absent or null.
///
/// A match of another correlation has that correlation's group first, then the event's fields.
pub(super) fn group_key(
    rulebook: &Rulebook,
    correlation: &Correlation,
    position: u16,
    fields: &dyn FieldSource,
    child: Option<&[(Arc<str>, String)]>,
) -> Option<GroupKey> {
    let mut values = Vec::with_capacity(correlation.group_by.len());
    let mut hash = 0;
    for group in &correlation.group_by {
        let field = *group.per_rule.get(usize::from(position))?;
        let name = rulebook.fields.name(field);
        let of_child = child.and_then(|child| child.iter().find(|(known, _)| **known == *name));
        let value = match of_child {
            Some((_, value)) => value.clone(),
            None => first_text(field, fields)?,
        };
        hash = xxh3_64_with_seed(value.as_bytes(), hash ^ 0x9e37_79b9_7f4a_7c15);
        values.push((group.name.clone(), value));
    }
    Some(GroupKey { hash, values })
}

/// Returns the hashes of the values to count: each value of a single field, or the tuple of the
/// first values of several; none where one is absent or null.
pub(super) fn tuple_hashes(fields: &[FieldId], source: &dyn FieldSource) -> SmallVec<[u64; 4]> {
    let mut hashes = SmallVec::new();
    if let [field] = fields {
        source.values(*field, &mut |value| {
            hashes.extend(text(value).map(|text| xxh3_64(text.as_bytes())));
            hashes.len() < VALUES_MAX
        });
        return hashes;
    }
    let mut hash = 0;
    for field in fields {
        let Some(value) = first_text(*field, source) else {
            return hashes;
        };
        hash = xxh3_64_with_seed(value.as_bytes(), hash);
    }
    if !fields.is_empty() {
        hashes.push(hash);
    }
    hashes
}

/// Returns the field's first finite number; numeric text counts as its number.
pub(super) fn number(field: FieldId, source: &dyn FieldSource) -> Option<f64> {
    let mut number = None;
    source.values(field, &mut |value| {
        number = match value {
            #[expect(clippy::cast_precision_loss, reason = "as all JSON numbers")]
            FieldValue::Int(value) => Some(value as f64),
            FieldValue::Float(value) => Some(value),
            FieldValue::Text(value) => value.trim().parse().ok(),
            FieldValue::Null | FieldValue::Bool(_) => None,
        }
        .filter(|number: &f64| number.is_finite());
        number.is_none()
    });
    number
}

fn first_text(field: FieldId, source: &dyn FieldSource) -> Option<String> {
    let mut found = None;
    source.values(field, &mut |value| {
        found = text(value);
        found.is_none()
    });
    found
}

fn text(value: FieldValue<'_>) -> Option<String> {
    let mut text = String::new();
    match value {
        FieldValue::Null => return None,
        FieldValue::Text(value) => text.push_str(value),
        FieldValue::Bool(value) => write!(text, "{value}").ok()?,
        FieldValue::Int(value) => write!(text, "{value}").ok()?,
        FieldValue::Float(value) => write!(text, "{value}").ok()?,
    }
    Some(text)
}
