//! What an account has shown before: sources, domains, languages, recipients, templates.
//!
//! All sets are bounded and hold hashes, so no address, number or name is kept; of templates the
//! text is, because messages are judged with it.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Seen;
use super::distinct::DistinctSample;
use super::recent::{Recent, Second};
use crate::event::{EventTime, TimeSpan};

const DAY_SECONDS: i64 = 86_400;
const SOURCE_NOVEL_SECONDS: i64 = 3 * DAY_SECONDS;
const DOMAIN_NOVEL_SECONDS: i64 = 2 * DAY_SECONDS;
const LANGUAGE_NOVEL_SECONDS: i64 = 2 * DAY_SECONDS;
const TEMPLATE_NOVEL_SECONDS: i64 = DAY_SECONDS;
/// How long after a broadcast its deliveries may come.
const DELIVERY_SECONDS: i64 = DAY_SECONDS;
const TEMPLATES_MAX: usize = 16;
/// Bytes of a template's text that are kept.
pub const TEMPLATE_TEXT_BYTES_MAX: usize = 1024;

/// What one event shows of the account.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sighting<'a> {
    pub actor: Option<&'a str>,
    pub ip: Option<IpAddr>,
    /// Registrable domains that the content links to, without the tenant's own.
    pub domains: &'a [&'a str],
    pub template: Option<TemplateSighting<'a>>,
    pub recipient: Option<&'a str>,
    pub language: Option<&'a str>,
}

/// How an event names a template.
#[derive(Debug, Clone, Copy)]
pub struct TemplateSighting<'a> {
    pub name: &'a str,
    pub happening: TemplateHappening<'a>,
}

/// What happened to the template.
#[derive(Clone, Copy)]
pub enum TemplateHappening<'a> {
    /// It was made, with this text.
    Created(&'a str),
    /// Its text was changed to this.
    Updated(&'a str),
    /// A broadcast of it was created or started.
    Broadcast,
    /// A message uses it, or something else became of it.
    Used,
}

impl std::fmt::Debug for TemplateHappening<'_> {
    /// Hides the text.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Created(_) => "Created(..)",
            Self::Updated(_) => "Updated(..)",
            Self::Broadcast => "Broadcast",
            Self::Used => "Used",
        })
    }
}

/// The account's bounded memory.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    networks: Recent<128>,
    actors: Recent<256>,
    domains: Recent<64>,
    languages: Recent<16>,
    template_names: Recent<64>,
    /// Names of templates, by their latest broadcast.
    broadcasts: Recent<16>,
    contacts: DistinctSample,
    /// At most 16, the one made first goes first.
    templates: Vec<Template>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct Template {
    name_hash: u32,
    /// Nothing where it was only seen to change.
    created: Option<Second>,
    /// When a link to a novel domain entered it.
    novel_link: Option<Second>,
    text: Arc<str>,
}

impl std::fmt::Debug for Template {
    /// Hides the text.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Template")
            .field("name_hash", &self.name_hash)
            .field("created", &self.created)
            .field("novel_link", &self.novel_link)
            .finish_non_exhaustive()
    }
}

impl Memory {
    /// Enters what an event shows, and returns what of it is new to the account.
    ///
    /// A source is new for 3 days, a domain or language for 2, a template for 1, counted from its
    /// first sighting. In the first `learning` of an account everything is entered as old, so
    /// nothing is new; first contacts are the exception: their baseline has to learn from them.
    pub fn observe(
        &mut self,
        sighting: &Sighting<'_>,
        time: EventTime,
        first_seen: EventTime,
        learning: TimeSpan,
    ) -> Seen {
        let now = Second::of(time);
        let is_learning = time.millis_since(first_seen) < learning.millis();
        let first = if is_learning { Second::OLD } else { now };
        let actor_new = sighting.actor.is_some_and(|actor| {
            now.since(self.actors.note(short_hash(actor), now, first)) < SOURCE_NOVEL_SECONDS
        });
        let network_new = sighting.ip.is_some_and(|ip| {
            now.since(self.networks.note(network_hash(ip), now, first)) < SOURCE_NOVEL_SECONDS
        });
        // The first language is the account's own, whenever it makes its first template.
        let first_language = if self.languages.is_empty() { Second::OLD } else { first };
        let language_new = sighting.language.is_some_and(|language| {
            let since = self.languages.note(short_hash(language), now, first_language);
            now.since(since) < LANGUAGE_NOVEL_SECONDS
        });
        let mut domain_new = false;
        for domain in sighting.domains {
            let since = self.domains.note(short_hash(domain), now, first);
            domain_new |= now.since(since) < DOMAIN_NOVEL_SECONDS;
        }
        let mut seen = Seen {
            source_new: actor_new || network_new,
            actor_new,
            network_new,
            domain_new,
            template_new: false,
            recipient_new: sighting
                .recipient
                .is_some_and(|recipient| self.contacts.insert(contact_hash(first_seen, recipient))),
            language_new,
            template_age_hours: None,
            template_broadcast: false,
        };
        if let Some(template) = sighting.template {
            self.observe_template(template, now, first, &mut seen);
        }
        seen
    }

