//! The compiled form of a rule set: what [`crate::detect`] evaluates and [`crate::incident`] decides by.
//!
//! Everything a rule author can get wrong was found before these types exist. They hold no YAML,
//! no modifiers and no placeholders: a field item has become an expression over [`Atom`]s.

use std::collections::BTreeMap;
use std::sync::Arc;

use ipnet::IpNet;

use super::fields::{FieldId, FieldTable};
use super::policy::{ActionKind, Policy};
use crate::event::{AccountId, EventTime};

/// A checked, compiled rule set. Immutable; a reload makes another.
#[derive(Debug)]
pub struct Rulebook {
    /// Every field that a rule names, interned.
    pub fields: FieldTable,
    /// Every distinct test of all rules; rules share them.
    pub atoms: Vec<Atom>,
    pub detections: Vec<Detection>,
    /// Each stands behind the correlations that it refers to.
    pub correlations: Vec<Correlation>,
    pub policy: Policy,
    /// What the tenants' own files in `rules/accounts/` say.
    pub accounts: BTreeMap<AccountId, AccountSettings>,
    /// Changes when anything that decides changes: 16 hexadecimal digits over all files read.
    pub revision: Arc<str>,
}

/// What every rule has.
#[derive(Debug, Clone)]
pub struct RuleMeta {
    /// The key of the rule in metrics, state and commands, unique in the rule set: `name`, or `id`
    /// where there is no name, or the file's stem.
    pub key: Arc<str>,
    pub id: Option<Arc<str>>,
    pub name: Option<Arc<str>>,
    pub title: Arc<str>,
    pub description: Arc<str>,
    pub level: Level,
    pub status: Status,
    pub tags: Vec<Arc<str>>,
    pub references: Vec<Arc<str>>,
    pub falsepositives: Vec<Arc<str>>,
    /// What a match adds to the account's risk, 0 to 1000.
    pub risk: f64,
    /// What a tenant is told, in Indonesian and English.
    pub tenant: Option<TenantText>,
    /// Responses that this rule argues for, beside those of the policy.
    pub contain: Vec<ActionKind>,
    /// The file, and the line (from 1) its document starts at.
    pub file: Arc<str>,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantText {
    pub id: Arc<str>,
    pub en: Arc<str>,
}

/// Sigma's `level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Sigma's `status`: what a match may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    /// Shadow: evaluated and counted, never scored.
    Experimental,
    /// Scored and alerted to staff, never a response by itself.
    Test,
    /// Everything.
    Stable,
    /// Not evaluated.
    Deprecated,
    /// Not evaluated (Sigma: cannot be used in its current state).
    Unsupported,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Experimental => "experimental",
            Self::Test => "test",
            Self::Stable => "stable",
            Self::Deprecated => "deprecated",
            Self::Unsupported => "unsupported",
        }
    }
}

/// Which events a rule looks at: each part that is set must equal the event's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct LogSource {
    pub product: Option<Arc<str>>,
    pub category: Option<Arc<str>>,
    pub service: Option<Arc<str>>,
}

/// Index into [`Rulebook::detections`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DetectionIndex(pub u32);

/// Index into [`Rulebook::correlations`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CorrelationIndex(pub u32);

/// Index into [`Rulebook::atoms`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AtomId(pub u32);

/// Either kind of rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RuleIndex {
    Detection(DetectionIndex),
    Correlation(CorrelationIndex),
}

/// A detection rule: looks at one event.
#[derive(Debug, Clone)]
pub struct Detection {
    pub meta: RuleMeta,
    pub logsource: LogSource,
    /// The condition with its filters joined in.
    pub condition: Expr,
    /// The condition as written, for people.
    pub condition_text: Arc<str>,
    /// Whether a match is reported by itself: false for the base rules of a correlation that does
    /// not `generate`, unless the rule is also wanted for itself.
    pub reports: bool,
    /// Exceptions that end at a time or hold for some accounts only.
    pub exceptions: Vec<Exception>,
}

