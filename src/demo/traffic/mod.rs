//! A whole platform's traffic from a seed: tenants of all sizes, and attacks that are labelled.
//!
//! Events come in the order of their times, one at a time: memory grows with the accounts, not with
//! the events. The same [`Scenario`] gives the same bytes on every machine. Tenants follow Jakarta's
//! day and week, paydays and double dates; some grow, some start late, some roam between networks,
//! some hire. Their sizes are those of the worlds on which the baselines were tuned.

mod attack;
mod delivery;
mod envelope;
mod random;
mod season;
mod tenant;
#[cfg(test)]
mod tests;
mod texts;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

pub use attack::AttackKind;
pub use delivery::{Delivered, Delivery};

use crate::event::{AccountId, EventTime};
use attack::Step;
use envelope::Work;
use tenant::Tenant;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// What to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    pub seed: u64,
    /// How many tenants.
    pub accounts: u32,
    /// Time of the first event at the earliest.
    pub start: EventTime,
    /// How many days, from `start`.
    pub days: u32,
    pub attacks: Attacks,
}

/// Which attacks happen. An account is attacked at most once, not before its eighth day or a third
/// of the scenario, whichever is later, unless the scenario is shorter.
#[derive(Debug, Clone, PartialEq)]
pub struct Attacks {
    /// Share of the accounts that are attacked, 0 to 1.
    pub share: f64,
    /// What they are attacked with, each as often as the others.
    pub kinds: Vec<AttackKind>,
}

/// Which topic an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TopicKind {
    Messages,
    Templates,
    Broadcasts,
    Accounts,
}

/// One event on its way to Kafka.
#[derive(Clone)]
pub struct TrafficEvent {
    /// Its `id`, unique in the scenario.
    pub id: String,
    pub topic: TopicKind,
    pub account: AccountId,
    pub time: EventTime,
    /// JSON in the satpam envelope.
    pub payload: Vec<u8>,
    /// The attack that it is part of.
    pub label: Option<AttackKind>,
}

/// The tenant of a planned attack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub account: AccountId,
    /// `account.name` in its events.
    pub name: String,
}

/// Hides the payload, as for real traffic.
impl std::fmt::Debug for TrafficEvent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TrafficEvent")
            .field("topic", &self.topic)
            .field("account", &self.account)
            .field("time", &self.time)
            .field("label", &self.label)
            .finish_non_exhaustive()
    }
}

/// The two things that happen in an account side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stream {
    Ordinary,
    Attack,
}

/// The events of a scenario, in the order of their times.
#[derive(Debug)]
pub struct Traffic {
    seed: u64,
    end: EventTime,
    tenants: Vec<Tenant>,
    /// The next event of each stream of each tenant, the earliest on top.
    next: BinaryHeap<Reverse<(EventTime, usize, Stream)>>,
    sequence: u64,
}

impl Traffic {
    /// Sets the tenants up and finds the first event of each.
    pub fn new(scenario: &Scenario) -> Self {
        let end = scenario.start.plus_millis(i64::from(scenario.days) * DAY);
        let mut tenants: Vec<_> = (1..=u64::from(scenario.accounts))
            .map(|number| Tenant::new(scenario, number))
            .collect();
        let mut next = BinaryHeap::new();
        for (at, tenant) in tenants.iter_mut().enumerate() {
            if let Some(time) = tenant.next_time(scenario.start, end) {
                next.push(Reverse((time, at, Stream::Ordinary)));
            }
            if let Some(attack) = tenant.attack.as_ref().filter(|attack| attack.start < end) {
                next.push(Reverse((attack.start, at, Stream::Attack)));
            }
        }
        Self { seed: scenario.seed, end, tenants, next, sequence: 0 }
    }

    /// Lets one tenant of a plan be attacked at `start`, whatever the scenario says: the first that
    /// has existed for more than seven days by then. Returns nothing when there is none.
    pub fn attack(&mut self, plan: &str, kind: AttackKind, start: EventTime) -> Option<Target> {
        let (at, tenant) = self.tenants.iter_mut().enumerate().find(|(_, tenant)| {
            let age = start.millis_since(tenant.first);
            tenant.plan.name == plan && tenant.attack.is_none() && age > 7 * DAY
        })?;
        tenant.become_target(kind, start);
        self.next.push(Reverse((start, at, Stream::Attack)));
        Some(Target { account: tenant.account.clone(), name: tenant.name() })
    }

    /// Leaves the tenants of a plan out, whatever the scenario says.
    pub fn leave_out(&mut self, plan: &str) {
        let tenants = &self.tenants;
        self.next.retain(|Reverse((_, at, _))| tenants[*at].plan.name != plan);
    }

    fn ordinary(&mut self, at: usize, time: EventTime, id: &str) -> TrafficEvent {
        let tenant = &mut self.tenants[at];
        let work = work(tenant);
        let payload = envelope::ordinary(tenant, work, time, id).into_bytes();
        let topic = match work {
            Work::Message => TopicKind::Messages,
            Work::Broadcast => TopicKind::Broadcasts,
            Work::Template => TopicKind::Templates,
            Work::Login | Work::Change => TopicKind::Accounts,
        };
        if let Some(next) = tenant.next_time(time, self.end) {
            self.next.push(Reverse((next, at, Stream::Ordinary)));
        }
        TrafficEvent {
            id: id.to_owned(),
            topic,
            account: tenant.account.clone(),
            time,
            payload,
            label: None,
        }
    }

    fn hostile(&mut self, at: usize, time: EventTime, id: &str) -> Option<TrafficEvent> {
        let tenant = &mut self.tenants[at];
        let attack = tenant.attack.as_mut()?;
        let kind = attack.kind;
        let (step, gap) = attack::step(kind, attack.step, &mut tenant.random)?;
        attack.step += 1;
        let payload = envelope::hostile(tenant, kind, step, time, id).into_bytes();
        let topic = match step {
            Step::Login => TopicKind::Accounts,
            Step::Template => TopicKind::Templates,
            Step::Broadcast => TopicKind::Broadcasts,
            Step::Message => TopicKind::Messages,
        };
        let next = time.plus_millis(gap.max(1));
        if next < self.end {
            self.next.push(Reverse((next, at, Stream::Attack)));
        }
        let account = tenant.account.clone();
        Some(TrafficEvent { id: id.to_owned(), topic, account, time, payload, label: Some(kind) })
    }
}

impl Iterator for Traffic {
    type Item = TrafficEvent;

    fn next(&mut self) -> Option<TrafficEvent> {
        while let Some(Reverse((time, at, stream))) = self.next.pop() {
            self.sequence += 1;
            let id = format!("demo-{:x}-{}", self.seed, self.sequence);
            match stream {
                Stream::Ordinary => return Some(self.ordinary(at, time, &id)),
                // The last step has no event behind it: go on with the next stream.
                Stream::Attack => {
                    if let Some(event) = self.hostile(at, time, &id) {
                        return Some(event);
                    }
                }
            }
        }
        None
    }
}

/// Draws what happens, by how often each thing does.
fn work(tenant: &mut Tenant) -> Work {
    let rates = tenant.rates;
    let all = [
        (rates.messages, Work::Message),
        (rates.broadcasts, Work::Broadcast),
        (rates.templates, Work::Template),
        (rates.logins, Work::Login),
        (rates.changes, Work::Change),
    ];
    let mut draw = tenant.random.unit() * all.iter().map(|(rate, _)| rate).sum::<f64>();
    for (rate, work) in all {
        if draw < rate {
            return work;
        }
        draw -= rate;
    }
    Work::Message
}
