//! What experimental rules have matched since they were staged: for whoever decides whether one is
//! promoted.
//!
//! A rule is staged at the first event that is judged with it, and again once its detection changes;
//! a new title, level or text keeps what was counted. A rule that is gone, or has another status, is
//! forgotten. Bounded by the number of experimental rules: about 1 KiB for each that matches. No text
//! of a message is kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::rules::Rules;
use super::version;
use crate::baseline::DistinctSample;
use crate::event::{AccountId, EventId, EventTime};
use crate::rulebook::Status;

const DAY_MILLIS: i64 = 86_400_000;
/// Days of which the matches are kept.
const DAYS_MAX: usize = 30;
/// Matches that are kept, each of another account.
const SAMPLES_MAX: usize = 8;

/// The experimental rules of one shard.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Shadow {
    /// The latest event that was judged while there were experimental rules.
    latest: EventTime,
    /// By the rule's key.
    rules: BTreeMap<Arc<str>, Staged>,
    /// Rules that no event was judged with yet, and their versions.
    waiting: Vec<(Arc<str>, u64)>,
}

/// What one experimental rule did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Staged {
    /// Hash of what decides whether the rule matches.
    version: u64,
    /// The first event that was judged with it.
    pub since: EventTime,
    pub matches: u64,
    /// Of those, the ones that came while an incident of the account was open.
    pub during_incidents: u64,
    accounts: DistinctSample,
    accounts_with_incidents: DistinctSample,
    /// The first and the last match.
    pub seen: Option<(EventTime, EventTime)>,
    /// Matches by day since the Unix epoch (UTC), ascending, the latest 30 days with any.
    pub days: Vec<(i64, u32)>,
    /// Matches of different accounts, the latest last.
    pub samples: Vec<Sample>,
}

/// One match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    pub account: AccountId,
    pub event: EventId,
    pub time: EventTime,
}

impl Staged {
    fn new(version: u64, since: EventTime) -> Self {
        Self {
            version,
            since,
            matches: 0,
            during_incidents: 0,
            accounts: DistinctSample::default(),
            accounts_with_incidents: DistinctSample::default(),
            seen: None,
            days: Vec::new(),
            samples: Vec::new(),
        }
    }

    /// Returns how many accounts it matched at; exact up to 256.
    pub fn accounts(&self) -> u64 {
        self.accounts.estimate()
    }

    /// Returns how many accounts it matched at while they had an open incident; exact up to 256.
    pub fn accounts_with_incidents(&self) -> u64 {
        self.accounts_with_incidents.estimate()
    }

    fn note(&mut self, sample: Sample, has_incident: bool) {
        let Sample { account, time, .. } = &sample;
        let hash = xxhash_rust::xxh3::xxh3_64(account.as_str().as_bytes());
        self.matches += 1;
        self.accounts.insert(hash);
        if has_incident {
            self.during_incidents += 1;
            self.accounts_with_incidents.insert(hash);
        }
        let (first, last) = self.seen.unwrap_or((*time, *time));
        self.seen = Some((first.min(*time), last.max(*time)));
        let day = time.millis().div_euclid(DAY_MILLIS);
        match self.days.binary_search_by_key(&day, |(day, _)| *day) {
            Ok(at) => self.days[at].1 = self.days[at].1.saturating_add(1),
            Err(at) => self.days.insert(at, (day, 1)),
        }
        if self.days.len() > DAYS_MAX {
            self.days.remove(0);
        }
        self.samples.retain(|other| other.account != sample.account);
        self.samples.push(sample);
        if self.samples.len() > SAMPLES_MAX {
            self.samples.remove(0);
        }
    }
}

impl Shadow {
    /// Fits what is kept to a rule set.
    pub(super) fn adopt(&mut self, rules: &Rules) {
        let wanted: BTreeMap<&Arc<str>, u64> = rules
            .all()
            .filter(|rule| rules.meta(*rule).status == Status::Experimental)
            .map(|rule| (&rules.meta(rule).key, version::of(rules.rulebook(), rule)))
            .collect();
        self.rules.retain(|key, staged| wanted.get(key) == Some(&staged.version));
        let is_new = |key: &Arc<str>| !self.rules.contains_key(key);
        self.waiting = wanted
            .into_iter()
            .filter(|(key, _)| is_new(key))
            .map(|(key, version)| (Arc::clone(key), version))
            .collect();
    }

    /// Notes that an event is judged.
    pub(super) fn judged(&mut self, time: EventTime) {
        for (key, version) in self.waiting.drain(..) {
            self.rules.insert(key, Staged::new(version, time));
        }
        if !self.rules.is_empty() {
            self.latest = self.latest.max(time);
        }
    }

