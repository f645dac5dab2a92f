//! Literals that a value must start or end with, or a word in it must start with, as a tree of
//! bytes. A walk ends at the first byte that no rule goes on with, so most values and words cost a
//! few bytes whatever their length.

use std::collections::BTreeMap;

use super::literal::{Literal, is_word_byte};

/// Index of what a literal stands for; see [`super::field`].
pub(super) type HitId = u32;

/// A tree of bytes, read from the start of values or words, or from the end of values.
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
    /// As `hit`, where the word ends here.
    word_hit: Option<HitId>,
}

/// A node while the tree is built: its children, and what ends at it.
#[derive(Default)]
struct Branch {
    children: BTreeMap<u8, u32>,
    hit: Option<HitId>,
    word_hit: Option<HitId>,
}

impl AffixTree {
    /// Builds the tree of literals, given in the order of reading.
    pub(super) fn new(literals: impl IntoIterator<Item = (Vec<u8>, HitId)>) -> Self {
        Self::build(literals.into_iter().map(|(bytes, hit)| (bytes, hit, false)))
    }

    /// Builds the tree of literals that begin a word.
    pub(super) fn of_words(literals: impl IntoIterator<Item = (Literal, HitId)>) -> Self {
        Self::build(literals.into_iter().map(|(Literal { text, edges }, hit)| {
            debug_assert!(edges.starts_word, "{text} may stand inside a word");
            (text.into_bytes(), hit, edges.ends_word)
        }))
    }

    fn build(literals: impl Iterator<Item = (Vec<u8>, HitId, bool)>) -> Self {
        let mut branches = vec![Branch::default()];
        for (literal, hit, ends_word) in literals {
            let mut at = 0;
            for byte in literal {
                let unused = branches.len();
                let id = u32::try_from(unused).expect("literals are smaller than 4 GiB");
                at = *branches[at].children.entry(byte).or_insert(id) as usize;
                if at == unused {
                    branches.push(Branch::default());
                }
            }
            let branch = &mut branches[at];
            *(if ends_word { &mut branch.word_hit } else { &mut branch.hit }) = Some(hit);
        }
        let mut tree = (Vec::with_capacity(branches.len()), Vec::new(), Vec::new());
        for Branch { children, hit, word_hit } in branches {
            tree.0.push(AffixNode {
                first_edge: u32::try_from(tree.1.len()).expect("fewer edges than nodes"),
                edges: u16::try_from(children.len()).expect("at most 256 bytes"),
                hit,
                word_hit,
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
            let next = bytes.next();
            if let Some(hit) = node.word_hit
                && !next.is_some_and(is_word_byte)
            {
                visit(hit);
            }
            let Some(byte) = next else { return };
            let first = node.first_edge as usize;
            let edges = &self.bytes[first..first + usize::from(node.edges)];
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

    /// Visits what each literal stands for that a word of the text begins with. What stands before
    /// a word is anything but an ASCII letter, digit or `_`; see [`super::literal::Edges::allow`].
    pub(super) fn walk_words(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        let mut is_in_word = false;
        for (at, byte) in text.iter().enumerate() {
            let is_word = is_word_byte(*byte);
            if is_word && !is_in_word {
                self.walk(text[at..].iter().copied(), visit);
            }
            is_in_word = is_word;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_of_words_is_found_where_a_word_begins_and_where_asked_for_ends() {
        let words =
            [("wa", true), ("hub", false), ("hubungi", true), ("no rek", true), ("62", false)];
        let literals = words.iter().zip(0..).map(|((text, ends_word), hit)| {
            (Literal::of_word((*text).to_owned(), true, *ends_word), hit)
        });
        let tree = AffixTree::of_words(literals);
        for (text, expected) in [
            ("wa", &["wa"][..]),
            ("was awa_wa", &[]),
            ("ke wa.", &["wa"]),
            ("éwa", &["wa"]),
            ("waé", &["wa"]),
            ("hubungi 0812", &["hub", "hubungi"]),
            ("hubunginya", &["hub"]),
            ("ke no rek: +628", &["no rek", "62"]),
            ("no reken 1628", &[]),
            ("", &[]),
        ] {
            let mut found = Vec::new();
            tree.walk_words(text.as_bytes(), &mut |hit| found.push(words[hit as usize].0));
            assert_eq!(found, expected, "{text}");
        }
    }
}
