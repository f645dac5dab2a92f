//! Whether the attack was caught, from what arrived. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::tell;
use super::traffic::Target;
use super::view::number;
use super::watch::Watch;
use crate::event::AccountId;
use crate::incident::Stage;
use crate::rulebook::ActionKind;

/// A broadcast has gone far when it reached this share of the people it was meant for.
const FAR: f64 = 0.25;

/// What was played.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Played {
    pub(super) target: Target,
    /// Steps of the intruder, and those that the platform refused.
    pub(super) steps: u32,
    pub(super) prevented: u32,
    /// People that all broadcasts of the intruder were meant for.
    pub(super) planned: u64,
    /// People reached when the first call came, and in the end.
    pub(super) reached_before: u64,
    pub(super) reached: u64,
    /// When the intruder last did something before the first call.
    pub(super) last_step: Option<Instant>,
    /// From that step to the first call.
    pub(super) decided: Option<Duration>,
    pub(super) refused_calls: u64,
    pub(super) events: u64,
    pub(super) seconds: f64,
}

impl Played {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            steps: 0,
            prevented: 0,
            planned: 0,
            reached_before: 0,
            reached: 0,
            last_step: None,
            decided: None,
            refused_calls: 0,
            events: 0,
            seconds: 0.0,
        }
    }
}

/// One thing that must be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub holds: bool,
    pub text: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub checks: Vec<Check>,
    /// What is worth knowing besides.
    pub remarks: Vec<String>,
}

impl Verdict {
    /// Tells whether everything is as it should be.
    pub fn is_caught(&self) -> bool {
        self.checks.iter().all(|check| check.holds)
    }

    pub(super) fn judge(played: &Played, watch: &Watch) -> Self {
        let Target { account, name } = &played.target;
        let incident = watch
            .incidents
            .values()
            .filter(|incident| incident.account == *account)
            .max_by_key(|incident| (incident.stage, incident.id));
        let reset = watch
            .calls
            .iter()
            .find(|call| call.account == *account && call.kind == ActionKind::ForcePasswordReset);
        let is_admin_first =
            reset.is_some_and(|call| call.roles.first().is_some_and(|role| role == "admin"));
        let mails = watch.mails_seen.iter().filter(|mail| tell::is_for(mail, account)).count();
        let acted_on: BTreeSet<&AccountId> = watch
            .calls
            .iter()
            .filter(|call| call.account != *account)
            .map(|call| &call.account)
            .collect();
        #[expect(clippy::cast_precision_loss, reason = "a share for people")]
        let share = played.reached as f64 / played.planned.max(1) as f64;
        let check = |holds: bool, text: String| Check { holds, text };
        let checks = vec![
            check(
                incident.is_some_and(|incident| incident.stage == Stage::Respond),
                match incident {
                    Some(incident) => format!(
                        "{name} ({account}) has the incident {}: risk {:.0}, stage {}",
                        incident.id.code(),
                        incident.risk_peak,
                        incident.stage.as_str()
                    ),
                    None => format!("{name} ({account}) has an incident"),
                },
            ),
            check(
                is_admin_first,
                match reset {
                    Some(reset) => format!(
                        "the platform was told to reset the passwords, Admin first ({})",
                        tell::at(reset.at)
                    ),
                    None => "the platform was told to reset the passwords".to_owned(),
                },
            ),
            check(
                mails > 0,
                match mails {
                    1 => "the tenant was mailed".to_owned(),
                    _ => format!("the tenant was mailed ({mails} mails)"),
                },
            ),
            check(
                reset.is_some() && share <= FAR,
                format!(
                    "the broadcasts were stopped before they went far: {} of {} people reached, {} \
                     before the first call",
                    number(played.reached),
                    number(played.planned),
                    number(played.reached_before)
                ),
            ),
            check(
                acted_on.is_empty(),
                if acted_on.is_empty() {
                    "no other tenant was locked out or paused".to_owned()
                } else {
                    let names: Vec<&str> = acted_on.iter().map(|one| one.as_str()).collect();
                    format!(
                        "no other tenant was locked out or paused; acted on: {}",
                        names.join(", ")
                    )
                },
            ),
        ];
        Self { checks, remarks: remarks(played, watch) }
    }
}

fn remarks(played: &Played, watch: &Watch) -> Vec<String> {
    let mut remarks = Vec::new();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a rate for people"
    )]
    let rate = (played.events as f64 / played.seconds.max(0.001)) as u64;
    remarks.push(format!(
        "{} events in {:.0} s ({} a second, the intruder's pauses included)",
        number(played.events),
        played.seconds,
        number(rate)
    ));
    if let Some(delay) = played.decided {
        remarks.push(format!(
            "from the event that decided to the first call: {:.2} s",
            delay.as_secs_f64()
        ));
    }
    remarks.push(format!(
        "{} of {} steps of the intruder were refused by the platform",
        played.prevented, played.steps
    ));
    let others: Vec<_> = watch
        .incidents
        .values()
        .filter(|incident| incident.account != played.target.account)
        .collect();
    let of = |stage: Stage| others.iter().filter(|incident| incident.stage == stage).count();
    remarks.push(format!(
        "other tenants: {} incidents ({} for staff only, {} with a mail to the tenant, {} with actions)",
        others.len(),
        of(Stage::Alert),
        of(Stage::NotifyTenant),
        of(Stage::Respond)
    ));
    if played.refused_calls > 0 {
        remarks.push(format!("{} calls were refused by the platform", played.refused_calls));
    }
    remarks
}
