//! `satpam demo`: the whole of it in one process, with a takeover to catch.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::{Exit, complain};
use crate::daemon::DaemonError;
use crate::demo::{self, DemoError, Options, View};
use crate::telemetry;

/// Shows a takeover being caught: broker, traffic, mail server and platform are inside this process.
///
/// Exit 0 when it was caught, 1 when not.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Another seed plays other tenants and another intruder.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// How many tenants.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    accounts: u32,
    /// A folder of rules instead of the shipped ones.
    #[arg(long, value_name = "FOLDER")]
    rules: Option<PathBuf>,
    /// Goes on after the verdict, with the metrics page, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

/// Plays the demo.
pub(super) fn run(args: &Args) -> ExitCode {
    let folder = std::env::temp_dir().join(format!("satpam-demo-{}", std::process::id()));
    // Fails when somebody else has made it.
    if let Err(error) = DirBuilder::new().mode(0o700).create(&folder) {
        return complain(&DemoError::from(error), Exit::Environment);
    }
    let log = folder.join("satpam.log");
    let exit = match play(args, &folder, &log) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => Exit::Findings.into(),
        Err(exit) => exit,
    };
    if exit == ExitCode::SUCCESS {
        // What cannot be removed is in the folder for temporary things.
        let _ = std::fs::remove_dir_all(&folder);
    } else {
        say(&format!("satpam: the log of the daemon is {}", log.display()));
    }
    exit
}

/// Returns whether the attack was caught.
fn play(args: &Args, folder: &Path, log: &Path) -> Result<bool, ExitCode> {
    let environment = |error: &dyn std::error::Error| complain(error, Exit::Environment);
    let file = File::create(log).map_err(|error| environment(&error))?;
    telemetry::Settings::default().start_log_in(file).map_err(|error| environment(&error))?;
    // Another provider may be installed already; it serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| environment(&error))?;
    let options = Options {
        seed: args.seed,
        accounts: args.accounts,
        rules: args.rules.clone(),
        keep: args.keep,
    };
    let mut view = View::stdout();
    let played = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(super::run::stop_on_signal(stop.clone()));
        demo::run(&options, folder, &mut view, stop).await
    });
    match played {
        Ok(verdict) => Ok(verdict.is_caught()),
        Err(error @ DemoError::Daemon(DaemonError::Rules { .. })) => {
            if let DemoError::Daemon(DaemonError::Rules { source, .. }) = &error {
                super::print_findings(source);
            }
            Err(complain(&error, Exit::Usage))
        }
        Err(error @ DemoError::Stopped) => Err(complain(&error, Exit::Findings)),
        Err(error) => Err(environment(&error)),
    }
}

#[expect(clippy::print_stderr, reason = "where to look when it failed")]
fn say(text: &str) {
    eprintln!("{text}");
}
