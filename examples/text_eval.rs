//! Private harness: label \t text -> matched rules.
use std::io::BufRead;
use std::path::Path;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let loaded = satpam::rulebook::load(Path::new(&args[1]))
        .map_err(|e| {
            if let satpam::rulebook::LoadFailure::Invalid(f) = &e {
                for x in f {
                    eprintln!("{}", x.render(satpam::rulebook::Colour::Never));
                }
            }
            e
        })
        .unwrap();
    let detector = satpam::detect::Detector::new(std::sync::Arc::new(loaded.rulebook));
    let account = satpam::event::AccountId::new("toko").unwrap();
    let facts = satpam::detect::AccountFacts {
        timezone: jiff::tz::TimeZone::UTC,
        first_seen: satpam::event::EventTime::from_millis(0),
        is_new: false,
        allowlist: None,
        template_text: None,
        seen: Default::default(),
    };
    let mut scratch = satpam::detect::Scratch::default();
    let mut matched = vec![];
    let time = satpam::event::EventTime::from_millis(1_767_600_000_000);
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let Some((label, text)) = line.split_once('\t') else { continue };
        let doc = serde_json::json!({"id":"a","type":"message.sent","time":1_767_600_000_000_i64,"account":{"app_code":"toko","name":"Toko Contoh"},"message":{"text":text}}).to_string();
        let document = satpam::event::Document::parse(doc.into_bytes()).unwrap();
        let content = satpam::detect::content::Content::of(&document, None);
        let derived = satpam::detect::content::Derived::with_content(content, time, &facts);
        let subject = satpam::detect::Subject {
            document: &document,
            derived: &derived,
            logsource: satpam::detect::EventSource::Named {
                product: Some("omnichannel"),
                category: Some("message"),
                service: None,
            },
            account: &account,
            time,
        };
        detector.evaluate(&subject, &mut scratch, &mut matched);
        let mut risk = 0.0;
        let names: Vec<String> = matched
            .iter()
            .map(|i| {
                let m = &detector.rulebook().detections[i.0 as usize].meta;
                risk += m.risk;
                format!("{}:{}", m.key, m.risk)
            })
            .collect();
        println!("{label}\t{risk}\t{}\t{text}", names.join(","));
    }
}
