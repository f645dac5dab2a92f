//! A worker thread: takes the commands of its shards in order and calls the engine.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Command, Next};
use super::shared::Shared;
use super::{IngestError, ShardWorker, WorkerFailure};
use crate::event::{Offset, RawRecord};

/// Runs until told to stop, or until the worker fails: then the whole ingestion ends.
pub(super) fn run(shared: &Arc<Shared>, number: usize, worker: Box<dyn ShardWorker>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| serve(shared, number, worker)));
    let failure = match outcome {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure.0,
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it panicked".to_owned()),
    };
    shared.fail(IngestError::Worker { number, reason: failure });
    shared.queues[number].close();
}

fn serve(
    shared: &Shared,
    number: usize,
    mut worker: Box<dyn ShardWorker>,
) -> Result<(), WorkerFailure> {
    let queue = &shared.queues[number];
    let idle_after = Duration::from_millis(shared.settings.idle_interval.millis().unsigned_abs());
    loop {
        match queue.pop(idle_after) {
            Next::Command(Command::Records(records)) => {
                let handled = last_offsets(&records);
                worker.records(records)?;
                let mut partitions = shared.partitions();
                for (key, next) in handled {
                    partitions.handled(key, next);
                }
                drop(partitions);
            }
            Next::Command(Command::Assigned { shard, backlog }) => {
                worker.assigned(shard, &backlog)?;
            }
            Next::Command(Command::ReadToEnd { shard, topic }) => {
                worker.read_to_end(shard, topic)?;
            }
            Next::Command(Command::Revoked { shard, kept, done }) => {
                worker.revoked(shard, kept)?;
                publish(shared, number, worker.as_mut());
                // The other side may have stopped waiting.
                let _ = done.try_send(());
            }
            Next::TimedOut => worker.idle()?,
            Next::Command(Command::Stop) | Next::Closed => return Ok(()),
        }
        publish(shared, number, worker.as_mut());
    }
}

fn publish(shared: &Shared, number: usize, worker: &mut dyn ShardWorker) {
    shared.hold(number, worker.held());
    let safe = worker.safe_offsets();
    if safe.is_empty() {
        return;
    }
    let mut partitions = shared.partitions();
    for (shard, topic, next) in safe {
        partitions.safe((shard, topic), next);
    }
}

fn last_offsets(records: &[RawRecord]) -> BTreeMap<super::progress::PartitionKey, Offset> {
    records
        .iter()
        .map(|record| ((record.shard, record.position.topic), Offset(record.position.offset.0 + 1)))
        .collect()
}
