//! Settings of ingestion.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::event::TimeSpan;
use crate::secret::Secret;

/// Settings of ingestion.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `host:port` of the brokers, comma separated.
    pub brokers: String,
    /// The consumer group. All instances of one deployment share it.
    pub group_id: String,
    /// A name of this instance that survives its restart: a restart within the session timeout then
    /// moves no partition. Brokers before 2.3 do not know it.
    pub group_instance_id: Option<String>,
    /// Further properties of librdkafka (TLS, SASL), as its documentation names them. They win over
    /// what satpam sets by itself.
    pub client: BTreeMap<String, Secret>,
    /// Where a partition is read from that this state does not know yet.
    pub start: Start,
    /// Worker threads, 1 to 256; shards are spread over them by number.
    pub workers: usize,
    /// Records handed to a worker at once, 1 to 100,000.
    pub batch_records_max: usize,
    /// Records that may wait for one worker.
    pub queue_records_max: usize,
    /// Bytes of records that may wait for one worker.
    pub queue_bytes_max: usize,
    /// An idle worker is called this often.
    pub idle_interval: TimeSpan,
    /// How often durable offsets are committed to Kafka, for lag monitors.
    pub commit_interval: TimeSpan,
    /// How long a revoked shard may take to finish and save what it has, and how long its start may
    /// take to look up offsets.
    pub rebalance_timeout: TimeSpan,
    /// After this long without a sign the group moves this instance's partitions to others.
    pub session_timeout: TimeSpan,
    pub dead_letter: DeadLetterSettings,
}

/// Where a partition is read from that the state does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    Earliest,
    Latest,
}

/// Where records go that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterSettings {
    pub target: DeadLetterTarget,
    /// Dead letters that may wait to be written; more hold up ingestion.
    pub pending_max: usize,
    /// Bytes of dead letters that may wait to be written.
    pub pending_bytes_max: usize,
}

/// A topic, or a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DeadLetterTarget {
    /// The name of a Kafka topic on the same brokers.
    Topic(String),
    /// JSON lines with the payload in base64.
    File {
        path: PathBuf,
        /// A file of this size, in bytes, is renamed to `NAME.1`, that to `NAME.2`, and so on.
        rotate_bytes: u64,
        /// How many renamed files are kept, 1 or more; the oldest is removed.
        keep: u32,
    },
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            brokers: "localhost:9092".to_owned(),
            group_id: "satpam".to_owned(),
            group_instance_id: None,
            client: BTreeMap::new(),
            start: Start::Earliest,
            workers: 2,
            batch_records_max: 1_000,
            queue_records_max: 20_000,
            queue_bytes_max: 32 << 20,
            idle_interval: TimeSpan::from_millis(50),
            commit_interval: TimeSpan::from_millis(5_000),
            rebalance_timeout: TimeSpan::from_millis(20_000),
            session_timeout: TimeSpan::from_millis(45_000),
            dead_letter: DeadLetterSettings::default(),
        }
    }
}

impl Default for DeadLetterSettings {
    fn default() -> Self {
        Self {
            target: DeadLetterTarget::Topic("satpam.dead-letters".to_owned()),
            pending_max: 10_000,
            pending_bytes_max: 32 << 20,
        }
    }
}

impl Settings {
    /// Checks the ranges; the text names the setting and the range.
    pub fn check(&self) -> Result<(), String> {
        let ranges = [
            ("workers", self.workers, 1, 256),
            ("batch_records_max", self.batch_records_max, 1, 100_000),
            ("queue_records_max", self.queue_records_max, 1, 10_000_000),
            ("queue_bytes_max", self.queue_bytes_max, 1 << 10, 1 << 34),
            ("dead_letter.pending_max", self.dead_letter.pending_max, 1, 10_000_000),
            ("dead_letter.pending_bytes_max", self.dead_letter.pending_bytes_max, 1 << 10, 1 << 34),
        ];
        for (name, value, least, most) in ranges {
            if !(least..=most).contains(&value) {
                return Err(format!("`{name}` is {value}, outside of {least} to {most}"));
            }
        }
        for (name, value, least, most) in [
            ("idle_interval", self.idle_interval, 1, 10_000),
            ("commit_interval", self.commit_interval, 100, 3_600_000),
            ("rebalance_timeout", self.rebalance_timeout, 1_000, 240_000),
            ("session_timeout", self.session_timeout, 6_000, 1_800_000),
        ] {
            if !(least..=most).contains(&value.millis()) {
                let (least, most) = (TimeSpan::from_millis(least), TimeSpan::from_millis(most));
                return Err(format!("`{name}` is {value}, outside of {least} to {most}"));
            }
        }
        for (name, value) in [("brokers", &self.brokers), ("group_id", &self.group_id)] {
            if value.trim().is_empty() {
                return Err(format!("`{name}` is empty"));
            }
        }
        match &self.dead_letter.target {
            DeadLetterTarget::Topic(name) if name.trim().is_empty() => {
                Err("`dead_letter.target.topic` is empty".to_owned())
            }
            DeadLetterTarget::File { keep, .. } if *keep == 0 => {
                Err("`dead_letter.target.file.keep` is 0, less than 1".to_owned())
            }
            DeadLetterTarget::Topic(_) | DeadLetterTarget::File { .. } => Ok(()),
        }
    }
}
