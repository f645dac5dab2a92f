//! Sigma's semantics, and our choices where it is silent, from the YAML to the answer: each row is
//! a `detection`, an event, and whether the rule matches. The naive matcher is asked as well.

use std::sync::Arc;

use super::{Detector, EventSource, NothingDerived, Scratch, Subject, naive};
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{Sources, compile};

fn matches(detection: &str, event: &str) -> bool {
    let rule = format!(
        "title: A rule\nname: a_rule\nstatus: stable\nlevel: low\nlogsource: {{product: x}}\n\
         detection: {{{detection}}}\n"
    );
    let (rulebook, _) = compile(&Sources::of_rules([("rule.yaml", &*rule)]))
        .unwrap_or_else(|findings| panic!("{detection}: {findings:?}"));
    let rulebook = Arc::new(rulebook);
    let document = Document::parse(event.as_bytes().to_vec()).unwrap();
    let subject = Subject {
        document: &document,
        derived: &NothingDerived,
        logsource: EventSource::Named { product: Some("x"), category: None, service: None },
        account: &AccountId::new("account").unwrap(),
        time: EventTime::from_millis(0),
    };
    let mut found = Vec::new();
    Detector::new(rulebook.clone()).evaluate(&subject, &mut Scratch::default(), &mut found);
    assert_eq!(found, naive::evaluate(&rulebook, &subject), "{detection} {event}");
    !found.is_empty()
}

fn check(rows: &[(&str, &str, bool)]) {
    for (detection, event, expected) in rows {
        assert_eq!(matches(detection, event), *expected, "{detection} on {event}");
    }
}

#[test]
fn values_match_as_sigma_says() {
    check(&[
        ("s: {a: Word}, condition: s", r#"{"a":"wORD"}"#, true),
        ("s: {a: word}, condition: s", r#"{"a":"words"}"#, false),
        ("s: {a: 'w*d'}, condition: s", r#"{"a":"WxxD"}"#, true),
        ("s: {a: 'w?d'}, condition: s", r#"{"a":"wéd"}"#, true),
        ("s: {a: 'w?d'}, condition: s", r#"{"a":"wd"}"#, false),
        (r"s: {a: 'w\*d'}, condition: s", r#"{"a":"w*d"}"#, true),
        (r"s: {a: 'w\*d'}, condition: s", r#"{"a":"wxd"}"#, false),
        (r"s: {a: 'c:\\*'}, condition: s", r#"{"a":"C:\\x"}"#, true),
        ("s: {a: 5}, condition: s", r#"{"a":"5"}"#, true),
        ("s: {a: '5'}, condition: s", r#"{"a":5}"#, true),
        ("s: {a: true}, condition: s", r#"{"a":"True"}"#, true),
        ("s: {a: null}, condition: s", r"{}", true),
        ("s: {a: null}, condition: s", r#"{"a":null}"#, true),
        ("s: {a: null}, condition: s", r#"{"a":""}"#, false),
        ("s: {a: ''}, condition: s", r#"{"a":""}"#, true),
        ("s: {a: ''}, condition: s", r"{}", false),
        ("s: {a: [x, y]}, condition: s", r#"{"a":["z","Y"]}"#, true),
        ("s: {a.b: x}, condition: s", r#"{"a":[{"b":"y"},{"b":"x"}]}"#, true),
        ("s: {a.b: x}, condition: s", r#"{"a.b":"y","a":{"b":"x"}}"#, false),
        ("s: {A: x}, condition: s", r#"{"a":"x"}"#, false),
        ("s: [word, other], condition: s", r#"{"a":{"b":["a Word here"]}}"#, true),
        ("s: {'|all': [one, two]}, condition: s", r#"{"a":"one","b":"two"}"#, true),
        ("s: {'|all': [one, two]}, condition: s", r#"{"a":"one"}"#, false),
    ]);
}

#[test]
fn modifiers_match_as_sigma_says() {
    check(&[
        ("s: {a|contains: Or}, condition: s", r#"{"a":"word"}"#, true),
        ("s: {a|startswith: wo}, condition: s", r#"{"a":"WORD"}"#, true),
        ("s: {a|endswith: rd}, condition: s", r#"{"a":"word!"}"#, false),
        ("s: {a|contains|all: [w, d]}, condition: s", r#"{"a":"word"}"#, true),
        ("s: {a|contains|all: [w, x]}, condition: s", r#"{"a":"word"}"#, false),
        ("s: {a|cased: Word}, condition: s", r#"{"a":"word"}"#, false),
        ("s: {a|contains|cased: Wo}, condition: s", r#"{"a":"Word"}"#, true),
        ("s: {a|neq: x}, condition: s", r#"{"a":"x"}"#, false),
        ("s: {a|neq: x}, condition: s", r"{}", true),
        ("s: {a|exists: true}, condition: s", r#"{"a":null}"#, true),
        ("s: {a|exists: false}, condition: s", r"{}", true),
        (r"s: {a|re: '^w.r\b'}, condition: s", r#"{"a":"wor d"}"#, true),
        ("s: {a|re: Word}, condition: s", r#"{"a":"word"}"#, false),
        ("s: {a|re|i: Word}, condition: s", r#"{"a":"a wORD"}"#, true),
        ("s: {a|re|s: 'a.b'}, condition: s", r#"{"a":"a\nb"}"#, true),
        ("s: {a|cidr: 10.0.0.0/8}, condition: s", r#"{"a":"10.2.3.4"}"#, true),
        ("s: {a|gte: 5}, condition: s", r#"{"a":"5.5"}"#, true),
        ("s: {a|lt: 5}, condition: s", r#"{"a":"x"}"#, false),
        ("s: {a|hour: 23}, condition: s", r#"{"a":"2026-01-02T23:45:00+07:00"}"#, true),
        ("s: {a|base64: foobar}, condition: s", r#"{"a":"Zm9vYmFy"}"#, true),
        ("s: {a|base64offset|contains: foobar}, condition: s", r#"{"a":"x Zvb2Jhc x"}"#, true),
        ("s: {a|windash|contains: ' -f'}, condition: s", r#"{"a":"cmd /f"}"#, true),
        ("s: {a|fieldref: b}, condition: s", r#"{"a":"X","b":"x"}"#, true),
        ("s: {a|fieldref: b}, condition: s", r#"{"a":"x"}"#, false),
        ("s: {a|fieldref|startswith: b}, condition: s", r#"{"a":"xy","b":"x"}"#, true),
    ]);
}

#[test]
fn conditions_hold_as_sigma_says() {
    check(&[
        ("s: {a: x}, t: {b: y}, condition: s and not t", r#"{"a":"x"}"#, true),
        ("s: {a: x}, t: {b: y}, condition: s or t", r#"{"b":"y"}"#, true),
        ("s: {a: x}, t: {b: y}, condition: not s and not t", r"{}", true),
        ("s: {a: x}, t: {b: y}, condition: s or t and s", r#"{"b":"y"}"#, false),
        ("s_1: {a: x}, s_2: {b: y}, condition: all of s_*", r#"{"a":"x","b":"y"}"#, true),
        ("s_1: {a: x}, s_2: {b: y}, condition: 1 of s_*", r#"{"b":"y"}"#, true),
        ("s: {a: x}, t: {b: y}, condition: all of them", r#"{"a":"x"}"#, false),
        ("s: [{a: x}, {b: y}], condition: s", r#"{"b":"y"}"#, true),
    ]);
}
