//! Looking at a whole store: counting, verifying, and printing it for comparison.

use std::fmt::Write as _;

use super::database::Database;
use super::entry::OutboxEntry;
use super::error::StoreError;
use super::{AuditEntry, envelope, layout};
use crate::incident::Incident;

/// How many records of each kind there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub accounts: u64,
    pub incidents: u64,
    pub outbox: u64,
}

/// What verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Records that were read and decoded.
    pub records: u64,
    /// What is wrong, one line each, at most a hundred.
    pub problems: Vec<String>,
}

const PROBLEMS_MAX: usize = 100;

/// Counts by reading every key: about a second for a million accounts.
pub(super) fn count(database: &Database) -> Result<Counts, StoreError> {
    let mut counts = Counts::default();
    for shard in database.shards()? {
        database.read(&layout::shard_tree(shard), |tree| {
            for (prefix, count) in [
                (layout::ACCOUNT, &mut counts.accounts),
                (layout::INCIDENT, &mut counts.incidents),
                (layout::OUTBOX, &mut counts.outbox),
            ] {
                for key in tree.scan_prefix([prefix]).keys() {
                    key?;
                    *count += 1;
                }
            }
            Ok(())
        })?;
    }
    Ok(counts)
}

/// Reads and decodes every record.
pub(super) fn verify(database: &Database) -> Result<Verified, StoreError> {
    let mut verified = Verified::default();
    if let Err(error) = database.verify_pages() {
        verified.problems.push(error.to_string());
    }
    let mut trees: Vec<String> = database.shards()?.into_iter().map(layout::shard_tree).collect();
    trees.extend([layout::META, layout::AUDIT, layout::RESPOND].map(str::to_owned));
    for name in trees {
        let is_audit = name == layout::AUDIT;
        let is_shard = layout::shard_of_tree(name.as_bytes()).is_some();
        database.read(&name, |tree| {
            for row in tree {
                let (key, value) = row?;
                let checked = match key.first() {
                    _ if value.is_empty() => continue,
                    _ if is_audit => envelope::decode::<AuditEntry>(&key, &value).map(drop),
                    Some(&layout::INCIDENT) if is_shard => {
                        envelope::decode::<Incident>(&key, &value).map(drop)
                    }
                    Some(&layout::OUTBOX) if is_shard => {
                        envelope::decode::<OutboxEntry>(&key, &value).map(drop)
                    }
                    _ => envelope::open(&key, &value).map(drop),
                };
                verified.records += 1;
                if let Err(error) = checked
                    && verified.problems.len() < PROBLEMS_MAX
                {
                    verified.problems.push(format!("{name}: {error}"));
                }
            }
            Ok(())
        })?;
    }
    Ok(verified)
}

/// Prints what the events alone decide, so that two runs over the same events can be compared:
/// accounts, offsets, incidents and plans, but not how deliveries went.
pub(super) fn dump(database: &Database) -> Result<String, StoreError> {
    let mut text = String::new();
    for shard in database.shards()? {
        database.read(&layout::shard_tree(shard), |tree| {
            for row in tree {
                let (key, value) = row?;
                if value.is_empty() {
                    continue;
                }
                let line = match key.first() {
                    Some(&layout::INCIDENT) => json(&envelope::decode::<Incident>(&key, &value)?),
                    Some(&layout::OUTBOX) => {
                        json(&envelope::decode::<OutboxEntry>(&key, &value)?.planned)
                    }
                    _ => envelope::open(&key, &value)?.escape_ascii().to_string(),
                };
                let key = if matches!(key.first(), Some(&(layout::INCIDENT | layout::OUTBOX))) {
                    char::from(key[0]).to_string()
                } else {
                    key.escape_ascii().to_string()
                };
                writeln!(text, "shard {shard} {key} {line}").expect("a String takes any text");
            }
            Ok(())
        })?;
    }
    Ok(text)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("a stored type has text keys only")
}
