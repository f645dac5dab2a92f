//! What the commands share that ask the running daemon.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use serde::Serialize;

use super::{Exit, complain};
use crate::config;
use crate::console::{CallError, Client};

/// Which daemon to ask, and how its answer is printed.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ControlArgs {
    /// The configuration file of the daemon; it names the control socket
    #[arg(long, default_value = "/etc/satpam/satpam.yaml")]
    config: PathBuf,
    /// The control socket, when it is not the one that the configuration names
    #[arg(long)]
    socket: Option<PathBuf>,
    /// How the answer is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// How an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For people
    Text,
    /// One JSON object, for scripts
    Json,
}

/// Who decides, beside the user that runs the command.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ByArgs {
    /// Your name for the audit log, beside the user that runs this command
    #[arg(long, value_name = "NAME")]
    pub(super) by: Option<String>,
}

impl ControlArgs {
    /// Asks the daemon and prints its answer.
    pub(super) fn ask<T: Serialize>(
        &self,
        call: impl FnOnce(&Client) -> Result<T, CallError>,
        as_text: impl FnOnce(&T) -> String,
    ) -> ExitCode {
        let socket = match &self.socket {
            Some(socket) => socket.clone(),
            None => match config::load(&self.config) {
                Ok(config) => config.console.socket(&config.store.path),
                Err(error) => return complain(&error, Exit::Usage),
            },
        };
        match call(&Client::new(socket)) {
            Ok(answer) => {
                let text = match self.format {
                    Format::Text => as_text(&answer),
                    Format::Json => {
                        let json = serde_json::to_string_pretty(&answer);
                        json.expect("an answer has text keys only") + "\n"
                    }
                };
                // A reader that closed the pipe has seen enough.
                let _ = std::io::stdout().write_all(text.as_bytes());
                ExitCode::SUCCESS
            }
            Err(error) => complain(&error, exit_of(&error)),
        }
    }
}

/// A daemon that cannot be asked is the environment's fault; a wrong name is the arguments'; what
/// was decided already is something to look at.
fn exit_of(error: &CallError) -> Exit {
    match error {
        CallError::Refused { status: 409, .. } => Exit::Findings,
        CallError::Refused { status: 400..=499, .. } => Exit::Usage,
        CallError::NotRunning { .. }
        | CallError::NotAllowed(_)
        | CallError::Broken(_)
        | CallError::NotUnderstood
        | CallError::Refused { .. } => Exit::Environment,
    }
}

/// Sets rows under headings, two spaces between columns; the last column is not padded.
pub(super) fn table<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> String {
    let headings = headings.map(str::to_owned);
    let all = || std::iter::once(&headings).chain(rows);
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = all().map(|row| row[column].chars().count()).max().unwrap_or(0);
            line.push_str(cell);
            if column + 1 < COLUMNS {
                let padding = width - cell.chars().count() + 2;
                line.extend(std::iter::repeat_n(' ', padding));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
