//! What is told about a rule and an event.

use std::fmt::Write as _;
use std::io::{self, Write};

use serde::Serialize;

use super::Format;
use super::played::Played;
use crate::cli::rules::tree::{Part, draw, sign, span};
use crate::detect::correlate::{Explanation, Fired};
use crate::engine::Rules;
use crate::event::EventTime;
use crate::rulebook::{Correlation, CorrelationKind, Range, RuleIndex};

#[derive(Debug, Serialize)]
pub(super) struct Report {
    rule: String,
    title: String,
    /// The event that is explained, the last of the file.
    event: String,
    event_type: String,
    account: String,
    time: String,
    pub(super) matches: bool,
    /// Why the event was not evaluated at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<&'static str>,
    /// The account's risk after it.
    risk: f64,
    detections: Vec<DetectionReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation: Option<CorrelationReport>,
}

#[derive(Debug, Serialize)]
struct DetectionReport {
    rule: String,
    condition: String,
    /// Whether its log source is that of the event.
    applies: bool,
    matches: bool,
    /// How many events of the file it matched.
    matched_events: u64,
    tree: Part,
}

#[derive(Debug, Serialize)]
struct CorrelationReport {
    /// What it asks, in words.
    asks: String,
    group_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<Measured>,
}

/// What the condition compares at the event.
#[derive(Debug, Serialize)]
struct Measured {
    value: f64,
    group: Vec<(String, String)>,
    why: String,
    events: Vec<String>,
}

impl Report {
    pub(super) fn of(
        rules: &Rules,
        rule: RuleIndex,
        played: &Played,
        measured: Option<Fired>,
    ) -> Self {
        let event = &played.events[played.events.len() - 1];
        let book = rules.rulebook();
        let mut detections = Vec::new();
        for (index, applies, explanation) in &played.trees {
            let detection = &book.detections[index.0 as usize];
            let fed =
                played.fed.iter().find(|(fed, _)| fed == index).map_or(0, |(_, count)| *count);
            detections.push(DetectionReport {
                rule: detection.meta.key.to_string(),
                condition: detection.condition_text.to_string(),
                applies: *applies,
                matches: played.matched.contains(&RuleIndex::Detection(*index)),
                matched_events: fed,
                tree: Part::of(rules, explanation),
            });
        }
        let correlation = match rule {
            RuleIndex::Detection(_) => None,
            RuleIndex::Correlation(index) => {
                let correlation = &book.correlations[index.0 as usize];
                let measured = played.fired.clone().or(measured);
                Some(CorrelationReport {
                    asks: asks(correlation),
                    group_by: correlation.group_by.iter().map(|one| one.name.to_string()).collect(),
                    measured: measured.as_ref().map(Measured::of),
                })
            }
        };
        let meta = rules.meta(rule);
        Self {
            rule: meta.key.to_string(),
            title: meta.title.to_string(),
            event: event.id().as_str().to_owned(),
            event_type: event.event_type().name().to_owned(),
            account: event.account().as_str().to_owned(),
            time: time_text(event.time()),
            matches: played.matched.contains(&rule),
            skipped: played.skipped,
            risk: played.risk,
            detections,
            correlation,
        }
    }
}

impl Measured {
    fn of(fired: &Fired) -> Self {
        let why = match &fired.explanation {
            Explanation::Window { from, to } => {
                format!("in the window from {} to {}", time_text(*from), time_text(*to))
            }
            Explanation::Baseline(verdict) => {
                let mut why =
                    format!("score {:.2}, level {:.2} a day", verdict.score, verdict.level_per_day);
                for (name, scale) in [("1h", &verdict.one_hour), ("24h", &verdict.one_day)] {
                    if let Some(scale) = scale {
                        // Writing to a String cannot fail.
                        let _ = write!(
                            why,
                            "; {name}: {:.2} where {:.2} are expected, score {:.2}",
                            scale.count, scale.expected, scale.score
                        );
                    }
                }
                why
            }
            Explanation::NewTerm => "the group had not shown this value".to_owned(),
            Explanation::Absence { since, deadline } => {
                format!("nothing came from {} to {}", time_text(*since), time_text(*deadline))
            }
        };
        Self {
            value: fired.value,
            group: fired
                .group
                .iter()
                .map(|(field, value)| (field.to_string(), value.clone()))
                .collect(),
            why,
            events: fired.events.iter().map(|event| event.as_str().to_owned()).collect(),
        }
    }
}

