//! The files `NAME.test.yaml`: timed events, and what must follow from them.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use crate::event::TimeSpan;
use crate::incident::Stage;
use crate::rulebook::ActionKind;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TestFile {
    pub(super) tests: Vec<Case>,
}

/// One test: a sequence of events of one or more accounts, and what is expected.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Case {
    pub(super) name: Spanned<String>,
    pub(super) events: Vec<Happening>,
    pub(super) expect: Expectation,
    /// Why the test is known to fail; it is reported as not yet done, and a failure once it passes.
    pub(super) todo: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Happening {
    /// A length of time behind the start of the test, or RFC 3339.
    pub(super) at: At,
    /// The envelope; `id` may be left out and `time` is taken from `at`.
    pub(super) event: Map<String, Value>,
    pub(super) repeat: Option<Repeat>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum At {
    Time(jiff::Timestamp),
    Behind(TimeSpan),
}

/// The event again and again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repeat {
    /// Events in all, 1 to 100000.
    pub(super) count: u32,
    pub(super) every: TimeSpan,
    /// Texts to which the number of the repetition is appended, by dotted path.
    #[serde(default)]
    pub(super) unique: Vec<String>,
}

/// What must hold; at least one thing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Expectation {
    /// Rules that match at least once.
    pub(super) matches: BTreeSet<String>,
    /// Rules that never match.
    pub(super) not: BTreeSet<String>,
    /// The risk of the last event's account, after it.
    pub(super) risk: Option<RiskRange>,
    /// The highest stage that an incident reached.
    pub(super) incident: Option<ExpectedStage>,
    /// Actions that were planned, among others.
    pub(super) responses: BTreeSet<ActionKind>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RiskRange {
    pub(super) gt: Option<f64>,
    pub(super) gte: Option<f64>,
    pub(super) lt: Option<f64>,
    pub(super) lte: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ExpectedStage {
    None,
    Alert,
    NotifyTenant,
    Respond,
}

/// More than this is no test any more.
const REPEATS_MAX: u32 = 100_000;

/// Reads a file of tests; the error names the place in it.
pub(super) fn read(path: &Path) -> Result<TestFile, String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| format!("{name}: {error}"))?;
    let file: TestFile = serde_saphyr::from_str_with_options(
        &text,
        serde_saphyr::options! { strict_booleans: true },
    )
    .map_err(|error| format!("{name}: {error}"))?;
    for case in &file.tests {
        let line = case.name.referenced.line();
        if !case.expect.says_something() {
            return Err(format!(
                "{name}:{line}: the test `{}` expects nothing; \
                 write what must match under `expect`",
                case.name.value
            ));
        }
        let mut repeats = case.events.iter().filter_map(|one| one.repeat.as_ref());
        if repeats.any(|repeat| !(1..=REPEATS_MAX).contains(&repeat.count)) {
            return Err(format!("{name}:{line}: `count` is from 1 to {REPEATS_MAX}"));
        }
    }
    Ok(file)
}

impl Expectation {
    fn says_something(&self) -> bool {
        !self.matches.is_empty()
            || !self.not.is_empty()
            || self.risk.is_some()
            || self.incident.is_some()
            || !self.responses.is_empty()
    }
}

impl RiskRange {
    pub(super) fn holds(&self, risk: f64) -> bool {
        self.gt.is_none_or(|bound| risk > bound)
            && self.gte.is_none_or(|bound| risk >= bound)
            && self.lt.is_none_or(|bound| risk < bound)
            && self.lte.is_none_or(|bound| risk <= bound)
    }
}

impl std::fmt::Display for RiskRange {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bounds = [(">", self.gt), (">=", self.gte), ("<", self.lt), ("<=", self.lte)];
        let parts: Vec<String> = bounds
            .iter()
            .filter_map(|(sign, bound)| bound.map(|bound| format!("{sign} {bound}")))
            .collect();
        formatter.write_str(&parts.join(" and "))
    }
}

impl ExpectedStage {
    pub(super) fn of(stage: Option<Stage>) -> Self {
        match stage {
            None => Self::None,
            Some(Stage::Alert) => Self::Alert,
            Some(Stage::NotifyTenant) => Self::NotifyTenant,
            Some(Stage::Respond) => Self::Respond,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Alert => "alert",
            Self::NotifyTenant => "notify_tenant",
            Self::Respond => "respond",
        }
    }
}
