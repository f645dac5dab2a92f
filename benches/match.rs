//! What matching costs: contains-rules over one short text, and an endpoint rule set with events
//! of its kind.
//!
//! `cargo bench --bench match`. Rules and events are generated from fixed seeds, so two runs compare.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use satpam::detect::{Detector, EventSource, NothingDerived, Scratch, Subject};
use satpam::event::{AccountId, Document, EventTime};
use satpam::rulebook::{
    Atom, AtomId, Detection, Expr, FieldTable, Level, LogSource, Piece, Policy, RuleMeta, Rulebook,
    Status, Target, Test, TextPart, TextPattern,
};

fn main() {
    divan::main();
}

#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn contains_rules_on_a_200_byte_text(bencher: divan::Bencher<'_, '_>, rules: usize) {
    let mut random = Random(7);
    let mut builder = Builder::default();
    for _ in 0..rules {
        let literal = random.word(8, 14);
        let atom = builder.atom("text", TextPart::Anywhere, &literal);
        builder.rule(None, atom);
    }
    let text: Vec<String> = (0..60).map(|_| random.word(4, 9)).collect();
    let text: String = text.join(" ").chars().take(200).collect();
    let event = serde_json::json!({ "text": text }).to_string();
    let document = Document::parse(event.into_bytes()).expect("is JSON");
    run(bencher, builder, &[(None, document)], false);
}

/// Only the matching; [`endpoint_events_with_parsing`] adds the JSON.
#[divan::bench(args = [100, 1_000, 3_754, 10_000])]
fn endpoint_events(bencher: divan::Bencher<'_, '_>, rules: usize) {
    endpoint(bencher, rules, false);
}

#[divan::bench(args = [3_754])]
fn endpoint_events_with_parsing(bencher: divan::Bencher<'_, '_>, rules: usize) {
    endpoint(bencher, rules, true);
}

const CATEGORIES: [&str; 6] = [
    "process_creation",
    "process_creation",
    "process_creation",
    "file_event",
    "registry_set",
    "image_load",
];

/// Rules in the habit of the public ones: a program by the end of its path, and options in the
/// command line, some with a filter.
fn endpoint(bencher: divan::Bencher<'_, '_>, rules: usize, parse: bool) {
    let mut random = Random(11);
    let mut builder = Builder::default();
    let programs: Vec<String> = (0..300).map(|_| format!("\\{}.exe", random.word(3, 10))).collect();
    for _ in 0..rules {
        let program = builder.program(random.pick(&programs));
        let options: Vec<Expr> = (0..=random.below(5))
            .map(|_| {
                let literal = format!(" -{}", random.word(4, 12));
                builder.atom("CommandLine", TextPart::Anywhere, &literal)
            })
            .collect();
        let options = if random.below(3) == 0 { Expr::And(options) } else { Expr::Or(options) };
        let mut parts = vec![program, options];
        if random.below(3) == 0 {
            let parent = builder.atom("ParentImage", TextPart::End, random.pick(&programs));
            parts.push(Expr::Not(Box::new(parent)));
        }
        builder.rule(Some(CATEGORIES[random.below(CATEGORIES.len())]), Expr::And(parts));
    }
    // The events do not depend on how many rules there are.
    let mut random = Random(13);
    let events: Vec<_> = (0..64).map(|_| endpoint_event(&mut random, &programs)).collect();
    run(bencher, builder, &events, parse);
}

/// About 1.4 KB of JSON.
fn endpoint_event(random: &mut Random, programs: &[String]) -> (Option<&'static str>, Document) {
    let path = |random: &mut Random| {
        format!("C:\\Program Files\\{}{}", random.word(4, 12), random.pick(programs))
    };
    let mut event = serde_json::Map::new();
    for field in
        ["Image", "ParentImage", "ParentCommandLine", "OriginalFileName", "CurrentDirectory"]
    {
        event.insert(field.to_owned(), path(random).into());
    }
    let options: Vec<String> =
        (0..20).map(|_| format!(" -{} {}", random.word(2, 12), random.word(3, 9))).collect();
    let command = format!("\"{}\"{}", path(random), options.concat());
    event.insert("CommandLine".to_owned(), command.into());
    event.insert("EventID".to_owned(), 1.into());
    for number in 0..16 {
        event.insert(format!("Property{number}"), random.word(10, 20).into());
    }
    let text = serde_json::Value::Object(event).to_string();
    let category = CATEGORIES[random.below(CATEGORIES.len())];
    (Some(category), Document::parse(text.into_bytes()).expect("is JSON"))
}

