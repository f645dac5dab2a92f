//! When businesses write: by hour, weekday, payday and double date, in Jakarta's time.

use crate::event::EventTime;

/// Jakarta is seven hours ahead of UTC all year.
pub(super) const JAKARTA_MILLIS: i64 = 7 * super::HOUR;

/// Share of each local hour, the mean being 1.
const HOURS: [f64; 24] = [
    0.1, 0.05, 0.05, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 2.1, 2.2, 2.0, 1.5, 1.8, 2.0, 1.9, 1.7, 1.4,
    1.1, 1.0, 0.8, 0.6, 0.4, 0.25,
];

/// The same in Ramadan: before dawn, and after the fast is broken.
const RAMADAN_HOURS: [f64; 24] = [
    0.2, 0.1, 0.3, 0.9, 0.9, 0.5, 0.4, 0.6, 1.2, 1.7, 1.7, 1.5, 1.2, 1.3, 1.6, 1.8, 1.8, 1.1, 0.7,
    1.4, 1.7, 1.5, 0.9, 0.4,
];

/// First day, by year, month and day, and number of days.
const RAMADANS: [((i16, i8, i8), i32); 4] =
    [((2025, 3, 1), 30), ((2026, 2, 18), 30), ((2027, 2, 8), 30), ((2028, 1, 28), 30)];

/// The days off behind it.
const LEBARAN_DAYS: i32 = 4;

/// No factor is larger: busiest hour, payday, double date and a campaign together are cut here.
pub(super) const LARGEST: f64 = 2.2 * 1.3 * 2.0;

/// Returns how busy a time is against the mean; `weekend` is the account's own share for weekends.
pub(super) fn factor(time: EventTime, weekend: f64) -> f64 {
    let local = time.millis().saturating_add(JAKARTA_MILLIS);
    let day = local.div_euclid(super::DAY);
    let hour = usize::try_from(local.rem_euclid(super::DAY) / super::HOUR).unwrap_or_default();
    let timestamp = jiff::Timestamp::from_millisecond(local).unwrap_or_default();
    let date = jiff::tz::Offset::UTC.to_datetime(timestamp).date();
    let (hours, holiday) = match fasting(date) {
        Some(Fasting::Ramadan) => (&RAMADAN_HOURS, 1.0),
        Some(Fasting::Lebaran) => (&HOURS, 0.3),
        None => (&HOURS, 1.0),
    };
    let mut factor = hours[hour] * holiday;
    // The epoch was a Thursday, so the days with 2 or 3 behind it are Saturday and Sunday.
    if matches!(day.rem_euclid(7), 2 | 3) {
        factor *= weekend;
    }
    if date.day() >= 25 || date.day() == 1 {
        factor *= 1.3;
    }
    if date.month() >= 9 && date.day() == date.month() {
        factor *= 2.0;
    }
    factor
}

enum Fasting {
    Ramadan,
    Lebaran,
}

fn fasting(date: jiff::civil::Date) -> Option<Fasting> {
    RAMADANS.into_iter().find_map(|((year, month, day), days)| {
        let first = jiff::civil::Date::new(year, month, day).ok()?;
        let since = first.until(date).ok()?.get_days();
        if (0..days).contains(&since) {
            Some(Fasting::Ramadan)
        } else if (days..days + LEBARAN_DAYS).contains(&since) {
            Some(Fasting::Lebaran)
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time: &str) -> f64 {
        let time: jiff::Timestamp = time.parse().unwrap();
        factor(EventTime::from_millis(time.as_millisecond()), 1.0)
    }

    #[test]
    fn ramadan_is_busy_before_dawn_and_the_days_behind_it_are_quiet() {
        let (before, within) = (at("2026-02-10T03:30:00+07:00"), at("2026-02-24T03:30:00+07:00"));
        assert!(within > before * 5.0, "{before} {within}");
        let (holiday, later) = (at("2026-03-21T10:00:00+07:00"), at("2026-04-11T10:00:00+07:00"));
        assert!(holiday < later * 0.5, "{holiday} {later}");
    }
}
