//! The control socket: opened for its owner alone, served until the daemon stops.

use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use super::api;
use super::closings::Closings;
use super::metrics::Metrics;
use super::person::Peer;
use super::views::StagingView;
use crate::clock::Clock;
use crate::respond::Operator;
use crate::rulebook::Rulebook;
use crate::store::{Store, StoreError};
use crate::telemetry::BoundedListener;

const CONNECTIONS_MAX: usize = 32;
const IDLE_MAX: Duration = Duration::from_mins(1);
/// How long open answers may take when the process stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// The owner may read and write, which is to connect.
const MODE: u32 = 0o600;

/// What the console works with.
#[derive(Clone)]
pub struct Desk {
    pub store: Store,
    pub operator: Operator,
    pub closings: Arc<Closings>,
    pub clock: Arc<dyn Clock>,
    /// Returns the rules in use at present.
    pub rulebook: Arc<dyn Fn() -> Arc<Rulebook> + Send + Sync>,
    /// Returns what an experimental rule has matched.
    pub staged: StagingReader,
    pub metrics: Metrics,
}

/// Reads what is stored of an experimental rule.
pub type StagingReader = Arc<dyn Fn(&Store, &str) -> Result<StagingView, StoreError> + Send + Sync>;

impl std::fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// Why the socket could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("another process answers on the control socket {}", .0.display())]
    InUse(PathBuf),
    #[error("{} is in the way of the control socket, and it is not a socket", .0.display())]
    NotASocket(PathBuf),
    #[error("the control socket {} could not be opened", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// The open socket, not served yet.
#[derive(Debug)]
pub struct Console {
    listener: UnixListener,
    path: PathBuf,
    router: Router,
}

impl Console {
    /// Opens the socket. What an earlier process left behind is replaced; a socket on which someone
    /// answers is not.
    ///
    /// # Errors
    /// See [`SocketError`]; nothing was changed then.
    pub fn bind(path: &Path, desk: Desk) -> Result<Self, SocketError> {
        let fail = |source| SocketError::Io { path: path.to_owned(), source };
        make_room(path)?;
        // Nobody can connect before the mode is set: the name comes last.
        let mut draft = path.as_os_str().to_owned();
        draft.push(".new");
        let draft = PathBuf::from(draft);
        remove(&draft).map_err(fail)?;
        let listener = UnixListener::bind(&draft).map_err(fail)?;
        let placed = std::fs::set_permissions(&draft, PermissionsExt::from_mode(MODE))
            .and_then(|()| std::fs::rename(&draft, path))
            .and_then(|()| std::fs::symlink_metadata(path));
        let metadata = placed.map_err(|error| {
            let _ = remove(&draft);
            fail(error)
        })?;
        // The owner of a file that we have just made is us.
        let router = api::router(desk, metadata.uid());
        Ok(Self { listener, path: path.to_owned(), router })
    }

    /// Answers until `stop` is cancelled, then ends open answers within two seconds.
    pub async fn serve(self, stop: CancellationToken) {
        let Self { listener, path, router } = self;
        let listener = BoundedListener::new(listener, CONNECTIONS_MAX, IDLE_MAX);
        let drained = stop.clone();
        let server = axum::serve(listener, router.into_make_service_with_connect_info::<Peer>())
            .with_graceful_shutdown(async move { drained.cancelled().await });
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            ended = async { server.await } => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the control socket ended");
                }
            }
            () = cut_off => tracing::warn!("connections to the control socket were cut off"),
        }
        if let Err(error) = remove(&path) {
            tracing::warn!(%error, path = %path.display(), "the control socket was left behind");
        }
    }
}

/// Sees that nothing but a socket which nobody answers on is at the path.
fn make_room(path: &Path) -> Result<(), SocketError> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(SocketError::Io { path: path.to_owned(), source }),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            Err(SocketError::NotASocket(path.to_owned()))
        }
        Ok(_) if UnixStream::connect(path).is_ok() => Err(SocketError::InUse(path.to_owned())),
        Ok(_) => Ok(()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
