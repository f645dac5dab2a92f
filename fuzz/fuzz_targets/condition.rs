//! Any text as a condition over a few selections: where it compiles, both matchers agree about it.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use satpam::detect::{Detector, EventSource, NothingDerived, Scratch, Subject, naive};
use satpam::event::{AccountId, Document, EventTime};
use satpam::rulebook::{Sources, compile};

fuzz_target!(|text: &str| {
    // A JSON text is a YAML text in double quotes.
    let quoted = format!("{text:?}");
    let rule = format!(
        "title: t\nlogsource: {{product: p}}\ndetection:\n  sel_a: {{a: x}}\n  sel_b: {{b: y}}\n  \
         _c: {{c: z}}\n  d: {{d: null}}\n  condition: {quoted}\n"
    );
    let Ok((rulebook, _)) = compile(&Sources::of_rules([("rule.yaml", &*rule)])) else { return };
    let rulebook = Arc::new(rulebook);
    let detector = Detector::new(Arc::clone(&rulebook));
    let account = AccountId::new("a").expect("a letter is an account");
    let mut scratch = Scratch::default();
    for event in [&b"{}"[..], br#"{"a":"x"}"#, br#"{"a":"x","b":"y","c":"z","d":1}"#] {
        let document = Document::parse(event.to_vec()).expect("it is JSON");
        let subject = Subject {
            document: &document,
            derived: &NothingDerived,
            logsource: EventSource::Any,
            account: &account,
            time: EventTime::from_millis(0),
        };
        let mut found = Vec::new();
        detector.evaluate(&subject, &mut scratch, &mut found);
        assert_eq!(found, naive::evaluate(&rulebook, &subject));
    }
});
