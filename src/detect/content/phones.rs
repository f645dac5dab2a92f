//! `content.phones`: telephone numbers in a text, as MSISDN without `+`.

/// At most so many numbers are kept of one event.
const MAX_PHONES: usize = 32;
/// Digits of the longest number (E.164).
const MAX_DIGITS: usize = 15;
/// Digits of the shortest Indonesian mobile number, with its leading 0.
const SHORTEST_MOBILE: usize = 10;

/// Returns the distinct telephone numbers of an ASCII-folded text, in the order of the text.
///
/// Taken for one: `+` and 8 to 15 digits; an Indonesian number written `62...`, `08...` or with
/// the area code of a landline, `021...`. Single spaces, `-`, `.`, `(` and `)` may stand between.
pub(super) fn find(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let mut phones = Vec::new();
    let mut at = 0;
    while at < bytes.len() && phones.len() < MAX_PHONES {
        if !bytes[at].is_ascii_digit() {
            at += 1;
            continue;
        }
        let has_plus = at > 0 && bytes[at - 1] == b'+';
        let (digits, end) = digits(bytes, at);
        at = end;
        if let Some(phone) = digits.and_then(|digits| msisdn(&digits, has_plus))
            && !phones.contains(&phone)
        {
            phones.push(phone);
        }
    }
    phones
}

/// Reads digits and their separators; nothing when there are more than a number has.
fn digits(bytes: &[u8], start: usize) -> (Option<String>, usize) {
    let mut digits = String::new();
    let mut is_too_long = false;
    let mut end = start;
    let mut at = start;
    let mut separators = 0;
    while let Some(byte) = bytes.get(at) {
        if byte.is_ascii_digit() {
            separators = 0;
            is_too_long |= digits.len() == MAX_DIGITS;
            if !is_too_long {
                digits.push(char::from(*byte));
            }
            end = at + 1;
        } else if *byte == b' ' && digits.len() >= SHORTEST_MOBILE {
            // A second number follows rather than the rest of this one.
            break;
        } else if matches!(byte, b' ' | b'-' | b'.' | b'(' | b')') && separators < 2 {
            separators += 1;
        } else {
            break;
        }
        at += 1;
    }
    ((!is_too_long).then_some(digits), end)
}

fn msisdn(digits: &str, has_plus: bool) -> Option<String> {
    let bytes = digits.as_bytes();
    let second = bytes.get(1).copied().unwrap_or_default();
    if has_plus && (8..=MAX_DIGITS).contains(&digits.len()) && bytes[0] != b'0' {
        return Some(digits.to_owned());
    }
    if digits.starts_with("62") && (10..=14).contains(&digits.len()) && bytes[2] != b'0' {
        return Some(digits.to_owned());
    }
    let is_mobile = second == b'8' && (SHORTEST_MOBILE..=13).contains(&digits.len());
    let is_landline = (b'2'..=b'9').contains(&second) && (9..=12).contains(&digits.len());
    (bytes[0] == b'0' && (is_mobile || is_landline)).then(|| format!("62{}", &digits[1..]))
}
