//! `correlation:` documents: all types of Sigma 2.1 and pySigma's median, and satpam's `baseline`,
//! `new_terms` and `absence`.

use std::sync::Arc;

use super::codes::Code;
use super::correlation_kinds;
use super::diagnostic::Span;
use super::fields::{FieldId, FieldTable};
use super::model::{CorrelationKind, GroupField, RuleIndex};
use super::nearest::nearest;
use super::policy::Sensitivity;
use super::schema::Reader;
use super::yaml::{Entry, Node, Value};

/// The field that names the tenant.
pub(super) const ACCOUNT_FIELD: &str = "account.app_code";

/// A rule that a correlation may name.
#[derive(Debug, Clone)]
pub(super) struct Referred {
    pub(super) index: RuleIndex,
    pub(super) key: Arc<str>,
    pub(super) product: Option<Arc<str>>,
    pub(super) category: Option<Arc<str>>,
    /// A correlation that fires at a deadline and not at an event.
    pub(super) is_absence: bool,
}

/// Finds rules by name or id.
pub(super) trait Rules {
    fn find(&self, word: &str) -> Option<Referred>;
    fn nearest(&self, word: &str) -> Option<String>;
}

/// The kinds of a correlation, by the word in `type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeWord {
    EventCount,
    ValueCount,
    Temporal,
    TemporalOrdered,
    ValueSum,
    ValueAverage,
    ValuePercentile,
    ValueMedian,
    Baseline,
    NewTerms,
    Absence,
}

const TYPES: [(&str, TypeWord); 11] = [
    ("event_count", TypeWord::EventCount),
    ("value_count", TypeWord::ValueCount),
    ("temporal", TypeWord::Temporal),
    ("temporal_ordered", TypeWord::TemporalOrdered),
    ("value_sum", TypeWord::ValueSum),
    ("value_avg", TypeWord::ValueAverage),
    ("value_percentile", TypeWord::ValuePercentile),
    ("value_median", TypeWord::ValueMedian),
    ("baseline", TypeWord::Baseline),
    ("new_terms", TypeWord::NewTerms),
    ("absence", TypeWord::Absence),
];

/// A checked `correlation:`.
#[derive(Debug)]
pub(super) struct Compiled {
    pub(super) rules: Vec<Referred>,
    pub(super) group_by: Vec<GroupField>,
    pub(super) by_account: bool,
    pub(super) timespan_millis: i64,
    pub(super) kind: CorrelationKind,
    pub(super) generate: bool,
    /// Fields that were named, with their places.
    pub(super) fields: Vec<(String, Span)>,
}

/// The words in `rules`, `after` and `usual`, for finding the order of correlations before they are compiled.
pub(super) fn references(node: &Node) -> Vec<(String, Span)> {
    let correlation = node.get("correlation");
    ["rules", "after", "usual"]
        .into_iter()
        .filter_map(|key| correlation?.value.get(key))
        .flat_map(|entry| entry.value.elements())
        .filter_map(|node| node.as_str().map(|word| (word.to_owned(), node.span)))
        .collect()
}

/// Tells whether a document is an `absence`.
pub(super) fn is_absence(document: &Node) -> bool {
    let word = document.get("correlation").and_then(|entry| entry.value.get("type"));
    word.and_then(|entry| entry.value.as_str()) == Some("absence")
}

/// What the compilation of one correlation works with.
pub(super) struct Context<'c, 'r> {
    pub(super) reader: Reader<'r>,
    pub(super) fields: &'c mut FieldTable,
    pub(super) rules: &'c dyn Rules,
    pub(super) named_fields: Vec<(String, Span)>,
    /// Decides what the budgets of baselines amount to.
    pub(super) sensitivity: Sensitivity,
}

