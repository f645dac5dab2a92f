//! What an event costs in the baselines of an account with six measures.

use divan::Bencher;
use satpam::baseline::{LocalOffset, MeasureKey, MeasureParameters, Normal};
use satpam::event::EventTime;

fn main() {
    divan::main();
}

const START: i64 = 1_767_571_200_000;
const PARAMETERS: MeasureParameters = MeasureParameters {
    one_hour: true,
    one_day: true,
    season: true,
    min_excess: 3.0,
    threshold: 7.0,
    prior_per_day: 24.0,
    introduced: None,
};

/// One event a step: the season's own measure and `measures` of rules.
#[divan::bench(args = [0, 1, 5])]
fn event(bencher: Bencher<'_, '_>, measures: u64) {
    let offset = LocalOffset::from_seconds(25_200);
    let mut normal = Normal::new(EventTime::from_millis(START));
    let mut millis = START;
    bencher.counter(1_usize).bench_local(|| {
        millis += 20_000;
        let time = EventTime::from_millis(millis);
        normal.advance(time, offset, 24.0);
        normal.count_message(time, offset, 24.0);
        let mut score = 0.0;
        for rule in 0..measures {
            let key = MeasureKey { rule, group: 0 };
            if let Ok(verdict) = normal.count(key, &PARAMETERS, time, 1.0) {
                score += verdict.score;
            }
        }
        score
    });
}

/// A return after a gap of so many hours.
#[divan::bench(args = [24, 720, 26_208])]
fn gap(bencher: Bencher<'_, '_>, hours: i64) {
    let offset = LocalOffset::from_seconds(25_200);
    let mut normal = Normal::new(EventTime::from_millis(START));
    let mut millis = START;
    bencher.bench_local(|| {
        millis += hours * 3_600_000;
        let time = EventTime::from_millis(millis);
        normal.advance(time, offset, 24.0);
        normal.count_message(time, offset, 24.0);
    });
}
