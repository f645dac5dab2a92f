//! One rule set over a stream: plays it, counts, and reports.

use std::collections::BTreeMap;

use super::ablation::History;
use super::attack::Attack;
use super::calibration::Calibration;
use super::judge::Judge;
use super::play::Replay;
use super::report::{Difference, Report};
use super::tally::{Alarm, Tally};
use crate::engine::{EventOutcome, Rules, Settings};
use crate::event::{AccountId, Event, EventTime};
use crate::store::StoreError;

/// What a backtest looks at.
#[derive(Debug, Clone)]
pub struct Options {
    pub settings: Settings,
    /// Events before this teach the baselines; nothing that they raise is counted.
    pub since: EventTime,
    /// The attacks that the stream holds, where they are known.
    pub attacks: Option<Vec<Attack>>,
    /// Whether to find out what each rule adds.
    pub ablation: bool,
}

/// A rule set that is played over a stream.
#[derive(Debug)]
pub struct Backtest<'r> {
    pub(super) rules: &'r Rules,
    replay: Replay<'r>,
    pub(super) since: EventTime,
    pub(super) tally: Tally,
    pub(super) judge: Option<Judge>,
    pub(super) calibration: Calibration,
    history: Option<History>,
    pub(super) outcomes: BTreeMap<EventOutcome, u64>,
}

impl<'r> Backtest<'r> {
    pub fn new(rules: &'r Rules, options: Options) -> Self {
        Self {
            rules,
            replay: Replay::new(rules, options.settings),
            since: options.since,
            tally: Tally::new(rules, options.since),
            judge: options.attacks.map(Judge::new),
            calibration: Calibration::default(),
            history: options.ablation.then(History::default),
            outcomes: BTreeMap::new(),
        }
    }

    /// Plays the next event and returns what it raised.
    ///
    /// # Errors
    /// Never: no account is read from a store.
    pub fn play(&mut self, event: Event) -> Result<Vec<Alarm>, StoreError> {
        let Self { rules, replay, since, tally, judge, calibration, history, outcomes } = self;
        let account = tally.arrive(&event);
        let is_counted = event.time() >= *since;
        if let Some(judge) = judge {
            judge.arrive(&event);
        }
        let mut alarms = Vec::new();
        let outcome = replay.play(event, &mut |seen| {
            if seen.matches.is_empty() {
                return;
            }
            let is_ordinary =
                judge.as_ref().is_none_or(|judge| judge.is_false(seen.account, seen.now()));
            if is_ordinary && tally.counts(seen.time) {
                calibration.note(account, seen);
            }
            let mut noted = tally.observe(seen, rules);
            if let Some(judge) = judge.as_mut().filter(|_| tally.counts(seen.time)) {
                judge.observe(seen, &noted, rules);
            }
            if let Some(history) = history {
                history.note(noted.account, seen, rules);
            }
            alarms.append(&mut noted.alarms);
        })?;
        if is_counted {
            for ((_, fate), count) in outcome.events {
                *outcomes.entry(fate).or_default() += count;
            }
        }
        Ok(alarms)
    }

    /// Returns what the stream has led to so far.
    pub fn report(&self) -> Report {
        let mut report = Report::of(self);
        if let Some(history) = &self.history {
            let accounts: BTreeMap<usize, (AccountId, Vec<&Attack>)> = self
                .tally
                .accounts
                .iter()
                .enumerate()
                .map(|(number, account)| (number, (account.id.clone(), self.attacks(&account.id))))
                .collect();
            report.ablation = Some(history.added(self.rules, self.since, &accounts));
        }
        report
    }

    /// Returns what this rule set raises that `other` does not, and the reverse.
    pub fn difference(&self, other: &Backtest<'_>) -> Difference {
        Difference::between(self, other)
    }

    fn attacks(&self, account: &AccountId) -> Vec<&Attack> {
        let attacks = self.judge.iter().flat_map(|judge| &judge.attacks);
        attacks.map(|progress| &progress.attack).filter(|one| one.account == *account).collect()
    }
}
