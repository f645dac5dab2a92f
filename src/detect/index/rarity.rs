//! How likely a literal is to occur in a text that has nothing to do with its rule: a static
//! estimate, good enough to prefer `invoke-mimikatz` to `.exe`.

use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, MatchKind};

use super::literal::Literal;

/// Thousandths of a bit that seeing a byte is worth.
pub(in crate::detect) fn millibits_of(byte: u8) -> u32 {
    match byte {
        b'e' | b'a' | b's' | b't' | b'i' | b'n' | b'o' | b'r' | b' ' | b'\\' | b'.' => 1_600,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' | b'w' | b'/' | b'-' | b'0' | b'1' | b'2' => 2_200,
        b'a'..=b'z' | b'3'..=b'9' | b'_' | b':' | b'"' | b'=' => 2_900,
        0x80.. => 2_000,
        _ => 3_800,
    }
}

/// Words that logs of every kind are full of, with the odds that a text which could hold one does.
const COMMON: [(&[u8], f64); 40] = [
    (b"microsoft", 0.5),
    (b"corporation", 0.8),
    (b"windows", 0.6),
    (b"system32", 0.7),
    (b"syswow64", 0.2),
    (b"program files", 0.4),
    (b"programdata", 0.15),
    (b"users", 0.4),
    (b"public", 0.2),
    (b"appdata", 0.4),
    (b"local", 0.6),
    (b"roaming", 0.3),
    (b"temp", 0.3),
    (b"software", 0.6),
    (b"currentversion", 0.6),
    (b"currentcontrolset", 0.4),
    (b"services", 0.4),
    (b"system", 0.5),
    (b"hklm", 0.6),
    (b"hkcu", 0.4),
    (b"powershell", 0.1),
    (b"cmd", 0.1),
    (b"svchost", 0.1),
    (b"explorer", 0.1),
    (b"http", 0.3),
    (b"www", 0.3),
    (b"file", 0.5),
    (b"name", 0.5),
    (b"type", 0.5),
    (b"true", 0.6),
    (b"false", 0.6),
    (b"exe", 0.8),
    (b"dll", 0.6),
    (b"com", 0.6),
    (b"bin", 0.5),
    (b"usr", 0.5),
    (b"c:", 0.9),
    (b"sha1", 0.8),
    (b"md5", 0.8),
    (b"sha256", 0.8),
];

/// Finds the common words of a literal.
static WORDS: LazyLock<AhoCorasick> = LazyLock::new(|| {
    let words = COMMON.iter().map(|(word, _)| word);
    let mut builder = AhoCorasick::builder();
    builder.match_kind(MatchKind::LeftmostLongest).build(words).expect("few words")
});

/// What a literal is made of: the odds of its common words, and the bits of all else.
struct Parts {
    words: Option<f64>,
    bits: f64,
}

impl Parts {
    fn of(literal: &[u8]) -> Self {
        /// Bytes beyond this add nothing that tells.
        const LENGTH_MAX: usize = 64;
        let literal = &literal[..literal.len().min(LENGTH_MAX)];
        let (mut words, mut bits, mut from) = (None, 0, 0);
        for found in WORDS.find_iter(literal) {
            bits += millibits(without_signs(&literal[from..found.start()], from > 0, true));
            words = Some(words.unwrap_or(1.0) * COMMON[found.pattern().as_usize()].1);
            from = found.end();
        }
        bits += millibits(without_signs(&literal[from..], from > 0, false));
        Self { words, bits: f64::from(bits) / 1000.0 }
    }
}

/// Returns the thousandths of a bit that each byte of a literal is worth: nothing in common words.
pub(super) fn millibits_of_each(literal: &[u8]) -> Vec<u32> {
    let mut each: Vec<u32> = literal.iter().map(|byte| millibits_of(*byte)).collect();
    for found in WORDS.find_iter(literal) {
        each[found.range()].fill(0);
    }
    each
}

fn millibits(bytes: &[u8]) -> u32 {
    bytes.iter().map(|byte| millibits_of(*byte)).sum()
}

/// Signs beside a common word go with it, as `\` with `windows`.
fn without_signs(bytes: &[u8], is_behind_word: bool, is_before_word: bool) -> &[u8] {
    let is_letter = |byte: &u8| !matches!(byte, b'\\' | b'/' | b'.' | b':' | b' ');
    let first = if is_behind_word { bytes.iter().position(is_letter) } else { Some(0) };
    let last =
        if is_before_word { bytes.iter().rposition(is_letter) } else { bytes.len().checked_sub(1) };
    match (first, last) {
        (Some(first), Some(last)) => &bytes[first..=last],
        (None, _) | (_, None) => &[],
    }
}

/// Returns the odds that a text of a few hundred bytes contains the literal.
pub(in crate::detect) fn odds(literal: &[u8]) -> f64 {
    /// Places where it could stand, as bits; a common word says where.
    const PLACES_BITS: f64 = 7.0;
    let Parts { words, bits } = Parts::of(literal);
    let odds = match words {
        Some(odds) => odds * (-bits).exp2(),
        None => (PLACES_BITS - bits).exp2(),
    };
    odds.min(0.8)
}

/// Returns the odds that a text contains the literal where it may stand.
pub(super) fn literal_odds(literal: &Literal) -> f64 {
    /// Letters of a word for each of its ends.
    const ODDS_OF_EDGE: f64 = 0.2;
    let edges = literal.edges;
    let ends = i32::from(edges.starts_word) + i32::from(edges.ends_word);
    odds(literal.text.as_bytes()) * ODDS_OF_EDGE.powi(ends)
}

/// Returns the odds that a value equals, starts or ends with the literal.
pub(in crate::detect) fn odds_at_end(literal: &[u8]) -> f64 {
    let Parts { words, bits } = Parts::of(literal);
    let odds = words.unwrap_or(2.0) * (-bits).exp2();
    odds.min(0.8)
}

/// Adds to the odds what the rule authors know: a literal that many rules name is a common one.
pub(super) fn with_uses(odds: f64, rules: u32) -> f64 {
    const ODDS_PER_RULE: f64 = 0.000_5;
    (odds + ODDS_PER_RULE * f64::from(rules.saturating_sub(1))).min(0.85)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_and_stranger_literals_are_rarer() {
        for order in [
            &[".exe", "e ", "-enc ", "rundll32", "invoke-mimikatz"][..],
            &[".exe", "microsoft corporation", r"\powershell.exe", r"\csi.exe"],
            &[r"c:\windows\system32\", r"c:\windows\system32\spool\"],
        ] {
            for odds in [odds, odds_at_end] {
                let odds: Vec<f64> = order.iter().map(|text| odds(text.as_bytes())).collect();
                assert!(odds.is_sorted_by(|one, other| one >= other), "{order:?} {odds:?}");
            }
        }
        assert!(with_uses(0.01, 200) > with_uses(0.01, 1));
    }
}
