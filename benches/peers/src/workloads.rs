//! The rules and events of a comparison.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use satpam::rulebook::{ReadFiles, Rulebook, Sources, compile, read};

use crate::events::{self, PeerEvent, source};
use crate::random::Random;

#[derive(Clone)]
pub enum Workload {
    /// A folder of Sigma rules, and endpoint events of their kinds.
    Corpus(PathBuf),
    /// So many `|contains` rules over one text of 200 bytes.
    Text(usize),
}

impl Workload {
    pub fn from_argument(argument: &str) -> Option<Self> {
        let (kind, value) = argument.split_once('=')?;
        match kind {
            "corpus" => Some(Self::Corpus(PathBuf::from(value))),
            "text" => value.parse().ok().map(Self::Text),
            _ => None,
        }
    }

    pub fn argument(&self) -> String {
        match self {
            Self::Corpus(folder) => format!("corpus={}", folder.display()),
            Self::Text(rules) => format!("text={rules}"),
        }
    }

    /// Compiles the rules for satpam.
    pub fn rulebook(&self) -> Arc<Rulebook> {
        let sources = match self {
            Self::Corpus(folder) => files(folder).sources,
            Self::Text(rules) => {
                let rules = text_rules(*rules).1;
                Sources::of_rules(rules.iter().map(|(name, text)| (&**name, &**text)))
            }
        };
        let compiled = compile(&sources);
        Arc::new(compiled.unwrap_or_else(|found| panic!("{} findings", found.len())).0)
    }

    /// Hands over the rule files, one at a time, as `(name, YAML)`.
    pub fn each_rule(&self, visit: &mut dyn FnMut(&str, &str)) {
        match self {
            Self::Corpus(folder) => {
                for file in files(folder).files {
                    if file.extension().is_some_and(|name| name == "yml" || name == "yaml") {
                        let text = std::fs::read_to_string(&file);
                        let text = text.unwrap_or_else(|error| panic!("{error}"));
                        visit(&file.display().to_string(), &text);
                    }
                }
            }
            Self::Text(rules) => {
                text_rules(*rules).1.iter().for_each(|(name, text)| visit(name, text));
            }
        }
    }

    pub fn events(&self, rulebook: &Arc<Rulebook>) -> Vec<PeerEvent> {
        match self {
            Self::Corpus(_) => events::endpoint(rulebook, 4_000),
            Self::Text(rules) => text_events(&text_rules(*rules).0),
        }
    }
}

fn files(folder: &Path) -> ReadFiles {
    read(&[folder.to_owned()]).unwrap_or_else(|error| panic!("{error}"))
}

/// The literals of the rules, and the rules.
fn text_rules(count: usize) -> (Vec<String>, Vec<(String, String)>) {
    let mut random = Random(7);
    (0..count)
        .map(|number| {
            let literal = random.word(8, 14);
            let yaml = format!(
                "title: Text {number}\nid: 00000000-0000-4000-8000-{number:012}\nstatus: test\n\
                 logsource:\n  product: platform\ndetection:\n  selection:\n    \
                 text|contains: '{literal}'\n  condition: selection\nlevel: low\n"
            );
            (literal, (format!("text_{number}.yml"), yaml))
        })
        .unzip()
}

/// One text in twenty holds a literal of the first rules, which every count has.
fn text_events(literals: &[String]) -> Vec<PeerEvent> {
    let mut random = Random(17);
    (0..2_000)
        .map(|number| {
            let mut text: Vec<String> = (0..60).map(|_| random.word(4, 9)).collect();
            if number % 20 == 0 {
                let at = random.below(15);
                text[at] = literals[random.below(10)].clone();
            }
            let text: String = text.join(" ").chars().take(200).collect();
            let json = serde_json::json!({ "text": text }).to_string();
            PeerEvent { json, source: source(10) }
        })
        .collect()
}
