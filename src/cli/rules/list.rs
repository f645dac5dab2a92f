//! `satpam rules list`: the rules of a rule set, one line each.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use super::facts::{Authored, RuleFacts};
use super::{Format, ended, unusable};

/// Lists rules.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Rule folders and files
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
    /// Only rules of this level
    #[arg(long)]
    level: Option<String>,
    /// Only rules of this status
    #[arg(long)]
    status: Option<String>,
    /// Only rules with this tag; `attack` finds `attack.t1566` too
    #[arg(long)]
    tag: Option<String>,
    /// Only rules about this source, such as `omnichannel/login`, or a part of it
    #[arg(long)]
    logsource: Option<String>,
    /// Only rules of this type: `detection`, `event_count`, `baseline` ...
    #[arg(long = "type")]
    kind: Option<String>,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

impl Args {
    fn wants(&self, rule: &RuleFacts<'_>) -> bool {
        let is = |wanted: &Option<String>, word: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(word))
        };
        let below = |tag: &str, wanted: &str| {
            tag.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        is(&self.level, rule.level)
            && is(&self.status, rule.status)
            && is(&self.kind, rule.kind)
            && self.tag.as_ref().is_none_or(|tag| rule.tags.iter().any(|has| below(has, tag)))
            && self.logsource.as_ref().is_none_or(|wanted| {
                let source = rule.logsource.as_deref().unwrap_or_default();
                source == wanted || source.split('/').any(|part| part == wanted)
            })
    }
}

/// Exit code: 0, also where no rule is left by the filters; 2 the rules cannot be used.
pub(super) fn run(args: &Args) -> ExitCode {
    let authored = match Authored::load(&args.paths) {
        Ok(authored) => authored,
        Err(failure) => return unusable(&failure),
    };
    let rules = authored.rules();
    let wanted: Vec<_> = rules.iter().filter(|rule| args.wants(rule)).collect();
    ended(print(args.format, &wanted))
}

fn print(format: Format, rules: &[&RuleFacts<'_>]) -> io::Result<()> {
    let mut output = anstream::stdout().lock();
    match format {
        Format::Json => {
            serde_json::to_writer_pretty(&mut output, rules)?;
            writeln!(output)?;
        }
        Format::Text => {
            let width = |text: fn(&RuleFacts<'_>) -> usize| {
                rules.iter().map(|rule| text(rule)).max().unwrap_or_default()
            };
            let key = width(|rule| rule.key.len());
            let kind = width(|rule| rule.kind.len());
            for rule in rules {
                writeln!(
                    output,
                    "{:key$}  {:kind$}  {:13}  {:12}  {}",
                    rule.key, rule.kind, rule.level, rule.status, rule.title,
                )?;
            }
        }
    }
    output.flush()
}
