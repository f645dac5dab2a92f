//! The only reader of the machine's clock. Stages that need "now" are given a [`Clock`].

/// Milliseconds since the Unix epoch by our own clock. Never part of a detection decision.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct WallTime(pub i64);

/// Tells the time; the demo runs on an accelerated one.
pub trait Clock: Send + Sync + std::fmt::Debug {
    fn now(&self) -> WallTime;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    fn now(&self) -> WallTime {
        let since =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        WallTime(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}
