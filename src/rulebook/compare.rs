//! Conditions that cannot be what their author meant, and rules that say what another says.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::codes::Code;
use super::compile::is_own;
use super::detection::Selections;
use super::diagnostic::{Findings, SourceText, Span};
use super::fields::FieldTable;
use super::logic::{Form, Prover};
use super::model::{Atom, Correlation, Detection, LogSource, RuleMeta, Rulebook, Status, Target};
use super::schema::{Document, DocumentKind};
use super::vocabulary;

/// Questions that comparing the rules of one set may ask: those of a set of 3,000 rules about one
/// source of events.
const PAIRS_MAX: u64 = 10_000_000;

/// What a condition belongs to, for the texts of findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConditionOf {
    Rule,
    Filter,
}

/// Reports selections and conditions that never hold or always do.
pub(super) fn condition(
    selections: &Selections,
    of: ConditionOf,
    logsource: &LogSource,
    (atoms, fields): (&[Atom], &FieldTable),
    source: &Arc<SourceText>,
    findings: &mut Findings,
) {
    let is_own = is_own(logsource);
    let is_single = |atom: &Atom| is_own && is_single(atom, fields);
    let mut prover = Prover::new(atoms, &is_single);
    let mut is_explained = false;
    let mut report = |code: Code, span: Span, message: String, help: &str| {
        findings.report(code, source, span, message).help(help);
    };
    for part in &selections.parts {
        let Some(form) = Form::of(&part.expr) else { continue };
        let name = &part.name;
        if prover.never_holds(&form) {
            is_explained = true;
            let message = format!("no event passes the selection `{name}`");
            report(Code::NeverHolds, part.span, message, "its tests exclude each other");
        } else if prover.always_holds(&form) {
            is_explained = true;
            let message = format!("every event passes the selection `{name}`");
            report(
                Code::AlwaysHolds,
                part.span,
                message,
                "one of its tests holds where the other does not",
            );
        }
    }
    if is_explained {
        return;
    }
    let Some(form) = Form::of(&selections.condition) else { return };
    let (never, always) = match of {
        ConditionOf::Rule => {
            ("the rule never matches", "the rule matches every event of its logsource")
        }
        ConditionOf::Filter => (
            "the rules that it names never match; an exclusion is written `condition: not selection`",
            "the filter has no effect",
        ),
    };
    if prover.never_holds(&form) {
        let message = "the condition can never hold".to_owned();
        report(Code::NeverHolds, selections.condition_span, message, never);
    } else if prover.always_holds(&form) {
        let message = "the condition always holds".to_owned();
        report(Code::AlwaysHolds, selections.condition_span, message, always);
    }
}

fn is_single(atom: &Atom, fields: &FieldTable) -> bool {
    match atom.target {
        Target::Field(field) => vocabulary::is_single(fields.name(field)),
        Target::AnyValue => false,
    }
}

/// A detection with what the comparison needs of it.
struct Compared<'a> {
    rule: &'a Detection,
    document: &'a Document,
    form: Form,
}

/// Reports rules that say the same as another, and rules that never match without another.
pub(super) fn rules(rulebook: &Rulebook, documents: &[Document], findings: &mut Findings) {
    let of_kind = |kind| documents.iter().filter(move |document| document.kind == kind);
    let detections: Vec<Compared<'_>> = rulebook
        .detections
        .iter()
        .zip(of_kind(DocumentKind::Detection))
        .filter(|(rule, _)| is_evaluated(rule.meta.status) && rule.exceptions.is_empty())
        .filter_map(|(rule, document)| {
            let form = Form::of(&rule.condition)?;
            Some(Compared { rule, document, form })
        })
        .collect();
    same_detections(&detections, findings);
    overlaps(rulebook, &detections, findings);
    same_correlations(&rulebook.correlations, documents, findings);
}

fn is_evaluated(status: Status) -> bool {
    match status {
        Status::Experimental | Status::Test | Status::Stable => true,
        Status::Deprecated | Status::Unsupported => false,
    }
}

