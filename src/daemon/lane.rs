//! One shard in the hands of its worker: its state, the order of its records, and where they stand.

use std::collections::BTreeMap;

use super::generation::{self, Generation};
use crate::engine::{Incoming, Merge, Shard};
use crate::event::{Offset, ShardId, TopicIndex};
use crate::ingest::{Backlog, StartedAt};

/// One shard.
pub(super) struct Lane {
    pub(super) shard: Shard,
    pub(super) merge: Merge,
    generations: BTreeMap<TopicIndex, Generation>,
}

impl Lane {
    /// Starts without a topic; `stored` are the offsets of the store.
    pub(super) fn new(shard: Shard, stored: &BTreeMap<TopicIndex, Offset>) -> Self {
        let generation =
            |(topic, offset): (&TopicIndex, &Offset)| (*topic, Generation::of(*offset));
        let generations = stored.iter().map(generation).collect();
        Self { shard, merge: Merge::default(), generations }
    }

    /// Takes topics in, at the offsets where they are read from. Returns whether one of them was
    /// made anew: then that must become durable before its records are.
    pub(super) fn add(&mut self, backlog: &BTreeMap<TopicIndex, Backlog>) -> bool {
        let mut any_recreated = false;
        for (topic, one) in backlog {
            let generation = self.generations.entry(*topic).or_default();
            match one.started_at {
                StartedAt::Recreated => {
                    *generation = generation.next();
                    any_recreated = true;
                }
                StartedAt::Stored | StartedAt::Unknown | StartedAt::AfterGap { .. } => {}
            }
            let starts = (generation.stored(one.resume), generation.stored(one.end));
            self.merge.add([(*topic, starts)]);
        }
        any_recreated
    }

    /// Puts a record, with Kafka's offset, in its place.
    pub(super) fn push(&mut self, mut record: Incoming) {
        let generation = self.generations.entry(record.position.topic).or_default();
        record.position.offset = generation.stored(record.position.offset);
        self.merge.push(record);
    }

    /// Returns the offsets to resume from, as Kafka knows them.
    pub(super) fn kafka_offsets(
        &self,
        id: ShardId,
    ) -> impl Iterator<Item = (ShardId, TopicIndex, Offset)> {
        let offsets = self.merge.resume_offsets().into_iter();
        offsets.map(move |(topic, offset)| (id, topic, generation::kafka(offset)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::NoAccounts;
    use crate::event::Position;

    const SHARD: ShardId = ShardId(0);
    const TOPIC: TopicIndex = TopicIndex(2);

    fn lane(stored: &[(TopicIndex, Offset)]) -> Lane {
        Lane::new(
            Shard::new(SHARD, Box::new(NoAccounts), None, None),
            &stored.iter().copied().collect(),
        )
    }

    fn backlog(started_at: StartedAt, resume: i64, end: i64) -> BTreeMap<TopicIndex, Backlog> {
        let backlog = Backlog { resume: Offset(resume), end: Offset(end), started_at };
        [(TOPIC, backlog)].into()
    }

    fn record(offset: i64) -> Incoming {
        let position = Position { topic: TOPIC, offset: Offset(offset) };
        Incoming { position, events: Vec::new() }
    }

    #[test]
    fn the_records_of_a_topic_that_was_made_anew_stand_behind_all_that_were_applied() {
        let mut lane = lane(&[(TOPIC, Offset(500))]);
        assert!(lane.add(&backlog(StartedAt::Recreated, 0, 3)));
        lane.push(record(0));
        let first = lane.merge.pop().unwrap().position.offset;
        assert!(first > Offset(1_000_000), "{first:?} may have been applied before");
        assert_eq!(lane.kafka_offsets(SHARD).collect::<Vec<_>>(), [(SHARD, TOPIC, Offset(1))]);
        // A restart goes on in the same generation, a second deletion in the next one.
        let stored: Vec<_> = lane.merge.resume_offsets().into_iter().collect();
        let mut again = self::lane(&stored);
        assert!(!again.add(&backlog(StartedAt::Stored, 1, 3)));
        again.push(record(1));
        let second = again.merge.pop().unwrap().position.offset;
        assert_eq!(second.0, first.0 + 1);
        assert!(again.add(&backlog(StartedAt::Recreated, 0, 9)));
        again.push(record(0));
        assert!(again.merge.pop().unwrap().position.offset > second);
    }
}
