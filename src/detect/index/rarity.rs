//! How likely a literal is to occur in a text that has nothing to do with its rule: a static
//! estimate, good enough to prefer `invoke-mimikatz` to `.exe`.

use super::literal::Literal;

/// Thousandths of a bit that seeing a byte is worth.
pub(super) fn millibits(byte: u8) -> u32 {
    match byte {
        b'e' | b'a' | b's' | b't' | b'i' | b'n' | b'o' | b'r' | b' ' | b'\\' | b'.' => 1_600,
        b'c' | b'd' | b'l' | b'm' | b'p' | b'u' | b'w' | b'/' | b'-' | b'0' | b'1' | b'2' => 2_200,
        b'a'..=b'z' | b'3'..=b'9' | b'_' | b':' | b'"' | b'=' => 2_900,
        0x80.. => 2_000,
        _ => 3_800,
    }
}

/// Returns the odds that a text of a few hundred bytes contains the literal.
pub(super) fn odds(literal: &[u8]) -> f64 {
    /// Places where it could stand, as bits.
    const PLACES_BITS: f64 = 7.0;
    let millibits: u32 = literal.iter().take(64).map(|byte| millibits(*byte)).sum();
    (PLACES_BITS - f64::from(millibits) / 1000.0).exp2().min(0.8)
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
pub(super) fn odds_at_end(literal: &[u8]) -> f64 {
    let millibits: u32 = literal.iter().take(64).map(|byte| millibits(*byte)).sum();
    (1.0 - f64::from(millibits) / 1000.0).exp2().min(0.5)
}

/// Adds to the odds what the rule authors know: a literal that many rules name is a common one.
pub(super) fn with_uses(odds: f64, rules: u32) -> f64 {
    const ODDS_PER_RULE: f64 = 0.002;
    (odds + ODDS_PER_RULE * f64::from(rules.saturating_sub(1))).min(0.95)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longer_and_stranger_literals_are_rarer() {
        let odds: Vec<f64> = ["e", ".exe", "-enc ", "rundll32", "invoke-mimikatz"]
            .map(|text| odds(text.as_bytes()))
            .into();
        assert!(odds.is_sorted_by(|one, other| one >= other), "{odds:?}");
        assert!(with_uses(0.01, 200) > with_uses(0.01, 1));
    }
}
