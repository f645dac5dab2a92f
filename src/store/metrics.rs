//! The figures of the store.

use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge, IntGaugeVec, Opts, Registry};

/// The figures of the store.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// Bytes of the state folder on disk.
    pub size_bytes: IntGauge,
    /// Time from the start of a commit until it is on the disk.
    pub flush_seconds: Histogram,
    /// How often damaged state was set aside and satpam began with an empty one.
    pub recovered: IntCounter,
    /// Commits that the disk refused.
    pub failures: IntCounter,
    /// Records in the store by kind.
    pub keys: IntGaugeVec,
}

impl Metrics {
    /// Registers all figures at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            size_bytes: IntGauge::new(
                "satpam_state_size_bytes",
                "Bytes of the state folder on disk.",
            )?,
            flush_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "satpam_state_flush_seconds",
                    "Time from the start of a commit until it is on the disk.",
                )
                .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0]),
            )?,
            recovered: IntCounter::new(
                "satpam_state_recovered_total",
                "How often damaged state was set aside and an empty one was begun.",
            )?,
            failures: IntCounter::new(
                "satpam_state_commit_failures_total",
                "Commits that the disk refused, for example because it is full.",
            )?,
            keys: IntGaugeVec::new(
                Opts::new("satpam_state_keys", "Records in the store by kind."),
                &["kind"],
            )?,
        };
        for kind in ["account", "incident", "outbox"] {
            metrics.keys.with_label_values(&[kind]).set(0);
        }
        registry.register(Box::new(metrics.size_bytes.clone()))?;
        registry.register(Box::new(metrics.flush_seconds.clone()))?;
        registry.register(Box::new(metrics.recovered.clone()))?;
        registry.register(Box::new(metrics.failures.clone()))?;
        registry.register(Box::new(metrics.keys.clone()))?;
        Ok(metrics)
    }
}