/// A filter with `satpam: {accounts, expires}`: where it applies and holds, there is no match.
#[derive(Debug, Clone)]
pub struct Exception {
    pub name: Arc<str>,
    /// The accounts it is limited to; empty means all.
    pub accounts: Vec<AccountId>,
    /// The event time from which it no longer applies.
    pub expires: Option<EventTime>,
    /// The filter's own condition. The rule matches only where this holds (pySigma's reading).
    pub condition: Expr,
}

/// A two-valued condition over atoms.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    Atom(AtomId),
    Not(Box<Expr>),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// A named selection, kept for explanations; its truth is its content's.
    Selection(Arc<str>, Box<Expr>),
    /// A constant, for `of them` over nothing that can be left.
    Constant(bool),
}

/// One test of one field of an event. An item over an array holds when any element holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Atom {
    pub target: Target,
    pub test: Test,
}

/// What a test looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    Field(FieldId),
    /// Every string and number leaf of the event at any depth.
    AnyValue,
}

/// A test of a value. A value that the test does not apply to makes it false.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// Text against a pattern; numbers and booleans are compared by their text as well.
    Text(TextPattern),
    /// A regular expression in the syntax of the `regex` crate, unanchored.
    Regex(Regex),
    Cidr(IpNet),
    /// Numeric comparison; numeric text counts as its number.
    Number(Comparison, f64),
    /// A value equals this boolean, or its text.
    Boolean(bool),
    /// The field is absent or null.
    Null,
    /// The field is present (null and empty count as present) or, with false, absent.
    Exists(bool),
    /// The value against another field of the same event, case-insensitive unless `cased`.
    FieldRef {
        other: FieldId,
        part: TextPart,
        cased: bool,
    },
    /// A part of a timestamp equals a number; no time-zone conversion.
    TimePart(TimePart, i64),
    /// The value against each entry of the account's own list ([`AccountSettings::lists`]); false
    /// for an account that has no such list. The entries are literal, and case-insensitive (see
    /// [`super::fold_case`]) unless `cased`. `part` says how much of the value an entry must cover.
    InAccountList {
        list: Arc<str>,
        part: TextPart,
        cased: bool,
    },
    /// The value is an address inside one of [`AccountSettings::networks`].
    InAccountNetworks,
}

/// How much of a text the literal must cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TextPart {
    Whole,
    Start,
    End,
    Anywhere,
}

/// A Sigma string with its wildcards resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TextPattern {
    /// Never two texts or two `*` in a row; nothing at all matches the empty text only. Texts are
    /// folded by [`super::fold_case`] unless `cased`.
    pub pieces: Vec<Piece>,
    pub cased: bool,
}

/// A piece of a [`TextPattern`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Piece {
    Text(Box<str>),
    /// `*`: any run of characters, also none, also line breaks.
    Any,
    /// `?`: exactly one character.
    One,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Regex {
    pub pattern: Box<str>,
    pub ignore_case: bool,
    pub multi_line: bool,
    pub dot_all: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Returns whether `left` stands in this relation to `right`.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            #[expect(clippy::float_cmp, reason = "rules compare exact values")]
            Self::Equal => left == right,
            #[expect(clippy::float_cmp, reason = "rules compare exact values")]
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    /// ISO 8601 week of the year.
    Week,
    Month,
    Year,
}

/// A correlation rule: looks at the matches of other rules over time.
#[derive(Debug, Clone)]
pub struct Correlation {
    pub meta: RuleMeta,
    /// The rules it is fed by, in the order of the file.
    pub rules: Vec<RuleIndex>,
    pub group_by: Vec<GroupField>,
    /// Whether `group_by` holds the account: then its state lives with the account, else with the shard.
    pub by_account: bool,
    /// The longest time that its windows look back, in milliseconds.
    pub timespan_millis: i64,
    pub kind: CorrelationKind,
    /// Whether a match is reported by itself; see [`Detection::reports`].
    pub reports: bool,
    /// Hash of everything that shapes the stored state; unchanged by a change of title or level.
    pub state_key: StateKey,
}

impl Correlation {
    /// Returns the baseline to which the rule at this place only teaches the usual size.
    pub fn only_taught_at(&self, place: usize) -> Option<&BaselineRule> {
        let CorrelationKind::Baseline(rule) = &self.kind else { return None };
        (place >= rule.first_usual).then_some(rule)
    }
}

/// Names stored state across reloads and restarts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct StateKey(pub u64);

