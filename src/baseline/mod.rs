//! What is normal for one account, and how far from it the account is. Pure.
//!
//! - [`Normal`]: the whole state of one account: clock, season, a level for each measure.
//! - [`Memory`]: what sources, domains and templates it has shown.
//!
//! A gamma-Poisson level with a half-life of 14 days, times a season of 48 factors, gives the
//! expectation of two exponentially decayed windows (1 h and 24 h). The score is the one-sided
//! negative-binomial deviance of a window, cut by the tail that the account itself has shown.
//! No window has to close before a measure can fire. Deliberately absent: any clock but the
//! events', and any combination of measures: evidence is combined by measuring intersections.

mod distinct;
mod normal;
mod novelty;
mod parameters;
mod rate;
mod recent;
mod season;
mod tail;
mod usual;

pub use distinct::DistinctSample;
pub use normal::{MEASURES_PER_ACCOUNT, MeasureKey, Normal};
pub use novelty::{Memory, Sighting, TEMPLATE_TEXT_BYTES_MAX, TemplateHappening, TemplateSighting};
pub use parameters::MeasureParameters;
pub use rate::{NotCounted, ScaleVerdict, Verdict};
pub use season::LocalOffset;

#[cfg(test)]
mod reference_tests;

/// What an account has not shown before the event at hand: the `seen.*` fields of rules.
///
/// What is `new` is so only behind the learning period of the account, but for `recipient_new`: the
/// baseline of first contacts must learn from it, or the first day after would look like a burst.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "one for each field of the event contract")]
pub struct Seen {
    /// The actor or the network is novel.
    pub source_new: bool,
    pub actor_new: bool,
    pub network_new: bool,
    /// A domain is, or the template that is used got a link to a novel one.
    pub domain_new: bool,
    pub template_new: bool,
    /// Never contacted before, as far as the sample of contacts tells.
    pub recipient_new: bool,
    pub language_new: bool,
    /// Hours since the template of this message or broadcast was created, if known.
    pub template_age_hours: Option<f64>,
    /// A broadcast of this template was created or started within a day: a message with it may be
    /// a delivery of that.
    pub template_broadcast: bool,
}
