//! `content.norm`, `content.squeezed` and `content.obfuscation`: text as a reader sees it.
//!
//! A recipient reads `𝗛𝗮𝗱𝗶𝗮𝗵`, `hаdiаh` with Cyrillic letters and `ha\u{200b}diah` as the same
//! word; rules should too. The steps: invisible characters removed, NFKC, each letter that looks
//! like an ASCII letter or digit replaced by it, marks removed, lower case, white space folded.
//! Digits that stand for letters (`h4diah`) stay: whether `4` is an `a` depends on the word, so
//! rules write `[a4]` where they mean it.
//!
//! *Obfuscation* counts only what a writer has to go out of the way for: styled and enclosed
//! letters, look-alikes of another script inside a word that reads as ASCII, invisible characters
//! and stacked marks inside a word. Accents, keycap digits, flags, superscripts and words of other
//! scripts are ordinary writing.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, is_combining_mark};
use unicode_security::skeleton;

/// A text after folding.
#[derive(Clone, PartialEq)]
pub(super) struct Folded {
    pub(super) norm: String,
    /// Share of letters and digits that folding changed, 0 to 1.
    pub(super) obfuscation: f64,
}

/// Folds a text. Idempotent on `norm`; linear in the length of the text.
pub(super) fn fold(text: &str) -> Folded {
    if text.is_ascii() {
        return Folded { norm: fold_ascii(text), obfuscation: 0.0 };
    }
    let mut folder = Folder::default();
    folder.run(text);
    let Folder { norm, letters, changed, .. } = folder;
    let norm = settle(norm);
    #[expect(clippy::cast_precision_loss, reason = "texts are far shorter than 2^52 letters")]
    let obfuscation = if letters == 0 { 0.0 } else { changed as f64 / letters as f64 };
    Folded { norm, obfuscation }
}

/// Returns only the ASCII letters and digits of a folded text.
pub(super) fn squeeze(norm: &str) -> String {
    // Writing each byte and moving on behind those that are kept needs no branch.
    let mut squeezed = vec![0; norm.len()];
    let mut len = 0;
    for byte in norm.bytes() {
        squeezed[len] = byte;
        len += usize::from(byte.is_ascii_lowercase() || byte.is_ascii_digit());
    }
    squeezed.truncate(len);
    String::from_utf8(squeezed).expect("only ASCII is kept")
}

fn fold_ascii(text: &str) -> String {
    if is_tidy(text.as_bytes()) {
        return text.to_ascii_lowercase();
    }
    let mut norm = Vec::with_capacity(text.len());
    let mut space_is_due = false;
    for byte in text.bytes() {
        if byte <= b' ' {
            space_is_due |= byte == b' ' || byte.is_ascii_whitespace() || byte == 0x0b;
        } else if byte != 0x7f {
            if space_is_due && !norm.is_empty() {
                norm.push(b' ');
            }
            space_is_due = false;
            norm.push(byte.to_ascii_lowercase());
        }
    }
    String::from_utf8(norm).expect("ASCII in, ASCII out")
}

/// Returns whether an ASCII text holds no white space but single spaces inside, and no control
/// characters: most do.
fn is_tidy(text: &[u8]) -> bool {
    let (Some(first), Some(last)) = (text.first(), text.last()) else { return true };
    // Counting instead of stopping at the first lets the compiler look at several at once.
    let has_control = text.iter().filter(|byte| byte.is_ascii_control()).count() > 0;
    let pairs = text.iter().zip(text.iter().skip(1));
    let has_run = pairs.filter(|(one, next)| **one == b' ' && **next == b' ').count() > 0;
    *first != b' ' && *last != b' ' && !has_control && !has_run
}

/// Removing marks can bring together what composes, such as Hangul letters: composes them, so that
/// folding the result again changes nothing.
fn settle(norm: String) -> String {
    if norm.is_ascii() { norm } else { norm.nfc().collect() }
}

/// What happened to one character.
#[derive(Clone, Copy, PartialEq)]
enum Change {
    None,
    /// Styled on purpose: counts as it is.
    Styled,
    /// A letter of another script: counts when the whole word reads as ASCII.
    LookAlike,
}

