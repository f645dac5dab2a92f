//! Where a field's values are in a document.
//!
//! A field name with dots is looked for as a flat key first (`{"a.b": 1}`), then nested
//! (`{"a": {"b": 1}}`), at every level anew; through arrays of objects any element counts.
//! [`lookup`] says so in a few lines. [`PathTrie`] finds all fields of a rule set in one walk.

use smallvec::SmallVec;

use crate::event::{Kind, Value, key_hash};
use crate::rulebook::FieldId;

/// A name is taken apart at so many dots at most; what is left is a flat key.
const NESTING_MAX: usize = 32;

/// What [`lookup`] and [`PathTrie::walk`] report.
pub(super) trait Found<'d> {
    /// The field is present; `shape` tells apart the ways of writing its name.
    fn present(&mut self, field: FieldId, shape: u32);
    /// One scalar of it.
    fn scalar(&mut self, field: FieldId, shape: u32, value: Value<'d>);
}

/// Finds one field by its name: the definition that the trie is held against.
pub(super) fn lookup<'d>(
    root: Value<'d>,
    name: &str,
    present: &mut bool,
    scalar: &mut impl FnMut(Value<'d>),
) {
    lookup_below(root, name, NESTING_MAX, present, scalar);
}

fn lookup_below<'d>(
    value: Value<'d>,
    name: &str,
    dots_left: usize,
    present: &mut bool,
    scalar: &mut impl FnMut(Value<'d>),
) {
    match value.kind() {
        Kind::Array => {
            for element in value.elements() {
                lookup_below(element, name, dots_left, present, scalar);
            }
        }
        Kind::Object => {
            if let Some(flat) = value.get(name) {
                *present = true;
                scalars(flat, scalar);
            } else if let (Some((first, rest)), Some(dots_left)) =
                (name.split_once('.'), dots_left.checked_sub(1))
                && let Some(inner) = value.get(first)
            {
                lookup_below(inner, rest, dots_left, present, scalar);
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) => {}
    }
}

/// Visits a scalar, or the scalars of an array and of the arrays in it.
pub(super) fn scalars<'d>(value: Value<'d>, visit: &mut impl FnMut(Value<'d>)) {
    if value.is_text() {
        visit(value);
        return;
    }
    match value.kind() {
        Kind::Array => {
            for element in value.elements() {
                scalars(element, visit);
            }
        }
        Kind::Object => {}
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) => visit(value),
    }
}

/// Visits every string and number of a document at any depth; keys are not values.
pub(super) fn leaves<'d>(value: Value<'d>, visit: &mut impl FnMut(Value<'d>)) {
    if value.is_text() {
        visit(value);
        return;
    }
    match value.kind() {
        Kind::Array => {
            for element in value.elements() {
                leaves(element, visit);
            }
        }
        Kind::Object => {
            for entry in value.entry_values() {
                leaves(entry, visit);
            }
        }
        Kind::Int(_) | Kind::Float(_) | Kind::Text(_) => visit(value),
        Kind::Null | Kind::Bool(_) => {}
    }
}

/// All ways of writing all fields of a rule set, as a tree of keys.
#[derive(Debug)]
pub(super) struct PathTrie {
    nodes: Vec<TrieNode>,
}

#[derive(Debug, Default)]
struct TrieNode {
    /// The field whose name ends here.
    field: Option<FieldId>,
    /// Open addressing by [`key_hash`]; a power of two long, or empty. The table is built from rules
    /// alone, so an event cannot make it longer to search.
    edges: Box<[Option<Edge>]>,
}

#[derive(Debug, Clone)]
struct Edge {
    key: Box<str>,
    child: u32,
}

