//! The laws of risk and incidents, told as sequences of matches on one account.

use std::sync::Arc;

use super::{
    Actor, ApprovalReason, Changes, DeliveryKind, Impact, IncidentState, Ledger, Match, Occasion,
    Posture, StaffMail, Stage, Tenant, TenantMail, Verdict,
};
use crate::event::{AccountId, EventId, EventTime, ShardId};
use crate::rulebook::{ActionKind, Credential, Level, Policy, RuleMeta, Status};

const HOUR: i64 = 3_600_000;

fn rule(key: &str, risk: f64, level: Level, status: Status) -> RuleMeta {
    RuleMeta {
        key: key.into(),
        id: None,
        name: Some(key.into()),
        title: format!("Title of {key}").into(),
        description: "".into(),
        level,
        status,
        tags: Vec::new(),
        references: Vec::new(),
        falsepositives: Vec::new(),
        risk,
        tenant: None,
        contain: Vec::new(),
        file: "test.yaml".into(),
        line: 1,
    }
}

fn stable(key: &str, risk: f64) -> RuleMeta {
    rule(key, risk, Level::High, Status::Stable)
}

/// One account and its policy; each match comes with an event of its own.
struct Case {
    ledger: Ledger,
    policy: Policy,
    account: AccountId,
    revision: Arc<str>,
    protected: bool,
    posture: Posture,
    credential: Option<Credential>,
    throttled: bool,
    events: u32,
}

impl Case {
    fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            policy: Policy::default(),
            account: AccountId::new("toko").unwrap(),
            revision: "r1".into(),
            protected: false,
            posture: Posture::default(),
            credential: Some(Credential::Password),
            throttled: false,
            events: 0,
        }
    }

    fn at(&mut self, millis: i64, rules: &[&RuleMeta]) -> Changes {
        self.events += 1;
        let event = EventId::new(&format!("e{}", self.events)).unwrap();
        let matches: Vec<Match<'_>> = rules
            .iter()
            .map(|rule| Match { rule, evidence: Vec::new(), throttled: self.throttled })
            .collect();
        let time = EventTime::from_millis(millis);
        let occasion = Occasion {
            shard: ShardId(0),
            account: &self.account,
            event: &event,
            event_type: "message.sent",
            time,
            now: time,
            watermark: time,
            actor: Some(Actor {
                id: Some("7".into()),
                email: None,
                role: None,
                credential: self.credential,
                ip: None,
            }),
            posture: self.posture,
            impact: Impact { messages: 1, ..Impact::default() },
            tenant: Tenant {
                name: None,
                language: None,
                timezone: "Asia/Jakarta".into(),
                two_factor: None,
                contacts: &[],
                protected: self.protected,
            },
            rules_revision: &self.revision,
        };
        self.ledger.record(&matches, &occasion, &self.policy)
    }

    fn risk(&self, millis: i64) -> f64 {
        self.ledger.risk(EventTime::from_millis(millis), &self.policy)
    }
}

fn kinds(changes: &Changes) -> Vec<DeliveryKind> {
    changes.planned.iter().map(|planned| planned.kind).collect()
}

#[test]
fn two_rules_that_measure_one_fact_count_once() {
    let mut case = Case::new();
    case.policy.same_evidence = vec![vec!["habit".into(), "source".into()]];
    let first = stable("habit", 50.0);
    let new_source = stable("source", 60.0);
    case.at(0, &[&first, &new_source]);
    assert!((case.risk(0) - 60.0).abs() < 1e-9, "{}", case.risk(0));
    // Another fact adds to it.
    let changes = case.at(0, &[&stable("template_by_new_source_new_domain", 40.0)]);
    assert!((case.risk(0) - 100.0).abs() < 1e-9, "{}", case.risk(0));
    assert_eq!(changes.incident.unwrap().stage, Stage::Respond);
}

#[test]
fn a_repeated_rule_refreshes_and_does_not_stack() {
    let mut case = Case::new();
    let noisy = stable("noisy", 40.0);
    for minute in 0..100 {
        let changes = case.at(minute * 60_000, &[&noisy]);
        assert_eq!(changes, Changes::default(), "minute {minute}");
    }
    assert!((case.risk(99 * 60_000) - 40.0).abs() < 1e-9);
    assert_eq!(case.ledger.contributions()[0].matches, 100);
}