fn run(
    bencher: divan::Bencher<'_, '_>,
    builder: Builder,
    events: &[(Option<&str>, Document)],
    parse: bool,
) {
    let detector = Detector::new(Arc::new(builder.finish()));
    let account = AccountId::new("bench").expect("is short");
    let mut scratch = Scratch::default();
    let mut found = Vec::new();
    bencher.counter(divan::counter::ItemsCount::new(events.len())).bench_local(|| {
        let mut matches = 0;
        for (category, document) in events {
            let parsed;
            let document = if parse {
                parsed = Document::parse(document.source().as_bytes().to_vec()).expect("is JSON");
                &parsed
            } else {
                document
            };
            let logsource =
                EventSource::Named { product: None, category: *category, service: None };
            let time = EventTime::from_millis(0);
            let subject =
                Subject { document, derived: &NothingDerived, logsource, account: &account, time };
            detector.evaluate(&subject, &mut scratch, &mut found);
            matches += found.len();
        }
        matches
    });
}

/// A generator with a fixed seed (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("fits");
        usize::try_from(self.next() % bound).expect("fits")
    }

    fn pick<'a>(&mut self, from: &'a [String]) -> &'a str {
        &from[self.below(from.len())]
    }

    /// Letters with the habits of words: consonants and vowels take turns.
    fn word(&mut self, shortest: usize, longest: usize) -> String {
        let length = shortest + self.below(longest - shortest + 1);
        (0..length)
            .map(|at| {
                let letters: &[u8] = if at % 2 == 0 { b"bcdfghklmnprstw" } else { b"aeiou" };
                char::from(letters[self.below(letters.len())])
            })
            .collect()
    }
}

/// Collects rules; equal tests are shared.
#[derive(Default)]
struct Builder {
    fields: FieldTable,
    atoms: Vec<Atom>,
    known: HashMap<(&'static str, TextPart, String), AtomId>,
    detections: Vec<Detection>,
}

impl Builder {
    fn atom(&mut self, field: &'static str, part: TextPart, literal: &str) -> Expr {
        let key = (field, part, literal.to_owned());
        if let Some(known) = self.known.get(&key) {
            return Expr::Atom(*known);
        }
        let text = Piece::Text(literal.to_lowercase().into());
        let pieces = match part {
            TextPart::Whole => vec![text],
            TextPart::Start => vec![text, Piece::Any],
            TextPart::End => vec![Piece::Any, text],
            TextPart::Anywhere => vec![Piece::Any, text, Piece::Any],
        };
        let id = AtomId(u32::try_from(self.atoms.len()).expect("few atoms"));
        let target = Target::Field(self.fields.intern(field));
        self.atoms.push(Atom { target, test: Test::Text(TextPattern { pieces, cased: false }) });
        self.known.insert(key, id);
        Expr::Atom(id)
    }

    fn program(&mut self, name: &str) -> Expr {
        let image = self.atom("Image", TextPart::End, name);
        let original =
            self.atom("OriginalFileName", TextPart::Whole, name.trim_start_matches('\\'));
        Expr::Or(vec![image, original])
    }

    fn rule(&mut self, category: Option<&str>, condition: Expr) {
        let key: Arc<str> = format!("rule_{}", self.detections.len()).into();
        self.detections.push(Detection {
            meta: RuleMeta {
                key: key.clone(),
                id: None,
                name: None,
                title: key,
                description: "".into(),
                level: Level::Medium,
                status: Status::Stable,
                tags: Vec::new(),
                references: Vec::new(),
                falsepositives: Vec::new(),
                risk: 25.0,
                tenant: None,
                contain: Vec::new(),
                file: "".into(),
                line: 1,
            },
            logsource: LogSource {
                product: None,
                category: category.map(Into::into),
                service: None,
            },
            condition,
            condition_text: "".into(),
            reports: true,
            exceptions: Vec::new(),
        });
    }

    fn finish(self) -> Rulebook {
        Rulebook {
            fields: self.fields,
            atoms: self.atoms,
            detections: self.detections,
            correlations: Vec::new(),
            policy: Policy::default(),
            accounts: BTreeMap::new(),
            revision: "bench".into(),
        }
    }
}
