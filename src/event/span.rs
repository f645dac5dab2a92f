//! Lengths of time as people write them: `90s`, `5m`, `1h30m`, `7d`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer};

/// A length of time in milliseconds, 0 or more.
///
/// Written as numbers with units `ms s m h d w M y` (month 30 days, year 365 days), largest first
/// by habit only: `1d12h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TimeSpan(i64);

/// A text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a length of time; write a number and a unit of ms, s, m, h, d, w, M or y, such as `5m`"
)]
pub struct InvalidTimeSpan(String);

impl TimeSpan {
    /// Takes milliseconds; a negative number becomes 0.
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    pub fn to_std(self) -> std::time::Duration {
        std::time::Duration::from_millis(self.0.unsigned_abs())
    }
}

impl FromStr for TimeSpan {
    type Err = InvalidTimeSpan;

    fn from_str(text: &str) -> Result<Self, InvalidTimeSpan> {
        let fail = || InvalidTimeSpan(text.to_owned());
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(fail());
        }
        let mut total = 0i64;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(fail)?;
            let (number, tail) = rest.split_at(digits);
            let unit_end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(unit_end);
            let millis = match unit {
                "ms" => 1,
                "s" => 1_000,
                "m" => 60_000,
                "h" => 3_600_000,
                "d" => 86_400_000,
                "w" => 604_800_000,
                "M" => 30 * 86_400_000,
                "y" => 365 * 86_400_000,
                _ => return Err(fail()),
            };
            let number: i64 = number.parse().map_err(|_| fail())?;
            total = number
                .checked_mul(millis)
                .and_then(|part| total.checked_add(part))
                .ok_or_else(fail)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

/// The shortest form: the largest unit that divides it, `90m`.
impl fmt::Display for TimeSpan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(i64, &str); 4] =
            [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        for (millis, unit) in UNITS {
            if self.0 != 0 && self.0 % millis == 0 {
                return write!(formatter, "{}{unit}", self.0 / millis);
            }
        }
        write!(formatter, "{}ms", self.0)
    }
}

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_read_and_printed() {
        for (text, millis, printed) in [
            ("5m", 300_000, "5m"),
            ("1h30m", 5_400_000, "90m"),
            ("250ms", 250, "250ms"),
            ("7d", 604_800_000, "7d"),
            ("1w", 604_800_000, "7d"),
            ("0s", 0, "0ms"),
        ] {
            let span: TimeSpan = text.parse().unwrap();
            assert_eq!((span.millis(), span.to_string().as_str()), (millis, printed), "{text}");
        }
        for text in ["", "5", "m", "5 m", "-5m", "5x", "99999999999999999999s", "9999999999999y"] {
            assert!(text.parse::<TimeSpan>().is_err(), "{text}");
        }
    }
}
