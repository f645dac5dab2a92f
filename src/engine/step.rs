//! One batch: from records to the new state of the shard and the effects to make durable.
//!
//! For each event: is it known already? what is new about it? which rules match? what does that add
//! up to? Everything is decided in event time, so the same records give the same answer again.

use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::account::Account;
use super::evidence;
use super::merge::Incoming;
use super::outcome::{EventOutcome, Outcome};
use super::profile;
use super::rules::Rules;
use super::shard::Shard;
use crate::baseline::{LocalOffset, Normal, Seen, Sighting, TemplateHappening, TemplateSighting};
use crate::detect::content::{Content, Derived};
use crate::detect::correlate::{CorrelationInput, Fired};
use crate::detect::{AccountFacts, EventSource, Scratch, Subject};
use crate::event::{AccountId, Event, EventTime, TimeSpan, Value};
use crate::incident::{Changes, Ledger, Match, Occasion, Posture, Tenant};
use crate::rulebook::{DetectionIndex, Policy, RuleIndex};
use crate::store::StoreError;

/// Settings of the engine.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// An event older than this, against the latest of its account, is not evaluated.
    pub lateness: TimeSpan,
    /// The same event id within this time is a repeat.
    pub dedupe_window: TimeSpan,
    /// How often the state is saved as a whole; effects are saved at once.
    pub checkpoint_interval: TimeSpan,
    /// Accounts kept in memory by one worker; the others are read from the store when they act.
    pub accounts_in_memory: usize,
    /// The time zone of accounts that name none, by its IANA name.
    pub timezone: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lateness: TimeSpan::from_millis(24 * 3_600_000),
            dedupe_window: TimeSpan::from_millis(3_600_000),
            checkpoint_interval: TimeSpan::from_millis(10_000),
            accounts_in_memory: 200_000,
            timezone: "Asia/Jakarta".to_owned(),
        }
    }
}

/// What a step needs room for; one for each thread.
#[derive(Debug, Default)]
pub struct Workspace {
    scratch: Scratch,
    zones: std::collections::BTreeMap<Arc<str>, TimeZone>,
    matched: Vec<DetectionIndex>,
    fired: Vec<Fired>,
}

/// One event that was evaluated, or one `absence` that was noticed: for replays and tests of rules.
#[derive(Debug)]
pub struct Observed<'a> {
    pub account: &'a AccountId,
    /// When the event happened, or when what is absent should have happened at the latest.
    pub time: EventTime,
    /// The event as the rules saw it; nothing for an `absence`.
    pub subject: Option<&'a Subject<'a>>,
    /// Every rule that matched, also base rules of correlations.
    pub matches: &'a [RuleIndex],
    /// What the correlations among them found.
    pub fired: &'a [Fired],
    pub changes: &'a Changes,
    ledger: &'a Ledger,
    now: EventTime,
    policy: &'a Policy,
}

impl Observed<'_> {
    /// Returns the account's risk after the event.
    pub fn risk(&self) -> f64 {
        self.ledger.risk(self.now, self.policy)
    }
}

/// Runs a batch of records of one shard, in the given order.
///
/// # Errors
/// An account could not be read from the store; the batch has to be run again from the last
/// checkpoint.
pub fn step(
    shard: &mut Shard,
    rules: &Rules,
    settings: &Settings,
    records: Vec<Incoming>,
    workspace: &mut Workspace,
    observe: &mut dyn FnMut(&Observed<'_>),
) -> Result<Outcome, StoreError> {
    let mut outcome = Outcome::default();
    for record in records {
        let Some(first) = record.events.first() else { continue };
        let id = first.account().clone();
        let known = shard.take(&id, rules)?;
        let mut account = known
            .unwrap_or_else(|| Box::new(Account::new(first.time(), Normal::new(first.time()))));
        let is_replay = account.has_applied(record.position);
        for event in &record.events {
            let category = event.event_type().category();
            shard.state.watermark = shard.state.watermark.max(event.time());
            let fate = if is_replay {
                EventOutcome::Replayed
            } else {
                admit(&mut account, event, settings)
            };
            outcome.count(category, fate);
            if fate == EventOutcome::Processed {
                let mut run = Run { shard, rules, settings, workspace, outcome: &mut outcome };
                run.event(&mut account, event, observe);
            }
        }
        account.set_applied(record.position);
        shard.put_back(id, account, &rules.rulebook.policy);
        let mut run = Run { shard, rules, settings, workspace, outcome: &mut outcome };
        run.deadlines(observe)?;
    }
    Ok(outcome)
}

/// Says whether an event is new and in time.
fn admit(account: &mut Account, event: &Event, settings: &Settings) -> EventOutcome {
    let window = u32::try_from(settings.dedupe_window.millis() / 1000).unwrap_or(u32::MAX);
    if account.last_seen.millis_since(event.time()) > settings.lateness.millis() {
        return EventOutcome::Late;
    }
    if account.recent.contains(event.id(), event.time(), window) {
        return EventOutcome::Duplicate;
    }
    if event.time().millis_since(account.last_seen) > settings.dedupe_window.millis() {
        account.recent.forget_older(event.time(), window);
    }
    account.recent.note(event.id(), event.time());
    account.last_seen = account.last_seen.max(event.time());
    EventOutcome::Processed
}

struct Run<'a> {
    shard: &'a mut Shard,
    rules: &'a Rules,
    settings: &'a Settings,
    workspace: &'a mut Workspace,
    outcome: &'a mut Outcome,
}

