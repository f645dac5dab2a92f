//! Which scores the baselines reach on ordinary account-days, and from which they should fire here.
//!
//! A baseline's budget is a rate of account-days whose highest score passes the threshold, so the
//! distribution of those maxima on traffic at hand says what a threshold costs there, and which one
//! keeps the budget. Beyond what was seen often, ln(rate) is taken to fall along a line with the
//! score: the tail is exponential, as in the shipped calibration.

use std::collections::HashMap;

use serde::Serialize;

use super::report::count_f64;
use crate::engine::{Observed, Rules};
use crate::rulebook::{Budget, CorrelationIndex, CorrelationKind};

const DAY_MILLIS: i64 = 86_400_000;
/// Scores are told apart by a tenth of a nat, from 0 to 40.
const BINS_PER_NAT: f64 = 10.0;
const BINS: usize = 400;
/// Fewer account-days than this above a score say nothing certain about its rate.
const CERTAIN_RANK: u64 = 10;
/// The line beyond runs through this rank and the one above.
const FAR_RANK: u64 = 200;
/// How far from the shipped threshold a new one may lie, in nats: an attack that nobody has labelled
/// must not be able to move it out of the way.
const CLAMP_NATS: f64 = 2.0;

/// One baseline on the traffic of a backtest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BaselineRow {
    pub rule: std::sync::Arc<str>,
    /// The score, in nats, from which it fires.
    pub fires_from: f64,
    /// False alarms per 1,000 account-days that it may raise, where the rule says so.
    pub budget: Option<f64>,
    /// Ordinary account-days on which it came so far; with labels, those under attack are left out.
    pub account_days: u64,
    pub per_1000_account_days: f64,
    /// The score that would have kept the budget on this traffic, at most 2 nats from the shipped
    /// one; nothing without a budget, or on too little traffic.
    pub fits: Option<f64>,
}

/// The highest score of each account-day.
#[derive(Debug, Default)]
pub(super) struct Calibration {
    /// By baseline and account: the day that is open, and its highest score so far.
    open: HashMap<(CorrelationIndex, usize), (i64, f64)>,
    maxima: HashMap<CorrelationIndex, Histogram>,
}

#[derive(Debug, Clone)]
struct Histogram(Box<[u64; BINS]>);

impl Calibration {
    /// Notes the scores of an ordinary event; `account` is its place in the tally.
    pub(super) fn note(&mut self, account: usize, seen: &Observed<'_>) {
        let day = seen.now().millis().div_euclid(DAY_MILLIS);
        for (baseline, score) in seen.scores.iter().filter(|(_, score)| *score > 0.0) {
            let (open, highest) = self.open.entry((*baseline, account)).or_insert((day, 0.0));
            if *open != day {
                self.maxima.entry(*baseline).or_default().add(*highest);
                (*open, *highest) = (day, 0.0);
            }
            *highest = highest.max(*score);
        }
    }

    /// Returns a row for each baseline, in the order of the rules.
    pub(super) fn rows(&self, rules: &Rules, account_days: f64) -> Vec<BaselineRow> {
        let mut maxima = self.maxima.clone();
        #[expect(clippy::iter_over_hash_type, reason = "sums do not depend on the order")]
        for ((baseline, _), (_, highest)) in &self.open {
            maxima.entry(*baseline).or_default().add(*highest);
        }
        let correlations = (0..).map(CorrelationIndex).zip(&rules.rulebook().correlations);
        correlations
            .filter_map(|(index, correlation)| {
                let CorrelationKind::Baseline(rule) = &correlation.kind else { return None };
                let histogram = maxima.remove(&index).unwrap_or_default();
                let reached = histogram.from(bin(rule.threshold));
                Some(BaselineRow {
                    rule: correlation.meta.key.clone(),
                    fires_from: rule.threshold,
                    budget: rule.budget.map(|budget| budget.per_thousand_days),
                    account_days: reached,
                    per_1000_account_days: per_1000(reached, account_days),
                    fits: rule.budget.and_then(|budget| histogram.fit(budget, account_days)),
                })
            })
            .collect()
    }
}

fn per_1000(count: u64, account_days: f64) -> f64 {
    if account_days > 0.0 { 1000.0 * count_f64(count) / account_days } else { 0.0 }
}

