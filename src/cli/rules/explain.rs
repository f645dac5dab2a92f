//! `satpam rules explain`: what a diagnostic code means.

use std::process::ExitCode;

use super::lint::explain_code;
use crate::cli::Exit;

/// Explains a diagnostic code.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A code, such as SP101.
    code: String,
}

/// Exit 0, or 2 when there is nothing of this name.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "this command talks to a person")]
pub(super) fn run(args: &Args) -> ExitCode {
    if let Some(page) = explain_code(&args.code) {
        print!("{page}");
        return ExitCode::SUCCESS;
    }
    eprintln!("satpam: there is no code `{}`", args.code);
    Exit::Usage.into()
}
