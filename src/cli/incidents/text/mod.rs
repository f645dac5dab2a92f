//! Incidents as people read them.

use std::fmt::Write as _;

use crate::cli::control::table;
use crate::cli::deliveries::{remark, short};
use crate::console::{
    ActorView, ClosedView, ClosingView, ContributionView, DeliveryView, IncidentList,
    IncidentSummary, IncidentView,
};

pub(super) fn list(list: &IncidentList) -> String {
    if list.incidents.is_empty() {
        return "There is no such incident.\n".to_owned();
    }
    let rows: Vec<[String; 8]> = list
        .incidents
        .iter()
        .map(|one| {
            [
                one.code.clone(),
                one.closed.as_ref().map_or(&one.state, |closed| &closed.verdict).clone(),
                one.stage.clone(),
                format!("{:.0}", one.risk),
                one.account.clone(),
                one.opened.clone(),
                one.rules.to_string(),
                one.title.clone(),
            ]
        })
        .collect();
    let headings =
        ["CODE", "STATE", "STAGE", "RISK", "ACCOUNT", "OPENED", "RULES", "HEAVIEST RULE"];
    let mut text = table(headings, &rows);
    if list.truncated {
        text.push_str("There are more: ask with a larger --limit or a filter.\n");
    }
    text
}

pub(super) fn show(view: &IncidentView) -> String {
    let mut text = String::new();
    // Writing into a String cannot fail, so the results are not looked at.
    head(&mut text, &view.summary);
    risk(&mut text, view);
    text.push_str("\nWhat adds up, the heaviest first\n");
    for one in &view.contributions {
        contribution(&mut text, one);
    }
    facts(&mut text, view);
    text.push_str("\nResponses\n");
    if view.deliveries.is_empty() {
        text.push_str("  none\n");
    }
    for one in &view.deliveries {
        response(&mut text, one);
    }
    text.push_str("\nAudit trail, the latest first\n");
    if view.audit.is_empty() {
        text.push_str("  nothing\n");
    }
    for one in &view.audit {
        let subject = short(&one.subject);
        let _ = writeln!(text, "  {}  {} {} {subject}: {}", one.at, one.who, one.what, one.reason);
    }
    exception(&mut text, view.exception.as_deref());
    text
}

fn head(text: &mut String, summary: &IncidentSummary) {
    let name = summary.account_name.as_ref().map(|name| format!(" ({name})")).unwrap_or_default();
    let _ = writeln!(
        text,
        "{} {}, stage {}, account {}{name}\nid {}\nopened {}, last match {}",
        summary.code,
        summary.state,
        summary.stage,
        summary.account,
        summary.id,
        summary.opened,
        summary.last_match
    );
    if let Some(closed) = &summary.closed {
        let _ = writeln!(text, "{}", closing(closed));
    }
}

fn closing(closed: &ClosedView) -> String {
    format!("closed {} as {} by {}: {}", closed.at, closed.verdict, closed.by, closed.reason)
}

fn risk(text: &mut String, view: &IncidentView) {
    let _ = writeln!(
        text,
        "\nRisk {:.1} at the last match, {:.1} at its highest, {:.1} now ({})\n\
         risk = sum of base x multiplier, halved every {} since the rule last matched",
        view.risk_at_last_match,
        view.summary.risk,
        view.risk_now,
        view.now,
        span(view.half_life_seconds)
    );
    for threshold in &view.thresholds {
        let word = if threshold.crossed { "crossed" } else { "not crossed" };
        let _ = writeln!(text, "  {:<13} from {:>5.1}  {word}", threshold.name, threshold.risk);
    }
}

fn span(seconds: i64) -> String {
    match seconds {
        hours if hours % 3600 == 0 => format!("{}h", hours / 3600),
        minutes if minutes % 60 == 0 => format!("{}m", minutes / 60),
        seconds => format!("{seconds}s"),
    }
}

