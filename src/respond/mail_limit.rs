//! How many mails may go to whom. Pure; kept across restarts.
//!
//! A tenant is told once per incident, then at most every half hour, and at most so often a day
//! however many incidents open; a platform-wide cap keeps a fault from becoming a flood.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::WallTime;
use crate::event::{AccountId, TimeSpan};

/// Limits on mails to tenants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MailLimitSettings {
    /// Least time between two updates of one incident.
    pub update_every: TimeSpan,
    /// Mails to one tenant in any 24 hours; further ones are parked and counted.
    pub tenant_per_day: u32,
    /// Mails to all tenants in any hour; further ones wait.
    pub platform_per_hour: u32,
}

impl Default for MailLimitSettings {
    fn default() -> Self {
        Self {
            update_every: TimeSpan::from_millis(30 * 60_000),
            tenant_per_day: 10,
            platform_per_hour: 500,
        }
    }
}

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
const TENANTS_MAX: usize = 20_000;

/// When mails went to tenants in the last 24 hours.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct MailLedger {
    tenants: BTreeMap<AccountId, Vec<WallTime>>,
}

/// Whether a mail may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MailAnswer {
    Send,
    /// This tenant has had enough today: a person may send it all the same.
    TenantCap,
    /// The platform has sent enough: again at this time.
    PlatformCap(WallTime),
}

impl MailLedger {
    /// Asks for one mail to `account`.
    pub(super) fn ask(
        &self,
        settings: MailLimitSettings,
        account: &AccountId,
        now: WallTime,
    ) -> MailAnswer {
        let recent = |times: &[WallTime], span: i64| {
            times.iter().filter(|at| now.0.saturating_sub(at.0) < span).count()
        };
        let own = self.tenants.get(account).map_or(0, |times| recent(times, DAY));
        if own >= usize::try_from(settings.tenant_per_day).unwrap_or(usize::MAX) {
            return MailAnswer::TenantCap;
        }
        let everyone: usize = self.tenants.values().map(|times| recent(times, HOUR)).sum();
        if everyone < usize::try_from(settings.platform_per_hour).unwrap_or(usize::MAX) {
            return MailAnswer::Send;
        }
        let oldest = self
            .tenants
            .values()
            .flatten()
            .filter(|at| now.0.saturating_sub(at.0) < HOUR)
            .min()
            .map_or(now.0, |at| at.0);
        MailAnswer::PlatformCap(WallTime(oldest.saturating_add(HOUR).max(now.0 + 1_000)))
    }

    /// Records one mail to `account`.
    pub(super) fn sent(&mut self, account: &AccountId, now: WallTime) {
        self.tenants.retain(|_, times| {
            times.retain(|at| now.0.saturating_sub(at.0) < DAY);
            !times.is_empty()
        });
        if self.tenants.len() < TENANTS_MAX || self.tenants.contains_key(account) {
            self.tenants.entry(account.clone()).or_default().push(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    #[test]
    fn a_tenant_gets_so_many_a_day_and_others_are_not_affected() {
        let settings = MailLimitSettings { tenant_per_day: 2, ..MailLimitSettings::default() };
        let mut ledger = MailLedger::default();
        let (noisy, other) = (account("noisy"), account("other"));
        for at in [0, 5] {
            assert_eq!(ledger.ask(settings, &noisy, WallTime(at)), MailAnswer::Send);
            ledger.sent(&noisy, WallTime(at));
        }
        assert_eq!(ledger.ask(settings, &noisy, WallTime(DAY - 1)), MailAnswer::TenantCap);
        assert_eq!(ledger.ask(settings, &other, WallTime(DAY - 1)), MailAnswer::Send);
        assert_eq!(ledger.ask(settings, &noisy, WallTime(DAY)), MailAnswer::Send);
    }

    #[test]
    fn the_platform_cap_says_when_to_come_back() {
        let settings = MailLimitSettings { platform_per_hour: 2, ..MailLimitSettings::default() };
        let mut ledger = MailLedger::default();
        ledger.sent(&account("a"), WallTime(0));
        ledger.sent(&account("b"), WallTime(10_000));
        let answer = ledger.ask(settings, &account("c"), WallTime(20_000));
        assert_eq!(answer, MailAnswer::PlatformCap(WallTime(HOUR)));
        assert_eq!(ledger.ask(settings, &account("c"), WallTime(HOUR)), MailAnswer::Send);
    }

    #[test]
    fn what_is_a_day_old_is_forgotten() {
        let mut ledger = MailLedger::default();
        ledger.sent(&account("a"), WallTime(0));
        ledger.sent(&account("b"), WallTime(DAY));
        assert_eq!(ledger.tenants.len(), 1);
    }
}
