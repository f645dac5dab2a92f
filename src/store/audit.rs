//! What people and satpam itself did, append-only.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::database::{Change, Database};
use super::error::StoreError;
use super::{envelope, layout};
use crate::clock::WallTime;

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub at: WallTime,
    /// A person's name, or `satpam`.
    pub who: Arc<str>,
    /// A word: `approved`, `denied`, `retried`, `closed`, `sent`.
    pub what: Arc<str>,
    /// What it was done to: an outbox id, an incident id.
    pub subject: Arc<str>,
    pub reason: Arc<str>,
}

impl AuditEntry {
    /// Writes the entry into the log as well, for those who collect logs.
    pub fn log(&self) {
        let Self { at: _, who, what, subject, reason } = self;
        tracing::info!(target: "satpam::audit", %who, %what, %subject, %reason, "audit");
    }
}

/// The audit log.
#[derive(Debug, Clone)]
pub struct Audit {
    pub(super) database: Arc<Database>,
}

impl Audit {
    /// Appends an entry; returns its number.
    pub fn append(&self, entry: &AuditEntry) -> Result<u64, StoreError> {
        self.database.change(layout::AUDIT, |tree, change| {
            append_to(tree, change, std::slice::from_ref(entry))
        })
    }

    /// Returns at most `limit` entries with a number below `before` (the latest when there is
    /// none), the latest first, each with its number.
    pub fn list(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<(u64, AuditEntry)>, StoreError> {
        self.database.read(layout::AUDIT, |tree| {
            let end = layout::audit(before.unwrap_or(u64::MAX));
            let mut entries = Vec::new();
            for row in tree.range(..end.as_slice()).rev().take(limit) {
                let (key, value) = row?;
                if let Some(number) = number(&key) {
                    entries.push((number, envelope::decode(&key, &value)?));
                }
            }
            Ok(entries)
        })
    }
}

/// Adds entries behind the last one; returns the number of the first.
pub(super) fn append_to(
    tree: &sled::Tree,
    change: &mut Change,
    entries: &[AuditEntry],
) -> Result<u64, StoreError> {
    let last = tree.last()?.and_then(|(key, _)| number(&key));
    let first = last.map_or(0, |last| last + 1);
    for (next, entry) in (first..).zip(entries) {
        let key = layout::audit(next);
        change.put(&key, envelope::encode(&key, entry));
    }
    Ok(first)
}

fn number(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.try_into().ok()?))
}
