//! May we act? Pure, and the only place that answers it.
//!
//! The order of the questions is the policy: what is switched off stays off whoever approves; a
//! person's no is final; a person's yes counts for a limited time and also lifts the budget; then
//! what the engine wants confirmed, then the mode, and last the platform-wide budget, which keeps an
//! engine fault or a poisoned rule from locking out every tenant.

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::event::{AccountId, TimeSpan};
use crate::incident::ApprovalReason;
use crate::rulebook::ActionKind;
use crate::store::{Decision, HoldReason};

/// What may happen with one kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Never, not even when a person approves.
    Off,
    /// Never, but what would have been done is counted as a dry run.
    Shadow,
    /// A person must approve each one.
    Approve,
    /// At once, within the budget.
    Auto,
}

/// The mode of each kind of action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modes {
    /// Locks people out until they have set a new password: a person confirms it.
    pub force_password_reset: Mode,
    /// Signs everyone out in the middle of their work; it goes with the reset.
    pub revoke_sessions: Mode,
    /// Stops what cannot be taken back once it is sent, and is itself easily taken back.
    pub pause_broadcasts: Mode,
    /// May stop the tenant's own order or code messages.
    pub block_template: Mode,
    /// A mail to the support team, whose people decide.
    pub request_secret_key_reset: Mode,
    /// Breaks integrations that sign in with a password; the mail to the tenant advises it.
    pub require_two_factor: Mode,
}

impl Default for Modes {
    fn default() -> Self {
        Self {
            force_password_reset: Mode::Approve,
            revoke_sessions: Mode::Approve,
            pause_broadcasts: Mode::Auto,
            block_template: Mode::Approve,
            request_secret_key_reset: Mode::Auto,
            require_two_factor: Mode::Off,
        }
    }
}

impl Modes {
    /// Returns the mode of `kind`.
    pub fn of(&self, kind: ActionKind) -> Mode {
        match kind {
            ActionKind::ForcePasswordReset => self.force_password_reset,
            ActionKind::RevokeSessions => self.revoke_sessions,
            ActionKind::PauseBroadcasts => self.pause_broadcasts,
            ActionKind::BlockTemplate => self.block_template,
            ActionKind::RequestSecretKeyReset => self.request_secret_key_reset,
            ActionKind::RequireTwoFactor => self.require_two_factor,
        }
    }
}

/// How many accounts the platform's actions may touch without a person.
///
/// The unit is the account: several actions on one account within the same day draw once.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BudgetSettings {
    /// Accounts in any 60 minutes.
    pub accounts_per_hour: u32,
    /// Accounts in any 24 hours.
    pub accounts_per_day: u32,
    /// Accounts in any 24 hours as a share of all accounts seen, 0 to 1.
    pub share_of_accounts: f64,
    /// The share never means fewer accounts than this, so that a small platform can be protected.
    pub share_at_least: u32,
}

impl Default for BudgetSettings {
    fn default() -> Self {
        Self {
            accounts_per_hour: 10,
            accounts_per_day: 40,
            share_of_accounts: 0.02,
            share_at_least: 3,
        }
    }
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// Draws remembered at most. A person may approve beyond the budget; the oldest then make room.
const DRAWS_MAX: usize = 10_000;

/// The accounts acted on in the last 24 hours, oldest first. Kept across restarts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    draws: Vec<(WallTime, AccountId)>,
}

/// What is left of each limit, in accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BudgetLeft {
    pub hour: u64,
    pub day: u64,
    pub share: u64,
}

