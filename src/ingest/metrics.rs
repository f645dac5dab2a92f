//! The figures of ingestion.

use prometheus::{GaugeVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

/// The figures of ingestion.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Records in a partition that are not handled yet, by topic and partition.
    pub lag: IntGaugeVec,
    /// The same summed over the partitions that this instance reads, by topic.
    pub topic_lag: IntGaugeVec,
    /// Kafka's timestamp of the last record that was read, by topic and partition.
    pub last_message_timestamp: GaugeVec,
    /// Rebalances by what happened: assigned, revoked, lost.
    pub rebalances: IntCounterVec,
    /// Offset commits that the broker refused or did not answer.
    pub commit_failures: IntCounter,
    /// Partitions that are assigned to this instance.
    pub assigned_partitions: IntGauge,
    /// Times that a full worker made us stop fetching its partitions.
    pub pauses: IntCounter,
    /// Records that Kafka had deleted before we read them.
    pub missed_messages: IntCounter,
    /// Stored offsets that were outside of the partition, by reason: gap, recreated.
    pub offsets_out_of_range: IntCounterVec,
    /// Errors that the client reported and recovers from by itself.
    pub client_errors: IntCounter,
    /// Records that were written to the dead letters, by reason.
    pub dead_letters: IntCounterVec,
    /// Writes of dead letters that failed and are tried again.
    pub dead_letter_failures: IntCounter,
    /// Dead letters whose payload was cut because the topic refuses so large a record.
    pub dead_letters_truncated: IntCounter,
    /// Dead letters that wait to be written.
    pub dead_letters_pending: IntGauge,
}

impl Metrics {
    /// Registers all figures, at zero where their labels are known.
    #[expect(clippy::too_many_lines, reason = "a list: one metric after another")]
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            lag: IntGaugeVec::new(
                Opts::new(
                    "satpam_kafka_consumer_lag_messages",
                    "Records in the partition that are not handled yet.",
                ),
                &["topic", "partition"],
            )?,
            topic_lag: IntGaugeVec::new(
                Opts::new(
                    "satpam_kafka_topic_lag_messages",
                    "Records in this instance's partitions of a topic that are not handled yet.",
                ),
                &["topic"],
            )?,
            last_message_timestamp: GaugeVec::new(
                Opts::new(
                    "satpam_kafka_last_message_timestamp_seconds",
                    "Kafka's timestamp of the last record that was read.",
                ),
                &["topic", "partition"],
            )?,
            rebalances: IntCounterVec::new(
                Opts::new(
                    "satpam_kafka_rebalances_total",
                    "Changes of the assignment: assigned, revoked, lost.",
                ),
                &["kind"],
            )?,
            commit_failures: IntCounter::new(
                "satpam_kafka_commit_failures_total",
                "Offset commits that the broker refused or did not answer.",
            )?,
            assigned_partitions: IntGauge::new(
                "satpam_kafka_assigned_partitions",
                "Partitions that are assigned to this instance.",
            )?,
            pauses: IntCounter::new(
                "satpam_kafka_pauses_total",
                "Times that a full worker made us stop fetching its partitions.",
            )?,
            missed_messages: IntCounter::new(
                "satpam_kafka_missed_messages_total",
                "Records that Kafka had deleted before they were read.",
            )?,
            offsets_out_of_range: IntCounterVec::new(
                Opts::new(
                    "satpam_kafka_offsets_out_of_range_total",
                    "Stored offsets outside of the partition: gap (deleted records), recreated.",
                ),
                &["reason"],
            )?,
            client_errors: IntCounter::new(
                "satpam_kafka_client_errors_total",
                "Errors of the Kafka client that it recovers from by itself.",
            )?,
            dead_letters: IntCounterVec::new(
                Opts::new(
                    "satpam_dead_letters_total",
                    "Records that were written to the dead letters, by reason.",
                ),
                &["reason"],
            )?,
            dead_letter_failures: IntCounter::new(
                "satpam_dead_letter_failures_total",
                "Writes of dead letters that failed and are tried again.",
            )?,
            dead_letters_truncated: IntCounter::new(
                "satpam_dead_letters_truncated_total",
                "Dead letters whose payload was cut because the topic refuses so large a record.",
            )?,
            dead_letters_pending: IntGauge::new(
                "satpam_dead_letters_pending",
                "Dead letters that wait to be written.",
            )?,
        };
        metrics.register(registry).map(|()| metrics)
    }

    fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        for kind in ["assigned", "revoked", "lost"] {
            self.rebalances.with_label_values(&[kind]).inc_by(0);
        }
        for reason in ["gap", "recreated"] {
            self.offsets_out_of_range.with_label_values(&[reason]).inc_by(0);
        }
        registry.register(Box::new(self.lag.clone()))?;
        registry.register(Box::new(self.topic_lag.clone()))?;
        registry.register(Box::new(self.last_message_timestamp.clone()))?;
        registry.register(Box::new(self.rebalances.clone()))?;
        registry.register(Box::new(self.commit_failures.clone()))?;
        registry.register(Box::new(self.assigned_partitions.clone()))?;
        registry.register(Box::new(self.pauses.clone()))?;
        registry.register(Box::new(self.missed_messages.clone()))?;
        registry.register(Box::new(self.offsets_out_of_range.clone()))?;
        registry.register(Box::new(self.client_errors.clone()))?;
        registry.register(Box::new(self.dead_letters.clone()))?;
        registry.register(Box::new(self.dead_letter_failures.clone()))?;
        registry.register(Box::new(self.dead_letters_truncated.clone()))?;
        registry.register(Box::new(self.dead_letters_pending.clone()))?;
        Ok(())
    }
}
