//! `satpam config`: the default configuration, and whether a file can be used.

use std::path::PathBuf;
use std::process::ExitCode;

use super::{Exit, complain};
use crate::config;

/// Prints the default configuration or checks a file.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Prints every setting with its default and its meaning, as a file to start from.
    Default,
    /// Checks a file as the daemon would read it, with the environment over it.
    Check {
        /// The configuration file.
        #[arg(default_value = "/etc/satpam/satpam.yaml")]
        file: PathBuf,
    },
}

/// Exit 0, or 2 when the file cannot be used.
#[expect(clippy::print_stdout, reason = "this command talks to a person")]
pub(super) fn run(args: &Args) -> ExitCode {
    match &args.verb {
        Verb::Default => print!("{}", config::DEFAULT),
        Verb::Check { file } => match config::load(file) {
            Ok(config) => println!(
                "{} can be used: {} topics, rules in {}",
                file.display(),
                config.topics.len(),
                config.rules.display()
            ),
            Err(error) => return complain(&error, Exit::Usage),
        },
    }
    ExitCode::SUCCESS
}
