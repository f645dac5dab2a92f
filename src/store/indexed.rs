//! Records with index rows: read by id, listed newest first, changed by comparison.
//!
//! Incidents and outbox entries differ in their keys and rows only.

use std::cmp::Reverse;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::database::{Change, Database};
use super::error::StoreError;
use super::{AuditEntry, UpdateError, envelope, layout};
use crate::event::{EventTime, ShardId};

/// A record that stands under its id and under the rows of its indexes.
pub(super) trait Indexed:
    Clone + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned
{
    /// The key of the record with this id.
    fn key(id: Uuid) -> Vec<u8>;
    fn id(&self) -> Uuid;
    /// The time by which "newest first" orders.
    fn time(&self) -> EventTime;
    fn rows(&self) -> Vec<Vec<u8>>;
}

/// Reads a record of one shard.
pub(super) fn read<T: Indexed>(tree: &sled::Tree, id: Uuid) -> Result<Option<T>, StoreError> {
    let key = T::key(id);
    tree.get(&key)?.map(|value| envelope::decode(&key, &value)).transpose()
}

/// Reads a record, whatever shard it is in.
pub(super) fn get<T: Indexed>(database: &Database, id: Uuid) -> Result<Option<T>, StoreError> {
    for shard in database.shards()? {
        let found = database.read(&layout::shard_tree(shard), |tree| read(tree, id))?;
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Writes a record over the one that is stored.
pub(super) fn put<T: Indexed>(change: &mut Change, stored: Option<&T>, record: &T) {
    for row in stored.map(T::rows).iter().flatten() {
        change.remove(row);
    }
    let key = T::key(record.id());
    change.put(&key, envelope::encode(&key, record));
    for row in record.rows() {
        change.put(&row, Vec::new());
    }
}

pub(super) fn remove<T: Indexed>(change: &mut Change, record: &T) {
    change.remove(&T::key(record.id()));
    for row in record.rows() {
        change.remove(&row);
    }
}

/// Returns at most `limit` records whose id, in hexadecimal without hyphens, begins with `hex`
/// (lower case), in the order of the shards and ids.
pub(super) fn beginning_with<T: Indexed>(
    database: &Database,
    hex: &str,
    limit: usize,
) -> Result<Vec<T>, StoreError> {
    let kind = T::key(Uuid::nil())[0];
    let whole = hex
        .as_bytes()
        .chunks_exact(2)
        .map_while(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok());
    let prefix: Vec<u8> = std::iter::once(kind).chain(whole).collect();
    let mut found = Vec::new();
    for shard in database.shards()? {
        database.read(&layout::shard_tree(shard), |tree| {
            for row in tree.scan_prefix(&prefix) {
                if found.len() == limit {
                    break;
                }
                let (key, value) = row?;
                let id = Uuid::from_slice(&key[1..]).unwrap_or_default();
                if id.simple().to_string().starts_with(hex) {
                    found.push(envelope::decode(&key, &value)?);
                }
            }
            Ok(())
        })?;
    }
    Ok(found)
}

/// Replaces a record that still is as `expected` says, with the audit entries of it.
pub(super) fn replace<T: Indexed>(
    database: &Database,
    shard: ShardId,
    expected: &T,
    changed: &T,
    audit: &[AuditEntry],
) -> Result<(), UpdateError<T>> {
    let stored = database.change_audited(&layout::shard_tree(shard), audit, |tree, change| {
        let stored = read(tree, changed.id())?;
        if stored.as_ref() == Some(expected) {
            put(change, stored.as_ref(), changed);
            return Ok(None);
        }
        Ok(Some(stored))
    })?;
    match stored {
        None => Ok(()),
        Some(None) => Err(UpdateError::Missing),
        Some(Some(stored)) => Err(UpdateError::Changed(Box::new(stored))),
    }
}

/// Returns at most `limit` records of the rows that begin with one of `prefixes`, the newest first.
///
/// Without a condition only the records that are returned are read; with one, each is read until
/// enough are accepted.
pub(super) fn newest<T: Indexed>(
    database: &Database,
    prefixes: &[Vec<u8>],
    condition: Option<&dyn Fn(&T) -> bool>,
    limit: usize,
) -> Result<Vec<T>, StoreError> {
    let mut rows: Vec<(Reverse<EventTime>, Uuid, ShardId)> = Vec::new();
    let mut records: Vec<T> = Vec::new();
    for shard in database.shards()? {
        database.read(&layout::shard_tree(shard), |tree| {
            for prefix in prefixes {
                let mut taken = 0;
                for row in tree.scan_prefix(prefix).keys() {
                    if taken == limit {
                        break;
                    }
                    let Some((time, id)) = layout::newest_first_row(&row?) else { continue };
                    let Some(accepts) = condition else {
                        rows.push((Reverse(time), id, shard));
                        taken += 1;
                        continue;
                    };
                    if let Some(record) = read(tree, id)?.filter(accepts) {
                        records.push(record);
                        taken += 1;
                    }
                }
            }
            Ok(())
        })?;
    }
    rows.sort_unstable();
    for (_, id, shard) in rows.into_iter().take(limit) {
        records.extend(database.read(&layout::shard_tree(shard), |tree| read(tree, id))?);
    }
    records.sort_by_key(|record| (Reverse(record.time()), record.id()));
    records.truncate(limit);
    Ok(records)
}
