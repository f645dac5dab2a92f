//! A rule's condition as a tree of what held and what did not.

use std::fmt::Write as _;

use serde::Serialize;

use crate::detect::{Explanation, Finding};
use crate::engine::Rules;
use crate::event::TimeSpan;
use crate::rulebook::{Comparison, Piece, Target, Test, TextPart, TextPattern, TimePart};

/// A part of a condition.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    pub(super) holds: bool,
    /// What it is: a selection by its name, `all of`, a test in words.
    pub(super) what: String,
    /// The value that decided; nothing where there is none or the part is no test.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) parts: Vec<Part>,
}

impl Part {
    pub(super) fn of(rules: &Rules, explanation: &Explanation) -> Self {
        let mut value = None;
        let what = match &explanation.finding {
            Finding::Rule => "rule".to_owned(),
            Finding::All => "all of".to_owned(),
            Finding::AnyOf => "any of".to_owned(),
            Finding::Not => "not".to_owned(),
            Finding::Constant => "constant".to_owned(),
            Finding::Selection(name) => format!("`{name}`"),
            Finding::Exception(name) => format!("exception `{name}`"),
            Finding::Test { atom, value: decided } => {
                value = decided.as_ref().map(|value| value.expose().to_owned());
                let book = rules.rulebook();
                let atom = &book.atoms[atom.0 as usize];
                let field = match atom.target {
                    Target::Field(field) => book.fields.name(field),
                    Target::AnyValue => "any value",
                };
                format!("{field} {}", demand(rules, &atom.test))
            }
        };
        let parts = explanation.parts.iter().map(|part| Self::of(rules, part)).collect();
        Self { holds: explanation.holds, what, value, parts }
    }
}

/// Says in words what a test asks of a value.
fn demand(rules: &Rules, test: &Test) -> String {
    match test {
        Test::Text(pattern) => format!("is {}", pattern_text(pattern)),
        Test::Regex(regex) => format!("matches /{}/", regex.pattern),
        Test::Cidr(network) => format!("is in {network}"),
        Test::Number(comparison, number) => format!("{} {number}", sign(*comparison)),
        Test::Boolean(value) => format!("is {value}"),
        Test::Null => "is absent or null".to_owned(),
        Test::Exists(true) => "is present".to_owned(),
        Test::Exists(false) => "is not present".to_owned(),
        Test::FieldRef { other, part, .. } => {
            format!("{} the field {}", covers(*part), rules.rulebook().fields.name(*other))
        }
        Test::TimePart(part, number) => format!("has the {} {number}", time_part(*part)),
        Test::InAccountList { list, part, .. } => {
            format!("{} an entry of the account's list `{list}`", covers(*part))
        }
        Test::InAccountNetworks => "is in the account's networks".to_owned(),
    }
}

fn pattern_text(pattern: &TextPattern) -> String {
    let mut text = String::from("'");
    for piece in &pattern.pieces {
        match piece {
            Piece::Text(literal) => text.push_str(literal),
            Piece::Any => text.push('*'),
            Piece::One => text.push('?'),
        }
    }
    text.push('\'');
    if pattern.cased {
        text.push_str(" in this case");
    }
    text
}

fn covers(part: TextPart) -> &'static str {
    match part {
        TextPart::Whole => "equals",
        TextPart::Start => "starts with",
        TextPart::End => "ends with",
        TextPart::Anywhere => "contains",
    }
}

fn time_part(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

pub(super) fn sign(comparison: Comparison) -> &'static str {
    match comparison {
        Comparison::Equal => "=",
        Comparison::NotEqual => "!=",
        Comparison::Less => "<",
        Comparison::LessOrEqual => "<=",
        Comparison::Greater => ">",
        Comparison::GreaterOrEqual => ">=",
    }
}

pub(super) fn span(millis: i64) -> String {
    TimeSpan::from_millis(millis).to_string()
}

const ALTERNATIVES_SHOWN: usize = 12;

/// Writes a line for each part, indented by its depth.
pub(super) fn draw(text: &mut String, part: &Part, depth: usize) {
    let holds = if part.holds { "true " } else { "FALSE" };
    let value = match &part.value {
        // Debug keeps control characters of a hostile event out of the terminal.
        Some(value) => format!("   value {value:?}"),
        None => String::new(),
    };
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}{holds} {}{value}", "  ".repeat(depth), part.what);
    // Of many alternatives that all fail one says as much as all.
    let many = part.parts.len() > ALTERNATIVES_SHOWN;
    let shown = part.parts.iter().filter(|inner| !many || inner.holds).take(ALTERNATIVES_SHOWN);
    for inner in shown {
        draw(text, inner, depth + 1);
    }
    if many && !part.parts.iter().any(|inner| inner.holds) {
        let count = part.parts.len();
        let _ = writeln!(text, "{}FALSE each of {count} alternatives", "  ".repeat(depth + 1));
    }
}
