//! Texts of unknown origin, made fit for a mail: no control characters, no live links, no customer's
//! telephone number, no long message. Pure.

/// Longest text of an event that a mail quotes, in characters.
const QUOTE_MAX: usize = 120;

/// Removes control and invisible characters, folds white space, and cuts at 120 characters.
pub fn clean(text: &str) -> String {
    let mut cleaned = String::new();
    let mut length = 0;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty())
    {
        let mut visible = word.chars().filter(|c| !is_invisible(*c)).peekable();
        if visible.peek().is_some() && !cleaned.is_empty() {
            cleaned.push(' ');
            length += 1;
        }
        for character in visible {
            if length >= QUOTE_MAX {
                cleaned.push('…');
                return cleaned;
            }
            cleaned.push(character);
            length += 1;
        }
    }
    cleaned
}

/// Zero-width, joining and direction-changing characters: they hide or reorder what is read.
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Cleans a text and makes sure that nothing in it is a link or a telephone number: every dot
/// between letters or digits becomes `[.]`, `http` becomes `hxxp`, long runs of digits are masked.
pub fn quote(text: &str) -> String {
    defang(&mask_digits(&clean(text)))
}

/// Makes a host or link unclickable: `https://a.b/c` becomes `hxxps://a[.]b/c`.
pub fn defang(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut defanged = String::with_capacity(text.len() + 8);
    for (index, character) in characters.iter().enumerate() {
        let joins = |at: Option<usize>| {
            at.and_then(|at| characters.get(at)).is_some_and(|c| c.is_alphanumeric())
        };
        if *character == '.' && joins(index.checked_sub(1)) && joins(Some(index + 1)) {
            defanged.push_str("[.]");
        } else {
            defanged.push(*character);
        }
    }
    replace_ignoring_case(&defanged, "http", "hxxp")
}

fn replace_ignoring_case(text: &str, from: &str, to: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let mut replaced = String::with_capacity(text.len());
    let mut rest = 0;
    for (at, _) in lower.match_indices(from) {
        replaced.push_str(&text[rest..at]);
        replaced.push_str(to);
        rest = at + from.len();
    }
    replaced.push_str(&text[rest..]);
    replaced
}

/// Masks runs of 8 digits and more, whatever separates them, but their first and last ones.
pub fn mask_digits(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let mut masked = characters.clone();
    let mut start = 0;
    while start < characters.len() {
        if !characters[start].is_ascii_digit() {
            start += 1;
            continue;
        }
        let mut end = start;
        let mut digits = Vec::new();
        while end < characters.len()
            && (characters[end].is_ascii_digit()
                || matches!(characters[end], '-' | ' ' | '(' | ')'))
        {
            if characters[end].is_ascii_digit() {
                digits.push(end);
            }
            end += 1;
        }
        if digits.len() >= 8 {
            for at in &digits[3..digits.len() - 2] {
                masked[*at] = '*';
            }
        }
        start = end;
    }
    masked.into_iter().collect()
}

/// Shows an IP address as it is, and quotes what is none.
pub fn ip(text: &str) -> String {
    match text.parse::<std::net::IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => quote(text),
    }
}

/// Shows a word of ASCII letters, digits, dots and underscores as it is, and quotes anything else.
pub fn word(text: &str) -> String {
    let plain = text.len() <= QUOTE_MAX
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
    if plain { text.to_owned() } else { quote(text) }
}

/// Masks the host of an e-mail address: `agent3@toko.example` becomes `agent3@t***.example`.
pub fn mask_email(address: &str) -> String {
    let address = clean(address);
    let Some((local, host)) = address.rsplit_once('@') else { return quote(&address) };
    let local = quote(local);
    let first = host.chars().next().map(String::from).unwrap_or_default();
    match host.rsplit_once('.') {
        Some((_, suffix)) => format!("{local}@{first}***.{}", quote(suffix)),
        None => format!("{local}@{first}***"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_hidden_and_no_line_break_remains() {
        for (raw, shown) in [
            ("  Toko\r\nBcc: evil@example  ", "Toko Bcc: evil@example"),
            ("ha\u{200b}di\u{202e}ah", "hadiah"),
            ("\u{1b}[31mred\u{7}", "[31mred"),
            ("\u{2028}", ""),
            ("\u{200b} a", "a"),
        ] {
            assert_eq!(clean(raw), shown, "{raw:?}");
        }
        assert_eq!(clean(&"é".repeat(500)).chars().count(), 121);
    }

    #[test]
    fn links_cannot_be_clicked() {
        for (raw, shown) in [
            ("https://evil.example/x?y=1.5", "hxxps://evil[.]example/x?y=1[.]5"),
            ("HTTP://EVIL.EXAMPLE", "hxxp://EVIL[.]EXAMPLE"),
            ("bit.ly/x. Next", "bit[.]ly/x. Next"),
            ("wa.me/6281234567890", "wa[.]me/628********90"),
        ] {
            assert_eq!(quote(raw), shown, "{raw}");
        }
    }

    #[test]
    fn telephone_numbers_and_mail_hosts_are_masked() {
        for (raw, shown) in [
            ("+62 812-3456-5678", "+62 8**-****-**78"),
            ("1240 messages", "1240 messages"),
            ("628123456789", "628*******89"),
        ] {
            assert_eq!(mask_digits(raw), shown, "{raw}");
        }
        assert_eq!(mask_email("agent3@toko.example"), "agent3@t***.example");
        assert_eq!(mask_email("6281234567890"), "628********90");
        assert_eq!(mask_email("a@b"), "a@b***");
    }
}