#[derive(Default)]
struct Folder {
    norm: String,
    letters: usize,
    changed: usize,
    space_is_due: bool,
    word: Word,
}

/// The run of letters and digits at hand.
#[derive(Default)]
struct Word {
    look_alikes: usize,
    is_foreign: bool,
    /// An invisible character or a loose mark stands behind the last letter.
    is_broken: bool,
    /// The last character was an ASCII letter.
    ends_in_ascii: bool,
}

impl Folder {
    fn run(&mut self, text: &str) {
        let mut flags = FlagPairs::default();
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if is_invisible(character) {
                self.word.is_broken |= self.word.ends_in_ascii && is_hidden_break(character);
                continue;
            }
            if flags.is_part_of_flag(character, &characters) {
                self.end_word();
                self.push(character);
                continue;
            }
            self.character(character);
        }
        self.end_word();
    }

    fn character(&mut self, character: char) {
        if character.is_ascii() {
            self.visible(character, Change::None);
            return;
        }
        if let Some(letter) = enclosed(character) {
            self.visible(letter, Change::Styled);
            return;
        }
        let is_styled = is_styled(character);
        for compatible in std::iter::once(character).nfkc() {
            let change = if is_styled { Change::Styled } else { Change::None };
            self.compatible(compatible, change);
        }
    }

    /// Takes a character after NFKC.
    fn compatible(&mut self, character: char, change: Change) {
        if character.is_ascii() {
            self.visible(character, change);
        } else if is_mark(character) {
            // What NFC would have composed is an accent; a mark that stays alone on an ASCII
            // letter strikes it through or piles up.
            self.word.is_broken |= self.word.ends_in_ascii && is_loose(character);
        } else if is_invisible(character) {
            self.word.is_broken |= self.word.ends_in_ascii && is_hidden_break(character);
        } else if let Some(letter) = small_capital(character) {
            self.visible(letter, Change::Styled);
        } else if let Some((letters, change)) = ascii_reading(character) {
            for letter in letters.as_str().chars() {
                self.visible(letter, change);
            }
        } else {
            self.visible(character, change);
        }
    }

    fn visible(&mut self, character: char, change: Change) {
        if character.is_whitespace() || character.is_control() {
            self.end_word();
            self.space_is_due |= character.is_whitespace();
            return;
        }
        if character.is_alphanumeric() {
            self.letters += 1;
            let was_broken = std::mem::take(&mut self.word.is_broken);
            match change {
                Change::Styled => self.changed += 1,
                Change::LookAlike if was_broken => self.changed += 1,
                Change::LookAlike => self.word.look_alikes += 1,
                Change::None if was_broken && character.is_ascii() => self.changed += 1,
                Change::None => self.word.is_foreign |= is_of_other_script(character),
            }
            self.word.ends_in_ascii = character.is_ascii();
        } else {
            self.end_word();
        }
        self.push(character);
    }

    fn push(&mut self, character: char) {
        if std::mem::take(&mut self.space_is_due) && !self.norm.is_empty() {
            self.norm.push(' ');
        }
        if character.is_ascii() {
            self.norm.push(character.to_ascii_lowercase());
            return;
        }
        for lower in character.to_lowercase() {
            match ascii_reading(lower) {
                _ if lower.is_ascii() => self.norm.push(lower),
                _ if is_mark(lower) || is_invisible(lower) => {}
                Some((letters, _)) => self.norm.push_str(letters.as_str()),
                None => self.norm.push(lower),
            }
        }
    }

    fn end_word(&mut self) {
        let word = std::mem::take(&mut self.word);
        if !word.is_foreign {
            self.changed += word.look_alikes;
        }
    }
}

/// Tells flags from letters: a run of regional indicators is flags when it pairs up, else it
/// spells a word.
#[derive(Default)]
struct FlagPairs {
    is_in_run: bool,
    run_is_flags: bool,
}

