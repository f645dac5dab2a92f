//! What the engine counts.

use std::sync::Arc;

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::breaker::Throttling;
use super::outcome::{EventOutcome, Outcome};
use super::rules::Rules;
use crate::detect::correlate::{CorrelationCounts, Counters};
use crate::event::Category;
use crate::rulebook::RuleMeta;

/// The engine's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    events: IntCounterVec,
    matches: IntCounterVec,
    incidents_opened: IntCounter,
    incidents_closed: IntCounter,
    planned: IntCounter,
    /// Accounts whose stored form could not be read and that begin anew.
    pub unreadable_accounts: IntCounter,
    late: IntCounterVec,
    alerts: IntCounterVec,
    skipped: IntCounterVec,
    throttled_matches: IntCounterVec,
    throttled: IntGaugeVec,
    reloads: IntCounterVec,
    reload_successful: IntGauge,
    reload_time: Gauge,
    rules_loaded: IntGauge,
    rules_info: IntGaugeVec,
}

/// Why a correlation did not count a match, or let something go.
const SKIP_REASONS: [&str; 5] =
    ["group_field_missing", "value_field_missing", "too_late", "too_many_groups", "groups_dropped"];

impl Metrics {
    /// Registers everything, at zero.
    #[expect(clippy::too_many_lines, reason = "a list: one metric after another")]
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let metrics = Self {
            events: counters(
                "satpam_events_total",
                "Events by category and what became of them.",
                &["type", "outcome"],
            )?,
            matches: counters(
                "satpam_rule_matches_total",
                "Events at which a rule matched.",
                &["rule_id"],
            )?,
            late: counters(
                "satpam_late_events_total",
                "Events that came too late to be judged, by category.",
                &["type"],
            )?,
            alerts: counters(
                "satpam_alerts_total",
                "Matches that count by themselves, by rule and its level.",
                &["rule_id", "severity"],
            )?,
            skipped: counters(
                "satpam_correlation_skipped_total",
                "Matches that a correlation could not count, and groups it let go, by reason.",
                &["rule_id", "reason"],
            )?,
            throttled_matches: counters(
                "satpam_rule_throttled_matches_total",
                "Matches of a rule while it hit too many accounts to be trusted.",
                &["rule_id"],
            )?,
            throttled: IntGaugeVec::new(
                Opts::new(
                    "satpam_rule_throttled",
                    "Shards in which a rule hits too many accounts to be trusted.",
                ),
                &["rule_id"],
            )?,
            reloads: counters(
                "satpam_rules_reloads_total",
                "Attempts to load the rules, the first included, by how they ended.",
                &["outcome"],
            )?,
            incidents_opened: counter("satpam_incidents_opened_total", "Incidents opened.")?,
            incidents_closed: counter("satpam_incidents_closed_total", "Incidents closed.")?,
            planned: counter(
                "satpam_deliveries_planned_total",
                "Mails and actions that the engine planned.",
            )?,
            unreadable_accounts: counter(
                "satpam_state_unreadable_records_total",
                "Stored accounts and shard states that could not be read and begin anew.",
            )?,
            reload_successful: IntGauge::new(
                "satpam_rules_last_reload_successful",
                "Whether the last attempt to load the rules succeeded.",
            )?,
            reload_time: Gauge::new(
                "satpam_rules_last_reload_timestamp_seconds",
                "When the rules were last loaded with success.",
            )?,
            rules_loaded: IntGauge::new(
                "satpam_rules_loaded",
                "Rules in use, correlations included.",
            )?,
            rules_info: IntGaugeVec::new(
                Opts::new("satpam_rules_info", "The rule set in use; the value is always 1."),
                &["rules_revision"],
            )?,
        };
        registry.register(Box::new(metrics.reload_successful.clone()))?;
        registry.register(Box::new(metrics.reload_time.clone()))?;
        registry.register(Box::new(metrics.rules_loaded.clone()))?;
        registry.register(Box::new(metrics.rules_info.clone()))?;
        registry.register(Box::new(metrics.throttled.clone()))?;
        metrics.zero();
        Ok(metrics)
    }

    fn zero(&self) {
        for category in Category::ALL {
            self.late.with_label_values(&[category.as_str()]);
            for outcome in EventOutcome::ALL {
                self.events.with_label_values(&[category.as_str(), outcome.as_str()]);
            }
        }
        for outcome in ["successful", "failed"] {
            self.reloads.with_label_values(&[outcome]);
        }
    }

    /// Shows a rule set: the figures of each rule are there from the start.
    pub fn show_rules(&self, rules: &Rules) {
        let rulebook = rules.rulebook();
        let mut count = 0;
        for meta in rulebook.detections.iter().map(|rule| &rule.meta) {
            self.show_rule(meta);
            count += 1;
        }
        for meta in rulebook.correlations.iter().map(|rule| &rule.meta) {
            self.show_rule(meta);
            for reason in SKIP_REASONS {
                self.skipped.with_label_values(&[&*meta.key, reason]);
            }
            count += 1;
        }
        self.rules_loaded.set(count);
        self.rules_info.reset();
        self.rules_info.with_label_values(&[&*rulebook.revision]).set(1);
    }

    fn show_rule(&self, meta: &RuleMeta) {
        self.matches.with_label_values(&[&*meta.key]);
        self.throttled_matches.with_label_values(&[&*meta.key]);
        self.throttled.with_label_values(&[&*meta.key]);
        self.alerts.with_label_values(&[&*meta.key, meta.level.as_str()]);
    }

    /// Notes that the rules were loaded, in seconds since the Unix epoch.
    pub fn reloaded(&self, now_seconds: f64) {
        self.reloads.with_label_values(&["successful"]).inc();
        self.reload_successful.set(1);
        self.reload_time.set(now_seconds);
    }

    /// Notes that the rules could not be loaded.
    pub fn reload_failed(&self) {
        self.reloads.with_label_values(&["failed"]).inc();
        self.reload_successful.set(0);
    }

    /// Adds a batch.
    pub fn count(&self, outcome: &Outcome, rules: &Rules) {
        for ((category, fate), count) in &outcome.events {
            self.events.with_label_values(&[category.as_str(), fate.as_str()]).inc_by(*count);
            if *fate == EventOutcome::Late {
                self.late.with_label_values(&[category.as_str()]).inc_by(*count);
            }
        }
        for (rule, count) in &outcome.alerts {
            let meta = rules.meta(*rule);
            let labels = [&*meta.key, meta.level.as_str()];
            self.alerts.with_label_values(&labels).inc_by(*count);
        }
        self.count_skipped(&outcome.skipped, rules);
        for (rule, count) in &outcome.throttled {
            let matches = self.throttled_matches.with_label_values(&[&*rules.meta(*rule).key]);
            matches.inc_by(*count);
        }
        for Throttling { rule, is_throttled, .. } in &outcome.throttlings {
            self.show_throttled([rule], if *is_throttled { 1 } else { -1 });
        }
        for (rule, count) in &outcome.matches {
            self.matches.with_label_values(&[&*rules.meta(*rule).key]).inc_by(*count);
        }
        self.incidents_opened.inc_by(outcome.opened.len() as u64);
        self.incidents_closed.inc_by(outcome.closed.len() as u64);
        self.planned.inc_by(outcome.planned.len() as u64);
    }

    /// Shows that rules are throttled in one shard more (1) or less (-1).
    pub fn show_throttled<'r>(&self, rules: impl IntoIterator<Item = &'r Arc<str>>, change: i64) {
        for rule in rules {
            self.throttled.with_label_values(&[&**rule]).add(change);
        }
    }

    fn count_skipped(&self, skipped: &Counters, rules: &Rules) {
        let correlations = &rules.rulebook().correlations;
        for (correlation, counts) in correlations.iter().zip(&skipped.by_correlation) {
            if *counts == CorrelationCounts::default() {
                continue;
            }
            let counts = [
                counts.group_field_missing,
                counts.value_field_missing,
                counts.too_late,
                counts.too_many_groups,
                counts.groups_dropped,
            ];
            for (reason, count) in SKIP_REASONS.iter().zip(counts) {
                let labels = [&*correlation.meta.key, *reason];
                self.skipped.with_label_values(&labels).inc_by(count);
            }
        }
    }
}
