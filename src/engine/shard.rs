//! The state of one shard: its accounts in memory, loaded when first touched, and what is shared.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::rules::Rules;
use super::tally::Tally;
use crate::detect::correlate::ShardWindows;
use crate::event::{AccountId, EventTime, Offset, ShardId, TopicIndex};
use crate::rulebook::Policy;
use crate::store::{Batch, ShardStore, StoreError};

/// Where accounts come from that are not in memory.
pub trait AccountSource: Send {
    /// Returns the stored form of an account.
    fn account(&self, account: &AccountId) -> Result<Option<Vec<u8>>, StoreError>;
}

impl AccountSource for ShardStore {
    fn account(&self, account: &AccountId) -> Result<Option<Vec<u8>>, StoreError> {
        Self::account(self, account)
    }
}

/// No account is known yet: for replays and tests of rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAccounts;

impl AccountSource for NoAccounts {
    fn account(&self, _: &AccountId) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(None)
    }
}

/// What a shard keeps beside its accounts. Stored at each checkpoint.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct ShardState {
    /// The latest event time of the shard.
    pub(super) watermark: EventTime,
    pub(super) windows: ShardWindows,
    /// When the open incidents close if nothing more happens.
    pub(super) closings: BTreeSet<(EventTime, AccountId)>,
    /// The revision of the rule set by which this came about.
    rules_revision: Arc<str>,
}

/// An account in memory.
struct Slot {
    account: Box<Account>,
    is_dirty: bool,
    /// When it was touched last, counted in touches of the shard.
    touched: u64,
}

/// One shard's live state.
pub struct Shard {
    id: ShardId,
    source: Box<dyn AccountSource>,
    accounts: HashMap<AccountId, Slot>,
    pub(super) state: ShardState,
    pub(super) tally: Tally,
    touches: u64,
    /// Records (accounts, or the shard's own) that could not be read and begin anew.
    unreadable: u64,
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shard").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Shard {
    /// Starts from the stored state and tally of the shard; a missing one is empty, and so is one
    /// that cannot be read, which is counted by [`Self::take_unreadable`].
    pub fn new(
        id: ShardId,
        source: Box<dyn AccountSource>,
        state: Option<&[u8]>,
        tally: Option<&[u8]>,
    ) -> Self {
        let mut unreadable = 0;
        let state = read_or_begin(state, &mut unreadable);
        let tally = read_or_begin(tally, &mut unreadable);
        Self { id, source, accounts: HashMap::new(), state, tally, touches: 0, unreadable }
    }

    pub fn id(&self) -> ShardId {
        self.id
    }

    /// Returns and resets how many stored records could not be read and began anew.
    pub fn take_unreadable(&mut self) -> u64 {
        std::mem::take(&mut self.unreadable)
    }

    /// Fits the shard's state to a rule set, at the start and after a reload: what a rule has
    /// remembered stays as long as nothing changes that shapes it.
    pub fn adopt(&mut self, rules: &Rules) {
        rules.correlator.reconcile(self.state.watermark, &mut self.state.windows);
        self.state.rules_revision = Arc::clone(&rules.rulebook.revision);
        let keys: BTreeSet<&str> = rules.all().map(|rule| &*rules.meta(rule).key).collect();
        self.tally.breaker.retain(|rule| keys.contains(rule));
        self.tally.shadow.adopt(rules);
        // Each account by itself, so their order does not matter.
        let windows = &self.state.windows;
        self.accounts.values_mut().for_each(|Slot { account, .. }| {
            rules.correlator.forget_unknown(windows, &mut account.windows, &mut account.normal);
        });
    }

    /// Returns the revision of the rule set by which the state came about.
    pub fn rules_revision(&self) -> &str {
        &self.state.rules_revision
    }

