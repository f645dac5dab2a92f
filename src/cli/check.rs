//! `satpam check`: whether the rules can be used, before a daemon tries.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Exit, complain, print_findings};
use crate::rulebook::{self, Colour};

/// Checks rule files and tells every finding with its place.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Folders or files of rules.
    #[arg(default_value = "rules")]
    paths: Vec<PathBuf>,
}

/// Exit 0 without findings, 1 with warnings, 2 when the rules cannot be used.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this command talks to a person")]
pub(super) fn run(args: &Args) -> ExitCode {
    match rulebook::load_all(&args.paths) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{}", warning.render(Colour::Never));
            }
            let rules = loaded.rulebook.detections.len() + loaded.rulebook.correlations.len();
            println!(
                "{rules} rules in {} files, {} warnings, revision {}",
                loaded.files.len(),
                loaded.warnings.len(),
                loaded.rulebook.revision
            );
            if loaded.warnings.is_empty() { ExitCode::SUCCESS } else { Exit::Findings.into() }
        }
        Err(failure) => {
            print_findings(&failure);
            complain(&failure, Exit::Usage)
        }
    }
}
