//! One batch: from records to the new state of the shard and the effects to make durable.
//!
//! For each event: is it known already? what is new about it? which rules match? what does that add
//! up to? Everything is decided in event time, so the same records give the same answer again.

use std::borrow::Cow;
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
use super::shadow::Sample;
use super::shard::Shard;
use crate::baseline::{LocalOffset, Normal, Seen, Sighting, TemplateHappening, TemplateSighting};
use crate::detect::content::{Content, Derived};
use crate::detect::correlate::{CorrelationInput, Findings, Fired};
use crate::detect::{AccountFacts, EventSource, Scratch, Subject};
use crate::event::{AccountId, Event, EventId, EventTime, TimeSpan, Value};
use crate::incident::{Changes, Ledger, Match, Occasion, Posture, Tenant};
use crate::rulebook::{CorrelationIndex, DetectionIndex, PlanFigures, Policy, RuleIndex, Status};
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
    found: Found,
}

/// What matches one event.
#[derive(Debug, Default)]
struct Found {
    matched: Vec<DetectionIndex>,
    findings: Findings,
}

impl Found {
    fn rules(&self) -> impl Iterator<Item = RuleIndex> {
        let detections = self.matched.iter().map(|index| RuleIndex::Detection(*index));
        detections
            .chain(self.findings.fired.iter().map(|one| RuleIndex::Correlation(one.correlation)))
    }
}

/// Where and on which plan an account is.
struct Local {
    timezone: TimeZone,
    offset: LocalOffset,
    plan: PlanFigures,
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
    /// The score, in nats, of each baseline that counted the event, whether it fired or not.
    pub scores: &'a [(CorrelationIndex, f64)],
    /// What weighs on the risk of these matches.
    pub posture: Posture,
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

    /// Returns the latest event time of the account, to which risk decays.
    pub fn now(&self) -> EventTime {
        self.now
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
        let is_replay = account.applied.has(record.position);
        // A record that the tally holds may still be new to its account.
        let is_tallied = shard.tally.applied.has(record.position);
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
                let outcome = &mut outcome;
                let mut run = Run { shard, rules, settings, workspace, outcome, is_tallied };
                run.event(&mut account, event, observe);
            }
        }
        if !is_replay {
            account.applied.note(record.position);
        }
        shard.put_back(id, account, &rules.rulebook.policy);
        let outcome = &mut outcome;
        let mut run = Run { shard, rules, settings, workspace, outcome, is_tallied };
        run.deadlines(observe)?;
        if !is_tallied {
            shard.tally.applied.note(record.position);
        }
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
    /// Whether the shard's tally holds the record already.
    is_tallied: bool,
}

