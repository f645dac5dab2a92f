//! Any bytes as an event, under the shipped rules: it is refused, or both matchers agree about it.
#![no_main]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use satpam::baseline::Seen;
use satpam::detect::content::Derived;
use satpam::detect::{AccountFacts, Detector, EventSource, Scratch, Subject, naive};
use satpam::event::{AccountId, Document, EventTime};
use satpam::rulebook::load;

static DETECTOR: LazyLock<Detector> = LazyLock::new(|| {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    Detector::new(Arc::new(load(&rules).expect("the shipped rules load").rulebook))
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::parse(bytes.to_vec()) else { return };
    let (account, time) = (AccountId::new("a").expect("a letter is one"), EventTime::from_millis(0));
    let facts = AccountFacts {
        timezone: jiff::tz::TimeZone::UTC,
        first_seen: time,
        is_new: false,
        allowlist: None,
        template_text: None,
        seen: Seen::default(),
    };
    let derived = Derived::new(&document, time, &facts);
    let subject = Subject {
        document: &document,
        derived: &derived,
        logsource: EventSource::Any,
        account: &account,
        time,
    };
    let mut found = Vec::new();
    DETECTOR.evaluate(&subject, &mut Scratch::default(), &mut found);
    assert_eq!(found, naive::evaluate(DETECTOR.rulebook(), &subject));
});
