//! `satpam man`: the manual pages.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::CommandFactory;

use super::{Arguments, Exit, complain};

/// Writes a manual page for satpam and for each of its commands.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that the pages are written to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Exit code: 0, or 3 where the pages cannot be written.
pub(super) fn run(args: &Args) -> ExitCode {
    let written = std::fs::create_dir_all(&args.out)
        .and_then(|()| clap_mangen::generate_to(Arguments::command(), &args.out));
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, Exit::Environment),
    }
}
