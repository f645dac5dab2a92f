//! The outbox of all shards: what is due, and changes by comparison so that the engine, the
//! responder and a person never overwrite each other.

use std::cmp::Reverse;
use std::sync::Arc;

use super::database::{Change, Database};
use super::entry::{HoldReason, OutboxEntry, OutboxStatus};
use super::error::StoreError;
use super::incidents::PRUNE_MAX;
use super::{UpdateError, envelope, layout};
use crate::clock::WallTime;
use crate::event::{AccountId, EventTime, ShardId};
use crate::incident::{IncidentId, OutboxId};

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// Only entries of these statuses; empty for all. The reason of a hold makes no difference.
    pub statuses: Vec<OutboxStatus>,
    pub account: Option<AccountId>,
    pub incident: Option<IncidentId>,
}

/// The outbox of all shards.
#[derive(Debug, Clone)]
pub struct Outbox {
    pub(super) database: Arc<Database>,
}

impl Outbox {
    /// Returns at most `limit` entries that are due, the longest waiting first. Settled entries
    /// cost nothing here.
    pub fn due(&self, now: WallTime, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut entries = Vec::new();
        for shard in self.database.shards()? {
            self.database.read(&layout::shard_tree(shard), |tree| {
                let until = layout::after(layout::DUE, now);
                for row in tree.range([layout::DUE].as_slice()..until.as_slice()).keys().take(limit)
                {
                    if let Some((_, id)) = layout::timed_row(&row?) {
                        entries.extend(read(tree, OutboxId(id))?);
                    }
                }
                Ok(())
            })?;
        }
        entries.sort_by_key(|entry| (entry.next_attempt, entry.planned.created, entry.planned.id));
        entries.truncate(limit);
        Ok(entries)
    }

    /// Returns when the next entry becomes due; nothing when none is waiting to be sent.
    pub fn next_due_at(&self) -> Result<Option<WallTime>, StoreError> {
        let mut next: Option<WallTime> = None;
        for shard in self.database.shards()? {
            let first = self.database.read(&layout::shard_tree(shard), |tree| {
                let row = tree.scan_prefix([layout::DUE]).keys().next().transpose()?;
                Ok(row.and_then(|row| layout::timed_row(&row)))
            })?;
            if let Some((time, _)) = first {
                next = Some(next.map_or(time, |earlier| earlier.min(time)));
            }
        }
        Ok(next)
    }