    /// Returns the text of a template as it was last made or changed, at most 1 KiB of it.
    pub fn template_text(&self, name: &str) -> Option<Arc<str>> {
        let hash = short_hash(name);
        let template = self.templates.iter().find(|template| template.name_hash == hash)?;
        Some(template.text.clone())
    }

    fn observe_template(
        &mut self,
        sighting: TemplateSighting<'_>,
        now: Second,
        first: Second,
        seen: &mut Seen,
    ) {
        let name_hash = short_hash(sighting.name);
        let since = self.template_names.note(name_hash, now, first);
        seen.template_new = now.since(since) < TEMPLATE_NOVEL_SECONDS;
        let novel_link = seen.domain_new.then_some(now);
        match sighting.happening {
            TemplateHappening::Created(text) => {
                self.templates.retain(|template| template.name_hash != name_hash);
                self.keep(Template { name_hash, created: Some(now), novel_link, text: cut(text) });
            }
            TemplateHappening::Updated(text) => {
                let before = self.templates.iter_mut().find(|known| known.name_hash == name_hash);
                if let Some(template) = before {
                    template.text = cut(text);
                    template.novel_link = novel_link.or(template.novel_link);
                } else {
                    self.keep(Template { name_hash, created: None, novel_link, text: cut(text) });
                }
            }
            TemplateHappening::Broadcast => {
                self.broadcasts.note(name_hash, now, now);
            }
            TemplateHappening::Used => {}
        }
        let broadcast = self.broadcasts.last_seen(name_hash);
        seen.template_broadcast =
            broadcast.is_some_and(|latest| now.since(latest) < DELIVERY_SECONDS);
        let Some(template) = self.templates.iter().find(|known| known.name_hash == name_hash)
        else {
            return;
        };
        seen.domain_new |=
            template.novel_link.is_some_and(|since| now.since(since) < DOMAIN_NOVEL_SECONDS);
        seen.template_age_hours = template.created.map(|created| {
            let seconds = u32::try_from(now.since(created).max(0)).unwrap_or(u32::MAX);
            f64::from(seconds) / 3600.0
        });
    }

    fn keep(&mut self, template: Template) {
        if self.templates.len() >= TEMPLATES_MAX {
            self.templates.remove(0);
        }
        self.templates.push(template);
    }
}

fn short_hash(text: &str) -> u32 {
    u32::try_from(xxh3_64(text.as_bytes()) >> 32).expect("32 bits are left")
}

/// Seeded by the account's first time, so that no list of recipients slips through every sample.
fn contact_hash(first_seen: EventTime, recipient: &str) -> u64 {
    let seed = u64::from_le_bytes(first_seen.millis().to_le_bytes());
    xxh3_64_with_seed(recipient.as_bytes(), seed)
}

/// The /16 of an IPv4 address, the /32 of an IPv6 address: addresses change too often.
fn network_hash(ip: IpAddr) -> u32 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u32::from_be_bytes(ip.octets()) >> 16,
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.octets();
            u32::try_from(xxh3_64(&[a, b, c, d, 6]) >> 32).expect("32 bits are left")
        }
    }
}

