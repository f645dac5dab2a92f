//! Sigma's semantics as data: every row of `tests/data/conformance/` is evaluated by the indexed and
//! by the naive matcher, and published as `docs/sigma-conformance.md`.

use std::fmt::Write as _;
use std::sync::Arc;

use satpam::baseline::{LocalOffset, Normal};
use satpam::detect::correlate::{
    AccountWindows, CorrelationInput, Correlator, Counters, Findings, ShardWindows,
};
use satpam::detect::{Detector, EventSource, NothingDerived, Scratch, Subject, naive};
use satpam::event::{AccountId, Document, EventId, EventTime};
use satpam::rulebook::{PlanFigures, Rulebook, SourceText, Sources, compile};
use serde::Deserialize;

use crate::support::{project_path, published};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    title: String,
    note: Option<String>,
    rows: Vec<Row>,
}

/// One statement about Sigma and what shows it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct Row {
    says: String,
    /// What Sigma leaves open here.
    choice: Option<String>,
    /// The content of `detection`; its condition is `s` where it has none.
    detection: Option<String>,
    /// Whole documents instead.
    documents: Option<String>,
    /// The content of `correlation`, over the base rules `r1`, `r2` and `r3`.
    correlation: Option<String>,
    /// Further documents beside the base rules.
    base: Option<String>,
    /// Product, category and service of the events.
    source: Option<[Option<String>; 3]>,
    holds: Vec<String>,
    fails: Vec<String>,
    /// The keys of the rules that report by themselves.
    reports: Option<Vec<String>>,
    /// The account of the events; `acc` where it is not said.
    account: Option<String>,
    /// When the events happened, where it matters.
    at: Option<jiff::Timestamp>,
    /// Days of matches of `r1`, evenly spread, before the events.
    habit: Option<Habit>,
    events: Vec<String>,
    fires: Vec<f64>,
    /// The code of the finding that refuses it.
    error: Option<String>,
}

/// What an account does before the events of a row.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Habit {
    days: u32,
    a_day: u32,
}

impl Habit {
    /// The times of its matches, in milliseconds before 0.
    fn times(self) -> impl Iterator<Item = i64> {
        let step = 86_400_000 / i64::from(self.a_day);
        (1..=i64::from(self.days * self.a_day)).rev().map(move |back| -back * step)
    }
}

impl Row {
    /// The events with their times in milliseconds: the habit, then those written, each as often as
    /// its `times` says, a second apart.
    fn timed(&self) -> Vec<(i64, String)> {
        let habit = self.habit.into_iter().flat_map(Habit::times);
        let mut timed: Vec<_> = habit.map(|time| (time, HABITUAL.to_owned())).collect();
        for event in &self.events {
            let parsed: serde_json::Value = serde_json::from_str(event).unwrap();
            let copies = parsed["times"].as_i64().unwrap_or(1);
            timed.extend((0..copies).map(|number| (millis(event) + number * 1000, event.clone())));
        }
        timed
    }

    fn text(&self) -> String {
        if let Some(detection) = &self.detection {
            let condition = if detection.contains("condition:") { "" } else { ", condition: s" };
            return format!(
                "title: r\nname: r\nlogsource: {{product: p}}\n\
                 detection: {{{detection}{condition}}}\n"
            );
        }
        let Some(correlation) = &self.correlation else {
            return self.documents.clone().expect("a row has rules");
        };
        let mut text = String::new();
        for name in ["r1", "r2", "r3"] {
            writeln!(
                text,
                "title: {name}\nname: {name}\nlogsource: {{product: p}}\n\
                 detection: {{s: {{r: {name}}}, condition: s}}\n---"
            )
            .unwrap();
        }
        if let Some(base) = &self.base {
            writeln!(text, "{base}---").unwrap();
        }
        writeln!(text, "title: c\nname: c\ncorrelation: {{{correlation}}}").unwrap();
        text
    }

    fn compile(&self) -> Result<Rulebook, Vec<String>> {
        let file = |name: &str, text: &str| SourceText::new(name, text);
        let mut sources = Sources::of_rules([("rule.yaml", &*self.text())]);
        sources.lists =
            vec![file("lists/hosts.txt", "one\ntwo*\n"), file("lists/nets.yaml", "[10.0.0.0/8]")];
        sources.accounts = vec![file(
            "accounts/acc.yaml",
            "domains: [shop.example]\nnetworks: [192.0.2.0/24, '2001:db8::/32']\n",
        )];
        compile(&sources).map(|(rulebook, _)| rulebook).map_err(|findings| {
            findings.iter().map(|finding| finding.code.as_str().to_owned()).collect()
        })
    }
}

const HABITUAL: &str = r#"{"r":"r1","account.app_code":"acc","n":1}"#;

