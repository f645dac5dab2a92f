//! Matching a text against the pieces of a Sigma pattern, in time linear in the text for each run
//! between two `*`.

use memchr::memmem;

use crate::rulebook::Piece;

/// Returns whether the whole `text` matches. Text and pattern are folded, or both are not.
pub(super) fn matches(pieces: &[Piece], text: &str) -> bool {
    let Some(first_any) = position_of_any(pieces) else {
        return match_run(pieces, text) == Some(text.len());
    };
    let Some(mut at) = match_run(&pieces[..first_any], text) else { return false };
    let mut rest = &pieces[first_any + 1..];
    while let Some(any) = position_of_any(rest) {
        let Some(end) = find_run(&rest[..any], text, at) else { return false };
        at = end;
        rest = &rest[any + 1..];
    }
    ends_with_run(rest, &text[at..])
}

fn position_of_any(pieces: &[Piece]) -> Option<usize> {
    pieces.iter().position(|piece| *piece == Piece::Any)
}

/// Returns where the match ends of a run without `*` that starts at the text's start.
fn match_run(run: &[Piece], text: &str) -> Option<usize> {
    let mut at = 0;
    for piece in run {
        let rest = &text[at..];
        at += match piece {
            Piece::Text(literal) if rest.starts_with(&**literal) => literal.len(),
            Piece::Text(_) => return None,
            Piece::One => rest.chars().next()?.len_utf8(),
            Piece::Any => 0,
        };
    }
    Some(at)
}

/// Returns where the first match of a run ends that starts at `from` or later.
fn find_run(run: &[Piece], text: &str, from: usize) -> Option<usize> {
    match run {
        [] => return Some(from),
        [Piece::Text(literal)] => {
            let found = memmem::find(&text.as_bytes()[from..], literal.as_bytes())?;
            return Some(from + found + literal.len());
        }
        _ => {}
    }
    let mut start = from;
    loop {
        if let Some(Piece::Text(literal)) = run.first() {
            start += memmem::find(&text.as_bytes()[start..], literal.as_bytes())?;
        }
        if let Some(length) = match_run(run, &text[start..]) {
            return Some(start + length);
        }
        start += text[start..].chars().next()?.len_utf8();
    }
}

/// Returns whether the text ends with a run without `*`.
fn ends_with_run(run: &[Piece], text: &str) -> bool {
    let mut rest = text;
    for piece in run.iter().rev() {
        rest = match piece {
            Piece::Text(literal) => match rest.strip_suffix(&**literal) {
                Some(before) => before,
                None => return false,
            },
            Piece::One => {
                let mut characters = rest.chars();
                if characters.next_back().is_none() {
                    return false;
                }
                characters.as_str()
            }
            Piece::Any => rest,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads `*` and `?` as wildcards, everything else as text.
    fn pieces(pattern: &str) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for part in pattern.split_inclusive(['*', '?']) {
            let text = part.trim_end_matches(['*', '?']);
            if !text.is_empty() {
                pieces.push(Piece::Text(text.into()));
            }
            match part.chars().last() {
                Some('*') => pieces.push(Piece::Any),
                Some('?') => pieces.push(Piece::One),
                _ => {}
            }
        }
        pieces
    }

    #[test]
    fn wildcards_match_as_sigma_says() {
        for (pattern, text, holds) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("?", "é", true),
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "acd", false),
            ("a*bc*d", "abbcbcd", true),
            ("*ab", "aab", true),
            ("*a?b*", "xaab", true),
            ("*a?b*", "xab", false),
            ("?*?", "a", false),
            ("?*?", "ab", true),
            ("*?a", "a", false),
            ("ab*ba", "aba", false),
            ("a*\n*b", "a\r\nb", true),
        ] {
            assert_eq!(matches(&pieces(pattern), text), holds, "{pattern} {text}");
        }
    }
}
