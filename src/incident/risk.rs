//! The account's risk: what each rule adds, and how it fades.
//!
//! risk(now) = sum over distinct rules of base * multiplier * 2^(-(now - last match) / half-life).
//! A repeated rule refreshes its contribution, it does not stack: one noisy rule cannot reach a
//! threshold by repetition, several different ones can. Nor do two rules stack that measure one fact
//! (the policy's `same-evidence`): the one that says more counts.

use std::sync::Arc;

use super::model::Contribution;
use crate::event::EventTime;
use crate::rulebook::{Multipliers, Policy, Status};

/// Most rules that add to one account's risk.
pub const CONTRIBUTIONS_MAX: usize = 32;

/// What the account and the actor look like at the moment of a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each factor of the policy file")]
pub struct Posture {
    pub two_factor_off: bool,
    pub outside_allowlist: bool,
    pub network_new: bool,
    pub learning: bool,
}

impl Posture {
    /// Returns the product of the factors that apply, and their names.
    pub fn multiplier(self, factors: &Multipliers) -> (f64, Vec<Arc<str>>) {
        let applied = [
            (self.two_factor_off, factors.two_factor_off, "two_factor_off"),
            (self.outside_allowlist, factors.outside_allowlist, "outside_allowlist"),
            (self.network_new, factors.network_new, "network_new"),
            (self.learning, factors.learning, "learning"),
        ];
        let mut product = 1.0;
        let mut reasons = Vec::new();
        for (holds, factor, name) in applied {
            #[expect(clippy::float_cmp, reason = "1 is written as 1")]
            if holds && factor != 1.0 {
                product *= factor;
                reasons.push(name.into());
            }
        }
        (product, reasons)
    }
}

/// Returns what a contribution is worth at `now`: all of it until its own time, half of it a
/// half-life later.
pub(super) fn decayed(contribution: &Contribution, now: EventTime, policy: &Policy) -> f64 {
    let age = now.millis_since(contribution.time).max(0);
    contribution.base * contribution.multiplier * halvings(age, policy.half_life_millis)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of years are exact in an f64")]
fn halvings(age_millis: i64, half_life_millis: i64) -> f64 {
    (-(age_millis as f64) / half_life_millis as f64).exp2()
}

/// Returns the sum over all contributions, or over those of stable rules only.
pub(super) fn total(
    contributions: &[Contribution],
    now: EventTime,
    policy: &Policy,
    counted: Counted,
) -> f64 {
    let counting: Vec<&Contribution> = contributions
        .iter()
        .filter(|contribution| match counted {
            Counted::All => true,
            Counted::Stable => is_trusted(contribution) || is_throttled(contribution),
            Counted::Trusted => is_trusted(contribution),
        })
        .collect();
    // The sum of nothing would be -0.
    worths(&counting, now, policy).into_iter().fold(0.0, std::ops::Add::add)
}

/// Returns what each contribution adds to the risk at `now`: of those that measure one fact
/// (`same-evidence` of the policy) the heaviest counts and the others add 0.
pub fn worths(contributions: &[&Contribution], now: EventTime, policy: &Policy) -> Vec<f64> {
    let mut worths: Vec<f64> =
        contributions.iter().map(|contribution| decayed(contribution, now, policy)).collect();
    for group in &policy.same_evidence {
        let is_of_group = |at: &usize| group.contains(&contributions[*at].rule);
        let heaviest = (0..worths.len())
            .filter(is_of_group)
            .reduce(|heaviest, at| if worths[at] > worths[heaviest] { at } else { heaviest });
        for at in (0..worths.len()).filter(is_of_group) {
            if Some(at) != heaviest {
                worths[at] = 0.0;
            }
        }
    }
    worths
}

/// Which contributions a threshold looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counted {
    /// Also those of rules that are still on test: staff may be told.
    All,
    /// Only what may lead to a mail to the tenant or an action.
    Stable,
    /// Of these, what may do so without a person.
    Trusted,
}

/// Returns whether the contribution's rule was stable when it matched, and not throttled.
pub(super) fn is_trusted(contribution: &Contribution) -> bool {
    &*contribution.status == Status::Stable.as_str()
}

/// The status of a match of a stable rule that hit too many accounts.
const THROTTLED: &str = "throttled";

fn is_throttled(contribution: &Contribution) -> bool {
    &*contribution.status == THROTTLED
}

/// Marks a match of a rule that hits too many accounts.
pub(super) fn distrust(contribution: &mut Contribution) {
    if is_trusted(contribution) {
        contribution.status = THROTTLED.into();
    }
}

/// Puts a match among the contributions: refreshes the rule's own, or adds one. When all places are
/// taken, the one worth least at `now` makes room.
pub(super) fn contribute(
    contributions: &mut Vec<Contribution>,
    fresh: Contribution,
    now: EventTime,
    policy: &Policy,
) {
    if let Some(known) = contributions.iter_mut().find(|known| known.rule == fresh.rule) {
        let matches = known.matches.saturating_add(1);
        if fresh.time >= known.time {
            *known = fresh;
        }
        known.matches = matches;
        return;
    }
    if contributions.len() >= CONTRIBUTIONS_MAX {
        let least = contributions
            .iter()
            .enumerate()
            .min_by(|(_, a), (_, b)| decayed(a, now, policy).total_cmp(&decayed(b, now, policy)))
            .map(|(at, _)| at);
        if let Some(at) = least {
            contributions.remove(at);
        }
    }
    contributions.push(fresh);
}

/// A contribution below this is forgotten: it can no longer decide anything.
const FORGOTTEN_BELOW: f64 = 0.1;

/// Drops what has faded.
pub(super) fn forget_faded(contributions: &mut Vec<Contribution>, now: EventTime, policy: &Policy) {
    contributions.retain(|contribution| decayed(contribution, now, policy) >= FORGOTTEN_BELOW);
}
