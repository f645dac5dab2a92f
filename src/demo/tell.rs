//! What the demo says about each thing that happens.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;

use super::letter;
use super::mail_server::Received;
use super::platform::Call;
use super::traffic::{Target, TopicKind, TrafficEvent};
use super::verdict::{Check, Verdict};
use super::view::{BAD, BOLD, DIM, GOOD, View, Voice, number, stamp};
use crate::event::{AccountId, EventTime};
use crate::incident::{Incident, Stage};
use crate::rulebook::ActionKind;

/// A step of the intruder, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) text: String,
    /// Whom a broadcast goes to.
    pub(super) recipients: u64,
}

impl Step {
    pub(super) fn read(event: &TrafficEvent) -> Self {
        let payload: Value = serde_json::from_slice(&event.payload).unwrap_or_default();
        let text = |path: &str| payload.pointer(path).and_then(Value::as_str).unwrap_or("?");
        let recipients =
            payload.pointer("/broadcast/recipient_count").and_then(Value::as_u64).unwrap_or(0);
        let text = match event.topic {
            TopicKind::Accounts => format!(
                "signs in as {} from {}, a network this tenant has never used",
                text("/actor/email"),
                text("/actor/ip")
            ),
            TopicKind::Templates => format!(
                "creates the template {} ({}): \"{}\"",
                text("/template/name"),
                text("/template/category"),
                text("/template/body")
            ),
            TopicKind::Broadcasts => format!(
                "broadcasts {} to {} people",
                text("/broadcast/template_name"),
                number(recipients)
            ),
            TopicKind::Messages => format!("writes to {}", text("/message/recipient")),
        };
        Self { text, recipients }
    }
}

pub(super) fn attack_begins(view: &mut View, time: EventTime, target: &Target) {
    view.line("");
    let Target { account, name } = target;
    view.tell(time, Voice::Demo, &format!("{BAD}takeover of {name} ({account}){BAD:#}"));
}

pub(super) fn step(view: &mut View, time: EventTime, step: &Step, is_locked: bool) {
    if is_locked {
        let text = format!("{DIM}{}{DIM:#} {GOOD}refused: locked out{GOOD:#}", step.text);
        view.tell(time, Voice::Intruder, &text);
    } else {
        view.tell(time, Voice::Intruder, &step.text);
    }
}

/// Tells of an incident; the explanation only for the attacked tenant.
pub(super) fn incident(view: &mut View, now: EventTime, incident: &Incident, is_target: bool) {
    let name = incident.account_name.as_deref().unwrap_or_default();
    let what = match incident.stage {
        Stage::Alert => "staff are told",
        Stage::NotifyTenant => "the tenant is told",
        Stage::Respond => "the platform is called",
    };
    let text = format!(
        "incident {} of {name} ({}): risk {:.0}, {what}",
        incident.id.code(),
        incident.account,
        incident.risk
    );
    if !is_target {
        view.tell(incident.last_match, Voice::Satpam, &format!("{DIM}{text}{DIM:#}"));
        return;
    }
    view.tell(now, Voice::Satpam, &format!("{BOLD}{text}{BOLD:#}"));
    for contribution in &incident.contributions {
        let times = if contribution.matches > 1 {
            format!(", {} times", contribution.matches)
        } else {
            String::new()
        };
        let factor = match contribution.multiplier_reasons.join(", ") {
            reasons if reasons.is_empty() => String::new(),
            reasons => format!(", x{} for {reasons}", contribution.multiplier),
        };
        view.more(&format!(
            "+{:<4.0}{} {DIM}[{}{factor}{times}]{DIM:#}",
            contribution.base * contribution.multiplier,
            contribution.title,
            contribution.level,
        ));
        for (field, value) in contribution.evidence.iter().take(4) {
            view.more(&format!("{DIM}       {field} = {value}{DIM:#}"));
        }
    }
}

pub(super) fn call(view: &mut View, call: &Call, delay: Option<Duration>) {
    let who = if call.roles.is_empty() {
        String::new()
    } else {
        format!(", for {}", call.roles.join(", then "))
    };
    let text = format!("{} on {}{who}", call.kind.as_str(), call.account);
    view.tell(call.at, Voice::Platform, &format!("{GOOD}{text}{GOOD:#}"));
    let after = delay.map_or(String::new(), |delay| {
        format!("; {:.2} s after the event that decided", delay.as_secs_f64())
    });
    view.more(&format!("{DIM}signature verified{after}{DIM:#}"));
    if call.kind == ActionKind::ForcePasswordReset {
        view.more(&format!("{DIM}reason given: {}{DIM:#}", call.reason));
    }
}

/// Shows a mail to the attacked tenant whole, any other as one line.
pub(super) fn mail(view: &mut View, mail: &Received, target: &AccountId) {
    let Some(letter) = letter::read(&mail.message) else {
        view.tell(mail.at, Voice::Mail, "a mail that cannot be read");
        return;
    };
    let heading = format!("to {}: {}", letter.to, letter.subject);
    if !is_for(mail, target) {
        view.tell(mail.at, Voice::Mail, &format!("{DIM}{heading}{DIM:#}"));
        return;
    }
    view.tell(mail.at, Voice::Mail, &format!("{BOLD}{heading}{BOLD:#}"));
    let headers = [("From", &letter.from), ("To", &letter.to), ("Subject", &letter.subject)];
    view.line("    +---------------------------------------------------------------------------");
    for (name, value) in headers {
        view.line(&format!("    | {name}: {value}"));
    }
    view.line("    |");
    for line in letter.text.lines() {
        view.line(format!("    | {line}").trim_end());
    }
    view.line("    +---------------------------------------------------------------------------");
}

/// Tells whether a mail goes to people of this account. The addresses of the generated tenants end
/// in the account's code.
pub(super) fn is_for(mail: &Received, account: &AccountId) -> bool {
    let host = format!("@{account}.example");
    mail.recipients.iter().any(|recipient| recipient.ends_with(&host))
}

pub(super) fn verdict(view: &mut View, verdict: &Verdict) {
    view.line("");
    view.line(&format!("{BOLD}Summary{BOLD:#}"));
    for Check { holds, text } in &verdict.checks {
        let mark =
            if *holds { format!("{GOOD} yes {GOOD:#}") } else { format!("{BAD} NO  {BAD:#}") };
        view.line(&format!("  {mark} {text}"));
    }
    for remark in &verdict.remarks {
        view.line(&format!("        {DIM}{remark}{DIM:#}"));
    }
    view.line("");
    if verdict.is_caught() {
        view.line(&format!("{GOOD}The takeover was caught.{GOOD:#}"));
    } else {
        view.line(&format!("{BAD}The takeover was not caught as it should be.{BAD:#}"));
    }
}

pub(super) fn goes_on(view: &mut View, address: SocketAddr) {
    view.line("");
    view.line("The daemon goes on, with ordinary traffic at sixty times the speed of the clock:");
    for path in ["metrics", "readyz", "livez"] {
        view.line(&format!("  curl http://{address}/{path}"));
    }
    view.line(
        "Ctrl-C ends it. With your own Kafka: satpam run --config satpam.yaml (see README.md).",
    );
}

/// Returns the time for a sentence.
pub(super) fn at(time: EventTime) -> String {
    stamp(time)
}
