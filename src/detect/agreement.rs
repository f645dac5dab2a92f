//! The law of the matcher: with its indexes it says what the naive one says, on any rules and any
//! events. The generated rules and events share a small alphabet, so that they often meet.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{
    DecidingValue, DerivedField, DerivedSource, Detector, EventSource, Explanation, FieldSource,
    FieldValue, Finding, Scratch, Subject, naive,
};
use crate::event::{AccountId, Document, EventTime};
use crate::rulebook::{
    AccountSettings, Atom, AtomId, Comparison, Detection, DetectionIndex, Exception, Expr, FieldId,
    FieldTable, Level, LogSource, Piece, Policy, Regex, RuleMeta, Rulebook, Status, Target, Test,
    TextPart, TextPattern, TimePart,
};

const FIELDS: [&str; 8] = ["a", "b", "a.b", "a.b.c", "b.c", "c", "content.norm", "seen.actor_new"];
const WORDS: [&str; 16] = [
    "",
    "a",
    "ab",
    "abc",
    "abcd",
    "ABCDE",
    "\\cmd.exe",
    "xabcdx",
    "σς",
    "ΣΑΣ",
    "İk",
    "5",
    "5.0",
    "true",
    "10.0.0.1",
    "2026-01-02T05:05:05Z",
];

pub(super) fn rulebook(atoms: Vec<Atom>, detections: Vec<Detection>, fields: &[&str]) -> Rulebook {
    let mut table = FieldTable::default();
    for field in fields {
        table.intern(field);
    }
    Rulebook {
        fields: table,
        atoms,
        detections,
        correlations: Vec::new(),
        policy: Policy::default(),
        accounts: BTreeMap::new(),
        revision: "test".into(),
    }
}

pub(super) fn detection(key: &str, logsource: LogSource, condition: Expr) -> Detection {
    Detection {
        meta: RuleMeta {
            key: key.into(),
            id: None,
            name: None,
            title: key.into(),
            description: "".into(),
            level: Level::Medium,
            status: Status::Stable,
            tags: Vec::new(),
            references: Vec::new(),
            falsepositives: Vec::new(),
            risk: 25.0,
            tenant: None,
            contain: Vec::new(),
            file: "test.yaml".into(),
            line: 1,
        },
        logsource,
        condition,
        condition_text: "".into(),
        reports: true,
        exceptions: Vec::new(),
    }
}

/// Derived values that are fixed for a test.
struct Derived(BTreeMap<DerivedField, Vec<String>>);

impl DerivedSource for Derived {
    fn derived(&self, field: DerivedField, visit: &mut dyn FnMut(FieldValue<'_>) -> bool) {
        for text in self.0.get(&field).into_iter().flatten() {
            if !visit(FieldValue::Text(text)) {
                return;
            }
        }
    }
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => proptest::sample::select(&WORDS[..]).prop_map(str::to_owned),
        1 => "[abcABC.σΣς?ſs]{0,6}",
    ]
}

fn pattern() -> impl Strategy<Value = TextPattern> {
    let piece = prop_oneof![
        word().prop_map(|text| Piece::Text(text.into())),
        Just(Piece::Any),
        Just(Piece::One),
    ];
    (proptest::collection::vec(piece, 0..5), any::<bool>()).prop_map(|(pieces, cased)| {
        let mut kept: Vec<Piece> = Vec::new();
        for piece in pieces {
            match (kept.last_mut(), piece) {
                (_, Piece::Text(text)) if text.is_empty() => {}
                (Some(Piece::Text(before)), Piece::Text(text)) => {
                    *before = format!("{before}{text}").into();
                }
                (Some(Piece::Any), Piece::Any) => {}
                (_, piece) => kept.push(piece),
            }
        }
        if !cased {
            for piece in &mut kept {
                if let Piece::Text(text) = piece {
                    *text = text.to_lowercase().into();
                }
            }
        }
        TextPattern { pieces: kept, cased }
    })
}

const PATTERNS: [&str; 24] = [
    "abc",
    "^a",
    "b$",
    "a.c",
    "(ab|cd)e",
    "a{2,}",
    r"\bab\b",
    "[ab]c",
    "(?i)ABCD",
    "σ",
    "x*",
    r"\d+",
    "(abc)?d",
    "ab(c|d)+x",
    "",
    r"\b(a|ab|5)\b",
    r"\b(abc|x)",
    r"(?-u:\b)s|d\b",
    r"a?bc?d",
    r"\ba.*\bd",
    r"^.{0,2}(cd|ab\b)?e|s+",
    r"k|s\b",
    r"\bσ|ς\b",
    r"(\ba)+\B.",
];

