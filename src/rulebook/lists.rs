//! `rules/lists/NAME.txt` (a value a line, `#` starts a comment line) and `NAME.yaml` (a list).

use std::sync::Arc;

use super::accounts_file::file_stem;
use super::codes::Code;
use super::diagnostic::{Findings, SourceText, Span};
use super::schema::Reader;
use super::values::Lists;
use super::yaml;

/// Reads all lists.
pub(super) fn read(sources: &[Arc<SourceText>], findings: &mut Findings) -> Lists {
    let mut lists = Lists::new();
    for source in sources {
        let name = file_stem(&source.name);
        let values = if source.name.ends_with(".txt") {
            lines(&source.text)
        } else {
            match yaml::parse(source) {
                Ok(nodes) => {
                    let mut reader = Reader { source, findings };
                    let nodes = nodes.iter().flat_map(yaml::Node::elements);
                    nodes.filter_map(|node| reader.scalar(node)).collect()
                }
                Err(error) => {
                    findings.push(*error);
                    continue;
                }
            }
        };
        if lists.insert(name.into(), values).is_some() {
            let message = format!("two files hold the list `{name}`");
            findings.report(Code::DuplicateRule, source, Span::default(), message);
        }
    }
    lists
}

fn lines(text: &str) -> Vec<Arc<str>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().map(str::trim);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(Into::into).collect()
}
