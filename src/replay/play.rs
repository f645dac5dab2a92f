//! One rule set over a stream of events.

use crate::engine::{
    self, Incoming, NoAccounts, Observed, Outcome, Rules, Settings, Shard, Workspace,
};
use crate::event::{Event, Offset, Position, ShardId, TopicIndex};
use crate::store::StoreError;

/// The engine with one shard that begins empty and keeps every account in memory.
#[derive(Debug)]
pub struct Replay<'r> {
    rules: &'r Rules,
    settings: Settings,
    shard: Shard,
    workspace: Workspace,
    played: i64,
}

impl<'r> Replay<'r> {
    /// Starts with no account known.
    pub fn new(rules: &'r Rules, settings: Settings) -> Self {
        let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
        shard.adopt(rules);
        Self { rules, settings, shard, workspace: Workspace::default(), played: 0 }
    }

    /// Plays the next event. `observe` hears of it when it is neither late nor a duplicate, and of
    /// every `absence` that its time reveals, also in other accounts.
    ///
    /// # Errors
    /// Never for a replay: no account is read from a store.
    pub fn play(
        &mut self,
        event: Event,
        observe: &mut dyn FnMut(&Observed<'_>),
    ) -> Result<Outcome, StoreError> {
        let position = Position { topic: TopicIndex(0), offset: Offset(self.played) };
        self.played += 1;
        let record = Incoming { position, events: vec![event] };
        engine::step(
            &mut self.shard,
            self.rules,
            &self.settings,
            vec![record],
            &mut self.workspace,
            observe,
        )
    }
}
