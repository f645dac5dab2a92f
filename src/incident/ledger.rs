//! One account's ledger: what its matches add up to, the incident that is open, and what was done.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::model::{
    Actor, ApprovalReason, Contribution, DeliveryKind, Impact, Incident, IncidentId, IncidentState,
    Planned, Stage, Verdict,
};
use super::plan::{self, ALL_CLEAR, FALSE_ALARM, NOTICE, OPENED};
use super::risk::{self, Counted, Posture, contribute, forget_faded};
use crate::event::{AccountId, EventId, EventTime, ShardId};
use crate::rulebook::{ActionKind, Policy, RuleMeta, Status};

/// The account's risk and what came of it. Stored with the account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    contributions: Vec<Contribution>,
    incident: Option<Incident>,
    /// How far the shard was when the last match was entered. Behind it the account may lie far,
    /// where one account is read after the other.
    entered: EventTime,
    /// Actions planned in the open incident.
    planned: Vec<ActionKind>,
    tenant_notified: bool,
    /// When each kind of action was last planned, across incidents.
    last_actions: Vec<(ActionKind, EventTime)>,
}

/// A rule that matched, with the values that decided.
#[derive(Debug, Clone)]
pub struct Match<'a> {
    pub rule: &'a RuleMeta,
    /// Field and value, masked and cut.
    pub evidence: Vec<(Arc<str>, Arc<str>)>,
    /// The rule hits too many accounts to be trusted: what follows for the tenant waits for a
    /// person.
    pub throttled: bool,
}

/// The event at which rules matched, and what is known of its account.
#[derive(Debug, Clone)]
pub struct Occasion<'a> {
    pub shard: ShardId,
    pub account: &'a AccountId,
    pub event: &'a EventId,
    pub event_type: &'a str,
    pub time: EventTime,
    /// The latest event time of the account: decay is counted to here.
    pub now: EventTime,
    /// The latest event time of the shard.
    pub watermark: EventTime,
    pub actor: Option<Actor>,
    pub posture: Posture,
    /// What this one event sent out.
    pub impact: Impact,
    pub tenant: Tenant<'a>,
    pub rules_revision: &'a Arc<str>,
}

/// What an incident keeps of its tenant.
#[derive(Debug, Clone)]
pub struct Tenant<'a> {
    pub name: Option<Arc<str>>,
    pub language: Option<Arc<str>>,
    pub timezone: Arc<str>,
    pub two_factor: Option<bool>,
    pub contacts: &'a [Arc<str>],
    /// Its actions always need approval.
    pub protected: bool,
}

/// What became of the matches of one event.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// The incident as it stands now, when it opened, grew or closed.
    pub incident: Option<Incident>,
    pub opened: bool,
    pub closed: bool,
    pub planned: Vec<Planned>,
}

const ACTORS_MAX: usize = 8;
const NAMES_MAX: usize = 8;
const JOBS_MAX: usize = 64;
const ENGINE_VERSION: &str = env!("CARGO_PKG_VERSION");

impl Ledger {
    /// Returns the account's risk at `now`.
    pub fn risk(&self, now: EventTime, policy: &Policy) -> f64 {
        risk::total(&self.contributions, now, policy, Counted::All)
    }

    /// Returns what adds up to the risk.
    pub fn contributions(&self) -> &[Contribution] {
        &self.contributions
    }

    /// Returns the open incident.
    pub fn incident(&self) -> Option<&Incident> {
        self.incident.as_ref()
    }

    /// Returns the event time of the shard at which the open incident closes if nothing more
    /// happens.
    pub fn closes_at(&self, policy: &Policy) -> Option<EventTime> {
        let incident = self.incident.as_ref()?;
        Some(incident.last_match.max(self.entered).plus_millis(policy.close_after_millis))
    }

