//! What people call an incident or an entry: its id, the beginning of it, or the short code.

use super::problem::Problem;
use crate::incident::Incident;
use crate::store::{OutboxEntry, Store};

/// Fewer digits than this name too many.
const DIGITS_MIN: usize = 6;
const DIGITS_MAX: usize = 32;
/// So many are enough to see that a name is not clear.
const FOUND_MAX: usize = 2;

/// Reads `SPM-7F3C2A`, a UUID, or the first six or more of its digits.
fn digits(name: &str) -> Result<String, Problem> {
    let lower = name.trim().to_ascii_lowercase();
    let bare: String =
        lower.strip_prefix("spm-").unwrap_or(&lower).chars().filter(|c| *c != '-').collect();
    let is_hex = bare.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_hex || !(DIGITS_MIN..=DIGITS_MAX).contains(&bare.len()) {
        return Err(Problem::invalid(format!(
            "`{}` is not an id: give the whole id, at least its first {DIGITS_MIN} digits, or the code \
             of an incident (SPM-7F3C2A)",
            name.chars().filter(|c| !c.is_control()).take(80).collect::<String>()
        )));
    }
    Ok(bare)
}

pub(super) fn incident(store: &Store, name: &str) -> Result<Incident, Problem> {
    let digits = digits(name)?;
    one(store.incidents().beginning_with(&digits, FOUND_MAX)?, name, "incident")
}

pub(super) fn delivery(store: &Store, name: &str) -> Result<OutboxEntry, Problem> {
    let digits = digits(name)?;
    one(store.outbox().beginning_with(&digits, FOUND_MAX)?, name, "entry in the outbox")
}

fn one<T>(mut found: Vec<T>, name: &str, what: &str) -> Result<T, Problem> {
    match (found.pop(), found.is_empty()) {
        (Some(only), true) => Ok(only),
        (Some(_), false) => Err(Problem::conflict(format!(
            "more than one {what} begins with `{name}`: give more of the id"
        ))),
        (None, _) => Err(Problem::not_found(format!("there is no {what} `{name}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ids_and_beginnings_are_read_and_anything_else_is_refused() {
        for (name, read) in [
            ("SPM-7F3C2A", Some("7f3c2a")),
            ("7f3c2a", Some("7f3c2a")),
            ("7F3C2A10-b209-5905-af7b-d46b9c32a6b2", Some("7f3c2a10b2095905af7bd46b9c32a6b2")),
            ("7f3c2", None),
            ("", None),
            ("SPM-", None),
            ("zzzzzz", None),
            ("7f3c2a10b2095905af7bd46b9c32a6b2ff", None),
            ("../../etc", None),
        ] {
            assert_eq!(digits(name).ok().as_deref(), read, "{name}");
        }
    }
}
