//! Everything that is kept of one account, and its stored form.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::profile::Profile;
use super::recent::RecentIds;
use crate::baseline::Normal;
use crate::detect::correlate::AccountWindows;
use crate::event::{EventTime, Offset, Position};
use crate::incident::Ledger;

/// One account's state. Stored as `postcard` behind the version and checksum of the store.
///
/// Before a field is added, answer what an older reader does with newer bytes and the reverse; a
/// changed layout is a new version of the store's account record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    /// For each input topic (by its index) one more than the offset of the last record applied
    /// here: a replay of what was applied changes nothing. See ADR-0003.
    applied: SmallVec<[i64; 4]>,
    pub(super) first_seen: EventTime,
    /// The latest event time.
    pub(super) last_seen: EventTime,
    pub(super) profile: Profile,
    pub(super) recent: RecentIds,
    pub(super) normal: Normal,
    pub(super) windows: AccountWindows,
    pub(super) ledger: Ledger,
}

/// Bytes that are not an account of this version.
#[derive(Debug, thiserror::Error)]
#[error("the stored account is not readable: {0}")]
pub struct UnreadableAccount(postcard::Error);

impl Account {
    /// Starts an account at its first event.
    pub(super) fn new(first: EventTime, normal: Normal) -> Self {
        Self {
            applied: SmallVec::new(),
            first_seen: first,
            last_seen: first,
            profile: Profile::default(),
            recent: RecentIds::default(),
            normal,
            windows: AccountWindows::default(),
            ledger: Ledger::default(),
        }
    }

    /// Returns whether the record was applied before.
    pub(super) fn has_applied(&self, position: Position) -> bool {
        self.applied
            .get(usize::from(position.topic.0))
            .is_some_and(|next| position.offset < Offset(*next))
    }

    /// Notes that the record is applied.
    pub(super) fn set_applied(&mut self, position: Position) {
        let topic = usize::from(position.topic.0);
        if self.applied.len() <= topic {
            self.applied.resize(topic + 1, 0);
        }
        self.applied[topic] = position.offset.0 + 1;
    }

    /// Returns what its matches add up to.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Returns the tenant's own name, if events told it.
    pub fn name(&self) -> Option<&Arc<str>> {
        self.profile.name.as_ref()
    }

    /// Returns the stored form.
    ///
    /// # Panics
    /// Never: every part can be encoded.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("an account has no part that cannot be encoded")
    }

    /// Reads the stored form.
    pub fn decode(bytes: &[u8]) -> Result<Self, UnreadableAccount> {
        postcard::from_bytes(bytes).map_err(UnreadableAccount)
    }
}
