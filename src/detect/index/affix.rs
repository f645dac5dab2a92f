//! Literals that a value must start or end with, as a tree of bytes. A walk ends at the first byte
//! that no rule goes on with, so most values cost a few bytes whatever their length.

use std::collections::BTreeMap;

/// Index of what a literal stands for; see [`super::field`].
pub(super) type HitId = u32;

/// A tree of bytes, read from the start of values or from their end.
#[derive(Debug, Default)]
pub(super) struct AffixTree {
    nodes: Box<[AffixNode]>,
    bytes: Box<[u8]>,
    children: Box<[u32]>,
}

#[derive(Debug, Clone, Copy)]
struct AffixNode {
    first_edge: u32,
    edges: u16,
    hit: Option<HitId>,
}

impl AffixTree {
    /// Builds the tree of literals, given in the order of reading.
    pub(super) fn new(literals: impl IntoIterator<Item = (Vec<u8>, HitId)>) -> Self {
        let mut nodes: Vec<(BTreeMap<u8, u32>, Option<HitId>)> = vec![(BTreeMap::new(), None)];
        for (literal, hit) in literals {
            let mut at = 0;
            for byte in literal {
                let unused = nodes.len();
                let id = u32::try_from(unused).expect("literals are smaller than 4 GiB");
                at = *nodes[at].0.entry(byte).or_insert(id) as usize;
                if at == unused {
                    nodes.push((BTreeMap::new(), None));
                }
            }
            nodes[at].1 = Some(hit);
        }
        let mut tree = (Vec::with_capacity(nodes.len()), Vec::new(), Vec::new());
        for (children, hit) in nodes {
            tree.0.push(AffixNode {
                first_edge: u32::try_from(tree.1.len()).expect("fewer edges than nodes"),
                edges: u16::try_from(children.len()).expect("at most 256 bytes"),
                hit,
            });
            tree.1.extend(children.keys());
            tree.2.extend(children.values());
        }
        Self {
            nodes: tree.0.into_boxed_slice(),
            bytes: tree.1.into_boxed_slice(),
            children: tree.2.into_boxed_slice(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() <= 1 && self.nodes.first().is_none_or(|root| root.hit.is_none())
    }

    /// Visits what each literal stands for that the bytes begin with.
    pub(super) fn walk(&self, bytes: impl Iterator<Item = u8>, visit: &mut impl FnMut(HitId)) {
        let Some(mut node) = self.nodes.first() else { return };
        let mut bytes = bytes;
        loop {
            if let Some(hit) = node.hit {
                visit(hit);
            }
            let first = node.first_edge as usize;
            let edges = &self.bytes[first..first + usize::from(node.edges)];
            let Some(byte) = bytes.next() else { return };
            let found = match edges {
                [only] if *only == byte => 0,
                [] | [_] => return,
                _ => match memchr::memchr(byte, edges) {
                    Some(at) => at,
                    None => return,
                },
            };
            node = &self.nodes[self.children[first + found] as usize];
        }
    }
}
