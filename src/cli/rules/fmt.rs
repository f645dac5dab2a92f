//! `satpam rules fmt`: one order of keys and clean lines, with every comment kept.
//!
//! It works on lines, not on values: it moves the top-level keys of each document, with the comments
//! above them, into the order of the catalogue below, takes away spaces at the ends of lines and
//! repeated empty lines, and ends the file with one line break. Quotes, indentation, the lines of
//! block texts and the order of whatever is nested stay as the author wrote them.
//!
//! Promise: what is read from the file is the same before and after, and so are the lines, comments
//! among them. It is compared; a file for which it would not hold (empty lines inside a quoted text or
//! behind one of `|+`, an anchor that is used above its place) is left alone and named.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use super::{Exit, cannot, print, unusable};
use crate::rulebook;

/// Puts the keys of rule files into one order; keeps comments.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule folders and files
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// Change nothing, name the files that would change, and end with 1 where there are any
    #[arg(long)]
    check: bool,
}

const ORDER: [&str; 24] = [
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "level",
    "description",
    "license",
    "author",
    "date",
    "modified",
    "references",
    "fields",
    "falsepositives",
    "tags",
    "scope",
    "sigma-version",
    "action",
    "logsource",
    "detection",
    "correlation",
    "filter",
    "satpam",
];

/// Exit code: 0; 1 with `--check` where a file would change; 2 where one cannot be formatted.
pub(super) fn run(args: &Args) -> ExitCode {
    let read = match rulebook::read(&args.paths) {
        Ok(read) => read,
        Err(failure) => return unusable(&failure),
    };
    let mut changed = Vec::new();
    for source in &read.sources.rules {
        let formatted = match format(&source.text) {
            Ok(formatted) => formatted,
            Err(reason) => return cannot(&format!("format {}: {reason}", source.name)),
        };
        if formatted == *source.text {
            continue;
        }
        changed.push(format!("{}\n", source.name));
        if !args.check
            && let Err(error) = std::fs::write(Path::new(&*source.name), formatted)
        {
            return cannot(&format!("write {}: {error}", source.name));
        }
    }
    let is_found = args.check && !changed.is_empty();
    let ended = super::ended(print(&changed.concat()));
    if is_found { Exit::Findings.into() } else { ended }
}

/// Returns the text in its canonical form, or why it has none.
fn format(text: &str) -> Result<String, &'static str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let before = values(text).ok_or("it is not YAML")?;
    let documents: Vec<String> = split(text).into_iter().map(document).collect();
    let formatted = format!("{}\n", documents.join("\n---\n"));
    if values(&formatted).as_ref() == Some(&before) && written(text) == written(&formatted) {
        Ok(formatted)
    } else {
        Err("its meaning would change; put its keys in order by hand")
    }
}

fn values(text: &str) -> Option<Vec<Value>> {
    serde_saphyr::from_multiple_with_options(text, serde_saphyr::options! { strict_booleans: true })
        .ok()
}

/// What stands on the lines, in any order: nothing of it may be lost.
fn written(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text
        .lines()
        .map(|line| {
            line.strip_prefix("--- #")
                .map_or(line, |comment| &line[line.len() - comment.len() - 1..])
        })
        .map(str::trim_end)
        .filter(|line| !line.is_empty() && *line != "---")
        .collect();
    lines.sort_unstable();
    lines
}

/// A line without the spaces at its end, unless it is part of a block text.
#[derive(Debug, Clone, Copy)]
struct Line<'t> {
    text: &'t str,
    is_block_text: bool,
}

/// The lines of each document.
fn split(text: &str) -> Vec<Vec<Line<'_>>> {
    let mut documents = vec![Vec::new()];
    // How far the line is indented that a block text hangs on.
    let mut block: Option<usize> = None;
    for text in text.lines() {
        let trimmed = text.trim_end();
        let indent = trimmed.len() - trimmed.trim_start_matches(' ').len();
        if block.is_some_and(|outer| !trimmed.is_empty() && indent <= outer) {
            block = None;
        }
        let is_block_text = block.is_some();
        if !is_block_text && (trimmed == "---" || trimmed.starts_with("--- #")) {
            let comment = &trimmed["---".len()..];
            let comment = Line { text: comment.trim_start(), is_block_text: false };
            documents.push(if comment.text.is_empty() { Vec::new() } else { vec![comment] });
            continue;
        }
        if !is_block_text && begins_block_text(trimmed) {
            block = Some(indent);
        }
        let text = if is_block_text { text } else { trimmed };
        if let Some(last) = documents.last_mut() {
            last.push(Line { text, is_block_text });
        }
    }
    documents.retain(|lines| lines.iter().any(|line| !line.text.is_empty()));
    documents
}

