//! `detection:` and the like: named selections and the condition over them, as one expression.

use std::ops::Range;
use std::sync::Arc;

use super::codes::Code;
use super::condition::{self, Condition, Pattern, Quantifier, Reason};
use super::diagnostic::Span;
use super::model::Expr;
use super::nearest::nearest;
use super::values::{Scope, and, or};
use super::yaml::{Entry, Node, Value};

/// Tests in one condition, each counted wherever it is repeated.
const MAX_TESTS: usize = 200_000;
/// Combinations that `N of` writes out.
const MAX_COMBINATIONS: usize = 5_000;

/// A compiled `detection:` or `filter:`.
#[derive(Debug)]
pub(super) struct Selections {
    pub(super) condition: Expr,
    /// As written.
    pub(super) text: String,
    pub(super) condition_span: Span,
    /// The selections that the condition uses.
    pub(super) parts: Vec<Selection>,
}

/// One named selection.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) name: Arc<str>,
    /// Of its name.
    pub(super) span: Span,
    pub(super) expr: Expr,
    tests: usize,
    used: bool,
}

/// Compiles the map; `reserved` keys besides `condition` are not selections. Nothing where there is
/// an error, which was reported.
pub(super) fn compile(scope: &mut Scope<'_>, node: &Node, reserved: &[&str]) -> Option<Selections> {
    let Some(entries) = node.entries() else {
        let message = format!("expected a map of selections, found {}", node.kind());
        scope.findings.report(Code::WrongType, scope.source, node.span, message);
        return None;
    };
    let mut selections = Vec::new();
    let mut condition = None;
    let mut failed = false;
    for entry in entries {
        match entry.key.as_str() {
            "condition" => condition = Some(entry),
            "timeframe" => {
                scope
                    .findings
                    .report(
                        Code::KeyWithoutEffect,
                        scope.source,
                        entry.key_span,
                        "`timeframe` has no effect",
                    )
                    .help("write a correlation with `timespan`");
            }
            key if reserved.contains(&key) => {}
            key => match selection(scope, entry) {
                Some(expr) => selections.push(Selection {
                    name: key.into(),
                    span: entry.key_span,
                    tests: count(&expr),
                    expr,
                    used: false,
                }),
                None => failed = true,
            },
        }
    }
    let Some(condition) = condition else {
        let near = nearest("condition", entries.iter().map(|entry| &*entry.key));
        let span = entries.first().map_or(node.span, |entry| entry.key_span);
        scope
            .findings
            .report(Code::MissingKey, scope.source, span, "`condition` is missing")
            .nearest("key", near);
        return None;
    };
    if failed {
        // The names are still worth checking, but a broken selection must not be reported again.
        return None;
    }
    let mut compiled = joined(scope, condition, &mut selections)?;
    for unused in selections.iter().filter(|selection| !selection.used) {
        if !unused.name.starts_with('_') {
            let message = format!("the selection `{}` is not used", unused.name);
            scope.findings.report(Code::UnusedSelection, scope.source, unused.span, message).help(
                "use it in the condition, or start its name with `_` if it is kept on purpose",
            );
        }
    }
    selections.retain(|selection| selection.used);
    compiled.parts = selections;
    Some(compiled)
}

/// A list of conditions is their OR, as Sigma 1 had it.
fn joined(
    scope: &mut Scope<'_>,
    entry: &Entry,
    selections: &mut [Selection],
) -> Option<Selections> {
    let mut parts = Vec::new();
    let mut texts = Vec::new();
    for node in entry.value.elements() {
        let Some(text) = node.scalar_text(scope.source) else {
            let message = format!("expected the text of a condition, found {}", node.kind());
            scope.findings.report(Code::WrongType, scope.source, node.span, message);
            return None;
        };
        let condition = match condition::parse(&text) {
            Ok(condition) => condition,
            Err(error) => {
                report_syntax(scope, node, &text, error.at, error.reason);
                return None;
            }
        };
        let mut resolver = Resolver { scope, selections, node, text: &text, tests: 0 };
        parts.push(resolver.resolve(&condition)?);
        texts.push(text);
    }
    if parts.is_empty() {
        scope.findings.report(
            Code::MissingKey,
            scope.source,
            entry.key_span,
            "the condition is empty",
        );
        return None;
    }
    let text = match texts.as_slice() {
        [only] => only.clone(),
        several => several.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" or "),
    };
    let condition_span = entry.value.span;
    Some(Selections { condition: or(parts), text, condition_span, parts: Vec::new() })
}