#[test]
fn risk_halves_in_a_half_life() {
    let mut case = Case::new();
    case.at(0, &[&stable("a", 40.0)]);
    for (hours, expected) in [(0, 40.0), (6, 20.0), (12, 10.0), (24, 2.5)] {
        assert!((case.risk(hours * HOUR) - expected).abs() < 1e-9, "after {hours} h");
    }
}

#[test]
fn different_rules_climb_the_thresholds_in_order() {
    let mut case = Case::new();
    let (a, b, c) = (stable("a", 50.0), stable("b", 25.0), stable("c", 25.0));
    let changes = case.at(0, &[&a]);
    assert!(changes.opened);
    assert_eq!(changes.incident.as_ref().unwrap().stage, Stage::Alert);
    assert_eq!(kinds(&changes), [DeliveryKind::StaffMail(StaffMail::Opened)]);

    let changes = case.at(0, &[&b]);
    assert!(!changes.opened);
    assert_eq!(kinds(&changes), [DeliveryKind::TenantMail(TenantMail::Notice)]);

    let changes = case.at(0, &[&c]);
    assert_eq!(
        kinds(&changes),
        [
            DeliveryKind::Action(ActionKind::ForcePasswordReset),
            DeliveryKind::Action(ActionKind::RevokeSessions),
            DeliveryKind::Action(ActionKind::PauseBroadcasts),
        ]
    );
    assert!(changes.planned.iter().all(|planned| planned.needs_approval.is_none()));
    let incident = changes.incident.unwrap();
    assert_eq!((incident.stage, incident.revision), (Stage::Respond, 2));
    assert_eq!(incident.impact.messages, 3);

    // Once an incident: the same rules again plan nothing more.
    assert_eq!(kinds(&case.at(1000, &[&a, &b, &c])), []);
}

#[test]
fn the_notice_waits_for_the_actions_that_were_planned_with_it() {
    let mut case = Case::new();
    let changes = case.at(0, &[&stable("a", 60.0), &stable("b", 60.0)]);
    let ids: Vec<_> = changes.planned.iter().map(|planned| planned.id).collect();
    let notice = changes.planned.last().unwrap();
    assert_eq!(notice.kind, DeliveryKind::TenantMail(TenantMail::Notice));
    assert_eq!(notice.after, ids[1..4]);
}

#[test]
fn a_new_credential_in_the_same_incident_calls_for_its_own_actions() {
    let mut case = Case::new();
    let (a, b) = (stable("a", 60.0), stable("b", 60.0));
    case.at(0, &[&a, &b]);
    case.credential = Some(Credential::SecretKey);
    let changes = case.at(1, &[&a]);
    assert_eq!(kinds(&changes), [DeliveryKind::Action(ActionKind::RequestSecretKeyReset)]);
}

#[test]
fn shadow_rules_never_score_and_test_rules_reach_staff_only() {
    for status in [Status::Experimental, Status::Deprecated, Status::Unsupported] {
        let mut case = Case::new();
        let changes = case.at(0, &[&rule("a", 500.0, Level::Critical, status)]);
        assert_eq!(changes, Changes::default(), "{status:?}");
    }
    let mut case = Case::new();
    let changes = case.at(0, &[&rule("a", 500.0, Level::Critical, Status::Test)]);
    assert_eq!(changes.incident.as_ref().unwrap().stage, Stage::Alert);
    assert_eq!(kinds(&changes), [DeliveryKind::StaffMail(StaffMail::Opened)]);
}

