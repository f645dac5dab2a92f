//! `rules/policy.yaml`: how matches become risk, and risk becomes responses.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model::Level;

/// What satpam can ask the platform to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActionKind {
    ForcePasswordReset,
    RevokeSessions,
    PauseBroadcasts,
    BlockTemplate,
    RequestSecretKeyReset,
    RequireTwoFactor,
}

impl ActionKind {
    pub const ALL: [Self; 6] = [
        Self::ForcePasswordReset,
        Self::RevokeSessions,
        Self::PauseBroadcasts,
        Self::BlockTemplate,
        Self::RequestSecretKeyReset,
        Self::RequireTwoFactor,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::ForcePasswordReset => "force_password_reset",
            Self::RevokeSessions => "revoke_sessions",
            Self::PauseBroadcasts => "pause_broadcasts",
            Self::BlockTemplate => "block_template",
            Self::RequestSecretKeyReset => "request_secret_key_reset",
            Self::RequireTwoFactor => "require_two_factor",
        }
    }
}

/// Which credential an actor used: `actor.auth`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Credential {
    Password,
    Token,
    SecretKey,
    Sso,
    None,
}

/// The policy, checked: every number is finite and in its range.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Time in which a contribution to the risk halves, in milliseconds, above 0.
    pub half_life_millis: i64,
    /// The default risk of a match by level, in the order of [`Level::ALL`].
    pub levels: [f64; 5],
    pub multipliers: Multipliers,
    pub thresholds: Thresholds,
    /// The first entry whose credentials hold the actor's decides.
    pub responses: Vec<ResponseRule>,
    /// Quiet time after which an incident closes, in milliseconds.
    pub close_after_millis: i64,
    /// Least time between two forced responses of one kind on one account, in milliseconds.
    pub cooldown_millis: i64,
    /// How long a new account only learns, in milliseconds.
    pub learning_millis: i64,
    /// What an account of each plan does a day before it is known; sorted by plan.
    pub plans: Vec<(Box<str>, PlanFigures)>,
    pub noisy_rules: NoisyRules,
    /// What every budget of a baseline is multiplied by.
    pub sensitivity: Sensitivity,
    /// Rules that measure one fact in several ways, by their keys: of each group only the largest
    /// contribution counts.
    pub same_evidence: Vec<Vec<Arc<str>>>,
}

impl Policy {
    /// Returns the default risk of a match of this level.
    pub fn risk_of(&self, level: Level) -> f64 {
        self.levels[level as usize]
    }
}

/// Factors on a contribution by the account's posture; 1 has no effect.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Multipliers {
    pub two_factor_off: f64,
    pub outside_allowlist: f64,
    pub network_new: f64,
    pub learning: f64,
}

/// The risk from which something happens; `alert <= notify_tenant <= respond`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub alert: f64,
    pub notify_tenant: f64,
    pub respond: f64,
}

/// When a rule hits so many accounts that it must be wrong: more than
/// `accounts_per_hour + times_usual * (its usual accounts an hour)` of one shard in an hour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoisyRules {
    /// Tolerated without any history, 1 to 1,000,000.
    pub accounts_per_hour: f64,
    /// Tolerated beside that, in multiples of the rule's own mean, 0 to 1,000.
    pub times_usual: f64,
}

/// How many false alarms the baselines together may raise: their calibrated levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sensitivity {
    Quiet,
    Default,
    Sensitive,
}

impl Sensitivity {
    /// Every level by its name in `policy.yaml`.
    pub const ALL: [(&str, Self); 3] =
        [("quiet", Self::Quiet), ("default", Self::Default), ("sensitive", Self::Sensitive)];

    /// Returns the false alarms per 1,000 account-days where the budgets of the rules add up to 1.
    pub fn false_alarms(self) -> f64 {
        match self {
            Self::Quiet => 0.1,
            Self::Default => 1.0,
            Self::Sensitive => 11.1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseRule {
    pub credentials: Vec<Credential>,
    pub actions: Vec<ActionKind>,
}

/// Means a day of a plan's accounts, and the median size of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanFigures {
    pub messages: f64,
    pub first_contacts: f64,
    pub broadcasts: f64,
    pub templates: f64,
    pub broadcast_size: f64,
}

impl Default for Policy {
    /// What `rules/policy.yaml` ships, but for the groups of rules, which belong to its pack.
    fn default() -> Self {
        const HOUR: i64 = 3_600_000;
        Self {
            half_life_millis: 6 * HOUR,
            levels: [0.0, 10.0, 25.0, 50.0, 100.0],
            multipliers: Multipliers {
                two_factor_off: 1.25,
                outside_allowlist: 1.5,
                network_new: 1.0,
                learning: 1.0,
            },
            thresholds: Thresholds { alert: 50.0, notify_tenant: 75.0, respond: 100.0 },
            responses: vec![
                ResponseRule {
                    credentials: vec![Credential::Password, Credential::Token, Credential::Sso],
                    actions: vec![
                        ActionKind::ForcePasswordReset,
                        ActionKind::RevokeSessions,
                        ActionKind::PauseBroadcasts,
                    ],
                },
                ResponseRule {
                    credentials: vec![Credential::SecretKey],
                    actions: vec![ActionKind::RequestSecretKeyReset, ActionKind::PauseBroadcasts],
                },
            ],
            close_after_millis: 24 * HOUR,
            cooldown_millis: 24 * HOUR,
            learning_millis: 7 * 24 * HOUR,
            plans: [
                ("business", [608.0, 176.0, 0.25, 0.18, 558.0]),
                ("enterprise", [2449.0, 689.0, 1.0, 0.45, 2799.0]),
                ("free", [12.0, 3.7, 0.013, 0.023, 17.0]),
                ("starter", [64.0, 19.0, 0.07, 0.07, 50.0]),
            ]
            .into_iter()
            .map(|(plan, [messages, first_contacts, broadcasts, templates, broadcast_size])| {
                let figures =
                    PlanFigures { messages, first_contacts, broadcasts, templates, broadcast_size };
                (plan.into(), figures)
            })
            .collect(),
            noisy_rules: NoisyRules { accounts_per_hour: 10.0, times_usual: 8.0 },
            sensitivity: Sensitivity::Default,
            same_evidence: Vec::new(),
        }
    }
}
