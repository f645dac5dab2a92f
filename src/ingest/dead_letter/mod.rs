//! Records that cannot be read are kept whole, in a topic or a file, before their offset is passed.
//!
//! Nothing is dropped: a target that does not take them holds up ingestion (a bounded number
//! waits), is tried again for ever, and shows in `satpam_dead_letters_pending` and
//! `satpam_dead_letter_failures_total`. A topic that refuses a record for its size gets it with the
//! payload cut and a header that says so: the record itself is still where it came from.

mod file;
mod topic;

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::metrics::Metrics;
use super::{DeadLetterTarget, Settings};
use crate::event::RawRecord;

/// Why a record is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// A word from a closed set, the label of the metric: `not_json`, `too_large`.
    pub reason: &'a str,
    /// A sentence for people. No part of the payload.
    pub text: &'a str,
}

/// Why dead letters are not written.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    #[error("the producer of dead letters could not be made")]
    Producer(#[source] rdkafka::error::KafkaError),
    #[error("the dead letter file could not be written")]
    File(#[source] std::io::Error),
    /// Try again: nothing is lost.
    #[error("{0} dead letters are not written yet")]
    Pending(usize),
    /// Told to stop while waiting for room. The record was not taken: its offset must not be passed.
    #[error("stopped while waiting to write a dead letter")]
    Stopped,
}

/// Takes dead letters from all workers.
#[derive(Debug)]
pub struct DeadLetters {
    target: Target,
    metrics: Metrics,
    sample: sample::Sampler,
}

#[derive(Debug)]
enum Target {
    Topic(topic::TopicWriter),
    File(file::FileWriter),
}

impl DeadLetters {
    /// Connects to the target. A broker that does not answer is no error: letters wait.
    pub fn open(
        settings: &Settings,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Result<Self, DeadLetterError> {
        let target = match &settings.dead_letter.target {
            DeadLetterTarget::Topic(name) => {
                Target::Topic(topic::TopicWriter::new(settings, name, metrics.clone(), stop)?)
            }
            DeadLetterTarget::File { path, rotate_bytes, keep } => Target::File(
                file::FileWriter::open(path, *rotate_bytes, *keep)
                    .map_err(DeadLetterError::File)?,
            ),
        };
        Ok(Self { target, metrics, sample: sample::Sampler::default() })
    }

    /// Takes a record. It is written for certain only after [`DeadLetters::flush`].
    ///
    /// Waits while too many letters wait already.
    ///
    /// # Errors
    /// The record was not taken: call again, or stop without passing its offset.
    pub fn send(
        &self,
        record: &RawRecord,
        topic: &str,
        refusal: Refusal<'_>,
    ) -> Result<(), DeadLetterError> {
        let sent = match &self.target {
            Target::Topic(writer) => writer.send(record, topic, refusal),
            Target::File(writer) => {
                writer.send(record, topic, refusal).map_err(DeadLetterError::File)
            }
        };
        if let Err(error) = sent {
            self.metrics.dead_letter_failures.inc();
            return Err(error);
        }
        self.metrics.dead_letters.with_label_values(&[refusal.reason]).inc();
        if let Some(left_out) = self.sample.take() {
            tracing::warn!(
                topic,
                partition = %record.shard,
                offset = record.position.offset.0,
                reason = refusal.reason,
                detail = refusal.text,
                left_out,
                "a record was refused and goes to the dead letters"
            );
        }
        Ok(())
    }

    /// Waits until every letter that was taken before this call is written, at most `timeout`.
    ///
    /// # Errors
    /// Not all are written: no offset of their records may be passed. Call again.
    pub fn flush(&self, timeout: Duration) -> Result<(), DeadLetterError> {
        match &self.target {
            Target::Topic(writer) => writer.flush(timeout),
            Target::File(writer) => writer.flush().map_err(|error| {
                self.metrics.dead_letter_failures.inc();
                DeadLetterError::File(error)
            }),
        }
    }
}

/// Bounds how often refused records are logged.
mod sample {
    use std::sync::{Mutex, PoisonError};
    use std::time::Duration;

    use tokio::time::Instant;

    const PER_PERIOD: u32 = 10;
    const PERIOD: Duration = Duration::from_mins(1);

    /// Lets ten through a minute and counts the others.
    #[derive(Debug, Default)]
    pub(super) struct Sampler(Mutex<Window>);

    #[derive(Debug, Default)]
    struct Window {
        began: Option<Instant>,
        passed: u32,
        left_out: u64,
    }

    impl Sampler {
        /// Returns how many were left out since the last one, if this one is to be logged.
        pub(super) fn take(&self) -> Option<u64> {
            let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if window.began.is_none_or(|began| began.elapsed() >= PERIOD) {
                window.began = Some(Instant::now());
                window.passed = 0;
            }
            if window.passed == PER_PERIOD {
                window.left_out += 1;
                return None;
            }
            window.passed += 1;
            Some(std::mem::take(&mut window.left_out))
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn only_ten_of_many_are_logged() {
            let sampler = Sampler::default();
            let logged = (0..1000).filter_map(|_| sampler.take()).count();
            assert_eq!(logged, 10);
        }
    }
}