impl Run<'_> {
    #[expect(clippy::too_many_lines, reason = "the stages of one event, one after another")]
    fn event(
        &mut self,
        account: &mut Account,
        event: &Event,
        observe: &mut dyn FnMut(&Observed<'_>),
    ) {
        let rules = self.rules;
        let policy = &rules.rulebook.policy;
        account.profile.learn(event);
        let timezone = self.timezone(account, event.account());
        let offset = local_offset(&timezone, event.time());
        let plan = *rules.plan(account.profile.plan.as_deref());
        account.normal.advance(event.time(), offset, plan.messages);

        let template_text =
            template_name(event).and_then(|name| account.normal.memory().template_text(name));
        let content = Content::of(event.document(), template_text.as_deref());
        let (seen, new_hosts) = if rules.needs_seen {
            self.sight(account, event, &content)
        } else {
            (Seen::default(), Vec::new())
        };
        let learning = event.time().millis_since(account.first_seen) < policy.learning_millis;
        let facts = AccountFacts {
            timezone,
            first_seen: account.first_seen,
            is_new: learning,
            allowlist: account.profile.allowlist.clone(),
            template_text: template_text.clone(),
            seen,
        };
        let derived = Derived::with_content(content, event.time(), &facts);
        let subject = Subject {
            document: event.document(),
            derived: &derived,
            logsource: EventSource::Named {
                product: Some("omnichannel"),
                category: Some(event.event_type().category().as_str()),
                service: None,
            },
            account: event.account(),
            time: event.time(),
        };
        let mut matched = std::mem::take(&mut self.workspace.matched);
        let mut fired = std::mem::take(&mut self.workspace.fired);
        fired.clear();
        rules.detector.evaluate(&subject, &mut self.workspace.scratch, &mut matched);
        if event.event_type().name() == "message.sent" {
            account.normal.count_message(event.time(), offset, plan.messages);
        }
        let fields = rules.detector.fields(event.document(), &derived, &self.workspace.scratch);
        let input = CorrelationInput {
            time: event.time(),
            event: event.id(),
            account: event.account(),
            fields: &fields,
            plan: &plan,
        };
        rules.correlator.observe(
            &matched,
            &input,
            &mut account.windows,
            &mut account.normal,
            &mut self.shard.state.windows,
            &mut fired,
            &mut self.outcome.skipped,
        );
        let all: Vec<RuleIndex> = matched
            .iter()
            .map(|index| RuleIndex::Detection(*index))
            .chain(fired.iter().map(|one| RuleIndex::Correlation(one.correlation)))
            .collect();
        for rule in &all {
            *self.outcome.matches.entry(*rule).or_default() += 1;
        }
        let mut reported: Vec<Match<'_>> = matched
            .iter()
            .filter(|index| rules.reports(RuleIndex::Detection(**index)))
            .map(|index| Match {
                rule: rules.meta(RuleIndex::Detection(*index)),
                evidence: evidence::of_detection(rules, *index, &subject),
            })
            .collect();
        reported.extend(fired.iter().filter_map(|one| correlation_match(rules, one)));
        let posture = Posture {
            two_factor_off: account.profile.two_factor == Some(false),
            outside_allowlist: outside_allowlist(account, event),
            network_new: seen.network_new,
            learning,
        };
        let changes = self.record(account, event, &reported, posture, new_hosts);
        observe(&Observed {
            account: event.account(),
            time: event.time(),
            subject: Some(&subject),
            matches: &all,
            fired: &fired,
            changes: &changes,
            ledger: &account.ledger,
            now: account.last_seen,
            policy,
        });
        self.take_over(event.account(), changes);
        self.workspace.matched = matched;
        self.workspace.fired = fired;
    }

    fn record(
        &self,
        account: &mut Account,
        event: &Event,
        matches: &[Match<'_>],
        posture: Posture,
        new_hosts: Vec<Arc<str>>,
    ) -> Changes {
        if matches.is_empty() && account.ledger.incident().is_none() {
            return Changes::default();
        }
        let actor = profile::actor(event);
        let impact = profile::impact(event, new_hosts);
        if matches.is_empty() {
            account.ledger.follow(actor.as_ref(), &impact);
            return Changes::default();
        }
        let rulebook = &self.rules.rulebook;
        let configured = rulebook.accounts.get(event.account());
        let contacts = account.profile.contacts(configured);
        let tenant = tenant(account, configured, &contacts, &self.settings.timezone);
        let occasion = Occasion {
            shard: self.shard.id(),
            account: event.account(),
            event: event.id(),
            event_type: event.event_type().name(),
            time: event.time(),
            now: account.last_seen,
            actor,
            posture,
            impact,
            tenant,
            rules_revision: &rulebook.revision,
        };
        account.ledger.record(matches, &occasion, &rulebook.policy)
    }

    /// Enters what the event shows into the account's memory; returns what of it is new, and the
    /// link hosts if a domain is.
    fn sight(
        &self,
        account: &mut Account,
        event: &Event,
        content: &Content<'_>,
    ) -> (Seen, Vec<Arc<str>>) {
        let root = event.document().root();
        let text = |keys: &[&str]| root.path(keys).and_then(Value::to_text);
        let own = self.rules.rulebook.accounts.get(event.account());
        let own = own.and_then(|settings| settings.lists.get("domains"));
        let is_own = |domain: &str| own.is_some_and(|list| list.iter().any(|one| &**one == domain));
        let domains: Vec<&str> =
            content.domains().iter().map(String::as_str).filter(|domain| !is_own(domain)).collect();
        let actor = text(&["actor", "id"]).or_else(|| text(&["actor", "email"]));
        let ip: Option<IpAddr> = text(&["actor", "ip"]).and_then(|ip| ip.parse().ok());
        let recipient = text(&["message", "recipient"]);
        let language = text(&["template", "language"]).or_else(|| text(&["broadcast", "language"]));
        let happening = match event.event_type().name() {
            "template.created" => TemplateHappening::Created(content.text()),
            "template.updated" => TemplateHappening::Updated(content.text()),
            _ => TemplateHappening::Used,
        };
        let sighting = Sighting {
            actor: actor.as_deref(),
            ip,
            domains: &domains,
            template: template_name(event).map(|name| TemplateSighting { name, happening }),
            recipient: recipient.as_deref(),
            language: language.as_deref(),
        };
        let learning = TimeSpan::from_millis(self.rules.rulebook.policy.learning_millis);
        let first_seen = account.first_seen;
        let seen =
            account.normal.memory_mut().observe(&sighting, event.time(), first_seen, learning);
        let hosts = if seen.domain_new {
            content.hosts().iter().take(8).map(|host| Arc::from(host.as_str())).collect()
        } else {
            Vec::new()
        };
        (seen, hosts)
    }

    /// Closes incidents that have been quiet, and fires what should have followed and did not.
    fn deadlines(&mut self, observe: &mut dyn FnMut(&Observed<'_>)) -> Result<(), StoreError> {
        let policy = &self.rules.rulebook.policy;
        while let Some(id) = self.shard.next_closing() {
            let Some(mut account) = self.shard.take(&id, self.rules)? else { continue };
            let changes = account.ledger.close_if_quiet(self.shard.state.watermark, policy);
            self.take_over(&id, changes);
            self.shard.put_back(id, account, policy);
        }
        let watermark = self.shard.state.watermark;
        for id in self.shard.state.windows.take_due_accounts(watermark) {
            let Some(mut account) = self.shard.take(&id, self.rules)? else { continue };
            let mut fired = Vec::new();
            self.rules.correlator.advance_account(watermark, &mut account.windows, &mut fired);
            for one in &fired {
                let rule = RuleIndex::Correlation(one.correlation);
                *self.outcome.matches.entry(rule).or_default() += 1;
                let changes = self.record_absence(&mut account, &id, one);
                observe(&Observed {
                    account: &id,
                    time: one.time,
                    subject: None,
                    matches: &[rule],
                    fired: std::slice::from_ref(one),
                    changes: &changes,
                    ledger: &account.ledger,
                    now: account.last_seen.max(one.time),
                    policy,
                });
                self.take_over(&id, changes);
            }
            if let Some(deadline) = account.windows.next_deadline() {
                self.shard.state.windows.remind(&id, deadline);
            }
            self.shard.put_back(id, account, policy);
        }
        Ok(())
    }

    fn record_absence(&self, account: &mut Account, id: &AccountId, fired: &Fired) -> Changes {
        let rulebook = &self.rules.rulebook;
        let Some(found) = correlation_match(self.rules, fired) else { return Changes::default() };
        let Some(event) = fired.events.first() else { return Changes::default() };
        let configured = rulebook.accounts.get(id);
        let contacts = account.profile.contacts(configured);
        let tenant = tenant(account, configured, &contacts, &self.settings.timezone);
        let occasion = Occasion {
            shard: self.shard.id(),
            account: id,
            event,
            event_type: "absence",
            time: fired.time,
            now: account.last_seen.max(fired.time),
            actor: None,
            posture: Posture::default(),
            impact: crate::incident::Impact::default(),
            tenant,
            rules_revision: &rulebook.revision,
        };
        account.ledger.record(&[found], &occasion, &rulebook.policy)
    }

    fn take_over(&mut self, id: &AccountId, changes: Changes) {
        let Some(incident) = changes.incident else { return };
        if changes.opened {
            self.outcome.opened.push(incident.id);
        }
        if changes.closed {
            self.outcome.closed.push(incident.id);
        }
        if !self.outcome.accounts.contains(id) {
            self.outcome.accounts.push(id.clone());
        }
        self.outcome.incidents.insert(incident.id, incident);
        self.outcome.planned.extend(changes.planned);
    }

    fn timezone(&mut self, account: &Account, id: &AccountId) -> TimeZone {
        let configured = self.rules.rulebook.accounts.get(id);
        let name: Arc<str> = configured
            .and_then(|settings| settings.timezone.clone())
            .or_else(|| account.profile.timezone.clone())
            .unwrap_or_else(|| self.settings.timezone.as_str().into());
        if let Some(zone) = self.workspace.zones.get(&name) {
            return zone.clone();
        }
        let zone = TimeZone::get(&name)
            .or_else(|_| TimeZone::get("Asia/Jakarta"))
            .unwrap_or(TimeZone::UTC);
        if self.workspace.zones.len() < ZONES_MAX {
            self.workspace.zones.insert(name, zone.clone());
        }
        zone
    }
}

/// Zones kept parsed; a hostile stream may name anything.
const ZONES_MAX: usize = 1_000;

fn correlation_match<'r>(rules: &'r Rules, fired: &Fired) -> Option<Match<'r>> {
    let rule = RuleIndex::Correlation(fired.correlation);
    rules
        .reports(rule)
        .then(|| Match { rule: rules.meta(rule), evidence: evidence::of_correlation(fired) })
}

