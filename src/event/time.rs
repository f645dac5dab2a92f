//! Event time: the only time that a decision may depend on.

use serde::{Deserialize, Serialize};

/// When the event happened, by the producer's clock: milliseconds since the Unix epoch.
///
/// Not comparable with the time at which we received it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
)]
pub struct EventTime(i64);

impl EventTime {
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Returns seconds since the Unix epoch, with fraction.
    #[expect(clippy::cast_precision_loss, reason = "exact for the next 285,000 years")]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns the time `millis` later (earlier when negative), clamped to the range of the type.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// Returns how many milliseconds `earlier` lies before this; negative when it lies after.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }
}