/// One field to group by; with aliases it is another field for each base rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupField {
    /// As written.
    pub name: Arc<str>,
    /// The field to read, for each of [`Correlation::rules`] in the same order.
    pub per_rule: Vec<FieldId>,
}

/// What a correlation computes, and when it fires.
#[derive(Debug, Clone, PartialEq)]
pub enum CorrelationKind {
    /// Number of matches in the window.
    EventCount {
        condition: Range,
    },
    /// Number of distinct values (tuples when several fields) in the window.
    ValueCount {
        fields: Vec<FieldId>,
        condition: Range,
    },
    ValueSum {
        field: FieldId,
        condition: Range,
    },
    ValueAverage {
        field: FieldId,
        condition: Range,
    },
    /// Nearest rank over the window's values; `percentile` in 0 to 100.
    ValuePercentile {
        field: FieldId,
        percentile: f64,
        condition: Range,
    },
    /// How many of the rules were seen in the window.
    Temporal {
        condition: Range,
    },
    /// All rules seen in the window in the listed order.
    TemporalOrdered,
    Baseline(BaselineRule),
    /// A value tuple that the group has not shown within `history`, after `learn`.
    NewTerms {
        fields: Vec<FieldId>,
        history_millis: i64,
        learn_millis: i64,
    },
    /// After a match of one of `after`, none of `rules` came within the timespan. `after` indexes
    /// into [`Correlation::rules`]: those from this position on are the `after` rules.
    Absence {
        first_after: usize,
    },
}

/// One or two comparisons that must all hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Range(pub Vec<(Comparison, f64)>);

impl Range {
    pub fn holds(&self, value: f64) -> bool {
        self.0.iter().all(|(comparison, bound)| comparison.holds(value, *bound))
    }
}

/// The parameters of a `baseline` correlation; the engine is [`crate::baseline`].
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineRule {
    pub measure: Measure,
    /// Indexes into [`Correlation::rules`]: those from this position on only teach the usual size.
    pub first_usual: usize,
    /// Which of the two scales are scored.
    pub one_hour: bool,
    pub one_day: bool,
    /// Whether the expectation follows the account's hour-of-week season.
    pub season: bool,
    /// Least excess over the expectation before there is a score.
    pub min_excess: f64,
    /// The score, in nats, from which it fires.
    pub threshold: f64,
    /// What it may cost, where the rule says so.
    pub budget: Option<Budget>,
    /// Expected count a day of an account that has shown nothing yet.
    pub prior: Prior,
}

/// How many false alarms a baseline may raise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// False alarms per 1,000 account-days.
    pub per_thousand_days: f64,
    /// The score, in nats, that the shipped calibration gives for it.
    pub threshold: f64,
}

/// What one match weighs.
#[derive(Debug, Clone, PartialEq)]
pub enum Measure {
    Count,
    /// The field's number.
    Sum(FieldId),
    /// The field's number in units of the account's own usual size.
    SumPerUsual(FieldId),
    /// 1 where the value is not in the account's sample yet, else 0.
    Distinct(FieldId),
}

/// The level that a new account starts from, events a day.
#[derive(Debug, Clone, PartialEq)]
pub enum Prior {
    /// The same for every account.
    PerDay(f64),
    /// By the account's plan, from the policy file; with a factor and an addend.
    OfPlan { measure: PlanMeasure, factor: f64, plus: f64 },
}

/// The plan figures that a prior may be built on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlanMeasure {
    Messages,
    FirstContacts,
    Broadcasts,
    Templates,
}

/// What is known of one tenant from `rules/accounts/APP_CODE.yaml`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccountSettings {
    pub name: Option<Arc<str>>,
    /// `id` or `en`.
    pub language: Option<Arc<str>>,
    /// IANA name.
    pub timezone: Option<Arc<str>>,
    /// Its actions always need approval.
    pub protected: bool,
    /// Admins and the security contact: who is told, besides the admins seen in events.
    pub contacts: Vec<Arc<str>>,
    pub networks: Vec<IpNet>,
    /// Lists for `%account.NAME%`, such as `domains`.
    pub lists: BTreeMap<Arc<str>, Vec<Arc<str>>>,
}
