//! Whole rule sets through [`compile`] and [`load`].

mod texts;

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::*;
use crate::event::EventTime;

/// A detection rule about foreign events around a selection, its fields as they are given.
fn rule_with(item: &str) -> String {
    format!(
        "title: t\nlogsource: {{category: test}}\ndetection:\n  selection:\n    {item}\n  condition: selection\n"
    )
}

fn compiled(text: &str) -> Result<(Rulebook, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut sources = Sources::of_rules([("rule.yaml", text)]);
    let list = |name: &str, text: &str| SourceText::new(name, text);
    sources.lists =
        vec![list("lists/hosts.txt", "one\ntwo*\n"), list("lists/nets.yaml", "[10.0.0.0/8]")];
    compile(&sources)
}

/// The codes of all findings of a text, errors and warnings.
fn codes(text: &str) -> Vec<&'static str> {
    let findings = compiled(text).map_or_else(|findings| findings, |(_, warnings)| warnings);
    findings.iter().map(|finding| finding.code.as_str()).collect()
}

fn show_pattern(pattern: &TextPattern) -> String {
    let mut shown: Vec<String> = pattern
        .pieces
        .iter()
        .map(|piece| match piece {
            Piece::Text(text) => format!("[{text}]"),
            Piece::Any => "*".to_owned(),
            Piece::One => "?".to_owned(),
        })
        .collect();
    if pattern.cased {
        shown.push(" cased".to_owned());
    }
    shown.concat()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest is shown by Debug")]
fn show(rulebook: &Rulebook, expr: &Expr) -> String {
    let all = |parts: &[Expr], word: &str| {
        let parts: Vec<_> = parts.iter().map(|part| show(rulebook, part)).collect();
        format!("({})", parts.join(word))
    };
    match expr {
        Expr::Atom(id) => {
            let atom = &rulebook.atoms[id.0 as usize];
            let target = match atom.target {
                Target::Field(field) => rulebook.fields.name(field),
                Target::AnyValue => "any",
            };
            let test = match &atom.test {
                Test::Text(pattern) => show_pattern(pattern),
                Test::FieldRef { other, part, cased } => {
                    format!("field {} {part:?} {cased}", rulebook.fields.name(*other))
                }
                other => format!("{other:?}"),
            };
            format!("{target} {test}")
        }
        Expr::Not(inner) => format!("not {}", show(rulebook, inner)),
        Expr::And(parts) => all(parts, " and "),
        Expr::Or(parts) => all(parts, " or "),
        Expr::Selection(_, inner) => show(rulebook, inner),
        Expr::Constant(value) => value.to_string(),
    }
}

fn condition_of(text: &str) -> String {
    let (rulebook, _) = compiled(text).unwrap_or_else(|findings| panic!("{text}: {findings:?}"));
    show(&rulebook, &rulebook.detections[0].condition)
}

#[test]
fn each_modifier_becomes_the_test_that_it_means() {
    for (item, expected) in [
        ("a: Foo", "a [foo]"),
        ("a: 'f*o?'", "a [f]*[o]?"),
        (r"a: '\\*.exe'", r"a [\]*[.exe]"),
        ("a: [x, y]", "(a [x] or a [y])"),
        ("a: 5", "a Number(Equal, 5.0)"),
        ("a: 9007199254740993", "a [9007199254740993]"),
        ("a: 0812", "a [0812]"),
        ("a: true", "a Boolean(true)"),
        ("a:", "a Null"),
        ("a: []", "a Null"),
        ("a: ''", "a "),
        ("a: [null, x]", "(a Null or a [x])"),
        ("a|contains: x", "a *[x]*"),
        ("a|contains: 5", "a *[5]*"),
        ("a|startswith: x", "a [x]*"),
        ("a|endswith: x", "a *[x]"),
        ("a|contains|all: [x, y]", "(a *[x]* and a *[y]*)"),
        ("a|contains|cased: X", "a *[X]* cased"),
        ("a|neq: [x, y]", "not (a [x] or a [y])"),
        ("a|contains|neq: x", "not a *[x]*"),
        ("a|exists: true", "a Exists(true)"),
        ("a|cidr: 10.0.0.0/8", "a Cidr(10.0.0.0/8)"),
        ("a|cidr: '2001:db8::1'", "a Cidr(2001:db8::1/128)"),
        ("a|gte: '1.5'", "a Number(GreaterOrEqual, 1.5)"),
        ("a|week: 53", "a TimePart(Week, 53)"),
        ("a|hour|lt: 2", "(a TimePart(Hour, 0) or a TimePart(Hour, 1))"),
        ("a|base64: foobar", "a [zm9vymfy]"),
        ("a|wide|base64: a", "a [yqa=]"),
        ("a|utf16be|base64|cased: a", "a [AGE=] cased"),
        (
            "a|base64offset|contains|cased: foobar",
            "(a *[Zm9vYmFy]* cased or a *[Zvb2Jhc]* cased or a *[mb29iYX]* cased)",
        ),
        ("a|windash: -x", "(a [-x] or a [/x] or a [–x] or a [—x] or a [―x])"),
        ("a|fieldref: b", "a field b Whole false"),
        ("a|fieldref|endswith: b", "a field b End false"),
        ("a|contains|fieldref|cased: b", "a field b Anywhere true"),
        ("a|fieldref|neq: b", "not a field b Whole false"),
        ("a|expand: '%hosts%'", "(a [one] or a [two]*)"),
        ("a|contains|expand: 'x%hosts%y'", "(a *[xoney]* or a *[xtwo]*[y]*)"),
        (r"a|expand: '100\%'", "a [100%]"),
        ("a|cidr|expand: '%nets%'", "a Cidr(10.0.0.0/8)"),
        (
            "a|expand: '%account.domains%'",
            "a InAccountList { list: \"domains\", part: Whole, cased: false }",
        ),
        ("a|cidr|expand: '%account.networks%'", "a InAccountNetworks"),
        ("'|contains': x", "any *[x]*"),
        ("'|all': [x, y]", "(any *[x]* and any *[y]*)"),
    ] {
        assert_eq!(condition_of(&rule_with(item)), expected, "{item}");
    }
    let regex = |pattern: &str, flags: [bool; 3]| {
        let [ignore_case, multi_line, dot_all] = flags;
        format!(
            "a {:?}",
            Test::Regex(Regex { pattern: pattern.into(), ignore_case, multi_line, dot_all })
        )
    };
    for (item, expected) in [
        ("a|re: 'fo+'", regex("fo+", [false, false, false])),
        ("a|re|i|s: 'fo+'", regex("fo+", [true, false, true])),
        ("a|re|ignorecase|multiline|dotall: 'fo+'", regex("fo+", [true, true, true])),
        ("a|re|expand: '^%hosts%$'", regex(r"(?:^one$|^two\*$)", [false, false, false])),
    ] {
        assert_eq!(condition_of(&rule_with(item)), expected, "{item}");
    }
}

#[test]
fn selections_and_conditions_become_one_expression() {
    let detection = |detection: &str| {
        format!("title: t\nlogsource: {{category: test}}\ndetection:\n{detection}")
    };
    for (text, expected) in [
        ("  a: {x: 1, y: z}\n  condition: a", "(x Number(Equal, 1.0) and y [z])"),
        ("  a: [{x: p}, {x: q}]\n  condition: a", "(x [p] or x [q])"),
        ("  a: [p, q]\n  condition: a", "(any *[p]* or any *[q]*)"),
        ("  a: p\n  condition: a", "any *[p]*"),
        ("  a: [p, {x: q}]\n  condition: a", "(any *[p]* or x [q])"),
        ("  a: {x: p}\n  b: {x: q}\n  condition: all of them", "(x [p] and x [q])"),
        ("  a1: {x: p}\n  a2: {x: q}\n  condition: 1 of a*", "(x [p] or x [q])"),
        ("  a1: {x: p}\n  _a: {x: q}\n  condition: any of *", "x [p]"),
        (
            "  a: {x: p}\n  b: {x: q}\n  c: {x: r}\n  condition: 2 of them",
            "((x [p] and x [q]) or (x [p] and x [r]) or (x [q] and x [r]))",
        ),
        ("  a: {x: p}\n  b: {x: q}\n  condition: [a, not b]", "(x [p] or not x [q])"),
        (
            "  a: {x: p}\n  b: {x: q}\n  condition: a or b and not a",
            "(x [p] or (x [q] and not x [p]))",
        ),
    ] {
        assert_eq!(condition_of(&detection(text)), expected, "{text}");
    }
}

#[test]
fn what_would_silently_never_match_is_an_error() {
    for (item, code) in [
        ("a|contain: x", "SP101"),
        ("a|contains|re: x", "SP102"),
        ("a|contains|base64: x", "SP102"),
        ("a|wide: x", "SP102"),
        ("a|wide|contains: x", "SP102"),
        ("a|exists|neq: true", "SP102"),
        ("a|re|cased: xyz", "SP102"),
        ("a|i: xyz", "SP102"),
        ("a|all|all: [x, y]", "SP102"),
        ("a|exists: yes", "SP103"),
        ("a|gt: many", "SP103"),
        ("a|base64: 'x*'", "SP103"),
        ("a|base64offset|contains: x", "SP103"),
        ("a|hour: 24", "SP103"),
        ("a|contains: null", "SP103"),
        ("a|fieldref: 'b*'", "SP103"),
        ("a|contains|all: x", "SP104"),
        ("'|all': [x]", "SP104"),
        ("a|re: '(x'", "SP105"),
        ("a|re: 'abc(?=d)'", "SP106"),
        (r"a|re: '(\w{1,200}){1,200}abc'", "SP107"),
        ("a|cidr: 10.0.0.1/8", "SP108"),
        ("a|cidr: host", "SP108"),
        ("a|expand: '%host%'", "SP109"),
        ("a|windash: ' -a -b -c -d -e -f'", "SP110"),
        ("a: {b: c}", "SP006"),
        ("a: [[b]]", "SP006"),
    ] {
        assert_eq!(codes(&rule_with(item)), [code], "{item}");
    }
    for (condition, code) in [
        ("selektion", "SP202"),
        ("1 of filter_*", "SP203"),
        ("selection | count() > 5", "SP204"),
        ("selection and", "SP201"),
        ("2 of selection*", "SP201"),
    ] {
        let text =
            rule_with("a: b").replace("condition: selection", &format!("condition: {condition}"));
        assert_eq!(codes(&text)[0], code, "{condition}");
    }
}

#[test]
fn documents_and_correlations_are_checked() {
    let base = "title: b\nname: b\nlogsource: {category: test}\ndetection: {s: {a: 1}, condition: s}\n---\n";
    for (text, code) in [
        ("- a\n", "SP004"),
        ("title: t\nlogsource: {category: c}\n", "SP004"),
        ("title: t\ndetection: {s: {a: 1}, condition: s}\n", "SP005"),
        ("title: t\nlogsource: {}\ndetection: {s: {a: 1}, condition: s}\n", "SP005"),
        ("title: t\nlogsource: {categry: c}\ndetection: {s: {a: 1}, condition: s}\n", "SP007"),
        (
            "title: t\nlevel: hihg\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}\n",
            "SP008",
        ),
        (
            "title: t\nname: b\nlogsource: {category: c}\ndetection: {s: {a: 1}, condition: s}\n",
            "SP009",
        ),
        ("title: t\nlogsource: {category: c}\ndetection: {s: {}, condition: s}\n", "SP111"),
        ("title: t\nlogsource: {category: c}\ndetection: {s: {a: 1}}\n", "SP005"),
        (
            "title: t\nlogsource: {category: c}\nsatpam: {risk: 2000}\ndetection: {s: {a: 1}, condition: s}\n",
            "SP010",
        ),
        ("title: t\ncorrelation: {type: event_cuont, rules: [b]}\n", "SP008"),
        (
            "title: t\ncorrelation: {type: event_count, rules: [c], timespan: 5m, condition: {gt: 1}}\n",
            "SP301",
        ),
        (
            "title: t\ncorrelation: {type: event_count, rules: [b], timespan: 5, condition: {gt: 1}}\n",
            "SP010",
        ),
        (
            "title: t\ncorrelation: {type: event_count, rules: [b], timespam: 5m, condition: {gt: 1}}\n",
            "SP007",
        ),
        ("title: t\ncorrelation: {type: event_count, rules: [b], timespan: 5m}\n", "SP005"),
        (
            "title: t\ncorrelation: {type: event_count, rules: [b], timespan: 5m, condition: {gt: 9, lt: 1}}\n",
            "SP303",
        ),
        (
            "title: t\ncorrelation: {type: value_count, rules: [b], timespan: 5m, condition: {gt: 1}}\n",
            "SP303",
        ),
        (
            "title: t\ncorrelation: {type: value_percentile, rules: [b], timespan: 5m, condition: {field: a, gt: 1}}\n",
            "SP303",
        ),
        ("title: t\nname: t\ncorrelation: {type: temporal, rules: [t], timespan: 5m}\n", "SP302"),
        (
            "title: t\ncorrelation: {type: temporal, rules: [b], group-by: [x], aliases: {x: {}}, timespan: 5m}\n",
            "SP304",
        ),
        (
            "title: t\ncorrelation: {type: baseline, rules: [b], timespan: 1h, condition: {score: 7}}\n",
            "SP305",
        ),
        (
            "title: a\nname: a\ncorrelation: {type: absence, rules: [b], after: [b], timespan: 5m}\n---\ntitle: t\ncorrelation: {type: event_count, rules: [a], timespan: 1h, condition: {gt: 1}}\n",
            "SP306",
        ),
        ("title: t\nfilter: {rules: [c], s: {a: 1}, condition: not s}\n", "SP301"),
    ] {
        let found = codes(&format!("{base}{text}"));
        assert!(found.contains(&code), "{text}: {found:?}");
    }
}

#[test]
fn what_is_probably_not_meant_is_a_warning() {
    let own = |category: &str, item: &str| {
        format!(
            "title: t\nlogsource: {{product: omnichannel, category: {category}}}\ndetection:\n  s: {{{item}}}\n  condition: s\n"
        )
    };
    for (text, code) in [
        (rule_with("a: 1").replace("  condition", "  filter: {b: 2}\n  condition"), "SP501"),
        (own("template", "message.text: x"), "SP502"),
        (own("message", "message.text|re: '[0-9]+'"), "SP503"),
        (own("message", "content.domains|expand: '%account.domians%'"), "SP512"),
        (rule_with("a: 1").replace("title: t\n", "title: t\nstatus: deprecated\n"), "SP508"),
        (rule_with("a: 1").replace("title: t\n", "title: t\nfalsepostives: [x]\n"), "SP509"),
        (rule_with("a: 1").replace("  condition", "  timeframe: 5m\n  condition"), "SP510"),
        (
            own("message", "message.kind: text").replace("title: t\n", "title: t\nname: n\n")
                + "---\ntitle: c\ncorrelation: {type: event_count, rules: [n], timespan: 5m, condition: {gt: 5}}\n",
            "SP504",
        ),
        (
            rule_with("a: 1").replace("title: t\n", "title: t\nname: n\n")
                + "---\ntitle: f\nlogsource: {category: other}\nfilter: {rules: [n], s: {a: 2}, condition: not s}\n",
            "SP511",
        ),
    ] {
        let (_, warnings) =
            compiled(&text).unwrap_or_else(|findings| panic!("{text}: {findings:?}"));
        let found: Vec<_> = warnings.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(found, [code], "{text}");
    }
    assert_eq!(codes(&own("message", "mesage.text: x")), ["SP112"]);
}

#[test]
fn a_foreign_rule_that_needs_a_missing_list_is_left_out() {
    let text = rule_with("a|expand: '%host%'").replace("category: test", "product: windows");
    let (rulebook, warnings) = compiled(&text).unwrap();
    assert_eq!(rulebook.detections[0].meta.status, Status::Unsupported);
    assert_eq!(warnings[0].code, Code::UnresolvedPlaceholder);
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/rules/sigma")
}

#[test]
fn the_whole_language_loads_and_correlations_stand_behind_their_rules() {
    let loaded = load(&fixtures()).unwrap_or_else(|failure| panic!("{failure}"));
    let rulebook = loaded.rulebook;
    let keys: Vec<_> = rulebook.detections.iter().map(|rule| &*rule.meta.key).collect();
    let expected =
        ["collected_one", "collected_two", "failed_login", "succeeded_login", "every_modifier"];
    assert_eq!(keys, expected);
    assert_eq!(rulebook.correlations.len(), 11);
    for (at, correlation) in rulebook.correlations.iter().enumerate() {
        for rule in &correlation.rules {
            if let RuleIndex::Correlation(index) = rule {
                assert!((index.0 as usize) < at, "{}", correlation.meta.key);
            }
        }
    }
    assert_eq!(rulebook.accounts.len(), 1);
    assert!(
        loaded.warnings.iter().all(|finding| finding.code == Code::NoTest),
        "{:?}",
        loaded.warnings
    );
    let correlation =
        |key: &str| rulebook.correlations.iter().find(|rule| &*rule.meta.key == key).unwrap();
    // `generate: true` of one correlation reports the rules that another keeps silent.
    assert!(rulebook.detections[2].reports && rulebook.detections[3].reports);
    assert!(!correlation("many_failures").reports && correlation("both").reports);
    let both = correlation("both");
    let names: Vec<_> =
        both.group_by[1].per_rule.iter().map(|id| rulebook.fields.name(*id)).collect();
    assert_eq!(names, ["actor.email", "actor.id"]);
    assert!(both.by_account);
    let CorrelationKind::Baseline(baseline) = &correlation("above_habit").kind else { panic!() };
    assert!((baseline.threshold - 6.7).abs() < 1e-9 && baseline.one_hour && baseline.one_day);
    assert_eq!(correlation("no_success").kind, CorrelationKind::Absence { first_after: 1 });
}

#[test]
fn the_sensitivity_of_the_policy_moves_budgets_and_leaves_scores_that_are_named() {
    let rules = std::fs::read_to_string(fixtures().join("correlations.yml")).unwrap();
    let threshold_with = |policy: &str, rules: &str| {
        let mut sources = Sources::of_rules([("r.yml", rules)]);
        sources.policy = Some(SourceText::new("policy.yaml", policy));
        let (rulebook, _) = compile(&sources).unwrap();
        let baseline = |rule: &Correlation| {
            let CorrelationKind::Baseline(baseline) = &rule.kind else { return None };
            Some(baseline.threshold)
        };
        rulebook.correlations.iter().find_map(baseline).unwrap()
    };
    let named = rules.replace("{budget: 0.28/1000d}", "{budget: 0.28/1000d, score: 5.5}");
    assert_ne!(named, rules);
    for (sensitivity, threshold) in [("quiet", 8.1), ("default", 6.7), ("sensitive", 2.0)] {
        let policy = format!("sensitivity: {sensitivity}\n");
        assert!((threshold_with(&policy, &rules) - threshold).abs() < 1e-9, "{sensitivity}");
        assert!((threshold_with(&policy, &named) - 5.5).abs() < 1e-9, "{sensitivity}");
    }
}

#[test]
fn filters_are_joined_and_those_that_end_are_kept_apart() {
    let rulebook = load(&fixtures()).unwrap().rulebook;
    let failed = &rulebook.detections[2];
    assert_eq!(
        show(&rulebook, &failed.condition),
        "(login.result [failed] and not account.name [test-]*)"
    );
    let [exception] = failed.exceptions.as_slice() else { panic!("{:?}", failed.exceptions) };
    assert_eq!(&*exception.name, "migration");
    assert_eq!(exception.accounts[0].as_str(), "toko-maju");
    assert_eq!(exception.expires, Some(EventTime::from_millis(1_801_353_600_000)));
    assert!(rulebook.detections[4].exceptions.is_empty(), "another product");
}

#[test]
fn an_exception_says_that_it_ends() {
    let text = std::fs::read_to_string(fixtures().join("filters.yml")).unwrap();
    let rules = std::fs::read_to_string(fixtures().join("correlations.yml")).unwrap();
    for (now, code) in [
        (1_801_353_600_000, Some(Code::FilterExpired)),
        (1_801_353_600_000 - 86_400_000, Some(Code::FilterExpiresSoon)),
        (1_760_000_000_000, None),
    ] {
        let mut sources = Sources::of_rules([("f.yml", &*text), ("r.yml", &*rules)]);
        sources.now = Some(EventTime::from_millis(now));
        let (_, warnings) = compile(&sources).unwrap();
        assert_eq!(warnings.first().map(|finding| finding.code), code, "{now}");
    }
}

#[test]
fn state_survives_a_new_title_and_threshold_but_not_another_window() {
    let text = std::fs::read_to_string(fixtures().join("correlations.yml")).unwrap();
    let key = |text: &str| {
        let (rulebook, _) = compile(&Sources::of_rules([("r.yml", text)])).unwrap();
        (rulebook.correlations[0].state_key, rulebook.revision)
    };
    let before = key(&text);
    let renamed =
        key(&text.replace("title: Many failures", "title: Other").replace("gte: 10", "gte: 11"));
    assert_eq!(before.0, renamed.0);
    assert_ne!(before.1, renamed.1);
    assert_ne!(before.0, key(&text.replace("timespan: 5m", "timespan: 6m")).0);
}

#[test]
fn the_shipped_rules_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
    match load(&folder) {
        Ok(loaded) => {
            let policy = loaded.rulebook.policy;
            let same_evidence = policy.same_evidence.clone();
            assert!(!same_evidence.is_empty());
            assert_eq!(policy, Policy { same_evidence, ..Policy::default() });
        }
        Err(LoadFailure::Invalid(findings)) => {
            let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
            panic!(
                "{}",
                errors.map(|error| error.render(Colour::Never)).collect::<Vec<_>>().join("\n")
            )
        }
        Err(failure) => panic!("{failure}"),
    }
}

