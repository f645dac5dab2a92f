//! The engine against the executable definition: recorded vectors and the worked example.

use serde::Deserialize;

use super::*;
use crate::event::EventTime;

const JAKARTA_SECONDS: i32 = 25_200;
/// The vectors are written with six digits: half a unit of the last one, and nothing of ours.
const TOLERANCE: f64 = 6e-7;

#[derive(Deserialize)]
struct Line {
    s: String,
    prior: f64,
    t: f64,
    n: f64,
    want: Want,
}

#[derive(Deserialize)]
struct Want {
    lam: f64,
    n1: f64,
    l1: f64,
    d1: f64,
    y1: f64,
    n24: f64,
    l24: f64,
    d24: f64,
    y24: f64,
    score: f64,
    alarm: bool,
}

/// The reference's account: one measure that also drives the season.
struct Account {
    normal: Normal,
    prior: f64,
}

impl Account {
    fn new(prior: f64, start: f64) -> Self {
        Self { normal: Normal::new(time(start)), prior }
    }

    fn add(&mut self, at: f64, weight: f64) -> Option<Verdict> {
        let offset = LocalOffset::from_seconds(JAKARTA_SECONDS);
        let key = MeasureKey { rule: 1, group: 0 };
        let parameters = MeasureParameters {
            one_hour: true,
            one_day: true,
            season: true,
            min_excess: 3.0,
            threshold: 7.0,
            prior_per_day: self.prior,
            introduced: None,
        };
        self.normal.advance(time(at), offset, self.prior);
        if weight > 0.0 {
            self.normal.count_messages(time(at), offset, &parameters, weight);
        }
        self.normal.count(key, &parameters, time(at), weight).ok()
    }

    /// Serializes and reads back, as a restart does.
    fn restart(&mut self) {
        let bytes = postcard::to_allocvec(&self.normal).unwrap();
        self.normal = postcard::from_bytes(&bytes).unwrap();
    }
}

#[expect(clippy::cast_possible_truncation, reason = "whole seconds of this century")]
fn time(seconds: f64) -> EventTime {
    EventTime::from_millis((seconds * 1000.0) as i64)
}

fn assert_close(found: f64, wanted: f64, what: &str) {
    let error = (found - wanted).abs() / wanted.abs().max(1.0);
    assert!(error < TOLERANCE, "{what}: {found} is not {wanted}");
}

fn assert_verdict(verdict: &Verdict, want: &Want, what: &str) {
    assert_close(verdict.level_per_day, want.lam, &format!("{what} lam"));
    let (hour, day) = (verdict.one_hour.unwrap(), verdict.one_day.unwrap());
    for (found, wanted, name) in [
        (hour.count, want.n1, "n1"),
        (hour.expected, want.l1, "l1"),
        (hour.deviance, want.d1, "d1"),
        (hour.score, want.y1, "y1"),
        (day.count, want.n24, "n24"),
        (day.expected, want.l24, "l24"),
        (day.deviance, want.d24, "d24"),
        (day.score, want.y24, "y24"),
        (verdict.score, want.score, "score"),
    ] {
        assert_close(found, wanted, &format!("{what} {name}"));
    }
    assert_eq!(verdict.fired, want.alarm, "{what} alarm");
}

#[test]
fn every_recorded_vector_is_reproduced_also_across_restarts() {
    let vectors = include_str!("../../tests/data/baseline_vectors.ndjson");
    let mut account = None;
    let mut scenario = String::new();
    for (number, line) in vectors.lines().enumerate() {
        let line: Line = serde_json::from_str(line).unwrap();
        if line.s != scenario {
            account = Some(Account::new(line.prior, line.t));
            scenario.clone_from(&line.s);
        }
        let account = account.as_mut().unwrap();
        let what = format!("line {} ({})", number + 1, line.s);
        match account.add(line.t, line.n) {
            Some(verdict) => assert_verdict(&verdict, &line.want, &what),
            None => assert!(line.want.score == 0.0, "{what} was not counted"),
        }
        if number % 7 == 0 {
            account.restart();
        }
    }
}

