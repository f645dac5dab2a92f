//! Puts the records of a shard's topics into one order that does not depend on how fast each topic
//! was read.
//!
//! While the shard is behind (its topics have not reached the ends they had when the shard was
//! assigned), the record with the smallest event time at the head of any topic goes first, ties by
//! topic; a topic whose next record has not arrived yet is waited for. The order of one topic's
//! records never changes. So a replay after a crash sees the same order as an uninterrupted run.
//! Behind the ends, records go in the order of their arrival, as in any live stream.

use std::collections::{BTreeMap, VecDeque};

use crate::event::{Event, EventTime, Offset, Position, TopicIndex};

/// One record, decoded: its events, none when it was rejected.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub position: Position,
    pub events: Vec<Event>,
}

impl Incoming {
    /// A rejected record has no time of its own and goes as soon as it is at the head.
    fn time(&self) -> EventTime {
        self.events.first().map_or(EventTime::from_millis(i64::MIN), Event::time)
    }

    /// What it holds in memory, about.
    fn bytes(&self) -> usize {
        let events = self.events.iter().map(|event| event.document().source().len());
        RECORD_OVERHEAD_BYTES + events.sum::<usize>()
    }
}

/// What a record costs besides the texts of its events.
const RECORD_OVERHEAD_BYTES: usize = 300;
/// A topic of which so many records wait for another topic is not read on for now.
const HELD_FROM_RECORDS: usize = 5_000;
/// The same by their bytes.
const HELD_FROM_BYTES: usize = 8 << 20;

/// The queues of one shard.
#[derive(Debug, Default)]
pub struct Merge {
    topics: BTreeMap<TopicIndex, Lane>,
    queued: usize,
}

#[derive(Debug)]
struct Lane {
    queue: VecDeque<Incoming>,
    queued_bytes: usize,
    /// More than enough waits: no more is wanted until most of it has gone.
    is_held: bool,
    /// The offset behind the last record that was handed out.
    next: Offset,
    /// The offset behind the last record that was put in.
    read: Offset,
    /// The end of the topic when the shard was assigned; the lane is waited for until it is read.
    end: Offset,
}

impl Merge {
    /// Starts with the position to resume from and the present end of each topic.
    pub fn new(backlog: impl IntoIterator<Item = (TopicIndex, (Offset, Offset))>) -> Self {
        let lane = |(topic, (next, end))| (topic, Lane::new(next, end));
        Self { topics: backlog.into_iter().map(lane).collect(), queued: 0 }
    }

    /// Adds topics that come later, or that go on at another offset. What waits of a topic stays
    /// when reading goes on behind it.
    pub fn add(&mut self, backlog: impl IntoIterator<Item = (TopicIndex, (Offset, Offset))>) {
        for (topic, (next, end)) in backlog {
            match self.topics.get_mut(&topic) {
                Some(lane) if lane.read <= next => {
                    if lane.queue.is_empty() {
                        lane.next = next;
                    }
                    lane.read = next;
                    lane.end = end;
                }
                Some(lane) => {
                    self.queued -= lane.queue.len();
                    *lane = Lane::new(next, end);
                }
                None => {
                    self.topics.insert(topic, Lane::new(next, end));
                }
            }
        }
    }

    /// Puts a record behind those of its topic. A record that was put in before is ignored.
    pub fn push(&mut self, record: Incoming) {
        let Position { topic, offset } = record.position;
        let lane = self.topics.entry(topic).or_insert_with(|| Lane::new(offset, offset));
        if offset < lane.read {
            return;
        }
        lane.read = Offset(offset.0 + 1);
        lane.queued_bytes += record.bytes();
        lane.queue.push_back(record);
        lane.is_held |=
            lane.queue.len() >= HELD_FROM_RECORDS || lane.queued_bytes >= HELD_FROM_BYTES;
        self.queued += 1;
    }

    /// Takes the record that goes next; nothing when there is none, or a topic must be waited for.
    pub fn pop(&mut self) -> Option<Incoming> {
        if self.queued == 0 || self.waits_for().is_some() {
            return None;
        }
        let (_, lane) = self
            .topics
            .iter_mut()
            .filter(|(_, lane)| !lane.queue.is_empty())
            .min_by_key(|(_, lane)| lane.queue.front().map(Incoming::time))?;
        let record = lane.queue.pop_front()?;
        lane.next = Offset(record.position.offset.0 + 1);
        lane.queued_bytes -= record.bytes();
        lane.is_held &=
            lane.queue.len() > HELD_FROM_RECORDS / 4 || lane.queued_bytes > HELD_FROM_BYTES / 4;
        self.queued -= 1;
        Some(record)
    }

    /// Returns a topic that is behind and whose next record has not arrived.
    pub fn waits_for(&self) -> Option<TopicIndex> {
        let behind = |lane: &Lane| lane.queue.is_empty() && lane.read < lane.end;
        self.topics.iter().find(|(_, lane)| behind(lane)).map(|(topic, _)| *topic)
    }

    /// Notes that a topic has nothing more to read at present. Offsets can end in markers of
    /// transactions, which no consumer is shown, so the end alone is not enough to go by.
    pub fn stop_waiting(&mut self, topic: TopicIndex) {
        if let Some(lane) = self.topics.get_mut(&topic) {
            lane.end = lane.end.min(lane.read);
        }
    }

