//! The figures of detection, as tables.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::measure::{Attack, Measurement};
use crate::incident::Stage;

const STAGES: [(Stage, &str); 3] =
    [(Stage::Alert, "alert"), (Stage::NotifyTenant, "tenant told"), (Stage::Respond, "response")];

/// Writes everything that was measured.
pub(super) fn print(measured: &Measurement<'_>, out: &mut dyn Write) -> io::Result<()> {
    let days = measured.clean_account_days();
    writeln!(
        out,
        "{} events, {} accounts, {days:.0} clean account-days, {} attacks",
        measured.events,
        measured.accounts(),
        measured.attacks.len()
    )?;
    writeln!(out, "\nfalse alarms per 1,000 account-days")?;
    for (stage, name) in STAGES {
        let count = measured.false_alarms.values().filter(|reached| **reached >= stage).count();
        writeln!(out, "  {name:<12} {count:>6}  {:.3}", ratio(count, days) * 1000.0)?;
    }
    writeln!(out, "  worst day    {:>6}", measured.worst_day())?;
    print_attacks(measured, out)?;
    print_rules(measured, out)
}

fn print_attacks(measured: &Measurement<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<20}{:>8}{:>8}{:>8}{:>10}{:>10}{:>12}{:>14}",
        "attack", "number", "alert", "half", "told", "response", "events out", "recipients"
    )?;
    let mut kinds: BTreeMap<&str, Vec<&Attack>> = BTreeMap::new();
    for attack in measured.attacks.values() {
        kinds.entry(attack.kind.as_str()).or_default().push(attack);
        kinds.entry("~ all").or_default().push(attack);
    }
    for (kind, attacks) in kinds {
        let number = number(attacks.len());
        let share = |count: usize| ratio(count, number);
        let reached =
            |stage| attacks.iter().filter(|attack| attack.reached.contains_key(&stage)).count();
        let half = attacks.iter().filter(|attack| is_before_half(attack)).count();
        let alerts = attacks.iter().filter_map(|attack| attack.reached.get(&Stage::Alert));
        let (events, recipients): (Vec<u64>, Vec<u64>) =
            alerts.map(|damage| (damage.events, damage.recipients)).unzip();
        writeln!(
            out,
            "{:<20}{:>8}{:>8.3}{:>8.3}{:>10.3}{:>10.3}{:>12}{:>14}",
            kind.trim_start_matches("~ "),
            attacks.len(),
            share(reached(Stage::Alert)),
            share(half),
            share(reached(Stage::NotifyTenant)),
            share(reached(Stage::Respond)),
            median(events),
            median(recipients),
        )?;
    }
    Ok(())
}

/// Whether the alert came before half of the recipients were reached.
fn is_before_half(attack: &Attack) -> bool {
    let alert = attack.reached.get(&Stage::Alert);
    alert.is_some_and(|damage| damage.recipients * 2 <= attack.damage.recipients)
}

fn print_rules(measured: &Measurement<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "\n{:<36}{:>10}{:>10}{:>10}{:>14}",
        "rule", "hostile", "ordinary", "caught", "false alarms"
    )?;
    for (rule, count) in &measured.by_rule {
        writeln!(
            out,
            "{rule:<36}{:>10}{:>10}{:>10}{:>14}",
            count.hostile, count.ordinary, count.caught, count.false_alarms
        )?;
    }
    Ok(())
}

fn ratio(count: usize, of: f64) -> f64 {
    if of > 0.0 { number(count) / of } else { 0.0 }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a simulation are small")]
fn number(count: usize) -> f64 {
    count as f64
}

fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}
