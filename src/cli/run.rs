//! `satpam run`: the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use tokio_util::sync::CancellationToken;

use super::{Exit, complain};
use crate::config;
use crate::daemon;
use crate::telemetry::LogStream;

/// Reads events from Kafka until it is told to stop.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, default_value = "/etc/satpam/satpam.yaml")]
    config: PathBuf,
}

/// Runs the daemon. A stop by SIGTERM or SIGINT saves the state and ends with 0.
pub(super) fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return complain(&error, Exit::Usage),
    };
    if let Err(error) = config.telemetry.start_log(LogStream::Stdout, None) {
        return complain(&error, Exit::Usage);
    }
    // Another provider may be installed already when this is called twice in one process; it serves
    // as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&error, Exit::Environment),
    };
    let ended = runtime.block_on(async {
        let stop = CancellationToken::new();
        tokio::spawn(stop_on_signal(stop.clone()));
        daemon::run(config, stop).await
    });
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ daemon::DaemonError::Rules { .. }) => {
            if let daemon::DaemonError::Rules { source, .. } = &error {
                super::print_findings(source);
            }
            complain(&error, Exit::Usage)
        }
        Err(error) => complain(&error, Exit::Environment),
    }
}

/// Cancels `stop` at SIGTERM or SIGINT.
pub(super) async fn stop_on_signal(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) =
        (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("told to stop: saving the state");
    stop.cancel();
}