    #[cfg(test)]
    pub(super) fn matches(&self, rule: &str) -> Option<u64> {
        self.rules.get(rule).map(|staged| staged.matches)
    }

    /// Notes a match; those of rules that are not staged are not wanted.
    pub(super) fn note(&mut self, rule: &str, sample: Sample, has_incident: bool) {
        if let Some(staged) = self.rules.get_mut(rule) {
            staged.note(sample, has_incident);
        }
    }
}

/// What all shards counted of one experimental rule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Staging {
    /// What each shard knows; accounts are in one shard only.
    pub shards: Vec<Staged>,
    /// The latest event that was judged.
    pub latest: EventTime,
}

impl Staging {
    /// Adds the stored tally of one shard; one that cannot be read is left out.
    pub fn add(&mut self, rule: &str, tally: &[u8]) {
        let Ok(tally) = postcard::from_bytes::<super::tally::Tally>(tally) else { return };
        let mut shadow = tally.shadow;
        if let Some(staged) = shadow.rules.remove(rule) {
            self.latest = self.latest.max(shadow.latest);
            self.shards.push(staged);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rulebook::{Sources, compile};

    fn rules(text: &str) -> Rules {
        Rules::new(compile(&Sources::of_rules([("r.yaml", text)])).unwrap().0)
    }

    const RULE: &str = "title: t\nname: r\nstatus: experimental\nlogsource: {product: omnichannel, \
        category: message}\ndetection: {s: {message.text: otp}, condition: s}\n";

    fn at(hours: i64) -> EventTime {
        EventTime::from_millis(1_800_000_000_000 + hours * 3_600_000)
    }

    fn sample(number: i64, hours: i64) -> Sample {
        Sample {
            account: AccountId::new(&format!("toko-{number}")).unwrap(),
            event: EventId::new(&format!("e{number}-{hours}")).unwrap(),
            time: at(hours),
        }
    }

    fn staged(shadow: &Shadow) -> &Staged {
        &shadow.rules["r"]
    }

    #[test]
    fn what_is_kept_is_bounded_and_says_who_and_when() {
        let mut shadow = Shadow::default();
        shadow.adopt(&rules(RULE));
        shadow.judged(at(0));
        for number in 0..100_000 {
            shadow.note("r", sample(number % 50_000, number / 24), number % 4 == 0);
        }
        // One that is late is counted where it belongs.
        shadow.note("r", sample(7, 4_000), false);
        let staged = staged(&shadow);
        assert_eq!((staged.matches, staged.during_incidents), (100_001, 25_000));
        assert!(staged.accounts().abs_diff(50_000) < 7_500, "{}", staged.accounts());
        assert_eq!((staged.days.len(), staged.samples.len()), (DAYS_MAX, SAMPLES_MAX));
        assert!(staged.days.is_sorted());
        assert_eq!(staged.seen, Some((at(0), at(4_166))));
        assert_eq!(staged.samples.last(), Some(&sample(7, 4_000)));
        let bytes = postcard::to_allocvec(&shadow).unwrap();
        assert!(bytes.len() < 2_200, "{}", bytes.len());
    }

    #[test]
    fn few_accounts_are_counted_exactly_and_each_gives_one_sample() {
        let mut shadow = Shadow::default();
        shadow.adopt(&rules(RULE));
        shadow.judged(at(0));
        for hours in 0..10 {
            shadow.note("r", sample(hours % 3, hours), hours > 8);
        }
        shadow.note("other", sample(1, 1), false);
        let staged = staged(&shadow);
        assert_eq!((staged.accounts(), staged.accounts_with_incidents()), (3, 1));
        assert_eq!(staged.samples, [sample(1, 7), sample(2, 8), sample(0, 9)]);
    }

    #[test]
    fn a_rule_begins_anew_when_its_detection_changes_and_not_with_its_title() {
        let mut shadow = Shadow::default();
        shadow.adopt(&rules(RULE));
        shadow.judged(at(1));
        shadow.note("r", sample(1, 1), false);
        for (from, to, matches) in [
            ("title: t", "title: another\nlevel: high", Some((at(1), 1))),
            ("otp", "pin", Some((at(9), 0))),
            ("experimental", "test", None),
        ] {
            let mut shadow = shadow.clone();
            shadow.adopt(&rules(&RULE.replace(from, to)));
            shadow.judged(at(9));
            let found = shadow.rules.get("r").map(|staged| (staged.since, staged.matches));
            assert_eq!(found, matches, "{from} -> {to}");
        }
    }
}
