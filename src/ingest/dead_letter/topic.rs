//! Dead letters as records of a Kafka topic.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{DeadLetterError, Refusal};
use crate::event::RawRecord;
use crate::ingest::metrics::Metrics;
use crate::ingest::queue::record_bytes;
use crate::ingest::{Settings, client};

/// How often a waiting call looks whether it is told to stop, and gives refused letters another try.
const LOOK_AROUND: Duration = Duration::from_millis(200);
/// A payload that the topic refuses for its size is cut to this.
const TRUNCATED_BYTES: usize = 16 << 10;

pub(super) struct TopicWriter {
    producer: ThreadedProducer<Deliveries>,
    topic: String,
    state: Arc<State>,
    pending_max: usize,
    pending_bytes_max: usize,
    stop: CancellationToken,
}

impl std::fmt::Debug for TopicWriter {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("TopicWriter").field("topic", &self.topic).finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State {
    letters: Mutex<Letters>,
    changed: Condvar,
    metrics: Metrics,
}

/// The letters that are not written yet, by their number.
#[derive(Debug, Default)]
struct Letters {
    next: u64,
    bytes: usize,
    waiting: BTreeMap<u64, Letter>,
}

#[derive(Debug)]
struct Letter {
    record: RawRecord,
    topic: String,
    reason: String,
    error: String,
    /// What it counted against the bound when it was taken.
    bytes: usize,
    /// With the producer; otherwise it was refused and is given to it again.
    with_producer: bool,
    /// The size of the whole payload, once it has been cut.
    truncated_from: Option<usize>,
}

/// Hears from the producer what became of each letter.
#[derive(Debug)]
struct Deliveries(Arc<State>);

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        warn!(%error, reason, "kafka client error of the dead letters");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Self::DeliveryOpaque) {
        match result {
            Ok(_) => self.0.written(*number),
            Err((error, _)) => self.0.refused(*number, error),
        }
    }
}

impl TopicWriter {
    pub(super) fn new(
        settings: &Settings,
        topic: &str,
        metrics: Metrics,
        stop: CancellationToken,
    ) -> Result<Self, DeadLetterError> {
        let state = Arc::new(State { letters: Mutex::default(), changed: Condvar::new(), metrics });
        let producer = client::producer(settings)
            .create_with_context(Deliveries(Arc::clone(&state)))
            .map_err(DeadLetterError::Producer)?;
        Ok(Self {
            producer,
            topic: topic.to_owned(),
            state,
            pending_max: settings.dead_letter.pending_max,
            pending_bytes_max: settings.dead_letter.pending_bytes_max,
            stop,
        })
    }

    pub(super) fn send(
        &self,
        record: &RawRecord,
        topic: &str,
        refusal: Refusal<'_>,
    ) -> Result<(), DeadLetterError> {
        let bytes = record_bytes(record);
        let mut letters = self.state.lock();
        while letters.waiting.len() >= self.pending_max
            || (!letters.waiting.is_empty() && letters.bytes + bytes > self.pending_bytes_max)
        {
            if self.stop.is_cancelled() {
                return Err(DeadLetterError::Stopped);
            }
            letters = self.wait(letters, LOOK_AROUND);
            self.give_to_producer(&mut letters);
        }
        let number = letters.next;
        letters.next += 1;
        letters.bytes += bytes;
        let letter = Letter {
            record: record.clone(),
            topic: topic.to_owned(),
            reason: refusal.reason.to_owned(),
            error: refusal.text.to_owned(),
            bytes,
            with_producer: false,
            truncated_from: None,
        };
        letters.waiting.insert(number, letter);
        self.state.observe(&letters);
        self.give_to_producer(&mut letters);
        Ok(())
    }

    pub(super) fn flush(&self, timeout: Duration) -> Result<(), DeadLetterError> {
        let deadline = Instant::now() + timeout;
        let mut letters = self.state.lock();
        let until = letters.next;
        loop {
            let pending = letters.waiting.range(..until).count();
            if pending == 0 {
                return Ok(());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(DeadLetterError::Pending(pending));
            }
            self.give_to_producer(&mut letters);
            letters = self.wait(letters, left.min(LOOK_AROUND));
        }
    }