#[test]
fn what_only_a_throttled_rule_leads_to_waits_for_a_person_and_staff_hear_of_it_at_once() {
    let approvals = |changes: &Changes| -> Vec<Option<ApprovalReason>> {
        let for_tenant =
            |one: &&crate::incident::Planned| !matches!(one.kind, DeliveryKind::StaffMail(_));
        changes.planned.iter().filter(for_tenant).map(|one| one.needs_approval).collect()
    };
    let critical = |key| rule(key, 100.0, Level::Critical, Status::Stable);
    let (noisy, other) = (critical("noisy"), critical("other"));
    let mut case = Case::new();
    case.throttled = true;
    let changes = case.at(0, &[&noisy]);
    assert!(
        changes.planned.iter().any(|one| one.kind == DeliveryKind::StaffMail(StaffMail::Opened)
            && one.needs_approval.is_none())
    );
    let held = approvals(&changes);
    assert!(held.len() >= 2, "{held:?}");
    // Of two reasons the first is named; either keeps it waiting.
    assert!(held.iter().all(Option::is_some), "{held:?}");
    assert!(held.contains(&Some(ApprovalReason::NoisyRule)), "{held:?}");
    assert_eq!(&*changes.incident.unwrap().contributions[0].status, "throttled");

    // Another rule that says the same by itself needs nobody.
    let mut case = Case::new();
    case.throttled = true;
    case.at(0, &[&rule("noisy", 60.0, Level::High, Status::Stable)]);
    case.throttled = false;
    let changes = case.at(1, &[&other]);
    assert!(approvals(&changes).iter().all(Option::is_none), "{changes:?}");

    // An account that was hit before the rule became noisy is not let go.
    let mut case = Case::new();
    case.at(0, &[&rule("noisy", 60.0, Level::High, Status::Stable)]);
    case.throttled = true;
    case.at(1, &[&rule("noisy", 60.0, Level::High, Status::Stable)]);
    case.throttled = false;
    let changes = case.at(2, &[&rule("other", 60.0, Level::High, Status::Stable)]);
    assert_eq!(changes.incident.as_ref().unwrap().stage, Stage::Respond);
    assert!(approvals(&changes).iter().all(Option::is_none), "{changes:?}");
}

#[test]
fn a_forced_reset_needs_two_stable_rules_or_a_critical_one() {
    let high = |key| rule(key, 100.0, Level::High, Status::Stable);
    let critical = rule("c", 100.0, Level::Critical, Status::Stable);
    let test = rule("t", 100.0, Level::Critical, Status::Test);
    let (one, other) = (high("one"), high("other"));
    let cases: [(&[&RuleMeta], Option<ApprovalReason>); 4] = [
        (&[&one], Some(ApprovalReason::TooFewRules)),
        (&[&one, &test], Some(ApprovalReason::TooFewRules)),
        (&[&one, &other], None),
        (&[&critical], None),
    ];
    for (rules, expected) in cases {
        let mut case = Case::new();
        let changes = case.at(0, rules);
        let approval_of = |kind| {
            let kind = DeliveryKind::Action(kind);
            changes.planned.iter().find(|planned| planned.kind == kind).unwrap().needs_approval
        };
        assert_eq!(approval_of(ActionKind::ForcePasswordReset), expected, "{rules:?}");
        assert_eq!(approval_of(ActionKind::PauseBroadcasts), None, "{rules:?}");
    }
}

#[test]
fn protected_accounts_and_recent_actions_need_a_person() {
    let mut case = Case::new();
    case.protected = true;
    let (a, b) = (stable("a", 60.0), stable("b", 60.0));
    let reset = |changes: &Changes| {
        let kind = DeliveryKind::Action(ActionKind::ForcePasswordReset);
        changes.planned.iter().find(|planned| planned.kind == kind).map(|one| one.needs_approval)
    };
    assert_eq!(reset(&case.at(0, &[&a, &b])), Some(Some(ApprovalReason::Protected)));

    let mut case = Case::new();
    case.at(0, &[&a, &b]);
    case.ledger.close(EventTime::from_millis(HOUR), Verdict::Resolved, "done", "ops");
    assert_eq!(reset(&case.at(2 * HOUR, &[&a, &b])), Some(Some(ApprovalReason::Cooldown)));
    case.ledger.close(EventTime::from_millis(3 * HOUR), Verdict::Resolved, "done", "ops");
    assert_eq!(reset(&case.at(30 * HOUR, &[&a, &b])), Some(None));
}

#[test]
fn a_quiet_incident_closes_at_its_time_and_tells_a_tenant_that_was_told_before() {
    let mut case = Case::new();
    case.at(0, &[&stable("a", 60.0)]);
    let changes = case.at(HOUR, &[&stable("b", 30.0)]);
    let id = changes.incident.unwrap().id;
    let quiet = EventTime::from_millis(25 * HOUR);
    assert_eq!(case.ledger.closes_at(&case.policy), Some(quiet));
    let early = case.ledger.close_if_quiet(quiet.plus_millis(-1), &case.policy);
    assert_eq!(early, Changes::default());
    let changes = case.ledger.close_if_quiet(quiet, &case.policy);
    assert!(changes.closed);
    assert_eq!(kinds(&changes), [DeliveryKind::TenantMail(TenantMail::AllClear)]);
    let incident = changes.incident.unwrap();
    assert_eq!(incident.id, id);
    assert!(matches!(incident.state, IncidentState::Closed { verdict: Verdict::Quiet, .. }));
    assert_eq!(case.ledger.incident(), None);
}

