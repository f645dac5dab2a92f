//! What one event costs with the shipped rules, and what saving a shard costs.

use std::path::Path;

use satpam::demo::traffic::{AttackKind, Attacks, Scenario, Traffic};
use satpam::engine::{Incoming, NoAccounts, Rules, Settings, Shard, Workspace, step};
use satpam::event::decode::{Limits, WireShape, decode};
use satpam::event::{EventTime, Offset, Position, RawRecord, ShardId, TopicIndex};
use satpam::store::Batch;

fn main() {
    divan::main();
}

/// Monday 2026-11-02 00:00 in Jakarta.
const START: i64 = 1_793_552_400_000;
/// As many as a worker gives to one step.
const STEP_RECORDS: usize = 500;

fn rules() -> Rules {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    Rules::new(satpam::rulebook::load(&folder).expect("the shipped rules are right").rulebook)
}

/// Decoded events of many tenants, in the order of their times.
fn records(count: usize) -> Vec<Incoming> {
    let scenario = Scenario {
        seed: 3,
        accounts: 200,
        start: EventTime::from_millis(START),
        days: 30,
        attacks: Attacks { share: 0.1, kinds: AttackKind::ALL.to_vec() },
    };
    Traffic::new(&scenario)
        .take(count)
        .zip(0..)
        .map(|(event, offset)| {
            let position = Position { topic: TopicIndex(0), offset: Offset(offset) };
            let record = RawRecord {
                shard: ShardId(0),
                position,
                timestamp: None,
                key: None,
                headers: Vec::new(),
                payload: event.payload,
            };
            let events = decode(&WireShape::Satpam, &record, &Limits::default());
            Incoming { position, events: events.expect("generated events are right").into_vec() }
        })
        .collect()
}

fn shard(rules: &Rules) -> Shard {
    let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
    shard.adopt(rules);
    shard
}

fn run(shard: &mut Shard, rules: &Rules, records: Vec<Incoming>, workspace: &mut Workspace) {
    let settings = Settings::default();
    step(shard, rules, &settings, records, workspace, &mut |_| {})
        .expect("no account is read from a store");
}

/// Steps over accounts that have a history, with the shipped rules.
#[divan::bench(sample_count = 20, sample_size = 1)]
fn shipped_rules(bencher: divan::Bencher<'_, '_>) {
    let rules = rules();
    let mut workspace = Workspace::default();
    let mut shard = shard(&rules);
    let mut all = records(60_000).into_iter();
    run(&mut shard, &rules, all.by_ref().take(40_000).collect(), &mut workspace);
    bencher
        .counter(divan::counter::ItemsCount::new(STEP_RECORDS))
        .with_inputs(|| all.by_ref().take(STEP_RECORDS).collect::<Vec<_>>())
        .bench_local_values(|records| run(&mut shard, &rules, records, &mut workspace));
}

/// Collects what a checkpoint saves when every account has changed, without the disk (see the
/// benchmark of the store for that).
#[divan::bench(sample_count = 50, sample_size = 1)]
fn checkpoint(bencher: divan::Bencher<'_, '_>) {
    let rules = rules();
    let mut shard = shard(&rules);
    run(&mut shard, &rules, records(40_000), &mut Workspace::default());
    bencher.bench_local(|| {
        let mut batch = Batch::default();
        shard.add_checkpoint([(TopicIndex(0), Offset(40_000))].into(), &mut batch);
        batch
    });
}
