//! How far each partition is: delivered, handled, safe, committed. Pure.
//!
//! The law: committed <= safe <= handled <= delivered.

use std::collections::BTreeMap;

use super::StartedAt;
use crate::event::{Offset, ShardId, TopicIndex};

pub(super) type PartitionKey = (ShardId, TopicIndex);

/// One assigned partition. All offsets are "next": the first that is not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) delivered: Offset,
    pub(super) handled: Offset,
    pub(super) safe: Option<Offset>,
    pub(super) committed: Option<Offset>,
    /// The end of the partition as the broker told it last.
    pub(super) end: Option<Offset>,
    /// How many looks in a row found nothing more to read; see [`Partitions::looked`].
    quiet_looks: u8,
}

/// All assigned partitions.
#[derive(Debug, Default)]
pub(super) struct Partitions(BTreeMap<PartitionKey, Progress>);

impl Partitions {
    pub(super) fn assign(&mut self, key: PartitionKey, start: Offset, end: Option<Offset>) {
        let progress = Progress {
            delivered: start,
            handled: start,
            safe: None,
            committed: None,
            end,
            quiet_looks: 0,
        };
        self.0.insert(key, progress);
    }

    pub(super) fn revoke(&mut self, key: PartitionKey) {
        self.0.remove(&key);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (PartitionKey, Progress)> {
        self.0.iter().map(|(key, progress)| (*key, *progress))
    }

    pub(super) fn of_shard(&self, shard: ShardId) -> impl Iterator<Item = (TopicIndex, Progress)> {
        self.0
            .range((shard, TopicIndex(u8::MIN))..=(shard, TopicIndex(u8::MAX)))
            .map(|((_, topic), progress)| (*topic, *progress))
    }

    pub(super) fn delivered(&mut self, key: PartitionKey, record: Offset) {
        if let Some(progress) = self.0.get_mut(&key) {
            progress.delivered = progress.delivered.max(Offset(record.0 + 1));
        }
    }

    pub(super) fn handled(&mut self, key: PartitionKey, next: Offset) {
        if let Some(progress) = self.0.get_mut(&key) {
            progress.handled = progress.handled.max(next.min(progress.delivered));
        }
    }

    pub(super) fn safe(&mut self, key: PartitionKey, next: Offset) {
        if let Some(progress) = self.0.get_mut(&key) {
            progress.safe = progress.safe.max(Some(next.min(progress.handled)));
        }
    }

    pub(super) fn end(&mut self, key: PartitionKey, end: Offset) {
        if let Some(progress) = self.0.get_mut(&key) {
            progress.end = progress.end.max(Some(end));
        }
    }

    /// Notes whether the client had anything more to read of a partition. Returns `true` at the
    /// second look in a row that found nothing: one alone may fall between two steps of the client.
    pub(super) fn looked(&mut self, key: PartitionKey, is_quiet: bool) -> bool {
        let Some(progress) = self.0.get_mut(&key) else { return false };
        progress.quiet_looks = if is_quiet { progress.quiet_looks.saturating_add(1) } else { 0 };
        progress.quiet_looks == 2
    }

    /// Returns what is safe and not committed yet, and counts it as committed.
    pub(super) fn take_commits(
        &mut self,
        wanted: impl Fn(PartitionKey) -> bool,
    ) -> Vec<(PartitionKey, Offset)> {
        let mut commits = Vec::new();
        for (key, progress) in &mut self.0 {
            if let Some(safe) = progress.safe
                && progress.committed != Some(safe)
                && wanted(*key)
            {
                progress.committed = Some(safe);
                commits.push((*key, safe));
            }
        }
        commits
    }

    /// A commit failed: what is safe counts as not committed again.
    pub(super) fn commit_failed(&mut self) {
        for progress in self.0.values_mut() {
            progress.committed = None;
        }
    }
}

impl Progress {
    /// Returns how many records are in the partition and not handled yet.
    pub(super) fn lag(self) -> i64 {
        self.end.map_or(0, |end| end.0.saturating_sub(self.handled.0).max(0))
    }
}

/// Decides where reading starts.
///
/// `stored` is the next offset by our own store; `watermarks` are the partition's first offset and
/// its end. A stored offset outside of them is never followed silently.
pub(super) fn start_offset(
    stored: Option<Offset>,
    watermarks: (Offset, Offset),
    from_latest: bool,
) -> (Offset, StartedAt) {
    let (first, end) = watermarks;
    match stored {
        None if from_latest => (end, StartedAt::Unknown),
        None => (first, StartedAt::Unknown),
        Some(stored) if stored < first => {
            (first, StartedAt::AfterGap { missed: first.0.saturating_sub(stored.0) })
        }
        Some(stored) if stored > end => (first, StartedAt::Recreated),
        Some(stored) => (stored, StartedAt::Stored),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: PartitionKey = (ShardId(3), TopicIndex(1));

    #[test]
    fn reading_starts_where_the_store_says_or_tells_why_not() {
        let watermarks = (Offset(100), Offset(200));
        for (stored, from_latest, start, reason) in [
            (None, false, 100, StartedAt::Unknown),
            (None, true, 200, StartedAt::Unknown),
            (Some(100), true, 100, StartedAt::Stored),
            (Some(150), false, 150, StartedAt::Stored),
            (Some(200), false, 200, StartedAt::Stored),
            (Some(99), true, 100, StartedAt::AfterGap { missed: 1 }),
            (Some(0), false, 100, StartedAt::AfterGap { missed: 100 }),
            (Some(201), true, 100, StartedAt::Recreated),
        ] {
            assert_eq!(
                start_offset(stored.map(Offset), watermarks, from_latest),
                (Offset(start), reason),
                "stored {stored:?}"
            );
        }
    }

    #[test]
    fn an_offset_is_committed_once_and_again_after_a_failure() {
        let mut partitions = Partitions::default();
        partitions.assign(KEY, Offset(5), None);
        assert_eq!(partitions.take_commits(|_| true), []);
        partitions.delivered(KEY, Offset(9));
        partitions.handled(KEY, Offset(10));
        partitions.safe(KEY, Offset(8));
        assert_eq!(partitions.take_commits(|key| key != KEY), []);
        assert_eq!(partitions.take_commits(|_| true), [(KEY, Offset(8))]);
        assert_eq!(partitions.take_commits(|_| true), []);
        partitions.commit_failed();
        assert_eq!(partitions.take_commits(|_| true), [(KEY, Offset(8))]);
    }

    #[test]
    fn a_revoked_partition_takes_no_more_news() {
        let mut partitions = Partitions::default();
        partitions.assign(KEY, Offset(0), None);
        partitions.revoke(KEY);
        partitions.delivered(KEY, Offset(3));
        partitions.safe(KEY, Offset(4));
        assert_eq!(partitions.take_commits(|_| true), []);
        assert!(partitions.is_empty());
    }

    proptest! {
        #[test]
        fn nothing_unfinished_is_committed(
            steps in proptest::collection::vec((0u8..4, 0i64..100), 0..60)
        ) {
            let mut partitions = Partitions::default();
            partitions.assign(KEY, Offset(0), None);
            let mut handled = 0;
            let mut delivered = 0;
            for (kind, offset) in steps {
                match kind {
                    0 => {
                        partitions.delivered(KEY, Offset(offset));
                        delivered = delivered.max(offset + 1);
                    }
                    1 => {
                        partitions.handled(KEY, Offset(offset));
                        handled = handled.max(offset.min(delivered));
                    }
                    2 => partitions.safe(KEY, Offset(offset)),
                    _ => {
                        for (_, committed) in partitions.take_commits(|_| true) {
                            prop_assert!(committed.0 <= handled);
                        }
                    }
                }
            }
        }
    }
}
