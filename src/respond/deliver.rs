//! One entry: may it go, does it go, and what it is afterwards.

use std::sync::Arc;

use tracing::{debug, error, warn};

use super::email::{Audience, Importance, Place, Thread};
use super::guard::{self, BudgetAnswer, Mode, Question, Ruling};
use super::mail_limit::MailAnswer;
use super::metrics::role_label;
use super::platform::{self, Answer};
use super::render::{self, Mail, StaffFacts};
use super::retry::{self, Next};
use super::shared::Shared;
use super::{DeliverError, Outcome, Sink};
use crate::clock::WallTime;
use crate::event::TimeSpan;
use crate::incident::{DeliveryKind, Incident, OutboxId, Planned, StaffMail, TenantMail};
use crate::rulebook::ActionKind;
use crate::store::{OutboxEntry, OutboxStatus, StoreError, UserOutcome};

/// Actions that settle within this time are told in one mail.
const GATHER: TimeSpan = TimeSpan::from_millis(20_000);
/// The same for actions that are held.
const GATHER_HELD: TimeSpan = TimeSpan::from_millis(2_000);
/// A closing mail looks this often whether the notice has gone.
const CLOSING_WAIT: TimeSpan = TimeSpan::from_millis(60_000);
const ERROR_MAX: usize = 500;

/// What one try came to.
enum Step {
    Done(Vec<UserOutcome>),
    Accepted(TimeSpan),
    Failed {
        error: DeliverError,
        outcome: Vec<UserOutcome>,
    },
    Hold(crate::store::HoldReason),
    Record(String),
    Refuse(String),
    Defer(WallTime),
    /// Given up without a further try.
    Park(String),
}

/// Looks at one due entry and settles it. Failures of the store leave it due.
pub(super) async fn deliver(shared: &Arc<Shared>, entry: OutboxEntry, sink: Sink) {
    let started = tokio::time::Instant::now();
    let step = match entry.planned.kind {
        DeliveryKind::Action(kind) => action(shared, &entry, kind).await,
        DeliveryKind::TenantMail(kind) => tenant(shared, &entry, kind).await,
        DeliveryKind::StaffMail(kind) => staff(shared, &entry, kind).await,
    };
    let Ok(step) = step else {
        // The cause is logged where it happened; a pause keeps a sick disk from being hammered.
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        return;
    };
    match &step {
        Step::Failed { error: DeliverError::Unreachable { .. }, .. } => {
            shared.unreachable(sink, shared.now());
        }
        Step::Done(_) | Step::Accepted(_) | Step::Failed { .. } => shared.answered(sink),
        Step::Hold(_) | Step::Record(_) | Step::Refuse(_) | Step::Defer(_) | Step::Park(_) => {}
    }
    let seconds = started.elapsed().as_secs_f64();
    shared.metrics.notification_seconds.with_label_values(&[sink.as_str()]).observe(seconds);
    let _ = shared.blocking(move |shared| settle(shared, &entry, step, sink)).await;
}

/// Writes what became of an entry, and what follows from it.
fn settle(shared: &Shared, entry: &OutboxEntry, step: Step, sink: Sink) -> Result<(), StoreError> {
    let now = shared.now();
    let mut changed = entry.clone();
    let outcome = apply(shared, &mut changed, step, now);
    if !shared.put(entry, &changed)? {
        debug!(id = %entry.planned.id, "an entry was changed while it was delivered");
        // A decision came in between. The delivery happened: keep its result beside the decision.
        if outcome == Outcome::Delivered
            && let Some(stored) = shared.store.outbox().get(entry.planned.id)?
        {
            let merged = OutboxEntry { decision: stored.decision.clone(), ..changed.clone() };
            shared.put(&stored, &merged)?;
        }
    }
    shared.metrics.notifications.with_label_values(&[sink.as_str(), outcome.as_str()]).inc();
    if outcome == Outcome::Parked || outcome == Outcome::Refused {
        warn!(id = %entry.planned.id, kind = entry.planned.kind.name(), outcome = outcome.as_str(),
            error = changed.last_error.as_deref().unwrap_or_default(), "not delivered");
    }
    if outcome == Outcome::Delivered {
        #[expect(clippy::cast_precision_loss, reason = "lengths of time below 2^52 ms")]
        let age = now.0.saturating_sub(entry.planned.created.millis()).max(0) as f64 / 1000.0;
        shared.metrics.alert_latency.with_label_values(&[sink.as_str()]).observe(age);
    }
    match entry.planned.kind {
        DeliveryKind::Action(kind) => after_action(shared, &changed, kind, outcome)?,
        DeliveryKind::TenantMail(_) if outcome == Outcome::Delivered => {
            shared.change_state(|state| state.mails.sent(&entry.planned.account, now))?;
        }
        DeliveryKind::TenantMail(_) if outcome == Outcome::Held => {
            let mail = DeliveryKind::StaffMail(StaffMail::ApprovalNeeded);
            insert_mail(shared, &entry.planned, mail, "staff", "notice", GATHER_HELD)?;
        }
        DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) => {}
    }
    Ok(())
}

