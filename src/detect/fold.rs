//! The one case folding of the matcher: rules and values are folded by the same function, so that
//! comparing bytes is comparing without regard to case.
//!
//! Each character becomes its Unicode lower case, and the two letters whose lower case depends on
//! their place or has two shapes (final sigma, long s) become the plain one. Character by
//! character, so that the fold of a part is the part of the fold.

/// Appends the folded form of `text` to `out`.
pub(super) fn fold_into(text: &str, out: &mut String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        if let Some(appended) = out.get_mut(start..) {
            appended.make_ascii_lowercase();
        }
        return;
    }
    for character in text.chars() {
        match character {
            'ς' => out.push('σ'),
            'ſ' => out.push('s'),
            _ if character.is_ascii() => out.push(character.to_ascii_lowercase()),
            _ => out.extend(character.to_lowercase()),
        }
    }
}

/// Returns the folded form of `text`.
pub(super) fn fold(text: &str) -> String {
    let mut folded = String::with_capacity(text.len());
    fold_into(text, &mut folded);
    folded
}

/// Returns whether, for certain, only ASCII characters of a text fold to ASCII characters. Of the
/// others the Kelvin sign, the long s and the I with a dot do; theirs is one of these first bytes.
pub(super) fn folds_apart(text: &str) -> bool {
    memchr::memchr3(0xe2, 0xc5, 0xc4, text.as_bytes()).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_folds_to_an_ascii_character_is_told() {
        for character in ('\u{80}'..=char::MAX).filter(|character| character.is_alphabetic()) {
            let text = character.to_string();
            assert!(
                !folds_apart(&text) || !fold(&text).bytes().any(|byte| byte.is_ascii()),
                "{text}"
            );
        }
    }

    #[test]
    fn texts_that_differ_only_in_case_fold_to_the_same() {
        for (one, other) in [
            ("PowerShell.EXE", "powershell.exe"),
            ("ΟΔΟΣ", "οδος"),
            ("ÄÖÜ", "äöü"),
            ("\u{212a}ey", "key"),
            ("ſecret", "SECRET"),
            ("İ", "i\u{307}"),
        ] {
            assert_eq!(fold(one), fold(other), "{one} {other}");
            assert_eq!(fold(one), fold(&one.to_lowercase()), "{one}");
        }
    }
}
