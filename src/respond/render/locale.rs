//! Numbers and times as a reader of Indonesian or English writes them. Pure.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The languages that mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    Indonesian,
    English,
}

impl Language {
    /// Returns the tag for `Content-Language` and `lang`.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Indonesian => "id",
            Self::English => "en",
        }
    }

    /// Returns the languages of a mail to a tenant: its own, or both where it is not known.
    pub fn of_tenant(language: Option<&str>) -> Vec<Self> {
        let primary = language.unwrap_or_default().split(['-', '_']).next().unwrap_or_default();
        match primary.to_ascii_lowercase().as_str() {
            "id" | "in" => vec![Self::Indonesian],
            "en" => vec![Self::English],
            _ => vec![Self::Indonesian, Self::English],
        }
    }
}

/// Writes a count: `1.240` in Indonesian, `1,240` in English.
pub fn number(language: Language, value: u64) -> String {
    let separator = match language {
        Language::Indonesian => '.',
        Language::English => ',',
    };
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(separator);
        }
        text.push(digit);
    }
    text
}

const MONTHS_ID: [&str; 12] = [
    "Januari",
    "Februari",
    "Maret",
    "April",
    "Mei",
    "Juni",
    "Juli",
    "Agustus",
    "September",
    "Oktober",
    "November",
    "Desember",
];
const MONTHS_EN: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The time zone of a tenant; Asia/Jakarta where its name is not known.
pub fn zone(name: &str) -> TimeZone {
    TimeZone::get(name).or_else(|_| TimeZone::get("Asia/Jakarta")).unwrap_or(TimeZone::UTC)
}

/// Writes a time with its zone and offset: `24 Nov 2026, 10:04 WIB (UTC+07:00)`.
pub fn time(language: Language, zone: &TimeZone, millis: i64) -> String {
    let zoned = zoned(zone, millis);
    format!("{} {} {}", date(language, &zoned), clock(language, &zoned), place(&zoned))
}

/// Writes a span of time: `24 Nov 2026, 10:04 to 10:14 WIB (UTC+07:00)`; a single time where both
/// fall into one minute.
pub fn span(language: Language, zone: &TimeZone, from: i64, to: i64) -> String {
    if from.div_euclid(60_000) == to.div_euclid(60_000) || to < from {
        return time(language, zone, from);
    }
    let (start, end) = (zoned(zone, from), zoned(zone, to));
    let until = match language {
        Language::Indonesian => "sampai",
        Language::English => "to",
    };
    let mut text = format!("{} {} {until} ", date(language, &start), clock(language, &start));
    if start.date() != end.date() {
        text.push_str(&date(language, &end));
        text.push(' ');
    }
    text + &format!("{} {}", clock(language, &end), place(&end))
}

fn zoned(zone: &TimeZone, millis: i64) -> jiff::ZonedDateTime {
    Timestamp::from_millisecond(millis)
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_zoned_datetime(zone.clone())
}

fn date(language: Language, zoned: &jiff::ZonedDateTime) -> String {
    let months = match language {
        Language::Indonesian => MONTHS_ID,
        Language::English => MONTHS_EN,
    };
    let month = usize::try_from(zoned.month()).unwrap_or(1).clamp(1, 12);
    format!("{} {} {},", zoned.day(), months[month - 1], zoned.year())
}

fn clock(language: Language, zoned: &jiff::ZonedDateTime) -> String {
    let separator = match language {
        Language::Indonesian => '.',
        Language::English => ':',
    };
    format!("{:02}{separator}{:02}", zoned.hour(), zoned.minute())
}

/// The zone's short name (`WIB`; nothing where it has only an offset) and the offset.
fn place(zoned: &jiff::ZonedDateTime) -> String {
    let name = zoned.strftime("%Z").to_string();
    let offset = zoned.strftime("UTC%:z").to_string();
    if name.starts_with(['+', '-']) { format!("({offset})") } else { format!("{name} ({offset})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_as_the_language_does() {
        for (value, indonesian, english) in
            [(7, "7", "7"), (1_240, "1.240", "1,240"), (1_000_000, "1.000.000", "1,000,000")]
        {
            assert_eq!(number(Language::Indonesian, value), indonesian);
            assert_eq!(number(Language::English, value), english);
        }
    }

    #[test]
    fn times_name_the_zone_and_its_offset() {
        let at = 1_795_489_440_000;
        for (name, indonesian, english) in [
            (
                "Asia/Jakarta",
                "24 November 2026, 10.04 WIB (UTC+07:00)",
                "24 Nov 2026, 10:04 WIB (UTC+07:00)",
            ),
            (
                "Asia/Makassar",
                "24 November 2026, 11.04 WITA (UTC+08:00)",
                "24 Nov 2026, 11:04 WITA (UTC+08:00)",
            ),
            (
                "Asia/Jayapura",
                "24 November 2026, 12.04 WIT (UTC+09:00)",
                "24 Nov 2026, 12:04 WIT (UTC+09:00)",
            ),
            ("Asia/Dubai", "24 November 2026, 07.04 (UTC+04:00)", "24 Nov 2026, 07:04 (UTC+04:00)"),
            (
                "Mars/Olympus",
                "24 November 2026, 10.04 WIB (UTC+07:00)",
                "24 Nov 2026, 10:04 WIB (UTC+07:00)",
            ),
        ] {
            assert_eq!(time(Language::Indonesian, &zone(name), at), indonesian);
            assert_eq!(time(Language::English, &zone(name), at), english);
        }
    }

    #[test]
    fn a_span_says_the_day_once_and_a_moment_is_a_time() {
        let (zone, at) = (zone("Asia/Jakarta"), 1_795_489_440_000);
        for (minutes, text) in [
            (0, "24 Nov 2026, 10:04 WIB (UTC+07:00)"),
            (10, "24 Nov 2026, 10:04 to 10:14 WIB (UTC+07:00)"),
            (24 * 60, "24 Nov 2026, 10:04 to 25 Nov 2026, 10:04 WIB (UTC+07:00)"),
        ] {
            assert_eq!(span(Language::English, &zone, at, at + minutes * 60_000), text);
        }
    }

    #[test]
    fn a_tenant_is_written_to_in_its_language_or_in_both() {
        use Language::{English, Indonesian};
        for (language, expected) in [
            (Some("id"), vec![Indonesian]),
            (Some("id-ID"), vec![Indonesian]),
            (Some("EN_us"), vec![English]),
            (Some("ms"), vec![Indonesian, English]),
            (None, vec![Indonesian, English]),
        ] {
            assert_eq!(Language::of_tenant(language), expected, "{language:?}");
        }
    }
}
