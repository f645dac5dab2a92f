//! One tenant: how large it is, who works there, whom it knows.

use super::attack::AttackKind;
use super::random::Random;
use super::texts::{TRADES, Trade};
use super::{DAY, HOUR, Scenario, season};
use crate::event::{AccountId, EventTime};

/// Means per day, of the simulated worlds that the baselines were tuned on.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    messages: f64,
    broadcasts: f64,
    templates: f64,
    broadcast_size: f64,
    agents: u64,
}

const PLANS: [Plan; 4] = [
    Plan {
        name: "free",
        messages: 12.0,
        broadcasts: 0.013,
        templates: 0.023,
        broadcast_size: 17.0,
        agents: 2,
    },
    Plan {
        name: "starter",
        messages: 64.0,
        broadcasts: 0.07,
        templates: 0.07,
        broadcast_size: 50.0,
        agents: 4,
    },
    Plan {
        name: "business",
        messages: 608.0,
        broadcasts: 0.25,
        templates: 0.18,
        broadcast_size: 558.0,
        agents: 12,
    },
    Plan {
        name: "enterprise",
        messages: 2_449.0,
        broadcasts: 1.0,
        templates: 0.45,
        broadcast_size: 2_799.0,
        agents: 40,
    },
];

/// How often a tenant works through a list, and how much busier it is then.
const CAMPAIGNS_PER_DAY: f64 = 0.012;
const CAMPAIGN_FACTOR: f64 = 2.5;
/// Share of those messages that go to somebody not yet known.
const CAMPAIGN_FIRST_CONTACTS: f64 = 0.6;
const NEW_SITES_PER_CAMPAIGN: f64 = 0.03;

/// A legitimate burst.
#[derive(Debug)]
pub(super) struct Campaign {
    /// The new site that its messages lead to.
    pub(super) site: Option<String>,
}

/// Of a hundred tenants so many have a plan up to this one.
const PLAN_SHARES: [f64; 4] = [0.45, 0.80, 0.96, 1.0];

#[derive(Debug)]
pub(super) struct Tenant {
    pub(super) account: AccountId,
    pub(super) number: u64,
    pub(super) plan: &'static Plan,
    pub(super) trade: &'static Trade,
    pub(super) random: Random,
    /// Before this the tenant does not exist.
    pub(super) first: EventTime,
    /// Nothing ordinary happens from here to the attack.
    silent_from: Option<EventTime>,
    pub(super) attack: Option<Attack>,
    pub(super) rates: Rates,
    pub(super) broadcast_size: f64,
    growth_per_day: f64,
    weekend: f64,
    agents: u64,
    hires_per_day: f64,
    pub(super) roams: bool,
    pub(super) network: u64,
    pub(super) contacts: u64,
    pub(super) first_contact_share: f64,
}

#[derive(Debug)]
pub(super) struct Attack {
    pub(super) kind: AttackKind,
    pub(super) start: EventTime,
    pub(super) step: u32,
    pub(super) host: String,
    pub(super) network: u64,
}

/// Ordinary events a day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) messages: f64,
    pub(super) broadcasts: f64,
    pub(super) templates: f64,
    pub(super) logins: f64,
    pub(super) changes: f64,
}

impl Rates {
    fn total(self) -> f64 {
        self.messages + self.broadcasts + self.templates + self.logins + self.changes
    }
}

impl Tenant {
    pub(super) fn new(scenario: &Scenario, number: u64) -> Self {
        let mut random = Random::of(scenario.seed, number);
        let size = random.unit();
        let at = PLAN_SHARES.iter().position(|share| size < *share).unwrap_or_default();
        let plan = &PLANS[at];
        // The mean of a log-normal number lies above its median by exp(spread^2 / 2).
        let scale = random.long_tailed(1.0, 0.8) * (-0.32_f64).exp();
        let days = i64::from(scenario.days);
        let late = random.chance(0.08);
        let waits = i64::try_from(random.below(days.max(1).unsigned_abs())).unwrap_or_default();
        let first = scenario.start.plus_millis(if late { waits * DAY } else { 0 });
        let attack = attack(scenario, first, &mut random);
        let dormant = attack.as_ref().filter(|attack| attack.kind == AttackKind::Dormant);
        let silent_from = dormant.map(|attack| {
            let before = attack.start.millis_since(scenario.start);
            scenario.start.plus_millis(before - before.min(30 * DAY) * 3 / 4)
        });
        Self {
            account: AccountId::new(&format!("demo-{number:06}")).expect("a short plain text"),
            number,
            plan,
            trade: random.pick(&TRADES),
            first,
            silent_from,
            attack,
            rates: Rates {
                messages: plan.messages * scale,
                broadcasts: plan.broadcasts * scale,
                templates: plan.templates,
                logins: f64::from(u32::try_from(plan.agents).unwrap_or_default()) * 0.4,
                changes: 0.01,
            },
            broadcast_size: plan.broadcast_size * random.long_tailed(1.0, 0.5),
            growth_per_day: if random.chance(0.1) { random.unit() * 0.02 } else { 0.0 },
            weekend: 0.2 + 0.8 * random.unit(),
            agents: plan.agents,
            hires_per_day: if random.chance(0.15) { 0.05 } else { 0.004 },
            roams: random.chance(0.25),
            network: random.next(),
            contacts: 20 + random.below(400),
            first_contact_share: 0.1 + 0.3 * random.unit(),
            random,
        }
    }