fn cut(text: &str) -> Arc<str> {
    text[..text.floor_char_boundary(TEMPLATE_TEXT_BYTES_MAX)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEARNING: TimeSpan = TimeSpan::from_millis(7 * 24 * 3_600_000);

    fn hours(hours: i64) -> EventTime {
        EventTime::from_millis(1_767_571_200_000 + hours * 3_600_000)
    }

    fn from<'a>(actor: &'a str, ip: &str) -> Sighting<'a> {
        Sighting { actor: Some(actor), ip: Some(ip.parse().unwrap()), ..Sighting::default() }
    }

    #[test]
    fn a_source_is_new_for_three_days_and_nothing_is_while_learning() {
        let mut memory = Memory::default();
        let mut see = |actor, ip, at| {
            let seen = memory.observe(&from(actor, ip), hours(at), hours(0), LEARNING);
            (seen.source_new, seen.actor_new, seen.network_new)
        };
        assert_eq!(see("ana", "36.68.1.1", 0), (false, false, false));
        assert_eq!(see("ana", "36.68.9.9", 200), (false, false, false), "same /16");
        assert_eq!(see("ana", "9.9.9.9", 201), (true, false, true));
        assert_eq!(see("ana", "::ffff:9.9.9.1", 201 + 71), (true, false, true));
        assert_eq!(see("ana", "9.9.9.9", 201 + 72), (false, false, false));
        assert_eq!(see("eve", "36.68.1.1", 300), (true, true, false));
        assert_eq!(see("ana", "2001:db8::1", 310), (true, false, true));
        assert_eq!(see("ana", "2001:db8:ffff::1", 310 + 72), (false, false, false));
    }

    #[test]
    fn a_broadcast_is_judged_by_the_link_of_its_template() {
        let mut memory = Memory::default();
        let template = |happening| Some(TemplateSighting { name: "promo", happening });
        let created = Sighting {
            domains: &["bad.example"],
            template: template(TemplateHappening::Created("Win at bad.example, {{1}}")),
            ..Sighting::default()
        };
        let used = Sighting { template: template(TemplateHappening::Used), ..Sighting::default() };
        let seen = memory.observe(&created, hours(200), hours(0), LEARNING);
        assert!(seen.domain_new && seen.template_new);
        assert_eq!(seen.template_age_hours, Some(0.0));
        let seen = memory.observe(&used, hours(206), hours(0), LEARNING);
        assert!(seen.domain_new && seen.template_new);
        assert_eq!(seen.template_age_hours, Some(6.0));
        assert_eq!(memory.template_text("promo").as_deref(), Some("Win at bad.example, {{1}}"));
        let seen = memory.observe(&used, hours(248), hours(0), LEARNING);
        assert!(!seen.domain_new && !seen.template_new);
        assert_eq!(memory.template_text("other"), None);
    }

    #[test]
    fn the_first_language_of_an_account_is_its_own_and_another_is_new() {
        let mut memory = Memory::default();
        let mut see = |language, at| {
            let sighting = Sighting { language: Some(language), ..Sighting::default() };
            memory.observe(&sighting, hours(at), hours(0), LEARNING).language_new
        };
        assert!(!see("id", 300));
        assert!(!see("id", 301));
        assert!(see("en", 302));
    }

    #[test]
    fn a_message_may_be_a_delivery_for_a_day_after_a_broadcast_of_its_template() {
        let mut memory = Memory::default();
        let mut see = |name, happening, at| {
            let template = Some(TemplateSighting { name, happening });
            let sighting = Sighting { template, ..Sighting::default() };
            memory.observe(&sighting, hours(at), hours(0), LEARNING).template_broadcast
        };
        assert!(!see("promo", TemplateHappening::Used, 1), "also while learning");
        assert!(see("promo", TemplateHappening::Broadcast, 2));
        assert!(see("promo", TemplateHappening::Used, 3));
        assert!(!see("other", TemplateHappening::Used, 3));
        assert!(see("promo", TemplateHappening::Broadcast, 20));
        assert!(see("promo", TemplateHappening::Used, 43), "the latest broadcast counts");
        assert!(!see("promo", TemplateHappening::Used, 44));
    }

    #[test]
    fn first_contacts_are_told_also_while_learning() {
        let mut memory = Memory::default();
        let to = |recipient| Sighting { recipient: Some(recipient), ..Sighting::default() };
        for (recipient, new) in [("62811", true), ("62812", true), ("62811", false)] {
            let seen = memory.observe(&to(recipient), hours(0), hours(0), LEARNING);
            assert_eq!(seen.recipient_new, new, "{recipient}");
        }
    }

    #[test]
    fn hostile_amounts_stay_bounded() {
        let mut memory = Memory::default();
        for number in 0..2_000_u32 {
            let name = number.to_string();
            let text = "ä".repeat(5_000);
            let sighting = Sighting {
                actor: Some(&name),
                ip: Some(IpAddr::from(number.to_be_bytes())),
                domains: &[&name],
                template: Some(TemplateSighting {
                    name: &name,
                    happening: TemplateHappening::Created(&text),
                }),
                recipient: Some(&name),
                language: Some(&name),
            };
            memory.observe(&sighting, hours(200), hours(0), LEARNING);
        }
        let bytes = postcard::to_allocvec(&memory).unwrap();
        assert!(bytes.len() < 28 * 1024, "{}", bytes.len());
        assert_eq!(postcard::from_bytes::<Memory>(&bytes).unwrap(), memory);
        assert!(!format!("{memory:?}").contains('ä'), "no text in debug output");
    }
}
