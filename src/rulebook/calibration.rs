//! From a budget of false alarms to the score, in nats, from which a baseline fires.
//!
//! The constants were calibrated on simulated accounts (4,500 for the fit, as many unseen ones for
//! the check: 0.87 false alarms per 1,000 account-days where 1 was asked for). Between them the
//! threshold follows ln(rate) linearly, and so it does beyond them: the tail of the score is
//! exponential.

use super::model::Measure;

/// How a baseline looks at an account; each class has its own tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CalibrationClass {
    /// Counts on the hour alone, by season: first contacts.
    HourlyCount,
    /// Counts on hour and day, by season, with a least excess: first contacts from a new source.
    TwoScaleExcess,
    /// Counts on hour and day, by season, from the first event on: messages with a new domain.
    TwoScaleCount,
    /// Sums in units of the account's usual size: recipients of broadcasts.
    Sum,
    /// Counts on the day alone, or without season: new templates.
    DailyCount,
}

/// False alarms per 1,000 account-days of a whole rule set, at the three calibrated levels.
const BUDGETS: [f64; 3] = [11.1, 1.0, 0.1];

impl CalibrationClass {
    /// Returns the class of a baseline's shape.
    pub(super) fn of(
        measure: &Measure,
        one_hour: bool,
        one_day: bool,
        season: bool,
        min_excess: f64,
    ) -> Self {
        match measure {
            Measure::Sum(_) | Measure::SumPerUsual(_) => Self::Sum,
            Measure::Count | Measure::Distinct(_) => match (season, one_hour, one_day) {
                (true, true, true) if min_excess > 0.0 => Self::TwoScaleExcess,
                (true, true, true) => Self::TwoScaleCount,
                (true, true, false) => Self::HourlyCount,
                (true, false, _) | (false, _, _) => Self::DailyCount,
            },
        }
    }

    /// The share of each budget that the class was calibrated with, and its threshold at each.
    fn calibrated(self) -> (f64, [f64; 3]) {
        match self {
            Self::HourlyCount => (0.06, [6.6, 7.6, 8.2]),
            Self::TwoScaleExcess => (0.28, [2.0, 6.7, 8.1]),
            Self::TwoScaleCount => (0.28, [2.4, 6.3, 7.2]),
            Self::Sum => (0.28, [2.0, 6.4, 7.3]),
            Self::DailyCount => (0.06, [2.0, 3.7, 5.2]),
        }
    }

    /// Returns the threshold for so many false alarms per 1,000 account-days, 2 to 40 nats.
    pub(super) fn threshold(self, per_thousand_days: f64) -> f64 {
        let (share, thresholds) = self.calibrated();
        let points = BUDGETS.map(|budget| (budget * share).ln());
        let wanted = per_thousand_days.ln();
        // Rates fall along the list, so the first segment is for the highest.
        let segment = usize::from(wanted < points[1]);
        let slope = (thresholds[segment + 1] - thresholds[segment])
            / (points[segment + 1] - points[segment]);
        (thresholds[segment] + slope * (wanted - points[segment])).clamp(2.0, 40.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calibrated_points_come_back_and_the_rest_follows_the_log_of_the_rate() {
        for (class, rate, threshold) in [
            (CalibrationClass::TwoScaleExcess, 0.28, 6.7),
            (CalibrationClass::TwoScaleExcess, 0.028, 8.1),
            (CalibrationClass::TwoScaleExcess, 0.28 * 11.1, 2.0),
            (CalibrationClass::TwoScaleExcess, 0.0028, 9.5),
            (CalibrationClass::TwoScaleExcess, 100.0, 2.0),
            (CalibrationClass::HourlyCount, 0.06, 7.6),
            (CalibrationClass::DailyCount, 0.006, 5.2),
            (CalibrationClass::Sum, 0.28, 6.4),
        ] {
            let found = class.threshold(rate);
            assert!((found - threshold).abs() < 1e-9, "{class:?} {rate}: {found}");
        }
    }
}