    /// The tenant's own name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.trade.name, self.number)
    }

    /// Plans an attack; what the tenant itself does stays the same.
    pub(super) fn become_target(&mut self, kind: AttackKind, start: EventTime) {
        let mut random = Random::of(self.network, kind as u64);
        let (host, network) = (super::texts::scam_host(&mut random), random.next());
        self.attack = Some(Attack { kind, start, step: 0, host, network });
    }

    /// Returns the next ordinary event behind `after`, by thinning: candidates at the highest rate,
    /// each kept with the share of the rate that its time has.
    pub(super) fn next_time(&mut self, after: EventTime, end: EventTime) -> Option<EventTime> {
        let growth_max = self.growth(end).max(1.0);
        let highest = self.rates.total() * growth_max * season::LARGEST;
        let mut time = after.max(self.first);
        loop {
            time = time.plus_millis(self.random.gap_millis(86_400_000.0 / highest));
            if time >= end {
                return None;
            }
            let mut busy = season::factor(time, self.weekend) * self.growth(time);
            if self.campaign(time).is_some() {
                busy *= CAMPAIGN_FACTOR;
            }
            if self.random.chance(busy / (growth_max * season::LARGEST)) && !self.is_silent(time) {
                return Some(time);
            }
        }
    }

    /// Returns the campaign that runs at a time: a few hours in which the usual people work through a
    /// list, some of them with a link to a new site of the tenant's own.
    pub(super) fn campaign(&self, time: EventTime) -> Option<Campaign> {
        let local = time.millis().saturating_add(season::JAKARTA_MILLIS);
        let day = local.div_euclid(DAY);
        let mut random = Random::of(self.network, day.unsigned_abs());
        if !random.chance(CAMPAIGNS_PER_DAY) {
            return None;
        }
        let first_hour = 9 + i64::try_from(random.below(7)).unwrap_or_default();
        let hour = local.rem_euclid(DAY) / HOUR;
        let has_new_site = random.chance(NEW_SITES_PER_CAMPAIGN);
        let site = has_new_site.then(|| format!("promo{}-{day}.co.id", self.number));
        (first_hour..first_hour + 3).contains(&hour).then_some(Campaign { site })
    }

    fn growth(&self, time: EventTime) -> f64 {
        (self.growth_per_day * self.age_days(time)).exp()
    }

    fn age_days(&self, time: EventTime) -> f64 {
        time.seconds().max(self.first.seconds()) / 86_400.0 - self.first.seconds() / 86_400.0
    }

    fn is_silent(&self, time: EventTime) -> bool {
        let Some((from, attack)) = self.silent_from.zip(self.attack.as_ref()) else { return false };
        time >= from && time < attack.start.plus_millis(DAY)
    }

    /// Returns one of the people who work here at this time.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    pub(super) fn agent(&mut self, time: EventTime) -> u64 {
        let hired = (self.age_days(time) * self.hires_per_day) as u64;
        self.random.below(self.agents + hired)
    }

    /// Returns the address that an agent has: churning inside a /16, of several when roaming.
    pub(super) fn address(&mut self, agent: u64) -> String {
        let networks = if self.roams { 6 } else { 1 };
        let network = self.network.wrapping_add(agent % 3 + 7 * self.random.below(networks));
        address(network, &mut self.random)
    }

    /// Returns whom the next message goes to: somebody not yet known, or one of the known, the
    /// recent ones more often.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share of a small number"
    )]
    pub(super) fn recipient(&mut self, time: EventTime) -> String {
        let share = match self.campaign(time) {
            Some(_) => CAMPAIGN_FIRST_CONTACTS.max(self.first_contact_share),
            None => self.first_contact_share,
        };
        let index = if self.random.chance(share) {
            self.contacts += 1;
            self.contacts
        } else {
            let back = self.random.unit().powi(2) * self.contacts as f64;
            self.contacts - back as u64
        };
        phone(self.number, index)
    }
}

/// Returns the phone number of a tenant's contact.
pub(super) fn phone(tenant: u64, contact: u64) -> String {
    let digits = Random::of(tenant, contact).below(10_000_000_000);
    format!("628{digits:010}")
}

/// Returns an address in a /16 that stands for `network`.
pub(super) fn address(network: u64, random: &mut Random) -> String {
    let mixed = Random::new(network).next();
    let [first, second, ..] = mixed.to_le_bytes();
    let [third, fourth, ..] = random.next().to_le_bytes();
    format!("{}.{second}.{third}.{fourth}", 101 + first % 80)
}

fn attack(scenario: &Scenario, first: EventTime, random: &mut Random) -> Option<Attack> {
    if !random.chance(scenario.attacks.share) || scenario.attacks.kinds.is_empty() {
        return None;
    }
    let kind = *random.pick(&scenario.attacks.kinds);
    let days = u64::from(scenario.days);
    let earliest = days.min(8).max(days / 3).min(days.saturating_sub(1));
    let day = earliest + random.below((days - earliest).max(1));
    let midnight = scenario.start.millis() + season::JAKARTA_MILLIS;
    let midnight = midnight.div_euclid(DAY) * DAY - season::JAKARTA_MILLIS;
    let day = i64::try_from(day).unwrap_or_default();
    let hour = kind.local_hour(random);
    let within = i64::try_from(random.below(3_600_000)).unwrap_or_default();
    let start = EventTime::from_millis(midnight + day * DAY + hour * HOUR + within);
    let (host, network) = (super::texts::scam_host(random), random.next());
    let start = start.max(scenario.start);
    (start >= first).then_some(Attack { kind, start, step: 0, host, network })
}
