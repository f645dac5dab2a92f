//! The report as a person reads it in a terminal.

use std::fmt::{self, Write};

use super::interval::Interval;
use super::report::{AttackReport, ByStage, Difference, Report};

/// Rules that the table lists before it says how many more there are.
const RULES_MAX: usize = 60;

/// Returns the report as text.
pub fn text(report: &Report, difference: Option<&Difference>) -> String {
    let mut output = String::new();
    let written = head(&mut output, report)
        .and_then(|()| rules(&mut output, report, difference))
        .and_then(|()| report.attacks.as_ref().map_or(Ok(()), |one| attacks(&mut output, one)))
        .and_then(|()| baselines(&mut output, report))
        .and_then(|()| ablation(&mut output, report))
        .and_then(|()| difference.map_or(Ok(()), |one| compared(&mut output, report, one)));
    debug_assert!(written.is_ok(), "writing into a text does not fail");
    output
}

fn head(output: &mut String, report: &Report) -> fmt::Result {
    writeln!(
        output,
        "{} events of {} accounts, {:.0} account-days, {} rules (revision {})",
        report.events, report.accounts, report.account_days, report.rules, report.rules_revision
    )?;
    if let (Some(first), Some(last)) = (report.first, report.last) {
        writeln!(output, "from {first} to {last}")?;
    }
    if report.duplicates + report.late > 0 {
        let (duplicates, late) = (report.duplicates, report.late);
        writeln!(output, "not evaluated: {duplicates} duplicates, {late} too late")?;
    }
    let (count, rate) = (&report.incidents, &report.incidents_per_1000_account_days);
    writeln!(
        output,
        "incidents: {} alert, {} notify, {} respond ({:.2}, {:.2}, {:.2} per 1,000 account-days)",
        count.alert, count.notify, count.respond, rate.alert, rate.notify, rate.respond
    )
}

fn rules(output: &mut String, report: &Report, difference: Option<&Difference>) -> fmt::Result {
    let width = report.by_rule.iter().map(|row| row.rule.chars().count()).max().unwrap_or(4).max(4);
    write!(
        output,
        "\n{:width$}  {:>9}  {:>9}  {:>8}  {:>7}",
        "rule", "matches", "per week", "accounts", "opened"
    )?;
    if report.attacks.is_some() {
        write!(
            output,
            "  {:>8}  {:>8}  {:>9}  {:>7}",
            "hostile", "ordinary", "precision", "attacks"
        )?;
    }
    if difference.is_some() {
        write!(output, "  {:>9}", "change")?;
    }
    writeln!(output)?;
    for row in report.by_rule.iter().take(RULES_MAX) {
        write!(
            output,
            "{:width$}  {:>9}  {:>9.1}  {:>8}  {:>7}",
            row.rule, row.matches, row.matches_per_week, row.accounts, row.opened
        )?;
        if let (Some(hostile), Some(ordinary), Some(precision), Some(attacks)) =
            (row.hostile, row.ordinary, row.precision, row.attacks)
        {
            let percent = precision * 100.0;
            write!(output, "  {hostile:>8}  {ordinary:>8}  {percent:>7.0} %  {attacks:>7}")?;
        }
        if let Some(difference) = difference {
            let there = difference.by_rule.iter().find(|one| one.rule == row.rule);
            let change = match there.map(|one| one.there) {
                None => "0".to_owned(),
                Some(None) => "new".to_owned(),
                Some(Some(there)) => format!("{:+}", i128::from(row.matches) - i128::from(there)),
            };
            write!(output, "  {change:>9}")?;
        }
        let base = if row.is_reported { "" } else { "  (feeds correlations)" };
        let noisy = if row.is_noisy { "  << noisy" } else { "" };
        writeln!(output, "{base}{noisy}")?;
    }
    let more = report.by_rule.len().saturating_sub(RULES_MAX);
    if more > 0 {
        writeln!(output, "and {more} more (--format json lists all)")?;
    }
    Ok(())
}