fn regex() -> impl Strategy<Value = Regex> {
    (proptest::sample::select(&PATTERNS[..]), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(pattern, ignore_case, multi_line, dot_all)| Regex {
            pattern: pattern.into(),
            ignore_case,
            multi_line,
            dot_all,
        },
    )
}

fn field() -> impl Strategy<Value = FieldId> {
    (0..8_u32).prop_map(FieldId)
}

fn test() -> impl Strategy<Value = Test> {
    let part = proptest::sample::select(
        &[TextPart::Whole, TextPart::Start, TextPart::End, TextPart::Anywhere][..],
    );
    let part2 = part.clone();
    let list = proptest::sample::select(&["domains", "other", "missing"][..]);
    let comparison = proptest::sample::select(
        &[Comparison::Equal, Comparison::NotEqual, Comparison::Less, Comparison::GreaterOrEqual][..],
    );
    prop_oneof![
        6 => pattern().prop_map(Test::Text),
        2 => regex().prop_map(Test::Regex),
        2 => (comparison, -2..7_i32).prop_map(|(c, n)| Test::Number(c, f64::from(n))),
        1 => any::<bool>().prop_map(Test::Boolean),
        1 => Just(Test::Null),
        1 => any::<bool>().prop_map(Test::Exists),
        1 => Just(Test::Cidr("10.0.0.0/8".parse().unwrap())),
        1 => (field(), part, any::<bool>())
            .prop_map(|(other, part, cased)| Test::FieldRef { other, part, cased }),
        1 => Just(Test::TimePart(TimePart::Hour, 5)),
        1 => (list, part2, any::<bool>())
            .prop_map(|(list, part, cased)| Test::InAccountList { list: list.into(), part, cased }),
        1 => Just(Test::InAccountNetworks),
    ]
}

/// What the account at hand has of its own; it may lack a list that a rule names.
fn account_settings() -> impl Strategy<Value = AccountSettings> {
    let list = || proptest::collection::vec(word().prop_map(Into::into), 0..4);
    (list(), list(), any::<bool>()).prop_map(|(domains, other, has_network)| AccountSettings {
        networks: has_network.then(|| "10.0.0.0/16".parse().unwrap()).into_iter().collect(),
        lists: BTreeMap::from([("domains".into(), domains), ("other".into(), other)]),
        ..AccountSettings::default()
    })
}

fn atom() -> impl Strategy<Value = Atom> {
    let target = prop_oneof![7 => field().prop_map(Target::Field), 1 => Just(Target::AnyValue)];
    (target, test()).prop_map(|(target, test)| Atom { target, test })
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        12 => (0..ATOMS).prop_map(|atom| Expr::Atom(AtomId(atom))),
        1 => any::<bool>().prop_map(Expr::Constant),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            3 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::And),
            3 => proptest::collection::vec(inner.clone(), 0..4).prop_map(Expr::Or),
            2 => inner.clone().prop_map(|inner| Expr::Not(Box::new(inner))),
            1 => inner.prop_map(|inner| Expr::Selection("selection".into(), Box::new(inner))),
        ]
    })
}

const ATOMS: u32 = 12;

fn logsource() -> impl Strategy<Value = LogSource> {
    let part = || proptest::option::weighted(0.3, proptest::sample::select(&["x", "y"][..]));
    (part(), part()).prop_map(|(product, category)| LogSource {
        product: product.map(Into::into),
        category: category.map(Into::into),
        service: None,
    })
}

fn a_detection() -> impl Strategy<Value = Detection> {
    let exception = (expr(), proptest::option::of(0..3_i64), any::<bool>()).prop_map(
        |(condition, expires, other_account)| Exception {
            name: "exception".into(),
            accounts: other_account.then(|| AccountId::new("other").unwrap()).into_iter().collect(),
            expires: expires.map(EventTime::from_millis),
            condition,
        },
    );
    (logsource(), expr(), proptest::option::weighted(0.2, exception)).prop_map(
        |(logsource, condition, exception)| Detection {
            exceptions: exception.into_iter().collect(),
            ..detection("rule", logsource, condition)
        },
    )
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        6 => word().prop_map(serde_json::Value::from),
        1 => Just(serde_json::Value::Null),
        1 => any::<bool>().prop_map(serde_json::Value::from),
        2 => (-2..7_i64).prop_map(serde_json::Value::from),
        1 => (-2..7_i32).prop_map(|n| serde_json::Value::from(f64::from(n) + 0.5)),
    ];
    let key = proptest::sample::select(&["a", "b", "c", "a.b", "b.c", "a.b.c", "d"][..]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            3 => proptest::collection::vec((key.clone(), inner.clone()), 0..5).prop_map(|entries| {
                entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            }),
            1 => proptest::collection::vec(inner, 0..4).prop_map(serde_json::Value::Array),
        ]
    })
}

