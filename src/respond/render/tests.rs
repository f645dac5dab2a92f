//! Every mail as people read it, and hostile texts in every place of one.

use std::sync::Arc;

use uuid::Uuid;

use super::*;
use crate::clock::WallTime;
use crate::event::{AccountId, EventId, EventTime, ShardId, TimeSpan};
use crate::incident::{
    Actor, Contribution, DeliveryKind, Impact, IncidentId, IncidentState, OutboxId, Stage,
};
use crate::store::{HoldReason, UserOutcome};

const OPENED: i64 = 1_795_489_440_000;

pub(in crate::respond) fn incident(language: Option<&str>) -> Incident {
    let account = AccountId::new("toko-abc123").unwrap();
    Incident {
        id: IncidentId(Uuid::from_u128(0x7f3c_2a00_0000_0000_0000_0000_0000_0001)),
        shard: ShardId(0),
        account,
        account_name: Some("Toko Contoh".into()),
        revision: 2,
        stage: Stage::Respond,
        opened: EventTime::from_millis(OPENED),
        last_match: EventTime::from_millis(OPENED + 600_000),
        risk: 131.2,
        risk_peak: 140.0,
        contributions: vec![Contribution {
            rule: "first_link".into(),
            title: "First link to a site".into(),
            level: "high".into(),
            status: "stable".into(),
            tenant_text: Some((
                "tautan pertama ke situs ini".into(),
                "first link to this site".into(),
            )),
            event: EventId::new("ev-1").unwrap(),
            event_type: "broadcast.created".into(),
            time: EventTime::from_millis(OPENED),
            matches: 3,
            base: 50.0,
            multiplier: 1.25,
            multiplier_reasons: vec!["two_factor_off".into()],
            evidence: vec![("content.hosts".into(), "hadiah-gratis.example".into())],
        }],
        actors: vec![Actor {
            id: Some("42".into()),
            email: Some("agent3@toko.example".into()),
            role: Some("agent".into()),
            credential: Some(Credential::Password),
            ip: Some("203.0.113.7".into()),
        }],
        impact: Impact {
            messages: 0,
            broadcasts: 1_240,
            recipients: 98_000,
            templates: vec!["promo_123".into()],
            hosts: vec!["hadiah-gratis.example".into()],
            ..Impact::default()
        },
        language: language.map(Into::into),
        timezone: "Asia/Jakarta".into(),
        two_factor: Some(false),
        contacts: vec!["admin@toko.example".into()],
        rules_revision: "r1".into(),
        engine_version: "0.1.0".into(),
        state: IncidentState::Open,
    }
}

fn action(incident: &Incident, kind: ActionKind, status: OutboxStatus) -> OutboxEntry {
    let kind = DeliveryKind::Action(kind);
    let mut entry = OutboxEntry::new(Planned {
        id: OutboxId::mint(incident.id, kind, "platform"),
        shard: incident.shard,
        account: incident.account.clone(),
        incident: incident.id,
        kind,
        target: "platform".into(),
        created: incident.last_match,
        reason: "First link to a site".into(),
        needs_approval: None,
        after: Vec::new(),
    });
    entry.status = status;
    if status == OutboxStatus::Done {
        entry.settled = Some(WallTime(OPENED + 660_000));
        entry.outcome = ["admin", "admin", "agent", "agent", "agent", "supervisor"]
            .iter()
            .enumerate()
            .map(|(user, role)| UserOutcome {
                user: user.to_string().into(),
                role: (*role).into(),
                done: true,
            })
            .collect();
    }
    entry
}

fn templates() -> Templates {
    Templates::load(None).unwrap()
}

fn brand() -> Brand {
    Brand {
        support_email: Some("support@platform.example".to_owned()),
        runbook_url: Some("https://runbooks.example/satpam".to_owned()),
        ..Brand::default()
    }
}

fn written(mail: &Mail) -> String {
    format!("Subject: {}\nContent-Language: {}\n\n{}", mail.subject, mail.languages, mail.text)
}

