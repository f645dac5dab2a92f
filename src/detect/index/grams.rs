//! Literals that may stand anywhere in a text.
//!
//! Of each literal a run of bytes is chosen, the rarest among all literals: eight bytes of a long
//! one, six or three of a shorter one. A text is read once for each class of lengths that occurs: each run
//! is hashed into a bitmap that says whether any literal chose it, and only then the literals are
//! compared. Unlike in an automaton no step waits for the one before, and the bitmap stays in the
//! fastest cache however many rules there are. Where all literals of a class are long enough to give
//! several neighbouring runs, every second to sixteenth place of the text is enough. Literals of one
//! or two bytes have a bitmap of their first two.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::affix::HitId;
use super::literal::{Edges, Literal};
use super::rarity;

/// All literals of one field.
#[derive(Debug, Default)]
pub(super) struct GramIndex {
    /// Up to three bytes that begin with a character beyond ASCII: most texts have none.
    foreign: Option<ShortLiterals>,
    /// 1 or 2 bytes.
    short: Option<ShortLiterals>,
    /// 3 bytes.
    three: Option<GramClass<2>>,
    /// 4 bytes and more, where there are few literals.
    few: Option<GramClass<3>>,
    /// 6 bytes and more, where there are few literals.
    few_long: Option<GramClass<4>>,
    /// 4 to 7 bytes.
    middle: Option<GramClass<3>>,
    /// 8 bytes and more.
    long: Option<GramClass<6>>,
    /// Instead, where all have 11 bytes and more.
    longest: Option<GramClass<8>>,
}

/// So many literals are searched for together, whatever their lengths.
const FEW: usize = 256;

impl GramIndex {
    /// Builds the index; literals must not be empty.
    pub(super) fn new(literals: Vec<(Literal, HitId)>) -> Self {
        let mut rest = literals;
        let mut take = |belongs: &dyn Fn(&str) -> bool| -> Vec<(Literal, HitId)> {
            let of = |(literal, _): &(Literal, HitId)| belongs(&literal.text);
            let (taken, left) = std::mem::take(&mut rest).into_iter().partition(of);
            rest = left;
            taken
        };
        let short = |literals: Vec<_>| (!literals.is_empty()).then(|| ShortLiterals::new(literals));
        let mut index = Self {
            foreign: short(take(&|text| text.len() < 4 && !text.is_char_boundary(1))),
            short: short(take(&|text| text.len() < 3)),
            three: GramClass::new(&take(&|text| text.len() == 3)),
            ..Self::default()
        };
        let long = take(&|text| text.len() >= 8);
        let middle = rest;
        let are_from = |literals: &[(Literal, HitId)], length| {
            literals.iter().all(|(literal, _)| literal.text.len() >= length)
        };
        if middle.len() + long.len() > FEW {
            index.middle = GramClass::new(&middle);
            if are_from(&long, 11) {
                index.longest = GramClass::new(&long);
            } else {
                index.long = GramClass::new(&long);
            }
            return index;
        }
        let all = [middle, long].concat();
        if are_from(&all, 6) {
            index.few_long = GramClass::new(&all);
        } else {
            index.few = GramClass::new(&all);
        }
        index
    }

    /// Returns whether there is no literal.
    pub(super) fn is_empty(&self) -> bool {
        self.foreign.is_none()
            && self.short.is_none()
            && self.three.is_none()
            && self.few.is_none()
            && self.few_long.is_none()
            && self.middle.is_none()
            && self.long.is_none()
            && self.longest.is_none()
    }