#[test]
fn findings_read_like_those_of_a_compiler() {
    let text = "\
title: Template asks for a code
name: asks
level: hihg
logsource: {product: omnichannel, category: template}
detection:
  asks:
    content.nrom|contain: 'otp'
    template.body|re: 'kode(?! promo)'
  condition: ask and not 1 of filter_*
---
title: Burst
correlation:
  type: event_count
  rules: [asking]
  group-by: [account.app_code]
  timespam: 5m
  condition: {gte: 3}
";
    let mut texts: Vec<String> = Vec::new();
    for text in [
        text.to_owned(),
        text.replace("hihg", "high"),
        text.replace("hihg", "high").replace("contain:", "contains:").replace("(?! promo)", ""),
    ] {
        let findings = compile(&Sources::of_rules([("rules/asks.yaml", &*text)])).unwrap_err();
        texts.extend(findings.iter().map(|finding| finding.render(Colour::Never)));
        texts.push("=".repeat(40));
    }
    insta::assert_snapshot!(texts.join("\n\n"));
}

fn fixture_texts() -> Vec<String> {
    ["modifiers.yml", "correlations.yml", "filters.yml", "collection.yml"]
        .map(|name| std::fs::read_to_string(fixtures().join(name)).unwrap())
        .to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_text_makes_the_compiler_panic(text in any::<String>()) {
        let _ = compiled(&text);
    }

    #[test]
    fn no_change_of_a_rule_makes_the_compiler_panic(
        which in 0..4usize,
        cuts in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), "[-:|*'%{}\\[\\]a-z0-9\n ]{0,6}"), 1..6),
    ) {
        let mut text: Vec<char> = fixture_texts()[which].chars().collect();
        for (from, len, new) in cuts {
            let from = from.index(text.len());
            let len = len.index(12).min(text.len() - from);
            text.splice(from..from + len, new.chars());
            if text.is_empty() { break; }
        }
        let text: String = text.into_iter().collect();
        if let Err(findings) = compiled(&text) {
            for finding in findings {
                prop_assert!(!finding.render(Colour::Never).is_empty());
            }
        }
    }

    #[test]
    fn no_item_makes_the_compiler_panic(
        modifiers in prop::collection::vec(prop::sample::select(vec![
            "contains", "startswith", "endswith", "all", "cased", "neq", "exists", "re", "i", "cidr",
            "gt", "hour", "base64", "base64offset", "wide", "windash", "fieldref", "expand",
        ]), 0..4),
        value in "[-a-z*?%\\\\(){}0-9./]{0,20}",
    ) {
        let key = modifiers.iter().fold(String::new(), |key, name| key + "|" + name);
        let _ = compiled(&rule_with(&format!("a{key}: '{value}'")));
    }
}
