//! What the engine counts.

use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

use super::outcome::{EventOutcome, Outcome};
use super::rules::Rules;
use crate::event::Category;

const CATEGORIES: [Category; 6] = [
    Category::Message,
    Category::Template,
    Category::Broadcast,
    Category::Login,
    Category::Change,
    Category::Other,
];

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
    /// Whether the last attempt to load rules succeeded.
    pub reload_successful: IntGauge,
    rules_loaded: IntGauge,
}

impl Metrics {
    /// Registers everything, at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str| -> Result<IntCounter, prometheus::Error> {
            let counter = IntCounter::new(name, help)?;
            registry.register(Box::new(counter.clone()))?;
            Ok(counter)
        };
        let events = IntCounterVec::new(
            Opts::new("satpam_events_total", "Events by category and what became of them."),
            &["type", "outcome"],
        )?;
        registry.register(Box::new(events.clone()))?;
        for category in CATEGORIES {
            for outcome in EventOutcome::ALL {
                events.with_label_values(&[category.as_str(), outcome.as_str()]);
            }
        }
        let matches = IntCounterVec::new(
            Opts::new("satpam_rule_matches_total", "Events at which a rule matched."),
            &["rule_id"],
        )?;
        registry.register(Box::new(matches.clone()))?;
        let reload_successful = IntGauge::new(
            "satpam_rules_last_reload_successful",
            "Whether the last attempt to load the rules succeeded.",
        )?;
        registry.register(Box::new(reload_successful.clone()))?;
        let rules_loaded =
            IntGauge::new("satpam_rules_loaded", "Rules in use, correlations included.")?;
        registry.register(Box::new(rules_loaded.clone()))?;
        Ok(Self {
            events,
            matches,
            incidents_opened: counter("satpam_incidents_opened_total", "Incidents opened.")?,
            incidents_closed: counter("satpam_incidents_closed_total", "Incidents closed.")?,
            planned: counter(
                "satpam_deliveries_planned_total",
                "Mails and actions that the engine planned.",
            )?,
            unreadable_accounts: counter(
                "satpam_state_unreadable_accounts_total",
                "Stored accounts that could not be read and begin anew.",
            )?,
            reload_successful,
            rules_loaded,
        })
    }

    /// Shows a rule set: each rule's counter is there from the start.
    pub fn show_rules(&self, rules: &Rules) {
        let rulebook = rules.rulebook();
        let detections = rulebook.detections.iter().map(|rule| &rule.meta);
        let correlations = rulebook.correlations.iter().map(|rule| &rule.meta);
        let mut count = 0;
        for meta in detections.chain(correlations) {
            self.matches.with_label_values(&[&*meta.key]);
            count += 1;
        }
        self.rules_loaded.set(count);
        self.reload_successful.set(1);
    }

    /// Adds a batch.
    pub fn count(&self, outcome: &Outcome, rules: &Rules) {
        for ((category, fate), count) in &outcome.events {
            self.events.with_label_values(&[category.as_str(), fate.as_str()]).inc_by(*count);
        }
        for (rule, count) in &outcome.matches {
            self.matches.with_label_values(&[&*rules.meta(*rule).key]).inc_by(*count);
        }
        self.incidents_opened.inc_by(outcome.opened.len() as u64);
        self.incidents_closed.inc_by(outcome.closed.len() as u64);
        self.planned.inc_by(outcome.planned.len() as u64);
    }
}
