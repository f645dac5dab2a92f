//! The fields that an event does not carry but that follow from it: their names, and who answers.

use super::FieldValue;

/// A derived field; the table at the end of the event contract says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DerivedField {
    ContentText,
    ContentNorm,
    ContentSqueezed,
    ContentObfuscation,
    ContentUrls,
    ContentHosts,
    ContentDomains,
    ContentPhones,
    ContentHasApk,
    ContentHasIpUrl,
    ContentHasPunycode,
    ContentHasShortener,
    ActorInAllowlist,
    ActorNet,
    TimeLocalHour,
    TimeLocalWeekday,
    AccountAgeDays,
    AccountIsNew,
    SeenSourceNew,
    SeenActorNew,
    SeenNetworkNew,
    SeenDomainNew,
    SeenTemplateNew,
    SeenRecipientNew,
    SeenLanguageNew,
    SeenTemplateAgeHours,
    SeenTemplateBroadcast,
}

impl DerivedField {
    /// Every derived field and the name that rules use.
    pub const ALL: [(Self, &'static str); 27] = [
        (Self::ContentText, "content.text"),
        (Self::ContentNorm, "content.norm"),
        (Self::ContentSqueezed, "content.squeezed"),
        (Self::ContentObfuscation, "content.obfuscation"),
        (Self::ContentUrls, "content.urls"),
        (Self::ContentHosts, "content.hosts"),
        (Self::ContentDomains, "content.domains"),
        (Self::ContentPhones, "content.phones"),
        (Self::ContentHasApk, "content.has_apk"),
        (Self::ContentHasIpUrl, "content.has_ip_url"),
        (Self::ContentHasPunycode, "content.has_punycode"),
        (Self::ContentHasShortener, "content.has_shortener"),
        (Self::ActorInAllowlist, "actor.in_allowlist"),
        (Self::ActorNet, "actor.net"),
        (Self::TimeLocalHour, "time.local_hour"),
        (Self::TimeLocalWeekday, "time.local_weekday"),
        (Self::AccountAgeDays, "account.age_days"),
        (Self::AccountIsNew, "account.is_new"),
        (Self::SeenSourceNew, "seen.source_new"),
        (Self::SeenActorNew, "seen.actor_new"),
        (Self::SeenNetworkNew, "seen.network_new"),
        (Self::SeenDomainNew, "seen.domain_new"),
        (Self::SeenTemplateNew, "seen.template_new"),
        (Self::SeenRecipientNew, "seen.recipient_new"),
        (Self::SeenLanguageNew, "seen.language_new"),
        (Self::SeenTemplateAgeHours, "seen.template_age_hours"),
        (Self::SeenTemplateBroadcast, "seen.template_broadcast"),
    ];

    /// Returns the field of this name, if it is a derived one.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name).map(|(field, _)| *field)
    }

    /// Returns what has to be worked out to answer this field.
    pub fn group(self) -> DerivedGroup {
        match self {
            Self::ContentText
            | Self::ContentNorm
            | Self::ContentSqueezed
            | Self::ContentObfuscation
            | Self::ContentUrls
            | Self::ContentHosts
            | Self::ContentDomains
            | Self::ContentPhones
            | Self::ContentHasApk
            | Self::ContentHasIpUrl
            | Self::ContentHasPunycode
            | Self::ContentHasShortener => DerivedGroup::Content,
            Self::ActorInAllowlist | Self::ActorNet => DerivedGroup::Actor,
            Self::TimeLocalHour | Self::TimeLocalWeekday => DerivedGroup::Time,
            Self::AccountAgeDays | Self::AccountIsNew => DerivedGroup::Account,
            Self::SeenSourceNew
            | Self::SeenActorNew
            | Self::SeenNetworkNew
            | Self::SeenDomainNew
            | Self::SeenTemplateNew
            | Self::SeenRecipientNew
            | Self::SeenLanguageNew
            | Self::SeenTemplateAgeHours
            | Self::SeenTemplateBroadcast => DerivedGroup::Seen,
        }
    }
}

/// What has to be worked out, or kept, to answer a derived field.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DerivedGroup {
    /// The texts, links and phone numbers of the event.
    Content,
    /// The actor's address against networks.
    Actor,
    /// The account's local time.
    Time,
    /// The account's age.
    Account,
    /// What the account has shown before: costs memory for each account.
    Seen,
}

/// Answers the derived fields of the event at hand.
pub trait DerivedSource {
    /// Calls `visit` for each value of the field until it returns false; not at all where the
    /// field has no value.
    fn derived(&self, field: DerivedField, visit: &mut dyn FnMut(FieldValue<'_>) -> bool);
}

/// Answers nothing: for events that have no account behind them.
#[derive(Debug, Clone, Copy, Default)]
pub struct NothingDerived;

impl DerivedSource for NothingDerived {
    fn derived(&self, _: DerivedField, _: &mut dyn FnMut(FieldValue<'_>) -> bool) {}
}
