//! A mail as a person reads it: decoded, headers first.

use mail_parser::{Address, MessageParser};

/// What a mail program shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) subject: String,
    /// The plain text, decoded.
    pub(super) text: String,
}

/// Decodes a mail; nothing when it is none.
pub(super) fn read(message: &[u8]) -> Option<Letter> {
    let parsed = MessageParser::default().parse(message)?;
    let text = parsed.body_text(0)?.lines().map(printable).collect::<Vec<_>>().join("\n");
    Some(Letter {
        from: people(parsed.from()),
        to: people(parsed.to()),
        subject: printable(parsed.subject().unwrap_or_default()),
        text,
    })
}

fn people(address: Option<&Address<'_>>) -> String {
    let people = address.into_iter().flat_map(Address::iter).map(|one| {
        let address = one.address().unwrap_or_default();
        match one.name() {
            Some(name) => printable(&format!("{name} <{address}>")),
            None => printable(address),
        }
    });
    people.collect::<Vec<_>>().join(", ")
}

/// A terminal obeys control characters: none gets there.
fn printable(line: &str) -> String {
    line.chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_decoded_and_cannot_move_the_cursor() {
        let message = b"From: =?utf-8?q?Qiscus_Security?= <security@qiscus.example>\r\n\
            To: budi@toko.example\r\nSubject: =?utf-8?b?VG9rbyDigJMgc2F0dQ==?=\r\n\
            MIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n\
            --b\r\nContent-Type: text/plain; charset=utf-8\r\n\
            Content-Transfer-Encoding: quoted-printable\r\n\r\n\
            Halo =E2=80=93 satu=\r\n dua=1B[2J\r\n\
            --b\r\nContent-Type: text/html\r\n\r\n<p>no</p>\r\n--b--\r\n";
        let letter = read(message).unwrap();
        assert_eq!(letter.from, "Qiscus Security <security@qiscus.example>");
        assert_eq!(letter.to, "budi@toko.example");
        assert_eq!(letter.subject, "Toko \u{2013} satu");
        assert_eq!(letter.text, "Halo \u{2013} satu dua[2J");
    }
}
