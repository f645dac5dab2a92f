//! The `OpenMetrics` 1.0.0 text format, which the prometheus crate does not write.

use std::fmt::Write;

use prometheus::proto::{LabelPair, MetricFamily, MetricType};

/// Writes the families, in the order given, and the end mark.
pub(super) fn encode(families: &[MetricFamily]) -> String {
    let mut out = String::new();
    for family in families {
        write_family(&mut out, family);
    }
    out.push_str("# EOF\n");
    out
}

fn write_family(out: &mut String, family: &MetricFamily) {
    let kind = family.get_field_type();
    // The family of a counter has no `_total`; one that lacks it in the registry is of unknown type.
    let counter_base = family.name().strip_suffix("_total");
    let (name, type_word) = match (kind, counter_base) {
        (MetricType::COUNTER, Some(base)) => (base, "counter"),
        (MetricType::COUNTER, None) | (MetricType::UNTYPED, _) => (family.name(), "unknown"),
        (MetricType::GAUGE, _) => (family.name(), "gauge"),
        (MetricType::HISTOGRAM, _) => (family.name(), "histogram"),
        (MetricType::SUMMARY, _) => (family.name(), "summary"),
    };
    line(out, format_args!("# TYPE {name} {type_word}"));
    line(out, format_args!("# HELP {name} {}", escaped(family.help())));
    for metric in family.get_metric() {
        let labels = metric.get_label();
        match kind {
            MetricType::COUNTER => {
                sample(out, family.name(), labels, None, metric.get_counter().get_value());
            }
            MetricType::GAUGE => {
                sample(out, name, labels, None, metric.get_gauge().get_value());
            }
            MetricType::HISTOGRAM => write_histogram(out, name, metric),
            MetricType::SUMMARY => write_summary(out, name, metric),
            // The registry makes none.
            MetricType::UNTYPED => {}
        }
    }
}

fn write_histogram(out: &mut String, name: &str, metric: &prometheus::proto::Metric) {
    let (labels, histogram) = (metric.get_label(), metric.get_histogram());
    let bucket_name = format!("{name}_bucket");
    let mut has_infinity = false;
    for bucket in histogram.get_bucket() {
        has_infinity |= bucket.upper_bound().is_infinite();
        let bound = Some(("le", bucket.upper_bound()));
        count(out, &bucket_name, labels, bound, bucket.cumulative_count());
    }
    if !has_infinity {
        let bound = Some(("le", f64::INFINITY));
        count(out, &bucket_name, labels, bound, histogram.get_sample_count());
    }
    count(out, &format!("{name}_count"), labels, None, histogram.get_sample_count());
    sample(out, &format!("{name}_sum"), labels, None, histogram.get_sample_sum());
}

fn write_summary(out: &mut String, name: &str, metric: &prometheus::proto::Metric) {
    let (labels, summary) = (metric.get_label(), metric.get_summary());
    for quantile in summary.get_quantile() {
        sample(out, name, labels, Some(("quantile", quantile.quantile())), quantile.value());
    }
    count(out, &format!("{name}_count"), labels, None, summary.sample_count());
    sample(out, &format!("{name}_sum"), labels, None, summary.sample_sum());
}

fn sample(
    out: &mut String,
    name: &str,
    labels: &[LabelPair],
    bound: Option<(&str, f64)>,
    value: f64,
) {
    let labels = label_text(labels, bound);
    line(out, format_args!("{name}{labels} {}", number(value)));
}

fn count(
    out: &mut String,
    name: &str,
    labels: &[LabelPair],
    bound: Option<(&str, f64)>,
    value: u64,
) {
    let labels = label_text(labels, bound);
    line(out, format_args!("{name}{labels} {value}"));
}

fn label_text(labels: &[LabelPair], bound: Option<(&str, f64)>) -> String {
    let mut parts: Vec<String> = labels
        .iter()
        .map(|label| format!("{}=\"{}\"", label.name(), escaped(label.value())))
        .collect();
    if let Some((name, bound)) = bound {
        parts.push(format!("{name}=\"{}\"", number(bound)));
    }
    if parts.is_empty() { String::new() } else { format!("{{{}}}", parts.join(",")) }
}

/// Bounds need a decimal point (`1.0`); elsewhere it does no harm.
fn number(value: f64) -> String {
    if value.is_nan() {
        "NaN".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned()
    } else {
        format!("{value:?}")
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    writeln!(out, "{text}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    #[test]
    fn counters_gauges_and_histograms_are_written_as_the_standard_asks() {
        let registry = Registry::new();
        let events =
            IntCounterVec::new(Opts::new("satpam_events_total", "Events \"read\"."), &["type"])
                .unwrap();
        events.with_label_values(&["a\"b\\c\nd"]).inc_by(2);
        let lag = IntGauge::new("satpam_lag_messages", "Lag.").unwrap();
        lag.set(-1);
        let opts = HistogramOpts::new("satpam_latency_seconds", "Latency.").buckets(vec![0.5, 1.0]);
        let latency = Histogram::with_opts(opts).unwrap();
        latency.observe(0.75);
        latency.observe(7.0);
        registry.register(Box::new(events)).unwrap();
        registry.register(Box::new(lag)).unwrap();
        registry.register(Box::new(latency)).unwrap();

        let expected = r#"# TYPE satpam_events counter
# HELP satpam_events Events \"read\".
satpam_events_total{type="a\"b\\c\nd"} 2.0
# TYPE satpam_lag_messages gauge
# HELP satpam_lag_messages Lag.
satpam_lag_messages -1.0
# TYPE satpam_latency_seconds histogram
# HELP satpam_latency_seconds Latency.
satpam_latency_seconds_bucket{le="0.5"} 0
satpam_latency_seconds_bucket{le="1.0"} 1
satpam_latency_seconds_bucket{le="+Inf"} 2
satpam_latency_seconds_count 2
satpam_latency_seconds_sum 7.75
# EOF
"#;
        assert_eq!(encode(&registry.gather()), expected);
    }
}
