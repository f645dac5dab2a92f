//! The order of correlations: each behind those that feed it.

use std::collections::BTreeMap;

use super::codes::Code;
use super::correlation;
use super::diagnostic::{Findings, Span};
use super::schema::{Document, DocumentKind};

/// Returns the correlation documents in the order of the files, but each behind what it refers to.
/// A circle is reported; its members keep the order of the files.
pub(super) fn of_correlations(
    documents: &[Document],
    find: impl Fn(&str) -> Option<usize>,
    findings: &mut Findings,
) -> Vec<usize> {
    let mut edges: BTreeMap<usize, Vec<(usize, Span)>> = BTreeMap::new();
    for (at, document) in documents.iter().enumerate() {
        if document.kind == DocumentKind::Correlation {
            let referred = correlation::references(&document.node).into_iter();
            let referred = referred.filter_map(|(word, span)| find(&word).map(|to| (to, span)));
            let correlations =
                referred.filter(|(to, _)| documents[*to].kind == DocumentKind::Correlation);
            edges.insert(at, correlations.collect());
        }
    }
    let mut order = Vec::with_capacity(edges.len());
    let mut done = vec![Visit::Not; documents.len()];
    for start in edges.keys() {
        visit(*start, &edges, &mut done, &mut order, &mut |at, span| {
            let source = &documents[at].source;
            findings
                .report(
                    Code::CorrelationCycle,
                    source,
                    span,
                    "these correlations feed each other in a circle",
                )
                .label("refers back to a correlation that builds on this one");
        });
    }
    order
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visit {
    Not,
    Open,
    Done,
}

/// Depth first with a stack of its own: a chain may be as long as there are files.
fn visit(
    start: usize,
    edges: &BTreeMap<usize, Vec<(usize, Span)>>,
    state: &mut [Visit],
    order: &mut Vec<usize>,
    circle: &mut dyn FnMut(usize, Span),
) {
    if state[start] != Visit::Not {
        return;
    }
    state[start] = Visit::Open;
    let mut stack = vec![(start, 0)];
    while let Some((at, next)) = stack.pop() {
        let Some((to, span)) = edges.get(&at).and_then(|edges| edges.get(next)) else {
            state[at] = Visit::Done;
            order.push(at);
            continue;
        };
        stack.push((at, next + 1));
        match state[*to] {
            Visit::Done => {}
            Visit::Open => circle(at, *span),
            Visit::Not => {
                state[*to] = Visit::Open;
                stack.push((*to, 0));
            }
        }
    }
}