impl<'a> Run<'a> {
    fn event(
        &mut self,
        account: &mut Account,
        event: &Event,
        observe: &mut dyn FnMut(&Observed<'_>),
    ) {
        account.profile.learn(event);
        let local = self.localize(account, event);
        account.normal.advance(event.time(), local.offset, local.plan.messages);
        let template = template_name(event);
        let template_text = template.and_then(|name| account.normal.memory().template_text(name));
        let content = Content::of(event.document(), template_text.as_deref());
        let (seen, new_hosts) = if self.rules.needs_seen {
            self.sight(account, event, template, &content)
        } else {
            (Seen::default(), Vec::new())
        };
        let policy = &self.rules.rulebook.policy;
        let learning = event.time().millis_since(account.first_seen) < policy.learning_millis;
        let facts = AccountFacts {
            timezone: local.timezone.clone(),
            first_seen: account.first_seen,
            is_new: learning,
            allowlist: account.profile.allowlist.clone(),
            template_text: template_text.clone(),
            seen,
        };
        let derived = Derived::with_content(content, event.time(), &facts);
        let subject = subject(event, &derived);
        let mut found = std::mem::take(&mut self.workspace.found);
        self.judge(account, event, &subject, &local, &mut found);
        let reported = self.reported(event.account(), &subject, &found);
        let posture = Posture {
            two_factor_off: account.profile.two_factor == Some(false),
            outside_allowlist: outside_allowlist(account, event),
            network_new: seen.network_new,
            learning,
        };
        let over = account.ledger.close_if_over(account.last_seen, policy);
        self.take_over(event.account(), over);
        let changes = self.record(account, event, &reported, posture, new_hosts);
        let matches: Vec<RuleIndex> = found.rules().collect();
        self.watch(&matches, event.account(), event.id(), event.time(), &account.ledger);
        observe(&Observed {
            account: event.account(),
            time: event.time(),
            subject: Some(&subject),
            matches: &matches,
            fired: &found.findings.fired,
            scores: &found.findings.scores,
            posture,
            changes: &changes,
            ledger: &account.ledger,
            now: account.last_seen,
            policy,
        });
        self.take_over(event.account(), changes);
        self.workspace.found = found;
    }

    /// Counts what experimental rules match, for their promotion.
    fn watch(
        &mut self,
        matches: &[RuleIndex],
        account: &AccountId,
        event: &EventId,
        time: EventTime,
        ledger: &Ledger,
    ) {
        if self.is_tallied {
            return;
        }
        let shadow = &mut self.shard.tally.shadow;
        shadow.judged(time);
        for rule in matches.iter().map(|rule| self.rules.meta(*rule)) {
            if rule.status == Status::Experimental {
                let sample = Sample { account: account.clone(), event: event.clone(), time };
                shadow.note(&rule.key, sample, ledger.incident().is_some());
            }
        }
    }

    /// Finds the account's time zone and plan.
    fn localize(&mut self, account: &Account, event: &Event) -> Local {
        let timezone = self.timezone(account, event.account());
        let offset = local_offset(&timezone, event.time());
        Local { timezone, offset, plan: *self.rules.plan(account.profile.plan.as_deref()) }
    }

    /// Finds the detections that match, counts the message in the account's normal, and feeds the
    /// correlations.
    fn judge(
        &mut self,
        account: &mut Account,
        event: &Event,
        subject: &Subject<'_>,
        local: &Local,
        found: &mut Found,
    ) {
        let rules = self.rules;
        let scratch = &mut self.workspace.scratch;
        found.findings.clear();
        rules.detector.evaluate(subject, scratch, &mut found.matched);
        if event.event_type().name() == "message.sent" {
            account.normal.count_message(event.time(), local.offset, local.plan.messages);
        }
        let input = CorrelationInput {
            time: event.time(),
            event: event.id(),
            account: event.account(),
            fields: &rules.detector.fields(event.document(), subject.derived, scratch),
            plan: &local.plan,
        };
        rules.correlator.observe(
            &found.matched,
            &input,
            &mut account.windows,
            &mut account.normal,
            &mut self.shard.state.windows,
            &mut found.findings,
            &mut self.outcome.skipped,
        );
        for rule in found.rules() {
            *self.outcome.matches.entry(rule).or_default() += 1;
        }
    }

    /// Returns the matches that count by themselves, with what decided.
    fn reported(
        &mut self,
        account: &AccountId,
        subject: &Subject<'_>,
        found: &Found,
    ) -> Vec<Match<'a>> {
        let rules = self.rules;
        let mut reported = Vec::new();
        for index in &found.matched {
            let rule = RuleIndex::Detection(*index);
            if rules.reports(rule) {
                let scratch = &mut self.workspace.scratch;
                let evidence = evidence::of_detection(rules, *index, subject, scratch);
                reported.push(self.report(account, rule, evidence));
            }
        }
        for fired in &found.findings.fired {
            reported.extend(self.report_fired(account, fired));
        }
        reported
    }