fn apply(shared: &Shared, entry: &mut OutboxEntry, step: Step, now: WallTime) -> Outcome {
    let settled = |entry: &mut OutboxEntry, status, error: Option<String>| {
        entry.status = status;
        entry.settled = Some(now);
        entry.last_error = error.as_deref().map(cut);
    };
    match step {
        Step::Done(outcome) => {
            entry.attempts += 1;
            entry.outcome = outcome;
            settled(entry, OutboxStatus::Done, None);
            Outcome::Delivered
        }
        Step::Accepted(wait) => {
            entry.next_attempt = WallTime(now.0.saturating_add(wait.millis().max(1)));
            Outcome::Accepted
        }
        Step::Failed { error, outcome } => {
            entry.attempts += 1;
            entry.outcome = outcome;
            let (again, after) = match &error {
                DeliverError::Later { after, .. } | DeliverError::Unreachable { after, .. } => {
                    (true, *after)
                }
                DeliverError::Refused(_) | DeliverError::NotFound(_) => (false, None),
            };
            let id = entry.planned.id;
            match retry::after_failure(shared.settings.retry, id, entry.attempts, after, now) {
                Next::TryAt(at) if again => {
                    entry.next_attempt = at;
                    entry.last_error = Some(cut(&error.to_string()));
                    Outcome::Retried
                }
                Next::TryAt(_) | Next::GiveUp => {
                    settled(entry, OutboxStatus::Parked, Some(error.to_string()));
                    Outcome::Parked
                }
            }
        }
        Step::Hold(reason) => {
            entry.status = OutboxStatus::Held(reason);
            // While it is held, this is when the wait for a person ends.
            entry.next_attempt =
                WallTime(now.0.saturating_add(shared.settings.approval_lasts.millis()));
            entry.decision = None;
            Outcome::Held
        }
        Step::Record(reason) => {
            settled(entry, OutboxStatus::Recorded, Some(reason));
            Outcome::Recorded
        }
        Step::Refuse(reason) => {
            settled(entry, OutboxStatus::Refused, Some(reason));
            Outcome::Refused
        }
        Step::Park(reason) => {
            settled(entry, OutboxStatus::Parked, Some(reason));
            Outcome::Parked
        }
        Step::Defer(until) => {
            entry.next_attempt = until;
            Outcome::Deferred
        }
    }
}

fn cut(text: &str) -> Arc<str> {
    let mut end = text.len().min(ERROR_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].into()
}

/// Lets a held action lapse.
pub(super) fn expire(shared: &Shared, entry: &OutboxEntry) -> Result<(), StoreError> {
    let mut changed = entry.clone();
    changed.status = OutboxStatus::Refused;
    changed.settled = Some(shared.now());
    changed.last_error = Some("nobody approved it in time".into());
    if shared.put(entry, &changed)? {
        shared.audit("satpam", "expired", &entry.planned.id.to_string(), "approval lapsed")?;
        if let DeliveryKind::Action(kind) = entry.planned.kind {
            after_action(shared, &changed, kind, Outcome::Refused)?;
        }
    }
    Ok(())
}

