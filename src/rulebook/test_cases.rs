//! Which rules the tests beside them have match, and which stay silent.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::codes::Code;
use super::compile::Sources;
use super::diagnostic::Findings;
use super::model::{RuleMeta, Rulebook, Status};
use super::schema::Document;
use super::yaml::{self, Node};

/// The rules that tests name.
#[derive(Debug, Default)]
struct Named {
    matching: BTreeSet<String>,
    silent: BTreeSet<String>,
}

impl Named {
    /// Adds the cases of one file. What is wrong with it is told by those who run it.
    fn add(&mut self, file: &Node) {
        let cases = file.get("tests").map(|entry| entry.value.elements());
        for case in cases.into_iter().flatten().filter(|case| case.get("todo").is_none()) {
            let Some(expect) = case.get("expect") else { continue };
            for (key, rules) in [("matches", &mut self.matching), ("not", &mut self.silent)] {
                let names = expect.value.get(key).map(|entry| entry.value.elements());
                rules.extend(
                    names.into_iter().flatten().filter_map(Node::as_str).map(str::to_owned),
                );
            }
        }
    }
}

/// Reports rules that count by themselves, in files that have tests, of which no test shows that
/// they match, or none that they stay silent.
pub(super) fn one_sided(
    rulebook: &Rulebook,
    sources: &Sources,
    documents: &[Document],
    findings: &mut Findings,
) {
    let mut named = Named::default();
    let mut read: BTreeSet<&str> = BTreeSet::new();
    for source in &sources.tests {
        if let Ok(nodes) = yaml::parse(source) {
            read.insert(&source.name);
            for node in &nodes {
                named.add(node);
            }
        }
    }
    let detections = rulebook.detections.iter().map(|rule| (&rule.meta, rule.reports));
    let correlations = rulebook.correlations.iter().map(|rule| (&rule.meta, rule.reports));
    for (rule, reports) in detections.chain(correlations) {
        let stem = rule.file.rsplit_once('.').map_or(&*rule.file, |(stem, _)| stem);
        let tests = format!("{stem}.test.yaml");
        if reports && is_evaluated(rule) && read.contains(&*tests) {
            report(rule, &tests, &named, documents, findings);
        }
    }
}

fn is_evaluated(rule: &RuleMeta) -> bool {
    match rule.status {
        Status::Experimental | Status::Test | Status::Stable => true,
        Status::Deprecated | Status::Unsupported => false,
    }
}

fn report(
    rule: &RuleMeta,
    tests: &str,
    named: &Named,
    documents: &[Document],
    findings: &mut Findings,
) {
    let is_named = |rules: &BTreeSet<String>| {
        let words = [Some(&rule.key), rule.id.as_ref(), rule.name.as_ref()];
        words.into_iter().flatten().any(|word| rules.contains(&**word))
    };
    let (message, key) = match (is_named(&named.matching), is_named(&named.silent)) {
        (true, true) => return,
        (true, false) => ("no test has the rule stay silent", "not"),
        (false, true) => ("no test has the rule match", "matches"),
        (false, false) => ("no test names the rule", "matches"),
    };
    let found = documents.iter().find(|document| {
        (&*document.source.name, document.header.line) == (&*rule.file, rule.line)
    });
    let Some(document) = found else { return };
    let help = format!("add a case with `expect: {{{key}: [{}]}}` to {tests}", rule.key);
    findings
        .report(Code::OneSidedTests, &Arc::clone(&document.source), document.header.span, message)
        .help(help);
}
