//! What an intruder does, step by step.

use super::random::Random;
use super::{HOUR, MINUTE};

/// The kinds of attack that traffic can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AttackKind {
    /// Login from an unknown network, a template with a bad link, several large broadcasts.
    Takeover,
    /// Login, then messages as fast as they go.
    Blast,
    /// A message every few minutes for days.
    SlowDrip,
    /// A template and broadcasts of it, from an unknown network, without a login.
    TemplateBroadcast,
    /// Messages between one and four at night.
    Night,
    /// Days of growing abuse, then a burst.
    Ramp,
    /// Messages by the REST API with a stolen secret key.
    ApiKey,
    /// A blast from an account that was silent for weeks.
    Dormant,
    /// A stolen session: a known user and network, at working hours, slowly.
    Mimic,
}

impl AttackKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Takeover,
        Self::Blast,
        Self::SlowDrip,
        Self::TemplateBroadcast,
        Self::Night,
        Self::Ramp,
        Self::ApiKey,
        Self::Dormant,
        Self::Mimic,
    ];

    /// Returns the word for reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Takeover => "takeover",
            Self::Blast => "blast",
            Self::SlowDrip => "slow_drip",
            Self::TemplateBroadcast => "template_broadcast",
            Self::Night => "night",
            Self::Ramp => "ramp",
            Self::ApiKey => "api_key",
            Self::Dormant => "dormant",
            Self::Mimic => "mimic",
        }
    }

    /// Returns the local hour at which it begins.
    pub(super) fn local_hour(self, random: &mut Random) -> i64 {
        let (first, hours) = match self {
            Self::Night => (1, 2),
            Self::Mimic => (9, 4),
            Self::Takeover | Self::TemplateBroadcast => (17, 7),
            Self::Blast | Self::SlowDrip | Self::Ramp | Self::ApiKey | Self::Dormant => (0, 24),
        };
        first + i64::try_from(random.below(hours)).unwrap_or_default()
    }
}

/// One thing that the intruder does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Login,
    Template,
    Broadcast,
    Message,
}

/// Returns what comes at a step, from 0, and how long after it the next one; nothing at the end.
pub(super) fn step(kind: AttackKind, at: u32, random: &mut Random) -> Option<(Step, i64)> {
    let around = |mean: i64, random: &mut Random| {
        mean / 2 + i64::try_from(random.below(mean.unsigned_abs())).unwrap_or_default()
    };
    let messages = |from: u32, count: u32, gap: i64, random: &mut Random| {
        (at < from + count).then(|| (Step::Message, around(gap, random)))
    };
    match (kind, at) {
        (AttackKind::Takeover | AttackKind::Blast | AttackKind::Dormant, 0) => {
            Some((Step::Login, around(20 * MINUTE, random)))
        }
        (AttackKind::Takeover, 1) | (AttackKind::TemplateBroadcast, 0) => {
            Some((Step::Template, around(30 * MINUTE, random)))
        }
        (AttackKind::Takeover, _) => {
            (at < 8).then(|| (Step::Broadcast, around(6 * MINUTE, random)))
        }
        (AttackKind::TemplateBroadcast, _) => {
            (at < 5).then(|| (Step::Broadcast, around(15 * MINUTE, random)))
        }
        (AttackKind::Blast | AttackKind::Dormant, _) => messages(1, 400, 1_500, random),
        (AttackKind::SlowDrip, _) => messages(0, 300, 12 * MINUTE, random),
        (AttackKind::Night, _) => messages(0, 250, 20_000, random),
        (AttackKind::Ramp, 0..160) => messages(0, 160, 8 * HOUR / i64::from(1 + at / 8), random),
        (AttackKind::Ramp, _) => messages(160, 240, 4_000, random),
        (AttackKind::ApiKey, _) => messages(0, 400, 3_000, random),
        (AttackKind::Mimic, _) => messages(0, 90, 4 * MINUTE, random),
    }
}
