//! What follows from one event: the derived fields of the event contract.
//!
//! [`Content`] is what a recipient would read and the links in it; it needs nothing but the event
//! (and the template it names), so the engine can ask it for link domains before it knows what is
//! new. [`Derived`] adds the account's facts and answers rules. Every group is computed when it is
//! first asked for, and once.
//!
//! Work is bounded: 32 KiB of text, 64 links and 32 telephone numbers of an event are looked at.

mod fold;
mod links;
mod phones;
mod text;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;

use crate::event::{Document, EventTime};

use super::{AccountFacts, DerivedField, DerivedSource, FieldValue};
use fold::Folded;
use links::Links;
use text::Readable;

pub use text::template_text;

/// The text of an event and what follows from it alone.
pub struct Content<'e> {
    document: &'e Document,
    template_text: Option<&'e str>,
    readable: OnceCell<Readable>,
    folded: OnceCell<Folded>,
    squeezed: OnceCell<String>,
    links: OnceCell<Links>,
    phones: OnceCell<Vec<String>>,
}

impl<'e> Content<'e> {
    /// Takes an event and the text of the template that it names, where that is known.
    pub fn of(document: &'e Document, template_text: Option<&'e str>) -> Self {
        Self {
            document,
            template_text,
            readable: OnceCell::new(),
            folded: OnceCell::new(),
            squeezed: OnceCell::new(),
            links: OnceCell::new(),
            phones: OnceCell::new(),
        }
    }

    /// Returns all text that a recipient would read.
    pub fn text(&self) -> &str {
        &self.readable().text
    }

    /// Returns the text as it looks: styles and look-alikes folded, lower case, single spaces.
    pub fn norm(&self) -> &str {
        &self.folded().norm
    }

    /// Returns only the ASCII letters and digits of [`Self::norm`].
    pub fn squeezed(&self) -> &str {
        self.squeezed.get_or_init(|| fold::squeeze(self.norm()))
    }

    /// Returns the share of letters and digits that folding changed, 0 to 1.
    pub fn obfuscation(&self) -> f64 {
        self.folded().obfuscation
    }

    /// Returns the links as written, distinct.
    pub fn urls(&self) -> &[String] {
        &self.links().urls
    }

    /// Returns the links' hosts in lower-case ASCII, distinct.
    pub fn hosts(&self) -> &[String] {
        &self.links().hosts
    }

    /// Returns the links' registrable domains, distinct; an address stands for itself.
    pub fn domains(&self) -> &[String] {
        &self.links().domains
    }

    /// Returns the telephone numbers in the text as MSISDN without `+`, distinct.
    pub fn phones(&self) -> &[String] {
        self.phones.get_or_init(|| phones::find(self.norm()))
    }

    /// Returns whether a file or a link is an Android package.
    pub fn has_apk(&self) -> bool {
        self.links().has_apk || links::names_apk(self.norm())
    }

    fn readable(&self) -> &Readable {
        self.readable.get_or_init(|| text::collect(self.document, self.template_text))
    }

    fn folded(&self) -> &Folded {
        self.folded.get_or_init(|| fold::fold(self.text()))
    }

    fn links(&self) -> &Links {
        self.links.get_or_init(|| {
            let readable = self.readable();
            let mut finder = links::Finder::default();
            finder.add(&readable.text);
            if !readable.text.is_ascii() {
                // A host in styled letters is no link to a browser but is typed in by its reader.
                finder.add(self.norm());
            }
            finder.add(&readable.linked);
            finder.into_links()
        })
    }
}

/// Hides the text.
impl fmt::Debug for Content<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Content").finish_non_exhaustive()
    }
}

/// Answers the derived fields of one event.
pub struct Derived<'e> {
    content: Content<'e>,
    time: EventTime,
    facts: &'e AccountFacts,
    local: OnceCell<Local>,
    network: OnceCell<Option<(IpAddr, String)>>,
}

#[derive(Clone, Copy)]
struct Local {
    hour: i64,
    weekday: i64,
}

impl<'e> Derived<'e> {
    /// Takes an event, when it happened and what is known of its account.
    pub fn new(document: &'e Document, time: EventTime, facts: &'e AccountFacts) -> Self {
        Self::with_content(Content::of(document, facts.template_text.as_deref()), time, facts)
    }

    /// As [`Self::new`], with the content that was already looked at.
    pub fn with_content(content: Content<'e>, time: EventTime, facts: &'e AccountFacts) -> Self {
        Self { content, time, facts, local: OnceCell::new(), network: OnceCell::new() }
    }