/// Compiles a correlation document; nothing where it has an error, which was reported.
pub(super) fn compile(context: &mut Context<'_, '_>, document: &Node) -> Option<Compiled> {
    let entry = document.get("correlation")?;
    let node = &entry.value;
    let before = context.reader.findings.errors();
    if !context.reader.is_map(node) {
        return None;
    }
    let type_entry = node.get("type");
    let Some(type_entry) = type_entry else {
        context.reader.missing_in(node, entry.key_span, "type");
        return None;
    };
    let word = context.reader.word_of(&type_entry.value, "correlation type", &TYPES)?;
    context.reader.known_keys(node, known_keys(word), "correlation");
    let mut rules = context.referred(node, "rules", entry.key_span);
    let counted = rules.len();
    if word == TypeWord::Absence {
        rules.append(&mut context.referred(node, "after", entry.key_span));
    }
    if word == TypeWord::Baseline && node.get("usual").is_some() {
        rules.append(&mut context.referred(node, "usual", entry.key_span));
    }
    let group_by = context.group_by(node, &rules);
    let generate = match node.get("generate") {
        // pySigma reads it from the top of the document as well.
        None => context.reader.boolean(document, "generate").unwrap_or(false),
        Some(_) => context.reader.boolean(node, "generate").unwrap_or(false),
    };
    let parts = Parts { node, span: entry.key_span, rules: &rules, counted };
    let kind = correlation_kinds::compile(context, word, &parts);
    if context.reader.findings.errors() > before {
        return None;
    }
    let (kind, timespan_millis) = kind?;
    let by_account = group_by.iter().any(|group| {
        group.per_rule.iter().all(|field| context.fields.name(*field) == ACCOUNT_FIELD)
    });
    if matches!(kind, CorrelationKind::Baseline(_)) && !(by_account && group_by.len() == 1) {
        let span = node.get("group-by").map_or(entry.key_span, |entry| entry.key_span);
        context
            .reader
            .findings
            .report(
                Code::BaselineScope,
                context.reader.source,
                span,
                "a baseline is kept with the account",
            )
            .help("write `group-by: [account.app_code]`");
        return None;
    }
    let fields = std::mem::take(&mut context.named_fields);
    Some(Compiled { rules, group_by, by_account, timespan_millis, kind, generate, fields })
}

/// What the kinds read from.
pub(super) struct Parts<'p> {
    pub(super) node: &'p Node,
    pub(super) span: Span,
    pub(super) rules: &'p [Referred],
    /// How many of the rules stand in `rules`; those behind them in `after` or `usual`.
    pub(super) counted: usize,
}

fn known_keys(word: TypeWord) -> &'static [&'static str] {
    match word {
        TypeWord::EventCount
        | TypeWord::ValueCount
        | TypeWord::Temporal
        | TypeWord::TemporalOrdered
        | TypeWord::ValueSum
        | TypeWord::ValueAverage
        | TypeWord::ValuePercentile
        | TypeWord::ValueMedian => {
            &["type", "rules", "group-by", "timespan", "aliases", "condition", "generate"]
        }
        TypeWord::Baseline => &[
            "type",
            "rules",
            "group-by",
            "measure",
            "usual",
            "timespan",
            "season",
            "min-excess",
            "condition",
            "prior",
            "generate",
            "aliases",
        ],
        TypeWord::NewTerms => {
            &["type", "rules", "group-by", "fields", "history", "learn", "generate", "aliases"]
        }
        TypeWord::Absence => {
            &["type", "rules", "after", "group-by", "timespan", "aliases", "generate"]
        }
    }
}

impl Context<'_, '_> {
    pub(super) fn field(&mut self, name: &str, span: Span) -> FieldId {
        self.named_fields.push((name.to_owned(), span));
        self.fields.intern(name)
    }

    /// Reads a field or a list of fields.
    pub(super) fn field_list(&mut self, entry: &Entry) -> Vec<FieldId> {
        let mut fields = Vec::new();
        for node in entry.value.elements() {
            if let Some(name) = self.reader.scalar(node) {
                fields.push(self.field(&name, node.span));
            }
        }
        if fields.is_empty() {
            self.reader.invalid(entry.key_span, format!("`{}` names no field", entry.key));
        }
        fields
    }