fn report_syntax(scope: &mut Scope<'_>, node: &Node, text: &str, at: Range<usize>, reason: Reason) {
    let end = at.end.max(at.start + usize::from(at.start < text.len()));
    let span = scope.source.part_of(node.span, text, at.start..end);
    match reason {
        Reason::Syntax(reason) => {
            scope
                .findings
                .report(Code::ConditionSyntax, scope.source, span, "the condition cannot be read")
                .label(reason);
        }
        Reason::Aggregation => {
            scope
                .findings
                .report(
                    Code::AggregationRemoved,
                    scope.source,
                    span,
                    "Sigma 2 has no aggregations in conditions",
                )
                .help("write a correlation of type event_count or value_count");
        }
        Reason::TooDeep => {
            scope
                .findings
                .report(
                    Code::ConditionTooLarge,
                    scope.source,
                    span,
                    "the condition is nested too deeply",
                )
                .label("deeper than 64 levels");
        }
    }
}

struct Resolver<'r, 's> {
    scope: &'r mut Scope<'s>,
    selections: &'r mut [Selection],
    node: &'r Node,
    text: &'r str,
    tests: usize,
}

impl Resolver<'_, '_> {
    fn place(&self, at: &Range<usize>) -> Span {
        self.scope.source.part_of(self.node.span, self.text, at.clone())
    }

    fn resolve(&mut self, condition: &Condition) -> Option<Expr> {
        match condition {
            Condition::Name(name, at) => {
                let Some(index) =
                    self.selections.iter().position(|selection| *selection.name == **name)
                else {
                    self.unknown(name, &at.0);
                    return None;
                };
                self.use_selection(index, &at.0)
            }
            Condition::Of(quantifier, pattern, at) => self.of(*quantifier, pattern, &at.0),
            Condition::Not(inner) => Some(Expr::Not(Box::new(self.resolve(inner)?))),
            Condition::And(parts) => {
                parts.iter().map(|part| self.resolve(part)).collect::<Option<_>>().map(and)
            }
            Condition::Or(parts) => {
                parts.iter().map(|part| self.resolve(part)).collect::<Option<_>>().map(or)
            }
        }
    }

    fn unknown(&mut self, name: &str, at: &Range<usize>) {
        let span = self.place(at);
        let near = nearest(name, self.selections.iter().map(|selection| &*selection.name));
        let near = near.map(str::to_owned);
        let message = format!("the condition names `{name}`, which is no selection");
        let finding =
            self.scope.findings.report(Code::UnknownSelection, self.scope.source, span, message);
        finding.label("not defined").nearest("selection", near.as_deref());
        if let Some(near) = near {
            finding.suggest(span, &near);
        }
    }

    fn use_selection(&mut self, index: usize, at: &Range<usize>) -> Option<Expr> {
        self.tests += self.selections[index].tests;
        if self.tests > MAX_TESTS {
            self.too_large(at, format!("more than {MAX_TESTS} tests"));
            return None;
        }
        let selection = &mut self.selections[index];
        selection.used = true;
        Some(Expr::Selection(Arc::clone(&selection.name), Box::new(selection.expr.clone())))
    }

    fn too_large(&mut self, at: &Range<usize>, label: String) {
        let span = self.place(at);
        self.scope
            .findings
            .report(
                Code::ConditionTooLarge,
                self.scope.source,
                span,
                "the condition becomes too large",
            )
            .label(label);
    }