    /// Counts what a correlation found, where it counts by itself.
    fn report_fired(&mut self, account: &AccountId, fired: &Fired) -> Option<Match<'a>> {
        let rule = RuleIndex::Correlation(fired.correlation);
        let reports = self.rules.reports(rule);
        reports.then(|| self.report(account, rule, evidence::of_correlation(fired)))
    }

    /// Counts a match that counts by itself, also against what is usual for its rule.
    fn report(
        &mut self,
        account: &AccountId,
        rule: RuleIndex,
        evidence: Vec<(Arc<str>, Arc<str>)>,
    ) -> Match<'a> {
        let rules = self.rules;
        let meta = rules.meta(rule);
        *self.outcome.alerts.entry(rule).or_default() += 1;
        let breaker = &mut self.shard.tally.breaker;
        if meta.status == Status::Stable && meta.risk > 0.0 && !self.is_tallied {
            let limits = rules.rulebook.policy.noisy_rules;
            self.outcome.throttlings.extend(breaker.note(&meta.key, account, limits));
        }
        let throttled = breaker.is_throttled(&meta.key);
        if throttled {
            *self.outcome.throttled.entry(rule).or_default() += 1;
        }
        Match { rule: meta, evidence, throttled }
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
            watermark: self.shard.state.watermark,
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
        template: Option<&str>,
        content: &Content<'_>,
    ) -> (Seen, Vec<Arc<str>>) {
        let root = event.document().root();
        let [actor, message, created, broadcast] =
            ["actor", "message", "template", "broadcast"].map(|key| root.get(key));
        let own = self.rules.rulebook.accounts.get(event.account());
        let own = own.and_then(|settings| settings.lists.get("domains"));
        let is_own = |domain: &str| own.is_some_and(|list| list.iter().any(|one| &**one == domain));
        let domains: Vec<&str> =
            content.domains().iter().map(String::as_str).filter(|domain| !is_own(domain)).collect();
        let ip: Option<IpAddr> = text(actor, "ip").and_then(|ip| ip.parse().ok());
        let actor = text(actor, "id").or_else(|| text(actor, "email"));
        let recipient = text(message, "recipient");
        let language = text(created, "language").or_else(|| text(broadcast, "language"));
        let happening = match event.event_type().name() {
            "template.created" => TemplateHappening::Created(content.text()),
            "template.updated" => TemplateHappening::Updated(content.text()),
            "broadcast.created" | "broadcast.started" => TemplateHappening::Broadcast,
            _ => TemplateHappening::Used,
        };
        let sighting = Sighting {
            actor: actor.as_deref(),
            ip,
            domains: &domains,
            template: template.map(|name| TemplateSighting { name, happening }),
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
        if !self.is_tallied {
            let breaker = &mut self.shard.tally.breaker;
            let released = breaker.advance(self.shard.state.watermark, policy.noisy_rules);
            self.outcome.throttlings.extend(released);
        }
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
                self.absence(&id, &mut account, one, observe);
            }
            if let Some(deadline) = account.windows.next_deadline() {
                self.shard.state.windows.remind(&id, deadline);
            }
            self.shard.put_back(id, account, policy);
        }
        for (id, one) in
            self.rules.correlator.advance_shard(watermark, &mut self.shard.state.windows)
        {
            let Some(mut account) = self.shard.take(&id, self.rules)? else { continue };
            self.absence(&id, &mut account, &one, observe);
            self.shard.put_back(id, account, policy);
        }
        Ok(())
    }

    /// Enters what should have followed and did not.
    fn absence(
        &mut self,
        id: &AccountId,
        account: &mut Account,
        fired: &Fired,
        observe: &mut dyn FnMut(&Observed<'_>),
    ) {
        let rule = RuleIndex::Correlation(fired.correlation);
        *self.outcome.matches.entry(rule).or_default() += 1;
        let changes = self.record_absence(account, id, fired);
        if let Some(event) = fired.events.first() {
            self.watch(&[rule], id, event, fired.time, &account.ledger);
        }
        observe(&Observed {
            account: id,
            time: fired.time,
            subject: None,
            matches: &[rule],
            fired: std::slice::from_ref(fired),
            scores: &[],
            posture: Posture::default(),
            changes: &changes,
            ledger: &account.ledger,
            now: account.last_seen.max(fired.time),
            policy: &self.rules.rulebook.policy,
        });
        self.take_over(id, changes);
    }

    fn record_absence(&mut self, account: &mut Account, id: &AccountId, fired: &Fired) -> Changes {
        let rulebook = &self.rules.rulebook;
        let Some(found) = self.report_fired(id, fired) else { return Changes::default() };
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
            watermark: self.shard.state.watermark,
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
        let name = configured
            .and_then(|settings| settings.timezone.as_deref())
            .or(account.profile.timezone.as_deref())
            .unwrap_or(&self.settings.timezone);
        if let Some(zone) = self.workspace.zones.get(name) {
            return zone.clone();
        }
        let zone =
            TimeZone::get(name).or_else(|_| TimeZone::get("Asia/Jakarta")).unwrap_or(TimeZone::UTC);
        if self.workspace.zones.len() < ZONES_MAX {
            self.workspace.zones.insert(name.into(), zone.clone());
        }
        zone
    }
}

/// Zones kept parsed; a hostile stream may name anything.
const ZONES_MAX: usize = 1_000;

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

fn subject<'e>(event: &'e Event, derived: &'e Derived<'e>) -> Subject<'e> {
    Subject {
        document: event.document(),
        derived,
        logsource: EventSource::Named {
            product: Some("omnichannel"),
            category: Some(event.event_type().category().as_str()),
            service: None,
        },
        account: event.account(),
        time: event.time(),
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

fn text<'d>(object: Option<Value<'d>>, key: &str) -> Option<Cow<'d, str>> {
    object?.get(key)?.to_text()
}

fn local_offset(zone: &TimeZone, time: EventTime) -> LocalOffset {
    let timestamp = Timestamp::from_millisecond(time.millis()).unwrap_or(Timestamp::UNIX_EPOCH);
    LocalOffset::from_seconds(zone.to_offset(timestamp).seconds())
}
