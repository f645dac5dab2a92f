//! Where a backtest's events come from: lines of files and records of topics, by event time.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::PathBuf;
use std::str::FromStr;

use crate::config::Config;
use crate::event::decode::{self, Limits, WireShape};
use crate::event::{Document, Event, EventTime, Offset, Position, RawRecord, ShardId, TopicIndex};
use crate::ingest::{self, PartitionScan, ScanError};

/// One place that events come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    StandardInput,
    File(PathBuf),
    Topic(String),
}

impl FromStr for Source {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text.strip_prefix("kafka:") {
            Some(topic) => Self::Topic(topic.to_owned()),
            None if text == "-" => Self::StandardInput,
            None => Self::File(PathBuf::from(text)),
        })
    }
}

/// Events that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum InputError {
    #[error("cannot read {name}")]
    File { name: String, source: io::Error },
    #[error("cannot read the topic {topic}")]
    Topic { topic: String, source: ScanError },
}

/// All sources together.
pub(super) struct Input {
    lanes: Vec<Lane>,
    /// The lanes by the time of their next event.
    next: BinaryHeap<Reverse<(EventTime, usize)>>,
    limits: Limits,
    total_bytes: Option<u64>,
    unreadable: u64,
}

/// One file, or one partition of a topic.
struct Lane {
    name: String,
    records: Records,
    /// Nothing where the shape is seen from each record.
    shape: Option<WireShape>,
    events: VecDeque<Event>,
    number: u64,
    read_bytes: u64,
}

enum Records {
    Lines(Box<dyn BufRead>),
    Partition(PartitionScan),
}

/// Records that could not be read and are told one by one; the rest are counted.
const TOLD_MAX: u64 = 20;

impl Input {
    pub(super) fn open(
        sources: &[Source],
        config: &Config,
        kafka: &ingest::Settings,
    ) -> Result<Self, InputError> {
        let mut input = Self {
            lanes: Vec::new(),
            next: BinaryHeap::new(),
            limits: config.limits,
            total_bytes: Some(0),
            unreadable: 0,
        };
        for source in sources {
            match source {
                Source::StandardInput => {
                    input.total_bytes = None;
                    let lines = Box::new(BufReader::new(io::stdin()));
                    input.add("the standard input".to_owned(), Records::Lines(lines), None);
                }
                Source::File(path) => {
                    let name = path.display().to_string();
                    let failed = |source| InputError::File { name: name.clone(), source };
                    let file = File::open(path).map_err(failed)?;
                    let bytes = file.metadata().map_err(failed)?.len();
                    input.total_bytes = input.total_bytes.map(|total| total + bytes);
                    let lines = Box::new(BufReader::with_capacity(1 << 18, file));
                    input.add(name, Records::Lines(lines), None);
                }
                Source::Topic(topic) => {
                    input.total_bytes = None;
                    let scans = ingest::scan(kafka, topic)
                        .map_err(|source| InputError::Topic { topic: topic.clone(), source })?;
                    let shape = config.topics.get(topic).cloned().unwrap_or_default();
                    for scan in scans {
                        let records = Records::Partition(scan);
                        input.add(topic.clone(), records, Some(shape.clone()));
                    }
                }
            }
        }
        for lane in 0..input.lanes.len() {
            input.refill(lane)?;
        }
        Ok(input)
    }

    fn add(&mut self, name: String, records: Records, shape: Option<WireShape>) {
        self.lanes.push(Lane {
            name,
            records,
            shape,
            events: VecDeque::new(),
            number: 0,
            read_bytes: 0,
        });
    }

    /// Returns the size of all sources; nothing where one has none.
    pub(super) fn total_bytes(&self) -> Option<u64> {
        self.total_bytes
    }

    pub(super) fn read_bytes(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.read_bytes).sum()
    }

    pub(super) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Returns the event with the earliest time of those that come next in each source.
    pub(super) fn next_event(&mut self) -> Result<Option<Event>, InputError> {
        let Some(Reverse((_, lane))) = self.next.pop() else { return Ok(None) };
        let event = self.lanes[lane].events.pop_front();
        self.refill(lane)?;
        Ok(event)
    }

    fn refill(&mut self, number: usize) -> Result<(), InputError> {
        loop {
            let lane = &mut self.lanes[number];
            if let Some(event) = lane.events.front() {
                self.next.push(Reverse((event.time(), number)));
                return Ok(());
            }
            let Some(record) = lane.read()? else { return Ok(()) };
            if record.payload.is_empty() && lane.shape.is_none() {
                continue;
            }
            match decode(lane.shape.as_ref(), &record, &self.limits) {
                Ok(events) => lane.events.extend(events),
                Err(problem) => {
                    self.unreadable += 1;
                    tell(self.unreadable, &lane.name, lane.number, &problem);
                }
            }
        }
    }
}

impl Lane {
    fn read(&mut self) -> Result<Option<RawRecord>, InputError> {
        self.number += 1;
        match &mut self.records {
            Records::Lines(lines) => {
                let mut payload = Vec::new();
                let bytes = lines
                    .read_until(b'\n', &mut payload)
                    .map_err(|source| InputError::File { name: self.name.clone(), source })?;
                if bytes == 0 {
                    return Ok(None);
                }
                self.read_bytes += bytes as u64;
                payload.truncate(payload.trim_ascii_end().len());
                let offset = Offset(i64::try_from(self.number).unwrap_or(i64::MAX));
                Ok(Some(RawRecord {
                    shard: ShardId(0),
                    position: Position { topic: TopicIndex(0), offset },
                    timestamp: None,
                    key: None,
                    headers: Vec::new(),
                    payload,
                }))
            }
            Records::Partition(scan) => scan
                .next_record()
                .map_err(|source| InputError::Topic { topic: self.name.clone(), source }),
        }
    }
}

fn decode(
    shape: Option<&WireShape>,
    record: &RawRecord,
    limits: &Limits,
) -> Result<decode::Events, String> {
    let seen;
    let shape = if let Some(shape) = shape {
        shape
    } else {
        let document =
            Document::parse(record.payload.clone()).map_err(|error| error.to_string())?;
        seen = if document.root().get("specversion").is_some() {
            WireShape::CloudEvents
        } else {
            WireShape::Satpam
        };
        &seen
    };
    decode::decode(shape, record, limits).map_err(|rejection| rejection.to_string())
}

#[expect(clippy::print_stderr, reason = "what cannot be read is told to a person")]
fn tell(unreadable: u64, name: &str, number: u64, problem: &str) {
    if unreadable <= TOLD_MAX {
        eprintln!("satpam: {name}, record {number}: {problem}");
    } else if unreadable == TOLD_MAX + 1 {
        eprintln!("satpam: further records that cannot be read are only counted");
    }
}
