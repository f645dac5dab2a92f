//! An outbox entry: what the engine planned, and how its delivery goes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::incident::{ApprovalReason, Planned};

/// One planned delivery and the state of it. The plan never changes; the rest is the responder's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    pub planned: Planned,
    pub status: OutboxStatus,
    /// Deliveries tried so far.
    pub attempts: u32,
    /// Not tried before this time.
    pub next_attempt: WallTime,
    /// What the last failed try said, cut to 500 bytes, without secrets.
    pub last_error: Option<Arc<str>>,
    /// What the receiver answered, for example the users whose password was reset.
    pub outcome: Vec<UserOutcome>,
    /// Set once a person has approved or denied it.
    pub decision: Option<Decision>,
    /// When it became done, parked or refused.
    pub settled: Option<WallTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OutboxStatus {
    /// To be tried from `next_attempt` on.
    Due,
    /// Waits for a person.
    Held(HoldReason),
    Done,
    /// Recorded only: its mode is `shadow`, or `off`.
    Recorded,
    /// Given up after the last try; a person may send it again.
    Parked,
    /// The receiver or a person said no.
    Refused,
}

/// Why an action waits for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum HoldReason {
    /// Its mode is `approve`.
    Mode,
    Approval(ApprovalReason),
    /// The platform-wide budget is spent.
    Budget,
}

impl HoldReason {
    /// Returns the reason in words, to stand behind "because".
    pub fn text(self) -> &'static str {
        match self {
            Self::Mode => "its mode is `approve`",
            Self::Approval(ApprovalReason::Protected) => "the account is protected",
            Self::Approval(ApprovalReason::TooFewRules) => {
                "neither two stable rules nor a critical one stand behind it"
            }
            Self::Approval(ApprovalReason::Cooldown) => {
                "the last action of this kind on this account is too recent"
            }
            Self::Approval(ApprovalReason::NoisyRule) => {
                "a rule behind it hits too many accounts to be trusted"
            }
            Self::Budget => "the budget of actions without a person is spent",
        }
    }
}

/// What a receiver did for one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserOutcome {
    pub user: Arc<str>,
    pub role: Arc<str>,
    pub done: bool,
}

/// What a person decided about a held action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub approved: bool,
    pub by: Arc<str>,
    pub reason: Arc<str>,
    pub at: WallTime,
}

impl OutboxEntry {
    /// Starts the delivery of a plan: due at once.
    pub fn new(planned: Planned) -> Self {
        Self {
            planned,
            status: OutboxStatus::Due,
            attempts: 0,
            next_attempt: WallTime(0),
            last_error: None,
            outcome: Vec::new(),
            decision: None,
            settled: None,
        }
    }
}
