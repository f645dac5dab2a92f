//! Literals that may stand anywhere in a text.
//!
//! Of each literal a run of bytes is chosen, the rarest among all literals: eight bytes of a long
//! one, six or three of a shorter one. A text is read once for each class of lengths that occurs: each run
//! is hashed into a bitmap that says whether any literal chose it, and only then the literals are
//! compared. Unlike in an automaton no step waits for the one before, and the bitmap stays in the
//! fastest cache however many rules there are. Where literals are long enough to give two to four
//! neighbouring runs, every second to fourth place of the text is enough. Literals of up to three
//! bytes have a bitmap of their first two.

use std::collections::{BTreeMap, HashMap};

use super::affix::HitId;
use super::literal::{Edges, Literal};

/// All literals of one field.
#[derive(Debug, Default)]
pub(super) struct GramIndex {
    short: Option<ShortLiterals>,
    /// 4 to 7 bytes.
    middle: Option<GramClass<3, 2>>,
    /// 8 to 10 bytes.
    long: Option<GramClass<6, 3>>,
    longest: Option<GramClass<8, 4>>,
}

impl GramIndex {
    /// Builds the index; literals must not be empty.
    pub(super) fn new(literals: Vec<(Literal, HitId)>) -> Self {
        let at_least = |from: Vec<(Literal, HitId)>, length| -> (Vec<_>, Vec<_>) {
            from.into_iter().partition(|(literal, _)| literal.text.len() >= length)
        };
        let (longest, rest) = at_least(literals, GramClass::<8, 4>::SHORTEST);
        let (long, rest) = at_least(rest, GramClass::<6, 3>::SHORTEST);
        let (middle, short) = at_least(rest, GramClass::<3, 2>::SHORTEST);
        Self {
            short: (!short.is_empty()).then(|| ShortLiterals::new(short)),
            middle: GramClass::new(&middle),
            long: GramClass::new(&long),
            longest: GramClass::new(&longest),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.is_none()
            && self.middle.is_none()
            && self.long.is_none()
            && self.longest.is_none()
    }

    /// Visits what each literal stands for that the text contains, once for each place.
    pub(super) fn scan(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        if let Some(short) = &self.short {
            short.scan(text, visit);
        }
        if let Some(middle) = &self.middle {
            middle.scan(text, visit);
        }
        if let Some(long) = &self.long {
            long.scan(text, visit);
        }
        if let Some(longest) = &self.longest {
            longest.scan(text, visit);
        }
    }
}

/// Literals that are found by a run of `WIDTH` bytes (3, 6 or 8) at any place that is a multiple of
/// `STRIDE`.
#[derive(Debug)]
struct GramClass<const WIDTH: usize, const STRIDE: usize> {
    bitmap: Bitmap,
    /// First entry of a gram + 1, by its hash; 0 is none. Open addressing.
    table: Box<[u32]>,
    table_shift: u32,
    /// Sorted by gram.
    entries: Box<[GramEntry]>,
    literals: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct GramEntry {
    hash: u32,
    hit: HitId,
    /// Bytes of the literal before the gram.
    before: u32,
    start: u32,
    end: u32,
    edges: Edges,
}

/// One bit for each value of the upper bits of a hash. The sizes are fixed so that no access needs
/// a check of its range.
#[derive(Debug)]
enum Bitmap {
    Small(Box<[u64; SMALL_WORDS]>),
    Large(Box<[u64; LARGE_WORDS]>),
    Huge(Box<[u64; HUGE_WORDS]>),
}

const SMALL_WORDS: usize = 1 << 6;
const LARGE_WORDS: usize = 1 << 11;
const HUGE_WORDS: usize = 1 << 14;
/// More runs than this fill a bitmap by more than a sixteenth.
const SMALL_ENTRIES_MAX: usize = SMALL_WORDS * 64 / 16;
const LARGE_ENTRIES_MAX: usize = LARGE_WORDS * 64 / 16;

/// Spreads the grams: the upper bits of the product depend on all bits of the gram.
pub(in crate::detect) fn gram_hash(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

/// Returns the hash of a run of three, six or eight bytes.
#[inline]
fn hash_of<const WIDTH: usize>(window: &[u8; WIDTH]) -> u32 {
    let wide = match window.first_chunk::<8>() {
        Some(bytes) => Some(*bytes),
        None => window.first_chunk().map(|[a, b, c, d, e, f]| [*a, *b, *c, *d, *e, *f, 0, 0]),
    };
    if let Some(bytes) = wide {
        let mixed = u64::from_le_bytes(bytes).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        return u32::try_from(mixed).unwrap_or_default();
    }
    window
        .first_chunk()
        .map_or(0, |[one, two, three]| gram_hash(u32::from_le_bytes([*one, *two, *three, 0])))
}

#[inline]
fn bit_is_set<const WORDS: usize>(bitmap: &[u64; WORDS], hash: u32) -> bool {
    let bit = hash as usize >> (32 - (WORDS * 64).ilog2());
    bitmap[bit / 64 % WORDS] >> (bit % 64) & 1 != 0
}

fn set_bit<const WORDS: usize>(bitmap: &mut [u64; WORDS], hash: u32) {
    let bit = hash as usize >> (32 - (WORDS * 64).ilog2());
    bitmap[bit / 64 % WORDS] |= 1 << (bit % 64);
}

impl<const WIDTH: usize, const STRIDE: usize> GramClass<WIDTH, STRIDE> {
    /// Any place of a literal of so many bytes has a whole run at a multiple of the stride.
    const SHORTEST: usize = WIDTH + STRIDE - 1;

    fn new(literals: &[(Literal, HitId)]) -> Option<Self> {
        if literals.is_empty() {
            return None;
        }
        let windows = |literal: &[u8]| -> Vec<[u8; WIDTH]> {
            literal.windows(WIDTH).filter_map(|window| window.first_chunk().copied()).collect()
        };
        let mut uses = HashMap::<[u8; WIDTH], u32>::new();
        for window in literals.iter().flat_map(|(literal, _)| windows(literal.text.as_bytes())) {
            *uses.entry(window).or_default() += 1;
        }
        let weight = |run: &[[u8; WIDTH]]| -> (u32, u32) {
            let common = run.iter().map(|window| commonness(window)).sum();
            (common, run.iter().map(|window| uses[window]).sum())
        };
        let mut bytes = Vec::new();
        let mut entries = Vec::new();
        for (Literal { text, edges }, hit) in literals {
            let windows = windows(text.as_bytes());
            let (first, run) = windows
                .windows(STRIDE)
                .enumerate()
                .min_by_key(|(_, run)| weight(run))
                .expect("a literal is as long as its class");
            let start = narrow(bytes.len());
            bytes.extend_from_slice(text.as_bytes());
            let end = narrow(bytes.len());
            entries.extend(run.iter().enumerate().map(|(at, window)| GramEntry {
                hash: hash_of(window),
                hit: *hit,
                before: narrow(first + at),
                start,
                end,
                edges: *edges,
            }));
        }
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.hit, entry.before));
        let slots = (entries.len() * 2).next_power_of_two().max(2);
        let mut class = Self {
            bitmap: if entries.len() <= SMALL_ENTRIES_MAX {
                Bitmap::Small(Box::new([0; SMALL_WORDS]))
            } else if entries.len() <= LARGE_ENTRIES_MAX {
                Bitmap::Large(Box::new([0; LARGE_WORDS]))
            } else {
                let words = vec![0; HUGE_WORDS].into_boxed_slice();
                Bitmap::Huge(words.try_into().expect("it was made this long"))
            },
            table: vec![0; slots].into_boxed_slice(),
            table_shift: 32 - slots.ilog2(),
            entries: entries.into_boxed_slice(),
            literals: bytes.into_boxed_slice(),
        };
        class.fill();
        Some(class)
    }

