//! What can be used as it is, and probably is not what its author meant.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::accounts_file::nearest_list;
use super::codes::Code;
use super::compile::is_own;
use super::correlation::Compiled;
use super::diagnostic::{Findings, SourceText, Span};
use super::model::{
    AccountSettings, Atom, Comparison, Expr, LogSource, Piece, RuleIndex, Status, Test,
};
use super::regex_check;
use super::schema::{Document, DocumentKind};
use super::values::LITERAL_MIN;
use super::vocabulary::{self, Known};
use crate::event::AccountId;

/// The `logsource.product` of the platform's own events.
pub(super) const OWN_PRODUCT: &str = "omnichannel";

/// Checks the fields that a rule about our own events names. One that no event has is an error.
pub(super) fn fields(
    fields: &[(String, Span)],
    logsource: &LogSource,
    source: &Arc<SourceText>,
    findings: &mut Findings,
) {
    if !is_own(logsource) {
        return;
    }
    let category = logsource.category.as_deref();
    for (field, span) in fields {
        match vocabulary::look_up(field, category) {
            Known::Yes => {}
            Known::InOtherCategory => {
                let category = category.unwrap_or_default();
                let message = format!("events of category `{category}` have no field `{field}`");
                findings
                    .report(Code::FieldNotInCategory, source, *span, message)
                    .label("never there");
            }
            Known::No { nearest } => {
                let of = category
                    .map_or_else(String::new, |category| format!(" of category `{category}`"));
                let message = format!("unknown field `{field}` for omnichannel events{of}");
                let finding = findings.report(Code::UnknownField, source, *span, message);
                finding.label("no such field").nearest("field", nearest);
                if let Some(nearest) = nearest {
                    finding.suggest(*span, nearest);
                }
            }
        }
    }
}

/// Returns whether a rule can hold only where a text, number or flag occurs that is worth looking
/// for: then it is not tried on every event.
pub(super) fn has_anchor(expr: &Expr, atoms: &[Atom]) -> bool {
    match expr {
        Expr::Atom(id) => is_anchor(&atoms[id.0 as usize].test),
        Expr::Selection(_, inner) => has_anchor(inner, atoms),
        Expr::And(parts) => parts.iter().any(|part| has_anchor(part, atoms)),
        Expr::Or(parts) => parts.iter().all(|part| has_anchor(part, atoms)),
        Expr::Not(_) => false,
        Expr::Constant(value) => !value,
    }
}

fn is_anchor(test: &Test) -> bool {
    match test {
        Test::Text(pattern) => {
            let is_whole = pattern.pieces.iter().all(|piece| matches!(piece, Piece::Text(_)));
            let has_literal = |piece: &Piece| match piece {
                Piece::Text(literal) => literal.len() >= LITERAL_MIN,
                Piece::Any | Piece::One => false,
            };
            is_whole || pattern.pieces.iter().any(has_literal)
        }
        Test::Regex(regex) => regex_check::check(regex).is_ok_and(|literal| literal >= LITERAL_MIN),
        Test::Number(Comparison::Equal, _) | Test::Boolean(_) | Test::TimePart(..) => true,
        Test::Number(..)
        | Test::Cidr(_)
        | Test::Null
        | Test::Exists(_)
        | Test::FieldRef { .. }
        | Test::InAccountList { .. }
        | Test::InAccountNetworks => false,
    }
}

/// Reports regular expressions of a rule that is tried on every event.
pub(super) fn weak_regexes(spans: &[Span], source: &Arc<SourceText>, findings: &mut Findings) {
    for span in spans {
        let message = "nothing in the rule is needed that could be looked for";
        findings
            .report(Code::RegexWithoutLiteral, source, *span, message)
            .label("has no literal of three characters")
            .help("such a rule is tried on every event; add a `contains` that it needs");
    }
}

