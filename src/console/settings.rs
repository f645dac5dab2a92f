//! The `console` section of the configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// The control socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Where the socket is, at most 107 bytes. Nothing means `control.sock` beside the state
    /// folder.
    pub socket: Option<PathBuf>,
}

impl Settings {
    /// Returns where the socket is for a daemon whose state is in this folder.
    pub fn socket(&self, state: &Path) -> PathBuf {
        self.socket.clone().unwrap_or_else(|| state.with_file_name("control.sock"))
    }
}
