//! What rules did over all accounts of a shard.

use serde::{Deserialize, Serialize};

use super::applied::Applied;
use super::breaker::Breaker;
use super::shadow::Shadow;

/// Stored with every commit, not only at checkpoints: an urgent commit makes accounts durable that
/// are ahead of the shard's resume offsets, and what their matches counted for here must not be
/// lost, nor counted twice when the other records between are read again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Tally {
    /// The records that are counted.
    pub(super) applied: Applied,
    pub(super) breaker: Breaker,
    /// Experimental rules, which are only watched.
    pub(super) shadow: Shadow,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use crate::engine::tests::message;
    use crate::engine::{
        AccountSource, Incoming, Outcome, Rules, Settings, Shard, Workspace, step,
    };
    use crate::event::{AccountId, Offset, ShardId, TopicIndex};
    use crate::rulebook::{Sources, compile};
    use crate::store::{Batch, StoreError};

    const RULES: &str = "
title: Strong sign
name: strong
status: stable
level: high
logsource: {product: omnichannel, category: message}
detection: {one: {message.text|contains: jahat}, condition: one}
satpam: {risk: 60}
---
title: Weak sign
name: weak
status: stable
level: low
logsource: {product: omnichannel, category: message}
detection: {one: {message.text|contains: aneh}, condition: one}
satpam: {risk: 20}
---
title: Watched sign
name: watched
status: experimental
level: high
logsource: {product: omnichannel, category: message}
detection: {one: {message.text: [jahat, aneh]}, condition: one}
";
    const RECORDS: i64 = 90;
    const TOPIC: TopicIndex = TopicIndex(0);

    fn rules() -> Rules {
        Rules::new(compile(&Sources::of_rules([("rules.yaml", RULES)])).unwrap().0)
    }

    /// Strong and weak signs take turns over many accounts, with a silence of hours in between.
    fn record(offset: i64) -> Incoming {
        let text = if offset % 3 == 0 { "jahat" } else { "aneh" };
        let hours = if offset > 60 { 5 } else { 0 };
        let account = format!("toko-{}", offset % 37);
        message(offset, offset / 2 + hours * 60, &account, text, "someone")
    }

    /// What is durable.
    #[derive(Debug, Clone, Default, PartialEq)]
    struct Disk {
        accounts: BTreeMap<AccountId, Vec<u8>>,
        state: Option<Vec<u8>>,
        tally: Option<Vec<u8>>,
        resume: i64,
    }

    #[derive(Clone, Default)]
    struct SharedDisk(Arc<Mutex<Disk>>);

    impl AccountSource for SharedDisk {
        fn account(&self, account: &AccountId) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(self.0.lock().unwrap().accounts.get(account).cloned())
        }
    }

    impl SharedDisk {
        fn open(&self, rules: &Rules) -> (Shard, i64) {
            let disk = self.0.lock().unwrap().clone();
            let (state, tally) = (disk.state.as_deref(), disk.tally.as_deref());
            let mut shard = Shard::new(ShardId(0), Box::new(self.clone()), state, tally);
            shard.adopt(rules);
            assert_eq!(shard.take_unreadable(), 0);
            (shard, disk.resume)
        }

        fn commit(&self, batch: Batch) {
            let mut disk = self.0.lock().unwrap();
            disk.accounts.extend(batch.accounts);
            disk.state = batch.shard_state.or(disk.state.take());
            disk.tally = batch.shard_tally.or(disk.tally.take());
            disk.resume = batch.offsets.map_or(disk.resume, |offsets| offsets[&TOPIC].0);
        }

        /// As the daemon: effects at once, everything when a rule is throttled or let go.
        fn save(&self, shard: &mut Shard, outcome: &Outcome, next: i64) {
            let mut batch = Batch::default();
            if !outcome.throttlings.is_empty() {
                self.checkpoint(shard, next);
            } else if outcome.has_effects() {
                shard.add_accounts(&outcome.accounts, &mut batch);
                self.commit(batch);
            }
        }

        fn checkpoint(&self, shard: &mut Shard, next: i64) {
            let mut batch = Batch::default();
            shard.add_checkpoint([(TOPIC, Offset(next))].into(), &mut batch);
            self.commit(batch);
            shard.checkpointed(usize::MAX);
        }
    }

    fn play(disk: &SharedDisk, rules: &Rules, until: i64) -> (Shard, Vec<(String, bool)>) {
        let (mut shard, from) = disk.open(rules);
        let mut told = Vec::new();
        for offset in from..until {
            let records = vec![record(offset)];
            let (settings, mut workspace) = (Settings::default(), Workspace::default());
            let outcome =
                step(&mut shard, rules, &settings, records, &mut workspace, &mut |_| {}).unwrap();
            disk.save(&mut shard, &outcome, offset + 1);
            let one = |one: &crate::engine::Throttling| (one.rule.to_string(), one.is_throttled);
            told.extend(outcome.throttlings.iter().map(one));
        }
        (shard, told)
    }

    /// Urgent commits save the accounts with effects alone. What those counted for in the tally was
    /// lost, or counted twice, if the tally were saved at checkpoints only, or without its offsets.
    #[test]
    fn a_crash_at_any_record_neither_loses_nor_doubles_what_the_tally_counts() {
        let rules = rules();
        let undisturbed = SharedDisk::default();
        let (mut shard, told) = play(&undisturbed, &rules, RECORDS);
        undisturbed.checkpoint(&mut shard, RECORDS);
        let watched = shard.tally.shadow.clone();
        assert_eq!(watched.matches("watched"), Some(RECORDS.unsigned_abs()));
        let expected: Vec<(String, bool)> =
            [("weak", true), ("strong", true), ("strong", false), ("weak", false)]
                .map(|(rule, throttled)| (rule.to_owned(), throttled))
                .into();
        assert_eq!(told[..4], expected);
        for crash in 1..RECORDS {
            let disk = SharedDisk::default();
            let (lost, mut heard) = play(&disk, &rules, crash);
            drop(lost);
            let (mut shard, rest) = play(&disk, &rules, RECORDS);
            heard.extend(rest);
            disk.checkpoint(&mut shard, RECORDS);
            assert_eq!(heard, told, "crash at {crash}");
            assert!(*disk.0.lock().unwrap() == *undisturbed.0.lock().unwrap(), "crash at {crash}");
        }
    }
}