/// Counts what became of an action, tells whom it concerns, and lets waiting notices go.
fn after_action(
    shared: &Shared,
    entry: &OutboxEntry,
    kind: ActionKind,
    outcome: Outcome,
) -> Result<(), StoreError> {
    let planned = &entry.planned;
    let word = match outcome {
        Outcome::Delivered => "done",
        Outcome::Held => "held",
        Outcome::Recorded => "recorded",
        Outcome::Parked => "parked",
        Outcome::Refused => "refused",
        Outcome::Accepted | Outcome::Retried | Outcome::Deferred => return Ok(()),
    };
    shared.metrics.actions.with_label_values(&[kind.as_str(), word]).inc();
    if kind == ActionKind::ForcePasswordReset {
        count_reset(shared, entry, outcome);
    }
    shared.change_state(|state| {
        state.accepted.remove(&planned.id);
        state.templates.remove(&planned.id);
    })?;
    let why = entry.last_error.as_deref().unwrap_or_default();
    shared.audit("satpam", word, &planned.id.to_string(), &format!("{}: {why}", kind.as_str()))?;
    if outcome == Outcome::Held {
        let mail = DeliveryKind::StaffMail(StaffMail::ApprovalNeeded);
        insert_mail(shared, planned, mail, "staff", kind.as_str(), GATHER_HELD)?;
    }
    let notice = OutboxId::mint(planned.incident, NOTICE, "tenant");
    let told = shared.store.outbox().get(notice)?.is_some_and(|n| n.status == OutboxStatus::Done);
    if outcome == Outcome::Delivered && told {
        let mail = DeliveryKind::TenantMail(TenantMail::Update);
        insert_mail(shared, planned, mail, "tenant", kind.as_str(), GATHER)?;
    }
    shared.release(planned.id)
}

const NOTICE: DeliveryKind = DeliveryKind::TenantMail(TenantMail::Notice);

/// Mints the id of a mail about one action of an incident, or about its notice.
fn mail_id(planned: &Planned, mail: DeliveryKind, reader: &str, about: &str) -> OutboxId {
    OutboxId::mint(planned.incident, mail, &format!("{reader}/{about}"))
}

fn insert_mail(
    shared: &Shared,
    cause: &Planned,
    mail: DeliveryKind,
    reader: &str,
    about: &str,
    gather: TimeSpan,
) -> Result<(), StoreError> {
    let planned = Planned {
        id: mail_id(cause, mail, reader, about),
        kind: mail,
        target: reader.into(),
        needs_approval: None,
        after: Vec::new(),
        ..cause.clone()
    };
    let mut entry = OutboxEntry::new(planned);
    entry.next_attempt = WallTime(shared.now().0.saturating_add(gather.millis()));
    shared.store.outbox().insert(&entry).map(|_| ())
}

fn count_reset(shared: &Shared, entry: &OutboxEntry, outcome: Outcome) {
    let resets = &shared.metrics.resets;
    let word = match outcome {
        Outcome::Delivered => {
            for user in &entry.outcome {
                let word = if user.done { "succeeded" } else { "failed" };
                resets.with_label_values(&[word, role_label(&user.role)]).inc();
            }
            let begun = entry.decision.as_ref().map_or(entry.planned.created.millis(), |d| d.at.0);
            #[expect(clippy::cast_precision_loss, reason = "lengths of time below 2^52 ms")]
            let seconds = shared.now().0.saturating_sub(begun).max(0) as f64 / 1000.0;
            shared.metrics.reset_seconds.observe(seconds);
            if !entry.outcome.is_empty() {
                return;
            }
            "succeeded"
        }
        Outcome::Held => match entry.status {
            OutboxStatus::Held(crate::store::HoldReason::Budget) => "refused_budget",
            OutboxStatus::Held(_)
            | OutboxStatus::Due
            | OutboxStatus::Done
            | OutboxStatus::Recorded
            | OutboxStatus::Parked
            | OutboxStatus::Refused => "awaiting_approval",
        },
        Outcome::Recorded => "dry_run",
        Outcome::Parked => "failed",
        Outcome::Refused | Outcome::Accepted | Outcome::Retried | Outcome::Deferred => "refused",
    };
    resets.with_label_values(&[word, "all"]).inc();
}

