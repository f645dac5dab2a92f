//! `# satpam: ignore[SP503] reason`: warnings that an author has looked at and accepts.
//!
//! Behind something on a line the comment is about that line; on a line of its own it is about the
//! document it stands in. A reason is required, and a comment that has nothing to ignore is itself
//! a warning, so that none outlives what it was written for. Errors cannot be ignored.

use std::ops::RangeInclusive;
use std::sync::Arc;

use super::codes::Code;
use super::diagnostic::{Diagnostic, Severity, SourceText, Span, sort};
use super::nearest::nearest;

const MARK: &str = "# satpam: ignore[";

/// One code of one comment.
struct Ignored<'t> {
    word: &'t str,
    /// Of the word.
    span: Span,
    has_reason: bool,
    /// The lines it is about, from 1.
    lines: RangeInclusive<usize>,
    used: bool,
}

/// Takes the ignored warnings out of the findings; with `complete` findings also tells of comments
/// that had nothing to ignore.
pub(super) fn applied(
    mut findings: Vec<Diagnostic>,
    files: &[Arc<SourceText>],
    complete: bool,
) -> Vec<Diagnostic> {
    let mut told = Vec::new();
    for source in files.iter().filter(|source| source.text.contains(MARK)) {
        let mut comments = comments(&source.text);
        findings.retain(|finding| {
            let is_ignored = finding.severity == Severity::Warning
                && finding.source.name == source.name
                && ignore(&mut comments, finding);
            !is_ignored
        });
        told.extend(comments.iter().filter_map(|comment| judge(comment, source, complete)));
    }
    findings.extend(told);
    sort(&mut findings);
    findings
}

fn ignore(comments: &mut [Ignored<'_>], finding: &Diagnostic) -> bool {
    let fits = |comment: &Ignored<'_>| {
        comment.has_reason
            && comment.word == finding.code.as_str()
            && comment.lines.contains(&finding.line)
    };
    let mut is_ignored = false;
    for comment in comments.iter_mut().filter(|comment| fits(comment)) {
        comment.used = true;
        is_ignored = true;
    }
    is_ignored
}

fn judge(comment: &Ignored<'_>, source: &Arc<SourceText>, complete: bool) -> Option<Diagnostic> {
    let word = comment.word;
    let (message, help) = match Code::ALL.iter().find(|code| code.as_str() == word) {
        None => {
            let near = nearest(word, Code::ALL.iter().map(|code| code.as_str()));
            let help = near.map(|near| format!("a code with a similar name exists: `{near}`"));
            (format!("there is no finding `{word}`"), help)
        }
        Some(code) if code.severity() == Severity::Error => {
            (format!("{word} is an error, which cannot be ignored"), None)
        }
        Some(_) if !comment.has_reason => {
            let help = format!("write why: `{MARK}{word}] reason`");
            (format!("the comment that ignores {word} has no reason"), Some(help))
        }
        Some(_) if complete && !comment.used => {
            (format!("there is no {word} here to ignore"), Some("remove the comment".to_owned()))
        }
        Some(_) => return None,
    };
    let mut finding = Diagnostic::new(Code::IgnoresNothing, source, comment.span, message);
    finding.help.extend(help);
    Some(finding)
}

fn comments(text: &str) -> Vec<Ignored<'_>> {
    let mut found = Vec::new();
    let documents = documents(text);
    let mut start = 0;
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if let Some(at) = line.find(MARK) {
            let is_alone = line[..at].trim().is_empty();
            let lines = if is_alone {
                let document = documents.iter().find(|lines| lines.contains(&number));
                document.cloned().unwrap_or(number..=number)
            } else {
                number..=number
            };
            let from = at + MARK.len();
            if let Some((words, reason)) = line[from..].split_once(']') {
                let mut offset = start + from;
                for part in words.split(',') {
                    let word = part.trim();
                    let indent = part.len() - part.trim_start().len();
                    let span = Span::new(offset + indent, offset + indent + word.len());
                    offset += part.len() + 1;
                    let has_reason = !reason.trim().is_empty();
                    let lines = lines.clone();
                    found.push(Ignored { word, span, has_reason, lines, used: false });
                }
            }
        }
        start += line.len();
    }
    found
}

/// The lines of each document, from 1.
fn documents(text: &str) -> Vec<RangeInclusive<usize>> {
    let mut documents = Vec::new();
    let (mut first, mut last) = (1, 0);
    for (number, line) in (1..).zip(text.lines()) {
        if line == "---" || line.starts_with("--- ") {
            documents.push(first..=last);
            first = number;
        }
        last = number;
    }
    documents.push(first..=last);
    documents
}

#[cfg(test)]
mod tests {
    use crate::event::EventTime;
    use crate::rulebook::{Sources, compile};

    /// Two documents, each with a selection that is not used: SP501.
    fn codes(first: &str, behind: &str, second: &str) -> Vec<(&'static str, usize)> {
        let text = format!(
            "{first}\ntitle: a\nlogsource: {{category: c}}\ndetection:\n  a: {{f: x}}\n  \
             b: {{f: y}}{behind}\n  condition: a\n---\ntitle: b\n{second}\n\
             logsource: {{category: c}}\ndetection:\n  a: {{f: z}}\n  b: {{f: y}}\n  \
             condition: a\n"
        );
        let mut sources = Sources::of_rules([("rule.yaml", &*text)]);
        sources.now = Some(EventTime::from_millis(0));
        let (_, findings) = compile(&sources).unwrap();
        findings.iter().map(|finding| (finding.code.as_str(), finding.line)).collect()
    }

    #[test]
    fn a_comment_ignores_a_warning_of_its_line_or_document() {
        const FIRST: (&str, usize) = ("SP501", 6);
        const SECOND: (&str, usize) = ("SP501", 14);
        for (first, behind, second, expected) in [
            ("", "", "", vec![FIRST, SECOND]),
            ("# satpam: ignore[SP501] kept", "", "", vec![SECOND]),
            ("", " # satpam: ignore[SP501] kept", "", vec![SECOND]),
            ("", "", "# satpam: ignore[SP501] kept", vec![FIRST]),
            ("# satpam: ignore[SP501, SP503] kept", "", "", vec![("SP518", 1), SECOND]),
            ("# satpam: ignore[SP501]", "", "", vec![("SP518", 1), FIRST, SECOND]),
            ("# satpam: ignore[SP201] kept", "", "", vec![("SP518", 1), FIRST, SECOND]),
            ("# satpam: ignore[SP599] kept", "", "", vec![("SP518", 1), FIRST, SECOND]),
            ("# satpam: ignore[", "", "", vec![FIRST, SECOND]),
        ] {
            assert_eq!(codes(first, behind, second), expected, "{first} {behind} {second}");
        }
    }
}