/// Whether the lines below are a text: `key: |`, `- >-`, `key: &anchor |2 # comment`.
fn begins_block_text(line: &str) -> bool {
    let code = line.split_once(" #").map_or(line, |(code, _)| code).trim_end();
    let header = code.trim_end_matches(|c: char| c.is_ascii_digit() || "+-".contains(c));
    let Some(before) = header.strip_suffix(['|', '>']) else { return false };
    before.ends_with(' ') && code.len() - header.len() <= 2 && !line.starts_with('#')
}

/// A top-level key with the comments above it and what is below it.
struct Block<'t> {
    rank: usize,
    lines: Vec<Line<'t>>,
}

fn document(lines: Vec<Line<'_>>) -> String {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut waiting: Vec<Line<'_>> = Vec::new();
    for line in lines {
        if !line.is_block_text && (line.text.is_empty() || line.text.starts_with('#')) {
            waiting.push(line);
            continue;
        }
        let key = if line.is_block_text { None } else { top_level_key(line.text) };
        match (key, blocks.last_mut()) {
            (None, Some(block)) => {
                block.lines.append(&mut waiting);
                block.lines.push(line);
            }
            (key, _) => {
                let known = key.and_then(|key| ORDER.iter().position(|known| *known == key));
                // What stands above the first key is about the whole document.
                let is_first = blocks.is_empty();
                if is_first && !waiting.is_empty() {
                    blocks.push(Block { rank: 0, lines: std::mem::take(&mut waiting) });
                }
                let mut lines = std::mem::take(&mut waiting);
                lines.push(line);
                blocks.push(Block { rank: known.map_or(ORDER.len(), |at| at) + 1, lines });
            }
        }
    }
    // A stable sort: custom keys stay in their order, behind the known ones.
    blocks.sort_by_key(|block| block.rank);
    let lines = blocks.into_iter().flat_map(|block| block.lines).chain(waiting);
    let mut kept: Vec<Line<'_>> = Vec::new();
    for line in lines {
        let is_repeated = kept.last().is_none_or(|last| last.text.is_empty());
        if line.is_block_text || !line.text.is_empty() || !is_repeated {
            kept.push(line);
        }
    }
    while kept.last().is_some_and(|line| !line.is_block_text && line.text.is_empty()) {
        kept.pop();
    }
    kept.iter().map(|line| line.text).collect::<Vec<_>>().join("\n")
}

