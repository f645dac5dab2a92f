//! Which records are in a state already.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::event::{Offset, Position};

/// For each input topic (by its index) one more than the offset of the last record applied: a
/// replay of what was applied changes nothing.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Applied(SmallVec<[i64; 4]>);

impl Applied {
    /// Returns whether the record was applied before.
    pub(super) fn has(&self, position: Position) -> bool {
        let next = self.0.get(usize::from(position.topic.0));
        next.is_some_and(|next| position.offset < Offset(*next))
    }

    /// Notes that the record is applied. Never for one that was applied before: that would take back
    /// those behind it.
    pub(super) fn note(&mut self, position: Position) {
        let topic = usize::from(position.topic.0);
        if self.0.len() <= topic {
            self.0.resize(topic + 1, 0);
        }
        self.0[topic] = position.offset.0 + 1;
    }
}
