//! The outbox of all shards: what is due, and changes by comparison so that the engine, the
//! responder and a person never overwrite each other.

use std::sync::Arc;

use uuid::Uuid;

use super::database::{Change, Database};
use super::entry::{HoldReason, OutboxEntry, OutboxStatus};
use super::error::StoreError;
use super::incidents::PRUNE_MAX;
use super::indexed::{self, Indexed};
use super::{AuditEntry, UpdateError, layout};
use crate::clock::WallTime;
use crate::event::{AccountId, EventTime};
use crate::incident::{IncidentId, OutboxId};

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct OutboxFilter {
    /// Only entries of these statuses; empty for all. The reason of a hold makes no difference.
    pub statuses: Vec<OutboxStatus>,
    pub account: Option<AccountId>,
    pub incident: Option<IncidentId>,
}

impl Indexed for OutboxEntry {
    fn key(id: Uuid) -> Vec<u8> {
        layout::outbox(OutboxId(id))
    }

    fn id(&self) -> Uuid {
        self.planned.id.0
    }

    fn time(&self) -> EventTime {
        self.planned.created
    }

    fn rows(&self) -> Vec<Vec<u8>> {
        layout::outbox_index(self)
    }
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
        let mut entries: Vec<OutboxEntry> = Vec::new();
        for shard in self.database.shards()? {
            self.database.read(&layout::shard_tree(shard), |tree| {
                let until = layout::after(layout::DUE, now);
                for row in tree.range([layout::DUE].as_slice()..until.as_slice()).keys().take(limit)
                {
                    if let Some((_, id)) = layout::timed_row(&row?) {
                        entries.extend(indexed::read(tree, id)?);
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
        indexed::get(&self.database, id.0)
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
        self.replace(expected, changed, &[])
    }

    /// As [`Self::update`], for a person's decision: the audit entry is written in the same atomic
    /// change.
    pub fn update_audited(
        &self,
        expected: &OutboxEntry,
        changed: &OutboxEntry,
        audit: AuditEntry,
    ) -> Result<(), UpdateError<OutboxEntry>> {
        self.replace(expected, changed, &[audit])
    }

    fn replace(
        &self,
        expected: &OutboxEntry,
        changed: &OutboxEntry,
        audit: &[AuditEntry],
    ) -> Result<(), UpdateError<OutboxEntry>> {
        assert_eq!(expected.planned, changed.planned, "the plan of an entry never changes");
        indexed::replace(&self.database, changed.planned.shard, expected, changed, audit)
    }

    /// Returns at most `limit` entries whose id, in hexadecimal without hyphens, begins with `hex`.
    pub fn beginning_with(&self, hex: &str, limit: usize) -> Result<Vec<OutboxEntry>, StoreError> {
        indexed::beginning_with(&self.database, hex, limit)
    }

    /// Returns at most `limit` entries, the latest planned first.
    pub fn list(
        &self,
        filter: &OutboxFilter,
        limit: usize,
    ) -> Result<Vec<OutboxEntry>, StoreError> {
        let mut prefixes: Vec<Vec<u8>> = if filter.statuses.is_empty() {
            ALL_STATUSES.iter().map(|status| layout::outbox_by_status(*status).to_vec()).collect()
        } else {
            let statuses = filter.statuses.iter();
            statuses.map(|status| layout::outbox_by_status(*status).to_vec()).collect()
        };
        prefixes.sort_unstable();
        prefixes.dedup();
        let accepts = |entry: &OutboxEntry| filter.accepts(entry);
        let is_narrow = filter.account.is_some() || filter.incident.is_some();
        let condition = is_narrow.then_some(&accepts as &dyn Fn(&OutboxEntry) -> bool);
        indexed::newest(&self.database, &prefixes, condition, limit)
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
                    if let Some(entry) = indexed::read::<OutboxEntry>(tree, id)? {
                        indexed::remove(change, &entry);
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

/// Writes an entry whose id is not stored yet; tells whether it was written.
pub(super) fn put_if_absent(
    tree: &sled::Tree,
    change: &mut Change,
    entry: &OutboxEntry,
) -> Result<bool, StoreError> {
    if tree.contains_key(layout::outbox(entry.planned.id))? {
        return Ok(false);
    }
    indexed::put(change, None, entry);
    Ok(true)
}
