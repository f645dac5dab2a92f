//! Events of ours: through the engine, each account with its state.

use std::io::{self, Write};

use super::input::position;
use super::report::Report;
use crate::detect::correlate::Fired;
use crate::engine::{self, Incoming, NoAccounts, Rules, Settings, Shard, Workspace};
use crate::event::decode::Events;
use crate::event::{ShardId, TimeSpan};
use crate::rulebook::RuleIndex;

/// All accounts, empty at the start.
pub(super) struct Accounts<'r> {
    rules: &'r Rules,
    settings: Settings,
    shard: Shard,
    workspace: Workspace,
}

impl<'r> Accounts<'r> {
    pub(super) fn new(rules: &'r Rules) -> Self {
        // Lines are samples as often as they are a stream: none is too late or a repeat.
        let settings = Settings {
            lateness: TimeSpan::from_millis(i64::MAX),
            dedupe_window: TimeSpan::from_millis(0),
            ..Settings::default()
        };
        let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
        shard.adopt(rules);
        Self { rules, settings, shard, workspace: Workspace::default() }
    }

    pub(super) fn evaluate<W: Write>(
        &mut self,
        events: Events,
        line: u64,
        report: &mut Report<'_, W>,
    ) -> io::Result<()> {
        let records = vec![Incoming { position: position(line), events: events.into_vec() }];
        let mut written = Ok(());
        let stepped = engine::step(
            &mut self.shard,
            self.rules,
            &self.settings,
            records,
            &mut self.workspace,
            &mut |seen| {
                for rule in seen.matches {
                    let fired = seen.fired.iter().find(|fired| is_of(fired, *rule));
                    if written.is_ok() {
                        written = report.tell(*rule, Some(seen.account), fired);
                    }
                }
            },
        );
        stepped.map_err(io::Error::other)?;
        written
    }
}

fn is_of(fired: &Fired, rule: RuleIndex) -> bool {
    rule == RuleIndex::Correlation(fired.correlation)
}