    fn of(&mut self, quantifier: Quantifier, pattern: &Pattern, at: &Range<usize>) -> Option<Expr> {
        let meant: Vec<usize> = (0..self.selections.len())
            .filter(|index| pattern.means(&self.selections[*index].name))
            .collect();
        if meant.is_empty() {
            self.matches_nothing(pattern, at);
            return None;
        }
        let count = match quantifier {
            Quantifier::All => meant.len(),
            Quantifier::AtLeast(count) => count,
        };
        if count > meant.len() {
            let span = self.place(at);
            let message =
                format!("`{count} of` cannot hold: the pattern means {} selections", meant.len());
            self.scope.findings.report(Code::ConditionSyntax, self.scope.source, span, message);
            return None;
        }
        let Some(combinations) = combinations(&meant, count) else {
            self.too_large(at, format!("more than {MAX_COMBINATIONS} combinations"));
            return None;
        };
        let mut alternatives = Vec::with_capacity(combinations.len());
        for combination in combinations {
            let parts: Option<Vec<_>> =
                combination.into_iter().map(|index| self.use_selection(index, at)).collect();
            alternatives.push(and(parts?));
        }
        Some(or(alternatives))
    }

    fn matches_nothing(&mut self, pattern: &Pattern, at: &Range<usize>) {
        let span = self.place(at);
        let (message, near) = match pattern {
            Pattern::Them => ("`them` means no selection".to_owned(), None),
            Pattern::Names(names) => {
                let bare = names.trim_matches('*');
                let known = self.selections.iter().map(|selection| &*selection.name);
                (format!("the pattern `{names}` matches no selection"), nearest(bare, known))
            }
        };
        let near = near.map(str::to_owned);
        self.scope
            .findings
            .report(Code::PatternMatchesNothing, self.scope.source, span, message)
            .nearest("selection", near.as_deref());
    }
}

/// All ways to choose `count` of the items, or nothing where there are too many.
fn combinations(items: &[usize], count: usize) -> Option<Vec<Vec<usize>>> {
    let mut chosen: Vec<Vec<usize>> = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for combination in &chosen {
            let next = combination.last().map_or(0, |last| {
                items.iter().position(|item| item == last).map_or(0, |at| at + 1)
            });
            for item in &items[next..] {
                let mut combination = combination.clone();
                combination.push(*item);
                longer.push(combination);
            }
            if longer.len() > MAX_COMBINATIONS {
                return None;
            }
        }
        chosen = longer;
    }
    // A start that leaves too few items has no end: drop what is short.
    chosen.retain(|combination| combination.len() == count);
    Some(chosen)
}

fn count(expr: &Expr) -> usize {
    match expr {
        Expr::Atom(_) | Expr::Constant(_) => 1,
        Expr::Not(inner) | Expr::Selection(_, inner) => count(inner),
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(count).sum(),
    }
}

/// A selection: a map, a list of maps and keywords, or one keyword.
fn selection(scope: &mut Scope<'_>, entry: &Entry) -> Option<Expr> {
    match &entry.value.value {
        Value::Map(items) => map(scope, items, entry.key_span),
        Value::List(nodes) => {
            if nodes.is_empty() {
                return empty(scope, entry.key_span);
            }
            let parts: Vec<_> = nodes
                .iter()
                .map(|node| match &node.value {
                    Value::Map(items) => map(scope, items, node.span),
                    Value::List(_)
                    | Value::Null
                    | Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::Text(_) => scope.keyword(node),
                })
                .collect();
            parts.into_iter().collect::<Option<_>>().map(or)
        }
        Value::Null => empty(scope, entry.key_span),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
            scope.keyword(&entry.value)
        }
    }
}

fn map(scope: &mut Scope<'_>, items: &[Entry], span: Span) -> Option<Expr> {
    if items.is_empty() {
        return empty(scope, span);
    }
    let parts: Vec<_> = items.iter().map(|item| scope.item(item)).collect();
    parts.into_iter().collect::<Option<_>>().map(and)
}

fn empty(scope: &mut Scope<'_>, span: Span) -> Option<Expr> {
    scope.findings.report(Code::EmptySelection, scope.source, span, "the selection tests nothing");
    None
}
