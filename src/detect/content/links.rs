//! `content.urls`, `.hosts`, `.domains` and what is said about them: links parsed, never matched as
//! parts of a text.
//!
//! One pass over the text: it is cut at white space, and in each chunk runs of host characters that
//! hold a dot are read as hosts. So the work is linear however many dots, slashes and schemes a
//! hostile text holds.
//!
//! A host counts as a link
//! - behind a scheme (`https://`, also `hxxp://`), whatever its ending, with or without a dot;
//! - behind `www.`;
//! - bare with a path or a port, when its ending is on the public suffix list;
//! - bare without, when its ending is one that links are seen with: a missing space behind a full
//!   stop (`besok.ke`, `home.love`) and a file (`laporan.zip`) look like a host, too.
//!
//! Not joined: dots set off by spaces (`bit . ly`), which also end sentences; the host part of
//! e-mail addresses is no link.

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::Ipv4Addr;
use std::sync::LazyLock;

use super::fold::is_invisible;

/// At most so many distinct links are kept of one event.
const MAX_LINKS: usize = 64;
/// At most so many candidates are looked at, links or not.
const MAX_CANDIDATES: usize = 4096;
/// Longest host name of the domain name system.
const MAX_HOST_BYTES: usize = 253;
/// How far from a host its scheme may stand, with a user name and password between.
const MAX_USER_BYTES: usize = 256;
/// A longer link is cut here.
const MAX_URL_BYTES: usize = 2048;

/// Hosts of the platform itself: attachments lie there, it is no link of the tenant's.
const PLATFORM_HOSTS: [&str; 1] = ["d1edrlpyc25xu0.cloudfront.net"];

/// Endings that a bare host may have: seen without `www.` or a path, and no word of a sentence.
const PLAIN_ENDINGS: [&str; 26] = [
    "app", "asia", "biz", "cc", "cf", "com", "cyou", "dev", "edu", "gov", "gq", "icu", "id",
    "info", "io", "ly", "ml", "net", "org", "sbs", "sg", "tk", "tv", "uk", "xin", "xyz",
];
/// Endings that are words as well: a bare host has them when it is long or holds `-` or a digit.
const WORD_ENDINGS: [&str; 23] = [
    "bet", "bid", "buzz", "click", "club", "co", "fun", "ga", "link", "live", "lol", "me",
    "online", "pro", "shop", "site", "space", "store", "to", "top", "vip", "website", "win",
];

static SHORTENERS: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
    include_str!("../../../rules/lists/url_shorteners.txt")
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
});

/// What the links of an event say.
#[derive(Clone, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field of the event contract")]
pub(super) struct Links {
    /// As written, in the order of the text; distinct.
    pub(super) urls: Vec<String>,
    /// Lower case, ASCII (IDNA); distinct.
    pub(super) hosts: Vec<String>,
    /// Registrable domains; an IP address stands for itself; distinct.
    pub(super) domains: Vec<String>,
    pub(super) has_apk: bool,
    pub(super) has_ip_url: bool,
    pub(super) has_punycode: bool,
    pub(super) has_shortener: bool,
}

/// Collects links from several texts.
#[derive(Default)]
pub(super) struct Finder {
    links: Links,
    candidates: usize,
}

impl Finder {
    pub(super) fn add(&mut self, text: &str) {
        if text.is_ascii() {
            self.add_ascii(text);
            return;
        }
        if !text.contains(['.', ':', '。', '．', '｡']) {
            return;
        }
        for chunk in text.split(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"')) {
            // Most words hold none of these, and looking by bytes is quick.
            let may_hold_host = |byte: u8| byte == b'.' || byte == b':' || !byte.is_ascii();
            if chunk.len() >= 4 && chunk.bytes().any(may_hold_host) {
                self.chunk(chunk);
            }
        }
    }

    /// As [`Self::add`], from one dot or colon to the next: most texts hold few.
    fn add_ascii(&mut self, text: &str) {
        let is_between = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ' | b'<' | b'>' | b'"');
        let bytes = text.as_bytes();
        let mut from = 0;
        while let Some(offset) = memchr::memchr2(b'.', b':', &bytes[from..]) {
            let at = from + offset;
            let start = bytes[from..at].iter().rposition(is_between).map_or(from, |i| from + i + 1);
            let end = bytes[at..].iter().position(is_between).map_or(bytes.len(), |i| at + i);
            if may_hold_link(&bytes[start..end]) {
                self.chunk(&text[start..end]);
            }
            from = end;
        }
    }

    pub(super) fn into_links(self) -> Links {
        self.links
    }