fn asks(correlation: &Correlation) -> String {
    let within = span(correlation.timespan_millis);
    let range = |range: &Range| {
        let parts: Vec<String> = range
            .0
            .iter()
            .map(|(comparison, bound)| format!("{} {bound}", sign(*comparison)))
            .collect();
        parts.join(" and ")
    };
    match &correlation.kind {
        CorrelationKind::EventCount { condition } => {
            format!("matches {} within {within}", range(condition))
        }
        CorrelationKind::ValueCount { condition, .. } => {
            format!("distinct values {} within {within}", range(condition))
        }
        CorrelationKind::ValueSum { condition, .. } => {
            format!("sum {} within {within}", range(condition))
        }
        CorrelationKind::ValueAverage { condition, .. } => {
            format!("average {} within {within}", range(condition))
        }
        CorrelationKind::ValuePercentile { percentile, condition, .. } => {
            format!("percentile {percentile} {} within {within}", range(condition))
        }
        CorrelationKind::Temporal { condition } => {
            format!("rules seen {} within {within}", range(condition))
        }
        CorrelationKind::TemporalOrdered => format!("all rules in their order within {within}"),
        CorrelationKind::Baseline(baseline) => format!(
            "score >= {} nats and at least {} above what is expected",
            baseline.threshold, baseline.min_excess
        ),
        CorrelationKind::NewTerms { history_millis, learn_millis, .. } => format!(
            "a value that was not seen for {}, once {} have taught what is usual",
            span(*history_millis),
            span(*learn_millis)
        ),
        CorrelationKind::Absence { .. } => format!("nothing follows within {within}"),
    }
}

pub(super) fn print(format: Format, report: &Report) -> io::Result<()> {
    let mut output = io::stdout().lock();
    match format {
        Format::Text => output.write_all(text(report).as_bytes())?,
        Format::Json => {
            serde_json::to_writer_pretty(&mut output, report)?;
            output.write_all(b"\n")?;
        }
    }
    output.flush()
}

fn text(report: &Report) -> String {
    let mut text = format!(
        "event {:?}  {}  account {:?}  {}\n",
        report.event, report.event_type, report.account, report.time
    );
    let verdict = if report.matches { "MATCH" } else { "no match" };
    let _ = writeln!(text, "{}  {verdict}  {}", report.rule, report.title);
    if let Some(why) = report.skipped {
        let _ = writeln!(text, "  the event was not evaluated: {why}");
    }
    if let Some(correlation) = &report.correlation {
        correlation_text(&mut text, correlation);
    }
    for detection in &report.detections {
        let verdict = match (detection.applies, detection.matches) {
            (false, _) => "looks at another log source",
            (true, true) => "matches",
            (true, false) => "does not match",
        };
        let _ = writeln!(
            text,
            "  {}: {verdict} (condition: {}; matched {} events of the file)",
            detection.rule, detection.condition, detection.matched_events
        );
        draw(&mut text, &detection.tree, 2);
    }
    let _ = writeln!(text, "the account's risk is {:.1}", report.risk);
    text
}

fn correlation_text(text: &mut String, correlation: &CorrelationReport) {
    let groups = if correlation.group_by.is_empty() {
        "one group for all".to_owned()
    } else {
        format!("by {}", correlation.group_by.join(", "))
    };
    let _ = writeln!(text, "  asks: {} ({groups})", correlation.asks);
    let Some(measured) = &correlation.measured else {
        text.push_str("  this event adds nothing to it\n");
        return;
    };
    let group: Vec<String> =
        measured.group.iter().map(|(field, value)| format!("{field}={value:?}")).collect();
    let _ = writeln!(
        text,
        "  found: {} {} {}\n  events: {}",
        measured.value,
        measured.why,
        group.join(" "),
        measured.events.join(", ")
    );
}

fn time_text(time: EventTime) -> String {
    jiff::Timestamp::from_millisecond(time.millis()).unwrap_or_default().to_string()
}
