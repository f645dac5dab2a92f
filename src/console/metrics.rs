//! What the console counts.

use prometheus::{IntCounterVec, Opts, Registry};

use crate::incident::Verdict;

/// What people can decide about an outbox entry, as paths and labels name it.
pub(super) const DECISIONS: [&str; 6] = ["approve", "deny", "retry", "discard", "undo", "close"];
const OUTCOMES: [&str; 2] = ["done", "refused"];
/// The judgements that staff can give, as the label names them.
const VERDICTS: [(Verdict, &str); 3] = [
    (Verdict::FalsePositive, "false_positive"),
    (Verdict::Resolved, "true_positive"),
    (Verdict::AcceptedRisk, "accepted_risk"),
];

/// See each field's help text.
#[derive(Debug, Clone)]
pub struct Metrics {
    decisions: IntCounterVec,
    feedback: IntCounterVec,
}

impl Metrics {
    /// Registers everything at zero.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let counters = |name: &str, help: &str, labels: &[&str]| {
            let metric = IntCounterVec::new(Opts::new(name, help), labels)?;
            registry.register(Box::new(metric.clone()))?;
            Ok::<_, prometheus::Error>(metric)
        };
        let decisions = counters(
            "satpam_staff_decisions_total",
            "What people asked for on the control socket, and whether it was done.",
            &["decision", "outcome"],
        )?;
        for (decision, outcome) in DECISIONS.iter().flat_map(|d| OUTCOMES.map(|o| (*d, o))) {
            decisions.with_label_values(&[decision, outcome]);
        }
        let feedback = counters(
            "satpam_feedback_total",
            "Incidents that people closed, by their judgement.",
            &["verdict"],
        )?;
        for (_, label) in VERDICTS {
            feedback.with_label_values(&[label]);
        }
        Ok(Self { decisions, feedback })
    }

    pub(super) fn decided(&self, decision: &str, was_done: bool) {
        let outcome = if was_done { "done" } else { "refused" };
        self.decisions.with_label_values(&[decision, outcome]).inc();
    }

    pub(super) fn judged(&self, verdict: Verdict) {
        if let Some((_, label)) = VERDICTS.iter().find(|(known, _)| *known == verdict) {
            self.feedback.with_label_values(&[label]).inc();
        }
    }
}