impl Budget {
    /// Returns what is left at `now` on a platform where `accounts_seen` accounts are known.
    pub fn left(&self, settings: BudgetSettings, accounts_seen: u64, now: WallTime) -> BudgetLeft {
        let since = |span: i64| {
            let count =
                self.draws.iter().filter(|(at, _)| now.0.saturating_sub(at.0) < span).count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        let (hour, day) = (since(HOUR), since(DAY));
        BudgetLeft {
            hour: u64::from(settings.accounts_per_hour).saturating_sub(hour),
            day: u64::from(settings.accounts_per_day).saturating_sub(day),
            share: share_limit(settings, accounts_seen).saturating_sub(day),
        }
    }

    /// Returns whether acting on `account` stays within the budget.
    pub fn allows(
        &self,
        settings: BudgetSettings,
        accounts_seen: u64,
        account: &AccountId,
        now: WallTime,
    ) -> bool {
        let left = self.left(settings, accounts_seen, now);
        self.has_drawn(account, now) || (left.hour > 0 && left.day > 0 && left.share > 0)
    }

    /// Records that `account` is acted on. To be made durable before the action goes out.
    pub fn draw(&mut self, account: &AccountId, now: WallTime) {
        self.draws.retain(|(at, _)| now.0.saturating_sub(at.0) < DAY);
        if self.has_drawn(account, now) {
            return;
        }
        if self.draws.len() >= DRAWS_MAX {
            self.draws.remove(0);
        }
        self.draws.push((now, account.clone()));
    }

    fn has_drawn(&self, account: &AccountId, now: WallTime) -> bool {
        self.draws.iter().any(|(at, drawn)| drawn == account && now.0.saturating_sub(at.0) < DAY)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a float cast saturates, and a count of accounts is far below 2^52"
)]
fn share_limit(settings: BudgetSettings, accounts_seen: u64) -> u64 {
    let share = (settings.share_of_accounts.clamp(0.0, 1.0) * accounts_seen as f64).floor() as u64;
    share.max(u64::from(settings.share_at_least))
}

/// Returns whether an action of this kind takes something away from the tenant, and so counts
/// against the budget. A mail to support and the advice to use 2FA do not.
pub fn draws_budget(kind: ActionKind) -> bool {
    match kind {
        ActionKind::ForcePasswordReset
        | ActionKind::RevokeSessions
        | ActionKind::PauseBroadcasts
        | ActionKind::BlockTemplate => true,
        ActionKind::RequestSecretKeyReset | ActionKind::RequireTwoFactor => false,
    }
}

/// Everything that the answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    pub mode: Mode,
    /// What the engine wants confirmed.
    pub needs_approval: Option<ApprovalReason>,
    /// What a person has decided.
    pub decision: Option<&'a Decision>,
    /// How long a yes counts.
    pub approval_lasts: TimeSpan,
    pub budget: BudgetAnswer,
    pub now: WallTime,
}

/// What the budget says about this action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetAnswer {
    Within,
    Spent,
}

/// What is to be done with an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ruling {
    Act,
    /// Wait for a person.
    Hold(HoldReason),
    /// Do nothing, but keep and count what would have been done.
    Record,
    /// A person has said no.
    Refuse,
}

