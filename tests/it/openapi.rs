//! `docs/platform-actions.openapi.yaml` against the requests that satpam really makes.

use std::collections::BTreeSet;
use std::sync::Arc;

use satpam::event::{AccountId, EventId, EventTime, ShardId};
use satpam::incident::{DeliveryKind, IncidentId, OutboxId, Planned};
use satpam::respond::platform_request_body;
use satpam::rulebook::ActionKind;
use serde_json::{Value, json};

use crate::support::{read, violation_in};

fn document() -> Value {
    serde_saphyr::from_str(&read("docs/platform-actions.openapi.yaml")).unwrap()
}

/// Follows `#/a/b` through the document.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(reference) => document
            .pointer(reference.trim_start_matches('#'))
            .unwrap_or_else(|| panic!("{reference} leads nowhere")),
        None => schema,
    }
}

fn planned(kind: ActionKind) -> Planned {
    let account = AccountId::new("toko-contoh").unwrap();
    let incident = IncidentId::mint(&account, &EventId::new("e1").unwrap());
    let kind = DeliveryKind::Action(kind);
    Planned {
        id: OutboxId::mint(incident, kind, "platform"),
        shard: ShardId(0),
        account,
        incident,
        kind,
        target: "platform".into(),
        created: EventTime::from_millis(1_795_489_440_123),
        reason: "First link to a site; \u{202e}sent at night".into(),
        needs_approval: None,
        after: Vec::new(),
    }
}

#[test]
fn the_body_of_every_action_fits_the_document() {
    let document = document();
    let schema = document
        .pointer("/paths/~1accounts~1{app_code}~1actions/post/requestBody/content/application~1json/schema")
        .unwrap();
    for kind in ActionKind::ALL {
        let templates: Vec<Arc<str>> = vec!["promo_123".into()];
        let body = platform_request_body(&planned(kind), kind, &templates);
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(violation_in(&document, schema, &body), None);
        assert_eq!(body["kind"], kind.as_str());
        let about_templates = kind == ActionKind::BlockTemplate;
        assert_eq!(body.get("templates").is_some(), about_templates, "{kind:?}");
    }
    // The checker sees what is wrong.
    for wrong in [json!({"kind": "explode"}), json!({"id": "x", "more": 1})] {
        assert!(violation_in(&document, schema, &wrong).is_some(), "{wrong}");
    }
}

#[test]
fn the_document_lists_the_actions_of_the_program_and_no_other() {
    let document = document();
    let listed: BTreeSet<&str> = document["components"]["schemas"]["Kind"]["enum"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kind| kind.as_str().unwrap())
        .collect();
    let known: BTreeSet<&str> = ActionKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(listed, known);
}

#[test]
fn every_reference_leads_somewhere_and_every_call_names_the_headers_that_are_sent() {
    fn references(document: &Value, value: &Value) {
        resolve(document, value);
        for below in value.as_object().into_iter().flat_map(|map| map.values()) {
            references(document, below);
        }
        for below in value.as_array().into_iter().flatten() {
            references(document, below);
        }
    }
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    references(&document, &document);
    let sent = ["idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"];
    let mut calls = Vec::new();
    for path in document["paths"].as_object().unwrap().values() {
        for method in ["get", "post", "delete"] {
            let Some(call) = path.get(method) else { continue };
            calls.push(method);
            let parameters = [&path["parameters"], &call["parameters"]];
            let named: BTreeSet<&str> = parameters
                .into_iter()
                .flat_map(|list| list.as_array().into_iter().flatten())
                .filter_map(|one| resolve(&document, one)["name"].as_str())
                .collect();
            for header in sent {
                assert!(named.contains(header), "{method} does not name {header}");
            }
            for status in ["202", "503"] {
                assert!(call["responses"].get(status).is_some(), "{method} has no {status}");
            }
        }
    }
    assert_eq!(calls, ["post", "get", "delete"]);
    let answers = &document["paths"]["/accounts/{app_code}/actions"]["post"]["responses"];
    for status in ["200", "201", "202", "204", "404", "409", "422", "429", "503"] {
        assert!(answers.get(status).is_some(), "no answer {status}");
    }
}
