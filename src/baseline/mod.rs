//! What is normal for one account, and how far from it the account is. Pure.

/// What an account has not shown before the event at hand: the `seen.*` fields of rules.
///
/// All false while the account is in its learning period.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field of the event contract")]
pub struct Seen {
    /// The actor or the network is novel.
    pub source_new: bool,
    pub actor_new: bool,
    pub network_new: bool,
    pub domain_new: bool,
    pub template_new: bool,
    pub recipient_new: bool,
    pub language_new: bool,
    /// Hours since the template of this message or broadcast was created, if known.
    pub template_age_hours: Option<f64>,
}