fn tenant<'a>(
    account: &Account,
    configured: Option<&crate::rulebook::AccountSettings>,
    contacts: &'a [Arc<str>],
    timezone: &str,
) -> Tenant<'a> {
    let profile = &account.profile;
    let first = |configured: Option<Arc<str>>, told: &Option<Arc<str>>| configured.or(told.clone());
    Tenant {
        name: first(configured.and_then(|one| one.name.clone()), &profile.name),
        language: first(configured.and_then(|one| one.language.clone()), &profile.language),
        timezone: first(configured.and_then(|one| one.timezone.clone()), &profile.timezone)
            .unwrap_or_else(|| timezone.into()),
        two_factor: profile.two_factor,
        contacts,
        protected: configured.is_some_and(|one| one.protected),
    }
}

/// Returns whether the account has an allow-list and the actor's address is not in it.
fn outside_allowlist(account: &Account, event: &Event) -> bool {
    let Some(allowlist) = &account.profile.allowlist else { return false };
    let ip = event.document().root().path(&["actor", "ip"]).and_then(Value::as_str);
    let ip: Option<IpAddr> = ip.and_then(|ip| ip.parse().ok());
    ip.is_some_and(|ip| !allowlist.iter().any(|network| network.contains(&ip)))
}

fn template_name(event: &Event) -> Option<&str> {
    let root = event.document().root();
    [["template", "name"], ["broadcast", "template_name"], ["message", "template_name"]]
        .iter()
        .find_map(|keys| root.path(keys)?.as_str())
        .filter(|name| !name.is_empty())
}

fn local_offset(zone: &TimeZone, time: EventTime) -> LocalOffset {
    let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    LocalOffset::from_seconds(zone.to_offset(timestamp).seconds())
}