impl PathTrie {
    pub(super) fn new<'n>(fields: impl Iterator<Item = (FieldId, &'n str)>) -> Self {
        let mut builder = TrieBuilder { nodes: vec![TrieBuilderNode::default()] };
        for (field, name) in fields {
            builder.insert(field, name);
        }
        Self { nodes: builder.nodes.into_iter().map(TrieBuilderNode::finish).collect() }
    }

    /// Finds all fields of one document in one walk over what rules name.
    pub(super) fn walk<'d>(
        &self,
        root: Value<'d>,
        has_duplicate_keys: bool,
        found: &mut impl Found<'d>,
    ) {
        if has_duplicate_keys {
            self.walk_last_of_each(0, root, found);
        } else {
            self.walk_node(0, root, found);
        }
    }

    fn walk_node<'d>(&self, node: u32, value: Value<'d>, found: &mut impl Found<'d>) {
        match value.kind() {
            Kind::Object => {
                for (key, entry) in value.byte_entries() {
                    if let Some(child) = self.child(node, key) {
                        self.report(child, entry, found);
                        if !self.nodes[child as usize].edges.is_empty() {
                            self.walk_node(child, entry, found);
                        }
                    }
                }
            }
            Kind::Array => {
                for element in value.elements() {
                    self.walk_node(node, element, found);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) => {}
        }
    }

    /// As [`Self::walk_node`] for documents that repeat a key: the last one answers.
    fn walk_last_of_each<'d>(&self, node: u32, value: Value<'d>, found: &mut impl Found<'d>) {
        match value.kind() {
            Kind::Object => {
                let mut entries: SmallVec<[(u32, usize, Value<'d>); 16]> = value
                    .byte_entries()
                    .enumerate()
                    .filter_map(|(at, (key, entry))| Some((self.child(node, key)?, at, entry)))
                    .collect();
                entries.sort_unstable_by_key(|(child, at, _)| (*child, std::cmp::Reverse(*at)));
                entries.dedup_by_key(|(child, _, _)| *child);
                entries.sort_unstable_by_key(|(_, at, _)| *at);
                for (child, _, entry) in entries {
                    self.report(child, entry, found);
                    self.walk_last_of_each(child, entry, found);
                }
            }
            Kind::Array => {
                for element in value.elements() {
                    self.walk_last_of_each(node, element, found);
                }
            }
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Text(_) => {}
        }
    }

    fn report<'d>(&self, child: u32, entry: Value<'d>, found: &mut impl Found<'d>) {
        if let Some(field) = self.nodes[child as usize].field {
            found.present(field, child);
            scalars(entry, &mut |value| found.scalar(field, child, value));
        }
    }

    fn child(&self, node: u32, key: &[u8]) -> Option<u32> {
        let edges = &self.nodes[node as usize].edges;
        let mask = edges.len().checked_sub(1)?;
        let mut at = key_hash(key) as usize & mask;
        while let Some(edge) = &edges[at] {
            if edge.key.as_bytes() == key {
                return Some(edge.child);
            }
            at = (at + 1) & mask;
        }
        None
    }
}

#[derive(Default)]
struct TrieBuilderNode {
    field: Option<FieldId>,
    children: std::collections::BTreeMap<Box<str>, u32>,
}

struct TrieBuilder {
    nodes: Vec<TrieBuilderNode>,
}

impl TrieBuilder {
    fn insert(&mut self, field: FieldId, name: &str) {
        let mut node = 0;
        let mut rest = name;
        for _ in 0..NESTING_MAX {
            self.end(node, rest, field);
            let Some((first, behind)) = rest.split_once('.') else { return };
            node = self.child(node, first);
            rest = behind;
        }
        self.end(node, rest, field);
    }

    fn end(&mut self, node: usize, key: &str, field: FieldId) {
        let child = self.child(node, key);
        self.nodes[child].field = Some(field);
    }

    fn child(&mut self, node: usize, key: &str) -> usize {
        if let Some(child) = self.nodes[node].children.get(key) {
            return *child as usize;
        }
        let child = self.nodes.len();
        let id = u32::try_from(child).expect("fewer than 2^32 keys in all field names");
        self.nodes[node].children.insert(key.into(), id);
        self.nodes.push(TrieBuilderNode::default());
        child
    }
}

impl TrieBuilderNode {
    fn finish(self) -> TrieNode {
        if self.children.is_empty() {
            return TrieNode { field: self.field, edges: Box::default() };
        }
        let mut edges = vec![None; (self.children.len() * 4).next_power_of_two()];
        let mask = edges.len() - 1;
        for (key, child) in self.children {
            let mut at = key_hash(key.as_bytes()) as usize & mask;
            while edges[at].is_some() {
                at = (at + 1) & mask;
            }
            edges[at] = Some(Edge { key, child });
        }
        TrieNode { field: self.field, edges: edges.into_boxed_slice() }
    }
}