const PLAN: PlanFigures = PlanFigures {
    messages: 1.0,
    first_contacts: 1.0,
    broadcasts: 1.0,
    templates: 1.0,
    broadcast_size: 1.0,
};

fn tables() -> Vec<Table> {
    let mut paths: Vec<_> = std::fs::read_dir(project_path("tests/data/conformance"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    paths.iter().map(read).collect()
}

/// Returns whether a rule that reports by itself matches, by both matchers.
fn holds(row: &Row, rulebook: &Arc<Rulebook>, event: &str) -> bool {
    let document = Document::parse(event.as_bytes().to_vec()).unwrap();
    let p = [Some("p".to_owned()), None, None];
    let [product, category, service] = row.source.as_ref().unwrap_or(&p);
    let account = AccountId::new(row.account.as_deref().unwrap_or("acc")).unwrap();
    let subject = Subject {
        document: &document,
        derived: &NothingDerived,
        logsource: EventSource::Named {
            product: product.as_deref(),
            category: category.as_deref(),
            service: service.as_deref(),
        },
        account: &account,
        time: EventTime::from_millis(row.at.map_or(0, jiff::Timestamp::as_millisecond)),
    };
    let mut found = Vec::new();
    Detector::new(Arc::clone(rulebook)).evaluate(&subject, &mut Scratch::default(), &mut found);
    assert_eq!(found, naive::evaluate(rulebook, &subject), "the matchers differ: {}", row.says);
    !found.is_empty()
}

#[expect(clippy::cast_possible_truncation, reason = "a table has small times")]
fn millis(event: &str) -> i64 {
    let event: serde_json::Value = serde_json::from_str(event).unwrap();
    (event["t"].as_f64().unwrap() * 1000.0).round() as i64
}

/// Returns the times, in milliseconds, at which the correlation `c` fires.
fn fires(row: &Row, rulebook: &Arc<Rulebook>) -> Vec<i64> {
    let account = AccountId::new("acc").unwrap();
    let (detector, correlator) =
        (Detector::new(Arc::clone(rulebook)), Correlator::new(Arc::clone(rulebook)));
    let (mut windows, mut shard) = (AccountWindows::default(), ShardWindows::default());
    let timed = row.timed();
    let start = EventTime::from_millis(timed.first().map_or(0, |(time, _)| (*time).min(0)));
    correlator.reconcile(start, &mut shard);
    let (mut normal, mut counters) = (Normal::new(start), Counters::default());
    let (mut scratch, mut matched, mut all) = (Scratch::default(), Vec::new(), Findings::default());
    let mut watermark = start;
    for (number, (millis, event)) in timed.iter().enumerate() {
        let document = Document::parse(event.as_bytes().to_vec()).unwrap();
        let time = EventTime::from_millis(*millis);
        let subject = Subject {
            document: &document,
            derived: &NothingDerived,
            logsource: EventSource::Any,
            account: &account,
            time,
        };
        detector.evaluate(&subject, &mut scratch, &mut matched);
        normal.advance(time, LocalOffset::from_seconds(0), 1.0);
        correlator.observe(
            &matched,
            &CorrelationInput {
                time,
                event: &EventId::new(&format!("event-{number}")).unwrap(),
                account: &account,
                fields: &detector.fields(&document, &NothingDerived, &scratch),
                plan: &PLAN,
            },
            &mut windows,
            &mut normal,
            &mut shard,
            &mut all,
            &mut counters,
        );
        watermark = watermark.max(time);
        correlator.advance_account(watermark, &mut windows, &mut all.fired);
        let due = correlator.advance_shard(watermark, &mut shard);
        all.fired.extend(due.into_iter().map(|(_, fired)| fired));
    }
    let is_c = |fired: &&satpam::detect::correlate::Fired| {
        &*rulebook.correlations[fired.correlation.0 as usize].meta.key == "c"
    };
    all.fired.iter().filter(is_c).map(|fired| fired.time.millis()).collect()
}

/// Returns what is wrong with a row, or nothing.
fn judge(row: &Row) -> Option<String> {
    let rulebook = match (row.compile(), &row.error) {
        (Err(codes), Some(code)) if codes.contains(code) => return None,
        (Err(codes), _) => return Some(format!("findings {codes:?}")),
        (Ok(_), Some(code)) => return Some(format!("{code} was not found")),
        (Ok(rulebook), None) => Arc::new(rulebook),
    };
    for (events, expected) in [(&row.holds, true), (&row.fails, false)] {
        for event in events {
            if holds(row, &rulebook, event) != expected {
                return Some(format!("{event} must give {expected}"));
            }
        }
    }
    if let Some(expected) = &row.reports {
        let detections = rulebook.detections.iter().map(|rule| (rule.reports, &rule.meta.key));
        let correlations = rulebook.correlations.iter().map(|rule| (rule.reports, &rule.meta.key));
        let all = detections.chain(correlations);
        let found: Vec<&str> = all.filter(|(reports, _)| *reports).map(|(_, key)| &**key).collect();
        if &found != expected {
            return Some(format!("{found:?} report"));
        }
    }
    if row.correlation.is_some() {
        #[expect(clippy::cast_possible_truncation, reason = "a table has small times")]
        let expected: Vec<i64> =
            row.fires.iter().map(|time| (time * 1000.0).round() as i64).collect();
        let found = fires(row, &rulebook);
        if found != expected {
            return Some(format!("fires at {found:?} ms"));
        }
    }
    None
}

#[test]
fn the_engine_follows_every_row_of_the_tables() {
    let mut wrong = Vec::new();
    for table in tables() {
        for row in &table.rows {
            if let Some(problem) = judge(row) {
                wrong.push(format!("{}: {}\n    {problem}", table.title, row.says));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Writes a text as code inside a table's cell.
fn code(text: &str) -> String {
    let ticks = if text.contains('`') { "``" } else { "`" };
    format!("{ticks}{}{ticks}", text.replace('|', "\\|"))
}

fn cells(texts: &[String]) -> String {
    texts.iter().map(|text| code(text)).collect::<Vec<_>>().join("<br>")
}

fn page() -> String {
    let tables = tables();
    let rows = || tables.iter().flat_map(|table| &table.rows);
    let checks: usize = rows()
        .map(|row| (row.holds.len() + row.fails.len() + usize::from(!row.events.is_empty())).max(1))
        .sum();
    let mut page = format!(
        "# Conformance with Sigma 2.1\n\n\
         <!-- Written by `UPDATE=1 cargo test --test it conformance` from tests/data/conformance. -->\n\n\
         {} statements, {checks} checks. Each is evaluated by the indexed matcher and by the naive \
         one, and both must give what stands here. In *italics*: what Sigma leaves open, and how \
         satpam decides it. A condition that is not written is `s`. Lists: `hosts` holds `one` and \
         `two*`, `nets` holds 10.0.0.0/8; the account has the domain shop.example and the networks \
         192.0.2.0/24 and 2001:db8::/32.\n",
        rows().count(),
    );
    for table in &tables {
        write!(page, "\n## {}\n\n", table.title).unwrap();
        if let Some(note) = &table.note {
            write!(page, "{note}\n\n").unwrap();
        }
        let correlations = table.rows.iter().any(|row| row.correlation.is_some());
        page.push_str(if correlations {
            "| | Correlation | Events | Fires at |\n| --- | --- | --- | --- |\n"
        } else {
            "| | Rule | Matches | Does not match |\n| --- | --- | --- | --- |\n"
        });
        for row in &table.rows {
            page.push_str(&line(row));
        }
    }
    page
}

fn line(row: &Row) -> String {
    let habit = row
        .habit
        .map(|Habit { days, a_day }| format!(" After {days} days with {a_day} matches each."));
    let account = row.account.as_ref().map(|account| format!(" Account {account}."));
    let at = row.at.map(|at| format!(" At {at}."));
    let said: String = [habit, account, at].into_iter().flatten().collect();
    let choice = row.choice.as_ref().map(|choice| format!(" *({choice})*")).unwrap_or_default();
    let says = row.says.replace('|', "\\|");
    let rule = match (&row.detection, &row.correlation, &row.documents) {
        (Some(rule), _, _) => code(rule),
        (_, Some(rule), _) => {
            let base = row.base.as_deref().unwrap_or_default().trim_end().lines();
            let lines: Vec<_> = base.map(code).chain([code(rule)]).collect();
            lines.join("<br>")
        }
        (_, _, documents) => {
            let lines = documents.as_deref().unwrap_or_default().lines();
            lines.map(code).collect::<Vec<_>>().join("<br>")
        }
    };
    let (left, right) = match (&row.error, &row.reports) {
        (Some(code), _) => {
            (format!("error [{code}](diagnostics.md#{})", code.to_lowercase()), String::new())
        }
        (None, Some(reports)) => (format!("report: {}", reports.join(", ")), String::new()),
        (None, None) if row.correlation.is_some() => {
            let times: Vec<_> = row.fires.iter().map(f64::to_string).collect();
            (
                cells(&row.events),
                if times.is_empty() { "never".to_owned() } else { times.join(", ") },
            )
        }
        (None, None) => (cells(&row.holds), cells(&row.fails)),
    };
    format!("| {says}{said}{choice} | {rule} | {left} | {right} |\n")
}

#[test]
fn the_page_of_the_conformance_is_fresh() {
    published("docs/sigma-conformance.md", &page());
}
