//! The demonstration: a whole platform in one process, a takeover in it, and the real daemon.
//!
//! [`run`] starts a broker (librdkafka's mock cluster), a mail server and the platform's account API
//! on free ports of this machine, runs [`crate::daemon`] between them, and plays a [`traffic`] in
//! which one tenant is taken over. Nothing leaves the machine. The same seed plays the same events;
//! what is caught is judged from what arrived: the mail, the call, and the incident in the store.

mod broker;
mod clock;
mod letter;
mod mail_server;
mod platform;
mod rules;
mod setup;
mod story;
mod tell;
pub mod traffic;
mod verdict;
mod view;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

pub use verdict::{Check, Verdict};
pub use view::View;

use crate::daemon::{self, DaemonError};
use crate::event::EventTime;
use crate::store::StoreError;
use broker::Broker;
use clock::DemoClock;
use platform::Platform;
use story::{Scene, Story};
use traffic::{AttackKind, Attacks, Scenario, Traffic};
use view::number;

/// What to play.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Another seed plays other tenants and another intruder.
    pub seed: u64,
    /// How many tenants.
    pub accounts: u32,
    /// A folder of rules instead of those that the binary carries.
    pub rules: Option<PathBuf>,
    /// Whether daemon and traffic go on after the verdict, until they are stopped.
    pub keep: bool,
}

/// Why the demo could not be played to its end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("the folder of the demo cannot be written")]
    Folder(#[from] std::io::Error),
    #[error("the broker of the demo does not work")]
    Broker(#[from] rdkafka::error::KafkaError),
    #[error("the daemon ended")]
    Daemon(#[from] DaemonError),
    #[error("the daemon ended before the demo")]
    DaemonStopped,
    #[error("the state of the daemon cannot be read")]
    Store(#[from] StoreError),
    #[error("no event was handled for {} s", waited.as_secs())]
    Stalled { waited: Duration },
    #[error("no tenant of this seed can be attacked: use more accounts")]
    NoTarget,
    #[error("stopped before the end")]
    Stopped,
}

/// Tuesday 2026-11-03 00:00 in Jakarta. Fixed, so that a seed always plays the same: what is usual
/// depends on weekday, hour and payday.
const START: EventTime = EventTime::from_millis(1_793_638_800_000);
const DAYS: u32 = 9;
/// Tuesday 2026-11-10 21:10 in Jakarta: every tenant of the first day is known by then.
const ATTACK: EventTime = START.plus_millis((7 * 24 * 60 + 21 * 60 + 10) * 60_000);
/// A login, a template, six broadcasts.
const TAKEOVER_STEPS: u32 = 8;
/// Mails that may wait to be shown.
const MAILS_MAX: usize = 1_000;
/// How long the daemon may take to save its state at the end.
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// Plays the demo; `folder` is where daemon state and rules are put. Ends early when `stop` is
/// cancelled.
pub async fn run(
    options: &Options,
    folder: &Path,
    view: &mut View,
    stop: CancellationToken,
) -> Result<Verdict, DemoError> {
    let rules = match &options.rules {
        Some(rules) => rules.clone(),
        None => {
            let shipped = folder.join("rules");
            rules::write(&shipped)?;
            shipped
        }
    };
    let scenario = Scenario {
        seed: options.seed,
        accounts: options.accounts,
        start: START,
        days: DAYS,
        attacks: Attacks { share: 0.0, kinds: Vec::new() },
    };
    let mut traffic = Traffic::new(&scenario);
    // One of them writes as much as fifty others: it would only make the demo long.
    traffic.leave_out("enterprise");
    let target = ["business", "starter", "free"]
        .into_iter()
        .find_map(|plan| traffic.attack(plan, AttackKind::Takeover, ATTACK))
        .ok_or(DemoError::NoTarget)?;

    let services = CancellationToken::new();
    // Whatever way this function is left, the servers end.
    let _end_of_services = services.clone().drop_guard();
    let clock = Arc::new(DemoClock::new(START));
    let broker = Broker::start()?;
    let (sender, mails) = mpsc::channel(MAILS_MAX);
    let mail = mail_server::serve(Arc::clone(&clock), sender, services.clone()).await?;
    let platform = Platform::new(Arc::clone(&clock), setup::SIGNING_KEY);
    let platform_address = platform.serve(services.clone()).await?;
    let config = setup::config(&setup::Places {
        folder,
        rules: &rules,
        brokers: broker.address(),
        mail,
        platform: platform_address,
    });

    let (opened, running) = oneshot::channel();
    let daemon_stop = CancellationToken::new();
    let _end_of_daemon = daemon_stop.clone().drop_guard();
    let daemon_clock: Arc<dyn crate::clock::Clock> = Arc::<DemoClock>::clone(&clock);
    let mut daemon =
        tokio::spawn(daemon::run_inside(config, daemon_clock, opened, daemon_stop.clone()));
    view.line(&format!(
        "satpam demo: {} tenants, seed {}. Broker, traffic, mail server and platform are inside \
         this process;\nthe daemon between them is the real one. Nothing leaves this machine.\n",
        number(u64::from(options.accounts)),
        options.seed
    ));
    let Ok(running) = running.await else { return Err(ended(daemon.await)) };
    let scene = Scene { clock, broker, platform, mails, running, target };
    let mut story = Story::new(scene, traffic, view);
    let told = tokio::select! {
        told = story.play(options.keep) => told,
        early = &mut daemon => return Err(ended(early)),
        () = stop.cancelled() => Err(DemoError::Stopped),
    };
    if let (Ok(_), true) = (&told, options.keep) {
        tokio::select! {
            gone = story.go_on() => gone?,
            early = &mut daemon => return Err(ended(early)),
            () = stop.cancelled() => {}
        }
    }
    drop(story);
    daemon_stop.cancel();
    match tokio::time::timeout(STOP_WITHIN, daemon).await {
        Ok(Ok(Err(error))) => return Err(error.into()),
        Ok(Ok(Ok(())) | Err(_)) | Err(_) => {}
    }
    told
}

fn ended(ended: Result<Result<(), DaemonError>, tokio::task::JoinError>) -> DemoError {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) | Err(_) => DemoError::DaemonStopped,
    }
}
