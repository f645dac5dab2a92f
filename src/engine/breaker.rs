//! The noisy-rule breaker: a rule that hits far more accounts than it ever did is more likely wrong
//! than right, and must not reset the passwords of half a platform.
//!
//! Counted are the accounts of the shard at which a stable rule matched, by the hour of event time.
//! What is usual is their mean over the hours, the weight of an hour halving in a week. Above
//! `accounts-per-hour + times-usual * usual` (see [`NoisyRules`]) the rule is throttled: it goes on
//! to match, count and alert, but what follows from it for a tenant waits for a person. It is let go
//! after an hour with at most half of that. Hours in which it was throttled are not learnt: noise
//! does not become usual by lasting.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::{AccountId, EventTime};
use crate::rulebook::NoisyRules;

const HOUR_MILLIS: i64 = 3_600_000;
const WEEK_HOURS: i32 = 7 * 24;
/// Accounts told apart for one rule and hour; a rule that hits as many is noisy whatever is usual.
const ACCOUNTS_MAX: usize = 4_096;
/// A mean below this is no history worth keeping.
const USUAL_MIN: f64 = 0.001;

/// What stable rules do over all accounts of a shard.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Breaker {
    /// The hour that is being counted, since the Unix epoch.
    hour: i64,
    /// By the rule's key.
    rules: BTreeMap<Arc<str>, History>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct History {
    /// Hashes of the accounts hit in this hour.
    accounts: BTreeSet<u64>,
    /// Mean accounts an hour, before this one.
    usual: f64,
    is_throttled: bool,
}

/// A rule that was throttled, or let go.
#[derive(Debug, Clone, PartialEq)]
pub struct Throttling {
    pub rule: Arc<str>,
    pub is_throttled: bool,
    /// Accounts hit in the hour that decided.
    pub accounts: usize,
    /// Mean accounts an hour before.
    pub usual: f64,
}

impl Breaker {
    /// Returns whether what follows from a match of the rule has to wait for a person.
    pub(super) fn is_throttled(&self, rule: &str) -> bool {
        self.rules.get(rule).is_some_and(|history| history.is_throttled)
    }

    /// Returns the keys of the rules that are throttled.
    pub(super) fn throttled(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().filter(|(_, history)| history.is_throttled).map(|(rule, _)| rule)
    }

    /// Counts a match of a stable rule.
    pub(super) fn note(
        &mut self,
        rule: &Arc<str>,
        account: &AccountId,
        limits: NoisyRules,
    ) -> Option<Throttling> {
        if !self.rules.contains_key(rule) {
            self.rules.insert(Arc::clone(rule), History::default());
        }
        let history = self.rules.get_mut(rule)?;
        if history.accounts.len() < ACCOUNTS_MAX {
            history.accounts.insert(xxhash_rust::xxh3::xxh3_64(account.as_str().as_bytes()));
        }
        if history.is_throttled || !history.is_above(limits, 1.0) {
            return None;
        }
        history.is_throttled = true;
        Some(history.throttling(rule))
    }

    /// Goes on to the hour of `watermark`, which never goes back.
    pub(super) fn advance(&mut self, watermark: EventTime, limits: NoisyRules) -> Vec<Throttling> {
        let hour = watermark.millis().div_euclid(HOUR_MILLIS);
        if hour <= self.hour {
            return Vec::new();
        }
        // One hour is complete; those behind it had no match at all.
        let empty = i32::try_from(hour - self.hour - 1).unwrap_or(i32::MAX);
        self.hour = hour;
        let mut released = Vec::new();
        self.rules.retain(|rule, history| {
            let was_throttled = history.is_throttled;
            if was_throttled && (empty > 0 || !history.is_above(limits, 0.5)) {
                history.is_throttled = false;
                released.push(history.throttling(rule));
            }
            history.learn(was_throttled, empty);
            history.is_throttled || history.usual >= USUAL_MIN
        });
        released
    }

    /// Forgets the rules that are gone.
    pub(super) fn retain(&mut self, is_known: impl Fn(&str) -> bool) {
        self.rules.retain(|rule, _| is_known(rule));
    }
}

impl History {
    /// Returns whether this hour's accounts are above a share of what is tolerated.
    #[expect(clippy::cast_precision_loss, reason = "a count of at most ACCOUNTS_MAX")]
    fn is_above(&self, limits: NoisyRules, share: f64) -> bool {
        let tolerated = limits.accounts_per_hour + limits.times_usual * self.usual;
        self.accounts.len() >= ACCOUNTS_MAX || self.accounts.len() as f64 > share * tolerated
    }

