//! Findings for a terminal, for programs, for code scanning and for GitHub Actions.

use std::io::{self, Write};

use serde_json::{Value, json};

use super::Outcome;
use crate::rulebook::{Code, Colour, Diagnostic, Severity};

/// Colours are written always; the stream takes them out where no terminal shows them.
pub(super) fn text(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    for finding in &outcome.findings {
        writeln!(output, "{}\n", finding.render(Colour::Always))?;
    }
    let fixable = outcome.findings.iter().filter(|finding| is_fixable(finding)).count();
    let fixable =
        if fixable > 0 { format!(" ({fixable} fixable with --fix)") } else { String::new() };
    let fixed =
        if outcome.fixed > 0 { format!(", {} fixed", outcome.fixed) } else { String::new() };
    let rules = if outcome.rules > 0 {
        format!("{} in ", counted(outcome.rules, "rule"))
    } else {
        String::new()
    };
    writeln!(
        output,
        "{rules}{}: {}, {}{fixable}{fixed}",
        counted(outcome.files, "file"),
        counted(outcome.count(Severity::Error), "error"),
        counted(outcome.count(Severity::Warning), "warning"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn is_fixable(finding: &Diagnostic) -> bool {
    finding.fix.as_ref().is_some_and(|fix| fix.safe)
}

/// Line and column behind the last character, from 1.
fn end(finding: &Diagnostic) -> (usize, usize) {
    finding.source.position(finding.span.end.max(finding.span.start))
}

pub(super) fn json(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let findings: Vec<Value> = outcome.findings.iter().map(finding_json).collect();
    let document = json!({
        "files": outcome.files,
        "rules": outcome.rules,
        "errors": outcome.count(Severity::Error),
        "warnings": outcome.count(Severity::Warning),
        "fixed": outcome.fixed,
        "findings": findings,
    });
    writeln!(output, "{document:#}")
}

fn finding_json(finding: &Diagnostic) -> Value {
    let (end_line, end_column) = end(finding);
    let fix = finding.fix.as_ref().map(|fix| {
        json!({
            "start": fix.span.start, "end": fix.span.end,
            "replacement": fix.replacement, "what": fix.what, "safe": fix.safe,
        })
    });
    json!({
        "code": finding.code.as_str(),
        "severity": finding.severity.as_str(),
        "file": finding.file(),
        "line": finding.line,
        "column": finding.column,
        "end_line": end_line,
        "end_column": end_column,
        "message": finding.message,
        "label": finding.label,
        "help": finding.help,
        "fix": fix,
    })
}

pub(super) fn sarif(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let rules: Vec<Value> = Code::ALL
        .iter()
        .map(|code| {
            let explanation = code.explanation();
            json!({
                "id": code.as_str(),
                "shortDescription": {"text": explanation.summary},
                "fullDescription": {"text": explanation.text},
                "defaultConfiguration": {"level": code.severity().as_str()},
            })
        })
        .collect();
    let results: Vec<Value> = outcome
        .findings
        .iter()
        .map(|finding| {
            let (end_line, end_column) = end(finding);
            json!({
                "ruleId": finding.code.as_str(),
                "level": finding.severity.as_str(),
                "message": {"text": message_and_help(finding)},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": finding.file().replace('\\', "/")},
                    "region": {
                        "startLine": finding.line, "startColumn": finding.column,
                        "endLine": end_line, "endColumn": end_column,
                    },
                }}],
            })
        })
        .collect();
    let document = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "satpam rules lint",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    writeln!(output, "{document:#}")
}

pub(super) fn github(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    for finding in &outcome.findings {
        let (end_line, end_column) = end(finding);
        writeln!(
            output,
            "::{} file={},line={},endLine={end_line},col={},endColumn={end_column},title={}::{}",
            finding.severity.as_str(),
            property(finding.file()),
            finding.line,
            finding.column,
            finding.code,
            data(&message_and_help(finding)),
        )?;
    }
    Ok(())
}

fn message_and_help(finding: &Diagnostic) -> String {
    let mut lines = vec![finding.message.as_str()];
    lines.extend(finding.help.iter().map(String::as_str));
    lines.join("\n")
}

/// A rule's own text must not be able to end a workflow command and start another.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