#[test]
fn every_mail_to_tenants_reads_as_agreed() {
    use OutboxStatus::{Done, Held};
    let reset = ActionKind::ForcePasswordReset;
    let cases: [(_, _, Vec<(ActionKind, OutboxStatus)>); 7] = [
        (
            "notice_acted",
            TenantMail::Notice,
            vec![(reset, Done), (ActionKind::RevokeSessions, Done)],
        ),
        (
            "notice_paused",
            TenantMail::Notice,
            vec![(ActionKind::PauseBroadcasts, Done), (reset, Held(HoldReason::Mode))],
        ),
        ("notice_held", TenantMail::Notice, vec![(reset, Held(HoldReason::Mode))]),
        ("notice_warning", TenantMail::Notice, vec![]),
        ("update", TenantMail::Update, vec![(reset, Done)]),
        ("all_clear", TenantMail::AllClear, vec![(reset, Done)]),
        ("false_alarm", TenantMail::FalseAlarm, vec![]),
    ];
    for (name, kind, actions) in cases {
        for language in ["id", "en"] {
            let incident = incident(Some(language));
            let actions: Vec<_> =
                actions.iter().map(|(kind, status)| action(&incident, *kind, *status)).collect();
            let mail = tenant_mail(&templates(), &brand(), &incident, kind, &actions).unwrap();
            insta::assert_snapshot!(format!("tenant_{name}_{language}"), written(&mail));
            insta::assert_snapshot!(format!("tenant_{name}_{language}_html"), mail.html);
        }
    }
}

#[test]
fn a_tenant_of_unknown_language_reads_indonesian_first_and_english_below() {
    let incident = incident(None);
    let mail = tenant_mail(&templates(), &brand(), &incident, TenantMail::Notice, &[]).unwrap();
    assert_eq!(mail.languages, "id, en");
    let (indonesian, english) =
        (mail.text.find("APA YANG TERJADI").unwrap(), mail.text.find("WHAT HAPPENED").unwrap());
    assert!(indonesian < english);
}

#[test]
fn mails_to_staff_and_support_read_as_agreed() {
    let incident = incident(Some("id"));
    let actions =
        [action(&incident, ActionKind::ForcePasswordReset, OutboxStatus::Held(HoldReason::Mode))];
    let facts = StaffFacts {
        actions: &actions,
        half_life: TimeSpan::from_millis(6 * 3_600_000),
        approval_lasts: TimeSpan::from_millis(24 * 3_600_000),
    };
    for (name, kind) in
        [("opened", StaffMail::Opened), ("approval_needed", StaffMail::ApprovalNeeded)]
    {
        let mail = staff_mail(&templates(), &brand(), &incident, kind, facts).unwrap();
        insta::assert_snapshot!(format!("staff_{name}"), written(&mail));
    }
    let mail = support_mail(&templates(), &incident, &actions[0].planned).unwrap();
    insta::assert_snapshot!("support", written(&mail));
}

#[test]
fn hostile_texts_stay_texts() {
    let evil: Arc<str> =
        "<script>alert(1)</script>\r\nBcc: x@evil.example {{ 7*7 }} https://evil.example/ +62 812-3456-5678 \u{202e}"
            .into();
    let mut incident = incident(Some("en"));
    incident.account_name = Some(Arc::clone(&evil));
    incident.impact.templates = vec![Arc::clone(&evil), "x".repeat(100_000).into()];
    incident.impact.hosts = vec![Arc::clone(&evil)];
    incident.actors[0].email = Some(Arc::clone(&evil));
    incident.actors[0].ip = Some(Arc::clone(&evil));
    incident.actors[0].role = Some(Arc::clone(&evil));
    incident.timezone = Arc::clone(&evil);
    let mail = tenant_mail(&templates(), &brand(), &incident, TenantMail::Notice, &[]).unwrap();
    assert!(!mail.subject.contains(['\r', '\n']), "{}", mail.subject);
    assert!(!mail.html.contains("<script>"));
    for text in [&mail.text, &mail.html, &mail.subject] {
        assert!(!text.contains("https://evil"), "{text}");
        assert!(!text.contains("3456"), "{text}");
        assert!(!text.contains('\u{202e}'), "{text}");
        assert!(!text.contains("49"), "a template was evaluated: {text}");
    }
    assert!(mail.html.len() < 100_000, "{} bytes", mail.html.len());
}

#[test]
fn an_operators_template_replaces_the_embedded_one_and_a_wrong_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("support.en.txt");
    std::fs::write(&path, "{% block subject %}Ours {{ code }}{% endblock %}").unwrap();
    let incident = incident(None);
    let planned = action(&incident, ActionKind::RequestSecretKeyReset, OutboxStatus::Due).planned;
    let loaded = Templates::load(Some(folder.path())).unwrap();
    assert_eq!(support_mail(&loaded, &incident, &planned).unwrap().subject, "Ours SPM-7F3C2A");
    std::fs::write(&path, "{% block subject %}{{ no_such_name }}{% endblock %}").unwrap();
    let loaded = Templates::load(Some(folder.path())).unwrap();
    assert!(support_mail(&loaded, &incident, &planned).is_err());
    std::fs::write(&path, "{% block subject %}").unwrap();
    assert!(Templates::load(Some(folder.path())).is_err());
}