    /// Returns the topics of which enough waits here for another topic: to read on would only fill
    /// the memory.
    pub fn held(&self) -> impl Iterator<Item = TopicIndex> {
        self.topics.iter().filter(|(_, lane)| lane.is_held).map(|(topic, _)| *topic)
    }

    /// Returns the offset behind the last record handed out, for each topic.
    pub fn resume_offsets(&self) -> BTreeMap<TopicIndex, Offset> {
        self.topics.iter().map(|(topic, lane)| (*topic, lane.next)).collect()
    }
}

impl Lane {
    fn new(next: Offset, end: Offset) -> Self {
        let queue = VecDeque::new();
        Self { queue, queued_bytes: 0, is_held: false, next, read: next, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{AccountId, Document, EventId, EventType};

    fn record(topic: u8, offset: i64, seconds: i64) -> Incoming {
        let event = Event::new(
            EventId::new(&format!("{topic}-{offset}")).unwrap(),
            EventType::new("message.sent"),
            EventTime::from_millis(seconds * 1000),
            AccountId::new("toko").unwrap(),
            Document::parse(b"{}".to_vec()).unwrap(),
        );
        let position = Position { topic: TopicIndex(topic), offset: Offset(offset) };
        Incoming { position, events: vec![event] }
    }

    fn drain(merge: &mut Merge) -> Vec<(u8, i64)> {
        std::iter::from_fn(|| merge.pop())
            .map(|record| (record.position.topic.0, record.position.offset.0))
            .collect()
    }

    fn behind(ends: [i64; 2]) -> Merge {
        Merge::new(
            (0..2).map(|topic| (TopicIndex(topic), (Offset(0), Offset(ends[usize::from(topic)])))),
        )
    }

    #[test]
    fn a_backlog_is_ordered_by_event_time_however_it_arrives() {
        let records = [
            record(0, 0, 10),
            record(0, 1, 30),
            record(0, 2, 20),
            record(1, 0, 5),
            record(1, 1, 25),
        ];
        let expected = [(1, 0), (0, 0), (1, 1), (0, 1), (0, 2)];
        for order in [[0, 1, 2, 3, 4], [3, 4, 0, 1, 2], [0, 3, 1, 4, 2]] {
            let mut merge = behind([3, 2]);
            let mut seen = Vec::new();
            for index in order {
                merge.push(records[index].clone());
                seen.extend(drain(&mut merge));
            }
            assert_eq!(seen, expected, "{order:?}");
        }
    }

    #[test]
    fn a_topic_that_is_behind_is_waited_for_until_its_end_or_until_told_not_to() {
        let mut merge = behind([1, 1]);
        merge.push(record(0, 0, 10));
        assert_eq!(drain(&mut merge), []);
        assert_eq!(merge.waits_for(), Some(TopicIndex(1)));
        merge.stop_waiting(TopicIndex(1));
        assert_eq!(drain(&mut merge), [(0, 0)]);
        // Behind the ends the order is that of arrival.
        merge.push(record(0, 1, 50));
        assert_eq!(drain(&mut merge), [(0, 1)]);
        merge.push(record(1, 0, 20));
        assert_eq!(drain(&mut merge), [(1, 0)]);
        let resume: Vec<_> = merge.resume_offsets().into_values().collect();
        assert_eq!(resume, [Offset(2), Offset(1)]);
    }

    #[test]
    fn a_rejected_record_does_not_hold_up_the_others_and_moves_the_offset() {
        let mut merge = behind([2, 1]);
        merge.push(Incoming { events: Vec::new(), ..record(0, 0, 0) });
        merge.push(record(0, 1, 10));
        merge.push(record(1, 0, 5));
        assert_eq!(drain(&mut merge), [(0, 0), (1, 0), (0, 1)]);
        assert_eq!(merge.resume_offsets()[&TopicIndex(0)], Offset(2));
    }

    #[test]
    fn a_record_that_comes_twice_is_taken_once() {
        let mut merge = behind([2, 0]);
        merge.push(record(0, 0, 1));
        merge.push(record(0, 0, 1));
        merge.push(record(0, 1, 2));
        assert_eq!(drain(&mut merge), [(0, 0), (0, 1)]);
    }
    #[test]
    fn a_topic_that_runs_ahead_is_held_until_most_of_it_has_gone() {
        let last = i64::try_from(HELD_FROM_RECORDS).unwrap();
        let mut merge = behind([last, last]);
        for offset in 0..last {
            assert_eq!(merge.held().next(), None, "at {offset}");
            merge.push(record(0, offset, offset));
        }
        assert_eq!(merge.held().collect::<Vec<_>>(), [TopicIndex(0)]);
        // The slow topic comes: what waited for it goes.
        merge.push(record(1, 0, last - 2));
        // Of equal times the first topic's goes first.
        assert_eq!(drain(&mut merge).len(), HELD_FROM_RECORDS);
        assert_eq!(merge.held().next(), None);
    }

    #[test]
    fn what_waits_of_a_topic_stays_when_reading_goes_on_behind_a_gap() {
        let mut merge = behind([2, 1]);
        merge.push(record(0, 0, 10));
        merge.add([(TopicIndex(0), (Offset(50), Offset(60)))]);
        merge.push(record(1, 0, 20));
        assert_eq!(drain(&mut merge), [(0, 0)]);
        assert_eq!(merge.waits_for(), Some(TopicIndex(0)));
        merge.push(record(0, 50, 30));
        assert_eq!(drain(&mut merge), [(1, 0), (0, 50)]);
    }
}
