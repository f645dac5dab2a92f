//! The lines that tell of matches.

use std::io::{self, Write};
use std::sync::Arc;

use serde::Serialize;

use crate::detect::correlate::Fired;
use crate::engine::Rules;
use crate::event::AccountId;
use crate::rulebook::RuleIndex;

#[derive(Serialize)]
struct MatchLine<'a> {
    line: u64,
    kind: &'static str,
    rule: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    title: &'a str,
    level: &'static str,
    status: &'static str,
    risk: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a str>,
    /// What a correlation compared with its condition.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Vec<(&'a str, &'a str)>>,
}

/// Writes a JSON object for each match.
pub(super) struct Report<'r, W: Write> {
    rules: &'r Rules,
    output: W,
    line: u64,
    matches: u64,
}

impl<'r, W: Write> Report<'r, W> {
    pub(super) fn new(rules: &'r Rules, output: W) -> Self {
        Self { rules, output, line: 0, matches: 0 }
    }

    /// Returns the number of the line that is being read, from 1.
    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn next_line(&mut self) {
        self.line += 1;
    }

    pub(super) fn matches(&self) -> u64 {
        self.matches
    }

    /// Writes a match of a rule that is reported by itself; `fired` is what its correlation found.
    pub(super) fn tell(
        &mut self,
        rule: RuleIndex,
        account: Option<&AccountId>,
        fired: Option<&Fired>,
    ) -> io::Result<()> {
        if !self.rules.reports(rule) {
            return Ok(());
        }
        self.matches += 1;
        let meta = self.rules.meta(rule);
        let group = fired.map(|fired| {
            fired.group.iter().map(|(field, value)| (&**field, value.as_str())).collect()
        });
        let line = MatchLine {
            line: self.line,
            kind: match rule {
                RuleIndex::Detection(_) => "detection",
                RuleIndex::Correlation(_) => "correlation",
            },
            rule: meta.id.as_deref().unwrap_or(&meta.key),
            id: meta.id.as_deref(),
            name: meta.name.as_ref().map(Arc::as_ref),
            title: &meta.title,
            level: meta.level.as_str(),
            status: meta.status.as_str(),
            risk: meta.risk,
            account: account.map(AccountId::as_str),
            value: fired.map(|fired| fired.value),
            group,
        };
        serde_json::to_writer(&mut self.output, &line)?;
        self.output.write_all(b"\n")
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}