    fn fill(&mut self) {
        for (at, entry) in self.entries.iter().enumerate() {
            if at > 0 && self.entries[at - 1].hash == entry.hash {
                continue;
            }
            match &mut self.bitmap {
                Bitmap::Small(bitmap) => set_bit(bitmap, entry.hash),
                Bitmap::Large(bitmap) => set_bit(bitmap, entry.hash),
                Bitmap::Huge(bitmap) => set_bit(bitmap, entry.hash),
            }
            let mut slot = (entry.hash >> self.table_shift) as usize;
            while self.table[slot] != 0 {
                slot = (slot + 1) & (self.table.len() - 1);
            }
            self.table[slot] = narrow(at + 1);
        }
    }

    fn scan(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        match &self.bitmap {
            Bitmap::Small(bitmap) => self.scan_with(bitmap, text, visit),
            Bitmap::Large(bitmap) => self.scan_with(bitmap, text, visit),
            Bitmap::Huge(bitmap) => self.scan_with(bitmap, text, visit),
        }
    }

    #[inline]
    fn scan_with<const WORDS: usize>(
        &self,
        bitmap: &[u64; WORDS],
        text: &[u8],
        visit: &mut impl FnMut(HitId),
    ) {
        let mut at = 0;
        while let Some(window) = text.get(at..).and_then(<[u8]>::first_chunk::<WIDTH>) {
            let hash = hash_of(window);
            if bit_is_set(bitmap, hash) {
                self.compare(hash, text, at, visit);
            }
            at += STRIDE;
        }
    }

