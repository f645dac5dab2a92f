//! What each type of correlation computes: its condition, fields and times.

use super::calibration::CalibrationClass;
use super::codes::Code;
use super::correlation::{Context, Parts, TypeWord};
use super::diagnostic::Span;
use super::fields::FieldId;
use super::model::{
    BaselineRule, Budget, Comparison, CorrelationKind, Measure, PlanMeasure, Prior, Range,
};
use super::yaml::{Entry, Node, Value};

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;

/// How long an account shows its habits before `new_terms` fires, where the rule does not say.
const DEFAULT_LEARN_MILLIS: i64 = 7 * DAY;

const COMPARISONS: [(&str, Comparison); 6] = [
    ("gt", Comparison::Greater),
    ("gte", Comparison::GreaterOrEqual),
    ("lt", Comparison::Less),
    ("lte", Comparison::LessOrEqual),
    ("eq", Comparison::Equal),
    ("neq", Comparison::NotEqual),
];

/// A read `condition:`.
#[derive(Default)]
struct Condition {
    range: Vec<(Comparison, f64)>,
    fields: Vec<FieldId>,
    percentile: Option<f64>,
}

/// Compiles what is special to the type; returns it with how far it looks back.
pub(super) fn compile(
    context: &mut Context<'_, '_>,
    word: TypeWord,
    parts: &Parts<'_>,
) -> Option<(CorrelationKind, i64)> {
    match word {
        TypeWord::Baseline => baseline(context, parts),
        TypeWord::NewTerms => new_terms(context, parts),
        TypeWord::Absence => {
            let timespan = timespan(context, parts)?;
            Some((CorrelationKind::Absence { first_after: parts.counted }, timespan))
        }
        TypeWord::Temporal => {
            let timespan = timespan(context, parts)?;
            let condition = match parts.node.get("condition") {
                Some(entry) => range(context, entry, &[])?.range,
                None => vec![(Comparison::GreaterOrEqual, float(parts.rules.len()))],
            };
            Some((CorrelationKind::Temporal { condition: Range(condition) }, timespan))
        }
        TypeWord::TemporalOrdered => {
            let timespan = timespan(context, parts)?;
            temporal_ordered_condition(context, parts)?;
            Some((CorrelationKind::TemporalOrdered, timespan))
        }
        TypeWord::EventCount
        | TypeWord::ValueCount
        | TypeWord::ValueSum
        | TypeWord::ValueAverage
        | TypeWord::ValuePercentile
        | TypeWord::ValueMedian => numeric(context, word, parts),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a correlation has few rules")]
fn float(count: usize) -> f64 {
    count as f64
}

fn timespan(context: &mut Context<'_, '_>, parts: &Parts<'_>) -> Option<i64> {
    if parts.node.get("timespan").is_none() {
        context.reader.missing_in(parts.node, parts.span, "timespan");
    }
    context.reader.time_span(parts.node, "timespan")
}

/// It needs all of its rules; a condition may only say just that.
fn temporal_ordered_condition(context: &mut Context<'_, '_>, parts: &Parts<'_>) -> Option<()> {
    let Some(entry) = parts.node.get("condition") else { return Some(()) };
    let all = float(parts.rules.len());
    let condition = range(context, entry, &[])?;
    let same = condition.range == [(Comparison::GreaterOrEqual, all)]
        || condition.range == [(Comparison::Equal, all)];
    if same {
        return Some(());
    }
    context.bad_condition(
        entry.key_span,
        "`temporal_ordered` fires when all its rules were seen in order",
        "leave `condition` out, or use `temporal` for some of the rules",
    );
    None
}

fn numeric(
    context: &mut Context<'_, '_>,
    word: TypeWord,
    parts: &Parts<'_>,
) -> Option<(CorrelationKind, i64)> {
    let timespan = timespan(context, parts);
    let Some(entry) = parts.node.get("condition") else {
        context.reader.missing_in(parts.node, parts.span, "condition");
        return None;
    };
    let extra: &[&'static str] = match word {
        TypeWord::EventCount => &[],
        TypeWord::ValuePercentile => &["field", "percentile"],
        TypeWord::ValueCount
        | TypeWord::ValueSum
        | TypeWord::ValueAverage
        | TypeWord::ValueMedian
        | TypeWord::Temporal
        | TypeWord::TemporalOrdered
        | TypeWord::Baseline
        | TypeWord::NewTerms
        | TypeWord::Absence => &["field"],
    };
    let condition = range(context, entry, extra)?;
    let (timespan, span) = (timespan?, entry.key_span);
    let range = Range(condition.range);
    let kind = match word {
        TypeWord::ValueCount if !condition.fields.is_empty() => {
            CorrelationKind::ValueCount { fields: condition.fields, condition: range }
        }
        TypeWord::ValueSum => CorrelationKind::ValueSum {
            field: one(context, &condition.fields, span)?,
            condition: range,
        },
        TypeWord::ValueAverage => CorrelationKind::ValueAverage {
            field: one(context, &condition.fields, span)?,
            condition: range,
        },
        TypeWord::ValueMedian => CorrelationKind::ValuePercentile {
            field: one(context, &condition.fields, span)?,
            percentile: 50.0,
            condition: range,
        },
        TypeWord::ValuePercentile => {
            let field = one(context, &condition.fields, span)?;
            let Some(percentile) = condition.percentile else {
                context.bad_condition(
                    span,
                    "`value_percentile` needs a percentile",
                    "write `condition: {field: FIELD, percentile: 95, gte: NUMBER}`",
                );
                return None;
            };
            CorrelationKind::ValuePercentile { field, percentile, condition: range }
        }
        TypeWord::ValueCount => {
            one(context, &[], span)?;
            return None;
        }
        TypeWord::EventCount
        | TypeWord::Temporal
        | TypeWord::TemporalOrdered
        | TypeWord::Baseline
        | TypeWord::NewTerms
        | TypeWord::Absence => CorrelationKind::EventCount { condition: range },
    };
    Some((kind, timespan))
}

fn one(context: &mut Context<'_, '_>, fields: &[FieldId], span: Span) -> Option<FieldId> {
    if let [field] = fields {
        return Some(*field);
    }
    let message = if fields.is_empty() {
        "the condition names no `field`"
    } else {
        "only `value_count` takes several fields"
    };
    context.bad_condition(span, message, "write `condition: {field: FIELD, gte: NUMBER}`");
    None
}

/// Reads comparisons and, where the type has them, `field` and `percentile`.
fn range(
    context: &mut Context<'_, '_>,
    entry: &Entry,
    extra: &[&'static str],
) -> Option<Condition> {
    let Some(items) = entry.value.entries() else {
        context.bad_condition(
            entry.value.span,
            "the condition is no map of comparisons",
            "write for example `condition: {gte: 10}`; combine rules in the detection they belong to",
        );
        return None;
    };
    let mut condition = Condition::default();
    let before = context.reader.findings.errors();
    for item in items {
        let key = item.key.as_str();
        if let Some((_, comparison)) = COMPARISONS.iter().find(|(word, _)| *word == key) {
            let number = context.reader.number(&entry.value, key, f64::MIN, f64::MAX);
            condition.range.extend(number.map(|number| (*comparison, number)));
        } else if key == "field" && extra.contains(&key) {
            condition.fields = context.field_list(item);
        } else if key == "percentile" && extra.contains(&key) {
            condition.percentile = context.reader.number(&entry.value, key, 0.0, 100.0);
        } else {
            unknown_condition_key(context, item, extra);
        }
    }
    if context.reader.findings.errors() > before {
        return None;
    }
    if condition.range.is_empty() {
        context.bad_condition(
            entry.key_span,
            "the condition compares nothing",
            "write one of gt, gte, lt, lte, eq, neq, or two of them for a range",
        );
        return None;
    }
    if !satisfiable(&condition.range) {
        context.bad_condition(
            entry.key_span,
            "no number fulfils this condition",
            "the comparisons are joined by AND",
        );
        return None;
    }
    Some(condition)
}

fn unknown_condition_key(context: &mut Context<'_, '_>, item: &Entry, extra: &[&'static str]) {
    let mut known: Vec<&'static str> = COMPARISONS.iter().map(|(word, _)| *word).collect();
    known.extend(extra);
    let near = Context::nearest_of(&item.key, &known);
    let message = format!("unknown key `{}` in the condition", item.key);
    context
        .reader
        .findings
        .report(Code::UnknownKey, context.reader.source, item.key_span, message)
        .nearest("key", near)
        .help(format!("known keys are {}", known.join(", ")));
}

fn satisfiable(range: &[(Comparison, f64)]) -> bool {
    let bounds = || range.iter().map(|(_, bound)| *bound);
    // Between and beside the bounds a comparison does not change, so these stand for all numbers.
    let mut candidates: Vec<f64> =
        bounds().flat_map(|bound| [bound - 1.0, bound, bound + 1.0]).collect();
    candidates.extend(bounds().flat_map(|a| bounds().map(move |b| f64::midpoint(a, b))));
    candidates
        .into_iter()
        .any(|value| range.iter().all(|(comparison, bound)| comparison.holds(value, *bound)))
}

fn new_terms(context: &mut Context<'_, '_>, parts: &Parts<'_>) -> Option<(CorrelationKind, i64)> {
    let Some(entry) = parts.node.get("fields") else {
        context.reader.missing_in(parts.node, parts.span, "fields");
        return None;
    };
    let fields = context.field_list(entry);
    if parts.node.get("history").is_none() {
        context.reader.missing_in(parts.node, parts.span, "history");
    }
    let history_millis = context.reader.time_span(parts.node, "history")?;
    let learn_millis = match parts.node.get("learn") {
        Some(_) => context.reader.time_span(parts.node, "learn")?,
        None => DEFAULT_LEARN_MILLIS.min(history_millis),
    };
    if learn_millis > history_millis {
        let span = parts.node.get("learn").map_or(parts.span, |entry| entry.value.span);
        context.reader.invalid(span, "`learn` is longer than `history`");
    }
    Some((CorrelationKind::NewTerms { fields, history_millis, learn_millis }, history_millis))
}

fn baseline(context: &mut Context<'_, '_>, parts: &Parts<'_>) -> Option<(CorrelationKind, i64)> {
    let node = parts.node;
    let measure = match node.get("measure") {
        Some(entry) => measure(context, entry)?,
        None => Measure::Count,
    };
    if let Some(entry) = node.get("usual")
        && !matches!(measure, Measure::SumPerUsual(_))
    {
        context.reader.invalid(entry.key_span, "`usual` needs `measure: {sum: FIELD, per: usual}`");
        return None;
    }
    let (one_hour, one_day) = scales(context, parts)?;
    let season = context.reader.boolean(node, "season").unwrap_or(true);
    let min_excess = context.reader.number(node, "min-excess", 0.0, 1e9).unwrap_or(0.0);
    let prior = match node.get("prior") {
        Some(entry) => prior(context, entry)?,
        None => default_prior(parts),
    };
    let Some(entry) = node.get("condition") else {
        context.reader.missing_in(parts.node, parts.span, "condition");
        return None;
    };
    let class = CalibrationClass::of(&measure, one_hour, one_day, season, min_excess);
    let (threshold, budget) = threshold(context, entry, class)?;
    let rule = BaselineRule {
        measure,
        first_usual: parts.counted,
        one_hour,
        one_day,
        season,
        min_excess,
        threshold,
        budget,
        prior,
    };
    Some((CorrelationKind::Baseline(rule), if one_day { DAY } else { HOUR }))
}

fn measure(context: &mut Context<'_, '_>, entry: &Entry) -> Option<Measure> {
    let node = &entry.value;
    if node.entries().is_none() {
        return context.reader.word_of(node, "measure", &[("count", ())]).map(|()| Measure::Count);
    }
    if !context.reader.known_keys(node, &["sum", "per", "distinct"], "measure") {
        return None;
    }
    let per_usual = match node.get("per") {
        Some(per) => {
            context.reader.word_of(&per.value, "unit", &[("usual", ())])?;
            true
        }
        None => false,
    };
    match (node.get("sum"), node.get("distinct")) {
        (Some(sum), None) => {
            let name = context.reader.scalar(&sum.value)?;
            let field = context.field(&name, sum.value.span);
            Some(if per_usual { Measure::SumPerUsual(field) } else { Measure::Sum(field) })
        }
        (None, Some(distinct)) if !per_usual => {
            let name = context.reader.scalar(&distinct.value)?;
            Some(Measure::Distinct(context.field(&name, distinct.value.span)))
        }
        (None, _) | (Some(_), Some(_)) => {
            context.reader.invalid(
                entry.key_span,
                "`measure` is `count`, `{sum: FIELD}`, `{sum: FIELD, per: usual}` or `{distinct: FIELD}`",
            );
            None
        }
    }
}

/// `1h`, `24h` or both, in any spelling of those lengths.
fn scales(context: &mut Context<'_, '_>, parts: &Parts<'_>) -> Option<(bool, bool)> {
    let Some(entry) = parts.node.get("timespan") else {
        context.reader.missing_in(parts.node, parts.span, "timespan");
        return None;
    };
    let (mut one_hour, mut one_day) = (false, false);
    for node in entry.value.elements() {
        let text = context.reader.scalar(node)?;
        match text.parse::<crate::event::TimeSpan>().map(crate::event::TimeSpan::millis) {
            Ok(HOUR) => one_hour = true,
            Ok(DAY) => one_day = true,
            Ok(_) | Err(_) => {
                context.reader.invalid(node.span, "the scales of a baseline are `1h` and `24h`");
                return None;
            }
        }
    }
    if !one_hour && !one_day {
        context.reader.invalid(entry.key_span, "the scales of a baseline are `1h` and `24h`");
        return None;
    }
    Some((one_hour, one_day))
}

/// Reads the score from which a baseline fires: the rule's own, or that of its budget.
fn threshold(
    context: &mut Context<'_, '_>,
    entry: &Entry,
    class: CalibrationClass,
) -> Option<(f64, Option<Budget>)> {
    if !context.reader.known_keys(&entry.value, &["score", "budget"], "the condition") {
        return None;
    }
    let budget = match entry.value.get("budget") {
        Some(budget) => Some(read_budget(context, &budget.value, class)?),
        None => None,
    };
    if entry.value.get("score").is_some() {
        return Some((context.reader.number(&entry.value, "score", 0.1, 1000.0)?, budget));
    }
    if budget.is_none() {
        context.bad_condition(
            entry.key_span,
            "a baseline fires by `score` or by `budget`",
            "write `condition: {budget: 0.28/1000d}` or `condition: {score: 6.7}`",
        );
    }
    budget.map(|one| (one.threshold, budget))
}

fn read_budget(
    context: &mut Context<'_, '_>,
    node: &Node,
    class: CalibrationClass,
) -> Option<Budget> {
    let text = context.reader.scalar(node)?;
    let Some(per_thousand_days) = budget_per_thousand_days(&text) else {
        context.reader.invalid(
            node.span,
            format!("`{text}` is no budget; write false alarms per account-days, `0.28/1000d`"),
        );
        return None;
    };
    let per_thousand_days = per_thousand_days * context.sensitivity.false_alarms();
    Some(Budget { per_thousand_days, threshold: class.threshold(per_thousand_days) })
}

/// Reads `0.28/1000d`.
fn budget_per_thousand_days(text: &str) -> Option<f64> {
    let (alarms, days) = text.split_once('/')?;
    let alarms: f64 = alarms.trim().parse().ok()?;
    let days = days.trim().strip_suffix('d')?;
    let days: f64 = if days.is_empty() { 1.0 } else { days.parse().ok()? };
    let rate = alarms / days * 1000.0;
    (rate.is_finite() && rate > 0.0 && days > 0.0).then_some(rate)
}

fn prior(context: &mut Context<'_, '_>, entry: &Entry) -> Option<Prior> {
    let node: &Node = &entry.value;
    match node.value {
        Value::Int(_) | Value::Float(_) => {
            let number = node.scalar_text(context.reader.source)?.parse::<f64>().ok();
            let number = number.filter(|number| (1e-6..=1e9).contains(number));
            if number.is_none() {
                context.reader.invalid(node.span, "`prior` is a number of events a day above 0");
            }
            number.map(Prior::PerDay)
        }
        Value::Null | Value::Bool(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
            if !context.reader.known_keys(node, &["plan", "factor", "plus"], "prior") {
                return None;
            }
            let Some(plan) = node.get("plan") else {
                context.reader.missing(entry.key_span, "plan");
                return None;
            };
            let measure = context.reader.word_of(
                &plan.value,
                "figure of a plan",
                &[
                    ("messages", PlanMeasure::Messages),
                    ("first_contacts", PlanMeasure::FirstContacts),
                    ("broadcasts", PlanMeasure::Broadcasts),
                    ("templates", PlanMeasure::Templates),
                ],
            )?;
            Some(Prior::OfPlan {
                measure,
                factor: context.reader.number(node, "factor", 0.0, 1e6).unwrap_or(1.0),
                plus: context.reader.number(node, "plus", 0.0, 1e9).unwrap_or(0.0),
            })
        }
    }
}

/// As if the first rule matched every event of its category: a new account is not alarmed on early.
fn default_prior(parts: &Parts<'_>) -> Prior {
    let category = parts.rules.first().and_then(|rule| rule.category.as_deref());
    let measure = match category {
        Some("message") => PlanMeasure::Messages,
        Some("broadcast") => PlanMeasure::Broadcasts,
        Some("template") => PlanMeasure::Templates,
        Some(_) | None => return Prior::PerDay(1.0),
    };
    Prior::OfPlan { measure, factor: 1.0, plus: 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_read_as_rates() {
        for (text, rate) in [
            ("0.28/1000d", Some(0.28)),
            ("1 / 90d", Some(1000.0 / 90.0)),
            ("1/d", Some(1000.0)),
            ("0/1000d", None),
            ("0.28", None),
            ("x/1000d", None),
            ("1/0d", None),
            ("1/-5d", None),
        ] {
            let read = budget_per_thousand_days(text);
            assert_eq!(read.is_some(), rate.is_some(), "{text}");
            assert!((read.unwrap_or(0.0) - rate.unwrap_or(0.0)).abs() < 1e-9, "{text}");
        }
    }

    #[test]
    fn conditions_that_no_number_fulfils_are_found() {
        use Comparison::{Equal, Greater, GreaterOrEqual, Less, NotEqual};
        for (range, expected) in [
            (vec![(GreaterOrEqual, 5.0), (Less, 10.0)], true),
            (vec![(GreaterOrEqual, 10.0), (Less, 5.0)], false),
            (vec![(Greater, 5.0), (Less, 5.1)], true),
            (vec![(Equal, 5.0), (NotEqual, 5.0)], false),
            (vec![(Greater, 5.0), (Less, 5.0)], false),
        ] {
            assert_eq!(satisfiable(&range), expected, "{range:?}");
        }
    }
}