/// Answers the question. See the module documentation for the order.
pub fn rule(question: &Question<'_>) -> Ruling {
    match question.mode {
        Mode::Off | Mode::Shadow => return Ruling::Record,
        Mode::Approve | Mode::Auto => {}
    }
    if let Some(decision) = question.decision {
        if !decision.approved {
            return Ruling::Refuse;
        }
        let age = question.now.0.saturating_sub(decision.at.0);
        if age <= question.approval_lasts.millis() {
            return Ruling::Act;
        }
    }
    if let Some(reason) = question.needs_approval {
        return Ruling::Hold(HoldReason::Approval(reason));
    }
    match (question.mode, question.budget) {
        (Mode::Auto, BudgetAnswer::Within) => Ruling::Act,
        (Mode::Auto, BudgetAnswer::Spent) => Ruling::Hold(HoldReason::Budget),
        (Mode::Off | Mode::Shadow | Mode::Approve, BudgetAnswer::Within | BudgetAnswer::Spent) => {
            Ruling::Hold(HoldReason::Mode)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: WallTime = WallTime(100 * DAY);
    const LASTS: TimeSpan = TimeSpan::from_millis(HOUR);

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    fn decided(approved: bool, age: i64) -> Decision {
        Decision { approved, by: "ana".into(), reason: "seen".into(), at: WallTime(NOW.0 - age) }
    }

    /// The whole space of inputs against the policy as sentences, written down a second time.
    #[test]
    fn every_combination_is_answered_as_the_policy_says() {
        let decisions = [
            None,
            Some(decided(true, 0)),
            Some(decided(true, HOUR)),
            Some(decided(true, HOUR + 1)),
            Some(decided(false, 0)),
            Some(decided(false, 90 * DAY)),
        ];
        let reasons = [
            None,
            Some(ApprovalReason::Protected),
            Some(ApprovalReason::TooFewRules),
            Some(ApprovalReason::Cooldown),
            Some(ApprovalReason::NoisyRule),
        ];
        let mut seen = 0;
        for mode in [Mode::Off, Mode::Shadow, Mode::Approve, Mode::Auto] {
            for needs_approval in reasons {
                for decision in &decisions {
                    for budget in [BudgetAnswer::Within, BudgetAnswer::Spent] {
                        let question = Question {
                            mode,
                            needs_approval,
                            decision: decision.as_ref(),
                            approval_lasts: LASTS,
                            budget,
                            now: NOW,
                        };
                        let fresh_yes =
                            decision.as_ref().is_some_and(|d| d.approved && NOW.0 - d.at.0 <= HOUR);
                        let said_no = decision.as_ref().is_some_and(|d| !d.approved);
                        let switched_off = mode == Mode::Off || mode == Mode::Shadow;
                        let expected = if switched_off {
                            Ruling::Record
                        } else if said_no {
                            Ruling::Refuse
                        } else if fresh_yes {
                            Ruling::Act
                        } else if let Some(reason) = needs_approval {
                            Ruling::Hold(HoldReason::Approval(reason))
                        } else if mode == Mode::Approve {
                            Ruling::Hold(HoldReason::Mode)
                        } else if budget == BudgetAnswer::Spent {
                            Ruling::Hold(HoldReason::Budget)
                        } else {
                            Ruling::Act
                        };
                        assert_eq!(rule(&question), expected, "{question:?}");
                        seen += 1;
                    }
                }
            }
        }
        assert_eq!(seen, 4 * 5 * 6 * 2);
    }

    #[test]
    fn nothing_that_locks_people_out_runs_by_itself_as_shipped() {
        let modes = Modes::default();
        for kind in ActionKind::ALL {
            let locks_out =
                matches!(kind, ActionKind::ForcePasswordReset | ActionKind::RevokeSessions);
            assert!(!locks_out || modes.of(kind) == Mode::Approve, "{kind:?}");
        }
    }

    #[test]
    fn the_budget_counts_accounts_and_gets_free_again() {
        let settings = BudgetSettings {
            accounts_per_hour: 2,
            accounts_per_day: 3,
            share_of_accounts: 1.0,
            share_at_least: 0,
        };
        let mut budget = Budget::default();
        let mut ask = |name: &str, at: i64| {
            let now = WallTime(NOW.0 + at);
            let allowed = budget.allows(settings, 1000, &account(name), now);
            if allowed {
                budget.draw(&account(name), now);
            }
            allowed
        };
        for (name, at, allowed) in [
            ("a", 0, true),
            ("a", 1, true),
            ("b", 2, true),
            ("c", 3, false),
            ("a", HOUR - 1, true),
            ("c", HOUR, true),
            ("d", HOUR + 1, false),
            ("d", 2 * HOUR + 1, false),
            ("d", DAY, true),
            ("e", DAY + 1, false),
            ("e", DAY + HOUR, true),
        ] {
            assert_eq!(ask(name, at), allowed, "{name} at {at}");
        }
    }

    #[test]
    fn the_share_follows_the_number_of_accounts_but_protects_small_platforms() {
        let settings = BudgetSettings::default();
        for (accounts, limit) in [(0, 3), (100, 3), (150, 3), (1_000, 20), (1_000_000, 20_000)] {
            let left = Budget::default().left(settings, accounts, NOW);
            assert_eq!((left.hour, left.day, left.share), (10, 40, limit), "{accounts} accounts");
        }
    }

    #[test]
    fn a_share_that_is_no_number_allows_only_the_least() {
        for share in [f64::NAN, -1.0, 0.0] {
            let settings = BudgetSettings { share_of_accounts: share, ..BudgetSettings::default() };
            assert_eq!(Budget::default().left(settings, 1_000_000, NOW).share, 3, "{share}");
        }
    }

    #[test]
    fn draws_survive_their_bytes_and_stay_bounded() {
        let mut budget = Budget::default();
        for number in 0..DRAWS_MAX + 5 {
            budget.draw(&account(&format!("a{number}")), NOW);
        }
        assert_eq!(budget.draws.len(), DRAWS_MAX);
        let bytes = postcard::to_stdvec(&budget).unwrap();
        assert_eq!(postcard::from_bytes::<Budget>(&bytes).unwrap(), budget);
    }
}
