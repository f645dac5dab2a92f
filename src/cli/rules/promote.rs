//! `satpam rules promote`: whether an experimental rule has shown enough to be given another status.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{Format, cannot, no_such_rule, print, unusable};
use crate::cli::{Exit, complain};
use crate::config::{self, Config};
use crate::console::{CallError, Client, StagingView};
use crate::daemon;
use crate::rulebook::{self, Code, RuleMeta, Status};
use crate::store::{self, Store};

/// Tells what an experimental rule has matched since it was staged, and whether it is ready.
///
/// Asks the running daemon, and reads its state folder when none runs. Nothing is changed: whoever
/// promotes the rule writes its new status into the file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The rule's name (its key)
    rule: String,
    /// The configuration file of the daemon; it names the rules, the control socket and the state
    #[arg(long, default_value = "/etc/satpam/satpam.yaml")]
    config: PathBuf,
    /// The folder of rules, when it is not the one that the configuration names
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// Days of events that the rule must have been judged with
    #[arg(long, value_name = "DAYS", default_value_t = 7.0)]
    min_days: f64,
    /// Matches that it must have had
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    min_matches: u64,
    /// The share of all accounts, in per cent, that it may have matched at without an open incident
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    max_accounts: f64,
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// One condition of being ready.
#[derive(Debug, Serialize)]
struct Criterion {
    name: &'static str,
    holds: bool,
    /// What is asked for and what was found, for people.
    detail: String,
}

#[derive(Debug, Serialize)]
struct Answer<'a> {
    ready: bool,
    title: &'a str,
    level: &'static str,
    staging: &'a StagingView,
    /// Of all accounts, those it matched at without an open incident, in per cent.
    quiet_accounts_percent: f64,
    criteria: Vec<Criterion>,
}

/// The rule as its files say.
struct Staged {
    meta: RuleMeta,
    is_tested: bool,
}

/// Exit code: 0 ready, 1 not ready, 2 when there is no such experimental rule or nothing can be read.
pub(super) fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return complain(&error, Exit::Usage),
    };
    let folder = args.rules.as_ref().unwrap_or(&config.rules);
    let staged = match find(folder, &args.rule) {
        Ok(staged) => staged,
        Err(exit) => return exit,
    };
    let view = match read(&config, &staged.meta.key) {
        Ok(view) => view,
        Err(exit) => return exit,
    };
    let quiet = quiet_accounts_percent(&view);
    let criteria = criteria(args, &view, &staged, quiet);
    let answer = Answer {
        ready: criteria.iter().all(|criterion| criterion.holds),
        title: &staged.meta.title,
        level: staged.meta.level.as_str(),
        staging: &view,
        quiet_accounts_percent: quiet,
        criteria,
    };
    let text = match args.format {
        Format::Text => as_text(&answer),
        Format::Json => {
            serde_json::to_string_pretty(&answer).expect("an answer has text keys only") + "\n"
        }
    };
    let printed = super::ended(print(&text));
    if answer.ready { printed } else { Exit::Findings.into() }
}

/// Finds the rule in its files, with what its tests say.
fn find(folder: &Path, word: &str) -> Result<Staged, ExitCode> {
    let read = rulebook::read_within(&[folder.to_owned()]).and_then(|mut read| {
        rulebook::read_tests(&mut read.sources)?;
        Ok(read)
    });
    let read = read.map_err(|failure| unusable(&failure))?;
    let compiled = rulebook::compile(&read.sources);
    let (rulebook, findings) =
        compiled.map_err(|findings| unusable(&rulebook::LoadFailure::Invalid(findings)))?;
    let detections = rulebook.detections.iter().map(|rule| &rule.meta);
    let metas = || detections.clone().chain(rulebook.correlations.iter().map(|rule| &rule.meta));
    let is_named = |meta: &&RuleMeta| {
        let words = [Some(&meta.key), meta.id.as_ref(), meta.name.as_ref()];
        words.into_iter().flatten().any(|known| **known == *word)
    };
    let Some(meta) = metas().find(is_named) else {
        return Err(no_such_rule(word, metas().map(|meta| &*meta.key)));
    };
    if meta.status != Status::Experimental {
        return Err(cannot(&format!(
            "promote `{}`: its status is {}; only experimental rules are watched",
            meta.key,
            meta.status.as_str()
        )));
    }
    let is_untested = findings.iter().any(|finding| {
        let is_about_tests = matches!(finding.code, Code::NoTest | Code::OneSidedTests);
        // The file as a whole has no test, or this rule of it.
        is_about_tests
            && finding.file() == &*meta.file
            && (finding.code == Code::NoTest || finding.line == meta.line)
    });
    Ok(Staged { meta: meta.clone(), is_tested: !is_untested })
}

