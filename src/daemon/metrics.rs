//! What the wiring itself counts: how long things take by the clock, which no pure stage reads.

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::event::Category;
use crate::incident::{Incident, Stage};

/// The daemon's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) detection_latency: HistogramVec,
    pub(super) clock_skew: Histogram,
    processing: HistogramVec,
    /// Workers that wait for a disk that refuses.
    pub(super) state_waiting: IntGauge,
    pub(super) checkpoint_seconds: Histogram,
    alerts_open: IntGaugeVec,
}

/// A part of a worker's work.
#[derive(Debug, Clone, Copy)]
pub(super) enum Part {
    Decode,
    Step,
    Commit,
}

impl Part {
    const ALL: [Self; 3] = [Self::Decode, Self::Step, Self::Commit];

    fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Step => "step",
            Self::Commit => "commit",
        }
    }
}

const LATENCY: [f64; 13] =
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const SKEW: [f64; 8] = [0.1, 1.0, 10.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0];
const SHARE: [f64; 10] = [1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 1e-3, 1e-2, 0.1];
const CHECKPOINT: [f64; 9] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

impl Metrics {
    /// Registers everything at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Self {
            detection_latency: HistogramVec::new(
                HistogramOpts::new(
                    "satpam_detection_latency_seconds",
                    "Time from an event, by its producer's clock, until the rules have judged it.",
                )
                .buckets(LATENCY.to_vec()),
                &["type"],
            )?,
            clock_skew: Histogram::with_opts(
                HistogramOpts::new(
                    "satpam_clock_skew_seconds",
                    "How far events lie in the future by our clock; only those that do.",
                )
                .buckets(SKEW.to_vec()),
            )?,
            processing: HistogramVec::new(
                HistogramOpts::new(
                    "satpam_processing_seconds",
                    "Time for one record, as its share of its batch, by the part of the work.",
                )
                .buckets(SHARE.to_vec()),
                &["stage"],
            )?,
            state_waiting: IntGauge::with_opts(Opts::new(
                "satpam_state_waiting_workers",
                "Workers that wait because the disk refuses to take the state.",
            ))?,
            checkpoint_seconds: Histogram::with_opts(
                HistogramOpts::new(
                    "satpam_checkpoint_seconds",
                    "Time to save everything of one shard that changed.",
                )
                .buckets(CHECKPOINT.to_vec()),
            )?,
            alerts_open: IntGaugeVec::new(
                Opts::new(
                    "satpam_alerts_open",
                    "Incidents that are open, by the threshold that they have crossed.",
                ),
                &["severity"],
            )?,
        };
        metrics.show_open(&[]);
        for category in Category::ALL {
            metrics.detection_latency.with_label_values(&[category.as_str()]);
        }
        for part in Part::ALL {
            metrics.processing.with_label_values(&[part.as_str()]);
        }
        registry.register(Box::new(metrics.detection_latency.clone()))?;
        registry.register(Box::new(metrics.clock_skew.clone()))?;
        registry.register(Box::new(metrics.processing.clone()))?;
        registry.register(Box::new(metrics.state_waiting.clone()))?;
        registry.register(Box::new(metrics.checkpoint_seconds.clone()))?;
        registry.register(Box::new(metrics.alerts_open.clone()))?;
        Ok(metrics)
    }

    /// Shows how many incidents are open, by the highest threshold that each has crossed.
    pub(super) fn show_open(&self, open: &[Incident]) {
        for stage in Stage::ALL {
            let count = open.iter().filter(|incident| incident.stage == stage).count();
            let gauge = self.alerts_open.with_label_values(&[stage.as_str()]);
            gauge.set(i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Notes how long one part of the work took for a batch.
    #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer than 2^52 records")]
    pub(super) fn took(&self, part: Part, took: std::time::Duration, records: usize) {
        let share = took.as_secs_f64() / records.max(1) as f64;
        self.processing.with_label_values(&[part.as_str()]).observe(share);
    }
}
