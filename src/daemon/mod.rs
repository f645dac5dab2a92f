//! Builds the stages, connects them, and stops them in order.

mod worker;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::engine::{self, Rules};
use crate::ingest::{self, DeadLetters, IngestError, InputTopic, Wiring, WorkerFailure};
use crate::respond;
use crate::rulebook;
use crate::store::{self, Store, StoreError};
use crate::telemetry::{Admin, AdminError, Condition, Liveness, Readiness, Telemetry, systemd};
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

/// As [`run`], for a program that has the daemon inside itself: the responses go by its clock, and
/// `opened` is told once, before the first event is read.
#[expect(clippy::too_many_lines, reason = "the stages in the order in which they are connected")]
pub async fn run_inside(
    config: Config,
    clock: Arc<dyn Clock>,
    opened: oneshot::Sender<Running>,
    stop: CancellationToken,
) -> Result<(), DaemonError> {
    let telemetry = Telemetry::new()?;
    let registry = telemetry.registry();
    let readiness = Readiness::default();
    let liveness = Liveness::new(config.telemetry.stuck_after.to_std());

    let loaded = rulebook::load(&config.rules)
        .map_err(|source| DaemonError::Rules { path: config.rules.clone(), source })?;
    if !loaded.warnings.is_empty() {
        let findings = loaded.warnings.len();
        tracing::warn!(findings, "the rules have findings: run `satpam check` on them");
    }
    let half_life = loaded.rulebook.policy.half_life_millis;
    let rules = Arc::new(Rules::new(loaded.rulebook));
    let engine_metrics = engine::Metrics::new(registry)?;
    engine_metrics.show_rules(&rules);
    readiness.set(Condition::RulesCompiled);

    let state = Store::open(&config.store, store::Metrics::new(registry)?)?;
    if let Some(recovered) = &state.recovered {
        tracing::error!(
            quarantined = %recovered.quarantined.display(),
            reason = recovered.reason,
            "damaged state was set aside, accounts are learnt anew"
        );
    }
    let store = state.store;
    readiness.set(Condition::StateOpen);

    let admin = Admin::bind(
        config.telemetry.listen,
        telemetry.clone(),
        readiness.clone(),
        liveness.clone(),
    )
    .await?;
    let address = admin.address();
    tracing::info!(%address, "metrics and health are served");
    let admin = tokio::spawn(admin.serve(stop.clone()));
    let watchdog = tokio::spawn(systemd::feed_watchdog(liveness, stop.clone()));

    let planned = Arc::new(tokio::sync::Notify::new());
    let figures = Arc::new(respond::Figures::default());
    figures.half_life_millis.store(half_life, std::sync::atomic::Ordering::Relaxed);
    let responder_stop = CancellationToken::new();
    let responder = respond::start(
        config.respond.clone(),
        store.clone(),
        clock,
        respond::Metrics::new(registry)?,
        figures,
        Arc::clone(&planned),
        responder_stop.clone(),
    )?;

    let ingest_metrics = ingest::Metrics::new(registry)?;
    let mut topics = Vec::new();
    let mut shapes = std::collections::BTreeMap::new();
    for (name, shape) in &config.topics {
        let index = store.topic_index(name)?;
        topics.push(InputTopic { index, name: name.clone() });
        shapes.insert(index, (name.clone(), shape.clone()));
    }
    let shared = Arc::new(Shared {
        store: store.clone(),
        rules,
        engine: config.engine.clone(),
        limits: config.limits,
        topics: shapes,
        dead_letters: DeadLetters::open(&config.kafka, ingest_metrics.clone(), stop.clone())?,
        metrics: engine_metrics,
        planned,
    });
    let resume_store = store.clone();
    let is_ready = readiness.clone();
    let handle = ingest::start(
        &config.kafka,
        Wiring {
            topics,
            resume: Box::new(move |shard| {
                let offsets = resume_store.shard(shard).resume_offsets();
                offsets.map_err(|error| WorkerFailure(error.to_string()))
            }),
            make_worker: Box::new(move |_| Box::new(Worker::new(Arc::clone(&shared)))),
            metrics: ingest_metrics,
            on_readiness: Box::new(move |state| match state {
                ingest::Readiness::WaitingForKafka => is_ready.clear(Condition::AssignmentReceived),
                ingest::Readiness::WaitingForAssignment | ingest::Readiness::Consuming => {
                    is_ready.set(Condition::AssignmentReceived);
                }
            }),
            stop: stop.clone(),
        },
    )?;
    // Nobody may be waiting for it.
    let _ = opened.send(Running { store, telemetry, address });
    systemd::ready("reading events");
    handle.ended().cancelled().await;
    systemd::stopping("saving state");
    let ended = tokio::task::spawn_blocking(move || handle.join()).await;
    stop.cancel();
    responder_stop.cancel();
    for task in [responder.task, admin, watchdog] {
        // A task that panicked has said so; there is nothing left to save in it.
        drop(task.await);
    }
    ended.unwrap_or_else(|_| {
        Err(IngestError::Worker { number: 0, reason: "the poll thread panicked".to_owned() })
    })?;
    Ok(())
}