impl FlagPairs {
    fn is_part_of_flag(
        &mut self,
        character: char,
        rest: &std::iter::Peekable<std::str::Chars<'_>>,
    ) -> bool {
        if !is_regional_indicator(character) {
            self.is_in_run = false;
            return false;
        }
        if !self.is_in_run {
            // What is between them and not seen goes, so it must not part them either.
            let seen = rest.clone().filter(|next| !is_invisible(*next));
            let behind = seen.take_while(|next| is_regional_indicator(*next)).count();
            *self = Self { is_in_run: true, run_is_flags: behind % 2 == 1 };
        }
        self.run_is_flags
    }
}

fn is_regional_indicator(character: char) -> bool {
    ('\u{1f1e6}'..='\u{1f1ff}').contains(&character)
}

/// At most two letters that a character reads as.
#[derive(Clone, Copy)]
struct Letters {
    bytes: [u8; 2],
    len: usize,
}

impl Letters {
    fn one(letter: char) -> Option<Self> {
        let byte = u8::try_from(letter).ok().filter(u8::is_ascii_alphanumeric)?;
        Some(Self { bytes: [byte, 0], len: 1 })
    }

    const fn two(bytes: [u8; 2]) -> Self {
        Self { bytes, len: 2 }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).expect("holds ASCII letters only")
    }
}

/// Returns the ASCII letters that a non-ASCII letter reads as, and whether that is a disguise.
fn ascii_reading(character: char) -> Option<(Letters, Change)> {
    if character.is_ascii() || !character.is_alphabetic() || !may_look_latin(character) {
        return None;
    }
    let special = match character {
        'ß' => Some(Letters::two(*b"ss")),
        'æ' | 'Æ' => Some(Letters::two(*b"ae")),
        'œ' | 'Œ' => Some(Letters::two(*b"oe")),
        'đ' | 'Đ' | 'ð' | 'Ð' => Letters::one('d'),
        'ø' | 'Ø' => Letters::one('o'),
        'ł' | 'Ł' => Letters::one('l'),
        'ħ' | 'Ħ' => Letters::one('h'),
        'ŧ' | 'Ŧ' => Letters::one('t'),
        'ı' => Letters::one('i'),
        _ => None,
    };
    if let Some(letters) = special {
        return Some((letters, Change::None));
    }
    // Capital I of other scripts: UTS 39 reads it as a small l.
    if matches!(character, 'І' | 'Ι' | 'Ⲓ') {
        return Letters::one('i').map(|letters| (letters, Change::LookAlike));
    }
    let base = std::iter::once(character).nfd().next().unwrap_or(character);
    if let Some(letters) = Letters::one(base) {
        return Some((letters, Change::None));
    }
    let mut buffer = [0; 4];
    let mut reading = None;
    for letter in skeleton(base.encode_utf8(&mut buffer)).filter(|c| !is_mark(*c)) {
        if reading.replace(letter).is_some() {
            return None;
        }
    }
    let letter = reading?;
    let letter = small_capital(letter).unwrap_or(letter);
    Letters::one(letter).map(|letters| (letters, Change::LookAlike))
}

/// Scripts whose letters are used as disguises; skips the scripts of East and South Asia, where a
/// table search for each letter would be in vain.
fn may_look_latin(character: char) -> bool {
    matches!(character,
        '\u{80}'..='\u{58f}'            // Latin, IPA, Greek, Cyrillic, Armenian
        | '\u{13a0}'..='\u{13ff}'       // Cherokee
        | '\u{1d00}'..='\u{1fff}'       // phonetic, Latin and Greek extended
        | '\u{2100}'..='\u{218f}'       // letterlike
        | '\u{2c60}'..='\u{2dff}'       // Latin, Coptic, Cyrillic extended
        | '\u{a4d0}'..='\u{a4ff}'       // Lisu
        | '\u{a640}'..='\u{a69f}'
        | '\u{a720}'..='\u{a7ff}'
        | '\u{ab30}'..='\u{abbf}'
        | '\u{10280}'..='\u{1044f}'     // Lycian to Deseret
        | '\u{118a0}'..='\u{118ff}'     // Warang Citi
        | '\u{16f00}'..='\u{16f9f}'     // Miao
        | '\u{1d400}'..='\u{1d7ff}') // mathematical
}

