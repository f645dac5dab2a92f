//! What a checkpoint and an urgent commit cost, each until it is on the disk.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};

use prometheus::Registry;
use satpam::event::{AccountId, Offset, ShardId, TopicIndex};
use satpam::store::{Batch, Metrics, Settings, ShardStore, Store};

fn main() {
    divan::main();
}

const STATE_BYTES: usize = 300;

/// All accounts of a shard are dirty: the checkpoint of a busy few seconds.
#[divan::bench(args = [100, 1_000, 20_000], sample_count = 20, sample_size = 1)]
fn checkpoint(bencher: divan::Bencher<'_, '_>, accounts: usize) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shard = shard(folder.path());
    let number = AtomicI64::new(0);
    bencher
        .counter(divan::counter::ItemsCount::new(accounts))
        .with_inputs(|| batch(accounts, number.fetch_add(1, Ordering::Relaxed)))
        .bench_refs(|batch| shard.commit(batch).expect("the disk has room"));
}

/// One account among many, as when an incident opens.
#[divan::bench(sample_count = 200, sample_size = 1)]
fn urgent_commit(bencher: divan::Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shard = shard(folder.path());
    let _ = shard.commit(&batch(20_000, 0)).expect("the disk has room");
    let number = AtomicI64::new(0);
    bencher
        .with_inputs(|| batch(1, number.fetch_add(1, Ordering::Relaxed)))
        .bench_refs(|batch| shard.commit(batch).expect("the disk has room"));
}

/// Reading one account back, as when it is seen for the first time after a restart.
#[divan::bench]
fn read_account(bencher: divan::Bencher<'_, '_>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let shard = shard(folder.path());
    let _ = shard.commit(&batch(20_000, 0)).expect("the disk has room");
    let wanted = account(12_345);
    bencher.bench(|| shard.account(&wanted).expect("the store is whole"));
}

fn shard(folder: &std::path::Path) -> ShardStore {
    let settings = Settings { path: folder.join("state"), ..Settings::default() };
    let metrics = Metrics::new(&Registry::new()).expect("an empty registry");
    Store::open(&settings, metrics).expect("a new store").store.shard(ShardId(0))
}

fn batch(accounts: usize, number: i64) -> Batch {
    let state = number.to_le_bytes().repeat(STATE_BYTES / 8);
    Batch {
        accounts: (0..accounts).map(|index| (account(index), state.clone())).collect(),
        offsets: Some(BTreeMap::from([(TopicIndex(0), Offset(number))])),
        ..Batch::default()
    }
}

fn account(index: usize) -> AccountId {
    AccountId::new(&format!("account-{index}")).expect("a short id")
}
