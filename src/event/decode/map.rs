//! Any other JSON, by paths that the configuration gives.
//!
//! ```yaml
//! decode:
//!   map:
//!     id: event.uuid
//!     type: "=message.sent"
//!     time: event.at
//!     account.app_code: tenant
//!     message.text: content.parts.0.body
//! ```
//!
//! On the left stands a path of the envelope, on the right one of the source: keys with dots
//! between, and places of arrays from 0. `=` before the right side makes it a fixed text. What the
//! source lacks is left out. Without a path for `id` the id is made from the record's position, and
//! without one for `time` it is the record's own.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{Kind, ObjectWriter, Value};
use super::{RawRecord, read};

/// Where the fields of the envelope stand in the source. See the module documentation.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>")]
pub struct MapPaths {
    members: Members,
}

type Members = BTreeMap<Box<str>, Member>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Member {
    /// Copied from behind these keys.
    Copied(Vec<Box<str>>),
    Fixed(Box<str>),
    Object(Members),
}

/// Paths that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMap {
    #[error("no path for `{0}`, which every event needs")]
    Lacks(&'static str),
    #[error("`{0}` has an empty part")]
    EmptyPart(String),
    #[error("`{0}` has more than 16 parts")]
    TooDeep(String),
    #[error("`{0}` lies inside or around another path")]
    Overlaps(String),
}

const PARTS_MAX: usize = 16;

impl TryFrom<BTreeMap<String, String>> for MapPaths {
    type Error = InvalidMap;

    fn try_from(paths: BTreeMap<String, String>) -> Result<Self, InvalidMap> {
        for needed in ["type", "account.app_code"] {
            if !paths.contains_key(needed) {
                return Err(InvalidMap::Lacks(needed));
            }
        }
        let mut members = Members::new();
        for (target, source) in &paths {
            let member = match source.strip_prefix('=') {
                Some(fixed) => Member::Fixed(fixed.into()),
                None => Member::Copied(parts(source)?),
            };
            insert(&mut members, &parts(target)?, member)
                .ok_or_else(|| InvalidMap::Overlaps(target.clone()))?;
        }
        Ok(Self { members })
    }
}

fn parts(path: &str) -> Result<Vec<Box<str>>, InvalidMap> {
    let parts: Vec<Box<str>> = path.split('.').map(Into::into).collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(InvalidMap::EmptyPart(path.to_owned()));
    }
    if parts.len() > PARTS_MAX {
        return Err(InvalidMap::TooDeep(path.to_owned()));
    }
    Ok(parts)
}

/// Puts a member at its path; nothing where another member is in the way.
fn insert(members: &mut Members, path: &[Box<str>], member: Member) -> Option<()> {
    let (first, rest) = path.split_first()?;
    if rest.is_empty() {
        return members.insert(first.clone(), member).is_none().then_some(());
    }
    let inner = members.entry(first.clone()).or_insert_with(|| Member::Object(Members::new()));
    match inner {
        Member::Object(inner) => insert(inner, rest, member),
        Member::Copied(_) | Member::Fixed(_) => None,
    }
}

pub(super) fn envelope(paths: &MapPaths, root: Value<'_>, record: &RawRecord) -> String {
    ObjectWriter::build(|envelope| {
        if !paths.members.contains_key("id") {
            envelope.text("id", &record.minted_id());
        }
        if !paths.members.contains_key("time")
            && let Some(time) = record.timestamp_text()
        {
            envelope.text("time", &time);
        }
        write(envelope, &paths.members, root);
    })
}

fn write(out: &mut ObjectWriter<'_>, members: &Members, root: Value<'_>) {
    for (key, member) in members {
        match member {
            Member::Fixed(text) => out.text(key, text),
            Member::Copied(path) => {
                if let Some(value) = find(root, path) {
                    out.value(key, value);
                }
            }
            Member::Object(members) => out.object(key, |inner| write(inner, members, root)),
        }
    }
}

fn find<'d>(root: Value<'d>, path: &[Box<str>]) -> Option<Value<'d>> {
    let (last, before) = path.split_last()?;
    let holder = before.iter().try_fold(root, |value, part| step(value, part))?;
    match holder.kind() {
        Kind::Array => step(holder, last).filter(|value| value.kind() != Kind::Null),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Text(_)
        | Kind::Object => read::present(holder, last),
    }
}

fn step<'d>(value: Value<'d>, part: &str) -> Option<Value<'d>> {
    if value.kind() == Kind::Array {
        return value.elements().nth(part.parse().ok()?);
    }
    value.get(part)
}
