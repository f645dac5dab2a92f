//! Literals that may stand anywhere in a text.
//!
//! Of each literal one run of four bytes is chosen, the rarest among all literals. A text is read
//! once: each run of four bytes is hashed into a bitmap that says whether any literal chose it, and
//! only then the literals are compared. Unlike in an automaton no step waits for the one before,
//! and the bitmap stays in the fastest cache however many rules there are.

use std::collections::HashMap;

use super::affix::HitId;

/// The literals of one length class: runs of `width` bytes, 1 to 4.
#[derive(Debug)]
pub(super) struct GramIndex {
    width: usize,
    bitmap: Box<[u64]>,
    bitmap_shift: u32,
    /// First entry of a gram + 1, by its hash; 0 is none. Open addressing.
    table: Box<[u32]>,
    table_shift: u32,
    /// Sorted by gram.
    entries: Box<[GramEntry]>,
    literals: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct GramEntry {
    gram: u32,
    hit: HitId,
    /// Bytes of the literal before the gram.
    before: u32,
    start: u32,
    end: u32,
}

/// Most literals are longer; runs of four are rare enough.
const WIDTH_MAX: usize = 4;

/// Spreads the grams: the upper bits of the product depend on all bits of the gram.
pub(in crate::detect) fn gram_hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

impl GramIndex {
    /// Builds the indexes of all length classes that occur; literals must not be empty.
    pub(super) fn classes(literals: &[(Box<[u8]>, HitId)]) -> Box<[Self]> {
        (1..=WIDTH_MAX)
            .filter_map(|width| {
                let of_class: Vec<_> = literals
                    .iter()
                    .filter(|(literal, _)| literal.len().min(WIDTH_MAX) == width)
                    .collect();
                (!of_class.is_empty()).then(|| Self::new(width, &of_class))
            })
            .collect()
    }

    fn new(width: usize, literals: &[&(Box<[u8]>, HitId)]) -> Self {
        let mut uses = HashMap::<u32, u32>::new();
        for (literal, _) in literals {
            for window in literal.windows(width) {
                *uses.entry(gram(window)).or_default() += 1;
            }
        }
        let mut bytes = Vec::new();
        let mut entries: Vec<GramEntry> = literals
            .iter()
            .map(|(literal, hit)| {
                let (before, window) = literal
                    .windows(width)
                    .enumerate()
                    .min_by_key(|(_, window)| (commonness(window), uses[&gram(window)]))
                    .expect("a literal is as long as its class");
                let start = narrow(bytes.len());
                bytes.extend_from_slice(literal);
                GramEntry {
                    gram: gram(window),
                    hit: *hit,
                    before: narrow(before),
                    start,
                    end: narrow(bytes.len()),
                }
            })
            .collect();
        entries.sort_unstable_by_key(|entry| (entry.gram, entry.hit));
        let bits = (entries.len() * 16).next_power_of_two().clamp(1 << 10, 1 << 21);
        let slots = (entries.len() * 2).next_power_of_two().max(2);
        let mut index = Self {
            width,
            bitmap: vec![0; bits / 64].into_boxed_slice(),
            bitmap_shift: 32 - bits.ilog2(),
            table: vec![0; slots].into_boxed_slice(),
            table_shift: 32 - slots.ilog2(),
            entries: entries.into_boxed_slice(),
            literals: bytes.into_boxed_slice(),
        };
        index.fill();
        index
    }

    fn fill(&mut self) {
        for at in 0..self.entries.len() {
            let gram = self.entries[at].gram;
            if at > 0 && self.entries[at - 1].gram == gram {
                continue;
            }
            let hash = gram_hash(gram);
            let bit = (hash >> self.bitmap_shift) as usize;
            self.bitmap[bit / 64] |= 1 << (bit % 64);
            let mut slot = (hash >> self.table_shift) as usize;
            while self.table[slot] != 0 {
                slot = (slot + 1) & (self.table.len() - 1);
            }
            self.table[slot] = narrow(at + 1);
        }
    }

    /// Visits what each literal stands for that the text contains, once for each place.
    pub(super) fn scan(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        match self.width {
            1 => self.scan_width::<1>(text, visit),
            2 => self.scan_width::<2>(text, visit),
            3 => self.scan_width::<3>(text, visit),
            _ => self.scan_width::<4>(text, visit),
        }
    }

    fn scan_width<const WIDTH: usize>(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        // The mask is implied by the shift; with it the compiler sees that no index is out of range.
        let bitmap = &*self.bitmap;
        for (at, window) in text.windows(WIDTH).enumerate() {
            let gram = gram(window);
            let bit = gram_hash(gram) >> self.bitmap_shift;
            let word = bitmap.get((bit / 64) as usize).copied().unwrap_or_default();
            if word >> (bit % 64) & 1 != 0 {
                self.compare(gram, text, at, visit);
            }
        }
    }

    #[inline(never)]
    fn compare(&self, gram: u32, text: &[u8], at: usize, visit: &mut impl FnMut(HitId)) {
        let mut slot = (gram_hash(gram) >> self.table_shift) as usize;
        loop {
            let Some(first) = self.table[slot].checked_sub(1) else { return };
            let entries = &self.entries[first as usize..];
            if entries[0].gram == gram {
                for entry in entries.iter().take_while(|entry| entry.gram == gram) {
                    let literal = &self.literals[entry.start as usize..entry.end as usize];
                    let from = at.checked_sub(entry.before as usize);
                    if from.is_some_and(|from| text[from..].starts_with(literal)) {
                        visit(entry.hit);
                    }
                }
                return;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
    }
}

/// Reads up to four bytes as a number.
#[inline]
pub(super) fn gram(window: &[u8]) -> u32 {
    match *window {
        [a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
        [a, b, c] => u32::from_le_bytes([a, b, c, 0]),
        [a, b] => u32::from_le_bytes([a, b, 0, 0]),
        [a] => u32::from(a),
        _ => 0,
    }
}

/// Runs of letters that texts of every kind are full of come last.
fn commonness(window: &[u8]) -> u32 {
    const COMMON: [&[u8]; 24] = [
        b".exe", b"\\win", b"wind", b"indo", b"ndow", b"dows", b"ows\\", b"syst", b"yste", b"stem",
        b"tem3", b"em32", b"m32\\", b"prog", b"rogr", b"ogra", b"gram", b"file", b"iles", b"les\\",
        b"user", b"sers", b"http", b"ttps",
    ];
    if COMMON.contains(&window) {
        return 100;
    }
    let weight = window.iter().map(|byte| super::rarity::millibits(*byte)).sum::<u32>();
    // Coarse, so that how many literals use the gram still decides among similar ones.
    40_u32.saturating_sub(weight / 1000)
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("the literals of a rule set are smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_in_a_text_is_found_wherever_it_stands() {
        let words = ["a", "ab", "abc", "abcd", "bcde", "abcde", "zz", "é", "\0", "cdefghij"];
        let literals: Vec<(Box<[u8]>, HitId)> = words
            .iter()
            .zip(0..)
            .map(|(word, hit)| (word.as_bytes().to_vec().into_boxed_slice(), hit))
            .collect();
        let classes = GramIndex::classes(&literals);
        for text in ["", "a", "xabcdex", "abcdefghij", "zzz", "é", "a\0b", "abcd", "bcdefghi"] {
            let mut found = vec![false; words.len()];
            for class in &classes {
                class.scan(text.as_bytes(), &mut |hit| found[hit as usize] = true);
            }
            let expected: Vec<_> = words.iter().map(|word| text.contains(word)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
