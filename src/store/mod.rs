//! The only place that knows sled: durable state of the shards, incidents, the outbox and the audit
//! log.
//!
//! Every change is one atomic batch in one tree and is on the disk before the call returns. What a
//! power cut, a kill or a full disk interrupts is gone as a whole. Damage is never read as data:
//! every value carries a checksum, and a database that cannot be opened is set aside under another
//! name, reported, and replaced by an empty one. All keys stand in [`mod@layout`].
//!
//! The calls block on the disk (about a millisecond); async callers use `spawn_blocking`.

mod audit;
mod database;
mod entry;
mod envelope;
mod error;
mod incidents;
mod indexed;
mod inspect;
mod layout;
mod metrics;
mod outbox;
mod shard;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

pub use audit::{Audit, AuditEntry};
pub use entry::{Decision, HoldReason, OutboxEntry, OutboxStatus, UserOutcome};
pub use error::StoreError;
pub use incidents::{IncidentFilter, Incidents};
pub use inspect::{Counts, Verified};
pub use metrics::Metrics;
pub use outbox::{Outbox, OutboxFilter};
pub use shard::{Batch, Committed, ShardStore};

use crate::event::{ShardId, TimeSpan, TopicIndex};
use database::Database;

/// Settings of the store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The state folder. It belongs to one running satpam alone.
    pub path: PathBuf,
    /// Memory for sled's page cache, in bytes. The live state is kept in memory anyway.
    pub cache_bytes: u64,
    /// Whether damaged state is set aside (`NAME.corrupt-1`) and an empty one begun; otherwise
    /// satpam refuses to start.
    pub quarantine: bool,
    /// How long settled outbox entries are kept.
    pub settled_retention: TimeSpan,
    /// How long closed incidents are kept, from when they were opened.
    pub incident_retention: TimeSpan,
}

const DAY_MILLIS: i64 = 86_400_000;

impl Default for Settings {
    fn default() -> Self {
        Self {
            path: PathBuf::from("/var/lib/satpam/state"),
            cache_bytes: 64 << 20,
            quarantine: true,
            settled_retention: TimeSpan::from_millis(90 * DAY_MILLIS),
            incident_retention: TimeSpan::from_millis(365 * DAY_MILLIS),
        }
    }
}

/// A store that was opened.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// Set when damaged state was found and set aside: satpam begins with an empty one.
    pub recovered: Option<Recovered>,
}

/// Damaged state that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Where the damaged state is now.
    pub quarantined: PathBuf,
    pub reason: String,
}

/// Why a change by comparison did not happen.
#[derive(Debug, thiserror::Error)]
pub enum UpdateError<T: std::fmt::Debug> {
    /// Someone else changed it: decide again from what is stored.
    #[error("the record was changed meanwhile")]
    Changed(Box<T>),
    #[error("the record does not exist")]
    Missing,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The store. Clones share it; the last one closes it.
#[derive(Debug, Clone)]
pub struct Store {
    database: Arc<Database>,
}

impl Store {
    /// Opens the state folder, and creates it where it is missing.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::Io`] and [`StoreError::NewerFormat`] leave the folder as
    /// it is. Damage is an error only when the settings say so.
    pub fn open(settings: &Settings, metrics: Metrics) -> Result<Opened, StoreError> {
        let (database, recovered) = Database::open(settings, metrics)?;
        let store = Self { database: Arc::new(database) };
        store.size_bytes()?;
        Ok(Opened { store, recovered })
    }

    /// Returns the index of a topic, the same for ever in this state, whatever the order of the
    /// topics in the configuration.
    pub fn topic_index(&self, name: &str) -> Result<TopicIndex, StoreError> {
        let wanted = layout::topic(name);
        self.database.change(layout::META, |tree, change| {
            let mut next = 0u16;
            for row in tree.scan_prefix(layout::TOPIC_PREFIX) {
                let (key, value) = row?;
                let index = match envelope::open(&key, &value)? {
                    [index] => *index,
                    _ => {
                        return Err(StoreError::Damaged {
                            key: key.escape_ascii().to_string(),
                            what: "it is not the index of a topic",
                        });
                    }
                };
                if key == wanted {
                    return Ok(TopicIndex(index));
                }
                next = next.max(u16::from(index) + 1);
            }
            let index =
                u8::try_from(next).map_err(|_| StoreError::TooManyTopics(name.to_owned()))?;
            change.put(&wanted, envelope::seal(&wanted, &[index]));
            Ok(TopicIndex(index))
        })
    }

    /// Returns one shard's part.
    pub fn shard(&self, shard: ShardId) -> ShardStore {
        ShardStore { database: Arc::clone(&self.database), shard }
    }

    /// Returns the shards that have state, ascending.
    pub fn shards(&self) -> Result<Vec<ShardId>, StoreError> {
        self.database.shards()
    }

    /// Returns the outbox of all shards.
    pub fn outbox(&self) -> Outbox {
        Outbox { database: Arc::clone(&self.database) }
    }

    /// Returns the incidents of all shards.
    pub fn incidents(&self) -> Incidents {
        Incidents { database: Arc::clone(&self.database) }
    }

    /// Returns the audit log.
    pub fn audit(&self) -> Audit {
        Audit { database: Arc::clone(&self.database) }
    }

    /// Returns what the responder stored about itself (its budgets).
    pub fn responder_state(&self) -> Result<Option<Vec<u8>>, StoreError> {
        let key = layout::RESPOND_STATE;
        self.database.read(layout::RESPOND, |tree| match tree.get(key)? {
            Some(value) => Ok(Some(envelope::open(key, &value)?.to_vec())),
            None => Ok(None),
        })
    }

    /// Stores what the responder wants to know after a restart.
    pub fn put_responder_state(&self, state: &[u8]) -> Result<(), StoreError> {
        let key = layout::RESPOND_STATE;
        self.database.change(layout::RESPOND, |_, change| {
            change.put(key, envelope::seal(key, state));
            Ok(())
        })
    }

    /// Counts the records by kind and updates the figures. Reads every key: call it every few
    /// minutes, not for every scrape.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        let counts = inspect::count(&self.database)?;
        for (kind, count) in [
            ("account", counts.accounts),
            ("incident", counts.incidents),
            ("outbox", counts.outbox),
        ] {
            let gauge = self.database.metrics.keys.with_label_values(&[kind]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
        Ok(counts)
    }

    /// Returns the bytes of the state folder on disk and updates the figure.
    pub fn size_bytes(&self) -> Result<u64, StoreError> {
        self.database.size_bytes()
    }

    /// Reads and decodes every record and reports what is wrong.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        inspect::verify(&self.database)
    }

    /// Prints all that the events alone decide (accounts, offsets, incidents, plans), so that two
    /// runs over the same events can be compared.
    pub fn dump(&self) -> Result<String, StoreError> {
        inspect::dump(&self.database)
    }
}
