//! One shard: its accounts, its offsets, and the atomic commit of a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::audit::AuditEntry;
use super::database::{Change, Database};
use super::entry::OutboxEntry;
use super::error::StoreError;
use super::{envelope, incidents, layout, outbox};
use crate::event::{AccountId, Offset, ShardId, TopicIndex};
use crate::incident::Incident;

/// What one commit makes durable, all or nothing.
#[derive(Debug, Default, Clone)]
pub struct Batch {
    /// New state of accounts; the last of several for one account counts.
    pub accounts: Vec<(AccountId, Vec<u8>)>,
    /// Accounts whose state is dropped. Their incidents and outbox entries stay.
    pub forgotten: Vec<AccountId>,
    /// The next offset to read of each topic; topics that are not named keep theirs.
    pub offsets: Option<BTreeMap<TopicIndex, Offset>>,
    pub shard_state: Option<Vec<u8>>,
    /// What rules did over all accounts, as of the last record behind these changes.
    pub shard_tally: Option<Vec<u8>>,
    /// Written where the revision is higher than the stored one.
    pub incidents: Vec<Incident>,
    /// Inserted only where the id is not known: a replay never sends again.
    pub outbox: Vec<OutboxEntry>,
    /// A person's decisions behind these changes; written with them or not at all.
    pub audit: Vec<AuditEntry>,
}

impl Batch {
    /// Tells whether a commit would write nothing.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
            && self.forgotten.is_empty()
            && self.offsets.is_none()
            && self.shard_state.is_none()
            && self.shard_tally.is_none()
            && self.incidents.is_empty()
            && self.outbox.is_empty()
    }
}

/// What a commit found.
#[derive(Debug, Default, Clone, PartialEq)]
#[must_use = "incidents that someone else has changed must be taken over"]
pub struct Committed {
    /// Stored incidents of the same or a higher revision but other content, which were kept:
    /// someone else (a person who closed it) was first.
    pub kept_incidents: Vec<Incident>,
    /// How many outbox entries are new.
    pub planned: usize,
}

/// One shard's part of the store. Clones share it.
#[derive(Debug, Clone)]
pub struct ShardStore {
    pub(super) database: Arc<Database>,
    pub(super) shard: ShardId,
}

impl ShardStore {
    /// Returns which shard this is.
    pub fn shard(&self) -> ShardId {
        self.shard
    }

    /// Returns the next offset to read of each topic that was ever committed.
    pub fn resume_offsets(&self) -> Result<BTreeMap<TopicIndex, Offset>, StoreError> {
        self.read(|tree| {
            let mut offsets = BTreeMap::new();
            for row in tree.scan_prefix([layout::OFFSET]) {
                let (key, value) = row?;
                let content = envelope::open(&key, &value)?;
                let damaged = || StoreError::Damaged {
                    key: key.escape_ascii().to_string(),
                    what: "it is not an offset",
                };
                let [_, topic] = *key else { return Err(damaged()) };
                let bytes = content.try_into().map_err(|_| damaged())?;
                offsets.insert(TopicIndex(topic), Offset(i64::from_be_bytes(bytes)));
            }
            Ok(offsets)
        })
    }

    /// Returns the state of an account as it was committed last.
    pub fn account(&self, account: &AccountId) -> Result<Option<Vec<u8>>, StoreError> {
        self.content(&layout::account(account))
    }

    /// Calls `visit` for every account with its state, in the order of the ids.
    ///
    /// # Errors
    /// Stops at the first record that cannot be read, or at the first error of `visit`.
    pub fn for_each_account<E: From<StoreError>>(
        &self,
        mut visit: impl FnMut(AccountId, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut outcome = Ok(());
        self.read(|tree| {
            for row in tree.scan_prefix([layout::ACCOUNT]) {
                let (key, value) = row?;
                let content = envelope::open(&key, &value)?;
                let Some(account) = layout::account_of(&key) else {
                    return Err(StoreError::Damaged {
                        key: key.escape_ascii().to_string(),
                        what: "its key is not an account",
                    });
                };
                outcome = visit(account, content);
                if outcome.is_err() {
                    break;
                }
            }
            Ok(())
        })?;
        outcome
    }

    /// Returns the state of the whole shard.
    pub fn shard_state(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.content(layout::SHARD_STATE)
    }

    /// Returns what rules did over all accounts of the shard.
    pub fn shard_tally(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.content(layout::SHARD_TALLY)
    }

    /// Makes a batch durable: all of it is on the disk when this returns, or nothing of it counts.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the disk refuses (full, for example): call again with the same batch.
    pub fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        self.database.change_audited(
            &layout::shard_tree(self.shard),
            &batch.audit,
            |tree, change| {
                put_state(batch, change);
                let mut committed = Committed::default();
                for incident in &batch.incidents {
                    committed
                        .kept_incidents
                        .extend(incidents::put_if_newer(tree, change, incident)?);
                }
                let mut seen = std::collections::BTreeSet::new();
                for entry in &batch.outbox {
                    let first = seen.insert(entry.planned.id);
                    if first && outbox::put_if_absent(tree, change, entry)? {
                        committed.planned += 1;
                    }
                }
                Ok(committed)
            },
        )
    }

    fn content(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|tree| match tree.get(key)? {
            Some(value) => Ok(Some(envelope::open(key, &value)?.to_vec())),
            None => Ok(None),
        })
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&sled::Tree) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.database.read(&layout::shard_tree(self.shard), work)
    }
}

fn put_state(batch: &Batch, change: &mut Change) {
    for account in &batch.forgotten {
        change.remove(&layout::account(account));
    }
    for (account, state) in &batch.accounts {
        let key = layout::account(account);
        change.put(&key, envelope::seal(&key, state));
    }
    for (topic, offset) in batch.offsets.iter().flatten() {
        let key = layout::offset(*topic);
        change.put(&key, envelope::seal(&key, &offset.0.to_be_bytes()));
    }
    if let Some(state) = &batch.shard_state {
        change.put(layout::SHARD_STATE, envelope::seal(layout::SHARD_STATE, state));
    }
    if let Some(tally) = &batch.shard_tally {
        change.put(layout::SHARD_TALLY, envelope::seal(layout::SHARD_TALLY, tally));
    }
}