impl Default for Histogram {
    fn default() -> Self {
        Self(Box::new([0; BINS]))
    }
}

impl Histogram {
    fn add(&mut self, score: f64) {
        self.0[bin(score).min(BINS - 1)] += 1;
    }

    /// Returns how many values lie in this bin or above.
    fn from(&self, bin: usize) -> u64 {
        self.0.iter().skip(bin).sum()
    }

    /// Returns the score from which a baseline keeps its budget; nothing where so little traffic
    /// allows less than one day above it.
    fn fit(&self, budget: Budget, account_days: f64) -> Option<f64> {
        let allowed = budget.per_thousand_days / 1000.0 * account_days;
        if allowed < 1.0 {
            return None;
        }
        let score = if allowed >= count_f64(CERTAIN_RANK) {
            let first = (0..=BINS).find(|bin| count_f64(self.from(*bin)) <= allowed)?;
            lower_edge(first)
        } else {
            self.beyond(allowed)?
        };
        let range = budget.threshold - CLAMP_NATS..=budget.threshold + CLAMP_NATS;
        Some(score.clamp(*range.start(), *range.end()))
    }

    /// Returns the score at which the line through two ranks comes down to a count below both.
    fn beyond(&self, count: f64) -> Option<f64> {
        let far_rank = FAR_RANK.min(self.from(0));
        if far_rank <= CERTAIN_RANK {
            return None;
        }
        let (near, far) = (self.score_of_rank(CERTAIN_RANK)?, self.score_of_rank(far_rank)?);
        let drop = (count_f64(far_rank) / count_f64(CERTAIN_RANK)).ln();
        let nats_per_drop = (near - far) / drop;
        (nats_per_drop > 0.0).then(|| near + nats_per_drop * (count_f64(CERTAIN_RANK) / count).ln())
    }

    /// Returns the highest score that so many values reach.
    fn score_of_rank(&self, rank: u64) -> Option<f64> {
        (0..BINS).rev().find(|bin| self.from(*bin) >= rank).map(lower_edge)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "scores are far below 2^32 and not negative; a cast keeps within the type"
)]
fn bin(score: f64) -> usize {
    (score * BINS_PER_NAT).floor() as usize
}

fn lower_edge(bin: usize) -> f64 {
    count_f64(bin as u64) / BINS_PER_NAT
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAYS: f64 = 100_000.0;

    /// So many account-days that the score `x` is reached by `DAYS * e^-x` of them.
    fn exponential() -> Histogram {
        let mut histogram = Histogram::default();
        let reached = |bin: usize| (DAYS * (-lower_edge(bin)).exp()).round();
        for bin in 0..BINS {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            let count = (reached(bin) - reached(bin + 1)) as u64;
            histogram.0[bin] = count;
        }
        histogram
    }

    fn budget(per_thousand_days: f64, threshold: f64) -> Budget {
        Budget { per_thousand_days, threshold }
    }

    #[test]
    fn a_rate_that_was_seen_often_is_read_off_and_a_rare_one_extrapolated() {
        let histogram = exponential();
        for rate in [10.0_f64, 1.0, 0.2, 0.05, 0.02] {
            let expected = (1000.0 / rate).ln();
            let fitted = histogram.fit(budget(rate, expected), DAYS).unwrap();
            assert!((fitted - expected).abs() < 0.25, "{rate}: {fitted} {expected}");
        }
    }

    #[test]
    fn no_stream_moves_a_threshold_by_more_than_two_nats() {
        let histogram = exponential();
        assert_eq!(histogram.fit(budget(1.0, 3.0), DAYS), Some(5.0));
        assert_eq!(histogram.fit(budget(1.0, 12.0), DAYS), Some(10.0));
    }

    #[test]
    fn little_traffic_says_nothing() {
        assert_eq!(exponential().fit(budget(0.009, 11.5), DAYS), None, "less than one day");
        let mut histogram = Histogram::default();
        for score in [1.0, 2.0, 3.0] {
            histogram.add(score);
        }
        assert_eq!(histogram.fit(budget(1.0, 6.0), 1000.0), None, "three scores");
    }
}