    fn referred(&mut self, node: &Node, key: &str, span: Span) -> Vec<Referred> {
        let Some(entry) = node.get(key) else {
            self.reader.missing_in(node, span, key);
            return Vec::new();
        };
        let mut rules: Vec<Referred> = Vec::new();
        for node in entry.value.elements() {
            let Some(word) = self.reader.scalar(node) else { continue };
            match self.rules.find(&word) {
                Some(rule) if rule.is_absence => {
                    let message = format!("`{word}` is an absence, which feeds no correlation");
                    self.reader
                        .findings
                        .report(Code::AbsenceFeeds, self.reader.source, node.span, message)
                        .label("fires at a deadline, where there is no event to correlate");
                }
                Some(rule) => rules.push(rule),
                None => self.unknown_rule(&word, node.span),
            }
        }
        if entry.value.elements().is_empty() {
            self.reader.invalid(entry.key_span, format!("`{key}` names no rule"));
        }
        rules
    }

    fn unknown_rule(&mut self, word: &str, span: Span) {
        let near = self.rules.nearest(word);
        let message = format!("no rule is called `{word}`");
        let finding =
            self.reader.findings.report(Code::UnknownRule, self.reader.source, span, message);
        finding.label("not found by name or id").nearest("rule", near.as_deref());
        if let Some(near) = near {
            finding.suggest(span, &near);
        }
    }

    fn group_by(&mut self, node: &Node, rules: &[Referred]) -> Vec<GroupField> {
        let aliases = node.get("aliases").filter(|entry| entry.value.value != Value::Null);
        if let Some(aliases) = aliases
            && !self.reader.is_map(&aliases.value)
        {
            return Vec::new();
        }
        let Some(entry) = node.get("group-by").filter(|entry| entry.value.value != Value::Null)
        else {
            return Vec::new();
        };
        let mut groups = Vec::new();
        for node in entry.value.elements() {
            let Some(name) = self.reader.scalar(node) else { continue };
            let alias = aliases.and_then(|aliases| aliases.value.get(&name));
            let per_rule = if let Some(alias) = alias {
                self.aliased(alias, rules, node.span)
            } else {
                let field = self.field(&name, node.span);
                vec![field; rules.len()]
            };
            groups.push(GroupField { name, per_rule });
        }
        groups
    }

    /// The field of an alias for each rule.
    fn aliased(&mut self, alias: &Entry, rules: &[Referred], used: Span) -> Vec<FieldId> {
        let mut mapped: Vec<(RuleIndex, FieldId)> = Vec::new();
        if !self.reader.is_map(&alias.value) {
            return Vec::new();
        }
        for entry in alias.value.entries().unwrap_or_default() {
            let Some(rule) = self.rules.find(&entry.key) else {
                self.unknown_rule(&entry.key, entry.key_span);
                continue;
            };
            if let Some(field) = self.reader.scalar(&entry.value) {
                mapped.push((rule.index, self.field(&field, entry.value.span)));
            }
        }
        let mut fields = Vec::new();
        for rule in rules {
            let field = mapped.iter().find(|(index, _)| *index == rule.index);
            if let Some((_, field)) = field {
                fields.push(*field);
                continue;
            }
            let message =
                format!("the alias `{}` has no field for the rule `{}`", alias.key, rule.key);
            self.reader
                .findings
                .report(Code::IncompleteAlias, self.reader.source, alias.key_span, message)
                .also(used, "used here");
        }
        fields
    }

    pub(super) fn bad_condition(&mut self, span: Span, message: &str, help: &str) {
        self.reader
            .findings
            .report(Code::CorrelationCondition, self.reader.source, span, message)
            .help(help);
    }

    pub(super) fn nearest_of(word: &str, known: &[&'static str]) -> Option<&'static str> {
        nearest(word, known.iter().copied())
    }
}
