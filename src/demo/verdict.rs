//! Whether the attack was caught, from what arrived. Pure.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::platform::Call;
use super::tell;
use super::traffic::Target;
use super::view::{number, stamp};
use super::watch::Seen;
use crate::event::AccountId;
use crate::incident::Stage;
use crate::rulebook::ActionKind;

/// A broadcast has gone far when it reached this share of the people it was meant for.
const FAR: f64 = 0.25;

/// What was played.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Events a second before the attack.
    pub(super) history_rate: u64,
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
            history_rate: 0,
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

    pub(super) fn judge(played: &Played, seen: &Seen) -> Self {
        let account = &played.target.account;
        let reset = seen
            .calls
            .iter()
            .find(|call| call.account == *account && call.kind == ActionKind::ForcePasswordReset);
        let mails = seen.mails.iter().filter(|mail| tell::is_for(mail, account)).count();
        let mailed = match mails {
            0 | 1 => "the tenant was mailed".to_owned(),
            _ => format!("the tenant was mailed ({mails} mails)"),
        };
        let checks = vec![
            incident(played, seen),
            reset_with_admin_first(reset),
            Check { holds: mails > 0, text: mailed },
            stopped_in_time(played, reset),
            others_left_alone(account, &seen.calls),
        ];
        Self { checks, remarks: remarks(played, seen) }
    }
}

fn incident(played: &Played, seen: &Seen) -> Check {
    let Target { account, name } = &played.target;
    let worst = seen
        .incidents
        .values()
        .filter(|incident| incident.account == *account)
        .max_by_key(|incident| (incident.stage, incident.id));
    let Some(incident) = worst else {
        return Check { holds: false, text: format!("{name} ({account}) has an incident") };
    };
    let text = format!(
        "{name} ({account}) has the incident {}: risk {:.0}, stage {}",
        incident.id.code(),
        incident.risk_peak,
        incident.stage.as_str()
    );
    Check { holds: incident.stage == Stage::Respond, text }
}

fn reset_with_admin_first(reset: Option<&Call>) -> Check {
    let Some(reset) = reset else {
        return Check {
            holds: false,
            text: "the platform was told to reset the passwords".to_owned(),
        };
    };
    Check {
        holds: reset.roles.first().is_some_and(|role| role == "admin"),
        text: format!(
            "the platform was told to reset the passwords, Admin first ({})",
            stamp(reset.at)
        ),
    }
}

fn stopped_in_time(played: &Played, reset: Option<&Call>) -> Check {
    #[expect(clippy::cast_precision_loss, reason = "a share for people")]
    let share = played.reached as f64 / played.planned.max(1) as f64;
    Check {
        holds: reset.is_some() && share <= FAR,
        text: format!(
            "the broadcasts were stopped before they went far: {} of {} people reached, {} before \
             the first call",
            number(played.reached),
            number(played.planned),
            number(played.reached_before)
        ),
    }
}

fn others_left_alone(account: &AccountId, calls: &[Call]) -> Check {
    let others: BTreeSet<&str> = calls
        .iter()
        .filter(|call| call.account != *account)
        .map(|call| call.account.as_str())
        .collect();
    let mut text = "no other tenant was locked out or paused".to_owned();
    if !others.is_empty() {
        let names: Vec<&str> = others.iter().copied().collect();
        text.push_str("; acted on: ");
        text.push_str(&names.join(", "));
    }
    Check { holds: others.is_empty(), text }
}

fn remarks(played: &Played, seen: &Seen) -> Vec<String> {
    let build = if cfg!(debug_assertions) { ", in a debug build" } else { "" };
    let mut remarks = vec![format!(
        "{} events; the history at {} a second{build}",
        number(played.events),
        number(played.history_rate)
    )];
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
    let others: Vec<_> = seen
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::mail_server::Received;
    use crate::event::EventTime;
    use crate::incident::{Impact, Incident, IncidentId, IncidentState};

    fn account(name: &str) -> AccountId {
        AccountId::new(name).unwrap()
    }

    fn opened(stage: Stage) -> Incident {
        let at = EventTime::from_millis(1);
        let id = IncidentId::mint(&account("toko"), &crate::event::EventId::new("e").unwrap());
        Incident {
            id,
            shard: crate::event::ShardId(0),
            account: account("toko"),
            account_name: None,
            revision: 0,
            stage,
            opened: at,
            last_match: at,
            risk: 120.0,
            risk_peak: 120.0,
            contributions: Vec::new(),
            actors: Vec::new(),
            impact: Impact::default(),
            language: None,
            timezone: "Asia/Jakarta".into(),
            two_factor: None,
            contacts: Vec::new(),
            rules_revision: "r".into(),
            engine_version: "v".into(),
            state: IncidentState::Open,
        }
    }

    fn call(name: &str, kind: ActionKind, roles: &[&str]) -> Call {
        Call {
            account: account(name),
            kind,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            reason: String::new(),
            at: EventTime::from_millis(2),
            arrived: Instant::now(),
        }
    }

    fn mail(to: &str) -> Received {
        let at = EventTime::from_millis(3);
        Received { recipients: vec![to.to_owned()], message: Vec::new(), at }
    }

    fn caught() -> (Played, Seen) {
        let target = Target { account: account("toko"), name: "Toko".to_owned() };
        let played = Played { planned: 1_000, reached: 250, ..Played::new(target) };
        let incident = opened(Stage::Respond);
        let reset = call("toko", ActionKind::ForcePasswordReset, &["admin", "agent"]);
        let seen = Seen {
            incidents: [(incident.id, incident)].into(),
            calls: vec![reset],
            mails: vec![mail("a@toko.example")],
        };
        (played, seen)
    }

    type Spoil = fn(&mut Played, &mut Seen);

    #[test]
    fn everything_that_belongs_to_a_catch_is_asked_for() {
        let (played, seen) = caught();
        assert!(Verdict::judge(&played, &seen).is_caught());
        let spoils: [(&str, Spoil); 6] = [
            ("only a notice", |_, seen| {
                let notice = opened(Stage::NotifyTenant);
                seen.incidents.insert(notice.id, notice);
            }),
            ("agents first", |_, seen| seen.calls[0].roles.reverse()),
            ("no reset", |_, seen| seen.calls[0].kind = ActionKind::PauseBroadcasts),
            ("a mail to others only", |_, seen| seen.mails = vec![mail("ops@qiscus.example")]),
            ("too late", |played, _| played.reached = 251),
            ("another tenant", |_, seen| {
                seen.calls.push(call("bank", ActionKind::PauseBroadcasts, &[]));
            }),
        ];
        for (what, spoil) in spoils {
            let (mut played, mut seen) = caught();
            spoil(&mut played, &mut seen);
            assert!(!Verdict::judge(&played, &seen).is_caught(), "{what}");
        }
    }

    #[test]
    fn a_tenant_that_is_acted_on_by_mistake_is_named() {
        let (played, mut seen) = caught();
        seen.calls.push(call("bank", ActionKind::RevokeSessions, &["admin"]));
        let verdict = Verdict::judge(&played, &seen);
        assert!(verdict.checks.iter().any(|check| !check.holds && check.text.ends_with(": bank")));
    }
}