async fn action(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    kind: ActionKind,
) -> Result<Step, StoreError> {
    let account = entry.planned.account.clone();
    let now = shared.now();
    let seen = shared.figures.accounts_seen.load(std::sync::atomic::Ordering::Relaxed);
    let budget = shared.settings.budget;
    let within = !guard::draws_budget(kind)
        || shared.state(|state| state.budget.allows(budget, seen, &account, now));
    // A delivery that was tried has been allowed: a retry is not a second question.
    let begun = entry.attempts > 0 || shared.state(|s| s.accepted.contains_key(&entry.planned.id));
    let ruling = guard::rule(&Question {
        mode: shared.settings.modes.of(kind),
        needs_approval: entry.planned.needs_approval.filter(|_| !begun),
        decision: entry.decision.as_ref(),
        approval_lasts: shared.settings.approval_lasts,
        budget: if within { BudgetAnswer::Within } else { BudgetAnswer::Spent },
        now,
    });
    if let Some(step) = stopped(ruling) {
        return Ok(step);
    }
    if kind == ActionKind::RequestSecretKeyReset {
        return support(shared, entry).await;
    }
    let Some(platform) = &shared.platform else {
        return Ok(Step::Record("no platform API is configured".to_owned()));
    };
    if guard::draws_budget(kind) {
        shared
            .blocking(move |shared| shared.change_state(|state| state.budget.draw(&account, now)))
            .await?;
    }
    let id = entry.planned.id;
    let accepted = shared.state(|state| state.accepted.get(&id).copied());
    let answer = if accepted.is_some() {
        platform.poll(&entry.planned, now).await
    } else {
        let templates = templates(shared, &entry.planned, kind).await?;
        let body = platform::body(&entry.planned, kind, &templates);
        platform.request(&entry.planned, body, now).await
    };
    conclude(shared, id, accepted, answer).await
}

/// What becomes of an entry that may not be delivered.
fn stopped(ruling: Ruling) -> Option<Step> {
    match ruling {
        Ruling::Record => Some(Step::Record("its mode is shadow or off".to_owned())),
        Ruling::Refuse => Some(Step::Refuse("a person denied it".to_owned())),
        Ruling::Hold(reason) => Some(Step::Hold(reason)),
        Ruling::Act => None,
    }
}

/// What the platform's answer means for the entry.
async fn conclude(
    shared: &Arc<Shared>,
    id: OutboxId,
    accepted: Option<WallTime>,
    answer: Result<Answer, DeliverError>,
) -> Result<Step, StoreError> {
    let now = shared.now();
    let settings = shared.settings.platform.as_ref();
    let poll_every = settings.map_or(TimeSpan::from_millis(5_000), |platform| platform.poll_every);
    let lasts = settings.map_or(0, |platform| platform.accepted_lasts.millis());
    Ok(match answer {
        Ok(Answer::Done(users)) => Step::Done(users),
        Ok(Answer::Accepted(after)) => {
            let since = accepted.unwrap_or(now);
            if now.0.saturating_sub(since.0) > lasts {
                return Ok(Step::Park("the platform accepted it and never finished".to_owned()));
            }
            shared
                .blocking(move |shared| {
                    shared.change_state(|state| {
                        state.accepted.entry(id).or_insert(now);
                    })
                })
                .await?;
            Step::Accepted(after.unwrap_or(poll_every).min(TimeSpan::from_millis(300_000)))
        }
        // It was accepted and is not known any more: ask for it again under the same key.
        Ok(Answer::Unknown) => {
            shared
                .blocking(move |shared| {
                    shared.change_state(|state| {
                        state.accepted.remove(&id);
                    })
                })
                .await?;
            let reason = "the platform forgot an action that it had accepted".to_owned();
            Step::Failed { error: DeliverError::Later { reason, after: None }, outcome: Vec::new() }
        }
        Err(error) => Step::Failed { error, outcome: Vec::new() },
    })
}

