//! The bounded queue between the poll thread and one worker: records count against a bound,
//! commands do not, and both stay in order.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Backlog, Kept};
use crate::event::{RawRecord, ShardId, TopicIndex};

/// What a record costs besides its bytes.
const RECORD_OVERHEAD_BYTES: usize = 200;

/// What a worker is told.
#[derive(Debug)]
pub(super) enum Command {
    Records(Vec<RawRecord>),
    Assigned {
        shard: ShardId,
        backlog: BTreeMap<TopicIndex, Backlog>,
    },
    /// All that the topic has at present stands before this in the queue.
    ReadToEnd {
        shard: ShardId,
        topic: TopicIndex,
    },
    /// `done` is answered, or dropped, when the worker has let go of the shard.
    Revoked {
        shard: ShardId,
        kept: Kept,
        done: SyncSender<()>,
    },
    Stop,
}

/// What a worker's wait ended with.
#[derive(Debug)]
pub(super) enum Next {
    Command(Command),
    TimedOut,
    Closed,
}

#[derive(Debug)]
pub(super) struct Queue {
    records_max: usize,
    bytes_max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    commands: VecDeque<Command>,
    records: usize,
    bytes: usize,
    closed: bool,
}

impl Queue {
    pub(super) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { records_max, bytes_max, state: Mutex::default(), changed: Condvar::new() }
    }

    /// Appends records if there is room, or once there is room within `wait`; otherwise gives them
    /// back. A batch that is larger than the bound fits into an empty queue.
    pub(super) fn push_records(
        &self,
        records: Vec<RawRecord>,
        wait: Duration,
    ) -> Result<(), Vec<RawRecord>> {
        let bytes = bytes_of(&records);
        let (mut state, timeout) = self
            .changed
            .wait_timeout_while(self.lock(), wait, |state| {
                !state.closed
                    && state.records > 0
                    && (state.records + records.len() > self.records_max
                        || state.bytes + bytes > self.bytes_max)
            })
            .unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return Err(records);
        }
        state.append(records, bytes);
        drop(state);
        self.changed.notify_all();
        Ok(())
    }

    /// Appends records whatever the bound says: the one pending batch ahead of a revocation.
    pub(super) fn force_records(&self, records: Vec<RawRecord>) {
        let bytes = bytes_of(&records);
        self.lock().append(records, bytes);
        self.changed.notify_all();
    }

    /// Appends a command. On a closed queue it is dropped, and with it the sender of its answer.
    pub(super) fn push_command(&self, command: Command) {
        let mut state = self.lock();
        if !state.closed {
            state.commands.push_back(command);
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Takes the next command, waiting at most `wait`.
    pub(super) fn pop(&self, wait: Duration) -> Next {
        let (mut state, _) = self
            .changed
            .wait_timeout_while(self.lock(), wait, |state| {
                state.commands.is_empty() && !state.closed
            })
            .unwrap_or_else(PoisonError::into_inner);
        let Some(command) = state.commands.pop_front() else {
            return if state.closed { Next::Closed } else { Next::TimedOut };
        };
        if let Command::Records(records) = &command {
            state.records -= records.len();
            state.bytes -= bytes_of(records);
        }
        drop(state);
        self.changed.notify_all();
        Next::Command(command)
    }

    /// Drops the queued records of a shard that another consumer owns by now.
    pub(super) fn discard(&self, shard: ShardId) {
        let mut state = self.lock();
        for command in &mut state.commands {
            if let Command::Records(records) = command {
                records.retain(|record| record.shard != shard);
            }
        }
        let kept = |command: &Command| match command {
            Command::Records(records) => (records.len(), bytes_of(records)),
            Command::Assigned { .. }
            | Command::ReadToEnd { .. }
            | Command::Revoked { .. }
            | Command::Stop => (0, 0),
        };
        (state.records, state.bytes) = state
            .commands
            .iter()
            .map(kept)
            .fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        drop(state);
        self.changed.notify_all();
    }

    /// Tells whether at most half of the bound is used.
    pub(super) fn is_half_empty(&self) -> bool {
        let state = self.lock();
        state.records <= self.records_max / 2 && state.bytes <= self.bytes_max / 2
    }

    /// Drops everything that is queued and all that comes.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.commands.clear();
        state.records = 0;
        state.bytes = 0;
        drop(state);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn append(&mut self, records: Vec<RawRecord>, bytes: usize) {
        if !self.closed {
            self.records += records.len();
            self.bytes += bytes;
            self.commands.push_back(Command::Records(records));
        }
    }
}

/// Returns what a record holds in memory, about.
pub(super) fn record_bytes(record: &RawRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.payload.len() + record.key.as_ref().map_or(0, Vec::len) + headers + RECORD_OVERHEAD_BYTES
}

fn bytes_of(records: &[RawRecord]) -> usize {
    records.iter().map(record_bytes).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Offset, Position};

    fn records(shard: i32, count: usize) -> Vec<RawRecord> {
        let record = RawRecord {
            shard: ShardId(shard),
            position: Position { topic: TopicIndex(0), offset: Offset(0) },
            timestamp: None,
            key: None,
            headers: Vec::new(),
            payload: b"payload".to_vec(),
        };
        vec![record; count]
    }

    #[test]
    fn records_beyond_the_bound_are_given_back_and_fit_once_there_is_room() {
        let queue = Queue::new(10, 1 << 20);
        queue.push_records(records(0, 8), Duration::ZERO).unwrap();
        assert_eq!(queue.push_records(records(0, 3), Duration::ZERO).unwrap_err().len(), 3);
        assert!(!queue.is_half_empty());
        assert!(matches!(queue.pop(Duration::ZERO), Next::Command(Command::Records(_))));
        queue.push_records(records(0, 3), Duration::ZERO).unwrap();
        assert!(queue.is_half_empty());
    }

    #[test]
    fn a_batch_larger_than_the_bound_fits_into_an_empty_queue() {
        let queue = Queue::new(2, 10);
        queue.push_records(records(0, 5), Duration::ZERO).unwrap();
        assert!(queue.push_records(records(0, 1), Duration::ZERO).is_err());
    }

    #[test]
    fn commands_pass_a_full_queue_but_not_the_records_before_them() {
        let queue = Queue::new(1, 1 << 20);
        queue.push_records(records(0, 1), Duration::ZERO).unwrap();
        queue.push_command(Command::Stop);
        assert!(matches!(queue.pop(Duration::ZERO), Next::Command(Command::Records(_))));
        assert!(matches!(queue.pop(Duration::ZERO), Next::Command(Command::Stop)));
        assert!(matches!(queue.pop(Duration::ZERO), Next::TimedOut));
    }

    #[test]
    fn only_the_lost_shard_is_discarded() {
        let queue = Queue::new(10, 1 << 20);
        queue.push_records([records(1, 2), records(2, 3)].concat(), Duration::ZERO).unwrap();
        queue.discard(ShardId(1));
        let Next::Command(Command::Records(left)) = queue.pop(Duration::ZERO) else {
            panic!("the records of the other shard are gone");
        };
        assert_eq!(left.len(), 3);
        assert!(queue.is_half_empty());
    }

    #[test]
    fn a_closed_queue_answers_by_dropping() {
        let queue = Queue::new(1, 1);
        let (done, answer) = std::sync::mpsc::sync_channel(1);
        queue.close();
        queue.push_command(Command::Revoked { shard: ShardId(0), kept: Kept::Drain, done });
        assert_eq!(answer.try_recv(), Err(std::sync::mpsc::TryRecvError::Disconnected));
        assert!(matches!(queue.pop(Duration::ZERO), Next::Closed));
    }
}
