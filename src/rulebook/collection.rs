//! `action: global | reset | repeat`, with which one file of Sigma 1 made several rules share parts.

use std::sync::Arc;

use super::codes::Code;
use super::diagnostic::{Findings, SourceText};
use super::nearest::nearest;
use super::yaml::{Entry, Node, Value};

const ACTIONS: [&str; 3] = ["global", "reset", "repeat"];

/// Documents that a file's actions may make: a global part is copied into each.
const MAX_COPIED_NODES: usize = 200_000;

/// Resolves the actions of a file's documents.
pub(super) fn resolve(
    nodes: Vec<Node>,
    source: &Arc<SourceText>,
    findings: &mut Findings,
) -> Vec<Node> {
    if nodes.iter().all(|node| node.get("action").is_none()) {
        return nodes;
    }
    let mut global: Option<Node> = None;
    let mut before: Option<Node> = None;
    let mut rules = Vec::new();
    let mut copied = 0;
    for mut node in nodes {
        let action = node.get("action").map(|entry| (entry.value.clone(), entry.key_span));
        if let Value::Map(entries) = &mut node.value {
            entries.retain(|entry| entry.key != "action");
        }
        let word = action.as_ref().map(|(value, _)| value.as_str().unwrap_or_default());
        let rule = match word {
            None => global.as_ref().map_or(node.clone(), |global| merged(global, &node)),
            Some("global") => {
                global = Some(global.as_ref().map_or(node.clone(), |global| merged(global, &node)));
                continue;
            }
            Some("reset") => {
                global = None;
                continue;
            }
            Some("repeat") => before.as_ref().map_or(node.clone(), |before| merged(before, &node)),
            Some(other) => {
                let span = action.as_ref().map_or(node.span, |(value, _)| value.span);
                findings
                    .report(Code::UnknownWord, source, span, format!("`{other}` is no action"))
                    .nearest("action", nearest(other, ACTIONS));
                continue;
            }
        };
        copied += size(&rule);
        if copied > MAX_COPIED_NODES {
            let message = "the actions of this file make too many rules";
            findings.report(Code::YamlTooLarge, source, node.span, message);
            return Vec::new();
        }
        before = Some(rule.clone());
        rules.push(rule);
    }
    rules
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(nodes) => 1 + nodes.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.value)).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => 1,
    }
}

/// Maps are merged, whatever else `over` holds replaces what `base` holds.
fn merged(base: &Node, over: &Node) -> Node {
    let (Value::Map(base_entries), Value::Map(over_entries)) = (&base.value, &over.value) else {
        return over.clone();
    };
    let mut entries: Vec<Entry> = base_entries.clone();
    for entry in over_entries {
        match entries.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => {
                known.value = merged(&known.value, &entry.value);
                known.key_span = entry.key_span;
            }
            None => entries.push(entry.clone()),
        }
    }
    Node { value: Value::Map(entries), span: over.span, written: over.written }
}
