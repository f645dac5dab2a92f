//! Figures of the responses. All are there, at zero, from the start.

use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use super::{Outcome, Sink};
use crate::rulebook::ActionKind;

/// See each field's help text.
#[derive(Debug, Clone)]
pub struct Metrics {
    pub(super) notifications: IntCounterVec,
    pub(super) notification_seconds: HistogramVec,
    pub(super) queue_length: IntGaugeVec,
    pub(super) resets: IntCounterVec,
    pub(super) reset_seconds: Histogram,
    pub(super) actions: IntCounterVec,
    pub(super) platform_requests: IntCounterVec,
    pub(super) circuit_state: IntGaugeVec,
    pub(super) alert_latency: HistogramVec,
    pub(super) held: IntGauge,
    pub(super) parked: IntGauge,
    pub(super) budget_left: IntGaugeVec,
    pub(super) store_failures: prometheus::IntCounter,
    pub(super) last_pass: Gauge,
}

const LATENCY: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];
const RESET_OUTCOMES: [&str; 6] =
    ["succeeded", "failed", "refused_budget", "dry_run", "awaiting_approval", "refused"];
const ROLES: [&str; 5] = ["admin", "supervisor", "agent", "other", "all"];
const CODES: [&str; 12] =
    ["200", "201", "202", "404", "409", "422", "429", "2xx", "3xx", "4xx", "5xx", "error"];
const ENDPOINTS: [&str; 3] = ["request", "poll", "undo"];
const ACTION_OUTCOMES: [&str; 5] = ["done", "held", "recorded", "parked", "refused"];

impl Metrics {
    /// Registers everything at zero.
    #[expect(clippy::too_many_lines, reason = "a list: one metric after another")]
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauges = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntGaugeVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let histograms = |name: &str, help: &str| {
            let options = HistogramOpts::new(name, help).buckets(LATENCY.to_vec());
            let metric = HistogramVec::new(options, &["sink"])?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let gauge = |name: &str, help: &str| {
            let metric = IntGauge::new(name, help)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let reset_seconds = Histogram::with_opts(
            HistogramOpts::new(
                "satpam_reset_seconds",
                "Time from the decision to reset passwords (or its approval) to the platform's answer.",
            )
            .buckets(LATENCY.to_vec()),
        )?;
        registry.register(Box::new(reset_seconds.clone()))?;
        let store_failures = prometheus::IntCounter::new(
            "satpam_response_store_failures_total",
            "Reads and writes of the outbox that failed; they are tried again.",
        )?;
        registry.register(Box::new(store_failures.clone()))?;
        let last_pass = Gauge::new(
            "satpam_response_last_pass_timestamp_seconds",
            "When the responder last looked into the outbox.",
        )?;
        registry.register(Box::new(last_pass.clone()))?;
        let metrics = Self {
            notifications: counters(
                "satpam_notifications_total",
                "Tries to deliver an outbox entry, by what became of them.",
                &["sink", "outcome"],
            )?,
            notification_seconds: histograms(
                "satpam_notification_seconds",
                "Time that one try to deliver took.",
            )?,
            queue_length: gauges(
                "satpam_notification_queue_length",
                "Entries that are due and not settled, as far as the last look saw them.",
                &["sink"],
            )?,
            resets: counters(
                "satpam_password_resets_total",
                "Forced password resets by outcome: users by role, or `all` where nobody was reset.",
                &["outcome", "role"],
            )?,
            reset_seconds,
            actions: counters(
                "satpam_responses_total",
                "Platform actions by kind and what became of them.",
                &["kind", "outcome"],
            )?,
            platform_requests: counters(
                "satpam_platform_api_requests_total",
                "Requests to the platform's account API by endpoint and status.",
                &["endpoint", "code"],
            )?,
            circuit_state: gauges(
                "satpam_circuit_state",
                "Circuit breaker of a receiver: 0 closed, 1 probing, 2 open.",
                &["target"],
            )?,
            alert_latency: histograms(
                "satpam_alert_latency_seconds",
                "Time from the event that decided to the first successful delivery.",
            )?,
            held: gauge("satpam_responses_held", "Actions that wait for a person.")?,
            parked: gauge("satpam_responses_parked", "Entries given up after the last try.")?,
            budget_left: gauges(
                "satpam_response_budget_left_accounts",
                "Accounts that may still be acted on without a person, by limit.",
                &["limit"],
            )?,
            store_failures,
            last_pass,
        };
        metrics.zero();
        Ok(metrics)
    }

    fn zero(&self) {
        for sink in Sink::ALL {
            for outcome in Outcome::ALL {
                self.notifications.with_label_values(&[sink.as_str(), outcome.as_str()]);
            }
            self.notification_seconds.with_label_values(&[sink.as_str()]);
            self.alert_latency.with_label_values(&[sink.as_str()]);
            self.queue_length.with_label_values(&[sink.as_str()]).set(0);
        }
        for (outcome, role) in RESET_OUTCOMES.iter().flat_map(|o| ROLES.map(|role| (*o, role))) {
            self.resets.with_label_values(&[outcome, role]);
        }
        for (kind, outcome) in
            ActionKind::ALL.iter().flat_map(|kind| ACTION_OUTCOMES.map(|o| (kind.as_str(), o)))
        {
            self.actions.with_label_values(&[kind, outcome]);
        }
        for (endpoint, code) in ENDPOINTS.iter().flat_map(|e| CODES.map(|code| (*e, code))) {
            self.platform_requests.with_label_values(&[endpoint, code]);
        }
        for target in ["smtp", "platform"] {
            self.circuit_state.with_label_values(&[target]).set(0);
        }
        for limit in ["hour", "day", "share"] {
            self.budget_left.with_label_values(&[limit]).set(0);
        }
    }

    /// Counts one answer of the platform; `None` is no answer.
    pub(super) fn platform_request(&self, endpoint: &str, status: Option<u16>) {
        let code = match status {
            None => "error".to_owned(),
            Some(status) => match status {
                200 | 201 | 202 | 404 | 409 | 422 | 429 => status.to_string(),
                _ => format!("{}xx", (status / 100).clamp(2, 5)),
            },
        };
        self.platform_requests.with_label_values(&[endpoint, &code]).inc();
    }
}

/// Returns the role as a label.
pub(super) fn role_label(role: &str) -> &'static str {
    match role {
        "admin" => "admin",
        "supervisor" => "supervisor",
        "agent" => "agent",
        _ => "other",
    }
}