    /// Adds matches of one event. Rules in shadow (`experimental`) are not scored.
    pub fn record(
        &mut self,
        matches: &[Match<'_>],
        occasion: &Occasion<'_>,
        policy: &Policy,
    ) -> Changes {
        let scored: Vec<&Match<'_>> = matches
            .iter()
            .filter(|one| is_scored(one.rule.status) && one.rule.risk > 0.0)
            .collect();
        if scored.is_empty() {
            return Changes::default();
        }
        let now = occasion.now;
        forget_faded(&mut self.contributions, now, policy);
        let (multiplier, reasons) = occasion.posture.multiplier(&policy.multipliers);
        let mut contained = Vec::new();
        for one in scored {
            let mut fresh = contribution(one, occasion, multiplier, &reasons);
            let is_known = |old: &Contribution| old.rule == fresh.rule && risk::is_trusted(old);
            // What an account was hit by before the rule became noisy is not taken back.
            if one.throttled && !self.contributions.iter().any(is_known) {
                risk::distrust(&mut fresh);
            }
            if risk::is_trusted(&fresh) {
                contained.extend(&one.rule.contain);
            }
            contribute(&mut self.contributions, fresh.clone(), now, policy);
            if let Some(incident) = &mut self.incident {
                contribute(&mut incident.contributions, fresh, now, policy);
            }
        }
        let all = risk::total(&self.contributions, now, policy, Counted::All);
        let total = |counted| risk::total(&self.contributions, now, policy, counted);
        let reached = Reached {
            stage: stage(all, total(Counted::Stable), policy),
            trusted: stage(all, total(Counted::Trusted), policy),
        };
        self.join(occasion, all, reached, policy, &contained)
    }

    /// Lets the matches join the open incident, or opens one when the risk says so.
    fn join(
        &mut self,
        occasion: &Occasion<'_>,
        risk: f64,
        reached: Reached,
        policy: &Policy,
        contained: &[ActionKind],
    ) -> Changes {
        let mut changes = Changes::default();
        if self.incident.is_none() {
            let Some(stage) = reached.stage else { return changes };
            self.incident = Some(open(occasion, stage, &self.contributions));
            changes.opened = true;
        }
        let Some(incident) = &mut self.incident else { return changes };
        if !changes.opened {
            incident.revision += 1;
        }
        incident.last_match = incident.last_match.max(occasion.time);
        self.entered = self.entered.max(occasion.watermark);
        incident.risk = risk;
        incident.risk_peak = incident.risk_peak.max(risk);
        incident.stage = incident.stage.max(reached.stage.unwrap_or(Stage::Alert));
        grow(incident, occasion);
        if changes.opened {
            changes.planned.push(plan::plan(incident, OPENED, occasion.now, None, Vec::new()));
        }
        self.respond(occasion, reached, policy, contained, &mut changes);
        changes.incident.clone_from(&self.incident);
        changes
    }

    /// Plans what the incident's stage calls for and was not planned before.
    fn respond(
        &mut self,
        occasion: &Occasion<'_>,
        reached: Reached,
        policy: &Policy,
        contained: &[ActionKind],
        changes: &mut Changes,
    ) {
        let Some(incident) = &self.incident else { return };
        let now = occasion.now;
        let mut ids = Vec::new();
        if incident.stage >= Stage::Respond {
            for action in plan::actions(incident, policy, contained) {
                if self.planned.contains(&action) {
                    continue;
                }
                let last = self.last_actions.iter().find(|(kind, _)| *kind == action);
                let last = last.map(|(_, time)| *time);
                let approval = plan::needs_approval(
                    incident,
                    action,
                    occasion.tenant.protected,
                    last,
                    now,
                    policy,
                );
                let approval = approval.or_else(|| reached.doubt(Stage::Respond));
                let kind = DeliveryKind::Action(action);
                let planned = plan::plan(incident, kind, now, approval, Vec::new());
                ids.push(planned.id);
                changes.planned.push(planned);
                self.planned.push(action);
                self.last_actions.retain(|(kind, _)| *kind != action);
                self.last_actions.push((action, now));
            }
        }
        if incident.stage >= Stage::NotifyTenant && !self.tenant_notified {
            let approval = reached.doubt(Stage::NotifyTenant);
            changes.planned.push(plan::plan(incident, NOTICE, now, approval, ids));
            self.tenant_notified = true;
        }
    }

    /// Counts what an actor of the open incident sends in events at which no rule matched.
    pub fn follow(&mut self, actor: Option<&Actor>, impact: &Impact) {
        if let (Some(incident), Some(actor)) = (&mut self.incident, actor)
            && incident.actors.contains(actor)
        {
            add_impact(&mut incident.impact, impact);
        }
    }

    /// Closes the open incident when the shard has gone on for the policy's quiet time without a
    /// match.
    pub fn close_if_quiet(&mut self, watermark: EventTime, policy: &Policy) -> Changes {
        self.close_when(self.closes_at(policy), watermark)
    }

    /// Closes the open incident when the account itself has: `now` is its latest event time. So the
    /// next match opens another, in whatever order accounts are read.
    pub fn close_if_over(&mut self, now: EventTime, policy: &Policy) -> Changes {
        let last = self.incident.as_ref().map(|incident| incident.last_match);
        self.close_when(last.map(|last| last.plus_millis(policy.close_after_millis)), now)
    }

    fn close_when(&mut self, due: Option<EventTime>, now: EventTime) -> Changes {
        if due.is_some_and(|due| due <= now) {
            return self.close(now, Verdict::Quiet, "nothing more happened", "satpam");
        }
        Changes::default()
    }

    /// Closes the open incident. A false positive also takes back the risk that led to it.
    pub fn close(&mut self, at: EventTime, verdict: Verdict, reason: &str, by: &str) -> Changes {
        let Some(incident) = self.incident.take() else { return Changes::default() };
        self.end(verdict);
        closed(incident, at, verdict, reason, by)
    }

    /// Takes over how the incident stands in the store, where it went further than here. A replay
    /// can be behind: what was decided about the incident meanwhile counts.
    pub fn take_over(&mut self, stored: &Incident) {
        if self.incident.as_ref().is_none_or(|incident| incident.id != stored.id) {
            return;
        }
        match &stored.state {
            IncidentState::Open => self.incident = Some(stored.clone()),
            IncidentState::Closed { verdict, .. } => {
                self.incident = None;
                self.end(*verdict);
            }
        }
    }

    /// Forgets what belonged to the incident that closed. What a person has judged no longer adds
    /// to the risk, so that the next match alone cannot open it again.
    fn end(&mut self, verdict: Verdict) {
        if verdict != Verdict::Quiet {
            self.contributions.clear();
        }
        self.planned.clear();
        self.tenant_notified = false;
    }
}

/// Closes an open incident, and plans the mail that tells a tenant who was told of it.
pub fn closed(
    mut incident: Incident,
    at: EventTime,
    verdict: Verdict,
    reason: &str,
    by: &str,
) -> Changes {
    incident.revision += 1;
    incident.state = IncidentState::Closed { at, verdict, reason: reason.into(), by: by.into() };
    let mut planned = Vec::new();
    // The notice is planned when the incident reaches this stage, and an incident never goes back.
    if incident.stage >= Stage::NotifyTenant {
        let mail = if verdict == Verdict::FalsePositive { FALSE_ALARM } else { ALL_CLEAR };
        planned.push(plan::plan(&incident, mail, at, None, Vec::new()));
    }
    Changes { incident: Some(incident), opened: false, closed: true, planned }
}

fn is_scored(status: Status) -> bool {
    match status {
        Status::Stable | Status::Test => true,
        Status::Experimental | Status::Deprecated | Status::Unsupported => false,
    }
}

/// The highest threshold that is crossed. Rules on test can alert staff, but only stable ones reach
/// the tenant or an action.
fn stage(all: f64, stable: f64, policy: &Policy) -> Option<Stage> {
    let thresholds = &policy.thresholds;
    if stable >= thresholds.respond {
        Some(Stage::Respond)
    } else if stable >= thresholds.notify_tenant {
        Some(Stage::NotifyTenant)
    } else if all >= thresholds.alert {
        Some(Stage::Alert)
    } else {
        None
    }
}

/// How far the risk has come.
#[derive(Debug, Clone, Copy)]
struct Reached {
    stage: Option<Stage>,
    /// The same without rules that are throttled.
    trusted: Option<Stage>,
}

impl Reached {
    /// Returns why what belongs to a stage must wait, when only throttled rules have led there.
    fn doubt(self, stage: Stage) -> Option<ApprovalReason> {
        let reached = |by: Option<Stage>| by >= Some(stage);
        (reached(self.stage) && !reached(self.trusted)).then_some(ApprovalReason::NoisyRule)
    }
}

fn contribution(
    one: &Match<'_>,
    occasion: &Occasion<'_>,
    multiplier: f64,
    reasons: &[Arc<str>],
) -> Contribution {
    let rule = one.rule;
    Contribution {
        rule: rule.key.clone(),
        title: rule.title.clone(),
        level: rule.level.as_str().into(),
        status: rule.status.as_str().into(),
        tenant_text: rule.tenant.as_ref().map(|text| (text.id.clone(), text.en.clone())),
        event: occasion.event.clone(),
        event_type: occasion.event_type.into(),
        time: occasion.time,
        matches: 1,
        base: rule.risk,
        multiplier,
        multiplier_reasons: reasons.to_vec(),
        evidence: one.evidence.clone(),
    }
}

fn open(occasion: &Occasion<'_>, stage: Stage, contributions: &[Contribution]) -> Incident {
    let tenant = &occasion.tenant;
    Incident {
        id: IncidentId::mint(occasion.account, occasion.event),
        shard: occasion.shard,
        account: occasion.account.clone(),
        account_name: tenant.name.clone(),
        revision: 0,
        stage,
        opened: occasion.time,
        last_match: occasion.time,
        risk: 0.0,
        risk_peak: 0.0,
        contributions: contributions.to_vec(),
        actors: Vec::new(),
        impact: Impact::default(),
        language: tenant.language.clone(),
        timezone: tenant.timezone.clone(),
        two_factor: tenant.two_factor,
        contacts: tenant.contacts.to_vec(),
        rules_revision: occasion.rules_revision.clone(),
        engine_version: ENGINE_VERSION.into(),
        state: IncidentState::Open,
    }
}

/// Adds who acted and what left to the incident.
fn grow(incident: &mut Incident, occasion: &Occasion<'_>) {
    if let Some(actor) = &occasion.actor {
        incident.actors.retain(|known| known != actor);
        incident.actors.push(actor.clone());
        if incident.actors.len() > ACTORS_MAX {
            incident.actors.remove(0);
        }
    }
    add_impact(&mut incident.impact, &occasion.impact);
}

fn add_impact(impact: &mut Impact, more: &Impact) {
    impact.messages += more.messages;
    let counted = !more.jobs.is_empty() && more.jobs.iter().all(|job| impact.jobs.contains(job));
    if !counted {
        impact.broadcasts += more.broadcasts;
        impact.recipients = impact.recipients.saturating_add(more.recipients);
        add_names(&mut impact.jobs, &more.jobs, JOBS_MAX);
    }
    add_names(&mut impact.templates, &more.templates, NAMES_MAX);
    add_names(&mut impact.hosts, &more.hosts, NAMES_MAX);
}

fn add_names(names: &mut Vec<Arc<str>>, more: &[Arc<str>], most: usize) {
    for name in more {
        if names.len() < most && !names.contains(name) {
            names.push(name.clone());
        }
    }
}
