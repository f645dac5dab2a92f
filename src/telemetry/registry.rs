//! The metrics of the process: one registry that every stage registers on.

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::process_collector::ProcessCollector;
use prometheus::proto::MetricType;
use prometheus::{Gauge, Opts, Registry};

use super::openmetrics;

/// The registry of the process, with what is known of it as a whole.
#[derive(Debug, Clone)]
pub struct Telemetry {
    registry: Registry,
}

impl Telemetry {
    /// Makes a registry that holds the process metrics (`process_*`) and `satpam_build_info`.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        registry.register(Box::new(ProcessCollector::for_self()))?;
        let build = Gauge::with_opts(
            Opts::new("satpam_build_info", "The version that runs; the value is always 1.")
                .const_label("version", env!("CARGO_PKG_VERSION"))
                .const_label("revision", option_env!("SATPAM_REVISION").unwrap_or("unknown")),
        )?;
        build.set(1.0);
        registry.register(Box::new(build))?;
        Ok(Self { registry })
    }

    /// Returns the registry, for the `Metrics::new` of each stage.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Returns all metrics in the text format 0.0.4.
    pub fn text(&self) -> Result<String, prometheus::Error> {
        prometheus::TextEncoder::new().encode_to_string(&self.registry.gather())
    }

    /// Returns all metrics in the `OpenMetrics` format 1.0.0.
    pub fn openmetrics(&self) -> String {
        openmetrics::encode(&self.registry.gather())
    }
}

/// Makes the given label sets appear with the value 0, so that a rate over them is known from the
/// first event on. Meant for labels out of a closed enum: `[[kind.as_str()], …]`.
pub fn start_at_zero<B, const LABELS: usize>(
    metrics: &MetricVec<B>,
    label_sets: impl IntoIterator<Item = [&'static str; LABELS]>,
) -> Result<(), prometheus::Error>
where
    B: MetricVecBuilder,
    B::M: Collector,
{
    for labels in label_sets {
        metrics.get_metric_with_label_values(&labels)?;
    }
    Ok(())
}

/// What a metric is, for the page that lists them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricText {
    pub name: String,
    pub kind: MetricKind,
    pub help: String,
    /// The names of its labels, in alphabetical order.
    pub labels: Vec<String>,
}

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    Counter,
    Gauge,
    Histogram,
    Summary,
    Untyped,
}

impl MetricKind {
    /// Returns the word of the exposition formats.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::Untyped => "untyped",
        }
    }
}

impl From<MetricType> for MetricKind {
    fn from(kind: MetricType) -> Self {
        match kind {
            MetricType::COUNTER => Self::Counter,
            MetricType::GAUGE => Self::Gauge,
            MetricType::HISTOGRAM => Self::Histogram,
            MetricType::SUMMARY => Self::Summary,
            MetricType::UNTYPED => Self::Untyped,
        }
    }
}

/// Returns every metric of the registry by name. A metric whose labels are open (a rule, a
/// partition) is listed only once it has a value.
pub fn catalogue(registry: &Registry) -> Vec<MetricText> {
    let families = registry.gather();
    families
        .iter()
        .map(|family| {
            let first = family.get_metric().first();
            let labels = first.map(|metric| {
                metric.get_label().iter().map(|label| label.name().to_owned()).collect()
            });
            MetricText {
                name: family.name().to_owned(),
                kind: family.get_field_type().into(),
                help: family.help().to_owned(),
                labels: labels.unwrap_or_default(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use prometheus::IntCounterVec;

    use super::*;

    #[test]
    fn a_closed_set_of_labels_is_exposed_at_zero_before_anything_happens() {
        let telemetry = Telemetry::new().unwrap();
        let opts = Opts::new("satpam_mails_total", "Mails by what became of them.");
        let mails = IntCounterVec::new(opts, &["outcome"]).unwrap();
        telemetry.registry().register(Box::new(mails.clone())).unwrap();
        start_at_zero(&mails, [["sent"], ["refused"]]).unwrap();
        let text = telemetry.text().unwrap();
        assert!(text.contains("satpam_mails_total{outcome=\"sent\"} 0\n"), "{text}");
        assert!(text.contains("satpam_mails_total{outcome=\"refused\"} 0\n"), "{text}");
        let listed = catalogue(telemetry.registry());
        let mails = listed.iter().find(|metric| metric.name == "satpam_mails_total").unwrap();
        assert_eq!(
            (mails.kind, mails.labels.as_slice()),
            (MetricKind::Counter, &["outcome".to_owned()][..])
        );
    }

    #[test]
    fn the_process_and_its_version_are_known() {
        let text = Telemetry::new().unwrap().text().unwrap();
        assert!(text.contains("process_resident_memory_bytes "), "{text}");
        assert!(text.contains(concat!("version=\"", env!("CARGO_PKG_VERSION"), "\"")), "{text}");
    }
}
