//! `satpam man`: the manual pages, for `man` and as one page in Markdown.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Exit, complain, reference};

/// Writes a manual page for satpam and for each of its commands.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder that the pages are written to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write one page in Markdown, cli.md, instead
    #[arg(long)]
    markdown: bool,
}

/// Exit code: 0, or 3 where the pages cannot be written.
pub(super) fn run(args: &Args) -> ExitCode {
    let written = std::fs::create_dir_all(&args.out).and_then(|()| {
        if args.markdown {
            std::fs::write(args.out.join("cli.md"), reference::page())
        } else {
            clap_mangen::generate_to(reference::command(), &args.out)
        }
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => complain(&error, Exit::Environment),
    }
}
