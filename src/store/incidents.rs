//! The incidents of all shards: found by id, listed newest first, changed by comparison.

use std::sync::Arc;

use uuid::Uuid;

use super::database::{Change, Database};
use super::error::StoreError;
use super::indexed::{self, Indexed};
use super::{UpdateError, layout};
use crate::event::{AccountId, EventTime};
use crate::incident::{Incident, IncidentId, IncidentState};

/// Which incidents to list.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Only open ones (`true`) or only closed ones (`false`).
    pub open: Option<bool>,
    pub account: Option<AccountId>,
}

impl Indexed for Incident {
    fn key(id: Uuid) -> Vec<u8> {
        layout::incident(IncidentId(id))
    }

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn time(&self) -> EventTime {
        self.opened
    }

    fn rows(&self) -> Vec<Vec<u8>> {
        layout::incident_index(self).to_vec()
    }
}

/// The incidents of all shards.
#[derive(Debug, Clone)]
pub struct Incidents {
    pub(super) database: Arc<Database>,
}

impl Incidents {
    /// Returns an incident, whatever shard it is in.
    pub fn get(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        indexed::get(&self.database, id.0)
    }

    /// Returns at most `limit` incidents, the latest opened first.
    pub fn list(&self, filter: &IncidentFilter, limit: usize) -> Result<Vec<Incident>, StoreError> {
        let Some(account) = &filter.account else {
            let prefixes: Vec<Vec<u8>> = [true, false]
                .into_iter()
                .filter(|open| filter.open.is_none_or(|wanted| wanted == *open))
                .map(|open| layout::incidents_by_state(open).to_vec())
                .collect();
            return indexed::newest(&self.database, &prefixes, None, limit);
        };
        let accepts =
            |incident: &Incident| filter.open.is_none_or(|open| open == is_open(incident));
        let prefixes = [layout::incidents_by_account(account)];
        indexed::newest(&self.database, &prefixes, Some(&accepts), limit)
    }

    /// Replaces an incident that still is as `expected` says. `changed` must be of the same id,
    /// shard and account, and of a higher revision, so that the engine notices.
    ///
    /// # Errors
    /// [`UpdateError::Changed`] with what is stored instead.
    ///
    /// # Panics
    /// When `changed` is of another id, shard or account, or of no higher revision: a mistake of the caller.
    pub fn update(
        &self,
        expected: &Incident,
        changed: &Incident,
    ) -> Result<(), UpdateError<Incident>> {
        let same = (expected.id, expected.shard, &expected.account)
            == (changed.id, changed.shard, &changed.account);
        assert!(same && changed.revision > expected.revision, "an update of another incident");
        indexed::replace(&self.database, changed.shard, expected, changed, &[])
    }

    /// Returns at most `limit` incidents whose id, in hexadecimal without hyphens, begins with
    /// `hex`: people read each other the first six digits.
    pub fn beginning_with(&self, hex: &str, limit: usize) -> Result<Vec<Incident>, StoreError> {
        indexed::beginning_with(&self.database, hex, limit)
    }

    /// Forgets closed incidents that were opened before `before`; returns how many.
    pub fn prune(&self, before: EventTime) -> Result<usize, StoreError> {
        let mut forgotten = 0;
        for shard in self.database.shards()? {
            forgotten += self.database.change(&layout::shard_tree(shard), |tree, change| {
                let mut forgotten = 0;
                for row in tree.scan_prefix(layout::incidents_by_state(false)).keys().rev() {
                    let Some((opened, id)) = layout::newest_first_row(&row?) else { continue };
                    if opened >= before || forgotten == PRUNE_MAX {
                        break;
                    }
                    if let Some(incident) = indexed::read::<Incident>(tree, id)? {
                        indexed::remove(change, &incident);
                        forgotten += 1;
                    }
                }
                Ok(forgotten)
            })?;
        }
        Ok(forgotten)
    }
}

/// At most so many records of one shard are forgotten in one change.
pub(super) const PRUNE_MAX: usize = 1_000;

fn is_open(incident: &Incident) -> bool {
    match incident.state {
        IncidentState::Open => true,
        IncidentState::Closed { .. } => false,
    }
}

/// Writes an incident of a higher revision than the stored one; otherwise returns the stored one
/// if it differs.
pub(super) fn put_if_newer(
    tree: &sled::Tree,
    change: &mut Change,
    incident: &Incident,
) -> Result<Option<Incident>, StoreError> {
    match indexed::read::<Incident>(tree, incident.id.0)? {
        Some(stored) if stored.revision >= incident.revision => {
            Ok((stored != *incident).then_some(stored))
        }
        stored => {
            indexed::put(change, stored.as_ref(), incident);
            Ok(None)
        }
    }
}