    /// Visits what each literal stands for that the text contains, once for each place.
    pub(super) fn scan(&self, text: &[u8], visit: &mut impl FnMut(HitId)) {
        if let Some(foreign) = &self.foreign
            && !text.is_ascii()
        {
            foreign.scan(text, visit);
        }
        if let Some(short) = &self.short {
            short.scan(text, visit);
        }
        if let Some(three) = &self.three {
            three.scan(text, visit);
        }
        if let Some(few) = &self.few {
            few.scan(text, visit);
        }
        if let Some(few_long) = &self.few_long {
            few_long.scan(text, visit);
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

/// Literals that are found by a run of `WIDTH` bytes (2, 3, 4, 6 or 8) at any place that is a
/// multiple of the stride.
#[derive(Debug)]
struct GramClass<const WIDTH: usize> {
    /// Any place of the shortest literal has a whole run at a multiple of this.
    stride: usize,
    bitmap: Bitmap,
    /// First entry of a gram + 1, by its hash; 0 is none. Open addressing.
    table: Box<[u32]>,
    table_shift: u32,
    /// Sorted by gram.
    entries: Box<[GramEntry]>,
    literals: Box<[GramLiteral]>,
    bytes: Box<[u8]>,
}

#[derive(Debug, Clone, Copy)]
struct GramEntry {
    hash: u32,
    literal: u32,
    /// Bytes of the literal before the gram.
    before: u32,
}

#[derive(Debug, Clone, Copy)]
struct GramLiteral {
    hit: HitId,
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

impl Bitmap {
    fn for_entries(entries: usize) -> Self {
        if entries <= SMALL_ENTRIES_MAX {
            Self::Small(Box::new([0; SMALL_WORDS]))
        } else if entries <= LARGE_ENTRIES_MAX {
            Self::Large(Box::new([0; LARGE_WORDS]))
        } else {
            let words = vec![0; HUGE_WORDS].into_boxed_slice();
            Self::Huge(words.try_into().expect("it was made this long"))
        }
    }
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

/// Returns the hash of a run of two to eight bytes.
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
    let narrow = match (window.first_chunk::<4>(), window.first_chunk::<3>(), window.first_chunk())
    {
        (Some(four), ..) => u32::from_le_bytes(*four),
        (_, Some([a, b, c]), _) => u32::from_le_bytes([*a, *b, *c, 0]),
        (_, _, Some([a, b])) => u32::from_le_bytes([*a, *b, 0, 0]),
        _ => 0,
    };
    gram_hash(narrow)
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

impl<const WIDTH: usize> GramClass<WIDTH> {
    fn new(literals: &[(Literal, HitId)]) -> Option<Self> {
        /// Wider strides save little, and take memory for each place in a literal.
        const STRIDE_MAX: usize = 16;
        const ENTRIES_MAX: usize = 1 << 14;
        let lengths = literals.iter().map(|(literal, _)| literal.text.len());
        let possible = lengths.min()? + 1 - WIDTH;
        let affordable = STRIDE_MAX.min(ENTRIES_MAX / literals.len()).max(4);
        let stride = possible.min(affordable);
        let windows = |literal: &[u8]| -> Vec<[u8; WIDTH]> {
            literal.windows(WIDTH).filter_map(|window| window.first_chunk().copied()).collect()
        };
        let mut uses = HashMap::<[u8; WIDTH], u32>::new();
        for window in literals.iter().flat_map(|(literal, _)| windows(literal.text.as_bytes())) {
            *uses.entry(window).or_default() += 1;
        }
        let (mut bytes, mut entries, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for (Literal { text, edges }, hit) in literals {
            let windows = windows(text.as_bytes());
            let common = commonness::<WIDTH>(text.as_bytes());
            let weights: Vec<(u32, u32)> =
                common.zip(&windows).map(|(common, window)| (common, uses[window])).collect();
            let weight = |run: &[(u32, u32)]| -> (u32, u32) {
                run.iter().fold((0, 0), |sum, weight| (sum.0 + weight.0, sum.1 + weight.1))
            };
            let runs = weights.windows(stride).map(weight).enumerate();
            let (first, _) =
                runs.min_by_key(|(_, weight)| *weight).expect("a literal is as long as its class");
            let run = &windows[first..first + stride];
            let start = narrow(bytes.len());
            bytes.extend_from_slice(text.as_bytes());
            entries.extend(run.iter().enumerate().map(|(at, window)| GramEntry {
                hash: hash_of(window),
                literal: narrow(known.len()),
                before: narrow(first + at),
            }));
            let end = narrow(bytes.len());
            known.push(GramLiteral { hit: *hit, start, end, edges: *edges });
        }
        entries.sort_unstable_by_key(|entry| (entry.hash, entry.literal, entry.before));
        let slots = (entries.len() * 2).next_power_of_two().max(2);
        let mut class = Self {
            stride,
            bitmap: Bitmap::for_entries(entries.len()),
            table: vec![0; slots].into_boxed_slice(),
            table_shift: 32 - slots.ilog2(),
            entries: entries.into_boxed_slice(),
            literals: known.into_boxed_slice(),
            bytes: bytes.into_boxed_slice(),
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
            at += self.stride;
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
                    let literal = &self.literals[entry.literal as usize];
                    let bytes = &self.bytes[literal.start as usize..literal.end as usize];
                    let Some(from) = at.checked_sub(entry.before as usize) else { continue };
                    if text[from..].starts_with(bytes)
                        && literal.edges.allow(text, from, from + bytes.len())
                    {
                        visit(literal.hit);
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
                let pair = pair_of(first, second);
                if self.may_begin_at(pair) {
                    self.compare(pair, text, at, visit);
                }
            }
        }
        if let Some(last) = text.last() {
            let pair = pair_of(*last, 0);
            if self.may_begin_at(pair) {
                self.compare(pair, text, text.len() - 1, visit);
            }
        }
    }

    #[inline]
    fn may_begin_at(&self, pair: usize) -> bool {
        self.pairs[pair / 64 % PAIR_WORDS].0 >> (pair % 64) & 1 != 0
    }

    #[inline(never)]
    fn compare(&self, pair: usize, text: &[u8], at: usize, visit: &mut impl FnMut(HitId)) {
        let (bits, before) = self.pairs[pair / 64 % PAIR_WORDS];
        let rank = (before + (bits & ((1 << (pair % 64)) - 1)).count_ones()) as usize;
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

/// Tells how common each run of a literal is in texts of every kind. The order within a class of
/// equal rarity is by how many literals have the run.
fn commonness<const WIDTH: usize>(literal: &[u8]) -> impl Iterator<Item = u32> {
    /// Coarse, so that how many literals use the gram still decides among similar ones.
    const MILLIBITS: u32 = 2_000;
    let millibits = rarity::millibits_of_each(literal);
    (0..=literal.len() - WIDTH).map(move |at| {
        let run: u32 = millibits[at..at + WIDTH].iter().sum();
        40_u32.saturating_sub(run / MILLIBITS)
    })
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
