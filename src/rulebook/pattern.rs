//! Sigma strings: escapes and wildcards, what modifiers make of them, and how letter case is folded.

use super::model::{Piece, TextPattern};

/// Returns a text with the letters of each character lowered by itself (Unicode, no context).
///
/// Patterns and events must be folded by this same function to be compared; `str::to_lowercase`
/// differs at a final sigma.
pub fn fold_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// A Sigma string while modifiers work on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SigmaString {
    pieces: Vec<Piece>,
}

impl SigmaString {
    /// Reads a plain value. `*` and `?` are wildcards; a backslash takes this from them, and from a
    /// backslash; before any other character it is an ordinary character.
    pub(super) fn parse(text: &str) -> Self {
        let mut pieces = Builder::default();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            match character {
                '\\' => match characters.peek() {
                    Some(&next @ ('*' | '?' | '\\')) => {
                        characters.next();
                        pieces.character(next);
                    }
                    Some(_) | None => pieces.character('\\'),
                },
                '*' => pieces.any(),
                '?' => pieces.one(),
                other => pieces.character(other),
            }
        }
        pieces.finish()
    }

    /// Takes every character as it is.
    pub(super) fn literal(text: &str) -> Self {
        let mut pieces = Builder::default();
        text.chars().for_each(|character| pieces.character(character));
        pieces.finish()
    }

    /// Returns the text where it has no wildcard.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            [Piece::Any | Piece::One, ..] | [Piece::Text(_), _, ..] => None,
        }
    }

    pub(super) fn open_start(&mut self) {
        if self.pieces.first() != Some(&Piece::Any) {
            self.pieces.insert(0, Piece::Any);
        }
    }

    pub(super) fn open_end(&mut self) {
        if self.pieces.last() != Some(&Piece::Any) {
            self.pieces.push(Piece::Any);
        }
    }

    /// Returns all spellings with other dashes, or nothing where there are more than `limit`.
    ///
    /// A dash is a `-` or `/` that no word character precedes and one follows (`\B[-/]\b`).
    pub(super) fn dash_variants(&self, limit: usize) -> Option<Vec<Self>> {
        const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
        let mut variants = vec![Builder::default()];
        for piece in &self.pieces {
            let Piece::Text(text) = piece else {
                for variant in &mut variants {
                    variant.piece(piece);
                }
                continue;
            };
            let mut before = None;
            let mut characters = text.chars().peekable();
            while let Some(character) = characters.next() {
                let after = characters.peek().copied();
                let is_dash = matches!(character, '-' | '/')
                    && !before.is_some_and(is_word)
                    && after.is_some_and(is_word);
                before = Some(character);
                if !is_dash {
                    for variant in &mut variants {
                        variant.character(character);
                    }
                    continue;
                }
                if variants.len() * DASHES.len() > limit {
                    return None;
                }
                variants = variants
                    .into_iter()
                    .flat_map(|variant| {
                        DASHES.map(|dash| {
                            let mut variant = variant.clone();
                            variant.character(dash);
                            variant
                        })
                    })
                    .collect();
            }
        }
        Some(variants.into_iter().map(Builder::finish).collect())
    }

    pub(super) fn into_pattern(self, cased: bool) -> TextPattern {
        let mut pieces = self.pieces;
        if !cased {
            for piece in &mut pieces {
                if let Piece::Text(text) = piece {
                    *text = fold_case(text).into();
                }
            }
        }
        TextPattern { pieces, cased }
    }
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

#[derive(Debug, Clone, Default)]
struct Builder {
    pieces: Vec<Piece>,
    text: String,
}

impl Builder {
    fn character(&mut self, character: char) {
        self.text.push(character);
    }

    fn any(&mut self) {
        self.close_text();
        if self.pieces.last() != Some(&Piece::Any) {
            self.pieces.push(Piece::Any);
        }
    }

    fn one(&mut self) {
        self.close_text();
        self.pieces.push(Piece::One);
    }

    fn piece(&mut self, piece: &Piece) {
        match piece {
            Piece::Text(text) => self.text.push_str(text),
            Piece::Any => self.any(),
            Piece::One => self.one(),
        }
    }