    /// Returns an entry, whatever shard it is in.
    pub fn get(&self, id: OutboxId) -> Result<Option<OutboxEntry>, StoreError> {
        for shard in self.database.shards()? {
            let found = self.database.read(&layout::shard_tree(shard), |tree| read(tree, id))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Inserts an entry if its id is not known; tells whether it was inserted.
    pub fn insert(&self, entry: &OutboxEntry) -> Result<bool, StoreError> {
        self.database.change(&layout::shard_tree(entry.planned.shard), |tree, change| {
            put_if_absent(tree, change, entry)
        })
    }

    /// Replaces an entry that still is as `expected` says. The plan never changes.
    ///
    /// # Errors
    /// [`UpdateError::Changed`] with what is stored instead.
    ///
    /// # Panics
    /// When `changed` is of another plan: a mistake of the caller.
    pub fn update(
        &self,
        expected: &OutboxEntry,
        changed: &OutboxEntry,
    ) -> Result<(), UpdateError<OutboxEntry>> {
        assert_eq!(expected.planned, changed.planned, "the plan of an entry never changes");
        let shard = changed.planned.shard;
        let stored = self.database.change(&layout::shard_tree(shard), |tree, change| {
            let stored = read(tree, changed.planned.id)?;
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

    /// Returns at most `limit` entries, the latest planned first.
    pub fn list(
        &self,
        filter: &OutboxFilter,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut prefixes: Vec<[u8; 2]> = if filter.statuses.is_empty() {
            ALL_STATUSES.map(layout::outbox_by_status).to_vec()
        } else {
            filter.statuses.iter().map(|status| layout::outbox_by_status(*status)).collect()
        };
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut rows: Vec<(Reverse<EventTime>, OutboxId, ShardId)> = Vec::new();
        let mut entries = Vec::new();
        let narrow = filter.account.is_some() || filter.incident.is_some();
        for shard in self.database.shards()? {
            self.database.read(&layout::shard_tree(shard), |tree| {
                for prefix in &prefixes {
                    let mut taken = 0;
                    for row in tree.scan_prefix(prefix).keys() {
                        if taken == limit {
                            break;
                        }
                        let Some((created, id)) = layout::newest_first_row(&row?) else { continue };
                        if !narrow {
                            rows.push((Reverse(created), OutboxId(id), shard));
                            taken += 1;
                        } else if let Some(entry) = read(tree, OutboxId(id))?
                            && filter.accepts(&entry)
                        {
                            entries.push(entry);
                            taken += 1;
                        }
                    }
                }
                Ok(())
            })?;
        }
        rows.sort_unstable();
        for (_, id, shard) in rows.into_iter().take(limit) {
            entries.extend(self.database.read(&layout::shard_tree(shard), |tree| read(tree, id))?);
        }
        entries.sort_by_key(|entry| (Reverse(entry.planned.created), entry.planned.id));
        entries.truncate(limit);
        Ok(entries)
    }

    /// Forgets entries that were settled before `before`, at most a thousand of each shard; returns
    /// how many. Due and held entries are never forgotten.
    pub fn prune(&self, before: WallTime) -> Result<usize, StoreError> {
        let mut forgotten = 0;
        let until = layout::after(layout::SETTLED, WallTime(before.0.saturating_sub(1)));
        for shard in self.database.shards()? {
            forgotten += self.database.change(&layout::shard_tree(shard), |tree, change| {
                let mut forgotten = 0;
                let rows = tree.range([layout::SETTLED].as_slice()..until.as_slice()).keys();
                for row in rows.take(PRUNE_MAX) {
                    let Some((_, id)) = layout::timed_row(&row?) else { continue };
                    if let Some(entry) = read(tree, OutboxId(id))? {
                        change.remove(&layout::outbox(entry.planned.id));
                        for row in layout::outbox_index(&entry) {
                            change.remove(&row);
                        }
                        forgotten += 1;
                    }
                }
                Ok(forgotten)
            })?;
        }
        Ok(forgotten)
    }
}

const ALL_STATUSES: [OutboxStatus; 6] = [
    OutboxStatus::Due,
    OutboxStatus::Held(HoldReason::Mode),
    OutboxStatus::Done,
    OutboxStatus::Recorded,
    OutboxStatus::Parked,
    OutboxStatus::Refused,
];

impl OutboxFilter {
    fn accepts(&self, entry: &OutboxEntry) -> bool {
        self.account.as_ref().is_none_or(|account| *account == entry.planned.account)
            && self.incident.is_none_or(|incident| incident == entry.planned.incident)
    }
}

/// Reads an entry of one shard.
pub(super) fn read(tree: &sled::Tree, id: OutboxId) -> Result<Option<OutboxEntry>, StoreError> {
    let key = layout::outbox(id);
    tree.get(&key)?.map(|value| envelope::decode(&key, &value)).transpose()
}

/// Writes an entry whose id is not stored yet; tells whether it was written.
pub(super) fn put_if_absent(
    tree: &sled::Tree,
    change: &mut Change,
    entry: &OutboxEntry,
) -> Result<bool, StoreError> {
    if tree.contains_key(layout::outbox(entry.planned.id))? {
        return Ok(false);
    }
    put(change, None, entry);
    Ok(true)
}

fn put(change: &mut Change, stored: Option<&OutboxEntry>, entry: &OutboxEntry) {
    for row in stored.map(layout::outbox_index).iter().flatten() {
        change.remove(row);
    }
    let key = layout::outbox(entry.planned.id);
    change.put(&key, envelope::encode(&key, entry));
    for row in layout::outbox_index(entry) {
        change.put(&row, Vec::new());
    }
}