#[test]
fn the_worked_example_holds() {
    let start = 1_767_571_200.0;
    let mut account = Account::new(24.0, start);
    let rows = [
        (3600.0, 1.0, 16.0, [1.0, 0.441_414, 0.0, 0.0], [1.0, 0.750_948, 0.0, 0.0], false),
        (
            5400.0,
            40.0,
            16.0,
            [40.606_531, 0.537_913, 38.370_814, 7.143_459],
            [40.979_382, 1.067_371, 23.091_728, 7.162_693],
            true,
        ),
        (
            7140.0,
            5.0,
            16.0,
            [30.043_031, 0.594_927, 25.674_512, 6.836_315],
            [45.162_358, 1.367_043, 20.834_141, 7.162_355],
            false,
        ),
        (
            10_800.0,
            1.0,
            12.809_233,
            [11.869_536, 0.527_146, 10.248_102, 5.699_727],
            [44.289_185, 1.603_104, 19.497_436, 7.037_708],
            false,
        ),
        (
            10_700.0,
            2.0,
            12.809_233,
            [13.814_745, 0.527_146, 13.679_683, 5.820_295],
            [46.286_871, 1.603_104, 23.798_228, 7.079_593],
            false,
        ),
        (
            6800.0,
            3.0,
            12.809_233,
            [14.802_324, 0.527_146, 15.794_342, 5.875_940],
            [49.151_148, 1.603_104, 27.850_008, 7.136_718],
            false,
        ),
        (97_200.0, 0.0, 6.715_577, [0.0; 4], [0.0; 4], false),
        (
            97_200.0,
            6.0,
            6.715_577,
            [6.0, 0.289_894, 7.596_030, 5.104_415],
            [24.081_697, 4.604_513, 3.352_227, 3.352_227],
            false,
        ),
    ];
    for (at, weight, lam, [n1, l1, d1, y1], [n24, l24, d24, y24], alarm) in rows {
        let verdict = account.add(start + at, weight);
        let want = Want { lam, n1, l1, d1, y1, n24, l24, d24, y24, score: y1.max(y24), alarm };
        match verdict {
            Some(verdict) => assert_verdict(&verdict, &want, &format!("{at} s")),
            None => assert!(weight == 0.0, "{at} s was not counted"),
        }
    }
}

#[test]
fn a_jump_of_years_is_as_if_the_years_had_been_walked() {
    let start = 1_767_571_200.0;
    let mut jumped = Account::new(24.0, start);
    let mut walked = Account::new(24.0, start);
    for step in 0..600 {
        let at = start + f64::from(step) * 1800.0;
        jumped.add(at, 1.0 + f64::from(step % 5));
        walked.add(at, 1.0 + f64::from(step % 5));
    }
    let later = start + 20.0 * 365.25 * 86_400.0;
    let mut at = start + 600.0 * 1800.0;
    while at < later {
        walked.add(at, 0.0);
        at += 30.0 * 86_400.0;
    }
    let (jumped, walked) = (jumped.add(later, 9.0).unwrap(), walked.add(later, 9.0).unwrap());
    for (jumped, walked) in [(jumped.one_hour, walked.one_hour), (jumped.one_day, walked.one_day)] {
        let (jumped, walked) = (jumped.unwrap(), walked.unwrap());
        assert_close(jumped.expected, walked.expected, "expected");
        assert_close(jumped.score, walked.score, "score");
    }
}

#[test]
fn the_ends_of_time_do_no_harm() {
    let mut account = Normal::new(EventTime::from_millis(i64::MIN));
    let offset = LocalOffset::from_seconds(i32::MIN);
    for millis in [i64::MIN, 0, i64::MAX] {
        let time = EventTime::from_millis(millis);
        account.advance(time, offset, 24.0);
        account.count_message(time, offset, 24.0);
    }
}

#[test]
fn what_is_too_late_or_weighs_nothing_is_not_counted() {
    let mut account = Account::new(24.0, 1_767_571_200.0);
    account.add(1_767_771_200.0, 1.0);
    let parameters = MeasureParameters {
        one_hour: true,
        one_day: false,
        season: false,
        min_excess: 0.0,
        threshold: 1.0,
        prior_per_day: 1.0,
        introduced: None,
    };
    let key = MeasureKey { rule: 2, group: 0 };
    let now = 1_767_771_200.0;
    for (at, weight, wanted) in [
        (now - 86_401.0, 1.0, NotCounted::TooLate),
        (now, 0.0, NotCounted::NoWeight),
        (now, f64::NAN, NotCounted::NoWeight),
        (now, f64::INFINITY, NotCounted::NoWeight),
    ] {
        let found = account.normal.count(key, &parameters, time(at), weight);
        assert_eq!(found, Err(wanted), "{weight} at {at}");
    }
    assert!(account.normal.count(key, &parameters, time(now - 86_400.0), 1.0).is_ok());
}

#[test]
fn a_rule_that_is_added_later_does_not_take_the_time_before_for_silence() {
    let start = 1_767_571_200.0;
    let mut account = Account::new(24.0, start);
    for hour in 0..(24 * 60) {
        account.add(start + f64::from(hour) * 3600.0, 1.0);
    }
    let now = account.normal.clock();
    let level = |introduced| {
        let parameters = MeasureParameters {
            one_hour: true,
            one_day: true,
            season: false,
            min_excess: 0.0,
            threshold: 7.0,
            prior_per_day: 24.0,
            introduced,
        };
        let key = MeasureKey { rule: 9, group: 0 };
        account.normal.clone().count(key, &parameters, now, 1.0).unwrap().level_per_day
    };
    assert!((level(Some(now)) - 24.0).abs() < 0.1, "{}", level(Some(now)));
    assert!(level(None) < 0.2, "{}", level(None));
    assert!((level(Some(time(start))) - level(None)).abs() < 1e-6);
}

#[test]
fn a_typical_small_account_takes_less_than_a_kibibyte() {
    let mut account = Account::new(12.0, 1_767_571_200.0);
    for step in 0..2_000 {
        account.add(1_767_571_200.0 + f64::from(step) * 7_300.0, 1.0);
    }
    let bytes = postcard::to_allocvec(&account.normal).unwrap().len();
    assert!(bytes <= 1024, "{bytes} bytes");
}
