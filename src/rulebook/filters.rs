//! `filter:` documents: what is joined into the rules they name, or kept beside them as an exception.
//!
//! A rule matches only where the filter's condition holds as well (pySigma's reading), so an
//! exclusion is written `condition: not selection`. A filter applies to the listed rules (or `any`)
//! whose logsource contains the filter's, and never to correlations.

use std::sync::Arc;

use super::codes::Code;
use super::detection::{self, Selections};
use super::diagnostic::Span;
use super::model::{Exception, Expr, LogSource};
use super::schema::{Document, Reader};
use super::values::Scope;
use super::yaml::Value;
use crate::event::{AccountId, EventTime};

/// How long before its end an exception is reported.
const SOON_MILLIS: i64 = 14 * 86_400_000;

/// A compiled filter.
#[derive(Debug)]
pub(super) struct Filter {
    pub(super) name: Arc<str>,
    pub(super) logsource: LogSource,
    /// The rules as written with their places; nothing means any.
    pub(super) rules: Option<Vec<(String, Span)>>,
    pub(super) condition: Expr,
    accounts: Vec<AccountId>,
    expires: Option<EventTime>,
}

/// What a filter does to a rule.
pub(super) enum Effect {
    /// Always holds: joined into the condition.
    Join(Expr),
    /// Ends, or holds for some accounts only.
    Except(Exception),
}

impl Filter {
    pub(super) fn applies_to(&self, logsource: &LogSource) -> bool {
        let fits = |own: &Option<Arc<str>>, rule: &Option<Arc<str>>| own.is_none() || own == rule;
        fits(&self.logsource.product, &logsource.product)
            && fits(&self.logsource.category, &logsource.category)
            && fits(&self.logsource.service, &logsource.service)
    }

    pub(super) fn effect(&self) -> Effect {
        if self.accounts.is_empty() && self.expires.is_none() {
            return Effect::Join(self.condition.clone());
        }
        Effect::Except(Exception {
            name: Arc::clone(&self.name),
            accounts: self.accounts.clone(),
            expires: self.expires,
            condition: self.condition.clone(),
        })
    }
}

/// Compiles a filter document, and returns with it what it was made of; nothing where it has an error, which was reported.
pub(super) fn compile(
    scope: &mut Scope<'_>,
    document: &Document,
    now: Option<EventTime>,
) -> Option<(Filter, Selections)> {
    let entry = document.node.get("filter")?;
    let name = document.header.name.as_ref().or(document.header.id.as_ref());
    let name =
        name.map_or_else(|| Arc::clone(&document.header.title), |(name, _)| Arc::clone(name));
    let before = scope.findings.errors();
    let rules = match entry.value.get("rules") {
        None => {
            scope
                .findings
                .report(Code::MissingKey, scope.source, entry.key_span, "`rules` is missing")
                .help("list the names or ids of rules, or write `any`");
            return None;
        }
        Some(rules) if matches!(&rules.value.value, Value::Text(text) if text == "any") => None,
        Some(rules) => {
            let mut reader = Reader { source: scope.source, findings: &mut *scope.findings };
            let words = rules.value.elements().iter();
            Some(
                words
                    .filter_map(|node| {
                        reader.scalar(node).map(|word| (word.to_string(), node.span))
                    })
                    .collect(),
            )
        }
    };
    let selections = detection::compile(scope, &entry.value, &["rules"])?;
    let extension = &document.header.satpam.filter;
    let mut reader = Reader { source: scope.source, findings: &mut *scope.findings };
    let mut accounts = Vec::new();
    for (account, span) in &extension.accounts {
        match AccountId::new(account) {
            Ok(account) => accounts.push(account),
            Err(error) => reader.invalid(*span, error.to_string()),
        }
    }
    let expires = extension.expires.as_ref().and_then(|(text, span)| {
        let time = read_time(text);
        if time.is_none() {
            reader.invalid(*span, format!("`{text}` is no date; write it as 2027-01-31"));
        }
        time.map(|time| (time, *span))
    });
    if scope.findings.errors() > before {
        return None;
    }
    if let (Some((expires, span)), Some(now)) = (expires, now) {
        report_end(scope, &name, expires, span, now);
    }
    let filter = Filter {
        condition: named(selections.condition.clone(), &name),
        name,
        logsource: document
            .logsource
            .as_ref()
            .map(|(source, _)| source.clone())
            .unwrap_or_default(),
        rules,
        accounts,
        expires: expires.map(|(time, _)| time),
    };
    Some((filter, selections))
}

fn report_end(scope: &mut Scope<'_>, name: &str, expires: EventTime, span: Span, now: EventTime) {
    let left = expires.millis_since(now);
    if left <= 0 {
        let message = format!("the exception `{name}` has expired");
        scope.findings.report(Code::FilterExpired, scope.source, span, message);
    } else if left <= SOON_MILLIS {
        let message = format!("the exception `{name}` expires in {} days", left / 86_400_000);
        scope.findings.report(Code::FilterExpiresSoon, scope.source, span, message);
    }
}

/// A date is its first moment in UTC.
fn read_time(text: &str) -> Option<EventTime> {
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(EventTime::from_millis(time.as_millisecond()));
    }
    let date = text.parse::<jiff::civil::Date>().ok()?;
    let midnight = jiff::tz::TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()?;
    Some(EventTime::from_millis(midnight.as_millisecond()))
}

/// Puts the filter's name before those of its selections, so that they are told from the rule's own.
fn named(expr: Expr, filter: &str) -> Expr {
    let all = |parts: Vec<Expr>| parts.into_iter().map(|part| named(part, filter)).collect();
    match expr {
        Expr::Selection(name, inner) => Expr::Selection(format!("{filter}/{name}").into(), inner),
        Expr::Not(inner) => Expr::Not(Box::new(named(*inner, filter))),
        Expr::And(parts) => Expr::And(all(parts)),
        Expr::Or(parts) => Expr::Or(all(parts)),
        Expr::Atom(_) | Expr::Constant(_) => expr,
    }
}
