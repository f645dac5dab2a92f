//! When a failed delivery is tried again. Pure.
//!
//! The jitter is a function of the entry's id and the number of the try, so that a restart computes
//! the same times and a thousand entries that failed together do not come back together.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::WallTime;
use crate::event::TimeSpan;
use crate::incident::OutboxId;

/// How often and how soon a delivery is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetrySettings {
    /// Wait after the first failure; it doubles with each further one. At least 1 ms.
    pub first_wait: TimeSpan,
    /// Longest wait between two tries, also where the receiver asks for more.
    pub longest_wait: TimeSpan,
    /// Tries before the entry is parked, at least 1.
    pub attempts: u32,
}

impl Default for RetrySettings {
    /// 5 s doubling to 1 h; 30 tries are about 21 hours.
    fn default() -> Self {
        Self {
            first_wait: TimeSpan::from_millis(5_000),
            longest_wait: TimeSpan::from_millis(3_600_000),
            attempts: 30,
        }
    }
}

/// What follows a failed try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    TryAt(WallTime),
    /// It was the last try.
    GiveUp,
}

/// Decides what follows the failure of try number `attempts` (the first is 1).
///
/// A wait is `first_wait * 2^(attempts - 1)`, at most `longest_wait`, spread by up to a fifth in
/// either direction. `retry_after`, what the receiver asked for, wins where it is longer, up to
/// `longest_wait`; its spread only adds, since coming early would break the request.
pub(super) fn after_failure(
    settings: RetrySettings,
    id: OutboxId,
    attempts: u32,
    retry_after: Option<TimeSpan>,
    now: WallTime,
) -> Next {
    if attempts >= settings.attempts.max(1) {
        return Next::GiveUp;
    }
    let longest = settings.longest_wait.millis().max(1);
    let doublings = attempts.saturating_sub(1).min(62);
    let own = settings.first_wait.millis().max(1).saturating_mul(1i64 << doublings).min(longest);
    let asked = retry_after.map_or(0, |span| span.millis().min(longest));
    let wait = if asked > own {
        asked.saturating_add(spread(id, attempts, asked / 10))
    } else {
        (own - own / 5).saturating_add(spread(id, attempts, own / 5 * 2))
    };
    Next::TryAt(WallTime(now.0.saturating_add(wait.max(1))))
}

/// Returns a number in `0..=width` that depends only on the id and the number of the try.
pub(super) fn spread(id: OutboxId, attempts: u32, width: i64) -> i64 {
    let hash = xxh3_64_with_seed(id.0.as_bytes(), u64::from(attempts));
    let width = width.clamp(0, i64::MAX - 1);
    i64::try_from(hash % (width.unsigned_abs() + 1)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const NOW: WallTime = WallTime(1_000_000);

    fn id(number: u128) -> OutboxId {
        OutboxId(Uuid::from_u128(number))
    }

    fn wait(attempts: u32, retry_after_seconds: Option<i64>) -> Option<i64> {
        let asked = retry_after_seconds.map(|seconds| TimeSpan::from_millis(seconds * 1000));
        match after_failure(RetrySettings::default(), id(7), attempts, asked, NOW) {
            Next::TryAt(at) => Some(at.0 - NOW.0),
            Next::GiveUp => None,
        }
    }

    #[test]
    fn waits_double_up_to_the_longest_within_a_fifth() {
        for (attempts, nominal) in
            [(1, 5_000), (2, 10_000), (3, 20_000), (8, 640_000), (11, 3_600_000), (29, 3_600_000)]
        {
            let wait = wait(attempts, None).unwrap();
            assert!(
                (nominal * 4 / 5..=nominal * 6 / 5).contains(&wait),
                "try {attempts}: {wait} is not near {nominal}"
            );
        }
    }

    #[test]
    fn the_last_try_gives_up() {
        for (attempts, again) in
            [(28, true), (29, true), (30, false), (31, false), (u32::MAX, false)]
        {
            assert_eq!(wait(attempts, None).is_some(), again, "try {attempts}");
        }
    }

    #[test]
    fn a_request_to_come_later_is_honoured_and_bounded() {
        for (asked, least, most) in [
            (0, 4_000, 6_000),
            (1, 4_000, 6_000),
            (60, 60_000, 66_000),
            (3_600, 3_600_000, 3_960_000),
            (86_400, 3_600_000, 3_960_000),
            (i64::MAX / 1000, 3_600_000, 3_960_000),
        ] {
            let wait = wait(1, Some(asked)).unwrap();
            assert!((least..=most).contains(&wait), "Retry-After {asked}: {wait}");
        }
    }

    #[test]
    fn entries_that_failed_together_do_not_come_back_together() {
        let times: std::collections::BTreeSet<i64> = (0..200)
            .filter_map(|number| {
                match after_failure(RetrySettings::default(), id(number), 3, None, NOW) {
                    Next::TryAt(at) => Some(at.0),
                    Next::GiveUp => None,
                }
            })
            .collect();
        assert!(times.len() > 150, "{} different times", times.len());
    }

    proptest! {
        #[test]
        fn no_setting_and_no_answer_can_overflow_or_go_back_in_time(
            first in any::<i64>(), longest in any::<i64>(), limit in any::<u32>(),
            attempts in any::<u32>(), asked in any::<Option<i64>>(), now in any::<i64>(),
        ) {
            let settings = RetrySettings {
                first_wait: TimeSpan::from_millis(first),
                longest_wait: TimeSpan::from_millis(longest),
                attempts: limit,
            };
            let asked = asked.map(TimeSpan::from_millis);
            let next = after_failure(settings, id(3), attempts, asked, WallTime(now));
            prop_assert_eq!(next, after_failure(settings, id(3), attempts, asked, WallTime(now)));
            if let Next::TryAt(at) = next {
                prop_assert!(at.0 > now || now == i64::MAX);
            }
        }
    }
}
