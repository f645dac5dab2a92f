//! `satpam completions`: what a shell needs to complete our commands.

use std::io::Write;
use std::process::ExitCode;

use clap::CommandFactory;

use super::Arguments;

/// Prints the completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Exit code 0: whoever stops reading had enough.
pub(super) fn run(args: &Args) -> ExitCode {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Arguments::command(), "satpam", &mut text);
    let _ = anstream::stdout().write_all(&text);
    ExitCode::SUCCESS
}