fn is_of_other_script(character: char) -> bool {
    !character.is_ascii() && character.is_alphabetic()
}

/// Characters whose NFKC form is an ASCII letter or digit and which nobody types by accident.
fn is_styled(character: char) -> bool {
    matches!(character,
        '\u{2100}'..='\u{2138}' | '\u{213a}'..='\u{214f}' // letterlike, but not the information sign
        | '\u{2460}'..='\u{24ff}'     // circled and parenthesised
        | '\u{ff10}'..='\u{ff19}' | '\u{ff21}'..='\u{ff3a}' | '\u{ff41}'..='\u{ff5a}' // fullwidth
        | '\u{1d2c}'..='\u{1d6a}' | '\u{1d78}'..='\u{1dbf}' | '\u{2090}'..='\u{209c}' // raised, lowered
        | '\u{2c7c}' | '\u{2c7d}' | '\u{2b0}'..='\u{2b8}' | '\u{2e0}'..='\u{2e3}'
        | '\u{1f100}'..='\u{1f149}'   // squared and parenthesised
        | '\u{1d400}'..='\u{1d7ff}') // mathematical
        && !matches!(character, '℃' | '℉' | '№' | '™' | '℠' | '℡' | '℻' | '℅' | '℀' | '℁' | 'Ω' | 'K' | 'Å')
}

/// Enclosed letters that NFKC leaves as they are.
fn enclosed(character: char) -> Option<char> {
    let offset = match character {
        '\u{1f150}'..='\u{1f169}' => u32::from(character) - 0x1f150,
        '\u{1f170}'..='\u{1f189}' => u32::from(character) - 0x1f170,
        '\u{1f1e6}'..='\u{1f1ff}' => u32::from(character) - 0x1f1e6,
        '\u{24ff}' => return Some('0'),
        '\u{2776}'..='\u{277e}' => return char::from_digit(u32::from(character) - 0x2775, 10),
        '\u{2780}'..='\u{2788}' => return char::from_digit(u32::from(character) - 0x277f, 10),
        '\u{278a}'..='\u{2792}' => return char::from_digit(u32::from(character) - 0x2789, 10),
        _ => return None,
    };
    char::from_u32(u32::from('a') + offset)
}

/// Small capitals, which neither NFKC nor UTS 39 reads as letters.
fn small_capital(character: char) -> Option<char> {
    Some(match character {
        'ᴀ' => 'a',
        'ʙ' => 'b',
        'ᴄ' => 'c',
        'ᴅ' => 'd',
        'ᴇ' => 'e',
        'ꜰ' => 'f',
        'ɢ' => 'g',
        'ʜ' => 'h',
        'ɪ' => 'i',
        'ᴊ' => 'j',
        'ᴋ' | 'ĸ' => 'k',
        'ʟ' => 'l',
        'ᴍ' => 'm',
        'ɴ' => 'n',
        'ᴏ' => 'o',
        'ᴘ' => 'p',
        'ǫ' => 'q',
        'ʀ' => 'r',
        'ꜱ' => 's',
        'ᴛ' => 't',
        'ᴜ' => 'u',
        'ᴠ' => 'v',
        'ᴡ' => 'w',
        'ʏ' => 'y',
        'ᴢ' => 'z',
        _ => return None,
    })
}

fn is_mark(character: char) -> bool {
    is_combining_mark(character)
}

/// A mark that does not belong to ordinary writing on an ASCII letter; the keycap sign does.
fn is_loose(character: char) -> bool {
    character != '\u{20e3}' && (canonical_combining_class(character) > 0 || character > '\u{20d0}')
}

/// Default-ignorable code points and bidirectional controls.
pub(super) fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
        | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e0fff}')
}

/// Invisible characters that hide inside words; a soft hyphen and the selectors of emoji do not.
fn is_hidden_break(character: char) -> bool {
    !matches!(character, '\u{ad}' | '\u{fe00}'..='\u{fe0f}')
}