/// Returns the key of a line that is not indented.
fn top_level_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    (!key.is_empty() && !key.starts_with('-') && key.chars().all(plain)).then_some(key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_come_into_order_and_comments_stay_with_them() {
        let text = "# the file\n\nlevel: low   \n# why this name\nname: a\n\n\ndetection:\n  # inside\n  s: {a: 1}\ncustom: 1\ntitle: t\n---\ntitle: u\n# the end\n";
        let formatted = "# the file\n\ntitle: t\n# why this name\nname: a\nlevel: low\n\ndetection:\n  # inside\n  s: {a: 1}\ncustom: 1\n---\ntitle: u\n# the end\n";
        assert_eq!(format(text).unwrap(), formatted);
        assert_eq!(format(formatted).unwrap(), formatted);
    }

    #[test]
    fn a_file_whose_meaning_would_change_is_left_alone() {
        assert!(format("fields: &b [x]\ntags: *b\ntitle: t\n").is_ok());
        assert!(format("tags: &b [x]\nfields: *b\ntitle: t\n").is_err());
        assert!(format("title: [").is_err());
    }

    #[test]
    fn the_shipped_rules_mean_the_same_when_formatted_and_stay_so() {
        let read = rulebook::read(&[PathBuf::from("rules")]).unwrap();
        assert!(read.sources.rules.len() > 20);
        for source in &read.sources.rules {
            let once = format(&source.text).unwrap();
            assert_eq!(format(&once).unwrap(), once, "{}", source.name);
            let compiled = |text: &str| {
                let mut sources = read.sources.clone();
                let place = sources.rules.iter().position(|file| file.name == source.name);
                let place = &mut sources.rules[place.unwrap()];
                *place = rulebook::SourceText::new(&source.name, text);
                let (rulebook, _) = rulebook::compile(&sources).unwrap();
                format!("{:?}{:?}", rulebook.atoms, rulebook.detections)
            };
            let lines = |text: &str| {
                text.split("line: ")
                    .map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned())
                    .collect::<String>()
            };
            assert_eq!(lines(&compiled(&once)), lines(&compiled(&source.text)), "{}", source.name);
        }
    }

    #[test]
    fn odd_yaml_is_formatted_and_keeps_its_texts() {
        for (text, formatted) in [
            ("\u{feff}level: low\r\ntitle: t\r\n", "title: t\nlevel: low\n"),
            (
                "description: |\n  a  \n\n\n  # no comment\n  ---\n  title: x\ntitle: t\n",
                "title: t\ndescription: |\n  a  \n\n\n  # no comment\n  ---\n  title: x\n",
            ),
            (
                "level: low\ntitle: t\n--- # the second\nlevel: low\ntitle: u\n",
                "title: t\nlevel: low\n---\n# the second\ntitle: u\nlevel: low\n",
            ),
            (
                "logsource: {product: p,\n  category: c}\n'title': t\nlevel: low\n",
                "level: low\nlogsource: {product: p,\n  category: c}\n'title': t\n",
            ),
            ("custom: &a >-\n  x\n\n  y\ntitle: t\n", "title: t\ncustom: &a >-\n  x\n\n  y\n"),
        ] {
            assert_eq!(format(text).as_deref(), Ok(formatted), "{text}");
            assert_eq!(format(formatted).as_deref(), Ok(formatted), "{text}");
        }
    }

    /// A value below a top-level key, as authors and attackers write them.
    const VALUES: [&str; 14] = [
        " plain",
        " 'it''s: quoted # no comment'",
        " \"a\\tb: \\u00e9\"",
        " |\n  text  \n\n\n  # no comment\n    deeper\n  ---",
        " >-\n  folded\n  text\n\n  again",
        " |+\n  kept\n\n",
        " |2-\n   two",
        " [a, 'b: c', \"#d\"] # a comment",
        " {a: {b: [1, 2]},\n  c: d}",
        "\n  - a\n  # between\n  - |\n    text\n\n\n    more\n  - b: >\n      x\n    c: 1",
        "\n  nested:\n\n\n    deeper: 1   \n",
        " plain\n  goes on\n\n  here",
        " null",
        " 0123",
    ];
    const RULE: [&str; 3] = [
        "title: t",
        "logsource: {category: c}",
        "detection:\n  # why\n  s:\n    f|re: 'a: #b'\n    g|contains:\n      - |-\n        x\n\n\n        y\n      - z\n  condition: s",
    ];

    /// A document of a rule, its parts and further keys in any order, with comments between.
    fn documents() -> impl Strategy<Value = String> {
        let key = prop::sample::select(vec![
            "description",
            "level",
            "author",
            "custom",
            "x-y",
            "references",
            "fields",
            "status2",
        ]);
        let extra = (key, prop::sample::select(VALUES.to_vec()));
        let comment = prop::sample::select(vec!["", "# one\n", "\n\n# two\n\n", "  # indented\n"]);
        (prop::collection::btree_map(extra.0, extra.1, 0..6), prop::collection::vec(comment, 12))
            .prop_flat_map(|(extras, comments)| {
                let mut parts: Vec<String> = RULE.map(str::to_owned).to_vec();
                parts.extend(extras.iter().map(|(key, value)| match *key {
                    "level" => "level: low".to_owned(),
                    key => format!("{key}:{value}"),
                }));
                (Just(parts).prop_shuffle(), Just(comments))
            })
            .prop_map(|(parts, comments)| {
                let parts = parts.iter().zip(comments);
                parts.map(|(part, comment)| format!("{comment}{part}\n")).collect()
            })
    }

    /// What a text compiles to, without the lines at which it stands.
    fn compiled(text: &str) -> String {
        let sources = rulebook::Sources::of_rules([("rule.yaml", text)]);
        let compiled = match rulebook::compile(&sources) {
            Ok((rulebook, _)) => format!("{:?}{:?}", rulebook.atoms, rulebook.detections),
            // They come by their places, which change.
            Err(findings) => {
                let mut texts: Vec<_> = findings
                    .iter()
                    .map(|finding| format!("{} {}\n", finding.code, finding.message))
                    .collect();
                texts.sort();
                texts.concat()
            }
        };
        let without_number =
            |rest: &str| rest.trim_start_matches(|c: char| c.is_ascii_digit()).to_owned();
        compiled.split("line: ").map(without_number).collect()
    }

    proptest! {
        #[test]
        fn a_rule_means_the_same_when_it_is_formatted(
            documents in prop::collection::vec(documents(), 1..3), windows in any::<bool>(),
        ) {
            let mut text = documents.join("---\n");
            prop_assume!(values(&text).is_some());
            if windows {
                text = text.replace('\n', "\r\n");
            }
            let once = match format(&text) {
                Ok(once) => once,
                // Empty lines belong to such a text, also those above the key that comes behind it.
                Err(_) if text.contains("|+") => return Ok(()),
                Err(reason) => return Err(TestCaseError::fail(format!("{reason}:\n{text}"))),
            };
            prop_assert_eq!(compiled(&once), compiled(&text));
            prop_assert_eq!(format(&once).unwrap(), once);
        }

        #[test]
        fn no_text_is_changed_in_meaning(text in "([a-c|>&*:#'\"{}\\[\\],\\- \\n]|title|level|---){0,40}") {
            if let Ok(formatted) = format(&text) {
                prop_assert_eq!(values(&formatted), values(&text));
                let again = format(&formatted);
                prop_assert_eq!(again.as_ref(), Ok(&formatted));
            }
        }
    }
}
