//! Reads the scalars that producers write in more than one way: ids, times, booleans, phone numbers.

use std::borrow::Cow;

use super::super::{EventTime, Kind, Value};

/// Returns the value of a key unless it is null: producers write null for "not there".
pub(super) fn present<'d>(object: Value<'d>, key: &str) -> Option<Value<'d>> {
    object.get(key).filter(|value| value.kind() != Kind::Null)
}

/// Returns a text or an integer as text, the two ways in which ids arrive.
pub(super) fn id_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value.kind() {
        Kind::Text(text) => Some(Cow::Borrowed(text)),
        Kind::Int(number) => Some(Cow::Owned(number.to_string())),
        Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Array | Kind::Object => None,
    }
}

/// Returns the first of several keys that holds an id; an empty text and a zero are not ids.
pub(super) fn first_id<'d>(object: Value<'d>, keys: &[&str]) -> Option<Cow<'d, str>> {
    keys.iter()
        .filter_map(|key| object.get(key).and_then(id_text))
        .find(|id| !id.is_empty() && id != "0")
}

/// Returns a boolean, also one written as `"true"`, `"False"`, 1 or 0.
pub(super) fn boolean(value: Value<'_>) -> Option<bool> {
    match value.kind() {
        Kind::Bool(value) => Some(value),
        Kind::Int(0) => Some(false),
        Kind::Int(1) => Some(true),
        Kind::Text(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Kind::Text(text) if text.eq_ignore_ascii_case("false") => Some(false),
        Kind::Null | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) | Kind::Array | Kind::Object => {
            None
        }
    }
}

/// Returns a text that is nothing but a phone number, without its plus sign.
pub(super) fn msisdn(text: &str) -> Option<&str> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let plausible = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    plausible.then_some(digits)
}

/// Reads RFC 3339 with an offset, or a Unix time in seconds, milliseconds, microseconds or
/// nanoseconds, as a number or as its text.
///
/// The unit is told by magnitude: seconds below 10^11 (the year 5138), then each unit a thousand
/// times more. Every time that this returns lies within the years -9999 to 9999.
pub(super) fn time(value: Value<'_>) -> Option<EventTime> {
    match value.kind() {
        Kind::Int(number) => unix_time(number),
        Kind::Float(number) => fractional_unix_time(number),
        Kind::Text(text) => time_text(text),
        Kind::Null | Kind::Bool(_) | Kind::Array | Kind::Object => None,
    }
}

/// Reads a time from a text, see [`time`].
pub(super) fn time_text(text: &str) -> Option<EventTime> {
    if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
        return Some(EventTime::from_millis(timestamp.as_millisecond()));
    }
    let numeric = |b: u8| b.is_ascii_digit() || b == b'.' || b == b'-';
    if !text.bytes().all(numeric) {
        return None;
    }
    match text.parse() {
        Ok(number) => unix_time(number),
        Err(_) => text.parse().ok().and_then(fractional_unix_time),
    }
}

fn unix_time(number: i64) -> Option<EventTime> {
    let millis = match number.unsigned_abs() {
        0..100_000_000_000 => number * 1_000,
        100_000_000_000..100_000_000_000_000 => number,
        100_000_000_000_000..100_000_000_000_000_000 => number.div_euclid(1_000),
        _ => number.div_euclid(1_000_000),
    };
    in_range(millis)
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates; the range is checked")]
fn fractional_unix_time(number: f64) -> Option<EventTime> {
    let millis = match number.abs() {
        size if size < 1e11 => number * 1e3,
        size if size < 1e14 => number,
        size if size < 1e17 => number / 1e3,
        _ => number / 1e6,
    };
    in_range(millis.floor() as i64)
}

fn in_range(millis: i64) -> Option<EventTime> {
    jiff::Timestamp::from_millisecond(millis).ok().map(|_| EventTime::from_millis(millis))
}

/// Returns a time as RFC 3339 in UTC; nothing outside the years -9999 to 9999.
pub(super) fn rfc3339(time: EventTime) -> Option<String> {
    jiff::Timestamp::from_millisecond(time.millis()).ok().map(|timestamp| timestamp.to_string())
}