#[test]
fn a_false_positive_takes_its_risk_back() {
    let mut case = Case::new();
    case.at(0, &[&stable("a", 80.0)]);
    let now = EventTime::from_millis(1);
    let changes = case.ledger.close(now, Verdict::FalsePositive, "our campaign", "ops");
    assert_eq!(kinds(&changes), [DeliveryKind::TenantMail(TenantMail::FalseAlarm)]);
    assert!(case.risk(1).abs() < 1e-9);
    assert_eq!(case.at(2, &[&stable("b", 10.0)]), Changes::default());
}

#[test]
fn posture_multiplies_and_says_why() {
    let mut case = Case::new();
    case.posture = Posture { two_factor_off: true, outside_allowlist: true, ..Posture::default() };
    case.at(0, &[&stable("a", 40.0)]);
    assert!((case.risk(0) - 40.0 * 1.25 * 1.5).abs() < 1e-9);
    let reasons = &case.ledger.contributions()[0].multiplier_reasons;
    assert_eq!(
        reasons.iter().map(|one| &**one).collect::<Vec<_>>(),
        ["two_factor_off", "outside_allowlist"]
    );
}

#[test]
fn the_same_events_mint_the_same_ids() {
    let run = || {
        let mut case = Case::new();
        let changes = case.at(0, &[&stable("a", 60.0), &stable("b", 60.0)]);
        (changes.incident.unwrap().id, changes.planned)
    };
    assert_eq!(run(), run());
}

#[test]
fn at_most_32_rules_count_and_the_weakest_makes_room() {
    let mut case = Case::new();
    for n in 0..40 {
        case.at(0, &[&stable(&format!("r{n}"), f64::from(n) / 10.0 + 1.0)]);
    }
    assert_eq!(case.ledger.contributions().len(), 32);
    let least = case.ledger.contributions().iter().map(|one| one.base).fold(f64::MAX, f64::min);
    assert!((least - 1.8).abs() < 1e-9, "{least}");
}

#[test]
fn what_a_person_judged_takes_its_risk_back_and_later_matches_begin_anew() {
    for (verdict, mail) in [
        (Verdict::FalsePositive, TenantMail::FalseAlarm),
        (Verdict::Resolved, TenantMail::AllClear),
        (Verdict::AcceptedRisk, TenantMail::AllClear),
    ] {
        let mut case = Case::new();
        let opened = case.at(0, &[&stable("a", 60.0), &stable("b", 60.0)]).incident.unwrap();
        let closed = case.ledger.close(
            EventTime::from_millis(HOUR),
            verdict,
            "a raffle",
            "Sari (as satpam)",
        );
        assert_eq!(kinds(&closed), [DeliveryKind::TenantMail(mail)], "{verdict:?}");
        assert!(closed.closed && case.risk(HOUR) < f64::EPSILON);
        assert_eq!(case.at(2 * HOUR, &[&stable("c", 40.0)]), Changes::default(), "{verdict:?}");
        let next = case.at(2 * HOUR, &[&stable("a", 60.0)]).incident.unwrap();
        assert_ne!(next.id, opened.id, "another incident can open");
    }
}

#[test]
fn a_ledger_that_is_behind_takes_over_what_is_stored_of_its_incident() {
    let mut case = Case::new();
    let open = case.at(0, &[&stable("a", 60.0), &stable("b", 60.0)]).incident.unwrap();
    let mut ahead = open.clone();
    ahead.revision = 7;
    case.ledger.take_over(&ahead);
    assert_eq!(case.ledger.incident(), Some(&ahead));
    let next = case.at(1, &[&stable("c", 10.0)]).incident.unwrap();
    assert_eq!(next.revision, 8, "the next change is newer than what is stored");

    let mut other = open.clone();
    other.id = super::IncidentId(uuid::Uuid::nil());
    case.ledger.take_over(&other);
    assert_eq!(case.ledger.incident().map(|incident| incident.id), Some(open.id));

    let at = EventTime::from_millis(HOUR);
    let closed = super::closed(next, at, Verdict::FalsePositive, "a raffle", "Sari").incident;
    case.ledger.take_over(&closed.unwrap());
    assert_eq!(case.ledger.incident(), None);
    assert!(case.risk(HOUR) < f64::EPSILON);
}
