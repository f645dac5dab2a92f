//! What follows from an incident: which mails and actions, and what a person must confirm.

use std::sync::Arc;

use super::model::{
    ApprovalReason, Contribution, DeliveryKind, Incident, OutboxId, Planned, StaffMail, TenantMail,
};
use super::risk::is_trusted;
use crate::event::EventTime;
use crate::rulebook::{ActionKind, Credential, Policy};

/// Returns the actions that the credentials seen in the incident call for, in the policy's order,
/// then those that the rules behind it argue for.
///
/// An incident whose events name no credential is answered as one of a stolen password: that is the
/// case satpam is for.
pub(super) fn actions(
    incident: &Incident,
    policy: &Policy,
    contained: &[ActionKind],
) -> Vec<ActionKind> {
    let mut credentials: Vec<Credential> =
        incident.actors.iter().filter_map(|actor| actor.credential).collect();
    credentials.retain(|credential| *credential != Credential::None);
    if credentials.is_empty() {
        credentials.push(Credential::Password);
    }
    let mut actions = Vec::new();
    for credential in credentials {
        let rule = policy.responses.iter().find(|rule| rule.credentials.contains(&credential));
        for action in rule.into_iter().flat_map(|rule| &rule.actions).chain(contained) {
            if !actions.contains(action) {
                actions.push(*action);
            }
        }
    }
    actions
}

/// What a person must confirm whatever the mode of the action says.
pub(super) fn needs_approval(
    incident: &Incident,
    action: ActionKind,
    protected: bool,
    last: Option<EventTime>,
    now: EventTime,
    policy: &Policy,
) -> Option<ApprovalReason> {
    if protected {
        return Some(ApprovalReason::Protected);
    }
    let stable: Vec<_> = incident.contributions.iter().filter(|one| is_trusted(one)).collect();
    let critical = stable.iter().any(|contribution| &*contribution.level == "critical");
    let facts = distinct_facts(&stable, policy);
    if action == ActionKind::ForcePasswordReset && facts < 2 && !critical {
        return Some(ApprovalReason::TooFewRules);
    }
    let recent = last.is_some_and(|last| now.millis_since(last) < policy.cooldown_millis);
    recent.then_some(ApprovalReason::Cooldown)
}

/// Returns how many facts the contributions stand for: rules of one group of the policy's
/// `same-evidence` are one.
fn distinct_facts(contributions: &[&Contribution], policy: &Policy) -> usize {
    let mut groups = Vec::new();
    let mut facts = 0;
    for contribution in contributions {
        let group =
            policy.same_evidence.iter().position(|group| group.contains(&contribution.rule));
        match group {
            Some(group) if groups.contains(&group) => {}
            Some(group) => {
                groups.push(group);
                facts += 1;
            }
            None => facts += 1,
        }
    }
    facts
}

/// Plans one delivery. Its id is a function of the incident, the kind and the target.
pub(super) fn plan(
    incident: &Incident,
    kind: DeliveryKind,
    created: EventTime,
    needs_approval: Option<ApprovalReason>,
    after: Vec<OutboxId>,
) -> Planned {
    let target = match kind {
        DeliveryKind::TenantMail(_) => "tenant",
        DeliveryKind::StaffMail(_) => "staff",
        DeliveryKind::Action(_) => "platform",
    };
    Planned {
        id: OutboxId::mint(incident.id, kind, target),
        shard: incident.shard,
        account: incident.account.clone(),
        incident: incident.id,
        kind,
        target: target.into(),
        created,
        reason: reason(incident),
        needs_approval,
        after,
    }
}

/// The titles of the rules that weigh most, at most five.
fn reason(incident: &Incident) -> Arc<str> {
    let mut contributions: Vec<_> = incident.contributions.iter().collect();
    contributions.sort_by(|a, b| {
        (b.base * b.multiplier).total_cmp(&(a.base * a.multiplier)).then(a.rule.cmp(&b.rule))
    });
    let titles: Vec<&str> = contributions.iter().take(5).map(|one| &*one.title).collect();
    titles.join("; ").into()
}

/// Kinds of mail that an incident's progress calls for.
pub(super) const OPENED: DeliveryKind = DeliveryKind::StaffMail(StaffMail::Opened);
pub(super) const NOTICE: DeliveryKind = DeliveryKind::TenantMail(TenantMail::Notice);
pub(super) const ALL_CLEAR: DeliveryKind = DeliveryKind::TenantMail(TenantMail::AllClear);
pub(super) const FALSE_ALARM: DeliveryKind = DeliveryKind::TenantMail(TenantMail::FalseAlarm);