    /// Closes the hour, and `empty` hours behind it.
    #[expect(clippy::cast_precision_loss, reason = "a count of at most ACCOUNTS_MAX")]
    fn learn(&mut self, was_throttled: bool, empty: i32) {
        let kept = (-1.0 / f64::from(WEEK_HOURS)).exp2();
        if !was_throttled {
            self.usual = self.usual * kept + self.accounts.len() as f64 * (1.0 - kept);
        }
        self.usual *= kept.powi(empty);
        self.accounts.clear();
    }

    fn throttling(&self, rule: &Arc<str>) -> Throttling {
        Throttling {
            rule: Arc::clone(rule),
            is_throttled: self.is_throttled,
            accounts: self.accounts.len(),
            usual: self.usual,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: NoisyRules = NoisyRules { accounts_per_hour: 10.0, times_usual: 8.0 };

    fn at_hour(hour: i64) -> EventTime {
        EventTime::from_millis((500_000 + hour) * HOUR_MILLIS + 17)
    }

    struct Case {
        breaker: Breaker,
        rule: Arc<str>,
    }

    impl Case {
        fn new() -> Self {
            let mut breaker = Breaker::default();
            assert!(breaker.advance(at_hour(0), LIMITS).is_empty());
            Self { breaker, rule: "noisy".into() }
        }

        /// Matches on accounts `0..accounts`, in one hour.
        fn hit(&mut self, accounts: usize) -> Vec<Throttling> {
            let account = |number| AccountId::new(&format!("toko-{number}")).unwrap();
            (0..accounts)
                .filter_map(|number| self.breaker.note(&self.rule, &account(number), LIMITS))
                .collect()
        }

        fn hour(&mut self, hour: i64) -> Vec<Throttling> {
            self.breaker.advance(at_hour(hour), LIMITS)
        }

        fn is_throttled(&self) -> bool {
            self.breaker.is_throttled("noisy")
        }
    }

    #[test]
    fn a_rule_without_a_history_is_throttled_at_the_eleventh_account_of_an_hour() {
        let mut case = Case::new();
        assert!(case.hit(10).is_empty());
        assert!(!case.is_throttled());
        let told = case.hit(11);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].is_throttled && told[0].accounts == 11, "{told:?}");
        assert!(case.hit(30).is_empty(), "it is told once");
        assert_eq!(case.breaker.throttled().collect::<Vec<_>>(), [&case.rule]);
    }

    #[test]
    fn one_account_however_often_it_is_hit_is_no_noise() {
        let mut case = Case::new();
        for _ in 0..1_000 {
            assert!(case.hit(1).is_empty());
        }
    }

    #[test]
    fn the_same_accounts_spread_over_hours_are_no_noise() {
        let mut case = Case::new();
        for hour in 1..100 {
            assert!(case.hit(10).is_empty(), "hour {hour}");
            assert!(case.hour(hour).is_empty());
        }
    }

    #[test]
    fn what_is_usual_is_tolerated_many_times_over() {
        let mut case = Case::new();
        for hour in 1..2_000 {
            case.hit(9);
            case.hour(hour);
        }
        // Usual are 9, so 10 + 8 * 9 are tolerated.
        assert!(case.hit(81).is_empty());
        assert_eq!(case.hit(83).len(), 1);
    }

    #[test]
    fn a_throttled_rule_is_let_go_after_an_hour_with_half_of_what_is_tolerated() {
        let mut case = Case::new();
        case.hit(40);
        assert!(case.hour(1).is_empty());
        case.hit(6);
        assert!(case.hour(2).is_empty());
        assert!(case.is_throttled());
        case.hit(5);
        let told = case.hour(3);
        assert!(matches!(&*told, [one] if !one.is_throttled), "{told:?}");
        assert!(!case.is_throttled());
    }

    #[test]
    fn a_throttled_rule_is_let_go_when_hours_pass_in_silence() {
        let mut case = Case::new();
        case.hit(40);
        assert_eq!(case.hour(5).len(), 1);
        assert!(!case.is_throttled());
    }

    #[test]
    fn noise_does_not_become_usual_by_lasting() {
        let mut case = Case::new();
        for hour in 1..1_000 {
            case.hit(40);
            case.hour(hour);
            assert!(case.is_throttled(), "hour {hour}");
        }
    }

    #[test]
    fn a_rule_that_matches_no_longer_is_forgotten() {
        let mut case = Case::new();
        case.hit(3);
        case.hour(1);
        assert_eq!(case.breaker.rules.len(), 1);
        case.hour(10_000);
        assert!(case.breaker.rules.is_empty());
    }
}
