//! Every key of the database.
//!
//! Numbers in keys are big-endian, signed ones with the sign bit flipped, so that the order of the
//! bytes is the order of the numbers. "Newest first" numbers are inverted bit by bit.
//!
//! | tree | key | value |
//! |---|---|---|
//! | `meta` | `format` | the version of this layout |
//! | `meta` | `topic/` name | index of the topic, one byte |
//! | `shard/` number | `a` account | state of the account, bytes of the engine |
//! | `shard/` number | `o` topic index | next offset to read, 8 bytes big-endian |
//! | `shard/` number | `s` | state of the whole shard, bytes of the engine |
//! | `shard/` number | `r` | what rules did over all accounts of the shard, bytes of the engine |
//! | `shard/` number | `i` incident id | [`crate::incident::Incident`] |
//! | `shard/` number | `t` open or closed, opened newest first, id | nothing: incidents in order |
//! | `shard/` number | `c` length of account, account, opened newest first, id | nothing: incidents of an account |
//! | `shard/` number | `p` outbox id | [`super::OutboxEntry`] |
//! | `shard/` number | `d` next attempt, id | nothing: entries to send |
//! | `shard/` number | `x` status, created newest first, id | nothing: entries in order |
//! | `shard/` number | `e` settled, id | nothing: entries that can be forgotten some day |
//! | `audit` | running number | [`super::AuditEntry`] |
//! | `respond` | `state` | state of the responder, its own bytes |
//!
//! Every value but "nothing" is wrapped by [`super::envelope`].

use uuid::Uuid;

use super::entry::{OutboxEntry, OutboxStatus};
use crate::clock::WallTime;
use crate::event::{AccountId, EventTime, ShardId, TopicIndex};
use crate::incident::{Incident, IncidentId, IncidentState, OutboxId};

pub(super) const META: &str = "meta";
pub(super) const AUDIT: &str = "audit";
pub(super) const RESPOND: &str = "respond";

pub(super) const FORMAT: &[u8] = b"format";
/// The version of this table.
pub(super) const FORMAT_VERSION: u8 = 1;
pub(super) const RESPOND_STATE: &[u8] = b"state";
pub(super) const TOPIC_PREFIX: &[u8] = b"topic/";
pub(super) const SHARD_STATE: &[u8] = b"s";
pub(super) const SHARD_TALLY: &[u8] = b"r";

pub(super) const ACCOUNT: u8 = b'a';
pub(super) const OFFSET: u8 = b'o';
pub(super) const INCIDENT: u8 = b'i';
pub(super) const OUTBOX: u8 = b'p';
pub(super) const DUE: u8 = b'd';
pub(super) const SETTLED: u8 = b'e';

const SHARD_PREFIX: &str = "shard/";
const UUID_BYTES: usize = 16;
const TIME_BYTES: usize = 8;

/// Returns the name of a shard's tree.
pub(super) fn shard_tree(shard: ShardId) -> String {
    format!("{SHARD_PREFIX}{shard}")
}

/// Reads the name of a shard's tree back; nothing for the other trees.
pub(super) fn shard_of_tree(name: &[u8]) -> Option<ShardId> {
    std::str::from_utf8(name).ok()?.strip_prefix(SHARD_PREFIX)?.parse().ok().map(ShardId)
}

pub(super) fn topic(name: &str) -> Vec<u8> {
    [TOPIC_PREFIX, name.as_bytes()].concat()
}

pub(super) fn account(account: &AccountId) -> Vec<u8> {
    [&[ACCOUNT], account.as_str().as_bytes()].concat()
}

/// Reads the account out of its key.
pub(super) fn account_of(key: &[u8]) -> Option<AccountId> {
    AccountId::new(std::str::from_utf8(key.strip_prefix(&[ACCOUNT])?).ok()?).ok()
}

pub(super) fn offset(topic: TopicIndex) -> [u8; 2] {
    [OFFSET, topic.0]
}

pub(super) fn incident(id: IncidentId) -> Vec<u8> {
    [&[INCIDENT], id.0.as_bytes().as_slice()].concat()
}

pub(super) fn outbox(id: OutboxId) -> Vec<u8> {
    [&[OUTBOX], id.0.as_bytes().as_slice()].concat()
}