/// The text of an event, sometimes with a key that stands twice.
fn event() -> impl Strategy<Value = String> {
    (json(), proptest::option::weighted(0.2, (json(), json()))).prop_map(|(one, twice)| {
        twice.map_or_else(
            || one.to_string(),
            |(first, last)| format!(r#"{{"a":{first},"b":{one},"a":{last}}}"#),
        )
    })
}

/// What [`Detector::deciding_values`] says, out of a whole explanation.
fn first_of_each_target(
    rulebook: &Rulebook,
    explanation: &Explanation,
    most: usize,
) -> Vec<(Target, DecidingValue)> {
    fn collect(
        rulebook: &Rulebook,
        part: &Explanation,
        most: usize,
        found: &mut Vec<(Target, DecidingValue)>,
    ) {
        if !part.holds || found.len() >= most || part.finding == Finding::Not {
            return;
        }
        if let Finding::Test { atom, value: Some(value) } = &part.finding {
            let target = rulebook.atoms[atom.0 as usize].target;
            if found.iter().all(|(known, _)| *known != target) {
                found.push((target, value.clone()));
            }
        }
        part.parts.iter().for_each(|inner| collect(rulebook, inner, most, found));
    }
    let mut found = Vec::new();
    collect(rulebook, explanation, most, &mut found);
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    #[test]
    fn the_index_changes_no_answer(
        atoms in proptest::collection::vec(atom(), ATOMS as usize),
        detections in proptest::collection::vec(a_detection(), 1..8),
        events in proptest::collection::vec(event(), 1..6),
        norm in proptest::collection::vec(word(), 0..3),
        product in proptest::option::of(proptest::sample::select(&["x", "y"][..])),
        any_source in any::<bool>(),
        own in proptest::option::of(account_settings()),
    ) {
        let account = AccountId::new("account").unwrap();
        let mut rulebook = rulebook(atoms, detections, &FIELDS);
        rulebook.accounts = own.map(|own| (account.clone(), own)).into_iter().collect();
        let rulebook = Arc::new(rulebook);
        let detector = Detector::new(rulebook.clone());
        let derived = Derived(BTreeMap::from([(DerivedField::ContentNorm, norm)]));
        let mut scratch = Scratch::default();
        let mut found = Vec::new();
        for text in events {
            let document = Document::parse(text.clone().into_bytes()).unwrap();
            let logsource = if any_source {
                EventSource::Any
            } else {
                EventSource::Named { product, category: Some("y"), service: None }
            };
            let time = EventTime::from_millis(1);
            let subject =
                Subject { document: &document, derived: &derived, logsource, account: &account, time };
            detector.evaluate(&subject, &mut scratch, &mut found);
            prop_assert_eq!(&found, &naive::evaluate(&rulebook, &subject), "{}", text);
            for index in (0..).map(DetectionIndex).take(rulebook.detections.len()) {
                let explained = detector.explain(index, &subject).holds;
                let routed =
                    subject.logsource.is_covered_by(&rulebook.detections[index.0 as usize].logsource);
                prop_assert_eq!(explained && routed, found.contains(&index));
            }
            for rule in &found {
                let values = detector.deciding_values(*rule, &subject, &mut scratch, 3);
                let explanation = detector.explain(*rule, &subject);
                prop_assert_eq!(values, first_of_each_target(&rulebook, &explanation, 3));
            }
            let fields = detector.fields(&document, &derived, &scratch);
            for (field, name) in rulebook.fields.iter() {
                let present = naive::field_texts(&rulebook, field, &subject);
                prop_assert_eq!(fields.is_present(field), present.is_some(), "{} {}", name, text);
                let mut count = 0;
                fields.values(field, &mut |_| { count += 1; true });
                prop_assert_eq!(count, present.map_or(0, |values| values.len()), "{} {}", name, text);
            }
        }
    }
}