    /// Gives the producer what it does not have. A full producer gets the rest later.
    fn give_to_producer(&self, letters: &mut Letters) {
        for (number, letter) in &mut letters.waiting {
            if letter.with_producer {
                continue;
            }
            let mut record = BaseRecord::with_opaque_to(&self.topic, Box::new(*number))
                .payload(letter.record.payload.as_slice())
                .headers(letter.headers());
            if let Some(key) = &letter.record.key {
                record = record.key(key.as_slice());
            }
            match self.producer.send::<[u8], [u8]>(record) {
                Ok(()) => letter.with_producer = true,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge), _)) => {
                    letter.truncate(&self.state.metrics);
                }
                Err((error, _)) => {
                    self.state.metrics.dead_letter_failures.inc();
                    tracing::debug!(%error, "the producer takes no dead letter now");
                    return;
                }
            }
        }
    }

    fn wait<'s>(
        &'s self,
        letters: MutexGuard<'s, Letters>,
        longest: Duration,
    ) -> MutexGuard<'s, Letters> {
        self.state.changed.wait_timeout(letters, longest).unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for TopicWriter {
    fn drop(&mut self) {
        // What is not written belongs to offsets that were not passed: it is read again.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue().inflight());
    }
}

impl State {
    fn lock(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn written(&self, number: u64) {
        let mut letters = self.lock();
        if let Some(letter) = letters.waiting.remove(&number) {
            letters.bytes -= letter.bytes;
        }
        self.observe(&letters);
        drop(letters);
        self.changed.notify_all();
    }

    fn refused(&self, number: u64, cause: &KafkaError) {
        if cause.rdkafka_error_code() == Some(RDKafkaErrorCode::PurgeQueue)
            || cause.rdkafka_error_code() == Some(RDKafkaErrorCode::PurgeInflight)
        {
            return;
        }
        self.metrics.dead_letter_failures.inc();
        let mut letters = self.lock();
        if let Some(letter) = letters.waiting.get_mut(&number) {
            letter.with_producer = false;
            if cause.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
                letter.truncate(&self.metrics);
            } else {
                error!(error = %cause, "a dead letter was not written; it is tried again");
            }
        }
        drop(letters);
        self.changed.notify_all();
    }

    fn observe(&self, letters: &Letters) {
        let pending = i64::try_from(letters.waiting.len()).unwrap_or(i64::MAX);
        self.metrics.dead_letters_pending.set(pending);
    }
}

impl Letter {
    /// Leaves what names the record: where it came from, its key and the start of its payload.
    fn truncate(&mut self, metrics: &Metrics) {
        if self.truncated_from.is_some() {
            error!("the dead letter topic refuses even a cut record; raise its max.message.bytes");
            return;
        }
        metrics.dead_letters_truncated.inc();
        self.truncated_from = Some(self.record.payload.len());
        self.record.payload.truncate(TRUNCATED_BYTES);
        self.record.payload.shrink_to_fit();
        self.record.headers = Vec::new();
        self.record.key.take_if(|key| key.len() > TRUNCATED_BYTES);
    }

    /// Ours first, then the record's own.
    fn headers(&self) -> OwnedHeaders {
        let partition = self.record.shard.to_string();
        let offset = self.record.position.offset.0.to_string();
        let truncated = self.truncated_from.map(|whole| whole.to_string());
        let mut own: Vec<(&str, &str)> = vec![
            ("satpam-error", &self.error),
            ("satpam-reason", &self.reason),
            ("satpam-topic", &self.topic),
            ("satpam-partition", &partition),
            ("satpam-offset", &offset),
        ];
        own.extend(truncated.as_deref().map(|whole| ("satpam-truncated-from", whole)));
        let mut headers = OwnedHeaders::new_with_capacity(own.len() + self.record.headers.len());
        for (key, value) in own {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        for (key, value) in &self.record.headers {
            headers = headers.insert(Header { key, value: Some(value) });
        }
        headers
    }
}
