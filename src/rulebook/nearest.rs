//! Which known word a person may have meant.

/// Returns the known word closest to what was written, where it is close enough to be a slip.
///
/// Distance: insertions, deletions, substitutions and swaps of neighbours (optimal string
/// alignment), letter case apart. Close is at most a third of the word's length; ties go to the
/// first.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    let written: Vec<char> = written.to_lowercase().chars().collect();
    if written.is_empty() || written.len() > LONGEST {
        return None;
    }
    let limit = (written.len() / 3).max(1);
    known
        .into_iter()
        .filter(|word| word.len().abs_diff(written.len()) <= limit + 3)
        .map(|word| (distance(&written, &word.to_lowercase().chars().collect::<Vec<_>>()), word))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

fn distance(left: &[char], right: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=right.len()).collect();
    for (row, a) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in right.iter().enumerate() {
            let mut best = above[column] + usize::from(a != b);
            best = best.min(above[column + 1] + 1).min(current[column] + 1);
            if row > 0 && column > 0 && *a == right[column - 1] && left[row - 1] == *b {
                best = best.min(before[column - 1] + 1);
            }
            current.push(best);
        }
        before = std::mem::replace(&mut above, current);
    }
    above[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_offered_only_where_it_is_near() {
        let known = ["message.text", "message.kind", "contains", "endswith", "stable"];
        for (written, expected) in [
            ("mesage.text", Some("message.text")),
            ("contians", Some("contains")),
            ("Stable", Some("stable")),
            ("zzz", None),
            ("", None),
        ] {
            assert_eq!(nearest(written, known), expected, "{written}");
        }
    }
}
