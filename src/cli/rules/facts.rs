//! What `rules list`, `show` and `docs` tell of a rule.

use std::path::PathBuf;

use serde::Serialize;

use crate::rulebook::{
    CorrelationKind, LogSource, RuleIndex, RuleMeta, Rulebook, SourceText, read_within,
};
use crate::rulebook::{Diagnostic, LoadFailure, compile};

/// A rule set with the texts it was made from.
pub(super) struct Authored {
    pub(super) rulebook: Rulebook,
    files: Vec<std::sync::Arc<SourceText>>,
}

impl Authored {
    /// Reads rules; warnings are the business of `rules lint`.
    pub(super) fn load(paths: &[PathBuf]) -> Result<Self, LoadFailure> {
        let read = read_within(paths)?;
        if !read.unreadable.is_empty() {
            return Err(LoadFailure::Invalid(read.unreadable));
        }
        let (rulebook, _): (_, Vec<Diagnostic>) =
            compile(&read.sources).map_err(LoadFailure::Invalid)?;
        Ok(Self { rulebook, files: read.sources.rules })
    }

    /// Returns every rule, by file and place.
    pub(super) fn rules(&self) -> Vec<RuleFacts<'_>> {
        let detections = self.rulebook.detections.iter().map(|rule| {
            let source = Some(logsource(&rule.logsource));
            self.facts(&rule.meta, "detection", source, Vec::new(), rule.reports)
        });
        let correlations = self.rulebook.correlations.iter().map(|rule| {
            let bases = rule.rules.iter().map(|base| &*self.meta(*base).key).collect();
            self.facts(&rule.meta, kind(&rule.kind), None, bases, rule.reports)
        });
        let mut rules: Vec<_> = detections.chain(correlations).collect();
        rules.sort_by_key(|rule| (rule.file, rule.line));
        rules
    }

    fn meta(&self, rule: RuleIndex) -> &RuleMeta {
        match rule {
            RuleIndex::Detection(index) => &self.rulebook.detections[index.0 as usize].meta,
            RuleIndex::Correlation(index) => &self.rulebook.correlations[index.0 as usize].meta,
        }
    }

    fn facts<'r>(
        &'r self,
        meta: &'r RuleMeta,
        kind: &'static str,
        logsource: Option<String>,
        rules: Vec<&'r str>,
        reports: bool,
    ) -> RuleFacts<'r> {
        RuleFacts {
            key: &meta.key,
            id: meta.id.as_deref(),
            kind,
            title: &meta.title,
            level: meta.level.as_str(),
            status: meta.status.as_str(),
            risk: meta.risk,
            reports,
            logsource,
            rules,
            tags: texts(&meta.tags),
            file: &meta.file,
            line: meta.line,
            description: meta.description.trim(),
            falsepositives: texts(&meta.falsepositives),
            references: texts(&meta.references),
            tenant: meta.tenant.as_ref().map(|text| Tenant { id: &text.id, en: &text.en }),
            contain: meta.contain.iter().map(|action| action.as_str()).collect(),
            source: self.source(&meta.file, meta.line),
        }
    }

    /// Returns a document as it is written, from its first key to the end of the document.
    fn source(&self, file: &str, line: usize) -> String {
        let text = self.files.iter().find(|source| &*source.name == file);
        let lines = text.map(|source| source.text.lines()).into_iter().flatten();
        let document = lines.skip(line.saturating_sub(1));
        let mut written: Vec<&str> = document.take_while(|line| line.trim_end() != "---").collect();
        // Comments behind the last key belong to the next document.
        while written.last().is_some_and(|line| line.is_empty() || line.starts_with('#')) {
            written.pop();
        }
        written.join("\n")
    }
}

fn texts(texts: &[std::sync::Arc<str>]) -> Vec<&str> {
    texts.iter().map(|text| &**text).collect()
}

/// A rule, as JSON prints it.
#[derive(Debug, Serialize)]
pub(super) struct RuleFacts<'r> {
    pub(super) key: &'r str,
    pub(super) id: Option<&'r str>,
    /// `detection`, or the type of the correlation.
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) title: &'r str,
    pub(super) level: &'static str,
    pub(super) status: &'static str,
    pub(super) risk: f64,
    /// Whether a match counts by itself, not only for the correlations that build on it.
    pub(super) reports: bool,
    pub(super) logsource: Option<String>,
    /// The rules that a correlation builds on.
    pub(super) rules: Vec<&'r str>,
    pub(super) tags: Vec<&'r str>,
    pub(super) file: &'r str,
    pub(super) line: usize,
    pub(super) description: &'r str,
    pub(super) falsepositives: Vec<&'r str>,
    pub(super) references: Vec<&'r str>,
    pub(super) tenant: Option<Tenant<'r>>,
    pub(super) contain: Vec<&'static str>,
    /// The YAML of the rule.
    pub(super) source: String,
}

/// What a tenant is told.
#[derive(Debug, Serialize)]
pub(super) struct Tenant<'r> {
    pub(super) id: &'r str,
    pub(super) en: &'r str,
}

/// Returns the parts of a log source that are set, with slashes between them.
fn logsource(source: &LogSource) -> String {
    let parts = [&source.product, &source.category, &source.service];
    parts.into_iter().flatten().map(|part| &**part).collect::<Vec<_>>().join("/")
}

pub(super) fn kind(kind: &CorrelationKind) -> &'static str {
    match kind {
        CorrelationKind::EventCount { .. } => "event_count",
        CorrelationKind::ValueCount { .. } => "value_count",
        CorrelationKind::ValueSum { .. } => "value_sum",
        CorrelationKind::ValueAverage { .. } => "value_avg",
        CorrelationKind::ValuePercentile { .. } => "value_percentile",
        CorrelationKind::Temporal { .. } => "temporal",
        CorrelationKind::TemporalOrdered => "temporal_ordered",
        CorrelationKind::Baseline(_) => "baseline",
        CorrelationKind::NewTerms { .. } => "new_terms",
        CorrelationKind::Absence { .. } => "absence",
    }
}