    /// Reads the hosts of a text without white space, from left to right.
    fn chunk(&mut self, chunk: &str) {
        let mut at = 0;
        let mut is_in_path = false;
        while at < chunk.len() && self.candidates < MAX_CANDIDATES {
            let Some(start) = chunk[at..].find(is_host_character).map(|offset| at + offset) else {
                return;
            };
            let end = chunk[start..]
                .find(|c: char| !is_host_character(c))
                .map_or(chunk.len(), |offset| start + offset);
            at = end;
            let has_scheme = has_scheme_before(chunk, start);
            if !has_scheme && (is_in_path || !chunk[start..end].contains(is_dot)) {
                continue;
            }
            self.candidates += 1;
            let before = chunk[..start].chars().next_back();
            let rest = &chunk[end..];
            // The user part of an address or of `https://user@host`: the host follows.
            let is_user = rest.starts_with('@') || (has_scheme && is_user_name(rest));
            if is_user || (before == Some('@') && !has_scheme) {
                continue;
            }
            let candidate = Candidate { chunk, start, end, has_scheme };
            if self.candidate(&candidate) {
                is_in_path |= candidate.has_path();
            }
        }
    }

    fn candidate(&mut self, candidate: &Candidate<'_>) -> bool {
        let Some(host) = candidate.host() else { return false };
        let (host, ending) = match host {
            Host::Address(host) => {
                if !candidate.has_scheme && !candidate.has_path() && !candidate.has_port() {
                    return false;
                }
                self.links.has_ip_url = true;
                (host, None)
            }
            Host::Name(host) => {
                if !candidate.counts_as_link(&host) {
                    return false;
                }
                let ending = psl::domain_str(&host).map(str::to_owned);
                (host, ending)
            }
        };
        if PLATFORM_HOSTS.contains(&host.as_str()) || self.links.urls.len() >= MAX_LINKS {
            return true;
        }
        let url = candidate.url();
        let path = url.split(['?', '#']).next().unwrap_or_default();
        self.links.has_apk |= path.len() > 4 && ends_with_ignoring_case(path, ".apk");
        self.links.has_punycode |= host.split('.').any(|label| label.starts_with("xn--"));
        let domain = ending.unwrap_or_else(|| host.clone());
        self.links.has_shortener |= SHORTENERS.contains(host.as_str())
            || SHORTENERS.contains(domain.as_str())
            || host.strip_prefix("www.").is_some_and(|host| SHORTENERS.contains(host));
        push_distinct(&mut self.links.urls, url.into_owned());
        push_distinct(&mut self.links.hosts, host);
        push_distinct(&mut self.links.domains, domain);
        true
    }
}

/// Returns whether an ASCII chunk has a dot inside of a host, or a scheme: the full stop of a
/// sentence and the colon of a time are neither.
fn may_hold_link(chunk: &[u8]) -> bool {
    let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    chunk.windows(3).any(|window| match *window {
        [before, b'.', behind] => is_of_host(before) && is_of_host(behind),
        [b':', b'/', b'/'] => true,
        _ => false,
    })
}

/// Returns whether a text names an Android package, as a file or behind a link.
pub(super) fn names_apk(norm: &str) -> bool {
    norm.match_indices(".apk").any(|(at, _)| {
        norm[..at].chars().next_back().is_some_and(char::is_alphanumeric)
            && !norm[at + 4..].starts_with(|c: char| c.is_alphanumeric())
    })
}

enum Host {
    Name(String),
    Address(String),
}

/// A run of host characters and where it stands.
struct Candidate<'t> {
    chunk: &'t str,
    start: usize,
    end: usize,
    has_scheme: bool,
}

