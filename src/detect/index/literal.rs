//! A literal that stands somewhere in a text, perhaps only as the start or the end of a word.

/// Folded, and never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::detect) struct Literal {
    pub(super) text: String,
    pub(super) edges: Edges,
}

impl Literal {
    /// Takes a literal that may stand anywhere.
    pub(super) fn anywhere(text: String) -> Self {
        Self { text, edges: Edges::default() }
    }

    /// Takes a literal with a boundary of words (`\b`) before it, or behind it. Where the literal
    /// does not begin or end with an ASCII letter, digit or `_`, the boundary says nothing.
    pub(super) fn of_word(text: String, starts_word: bool, ends_word: bool) -> Self {
        let edges = Edges {
            starts_word: starts_word && text.bytes().next().is_some_and(is_word_byte),
            ends_word: ends_word && text.bytes().next_back().is_some_and(is_word_byte),
        };
        Self { text, edges }
    }
}

/// At which ends of a literal no word goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::detect) struct Edges {
    pub(super) starts_word: bool,
    pub(super) ends_word: bool,
}

impl Edges {
    /// Returns whether the literal can stand here. Only ASCII neighbours rule it out: whether
    /// another character belongs to a word is left to the expression itself. Folding changes
    /// neither, since what folds to a letter is one.
    #[inline]
    pub(super) fn allow(self, text: &[u8], start: usize, end: usize) -> bool {
        let before = start.checked_sub(1).and_then(|at| text.get(at));
        !(self.starts_word && before.is_some_and(|byte| is_word_byte(*byte))
            || self.ends_word && text.get(end).is_some_and(|byte| is_word_byte(*byte)))
    }
}

pub(super) fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_at_the_edge_of_a_word_is_not_found_inside_one() {
        let edges = |starts_word, ends_word| Edges { starts_word, ends_word };
        for (text, edges, allowed) in [
            ("wa", edges(true, true), true),
            (" wa.", edges(true, true), true),
            ("awa", edges(true, false), false),
            ("awa", edges(false, true), true),
            ("was", edges(false, true), false),
            ("ewas", Edges::default(), true),
            ("_wa", edges(true, false), false),
            ("éwa", edges(true, true), true),
        ] {
            let at = text.find("wa").unwrap();
            assert_eq!(edges.allow(text.as_bytes(), at, at + 2), allowed, "{text} {edges:?}");
        }
    }

    #[test]
    fn a_boundary_beside_other_signs_says_nothing() {
        let literal = Literal::of_word("$5€".to_owned(), true, true);
        assert_eq!(literal.edges, Edges::default());
    }
}