fn same_detections(detections: &[Compared<'_>], findings: &mut Findings) {
    // A rule that counts by itself may need a twin that only feeds a correlation.
    let mut first: BTreeMap<(&LogSource, &Form, bool), &Compared<'_>> = BTreeMap::new();
    for one in detections {
        let key = (&one.rule.logsource, &one.form, one.rule.reports);
        let Some(other) = first.insert(key, one) else { continue };
        // The first of several stays the one that the others are compared with.
        first.insert(key, other);
        report_same(&other.rule.meta, one.document, "detection", findings);
    }
}

fn report_same(other: &RuleMeta, document: &Document, what: &str, findings: &mut Findings) {
    let message = format!("the {what} is the same as that of `{}`", other.key);
    let entry = document.node.get(document.kind.key());
    let span = entry.map_or(document.header.span, |entry| entry.key_span);
    findings
        .report(Code::SameRule, &document.source, span, message)
        .help(format!("the other stands at {}:{}", other.file, other.line))
        .help("keep one of them: both count for the same fact");
}

fn same_correlations(
    correlations: &[Correlation],
    documents: &[Document],
    findings: &mut Findings,
) {
    let mut by_rules: BTreeMap<_, Vec<&Correlation>> = BTreeMap::new();
    for one in correlations.iter().filter(|one| is_evaluated(one.meta.status)) {
        let key = (&one.rules, one.timespan_millis, one.reports);
        let others = by_rules.entry(key).or_default();
        let same =
            |other: &&&Correlation| (&other.kind, &other.group_by) == (&one.kind, &one.group_by);
        let Some(other) = others.iter().find(same) else {
            others.push(one);
            continue;
        };
        let document = documents.iter().find(|document| {
            (&*document.source.name, document.header.line) == (&*one.meta.file, one.meta.line)
        });
        if let Some(document) = document {
            report_same(&other.meta, document, "correlation", findings);
        }
    }
}

/// Reports a rule about our own events that never matches without another: both add to the risk for
/// one fact. Rules about other products are not compared: sets of public rules have general and
/// special ones on purpose, at different levels.
fn overlaps(rulebook: &Rulebook, detections: &[Compared<'_>], findings: &mut Findings) {
    let is_single = |atom: &Atom| is_single(atom, &rulebook.fields);
    let mut prover = Prover::new(&rulebook.atoms, &is_single);
    let scored: Vec<&Compared<'_>> = detections
        .iter()
        .filter(|one| is_own(&one.rule.logsource) && one.rule.reports && one.rule.meta.risk > 0.0)
        .filter(|one| one.rule.meta.status != Status::Experimental)
        .collect();
    let mut pairs: u64 = 0;
    for narrow in &scored {
        for wide in &scored {
            pairs += 1;
            if pairs > PAIRS_MAX {
                return;
            }
            let [one, other] = [narrow, wide].map(|compared| &compared.rule.meta.key);
            let is_told = rulebook
                .policy
                .same_evidence
                .iter()
                .any(|group| group.contains(one) && group.contains(other));
            if one == other
                || is_told
                || !contains(&wide.rule.logsource, &narrow.rule.logsource)
                || narrow.form == wide.form
                || !prover.implies(&narrow.form, &wide.form)
            {
                continue;
            }
            let message = format!("wherever this rule matches, `{other}` matches as well");
            let entry = narrow.document.node.get(narrow.document.kind.key());
            let span = entry.map_or(narrow.document.header.span, |entry| entry.key_span);
            let at = &wide.rule.meta;
            findings
                .report(Code::ImpliedRule, &narrow.document.source, span, message)
                .help(format!("the other stands at {}:{}", at.file, at.line))
                .help("name both in `same-evidence` of policy.yaml, or take these events out of the other");
        }
    }
}

/// Whether a rule with the first logsource sees every event that one with the second sees.
fn contains(wide: &LogSource, narrow: &LogSource) -> bool {
    let fits =
        |wide: &Option<Arc<str>>, narrow: &Option<Arc<str>>| wide.is_none() || wide == narrow;
    fits(&wide.product, &narrow.product)
        && fits(&wide.category, &narrow.category)
        && fits(&wide.service, &narrow.service)
}