    #[inline(never)]
    fn compare(&self, hash: u32, text: &[u8], at: usize, visit: &mut impl FnMut(HitId)) {
        let mut slot = (hash >> self.table_shift) as usize;
        loop {
            let Some(first) = self.table[slot].checked_sub(1) else { return };
            let entries = &self.entries[first as usize..];
            if entries[0].hash == hash {
                for entry in entries.iter().take_while(|entry| entry.hash == hash) {
                    let literal = &self.literals[entry.start as usize..entry.end as usize];
                    let Some(from) = at.checked_sub(entry.before as usize) else { continue };
                    if text[from..].starts_with(literal)
                        && entry.edges.allow(text, from, from + literal.len())
                    {
                        visit(entry.hit);
                    }
                }
                return;
            }
            slot = (slot + 1) & (self.table.len() - 1);
        }
    }
}

/// Literals of one to three bytes.
#[derive(Debug)]
struct ShortLiterals {
    /// One bit for each pair of bytes that a literal may begin at, and how many bits stand before
    /// each word; of the last byte of a text the pair's second is 0.
    pairs: Box<[(u64, u32); PAIR_WORDS]>,
    /// The entries of each such pair, and the end.
    first: Box<[u32]>,
    entries: Box<[ShortEntry]>,
}

#[derive(Debug, Clone, Copy)]
struct ShortEntry {
    length: u8,
    third: u8,
    edges: Edges,
    hit: HitId,
}

const PAIR_WORDS: usize = 1 << 10;

impl ShortLiterals {
    fn new(literals: Vec<(Literal, HitId)>) -> Self {
        let mut by_pair: BTreeMap<usize, Vec<ShortEntry>> = BTreeMap::new();
        for (Literal { text, edges }, hit) in literals {
            let byte = |at: usize| text.as_bytes().get(at).copied();
            let length = u8::try_from(text.len()).expect("short literals are short");
            let third = byte(2).unwrap_or_default();
            let seconds = byte(1).map_or(0..=255, |second| second..=second);
            for second in seconds {
                let pair = pair_of(byte(0).unwrap_or_default(), second);
                let entry = ShortEntry { length, third, edges, hit };
                by_pair.entry(pair).or_default().push(entry);
            }
        }
        let mut pairs = Box::new([(0_u64, 0_u32); PAIR_WORDS]);
        let (mut first, mut entries) = (Vec::new(), Vec::new());
        for (pair, of_pair) in by_pair {
            pairs[pair / 64].0 |= 1 << (pair % 64);
            first.push(narrow(entries.len()));
            entries.extend(of_pair);
        }
        first.push(narrow(entries.len()));
        let mut before = 0;
        for (bits, bits_before) in pairs.iter_mut() {
            *bits_before = before;
            before += bits.count_ones();
        }
        Self { pairs, first: first.into_boxed_slice(), entries: entries.into_boxed_slice() }
    }

