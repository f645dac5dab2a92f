//! Messages to the service manager. Outside of systemd they go nowhere.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::health::Liveness;

/// Says that start-up is finished, and what is being done.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Says that the configuration is being read again; [`ready`] ends it.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        // Newer service managers insist on the time, older ones ignore it.
        Ok(time) => send(&[NotifyState::Reloading, time]),
        Err(error) => debug!(%error, "the monotonic clock could not be read"),
    }
}

/// Says that the process is stopping in order.
pub fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Replaces the line that `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// Feeds the watchdog, where the unit has one, for as long as no stage is stuck; returns when
/// `stop` is cancelled. A stuck process is then ended and started again by the service manager.
pub async fn feed_watchdog(liveness: Liveness, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Half of the limit, as sd_watchdog_enabled(3) asks.
    let mut turns = tokio::time::interval((limit / 2).max(Duration::from_millis(100)));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = turns.tick() => {}
        }
        let stuck = liveness.stuck();
        if stuck.is_empty() {
            send(&[NotifyState::Watchdog]);
        } else {
            warn!(stages = ?stuck, "stages are stuck, the watchdog is not fed");
        }
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        debug!(%error, "the service manager could not be reached");
    }
}