    fn close_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Text(std::mem::take(&mut self.text).into()));
        }
    }

    fn finish(mut self) -> SigmaString {
        self.close_text();
        SigmaString { pieces: self.pieces }
    }
}

/// The UTF-16 forms that a text may take before it is base64-encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Utf16 {
    LittleEndian,
    BigEndian,
    /// Little endian behind a byte order mark.
    Marked,
}

impl Utf16 {
    pub(super) fn encode(self, text: &str) -> Vec<u8> {
        let units = text.encode_utf16();
        match self {
            Self::LittleEndian => units.flat_map(u16::to_le_bytes).collect(),
            Self::BigEndian => units.flat_map(u16::to_be_bytes).collect(),
            Self::Marked => {
                [0xff, 0xfe].into_iter().chain(units.flat_map(u16::to_le_bytes)).collect()
            }
        }
    }
}

pub(super) fn base64(bytes: &[u8]) -> SigmaString {
    use base64::Engine as _;
    SigmaString::literal(&base64::engine::general_purpose::STANDARD.encode(bytes))
}

/// Returns the base64 texts that hold these bytes at the three possible offsets, without the
/// characters that depend on what stands around them.
pub(super) fn base64_offsets(bytes: &[u8]) -> Vec<SigmaString> {
    use base64::Engine as _;
    const FIRST: [usize; 3] = [0, 2, 3];
    const LEFT_OUT: [usize; 3] = [0, 3, 2];
    (0..3)
        .map(|offset| {
            let mut shifted = vec![b' '; offset];
            shifted.extend_from_slice(bytes);
            let text = base64::engine::general_purpose::STANDARD.encode(&shifted);
            let end = text.len() - LEFT_OUT[(bytes.len() + offset) % 3];
            SigmaString::literal(text.get(FIRST[offset]..end).unwrap_or_default())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(pattern: &TextPattern) -> String {
        pattern
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Text(text) => format!("[{text}]"),
                Piece::Any => "*".to_owned(),
                Piece::One => "?".to_owned(),
            })
            .collect()
    }

    #[test]
    fn escapes_and_wildcards_are_read_as_in_the_specification() {
        for (text, expected) in [
            ("", ""),
            ("a*b?c", "[a]*[b]?[c]"),
            ("**", "*"),
            (r"\*", "[*]"),
            (r"\?", "[?]"),
            (r"\\*", r"[\]*"),
            (r"\\\*", r"[\*]"),
            (r"\", r"[\]"),
            (r"\\", r"[\]"),
            (r"\\\\", r"[\\]"),
            (r"C:\Windows\system32", r"[c:\windows\system32]"),
            (r"\\server\share", r"[\server\share]"),
            ("ÀÉΣ", "[àéσ]"),
        ] {
            assert_eq!(shown(&SigmaString::parse(text).into_pattern(false)), expected, "{text}");
        }
    }

    #[test]
    fn dashes_are_varied_only_where_a_word_starts() {
        for (text, count) in
            [("-a", 5), ("-a -b", 25), ("a-b", 1), ("--x", 5), ("/", 1), ("*-a*", 5)]
        {
            let variants = SigmaString::parse(text).dash_variants(10_000).unwrap();
            assert_eq!(variants.len(), count, "{text}");
        }
        assert!(SigmaString::parse("-a -b -c -d -e -f").dash_variants(10_000).is_none());
    }

    #[test]
    fn base64_forms_are_those_of_the_reference() {
        assert_eq!(base64(b"foobar").as_literal(), Some("Zm9vYmFy"));
        let offsets: Vec<_> = base64_offsets(b"foobar")
            .into_iter()
            .map(|text| text.as_literal().unwrap().to_owned())
            .collect();
        assert_eq!(offsets, ["Zm9vYmFy", "Zvb2Jhc", "mb29iYX"]);
        assert_eq!(Utf16::LittleEndian.encode("a"), b"a\0");
        assert_eq!(Utf16::BigEndian.encode("a"), b"\0a");
        assert_eq!(Utf16::Marked.encode("a"), b"\xff\xfea\0");
    }
}
