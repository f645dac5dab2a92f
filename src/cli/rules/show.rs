//! `satpam rules show`: all there is to say about one rule.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::facts::{Authored, RuleFacts};
use super::{Format, ended, no_such_rule, unusable};

/// Shows one rule: what it is, what builds on it, and its text.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The name or id of the rule
    rule: String,
    /// Rule folders and files
    #[arg(long, default_value = "rules")]
    rules: Vec<PathBuf>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Exit code: 0, or 2 where there is no such rule or the rules cannot be used.
pub(super) fn run(args: &Args) -> ExitCode {
    let authored = match Authored::load(&args.rules) {
        Ok(authored) => authored,
        Err(failure) => return unusable(&failure),
    };
    let rules = authored.rules();
    let named =
        |rule: &&RuleFacts<'_>| rule.key == args.rule || rule.id == Some(args.rule.as_str());
    let Some(rule) = rules.iter().find(named) else {
        return no_such_rule(&args.rule, rules.iter().map(|rule| rule.key));
    };
    let built_on: Vec<&str> = rules
        .iter()
        .filter(|other| other.rules.contains(&rule.key))
        .map(|other| other.key)
        .collect();
    ended(print(args.format, rule, &built_on))
}

fn print(format: Format, rule: &RuleFacts<'_>, built_on: &[&str]) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut output, rule)?;
            writeln!(output)?;
        }
        Format::Text => {
            writeln!(output, "{} ({})\n{}:{}\n", rule.title, rule.key, rule.file, rule.line)?;
            for (name, value) in rows(rule, built_on) {
                if !value.is_empty() {
                    writeln!(output, "{name:16}{value}")?;
                }
            }
            writeln!(output, "\n{}", rule.source)?;
        }
    }
    output.flush()
}

/// Returns the facts of a rule that are one line each; empty ones have nothing to say.
pub(super) fn rows(rule: &RuleFacts<'_>, built_on: &[&str]) -> [(&'static str, String); 9] {
    let counts = if rule.reports { "" } else { "only for the rules that build on it" };
    [
        ("type", rule.kind.to_owned()),
        ("level", rule.level.to_owned()),
        ("status", rule.status.to_owned()),
        ("risk", rule.risk.to_string()),
        ("counts", counts.to_owned()),
        ("events", rule.logsource.clone().unwrap_or_default()),
        ("builds on", rule.rules.join(", ")),
        ("used by", built_on.join(", ")),
        ("tags", rule.tags.join(", ")),
    ]
}