fn attacks(output: &mut String, report: &AttackReport) -> fmt::Result {
    writeln!(output, "\n{} attacks", report.attacks)?;
    if report.absent > 0 {
        writeln!(output, "{} labels name no event of the stream", report.absent)?;
    }
    writeln!(output, "{:28}  {:>9}  {:>9}  {:>9}", "", "alert", "notify", "respond")?;
    let figures = |output: &mut String, name: &str, one: &ByStage<f64>| {
        writeln!(output, "{name:28}  {:>9.3}  {:>9.3}  {:>9.3}", one.alert, one.notify, one.respond)
    };
    let counts = |output: &mut String, name: &str, one: &ByStage<Option<u64>>| {
        let [alert, notify, respond] = [one.alert, one.notify, one.respond]
            .map(|count| count.map_or_else(|| "-".to_owned(), |count| count.to_string()));
        writeln!(output, "{name:28}  {alert:>9}  {notify:>9}  {respond:>9}")
    };
    let intervals = |output: &mut String, one: &ByStage<Interval>, digits: usize| {
        let [alert, notify, respond] = [one.alert, one.notify, one.respond]
            .map(|one| format!("{:.digits$}-{:.digits$}", one.low, one.high));
        writeln!(output, "{:28}  {alert:>9}  {notify:>9}  {respond:>9}", "  95 % interval")
    };
    figures(output, "recall", &report.recall)?;
    intervals(output, &report.recall_interval, 2)?;
    figures(output, "recall before half is out", &report.recall_before_half)?;
    let rates = &report.false_alarms_per_1000_account_days;
    figures(output, "false alarms per 1,000 days", rates)?;
    intervals(output, &report.false_alarms_interval, 2)?;
    let some = |one: &ByStage<u64>| ByStage {
        alert: Some(one.alert),
        notify: Some(one.notify),
        respond: Some(one.respond),
    };
    counts(output, "false alarms", &some(&report.false_alarms))?;
    counts(output, "median sends before", &report.sends_before)?;
    counts(output, "median recipients before", &report.recipients_before)?;
    let width = report.by_kind.iter().map(|row| row.kind.chars().count()).max().unwrap_or(4).max(4);
    writeln!(
        output,
        "\n{:width$}  {:>7}  {:>6}  {:>6}  {:>7}  {:>6}  {:>6}  {:>6}  first alert by",
        "kind", "attacks", "alert", "notify", "respond", "missed", "half", "sends"
    )?;
    for row in &report.by_kind {
        let sends = row.sends_before.map_or_else(|| "-".to_owned(), |sends| sends.to_string());
        let mut firsts: Vec<_> = row.first_rules.iter().collect();
        firsts.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
        let firsts: Vec<String> =
            firsts.iter().take(3).map(|(rule, count)| format!("{rule} {count}")).collect();
        writeln!(
            output,
            "{:width$}  {:>7}  {:>6}  {:>6}  {:>7}  {:>6}  {:>6.2}  {sends:>6}  {}",
            row.kind,
            row.attacks,
            row.caught.alert,
            row.caught.notify,
            row.caught.respond,
            row.missed,
            row.recall_before_half,
            firsts.join(", ")
        )?;
    }
    Ok(())
}

fn baselines(output: &mut String, report: &Report) -> fmt::Result {
    let rows = &report.baselines;
    if rows.is_empty() {
        return Ok(());
    }
    let width = rows.iter().map(|row| row.rule.chars().count()).max().unwrap_or(8).max(8);
    writeln!(
        output,
        "\n{:width$}  {:>10}  {:>9}  {:>9}  {:>8}  {:>6}",
        "baseline", "fires from", "budget", "per 1,000", "days", "fits"
    )?;
    for row in rows {
        let figure = |value: Option<f64>, digits: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.digits$}"))
        };
        writeln!(
            output,
            "{:width$}  {:>10.1}  {:>9}  {:>9.2}  {:>8}  {:>6}",
            row.rule,
            row.fires_from,
            figure(row.budget, 2),
            row.per_1000_account_days,
            row.account_days,
            figure(row.fits, 1)
        )?;
    }
    Ok(())
}

fn ablation(output: &mut String, report: &Report) -> fmt::Result {
    let Some(added) = &report.ablation else { return Ok(()) };
    let width = added.iter().map(|one| one.rule.chars().count()).max().unwrap_or(4).max(4);
    writeln!(output, "\nwhat each rule adds, at alert")?;
    writeln!(
        output,
        "{:width$}  {:>9}  {:>12}  {:>7}",
        "rule", "incidents", "false alarms", "attacks"
    )?;
    for one in added {
        let (incidents, false_alarms) = (one.incidents, one.false_alarms);
        let attacks = one.attacks;
        let rule = &one.rule;
        writeln!(output, "{rule:width$}  {incidents:>9}  {false_alarms:>12}  {attacks:>7}")?;
    }
    Ok(())
}

fn compared(output: &mut String, report: &Report, difference: &Difference) -> fmt::Result {
    writeln!(
        output,
        "\nagainst revision {}: {} alerts gained, {} lost",
        difference.rules_revision, difference.gained, difference.lost
    )?;
    let (here, there) = (&report.incidents, &difference.incidents);
    writeln!(
        output,
        "incidents there: {} alert, {} notify, {} respond (here {}, {}, {})",
        there.alert, there.notify, there.respond, here.alert, here.notify, here.respond
    )?;
    if let (Some(here), Some(there)) = (&report.attacks, &difference.attacks) {
        writeln!(
            output,
            "recall {:.3} (there {:.3}), false alarms per 1,000 account-days {:.2} (there {:.2})",
            here.recall.alert,
            there.recall.alert,
            here.false_alarms_per_1000_account_days.alert,
            there.false_alarms_per_1000_account_days.alert
        )?;
    }
    for (word, alerts) in [("gained", &difference.gained_alerts), ("lost", &difference.lost_alerts)]
    {
        for alert in alerts {
            let (account, time, rule) = (&alert.account, alert.time, &alert.rule);
            writeln!(output, "  {word:6}  {time}  {account}  {rule}  risk {:.0}", alert.risk)?;
        }
    }
    for row in difference.by_rule.iter().filter(|row| row.here.is_none()) {
        let matches = row.there.unwrap_or_default();
        writeln!(output, "  only there: {} ({matches} matches)", row.rule)?;
    }
    Ok(())
}
