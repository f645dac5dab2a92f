//! A rule set ready to run: what is compiled from one [`Rulebook`] and used together.

use std::sync::Arc;

use crate::detect::correlate::Correlator;
use crate::detect::{DerivedGroup, Detector};
use crate::rulebook::{
    CorrelationIndex, DetectionIndex, PlanFigures, RuleIndex, RuleMeta, Rulebook,
};

/// The rule set that a step runs with. Immutable; a reload makes another.
#[derive(Debug)]
pub struct Rules {
    pub(super) rulebook: Arc<Rulebook>,
    pub(super) detector: Detector,
    pub(super) correlator: Correlator,
    /// Whether link domains are needed before the rules run.
    pub(super) needs_seen: bool,
    /// Whether a correlation keeps its state with the shard rather than with an account.
    has_shard_state: bool,
}

impl Rules {
    /// Compiles the index and the correlations.
    pub fn new(rulebook: Rulebook) -> Self {
        let rulebook = Arc::new(rulebook);
        let detector = Detector::new(Arc::clone(&rulebook));
        let correlator = Correlator::new(Arc::clone(&rulebook));
        let needs_seen = detector.needs().needs(DerivedGroup::Seen);
        let has_shard_state = rulebook.correlations.iter().any(|one| !one.by_account);
        Self { rulebook, detector, correlator, needs_seen, has_shard_state }
    }

    pub fn rulebook(&self) -> &Rulebook {
        &self.rulebook
    }

    /// Returns what a rule is called and may do.
    pub fn meta(&self, rule: RuleIndex) -> &RuleMeta {
        match rule {
            RuleIndex::Detection(index) => &self.rulebook.detections[index.0 as usize].meta,
            RuleIndex::Correlation(index) => &self.rulebook.correlations[index.0 as usize].meta,
        }
    }

    /// Returns whether a correlation keeps its state with the shard rather than with an account.
    pub fn has_shard_state(&self) -> bool {
        self.has_shard_state
    }

    pub fn detector(&self) -> &Detector {
        &self.detector
    }

    /// Returns every rule: the detections, then the correlations.
    pub fn all(&self) -> impl Iterator<Item = RuleIndex> + '_ {
        let detections = (0..).map(DetectionIndex).zip(&self.rulebook.detections);
        let correlations = (0..).map(CorrelationIndex).zip(&self.rulebook.correlations);
        detections
            .map(|(index, _)| RuleIndex::Detection(index))
            .chain(correlations.map(|(index, _)| RuleIndex::Correlation(index)))
    }

    /// Returns whether there is any correlation to feed.
    pub fn has_correlations(&self) -> bool {
        !self.rulebook.correlations.is_empty()
    }

    /// Returns what an account of a plan does before it is known.
    pub fn plan(&self, name: Option<&str>) -> &PlanFigures {
        let known = self.rulebook.policy.plans.iter().find(|(plan, _)| Some(&**plan) == name);
        known.map_or(&UNKNOWN_PLAN, |(_, figures)| figures)
    }

    /// Returns whether a match of the rule counts by itself.
    pub fn reports(&self, rule: RuleIndex) -> bool {
        match rule {
            RuleIndex::Detection(index) => self.rulebook.detections[index.0 as usize].reports,
            RuleIndex::Correlation(index) => self.rulebook.correlations[index.0 as usize].reports,
        }
    }
}

/// What is assumed of an account whose plan is not in the policy.
const UNKNOWN_PLAN: PlanFigures = PlanFigures {
    messages: 64.0,
    first_contacts: 19.0,
    broadcasts: 0.07,
    templates: 0.07,
    broadcast_size: 50.0,
};