/// Reports lists of accounts that no account has.
pub(super) fn account_lists(
    named: &[(String, Span)],
    accounts: &BTreeMap<AccountId, AccountSettings>,
    source: &Arc<SourceText>,
    findings: &mut Findings,
) {
    const USUAL: [&str; 3] = ["domains", "brands", "networks"];
    for (name, span) in named {
        let lists =
            || accounts.values().flat_map(|account| account.lists.keys()).map(|list| &**list);
        if USUAL.contains(&name.as_str()) || lists().any(|list| list == name) {
            continue;
        }
        let message = format!("no account has a list `{name}`");
        findings
            .report(Code::UnknownAccountList, source, *span, message)
            .nearest("list", nearest_list(name, USUAL.into_iter().chain(lists())));
    }
}

/// Reports rules that are loaded and not evaluated.
pub(super) fn status(document: &Document, findings: &mut Findings) {
    match document.header.status {
        Status::Deprecated | Status::Unsupported => {
            let status = document.header.status.as_str();
            let message = format!("a rule with the status {status} is not evaluated");
            let span = document.node.get("status").map_or(document.header.span, |e| e.value.span);
            findings.report(Code::NotEvaluated, &document.source, span, message);
        }
        Status::Experimental | Status::Test | Status::Stable => {}
    }
}

/// Checks the fields and the grouping of a correlation of our own events.
pub(super) fn correlation(compiled: &Compiled, document: &Document, findings: &mut Findings) {
    let own = |product: &Option<Arc<str>>| product.as_deref() == Some(OWN_PRODUCT);
    if compiled.rules.is_empty() || !compiled.rules.iter().all(|rule| own(&rule.product)) {
        return;
    }
    let product = Some(OWN_PRODUCT.into());
    let logsource = LogSource { product, category: None, service: None };
    fields(&compiled.fields, &logsource, &document.source, findings);
    if !compiled.by_account {
        let entry = document.node.get("correlation");
        let group = entry.and_then(|entry| entry.value.get("group-by"));
        let span = group.or(entry).map_or(document.header.span, |entry| entry.key_span);
        findings
            .report(
                Code::GroupWithoutAccount,
                &document.source,
                span,
                "events of different accounts are counted together",
            )
            .help("add `account.app_code` to `group-by`");
    }
}

/// Reports base rules that are not evaluated.
pub(super) fn base_rules(
    compiled: &Compiled,
    document: &Document,
    documents: &[Document],
    rules: &[Option<RuleIndex>],
    findings: &mut Findings,
) {
    if compiled.rules.is_empty() {
        return;
    }
    let used: BTreeSet<RuleIndex> = compiled.rules.iter().map(|rule| rule.index).collect();
    for (base, _) in documents
        .iter()
        .zip(rules)
        .filter(|(_, rule)| rule.is_some_and(|rule| used.contains(&rule)))
    {
        match base.header.status {
            Status::Deprecated | Status::Unsupported => {
                let message = format!(
                    "the correlation builds on `{}`, which is not evaluated",
                    base.header.title
                );
                findings.report(
                    Code::NotEvaluated,
                    &document.source,
                    document.header.span,
                    message,
                );
            }
            Status::Experimental | Status::Test | Status::Stable => {}
        }
    }
}

/// Reports files with rules about our own events (or correlations) that have no test beside them.
pub(super) fn untested(
    documents: &[Document],
    tested: &BTreeSet<Arc<str>>,
    findings: &mut Findings,
) {
    let mut reported: BTreeSet<&str> = BTreeSet::new();
    for document in documents {
        let own = match document.kind {
            DocumentKind::Detection => {
                document.logsource.as_ref().is_some_and(|(logsource, _)| is_own(logsource))
            }
            DocumentKind::Correlation => true,
            DocumentKind::Filter => false,
        };
        let name = &document.source.name;
        if own && !tested.contains(name) && reported.insert(name) {
            let stem = name.rsplit_once('.').map_or(&**name, |(stem, _)| stem);
            findings
                .report(
                    Code::NoTest,
                    &document.source,
                    document.header.span,
                    "the file has no test",
                )
                .help(format!("write {stem}.test.yaml"));
        }
    }
}
