//! Everything that is kept of one account, and its stored form.

use serde::{Deserialize, Serialize};

use super::applied::Applied;
use super::profile::Profile;
use super::recent::RecentIds;
use crate::baseline::Normal;
use crate::detect::correlate::AccountWindows;
use crate::event::EventTime;
use crate::incident::Ledger;

/// One account's state. Stored as `postcard` behind the version and checksum of the store.
///
/// Before a field is added, answer what an older reader does with newer bytes and the reverse; a
/// changed layout is a new version of the store's account record.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Account {
    pub(super) applied: Applied,
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
            applied: Applied::default(),
            first_seen: first,
            last_seen: first,
            profile: Profile::default(),
            recent: RecentIds::default(),
            normal,
            windows: AccountWindows::default(),
            ledger: Ledger::default(),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        EventOutcome, Incoming, NoAccounts, Rules, Settings, Shard, Workspace, step,
    };
    use crate::event::{
        AccountId, Document, Event, EventId, EventType, Offset, Position, ShardId, TopicIndex,
    };
    use crate::rulebook::{Sources, compile};

    /// More than the recent ids that an account keeps: those hid the fault in small replays.
    const RECORDS: i64 = 1_500;

    fn record(offset: i64) -> Incoming {
        let event = Event::new(
            EventId::new(&format!("e{offset}")).unwrap(),
            EventType::new("message.sent"),
            EventTime::from_millis(1_800_000_000_000 + offset),
            AccountId::new("toko").unwrap(),
            Document::parse(b"{}".to_vec()).unwrap(),
        );
        let position = Position { topic: TopicIndex(0), offset: Offset(offset) };
        Incoming { position, events: vec![event] }
    }

    /// A crash between an urgent commit and the checkpoint replays records that an account has
    /// applied already. The first of them used to set the account back to itself, so that all
    /// behind it were applied again; a daemon killed again and again showed it.
    #[test]
    fn every_record_of_a_long_replay_is_known_to_be_applied() {
        let (rulebook, _) = compile(&Sources::of_rules([])).unwrap();
        let rules = Rules::new(rulebook);
        let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
        for expected in [EventOutcome::Processed, EventOutcome::Replayed] {
            let records = (0..RECORDS).map(record).collect();
            let settings = Settings::default();
            let mut workspace = Workspace::default();
            let outcome =
                step(&mut shard, &rules, &settings, records, &mut workspace, &mut |_| {}).unwrap();
            let fates: Vec<_> =
                outcome.events.iter().map(|((_, fate), count)| (*fate, *count)).collect();
            assert_eq!(fates, [(expected, RECORDS.unsigned_abs())]);
        }
    }
}