    /// Takes an account out to work on it; it comes back by [`Self::put_back`]. Nothing when it was
    /// never seen.
    pub(super) fn take(
        &mut self,
        id: &AccountId,
        rules: &Rules,
    ) -> Result<Option<Box<Account>>, StoreError> {
        if let Some(slot) = self.accounts.remove(id) {
            return Ok(Some(slot.account));
        }
        let Some(bytes) = self.source.account(id)? else { return Ok(None) };
        let Ok(mut account) = Account::decode(&bytes) else {
            self.unreadable += 1;
            return Ok(None);
        };
        rules.correlator.forget_unknown(
            &self.state.windows,
            &mut account.windows,
            &mut account.normal,
        );
        if let Some(deadline) = account.windows.next_deadline() {
            self.state.windows.remind(id, deadline);
        }
        Ok(Some(Box::new(account)))
    }

    /// Puts an account back, changed.
    pub(super) fn put_back(&mut self, id: AccountId, account: Box<Account>, policy: &Policy) {
        if let Some(at) = account.ledger.closes_at(policy) {
            self.state.closings.insert((at, id.clone()));
        }
        self.touches += 1;
        let slot = Slot { account, is_dirty: true, touched: self.touches };
        self.accounts.insert(id, slot);
    }

    /// Returns the account whose incident is the first to close at or before the watermark.
    pub(super) fn next_closing(&mut self) -> Option<AccountId> {
        let (at, _) = self.state.closings.first()?;
        if *at > self.state.watermark {
            return None;
        }
        self.state.closings.pop_first().map(|(_, account)| account)
    }

    /// Returns the keys of the rules that are throttled in this shard.
    pub fn throttled_rules(&self) -> impl Iterator<Item = &Arc<str>> {
        self.tally.breaker.throttled()
    }

    /// Adds the state of the named accounts, and the shard's tally, to a batch.
    ///
    /// # Panics
    /// Never: the tally can be encoded.
    pub fn add_accounts(&self, accounts: &[AccountId], batch: &mut Batch) {
        for id in accounts {
            if let Some(slot) = self.accounts.get(id) {
                batch.accounts.push((id.clone(), slot.account.encode()));
            }
        }
        let tally = postcard::to_allocvec(&self.tally);
        batch.shard_tally = Some(tally.expect("a tally has no part that cannot be encoded"));
    }

    /// Adds everything that changed since the last checkpoint, and where to resume.
    ///
    /// # Panics
    /// Never: the shard's state can be encoded.
    pub fn add_checkpoint(&self, resume: BTreeMap<TopicIndex, Offset>, batch: &mut Batch) {
        let mut dirty: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, slot)| slot.is_dirty)
            .map(|(id, _)| id.clone())
            .collect();
        dirty.sort();
        batch.accounts.clear();
        self.add_accounts(&dirty, batch);
        batch.offsets = Some(resume);
        let state = postcard::to_allocvec(&self.state);
        batch.shard_state =
            Some(state.expect("a shard's state has no part that cannot be encoded"));
    }

    /// Notes that a checkpoint is durable, and lets go of the accounts that were touched longest
    /// ago, down to `most`.
    pub fn checkpointed(&mut self, most: usize) {
        self.accounts.values_mut().for_each(|slot| slot.is_dirty = false);
        if self.accounts.len() <= most {
            return;
        }
        let mut touched: Vec<u64> = self.accounts.values().map(|slot| slot.touched).collect();
        let excess = self.accounts.len() - most;
        let (_, bound, _) = touched.select_nth_unstable(excess - 1);
        let bound = *bound;
        self.accounts.retain(|_, slot| slot.touched > bound);
    }
}

fn read_or_begin<T: Default + serde::de::DeserializeOwned>(
    stored: Option<&[u8]>,
    unreadable: &mut u64,
) -> T {
    match stored.map(postcard::from_bytes) {
        Some(Ok(read)) => read,
        Some(Err(_)) => {
            *unreadable += 1;
            T::default()
        }
        None => T::default(),
    }
}
