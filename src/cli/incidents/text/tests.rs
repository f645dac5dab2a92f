//! What people read, kept as it is.

use super::*;
use crate::cli::deliveries;
use crate::console::{
    AuditView, DecisionView, DeliveryList, EvidenceView, ImpactView, ThresholdView, UserView,
};

fn summary(closed: Option<ClosedView>) -> IncidentSummary {
    IncidentSummary {
        id: "7f3c2a10-b209-5905-af7b-d46b9c32a6b2".to_owned(),
        code: "SPM-7F3C2A".to_owned(),
        account: "toko-contoh".to_owned(),
        account_name: Some("Toko Contoh".to_owned()),
        state: if closed.is_some() { "closed" } else { "open" }.to_owned(),
        stage: "respond".to_owned(),
        risk: 182.5,
        opened: "2026-11-09T19:05:00Z".to_owned(),
        last_match: "2026-11-09T19:11:00Z".to_owned(),
        rules: 2,
        title: "Announces a prize".to_owned(),
        closed,
    }
}

fn closed_view() -> ClosedView {
    ClosedView {
        at: "2026-11-10T02:00:00Z".to_owned(),
        verdict: "false-positive".to_owned(),
        reason: "a real raffle".to_owned(),
        by: "Sari (as satpam)".to_owned(),
    }
}

fn delivery(id: &str, kind: &str, state: &str) -> DeliveryView {
    DeliveryView {
        id: format!("{id}-0000-5000-8000-000000000000"),
        kind: kind.to_owned(),
        is_action: true,
        account: "toko-contoh".to_owned(),
        incident: "7f3c2a10-b209-5905-af7b-d46b9c32a6b2".to_owned(),
        incident_code: "SPM-7F3C2A".to_owned(),
        state: state.to_owned(),
        held_because: (state == "held").then(|| "its mode is `approve`".to_owned()),
        reason: "Announces a prize; First link to a site".to_owned(),
        planned: "2026-11-09T19:11:00Z".to_owned(),
        attempts: 0,
        next_attempt: None,
        last_error: None,
        users: Vec::new(),
        decision: None,
        settled: None,
    }
}

fn deliveries_of_all_kinds() -> Vec<DeliveryView> {
    let mut done = delivery("22222222", "revoke_sessions", "done");
    done.users = [true, false]
        .map(|done| UserView { user: "7".to_owned(), role: "agent".to_owned(), done })
        .to_vec();
    done.decision = Some(DecisionView {
        approved: true,
        by: "Sari (as satpam)".to_owned(),
        reason: "called them".to_owned(),
        at: "2026-11-10T01:00:00Z".to_owned(),
    });
    let mut due = delivery("33333333", "pause_broadcasts", "due");
    due.attempts = 3;
    due.next_attempt = Some("2026-11-10T01:02:00Z".to_owned());
    due.last_error = Some("the platform answered 503".to_owned());
    let mut parked = delivery("44444444", "tenant_mail_notice", "parked");
    parked.last_error = Some("no such mailbox".to_owned());
    vec![delivery("11111111", "force_password_reset", "held"), done, due, parked]
}

fn view() -> IncidentView {
    let contribution = |rule: &str, worth: f64| ContributionView {
        rule: rule.to_owned(),
        title: "Announces a prize".to_owned(),
        level: "high".to_owned(),
        status: "stable".to_owned(),
        base: worth / 1.25,
        multiplier: 1.25,
        multiplier_reasons: vec!["two_factor_off".to_owned()],
        worth_at_last_match: worth,
        worth_now: worth / 2.0,
        time: "2026-11-09T19:05:00Z".to_owned(),
        matches: 2,
        event: "x2".to_owned(),
        event_type: "template.created".to_owned(),
        evidence: vec![EvidenceView {
            field: "content.norm".to_owned(),
            value: "klik hxxp://undian[.]example".to_owned(),
        }],
    };
    IncidentView {
        summary: summary(None),
        risk_at_last_match: 182.5,
        risk_now: 91.25,
        now: "2026-11-10T01:11:00Z".to_owned(),
        half_life_seconds: 21_600,
        thresholds: [
            ("alert", 50.0, true),
            ("notify_tenant", 75.0, true),
            ("respond", 100.0, false),
        ]
        .map(|(name, risk, crossed)| ThresholdView { name: name.to_owned(), risk, crossed })
        .to_vec(),
        contributions: vec![contribution("lottery_prize", 125.0), contribution("new_site", 57.5)],
        actors: vec![ActorView {
            id: Some("7".to_owned()),
            email: Some("budi@toko.example".to_owned()),
            role: Some("admin".to_owned()),
            credential: Some("password".to_owned()),
            ip: Some("198.51.100.77".to_owned()),
        }],
        impact: ImpactView {
            messages: 0,
            broadcasts: 1,
            recipients: 990,
            templates: vec!["promo_123".to_owned()],
            hosts: vec!["undian[.]example".to_owned()],
        },
        two_factor: Some(false),
        timezone: "Asia/Jakarta".to_owned(),
        contacts: vec!["budi@t***.example".to_owned()],
        rules_revision: "4be1".to_owned(),
        engine_version: "0.1.0".to_owned(),
        deliveries: deliveries_of_all_kinds(),
        audit: vec![AuditView {
            at: "2026-11-10T01:00:00Z".to_owned(),
            who: "Sari (as satpam)".to_owned(),
            what: "approved".to_owned(),
            subject: "22222222-0000-5000-8000-000000000000".to_owned(),
            reason: "called them".to_owned(),
        }],
        exception: None,
    }
}

#[test]
fn a_list_of_incidents_is_read_at_a_glance() {
    let incidents = vec![summary(None), summary(Some(closed_view()))];
    insta::assert_snapshot!("list", list(&IncidentList { incidents, truncated: true }));
    let empty = IncidentList { incidents: Vec::new(), truncated: false };
    assert_eq!(list(&empty), "There is no such incident.\n");
}

#[test]
fn an_incident_is_explained_to_a_person() {
    insta::assert_snapshot!("show", show(&view()));
}

#[test]
fn closing_says_what_it_has_done_and_what_is_left() {
    let mut all = deliveries_of_all_kinds();
    let closing = ClosingView {
        incident: summary(Some(closed_view())),
        done: vec![all.remove(1)],
        withdrawn: vec![all.remove(0)],
        exception: Some("title: Exception after SPM-7F3C2A\n".to_owned()),
    };
    insta::assert_snapshot!("closed", closed(&closing));
}

#[test]
fn deliveries_are_listed_with_why_they_are_where_they_are() {
    let list = DeliveryList { deliveries: deliveries_of_all_kinds(), truncated: false };
    insta::assert_snapshot!("deliveries", deliveries::list(&list, "nothing"));
    let none = DeliveryList { deliveries: Vec::new(), truncated: false };
    assert_eq!(deliveries::list(&none, "Nothing waits."), "Nothing waits.\n");
}

#[test]
fn a_decision_says_what_follows() {
    let all = deliveries_of_all_kinds();
    insta::assert_snapshot!("decided", deliveries::decided(&all[1], "Approved"));
}