/// Returns the templates that a `block_template` is about, the same at every try.
async fn templates(
    shared: &Arc<Shared>,
    planned: &Planned,
    kind: ActionKind,
) -> Result<Vec<Arc<str>>, StoreError> {
    if kind != ActionKind::BlockTemplate {
        return Ok(Vec::new());
    }
    let (id, incident) = (planned.id, planned.incident);
    shared
        .blocking(move |shared| {
            if let Some(fixed) = shared.state(|state| state.templates.get(&id).cloned()) {
                return Ok(fixed);
            }
            let names = shared.store.incidents().get(incident)?.map(|i| i.impact.templates);
            let names = names.unwrap_or_default();
            shared.change_state(|state| {
                state.templates.insert(id, names.clone());
            })?;
            Ok(names)
        })
        .await
}

/// The incident and its actions, as they stand now.
async fn facts(
    shared: &Arc<Shared>,
    planned: &Planned,
) -> Result<Option<(Incident, Vec<OutboxEntry>)>, StoreError> {
    let id = planned.incident;
    shared
        .blocking(move |shared| {
            let Some(incident) = shared.store.incidents().get(id)? else { return Ok(None) };
            Ok(Some((incident, shared.actions_of(id)?)))
        })
        .await
}

/// The incident's first mail to the tenant, while it waits for a person.
async fn held_notice(
    shared: &Arc<Shared>,
    planned: &Planned,
) -> Result<Option<OutboxEntry>, StoreError> {
    let id = OutboxId::mint(planned.incident, NOTICE, "tenant");
    let notice = shared.blocking(move |shared| shared.store.outbox().get(id)).await?;
    Ok(notice.filter(|notice| matches!(notice.status, OutboxStatus::Held(_))))
}

fn no_incident() -> Step {
    Step::Park("the incident is not stored any more".to_owned())
}

async fn support(shared: &Arc<Shared>, entry: &OutboxEntry) -> Result<Step, StoreError> {
    let address = shared.settings.email.as_ref().and_then(|email| email.support.clone());
    let Some(address) = address else {
        return Ok(Step::Record("no support address is configured".to_owned()));
    };
    let Some((incident, _)) = facts(shared, &entry.planned).await? else {
        return Ok(no_incident());
    };
    let mail = render::support_mail(&shared.templates, &incident, &entry.planned);
    Ok(post(shared, entry, &[address.into()], mail, Audience::Support, Place::First).await)
}

async fn staff(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    kind: StaffMail,
) -> Result<Step, StoreError> {
    let Some(email) = &shared.settings.email else {
        return Ok(Step::Record("no mail server is configured".to_owned()));
    };
    if email.staff.is_empty() {
        return Ok(Step::Record("no staff address is configured".to_owned()));
    }
    let Some((incident, mut actions)) = facts(shared, &entry.planned).await? else {
        return Ok(no_incident());
    };
    actions.extend(held_notice(shared, &entry.planned).await?);
    let held = actions.iter().any(|action| matches!(action.status, OutboxStatus::Held(_)));
    let place = match kind {
        StaffMail::Opened => Place::First,
        StaffMail::ApprovalNeeded if !held => {
            return Ok(Step::Record("nothing waits for approval any more".to_owned()));
        }
        StaffMail::ApprovalNeeded => Place::Reply,
    };
    if kind == StaffMail::ApprovalNeeded
        && told_by_another(shared, entry, "staff", &actions).await?
    {
        return Ok(Step::Record("told in the mail about another action".to_owned()));
    }
    let facts = StaffFacts {
        actions: &actions,
        half_life: shared.half_life(),
        approval_lasts: shared.settings.approval_lasts,
    };
    let mail =
        render::staff_mail(&shared.templates, &shared.settings.brand, &incident, kind, facts);
    let staff: Vec<Arc<str>> = email.staff.iter().map(|address| address.as_str().into()).collect();
    Ok(post(shared, entry, &staff, mail, Audience::Staff, place).await)
}

