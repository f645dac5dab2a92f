//! `satpam rules fmt`: one order of keys and clean lines, with every comment kept.
//!
//! It works on lines, not on values: it moves the top-level keys of each document, with the comments
//! above them, into the order of the catalogue below, takes away spaces at the ends of lines and
//! repeated empty lines, and ends the file with one line break. Quotes, indentation and the order of
//! whatever is nested stay as the author wrote them.
//!
//! Promise: what is read from the file is the same before and after. It is compared; a file for
//! which it would not hold (trailing spaces inside a text, an anchor that is used above its place)
//! is left alone and named.

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
    let before = values(text).ok_or("it is not YAML")?;
    let documents: Vec<String> = split(text).into_iter().map(document).collect();
    let formatted = format!("{}\n", documents.join("\n---\n"));
    if values(&formatted).as_ref() == Some(&before) {
        Ok(formatted)
    } else {
        Err("its meaning would change; put its keys in order by hand")
    }
}

fn values(text: &str) -> Option<Vec<Value>> {
    serde_saphyr::from_multiple_with_options(text, serde_saphyr::options! { strict_booleans: true })
        .ok()
}

fn split(text: &str) -> Vec<Vec<&str>> {
    let mut documents = vec![Vec::new()];
    for line in text.lines() {
        match documents.last_mut() {
            Some(last) if line.trim_end() != "---" => last.push(line.trim_end()),
            Some(_) | None => documents.push(Vec::new()),
        }
    }
    documents.retain(|lines| lines.iter().any(|line| !line.is_empty()));
    documents
}

/// A top-level key with the comments above it and what is below it.
struct Block<'t> {
    rank: usize,
    lines: Vec<&'t str>,
}

fn document(lines: Vec<&str>) -> String {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    let mut waiting: Vec<&str> = Vec::new();
    for line in lines {
        if line.is_empty() || line.starts_with('#') {
            waiting.push(line);
            continue;
        }
        match (top_level_key(line), blocks.last_mut()) {
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
    let mut kept: Vec<&str> = Vec::new();
    for line in lines {
        if !(line.is_empty() && kept.last().is_none_or(|last| last.is_empty())) {
            kept.push(line);
        }
    }
    while kept.last().is_some_and(|line| line.is_empty()) {
        kept.pop();
    }
    kept.join("\n")
}

/// Returns the key of a line that is not indented.
fn top_level_key(line: &str) -> Option<&str> {
    let (key, _) = line.split_once(':')?;
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-".contains(character);
    (!key.is_empty() && !key.starts_with('-') && key.chars().all(plain)).then_some(key)
}

#[cfg(test)]
mod tests {
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
}