    fn scan(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        for (at, window) in text.windows(2).enumerate() {
            if let [first, second] = *window {
                self.look(text, at, first, second, visit);
            }
        }
        if let Some(last) = text.last() {
            self.look(text, text.len() - 1, *last, 0, visit);
        }
    }

    #[inline]
    fn look(&self, text: &[u8], at: usize, first: u8, second: u8, visit: &mut impl FnMut(HitId)) {
        let pair = pair_of(first, second);
        let (bits, before) = self.pairs[pair / 64 % PAIR_WORDS];
        if bits >> (pair % 64) & 1 != 0 {
            let rank = before + (bits & ((1 << (pair % 64)) - 1)).count_ones();
            self.compare(rank as usize, text, at, visit);
        }
    }

    fn compare(&self, rank: usize, text: &[u8], at: usize, visit: &mut impl FnMut(HitId)) {
        let third = text.get(at + 2);
        let range = self.first[rank] as usize..self.first[rank + 1] as usize;
        for entry in &self.entries[range] {
            let end = at + usize::from(entry.length);
            if end <= text.len()
                && (entry.length < 3 || third == Some(&entry.third))
                && entry.edges.allow(text, at, end)
            {
                visit(entry.hit);
            }
        }
    }
}

fn pair_of(first: u8, second: u8) -> usize {
    usize::from(u16::from_le_bytes([first, second]))
}

/// Runs of letters that texts of every kind are full of come last. The order within a class of
/// equal rarity is by how many literals have the run.
fn commonness(window: &[u8]) -> u32 {
    const COMMON: [&[u8]; 14] = [
        b".exe", b"wind", b"indo", b"dows", b"syst", b"stem", b"em32", b"prog", b"gram", b"file",
        b"user", b"http", b"sha2", b"hash",
    ];
    let is_part_of = |run: &&[u8]| run.windows(window.len()).any(|part| part == window);
    if window.windows(4).any(|run| COMMON.contains(&run)) || COMMON.iter().any(is_part_of) {
        return 100;
    }
    let weight = window.iter().map(|byte| super::rarity::millibits(*byte)).sum::<u32>();
    // Coarse, so that how many literals use the gram still decides among similar ones.
    40_u32.saturating_sub(weight / 2000)
}

fn narrow(value: usize) -> u32 {
    u32::try_from(value).expect("the literals of a rule set are smaller than 4 GiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_literal_in_a_text_is_found_wherever_it_stands() {
        let words = [
            "a",
            "ab",
            "abc",
            "abcd",
            "bcde",
            "abcde",
            "zz",
            "é",
            "\0",
            "cdefghi",
            "efghijkl",
            "cdefghijkl",
            "cdefghijklm",
            "hijklmnopqrstuvw",
        ];
        let literals: Vec<(Literal, HitId)> = words
            .iter()
            .zip(0..)
            .map(|(word, hit)| (Literal::anywhere((*word).to_owned()), hit))
            .collect();
        let index = GramIndex::new(literals);
        for text in [
            "",
            "a",
            "xabcdex",
            "abcdefghij",
            "zzz",
            "é",
            "a\0b",
            "abcd",
            "bcdefghi",
            "abcdefghijklmnopqrstuvwxyz",
            "bcdefghijklmnopqrstuvw",
            "zzcdefghijklmnopqrstuvw",
            "zcdefghijkl",
        ] {
            let mut found = vec![false; words.len()];
            index.scan(text.as_bytes(), &mut |hit| found[hit as usize] = true);
            let expected: Vec<_> = words.iter().map(|word| text.contains(word)).collect();
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
