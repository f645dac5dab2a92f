//! Objects as they stand: Sigma rules over events of any product, without accounts.

use std::io::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::input::NO_ACCOUNT;
use super::report::Report;
use crate::baseline::{LocalOffset, Normal, Seen};
use crate::detect::content::Derived;
use crate::detect::correlate::{
    AccountWindows, CorrelationInput, Correlator, Counters, Findings, Settings, ShardWindows,
};
use crate::detect::{AccountFacts, EventSource, Scratch, Subject};
use crate::engine::Rules;
use crate::event::{AccountId, Document, EventId, EventTime, Value};
use crate::rulebook::{DetectionIndex, PlanFigures, RuleIndex};

/// Where an event says that it comes from.
pub(super) enum Logsource {
    /// Nowhere: only rules apply whose `logsource` names nothing.
    None,
    Any,
    Fields(LogsourceFields),
}

/// The paths of the fields that hold an event's product, category and service.
#[derive(Debug, Clone)]
pub(super) struct LogsourceFields([Vec<String>; 3]);

impl FromStr for LogsourceFields {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = |name: &str| name.trim().split('.').map(str::to_owned).collect();
        let paths: Vec<Vec<String>> = text.split(',').map(path).collect();
        paths.try_into().map(Self).map_err(|_| "three names are needed, with commas between them")
    }
}

impl Logsource {
    fn of<'d>(&self, document: &'d Document) -> EventSource<'d> {
        match self {
            Self::None => EventSource::Named { product: None, category: None, service: None },
            Self::Any => EventSource::Any,
            Self::Fields(LogsourceFields([product, category, service])) => {
                let root = document.root();
                let text = |path: &[String]| {
                    // A name with dots may also be one key.
                    let whole = if path.len() > 1 { root.get(&path.join(".")) } else { None };
                    let nested = || path.iter().try_fold(root, |value, key| value.get(key));
                    whole.or_else(nested).and_then(Value::as_str)
                };
                EventSource::Named {
                    product: text(product),
                    category: text(category),
                    service: text(service),
                }
            }
        }
    }
}

/// Evaluates objects that belong to nobody: correlations group by whatever they name.
pub(super) struct Anonymous<'r> {
    rules: &'r Rules,
    logsource: Logsource,
    correlator: Correlator,
    account: AccountId,
    facts: AccountFacts,
    plan: PlanFigures,
    windows: AccountWindows,
    normal: Normal,
    shard: ShardWindows,
    watermark: EventTime,
    scratch: Scratch,
    matched: Vec<DetectionIndex>,
    findings: Findings,
    counters: Counters,
}

/// Groups that one correlation may hold: a file of events is no hostile stream.
const GROUPS_MAX: usize = 1_000_000;

impl<'r> Anonymous<'r> {
    /// # Panics
    /// Never: the name of nobody is a valid one.
    pub(super) fn new(rules: &'r Rules, logsource: Logsource) -> Self {
        let start = EventTime::from_millis(0);
        let settings = Settings {
            account_groups_max: GROUPS_MAX,
            shard_groups_max: GROUPS_MAX,
            ..Settings::default()
        };
        let rulebook = rules.detector().rulebook();
        let correlator = Correlator::with_settings(Arc::clone(rulebook), settings);
        let mut shard = ShardWindows::default();
        correlator.reconcile(start, &mut shard);
        Self {
            rules,
            logsource,
            correlator,
            account: AccountId::new(NO_ACCOUNT).expect("a short word is an account id"),
            facts: AccountFacts {
                timezone: TimeZone::UTC,
                first_seen: start,
                is_new: false,
                allowlist: None,
                template_text: None,
                seen: Seen::default(),
            },
            plan: *rules.plan(None),
            windows: AccountWindows::default(),
            normal: Normal::new(start),
            shard,
            watermark: start,
            scratch: Scratch::default(),
            matched: Vec::new(),
            findings: Findings::default(),
            counters: Counters::default(),
        }
    }

    pub(super) fn evaluate<W: Write>(
        &mut self,
        document: &Document,
        time: EventTime,
        report: &mut Report<'_, W>,
    ) -> io::Result<()> {
        let derived = Derived::new(document, time, &self.facts);
        let subject = Subject {
            document,
            derived: &derived,
            logsource: self.logsource.of(document),
            account: &self.account,
            time,
        };
        let detector = self.rules.detector();
        detector.evaluate(&subject, &mut self.scratch, &mut self.matched);
        for rule in &self.matched {
            report.tell(RuleIndex::Detection(*rule), None, None)?;
        }
        self.findings.clear();
        if !self.matched.is_empty() && self.rules.has_correlations() {
            self.normal.advance(time, LocalOffset::from_seconds(0), self.plan.messages);
            let event = EventId::new(&format!("line-{}", report.line()));
            self.correlator.observe(
                &self.matched,
                &CorrelationInput {
                    time,
                    event: &event.expect("a short text is an event id"),
                    account: &self.account,
                    fields: &detector.fields(document, &derived, &self.scratch),
                    plan: &self.plan,
                },
                &mut self.windows,
                &mut self.normal,
                &mut self.shard,
                &mut self.findings,
                &mut self.counters,
            );
        }
        self.absences(time);
        for fired in &self.findings.fired {
            report.tell(RuleIndex::Correlation(fired.correlation), None, Some(fired))?;
        }
        Ok(())
    }

    /// Fires what should have followed by now and did not.
    fn absences(&mut self, time: EventTime) {
        self.watermark = self.watermark.max(time);
        if self.windows.next_deadline().is_some_and(|at| at <= self.watermark) {
            self.correlator.advance_account(
                self.watermark,
                &mut self.windows,
                &mut self.findings.fired,
            );
        }
        let due = self.correlator.advance_shard(self.watermark, &mut self.shard);
        self.findings.fired.extend(due.into_iter().map(|(_, fired)| fired));
    }
}