/// Asks the daemon; where none runs, reads the state folder.
fn read(config: &Config, rule: &str) -> Result<StagingView, ExitCode> {
    let client = Client::new(config.console.socket(&config.store.path));
    match client.get(&["v1", "rules", rule, "staging"], &[]) {
        Ok(view) => Ok(view),
        Err(CallError::NotRunning { .. }) => read_folder(&config.store, rule),
        Err(error) => Err(complain(&error, Exit::Usage)),
    }
}

fn read_folder(settings: &store::Settings, rule: &str) -> Result<StagingView, ExitCode> {
    if !settings.path.is_dir() {
        let path = settings.path.display();
        return Err(cannot(&format!("read {path}: no satpam runs, and there is no state")));
    }
    // Damage is the daemon's to set aside.
    let settings = store::Settings { quarantine: false, ..settings.clone() };
    let metrics = store::Metrics::new(&prometheus::Registry::new())
        .expect("a registry of its own takes every metric");
    let view =
        Store::open(&settings, metrics).and_then(|opened| daemon::staged(&opened.store, rule));
    view.map_err(|error| complain(&error, Exit::Usage))
}

#[expect(clippy::cast_precision_loss, reason = "counts of accounts, for a percentage")]
fn quiet_accounts_percent(view: &StagingView) -> f64 {
    let quiet = view.accounts.saturating_sub(view.accounts_with_incidents);
    quiet as f64 * 100.0 / view.accounts_known.max(1) as f64
}

fn criteria(args: &Args, view: &StagingView, staged: &Staged, quiet: f64) -> Vec<Criterion> {
    vec![
        Criterion {
            name: "days",
            holds: view.staged_days >= args.min_days,
            detail: format!(
                "judged with {:.1} days of events (at least {})",
                view.staged_days, args.min_days
            ),
        },
        Criterion {
            name: "matches",
            holds: view.matches >= args.min_matches,
            detail: format!("{} matches (at least {})", view.matches, args.min_matches),
        },
        Criterion {
            name: "quiet_accounts",
            holds: quiet <= args.max_accounts,
            detail: format!(
                "matched without an open incident at {} of {} accounts, {quiet:.2} % (at most {} %)",
                view.accounts.saturating_sub(view.accounts_with_incidents),
                view.accounts_known,
                args.max_accounts
            ),
        },
        Criterion {
            name: "tests",
            holds: staged.is_tested,
            detail: "a test has it match, and another has it stay silent".to_owned(),
        },
    ]
}

fn as_text(answer: &Answer<'_>) -> String {
    let view = answer.staging;
    let mut text = String::new();
    let mut line = |args: std::fmt::Arguments<'_>| {
        writeln!(text, "{args}").expect("a String takes any text");
    };
    line(format_args!("{}  {}", view.rule, answer.title));
    match (&view.staged, &view.judged_until) {
        (Some(staged), Some(until)) => {
            line(format_args!("staged     {staged}, judged until {until}"));
        }
        _ => line(format_args!("staged     no event was judged with it yet")),
    }
    line(format_args!(
        "matches    {}, of them {} while an incident of the account was open",
        view.matches, view.matches_during_incidents
    ));
    line(format_args!(
        "accounts   {} of {}, of them {} with an open incident",
        view.accounts, view.accounts_known, view.accounts_with_incidents
    ));
    if let (Some(first), Some(last)) = (&view.first_match, &view.last_match) {
        line(format_args!("between    {first} and {last}"));
    }
    if !view.days.is_empty() {
        line(format_args!("\nday         matches"));
    }
    for day in &view.days {
        line(format_args!("{}  {:7}", day.day, day.matches));
    }
    if !view.samples.is_empty() {
        line(format_args!("\nsamples, the latest of each account"));
    }
    for sample in &view.samples {
        line(format_args!("  {}  {}  {}", sample.time, sample.account, sample.event));
    }
    line(format_args!(""));
    for Criterion { holds, detail, .. } in &answer.criteria {
        line(format_args!("{}  {detail}", if *holds { "yes" } else { "NO " }));
    }
    if answer.ready {
        line(format_args!(
            "\nready: give it `status: test`, which scores and alerts without responses"
        ));
    } else {
        line(format_args!("\nnot ready"));
    }
    text
}
