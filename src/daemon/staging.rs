//! What the shards of a store counted of one experimental rule.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::console::{DayView, SampleView, StagingView};
use crate::engine::{Sample, Staging};
use crate::event::EventTime;
use crate::store::{Store, StoreError};

/// Samples that are shown.
const SAMPLES_SHOWN: usize = 20;
/// Days that are shown.
const DAYS_SHOWN: usize = 30;
const DAY_MILLIS: i64 = 86_400_000;

/// Reads and adds up what every shard has stored; a running daemon stores it with every commit.
///
/// # Errors
/// The store cannot be read.
pub fn staged(store: &Store, rule: &str) -> Result<StagingView, StoreError> {
    let mut staging = Staging::default();
    for shard in store.shards()? {
        if let Some(tally) = store.shard(shard).shard_tally()? {
            staging.add(rule, &tally);
        }
    }
    let shards = &staging.shards;
    let sum = |of: fn(&crate::engine::Staged) -> u64| shards.iter().map(of).sum();
    let mut days: BTreeMap<i64, u64> = BTreeMap::new();
    for (day, matches) in shards.iter().flat_map(|one| &one.days) {
        *days.entry(*day).or_default() += u64::from(*matches);
    }
    let since = shards.iter().map(|one| one.since).min();
    let mut samples: Vec<&Sample> = shards.iter().flat_map(|one| &one.samples).collect();
    samples.sort_by(|a, b| (b.time, &a.account).cmp(&(a.time, &b.account)));
    Ok(StagingView {
        rule: rule.to_owned(),
        staged: since.map(text),
        judged_until: since.map(|_| text(staging.latest)),
        staged_days: since.map_or(0.0, |since| days_between(since, staging.latest)),
        matches: sum(|one| one.matches),
        matches_during_incidents: sum(|one| one.during_incidents),
        accounts: sum(crate::engine::Staged::accounts),
        accounts_with_incidents: sum(crate::engine::Staged::accounts_with_incidents),
        accounts_known: store.counts()?.accounts,
        first_match: shards
            .iter()
            .filter_map(|one| one.seen)
            .map(|(first, _)| first)
            .min()
            .map(text),
        last_match: shards.iter().filter_map(|one| one.seen).map(|(_, last)| last).max().map(text),
        days: days
            .into_iter()
            .rev()
            .take(DAYS_SHOWN)
            .map(|(day, matches)| DayView { day: date(day), matches })
            .collect(),
        samples: samples
            .into_iter()
            .take(SAMPLES_SHOWN)
            .map(|one| SampleView {
                time: text(one.time),
                account: one.account.to_string(),
                event: one.event.as_str().to_owned(),
            })
            .collect(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for 285,000 years")]
fn days_between(from: EventTime, to: EventTime) -> f64 {
    to.millis_since(from).max(0) as f64 / DAY_MILLIS as f64
}

fn text(time: EventTime) -> String {
    Timestamp::from_millisecond(time.millis())
        .map_or_else(|_| String::new(), |time| time.to_string())
}

fn date(day: i64) -> String {
    let midnight = text(EventTime::from_millis(day.saturating_mul(DAY_MILLIS)));
    midnight.split('T').next().unwrap_or_default().to_owned()
}