impl<'t> Candidate<'t> {
    /// Reads the host; nothing when it cannot be one.
    fn host(&self) -> Option<Host> {
        let raw =
            self.chunk[self.start..self.end].trim_matches(|c| is_dot(c) || c == '-' || c == '_');
        // Removing invisible characters and mapping to ASCII can only shorten a host so much.
        if raw.is_empty() || raw.len() > 4 * MAX_HOST_BYTES {
            return None;
        }
        let name: Cow<'_, str> = if raw.is_ascii() {
            Cow::Owned(raw.to_ascii_lowercase())
        } else {
            Cow::Owned(raw.chars().filter(|c| !is_invisible(*c)).collect())
        };
        let last = name.rsplit(is_dot).next().unwrap_or_default();
        let is_plain = name.is_ascii()
            && !name.contains("xn--")
            && !last.starts_with(|c: char| c.is_ascii_digit());
        let name = if is_plain {
            name.into_owned()
        } else if last.starts_with(|c: char| c.is_ascii_digit()) && !self.has_scheme {
            // Without a scheme only four plain numbers are an address: an amount of money
            // (1.000.000.000) is none.
            return name.parse::<Ipv4Addr>().ok().map(|address| Host::Address(address.to_string()));
        } else {
            match url::Host::parse(&name).ok()? {
                url::Host::Domain(name) => name,
                url::Host::Ipv4(address) => return Some(Host::Address(address.to_string())),
                url::Host::Ipv6(address) => return Some(Host::Address(address.to_string())),
            }
        };
        let is_valid = name.len() <= MAX_HOST_BYTES
            && name.split('.').all(|label| (1..=63).contains(&label.len()));
        is_valid.then_some(Host::Name(name))
    }

    fn has_path(&self) -> bool {
        self.chunk[self.end..].starts_with(['/', '?', '#']) || self.has_port()
    }

    fn has_port(&self) -> bool {
        let rest = &self.chunk[self.end..];
        rest.strip_prefix(':').is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()))
    }

    fn counts_as_link(&self, host: &str) -> bool {
        if self.has_scheme {
            return true;
        }
        let Some((rest, ending)) = host.rsplit_once('.') else { return false };
        if ending.len() < 2 || ending.starts_with(|c: char| c.is_ascii_digit()) {
            return false;
        }
        if host.starts_with("www.") {
            return rest.len() > 3;
        }
        let is_known = psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known());
        if !is_known || psl::domain_str(host).is_none() {
            return false;
        }
        if self.has_path() {
            return true;
        }
        // `co.id`, `my.id`, `blogspot.com`: an ending of two parts is no word of a sentence.
        let has_long_ending = psl::suffix_str(host).is_some_and(|suffix| suffix.contains('.'));
        if has_long_ending || PLAIN_ENDINGS.contains(&ending) {
            return true;
        }
        let is_marked = rest.contains(|c: char| c == '-' || c.is_ascii_digit());
        WORD_ENDINGS.contains(&ending)
            && (rest.contains('.') || rest.len() >= 8 || (is_marked && rest.len() >= 5))
    }

    /// Returns the link as written, from its scheme to the end of the chunk, without the
    /// punctuation that ends a sentence.
    fn url(&self) -> Cow<'t, str> {
        let start = if self.has_scheme { scheme_start(self.chunk, self.start) } else { self.start };
        let end = if self.has_path() {
            let rest = &self.chunk[self.end..];
            self.end + cut(rest, MAX_URL_BYTES).len()
        } else {
            self.end
        };
        let is_closing = |c: char| {
            matches!(
                c,
                '.' | ',' | ';' | ':' | '!' | ')' | ']' | '\'' | '*' | '~' | '_' | '…' | '”' | '’'
            )
        };
        Cow::Borrowed(self.chunk[start..end].trim_end_matches(is_closing))
    }
}

fn is_host_character(character: char) -> bool {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '-' | '_' => true,
        _ if character.is_ascii() => false,
        _ => character.is_alphanumeric() || is_dot(character) || is_invisible(character),
    }
}

fn is_dot(character: char) -> bool {
    matches!(character, '.' | '。' | '．' | '｡')
}

fn has_scheme_before(chunk: &str, start: usize) -> bool {
    let before = &chunk[chunk.floor_char_boundary(start.saturating_sub(MAX_USER_BYTES))..start];
    let before = match before.rsplit_once("://") {
        // What stands between a scheme and a host is a user name and password.
        Some((scheme, "")) => scheme,
        Some((scheme, user)) if user.ends_with('@') && !user.contains(['/', '?']) => scheme,
        Some(_) | None => return false,
    };
    before.ends_with(|c: char| c.is_ascii_alphabetic())
}

/// Whether what follows a run shows that it was the user name in `https://user:password@host`.
fn is_user_name(rest: &str) -> bool {
    let rest = cut(rest, MAX_USER_BYTES);
    rest.starts_with(':')
        && rest.split(['/', '?', '#']).next().is_some_and(|part| part.contains('@'))
}

/// Returns where the scheme in front of a host starts.
fn scheme_start(chunk: &str, start: usize) -> usize {
    let Some(colon) = chunk[..start].rfind("://") else { return start };
    let letters = chunk[..colon].bytes().rev().take(8).take_while(u8::is_ascii_alphabetic).count();
    colon - letters
}

fn ends_with_ignoring_case(text: &str, ending: &str) -> bool {
    text.len() >= ending.len()
        && text.as_bytes()[text.len() - ending.len()..].eq_ignore_ascii_case(ending.as_bytes())
}

/// Cuts a text to at most so many bytes, at a character.
pub(super) fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

fn push_distinct(values: &mut Vec<String>, value: String) {
    if !values.contains(&value) {
        values.push(value);
    }
}