    /// Returns the event's content.
    pub fn content(&self) -> &Content<'e> {
        &self.content
    }

    /// Hour (0 to 23) and ISO weekday (Monday 1 to Sunday 7) in the account's time zone.
    fn local(&self) -> Local {
        *self.local.get_or_init(|| {
            let timestamp =
                Timestamp::from_millisecond(self.time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
            let local = self.facts.timezone.to_datetime(timestamp);
            Local {
                hour: local.hour().into(),
                weekday: local.weekday().to_monday_one_offset().into(),
            }
        })
    }

    fn network(&self) -> Option<&(IpAddr, String)> {
        self.network
            .get_or_init(|| {
                let text = self.content.document.root().path(&["actor", "ip"])?.as_str()?;
                let address = text.trim().parse::<IpAddr>().ok()?.to_canonical();
                let prefix = if address.is_ipv4() { 24 } else { 48 };
                let network = IpNet::new_assert(address, prefix).trunc();
                Some((address, network.to_string()))
            })
            .as_ref()
    }

    /// Null where the account has no allow-list, or the event no address.
    fn is_in_allowlist(&self) -> FieldValue<'static> {
        match (&self.facts.allowlist, self.network()) {
            (Some(networks), Some((address, _))) => {
                FieldValue::Bool(networks.iter().any(|network| network.contains(address)))
            }
            (None, _) | (_, None) => FieldValue::Null,
        }
    }

    fn age_days(&self) -> i64 {
        const DAY_MILLIS: i64 = 86_400_000;
        self.time.millis_since(self.facts.first_seen).max(0) / DAY_MILLIS
    }
}

impl DerivedSource for Derived<'_> {
    fn derived(&self, field: DerivedField, visit: &mut dyn FnMut(FieldValue<'_>) -> bool) {
        let content = &self.content;
        let seen = &self.facts.seen;
        let value = match field {
            DerivedField::ContentUrls => return visit_all(content.urls(), visit),
            DerivedField::ContentHosts => return visit_all(content.hosts(), visit),
            DerivedField::ContentDomains => return visit_all(content.domains(), visit),
            DerivedField::ContentPhones => return visit_all(content.phones(), visit),
            DerivedField::ContentText => FieldValue::Text(content.text()),
            DerivedField::ContentNorm => FieldValue::Text(content.norm()),
            DerivedField::ContentSqueezed => FieldValue::Text(content.squeezed()),
            DerivedField::ContentObfuscation => FieldValue::Float(content.obfuscation()),
            DerivedField::ContentHasApk => FieldValue::Bool(content.has_apk()),
            DerivedField::ContentHasIpUrl => FieldValue::Bool(content.links().has_ip_url),
            DerivedField::ContentHasPunycode => FieldValue::Bool(content.links().has_punycode),
            DerivedField::ContentHasShortener => FieldValue::Bool(content.links().has_shortener),
            DerivedField::ActorInAllowlist => self.is_in_allowlist(),
            DerivedField::ActorNet => match self.network() {
                Some((_, network)) => FieldValue::Text(network),
                None => return,
            },
            DerivedField::TimeLocalHour => FieldValue::Int(self.local().hour),
            DerivedField::TimeLocalWeekday => FieldValue::Int(self.local().weekday),
            DerivedField::AccountAgeDays => FieldValue::Int(self.age_days()),
            DerivedField::AccountIsNew => FieldValue::Bool(self.facts.is_new),
            DerivedField::SeenSourceNew => FieldValue::Bool(seen.source_new),
            DerivedField::SeenActorNew => FieldValue::Bool(seen.actor_new),
            DerivedField::SeenNetworkNew => FieldValue::Bool(seen.network_new),
            DerivedField::SeenDomainNew => FieldValue::Bool(seen.domain_new),
            DerivedField::SeenTemplateNew => FieldValue::Bool(seen.template_new),
            DerivedField::SeenRecipientNew => FieldValue::Bool(seen.recipient_new),
            DerivedField::SeenLanguageNew => FieldValue::Bool(seen.language_new),
            DerivedField::SeenTemplateAgeHours => match seen.template_age_hours {
                Some(hours) => FieldValue::Float(hours),
                None => return,
            },
            DerivedField::SeenTemplateBroadcast => FieldValue::Bool(seen.template_broadcast),
        };
        visit(value);
    }
}

impl fmt::Debug for Derived<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Derived").field("time", &self.time).finish_non_exhaustive()
    }
}

fn visit_all(values: &[String], visit: &mut dyn FnMut(FieldValue<'_>) -> bool) {
    for value in values {
        if !visit(FieldValue::Text(value)) {
            return;
        }
    }
}