fn contribution(text: &mut String, one: &ContributionView) {
    let reasons = if one.multiplier_reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", one.multiplier_reasons.join(", "))
    };
    let matches = if one.matches == 1 { "match" } else { "matches" };
    let _ = writeln!(
        text,
        "  {:>6.1}  {}: {}\n          {}, {}; {:.1} x {:.2}{reasons}; {} {matches}, the last {}; {:.1} now\n          \
         event {} ({})",
        one.worth_at_last_match,
        one.rule,
        one.title,
        one.level,
        one.status,
        one.base,
        one.multiplier,
        one.matches,
        one.time,
        one.worth_now,
        one.event,
        one.event_type
    );
    for evidence in &one.evidence {
        let _ = writeln!(text, "          {} = {}", evidence.field, evidence.value);
    }
}

fn facts(text: &mut String, view: &IncidentView) {
    text.push_str("\nWho acted\n");
    if view.actors.is_empty() {
        text.push_str("  the events do not say\n");
    }
    for one in &view.actors {
        let _ = writeln!(text, "  {}", actor(one));
    }
    let impact = &view.impact;
    let _ = writeln!(
        text,
        "\nWhat left in the events that matched\n  {} messages, {} broadcasts to {} recipients",
        impact.messages, impact.broadcasts, impact.recipients
    );
    for (what, names) in [("templates", &impact.templates), ("new link hosts", &impact.hosts)] {
        if !names.is_empty() {
            let _ = writeln!(text, "  {what}: {}", names.join(", "));
        }
    }
    let two_factor = match view.two_factor {
        Some(true) => "on",
        Some(false) => "off",
        None => "not known",
    };
    let contacts =
        if view.contacts.is_empty() { "none known".to_owned() } else { view.contacts.join(", ") };
    let _ = writeln!(
        text,
        "\nTwo-factor authentication {two_factor}; contacts: {contacts}; time zone {}\n\
         Decided by rules {} and satpam {}",
        view.timezone, view.rules_revision, view.engine_version
    );
}

fn actor(one: &ActorView) -> String {
    let name = one.email.as_ref().or(one.id.as_ref());
    let parts: Vec<&str> = [name, one.role.as_ref(), one.credential.as_ref(), one.ip.as_ref()]
        .into_iter()
        .flatten()
        .map(String::as_str)
        .collect();
    parts.join(", ")
}

fn response(text: &mut String, one: &DeliveryView) {
    let remark = remark(one);
    let separator = if remark.is_empty() { "" } else { ": " };
    let _ = writeln!(text, "  {}  {} {}{separator}{remark}", short(&one.id), one.kind, one.state);
    let next = match one.state.as_str() {
        "held" => Some("satpam responses approve"),
        "parked" => Some("satpam outbox retry"),
        _ => None,
    };
    if let Some(next) = next {
        let _ = writeln!(text, "            {next} {} --reason \"...\"", short(&one.id));
    }
}

/// What closing has done, and what is left to do.
pub(super) fn closed(view: &ClosingView) -> String {
    let mut text = format!("{} ({})", view.incident.code, view.incident.account);
    if let Some(how) = &view.incident.closed {
        let _ = write!(text, " {}", closing(how));
    }
    text.push('\n');
    if !view.withdrawn.is_empty() {
        text.push_str("No longer carried out:\n");
        for one in &view.withdrawn {
            let _ = writeln!(text, "  {}  {}", short(&one.id), one.kind);
        }
    }
    if !view.done.is_empty() {
        text.push_str("Done before; the platform may be able to take it back:\n");
        for one in &view.done {
            let _ = writeln!(
                text,
                "  {}  {}: satpam responses undo {} --reason \"...\"",
                short(&one.id),
                one.kind,
                short(&one.id)
            );
        }
    }
    exception(&mut text, view.exception.as_deref());
    text
}

fn exception(text: &mut String, exception: Option<&str>) {
    if let Some(exception) = exception {
        let _ = write!(
            text,
            "\nIf the same will come again: keep of this what is wrong for the tenant, and put it \
             among the rules\n\n{exception}"
        );
    }
}

#[cfg(test)]
mod tests;
