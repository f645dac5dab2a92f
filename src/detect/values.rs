//! How one scalar value answers one test. Shared by the fast matcher and the naive one, so it holds
//! only what has no fast and slow form: numbers, addresses, times.

use std::net::IpAddr;

use ipnet::IpNet;
use jiff::civil::DateTime;

use super::FieldValue;
use super::fold::fold;
use crate::rulebook::{AccountSettings, TextPart, TimePart};

/// Returns the number that a value is, also when it is written as text.
#[expect(clippy::cast_precision_loss, reason = "rules compare as 64-bit floating point")]
pub(super) fn number_of(value: FieldValue<'_>) -> Option<f64> {
    match value {
        FieldValue::Int(value) => Some(value as f64),
        FieldValue::Float(value) => Some(value),
        FieldValue::Text(text) => number_in(text),
        FieldValue::Null | FieldValue::Bool(_) => None,
    }
}

/// Reads decimal numbers with sign, fraction and exponent; not `inf`, `nan` or blanks.
fn number_in(text: &str) -> Option<f64> {
    let first = *text.as_bytes().first()?;
    if !(first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Returns whether an address text lies in a network. IPv4 inside IPv6 counts as IPv4.
pub(super) fn is_in_network(network: &IpNet, value: FieldValue<'_>) -> bool {
    let FieldValue::Text(text) = value else { return false };
    let Ok(address) = text.trim().parse::<IpAddr>() else { return false };
    network.contains(&address) || network.contains(&address.to_canonical())
}

/// Returns a part of a timestamp as it is written: RFC 3339 and its relatives, or a number of
/// seconds, milliseconds, microseconds or nanoseconds since the Unix epoch (told apart by
/// magnitude, in UTC).
pub(super) fn time_part(part: TimePart, value: FieldValue<'_>) -> Option<i64> {
    let time = match value {
        FieldValue::Text(text) => civil_time(text)?,
        FieldValue::Int(number) => unix_time(number)?,
        FieldValue::Float(number) => unix_time(rounded(number)?)?,
        FieldValue::Null | FieldValue::Bool(_) => return None,
    };
    Some(match part {
        TimePart::Minute => i64::from(time.minute()),
        TimePart::Hour => i64::from(time.hour()),
        TimePart::Day => i64::from(time.day()),
        TimePart::Week => i64::from(time.date().iso_week_date().week()),
        TimePart::Month => i64::from(time.month()),
        TimePart::Year => i64::from(time.year()),
    })
}

fn civil_time(text: &str) -> Option<DateTime> {
    let text = text.trim();
    // A civil time refuses a `Z`, lest it be taken for local; here it is wanted as written.
    text.strip_suffix(['Z', 'z']).unwrap_or(text).parse().ok().or_else(|| {
        let first = text.as_bytes().first()?;
        (first.is_ascii_digit() || *first == b'-')
            .then(|| text.parse().ok())
            .flatten()
            .and_then(unix_time)
    })
}

fn unix_time(number: i64) -> Option<DateTime> {
    let timestamp = match number.unsigned_abs() {
        0..100_000_000_000 => jiff::Timestamp::from_second(number),
        100_000_000_000..100_000_000_000_000 => jiff::Timestamp::from_millisecond(number),
        100_000_000_000_000..100_000_000_000_000_000 => jiff::Timestamp::from_microsecond(number),
        _ => jiff::Timestamp::from_nanosecond(i128::from(number)),
    };
    Some(jiff::tz::TimeZone::UTC.to_datetime(timestamp.ok()?))
}

fn rounded(number: f64) -> Option<i64> {
    if number.abs() >= 9.0e18 {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "checked to be in range, the fraction goes"
    )]
    Some(number.floor() as i64)
}

/// Returns whether a text equals, starts with, ends with or contains an entry of the account's own
/// list. An account without the list has no entries.
pub(super) fn account_list_holds(
    settings: Option<&AccountSettings>,
    list: &str,
    part: TextPart,
    cased: bool,
    text: Option<&str>,
) -> bool {
    let (Some(settings), Some(text)) = (settings, text) else { return false };
    let Some(entries) = settings.lists.get(list) else { return false };
    let text = if cased { text.to_owned() } else { fold(text) };
    entries.iter().any(|entry| {
        let entry = if cased { entry.to_string() } else { fold(entry) };
        match part {
            TextPart::Whole => text == entry,
            TextPart::Start => text.starts_with(&entry),
            TextPart::End => text.ends_with(&entry),
            TextPart::Anywhere => text.contains(&entry),
        }
    })
}

/// Returns whether a value is an address inside one of the account's own networks.
pub(super) fn account_networks_hold(
    settings: Option<&AccountSettings>,
    value: FieldValue<'_>,
) -> bool {
    let networks = settings.map_or(&[][..], |settings| &settings.networks);
    networks.iter().any(|network| is_in_network(network, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_from_numbers_and_from_their_texts() {
        for (value, expected) in [
            (FieldValue::Int(5), Some(5.0)),
            (FieldValue::Float(0.5), Some(0.5)),
            (FieldValue::Text("-5.5e1"), Some(-55.0)),
            (FieldValue::Text("inf"), None),
            (FieldValue::Text("-inf"), None),
            (FieldValue::Text("nan"), None),
            (FieldValue::Text(""), None),
            (FieldValue::Text("0x10"), None),
            (FieldValue::Text("5 "), None),
            (FieldValue::Bool(true), None),
            (FieldValue::Null, None),
        ] {
            assert_eq!(number_of(value), expected, "{value:?}");
        }
    }

    #[test]
    fn addresses_are_in_their_networks() {
        let network = "10.1.0.0/16".parse().unwrap();
        for (text, inside) in
            [("10.1.2.3", true), ("10.2.0.1", false), ("::ffff:10.1.2.3", true), ("10.1.2", false)]
        {
            assert_eq!(is_in_network(&network, FieldValue::Text(text)), inside, "{text}");
        }
        let network = "2001:db8::/32".parse().unwrap();
        assert!(is_in_network(&network, FieldValue::Text("2001:DB8::1")));
    }

    #[test]
    fn a_timestamp_gives_its_parts_as_written() {
        let written = FieldValue::Text("2026-01-02T23:45:00+07:00");
        for (part, expected) in [
            (TimePart::Minute, 45),
            (TimePart::Hour, 23),
            (TimePart::Day, 2),
            (TimePart::Week, 1),
            (TimePart::Month, 1),
            (TimePart::Year, 2026),
        ] {
            assert_eq!(time_part(part, written), Some(expected), "{part:?}");
        }
        for value in [
            FieldValue::Text("2026-01-02T23:45:00Z"),
            FieldValue::Text("2026-01-02 23:45:00.125"),
            FieldValue::Int(1_767_397_500),
            FieldValue::Int(1_767_397_500_000),
            FieldValue::Int(1_767_397_500_000_000),
            FieldValue::Int(1_767_397_500_000_000_000),
            FieldValue::Text("1767397500"),
        ] {
            assert_eq!(time_part(TimePart::Hour, value), Some(23), "{value:?}");
        }
        assert_eq!(time_part(TimePart::Hour, FieldValue::Text("soon")), None);
    }
}
