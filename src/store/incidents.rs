//! The incidents of all shards: found by id, listed newest first, changed by comparison.

use std::sync::Arc;

use super::database::{Change, Database};
use super::error::StoreError;
use super::{UpdateError, envelope, layout};
use crate::event::{AccountId, EventTime, ShardId};
use crate::incident::{Incident, IncidentId, IncidentState};

/// Which incidents to list.
#[derive(Debug, Clone, Default)]
pub struct IncidentFilter {
    /// Only open ones (`true`) or only closed ones (`false`).
    pub open: Option<bool>,
    pub account: Option<AccountId>,
}

/// The incidents of all shards.
#[derive(Debug, Clone)]
pub struct Incidents {
    pub(super) database: Arc<Database>,
}

impl Incidents {
    /// Returns an incident, whatever shard it is in.
    pub fn get(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        for shard in self.database.shards()? {
            let found = self.database.read(&layout::shard_tree(shard), |tree| read(tree, id))?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// Returns at most `limit` incidents, the latest opened first.
    pub fn list(&self, filter: &IncidentFilter, limit: usize) -> Result<Vec<Incident>, StoreError> {
        let mut rows: Vec<(EventTime, ShardId, IncidentId)> = Vec::new();
        let prefixes = match &filter.account {
            Some(account) => vec![layout::incidents_by_account(account)],
            None => [true, false]
                .into_iter()
                .filter(|open| filter.open.is_none_or(|wanted| wanted == *open))
                .map(|open| layout::incidents_by_state(open).to_vec())
                .collect(),
        };
        let mut incidents = Vec::new();
        for shard in self.database.shards()? {
            self.database.read(&layout::shard_tree(shard), |tree| {
                for prefix in &prefixes {
                    let mut taken = 0;
                    for row in tree.scan_prefix(prefix).keys() {
                        if taken == limit {
                            break;
                        }
                        let Some((opened, id)) = layout::newest_first_row(&row?) else { continue };
                        if filter.account.is_none() {
                            rows.push((opened, shard, IncidentId(id)));
                            taken += 1;
                        } else if let Some(incident) = read(tree, IncidentId(id))?
                            && filter.open.is_none_or(|open| open == is_open(&incident))
                        {
                            incidents.push(incident);
                            taken += 1;
                        }
                    }
                }
                Ok(())
            })?;
        }
        rows.sort_by_key(|(opened, _, id)| (std::cmp::Reverse(*opened), *id));
        for (_, shard, id) in rows.into_iter().take(limit) {
            incidents
                .extend(self.database.read(&layout::shard_tree(shard), |tree| read(tree, id))?);
        }
        incidents.sort_by_key(|incident| (std::cmp::Reverse(incident.opened), incident.id));
        incidents.truncate(limit);
        Ok(incidents)
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
        let stored = self.database.change(&layout::shard_tree(changed.shard), |tree, change| {
            let stored = read(tree, changed.id)?;
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
                    if let Some(incident) = read(tree, IncidentId(id))? {
                        change.remove(&layout::incident(incident.id));
                        for row in layout::incident_index(&incident) {
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

/// At most so many records of one shard are forgotten in one change.
pub(super) const PRUNE_MAX: usize = 1_000;

fn is_open(incident: &Incident) -> bool {
    match incident.state {
        IncidentState::Open => true,
        IncidentState::Closed { .. } => false,
    }
}

/// Reads an incident of one shard.
pub(super) fn read(tree: &sled::Tree, id: IncidentId) -> Result<Option<Incident>, StoreError> {
    let key = layout::incident(id);
    tree.get(&key)?.map(|value| envelope::decode(&key, &value)).transpose()
}

/// Writes an incident of a higher revision than the stored one; otherwise returns the stored one
/// if it differs.
pub(super) fn put_if_newer(
    tree: &sled::Tree,
    change: &mut Change,
    incident: &Incident,
) -> Result<Option<Incident>, StoreError> {
    match read(tree, incident.id)? {
        Some(stored) if stored.revision >= incident.revision => {
            Ok((stored != *incident).then_some(stored))
        }
        stored => {
            put(change, stored.as_ref(), incident);
            Ok(None)
        }
    }
}

fn put(change: &mut Change, stored: Option<&Incident>, incident: &Incident) {
    for row in stored.map(layout::incident_index).iter().flatten() {
        change.remove(row);
    }
    let key = layout::incident(incident.id);
    change.put(&key, envelope::encode(&key, incident));
    for row in layout::incident_index(incident) {
        change.put(&row, Vec::new());
    }
}
