//! Builds the stages, connects them, and stops them in order.

mod decisions;
mod generation;
mod lane;
mod metrics;
mod patience;
mod reload;
mod staging;
mod upkeep;
mod worker;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::console::{self, Closings, Console, Desk};
use crate::engine;
use crate::ingest::{self, DeadLetters, IngestError, InputTopic, Wiring, WorkerFailure};
use crate::respond::{self, Responder};
use crate::rulebook;
use crate::store::{self, Store, StoreError};
use crate::telemetry::{Admin, AdminError, Condition, Liveness, Readiness, Telemetry, systemd};
pub use metrics::Metrics;
use patience::Patience;
use reload::Reloader;
pub use staging::staged;
use upkeep::Upkeep;
use worker::{Shared, Worker};

/// Why the daemon cannot run, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error("the rules in {} cannot be used", path.display())]
    Rules { path: PathBuf, source: rulebook::LoadFailure },
    #[error("the state cannot be opened")]
    Store(#[from] StoreError),
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Console(#[from] console::SocketError),
    #[error("a metric cannot be registered")]
    Metrics(#[from] prometheus::Error),
    #[error("the dead letter target cannot be opened")]
    DeadLetters(#[from] ingest::DeadLetterError),
    #[error("the responder cannot be set up")]
    Respond(#[from] respond::SetupError),
    #[error("reading from Kafka ended")]
    Ingest(#[from] IngestError),
}

/// What a program that runs the daemon inside itself may look at while it runs.
#[derive(Debug)]
pub struct Running {
    pub store: Store,
    pub telemetry: Telemetry,
    /// Where metrics and health are served.
    pub address: SocketAddr,
}

/// Runs until `stop` is cancelled or a stage fails: saves what it has, then returns.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), DaemonError> {
    run_inside(config, Arc::new(SystemClock), oneshot::channel().0, stop).await
}

/// As [`run`], for a program that has the daemon inside itself: whatever goes by a clock goes by
/// its clock, and `opened` is told once, before the first event is read.
pub async fn run_inside(
    config: Config,
    clock: Arc<dyn Clock>,
    opened: oneshot::Sender<Running>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let around = Around::new(&config, clock, stop)?;
    let (reloader, engine_metrics) = load_rules(&config, &around)?;
    let store = open_store(&config, &around)?;
    let (address, admin) = serve_admin(&config, &around).await?;
    let mut tasks = vec![admin];
    tasks.push(tokio::spawn(systemd::feed_watchdog(around.liveness.clone(), around.stop.clone())));

    let responder_stop = CancellationToken::new();
    let (responder, planned) = respond(&config, &around, &store, &reloader, &responder_stop)?;
    let upkeep = Upkeep {
        store: store.clone(),
        settings: config.store.clone(),
        figures: Arc::clone(&reloader.figures),
        clock: Arc::clone(&around.clock),
        metrics: around.metrics.clone(),
    };
    tasks.push(tokio::spawn(upkeep.run(around.stop.clone())));

    let closings = Arc::new(Closings::default());
    tasks.push(serve_console(&config, &around, &store, &reloader, &responder, &closings)?);

    let telemetry = around.telemetry.clone();
    // Nobody listens when the daemon is all there is.
    let _ = opened.send(Running { store: store.clone(), telemetry, address });
    let effects = Effects { planned, closings };
    let ingestion = ingest(&config, &around, &store, &reloader, engine_metrics, effects)?;
    tasks.push(tokio::spawn(reloader.run(around.stop.clone())));
    systemd::ready("reading events");
    ingestion.ended().cancelled().await;

    systemd::stopping("saving state");
    let ended = tokio::task::spawn_blocking(move || ingestion.join()).await;
    around.stop.cancel();
    responder_stop.cancel();
    tasks.push(responder.task);
    for task in tasks {
        // A task that panicked has said so; there is nothing left to save in it.
        drop(task.await);
    }
    ended.unwrap_or_else(|_| {
        Err(IngestError::Worker { number: 0, reason: "the poll thread panicked".to_owned() })
    })?;
    Ok(())
}

/// What every stage is given.
struct Around {
    telemetry: Telemetry,
    readiness: Readiness,
    liveness: Liveness,
    clock: Arc<dyn Clock>,
    metrics: Metrics,
    stop: CancellationToken,
}

impl Around {
    fn new(
        config: &Config,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Result<Self, DaemonError> {
        let telemetry = Telemetry::new()?;
        Ok(Self {
            metrics: Metrics::new(telemetry.registry())?,
            telemetry,
            readiness: Readiness::default(),
            liveness: Liveness::new(config.telemetry.stuck_after.to_std()),
            clock,
            stop,
        })
    }

    fn registry(&self) -> &prometheus::Registry {
        self.telemetry.registry()
    }
}

fn load_rules(
    config: &Config,
    around: &Around,
) -> Result<(Reloader, engine::Metrics), DaemonError> {
    let loaded = reload::load(&config.rules)
        .map_err(|source| DaemonError::Rules { path: config.rules.clone(), source })?;
    let metrics = engine::Metrics::new(around.registry())?;
    let clock = Arc::clone(&around.clock);
    let reloader = Reloader::begin(config.rules.clone(), loaded, metrics.clone(), clock);
    around.readiness.set(Condition::RulesCompiled);
    Ok((reloader, metrics))
}

fn open_store(config: &Config, around: &Around) -> Result<Store, DaemonError> {
    let opened = Store::open(&config.store, store::Metrics::new(around.registry())?)?;
    if let Some(recovered) = &opened.recovered {
        tracing::error!(
            quarantined = %recovered.quarantined.display(),
            reason = recovered.reason,
            "damaged state was set aside, accounts are learnt anew"
        );
    }
    around.readiness.set(Condition::StateOpen);
    Ok(opened.store)
}

async fn serve_admin(
    config: &Config,
    around: &Around,
) -> Result<(SocketAddr, JoinHandle<()>), DaemonError> {
    let admin = Admin::bind(
        config.telemetry.listen,
        around.telemetry.clone(),
        around.readiness.clone(),
        around.liveness.clone(),
    )
    .await?;
    let address = admin.address();
    tracing::info!(%address, "metrics and health are served");
    Ok((address, tokio::spawn(admin.serve(around.stop.clone()))))
}

/// Starts the responder; returns it with the bell that tells it of new entries.
fn respond(
    config: &Config,
    around: &Around,
    store: &Store,
    reloader: &Reloader,
    stop: &CancellationToken,
) -> Result<(Responder, Arc<tokio::sync::Notify>), DaemonError> {
    let planned = Arc::new(tokio::sync::Notify::new());
    let responder = respond::start(
        config.respond.clone(),
        store.clone(),
        Arc::clone(&around.clock),
        respond::Metrics::new(around.registry())?,
        Arc::clone(&reloader.figures),
        Arc::clone(&planned),
        around.liveness.watch("respond"),
        stop.clone(),
    )?;
    Ok((responder, planned))
}

/// Opens the control socket for staff.
fn serve_console(
    config: &Config,
    around: &Around,
    store: &Store,
    reloader: &Reloader,
    responder: &Responder,
    closings: &Arc<Closings>,
) -> Result<JoinHandle<()>, DaemonError> {
    let rules = Arc::clone(&reloader.rules);
    let desk = Desk {
        store: store.clone(),
        operator: responder.operator.clone(),
        closings: Arc::clone(closings),
        clock: Arc::clone(&around.clock),
        rulebook: Arc::new(move || Arc::clone(rules.load().rulebook())),
        staged: Arc::new(staged),
        metrics: console::Metrics::new(around.registry())?,
    };
    let console = Console::bind(&config.console.socket(&config.store.path), desk)?;
    Ok(tokio::spawn(console.serve(around.stop.clone())))
}

/// What the workers share with the stages beside them.
struct Effects {
    /// The bell that tells the responder of new entries.
    planned: Arc<tokio::sync::Notify>,
    closings: Arc<Closings>,
}

fn ingest(
    config: &Config,
    around: &Around,
    store: &Store,
    reloader: &Reloader,
    engine_metrics: engine::Metrics,
    effects: Effects,
) -> Result<ingest::Handle, DaemonError> {
    let ingest_metrics = ingest::Metrics::new(around.registry())?;
    let times = around.metrics.clone();
    let stop = &around.stop;
    let mut topics = Vec::new();
    let mut shapes = BTreeMap::new();
    for (name, shape) in &config.topics {
        let index = store.topic_index(name)?;
        topics.push(InputTopic { index, name: name.clone() });
        shapes.insert(index, (name.clone(), shape.clone()));
    }
    let shared = Arc::new(Shared {
        store: store.clone(),
        rules: Arc::clone(&reloader.rules),
        engine: config.engine.clone(),
        limits: config.limits,
        topics: shapes,
        dead_letters: DeadLetters::open(&config.kafka, ingest_metrics.clone(), stop.clone())?,
        metrics: engine_metrics,
        patience: Patience::new(around.readiness.clone(), stop.clone(), times.clone()),
        times,
        clock: Arc::clone(&around.clock),
        planned: effects.planned,
        closings: effects.closings,
    });
    let resume = Arc::clone(&shared);
    let readiness = around.readiness.clone();
    let liveness = around.liveness.clone();
    let pulse = around.liveness.watch("ingest");
    let resume_pulse = pulse.clone();
    let wiring = Wiring {
        topics,
        resume: Box::new(move |shard| {
            let offsets = resume.patience.wait(&resume_pulse, || resume.resume(shard));
            offsets.map_err(|error| WorkerFailure(error.to_string()))
        }),
        make_worker: Box::new(move |_| {
            Box::new(Worker::new(Arc::clone(&shared), liveness.watch("worker")))
        }),
        metrics: ingest_metrics,
        on_readiness: Box::new(move |state| match state {
            ingest::Readiness::WaitingForKafka => readiness.clear(Condition::AssignmentReceived),
            ingest::Readiness::WaitingForAssignment | ingest::Readiness::Consuming => {
                readiness.set(Condition::AssignmentReceived);
            }
        }),
        pulse,
        stop: stop.clone(),
    };
    Ok(ingest::start(&config.kafka, wiring)?)
}