/// Tells whether another mail of the kind, about another action of the incident, is on its way in
/// the order of the kinds before this one: that one tells of all actions.
async fn told_by_another(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    reader: &'static str,
    actions: &[OutboxEntry],
) -> Result<bool, StoreError> {
    let planned = entry.planned.clone();
    let kinds: Vec<ActionKind> = actions
        .iter()
        .filter_map(|action| match action.planned.kind {
            DeliveryKind::Action(kind) => Some(kind),
            DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) => None,
        })
        .collect();
    shared
        .blocking(move |shared| {
            for kind in kinds {
                let id = mail_id(&planned, planned.kind, reader, kind.as_str());
                if id == planned.id {
                    return Ok(false);
                }
                let other = shared.store.outbox().get(id)?;
                if other.is_some_and(|other| other.status == OutboxStatus::Due) {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await
}

async fn tenant(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    kind: TenantMail,
) -> Result<Step, StoreError> {
    let now = shared.now();
    if shared.mailer.is_none() {
        return Ok(Step::Record("no mail server is configured".to_owned()));
    }
    // A mail that was tried has been allowed.
    let ruling = guard::rule(&Question {
        mode: Mode::Auto,
        needs_approval: entry.planned.needs_approval.filter(|_| entry.attempts == 0),
        decision: entry.decision.as_ref(),
        approval_lasts: shared.settings.approval_lasts,
        budget: BudgetAnswer::Within,
        now,
    });
    if let Some(step) = stopped(ruling) {
        return Ok(step);
    }
    if let Some(step) = not_yet(shared, entry, kind, now).await? {
        return Ok(step);
    }
    shared.forget_wait(entry.planned.id);
    let Some((incident, actions)) = facts(shared, &entry.planned).await? else {
        return Ok(no_incident());
    };
    if incident.contacts.is_empty() {
        return Ok(Step::Park("no contact of this tenant is known".to_owned()));
    }
    let limits = shared.settings.mail_limits;
    match shared.state(|state| state.mails.ask(limits, &entry.planned.account, now)) {
        MailAnswer::Send => {}
        MailAnswer::PlatformCap(until) => return Ok(Step::Defer(until)),
        MailAnswer::TenantCap => {
            return Ok(Step::Park(format!(
                "this tenant has had {} mails in 24 hours",
                limits.tenant_per_day
            )));
        }
    }
    let place = if kind == TenantMail::Notice { Place::First } else { Place::Reply };
    let brand = &shared.settings.brand;
    let mail = render::tenant_mail(&shared.templates, brand, &incident, kind, &actions);
    let step = post(shared, entry, &incident.contacts, mail, Audience::Tenant, place).await;
    if kind == TenantMail::Notice && matches!(step, Step::Done(_)) {
        tell_later(shared, entry, actions).await?;
    }
    Ok(step)
}

/// An action may be done while the notice that does not mention it is on its way.
async fn tell_later(
    shared: &Arc<Shared>,
    notice: &OutboxEntry,
    told: Vec<OutboxEntry>,
) -> Result<(), StoreError> {
    let planned = notice.planned.clone();
    shared
        .blocking(move |shared| {
            for action in shared.actions_of(planned.incident)? {
                let was_done = told.iter().any(|old| {
                    old.planned.id == action.planned.id && old.status == OutboxStatus::Done
                });
                if let DeliveryKind::Action(kind) = action.planned.kind
                    && action.status == OutboxStatus::Done
                    && !was_done
                {
                    let mail = DeliveryKind::TenantMail(TenantMail::Update);
                    insert_mail(shared, &action.planned, mail, "tenant", kind.as_str(), GATHER)?;
                }
            }
            Ok(())
        })
        .await
}

/// What keeps a mail to a tenant from being written now, if anything.
async fn not_yet(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    kind: TenantMail,
    now: WallTime,
) -> Result<Option<Step>, StoreError> {
    let planned = entry.planned.clone();
    let first_look = entry.next_attempt == WallTime(0) && entry.attempts == 0;
    let every = shared.settings.mail_limits.update_every.millis();
    let waits = shared.settings.notice_waits.millis();
    shared
        .blocking(move |shared| match kind {
            TenantMail::Notice if first_look && !planned.after.is_empty() => {
                // Registered before looking, so that an action that settles now is not missed.
                shared.wait_for(planned.id, planned.after.clone());
                let wait = shared.any_due(&planned.after)?;
                Ok(wait.then(|| Step::Defer(WallTime(now.0.saturating_add(waits)))))
            }
            TenantMail::Notice => Ok(None),
            TenantMail::Update => {
                let mut last: Option<WallTime> = None;
                for kind in ActionKind::ALL {
                    let id = mail_id(&planned, planned.kind, "tenant", kind.as_str());
                    let sent = shared.store.outbox().get(id)?;
                    if let Some(sent) = sent.filter(|sent| sent.status == OutboxStatus::Done) {
                        last = last.max(sent.settled);
                    }
                }
                let Some(last) = last else { return Ok(None) };
                let id = about(&planned);
                let action = match id {
                    Some(id) => shared.store.outbox().get(id)?,
                    None => None,
                };
                if action.and_then(|action| action.settled).is_some_and(|at| at < last) {
                    return Ok(Some(Step::Record("told in an earlier update".to_owned())));
                }
                let free = WallTime(last.0.saturating_add(every));
                Ok((now < free).then_some(Step::Defer(free)))
            }
            TenantMail::AllClear | TenantMail::FalseAlarm => {
                let notice = OutboxId::mint(planned.incident, NOTICE, "tenant");
                let notice = shared.store.outbox().get(notice)?;
                Ok(match notice.map(|notice| notice.status) {
                    Some(OutboxStatus::Done) => None,
                    Some(OutboxStatus::Due) => {
                        Some(Step::Defer(WallTime(now.0 + CLOSING_WAIT.millis())))
                    }
                    Some(
                        OutboxStatus::Held(_)
                        | OutboxStatus::Recorded
                        | OutboxStatus::Parked
                        | OutboxStatus::Refused,
                    )
                    | None => Some(Step::Record("the tenant was not told of it".to_owned())),
                })
            }
        })
        .await
}

/// Returns the action that an update is about.
fn about(planned: &Planned) -> Option<OutboxId> {
    ActionKind::ALL
        .into_iter()
        .find(|kind| mail_id(planned, planned.kind, "tenant", kind.as_str()) == planned.id)
        .map(|kind| OutboxId::mint(planned.incident, DeliveryKind::Action(kind), "platform"))
}

/// Sends a mail to every recipient that has not got it yet.
async fn post(
    shared: &Arc<Shared>,
    entry: &OutboxEntry,
    recipients: &[Arc<str>],
    mail: Result<Mail, render::RenderError>,
    audience: Audience,
    place: Place,
) -> Step {
    let Some(mailer) = &shared.mailer else {
        return Step::Record("no mail server is configured".to_owned());
    };
    let mail = match mail {
        Ok(mail) => mail,
        Err(error) => {
            error!(error = super::chain(&error), "a mail could not be written");
            return Step::Park(super::chain(&error));
        }
    };
    let thread = Thread {
        incident: entry.planned.incident,
        audience,
        entry: entry.planned.id,
        place,
        importance: match entry.planned.kind {
            DeliveryKind::TenantMail(TenantMail::AllClear | TenantMail::FalseAlarm) => {
                Importance::Normal
            }
            DeliveryKind::TenantMail(_) | DeliveryKind::StaffMail(_) | DeliveryKind::Action(_) => {
                Importance::High
            }
        },
    };
    let mut outcome = entry.outcome.clone();
    let mut failure: Option<DeliverError> = None;
    let mut refusal = None;
    for recipient in recipients {
        if outcome.iter().any(|one| one.user == *recipient) {
            continue;
        }
        let mut record = |done| {
            let role = Arc::from("recipient");
            outcome.push(UserOutcome { user: Arc::clone(recipient), role, done });
        };
        match mailer.send(recipient, &mail, thread, shared.now()).await {
            Ok(()) => record(true),
            Err(error @ DeliverError::Unreachable { .. }) => {
                failure = Some(error);
                break;
            }
            Err(error @ DeliverError::Later { .. }) => failure = Some(error),
            Err(error @ (DeliverError::Refused(_) | DeliverError::NotFound(_))) => {
                record(false);
                refusal = Some(error);
            }
        }
    }
    let reached = outcome.iter().any(|one| one.done);
    match (failure, refusal) {
        (Some(error), _) => Step::Failed { error, outcome },
        (None, Some(error)) if !reached => Step::Failed { error, outcome },
        (None, _) if reached => Step::Done(outcome),
        (None, _) => Step::Park("no recipient takes this mail".to_owned()),
    }
}
