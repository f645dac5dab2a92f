//! The values that decided, as far as an incident may keep them: masked and cut.

use std::sync::Arc;

use super::rules::Rules;
use crate::detect::correlate::{Explanation as Correlated, Fired};
use crate::detect::{Scratch, Subject};
use crate::rulebook::{DetectionIndex, Target};

/// Field and value.
type Evidence = Vec<(Arc<str>, Arc<str>)>;

const ITEMS_MAX: usize = 6;
const VALUE_CHARS_MAX: usize = 120;
/// A run of so many digits is a phone number or account number, and is masked.
const DIGITS_MASKED_FROM: usize = 8;

/// Returns the fields of a detection that matched the event `scratch` was used for last, each with
/// the first value that held.
pub(super) fn of_detection(
    rules: &Rules,
    rule: DetectionIndex,
    subject: &Subject<'_>,
    scratch: &mut Scratch,
) -> Evidence {
    let values = rules.detector.deciding_values(rule, subject, scratch, ITEMS_MAX);
    let named = values.into_iter().map(|(target, value)| {
        let field = match target {
            Target::Field(field) => rules.rulebook.fields.name(field),
            Target::AnyValue => "any value",
        };
        (field.into(), masked(value.expose()).into())
    });
    named.collect()
}

/// Returns the group and the figure of a correlation that fired.
pub(super) fn of_correlation(fired: &Fired) -> Evidence {
    let group = fired.group.iter().take(ITEMS_MAX);
    let mut evidence: Evidence =
        group.map(|(field, value)| (field.clone(), masked(value).into())).collect();
    let name = match &fired.explanation {
        Correlated::Window { .. } => "count in the window",
        Correlated::Baseline(_) => "score in nats",
        Correlated::NewTerm => "new values",
        Correlated::Absence { .. } => "missing",
    };
    evidence.push((name.into(), format!("{:.1}", fired.value).into()));
    evidence
}

/// Cuts a text, takes control characters out, and hides the middle of long numbers.
fn masked(text: &str) -> String {
    let mut characters: Vec<char> = text
        .chars()
        .take(VALUE_CHARS_MAX + 1)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if characters.len() > VALUE_CHARS_MAX {
        characters.truncate(VALUE_CHARS_MAX);
        characters.push('…');
    }
    let mut at = 0;
    while at < characters.len() {
        let run = characters[at..].iter().take_while(|c| c.is_ascii_digit()).count();
        if run >= DIGITS_MASKED_FROM {
            characters[at + 4..at + run - 2].fill('*');
        }
        at += run.max(1);
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::masked;

    #[test]
    fn numbers_are_masked_and_long_texts_are_cut() {
        for (text, expected) in [
            ("call 6281234567890 now", "call 6281*******90 now"),
            ("203.0.113.7", "203.0.113.7"),
            ("a\r\nBcc: b", "a  Bcc: b"),
            ("1234567", "1234567"),
        ] {
            assert_eq!(masked(text), expected);
        }
        assert_eq!(masked(&"x".repeat(500)).chars().count(), 121);
    }
}