pub(super) fn audit(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The prefix under which open or closed incidents stand, newest first.
pub(super) fn incidents_by_state(open: bool) -> [u8; 2] {
    [b't', u8::from(!open)]
}

/// The prefix under which the incidents of one account stand, newest first.
pub(super) fn incidents_by_account(account: &AccountId) -> Vec<u8> {
    let bytes = account.as_str().as_bytes();
    let length = u8::try_from(bytes.len()).expect("an account id has at most 128 bytes");
    [&[b'c', length], bytes].concat()
}

/// The index rows of an incident.
pub(super) fn incident_index(incident: &Incident) -> [Vec<u8>; 2] {
    let open = match incident.state {
        IncidentState::Open => true,
        IncidentState::Closed { .. } => false,
    };
    let order = newest_first(incident.opened.millis());
    let id = incident.id.0.as_bytes();
    [
        [&incidents_by_state(open), order.as_slice(), id].concat(),
        [&incidents_by_account(&incident.account), order.as_slice(), id].concat(),
    ]
}

/// The prefix under which the entries of one status stand, newest first.
pub(super) fn outbox_by_status(status: OutboxStatus) -> [u8; 2] {
    let number = match status {
        OutboxStatus::Due => 0,
        OutboxStatus::Held(_) => 1,
        OutboxStatus::Done => 2,
        OutboxStatus::Recorded => 3,
        OutboxStatus::Parked => 4,
        OutboxStatus::Refused => 5,
    };
    [b'x', number]
}

/// The index rows of an outbox entry.
pub(super) fn outbox_index(entry: &OutboxEntry) -> Vec<Vec<u8>> {
    let id = entry.planned.id.0.as_bytes().as_slice();
    let order = newest_first(entry.planned.created.millis());
    let mut rows = vec![[&outbox_by_status(entry.status), order.as_slice(), id].concat()];
    if entry.status == OutboxStatus::Due {
        rows.push([&[DUE], ordered(entry.next_attempt.0).as_slice(), id].concat());
    }
    if let Some(settled) = entry.settled {
        rows.push([&[SETTLED], ordered(settled.0).as_slice(), id].concat());
    }
    rows
}

/// The first key after all rows of `prefix` (one byte) with a time up to and including `until`.
pub(super) fn after(prefix: u8, until: WallTime) -> Vec<u8> {
    [&[prefix], ordered(until.0).as_slice(), &[0xff; UUID_BYTES], &[0xff]].concat()
}

/// Reads time and id out of a `d` or `e` row.
pub(super) fn timed_row(row: &[u8]) -> Option<(WallTime, Uuid)> {
    let (_, rest) = row.split_first()?;
    let (time, id) = rest.split_first_chunk::<TIME_BYTES>()?;
    Some((WallTime(from_ordered(*time)), Uuid::from_slice(id).ok()?))
}

/// Reads the time and id at the end of a "newest first" row.
pub(super) fn newest_first_row(row: &[u8]) -> Option<(EventTime, Uuid)> {
    let (rest, id) = row.split_last_chunk::<UUID_BYTES>()?;
    let (_, time) = rest.split_last_chunk::<TIME_BYTES>()?;
    Some((EventTime::from_millis(from_ordered(time.map(|byte| !byte))), Uuid::from_bytes(*id)))
}

fn ordered(number: i64) -> [u8; TIME_BYTES] {
    (number ^ i64::MIN).to_be_bytes()
}

fn from_ordered(bytes: [u8; TIME_BYTES]) -> i64 {
    i64::from_be_bytes(bytes) ^ i64::MIN
}

fn newest_first(millis: i64) -> [u8; TIME_BYTES] {
    ordered(millis).map(|byte| !byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_bytes_is_the_order_of_the_numbers() {
        let numbers = [i64::MIN, -5, -1, 0, 1, 256, 1_800_000_000_000, i64::MAX];
        for pair in numbers.windows(2) {
            assert!(ordered(pair[0]) < ordered(pair[1]), "{pair:?}");
            assert!(newest_first(pair[0]) > newest_first(pair[1]), "{pair:?}");
        }
        for number in numbers {
            assert_eq!(from_ordered(ordered(number)), number);
        }
    }

    #[test]
    fn an_account_is_not_a_prefix_of_another_in_the_index() {
        let short = incidents_by_account(&AccountId::new("ab").unwrap());
        let long = incidents_by_account(&AccountId::new("abc").unwrap());
        assert!(!long.starts_with(&short));
    }

    #[test]
    fn the_name_of_a_shard_tree_is_read_back() {
        assert_eq!(shard_of_tree(shard_tree(ShardId(17)).as_bytes()), Some(ShardId(17)));
        for other in ["meta", "audit", "shard/", "shard/x", "__sled__default"] {
            assert_eq!(shard_of_tree(other.as_bytes()), None, "{other}");
        }
    }
}
