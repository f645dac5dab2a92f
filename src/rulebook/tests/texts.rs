//! The text of every finding, as a person sees it: one minimal input for each code.
//!
//! The match over the codes has no wildcard, so a code without an input does not compile, and one
//! without a snapshot fails.

use super::super::*;
use crate::event::EventTime;

/// What gives a finding.
#[derive(Default)]
struct Input {
    rules: String,
    policy: Option<&'static str>,
    account: Option<(&'static str, &'static str)>,
    tests: Option<&'static str>,
    /// Whether there are tests that could stand beside the rules.
    looks_for_tests: bool,
}

fn rules(text: impl Into<String>) -> Input {
    Input { rules: text.into(), ..Input::default() }
}

/// A rule about events of another product around a selection and a condition.
fn around(item: &str, condition: &str) -> Input {
    rules(format!(
        "title: A rule\nlogsource: {{category: test}}\ndetection:\n  selection:\n    {item}\n  \
         condition: {condition}\n"
    ))
}

fn item(item: &str) -> Input {
    around(item, "selection")
}

/// A rule about our own messages around its selections and condition.
fn own(detection: &str) -> Input {
    rules(format!(
        "title: A rule\nname: a_rule\nlogsource: {{product: omnichannel, category: message}}\n\
         detection:\n{detection}\n"
    ))
}

/// A base rule, and a correlation over it.
fn correlation(lines: &str) -> Input {
    rules(format!(
        "title: Base\nname: base\nlogsource: {{product: omnichannel, category: message}}\n\
         detection: {{s: {{message.kind: text}}, condition: s}}\n---\ntitle: Many\nname: many\n\
         correlation:\n{lines}\n"
    ))
}

/// A base rule, and a filter of it.
fn filter(logsource: &str, satpam: &str) -> Input {
    rules(format!(
        "title: Base\nname: base\nlogsource: {{category: test}}\n\
         detection: {{s: {{kind: text}}, condition: s}}\n---\ntitle: An exception\n\
         name: an_exception\nlogsource: {{category: {logsource}}}\nfilter:\n  rules: [base]\n  \
         own: {{user: me}}\n  condition: not own\n{satpam}"
    ))
}

const COUNT: &str = "  type: event_count\n  rules: [base]\n  group-by: [account.app_code]\n  \
                     timespan: 5m\n  condition: {gte: 5}";

#[expect(clippy::too_many_lines, reason = "a table: one row for each code")]
fn input(code: Code) -> Input {
    match code {
        Code::NotYaml => rules("title: 'Login from a new network\nlevel: high\n"),
        Code::YamlTooLarge => rules(format!("{}{}\n", "- ".repeat(60), "x")),
        Code::DuplicateKey => item("user: a\n    user: b"),
        Code::NotADocument => rules("title: A rule\nlogsource: {category: test}\ndetektion: {}\n"),
        Code::MissingKey => rules("title: A rule\ndetection: {s: {a: 1}, condition: s}\n"),
        Code::WrongType => item("user: {name: a}"),
        Code::UnknownKey => correlation(&COUNT.replace("timespan", "timespam")),
        Code::UnknownWord => rules(item("user: a").rules + "level: hihg\n"),
        Code::DuplicateRule => {
            let rule = item("user: a").rules.replace("title", "name: twice\ntitle");
            rules(rule.clone() + "---\n" + &rule.replace("user: a", "user: b"))
        }
        Code::InvalidValue => correlation(&COUNT.replace("5m", "5 minutes")),
        Code::UnreadableText => rules("title: caf\u{fffd}\n"),
        Code::UnknownModifier => item("user|contian: a"),
        Code::ModifierCombination => item("user|contains|base64: a"),
        Code::ModifierValue => item("size|gte: many"),
        Code::AllWithOneValue => item("user|contains|all: a"),
        Code::InvalidRegex => item("user|re: 'otp('"),
        Code::UnsupportedRegex => item("user|re: 'otp(?!x)'"),
        Code::RegexTooLarge => item(r"user|re: '(\w{1,1000}){1,1000}'"),
        Code::InvalidNetwork => item("ip|cidr: 10.0.0.1/8"),
        Code::UnresolvedPlaceholder => {
            own("  s: {content.hosts|expand: '%shorteners%'}\n  condition: s")
        }
        Code::TooManyVariants => item("line|windash|contains: '-a -b -c -d -e -f -g'"),
        Code::EmptySelection => rules(item("user: a").rules.replace("\n    user: a", " {}")),
        Code::UnknownField => own("  s: {mesage.text|contains: otp}\n  condition: s"),
        Code::ConditionSyntax => around("user: a", "selection and (selection or"),
        Code::UnknownSelection => around("user: a", "selektion"),
        Code::PatternMatchesNothing => around("user: a", "1 of select_*"),
        Code::AggregationRemoved => around("user: a", "selection | count() by user > 5"),
        Code::ConditionTooLarge => around("user: a", &format!("{}selection", "not ".repeat(100))),
        Code::UnknownRule => correlation(&COUNT.replace("[base]", "[bse]")),
        Code::CorrelationCycle => correlation(&COUNT.replace("[base]", "[many]")),
        Code::CorrelationCondition => correlation(&COUNT.replace("event_count", "value_count")),
        Code::IncompleteAlias => {
            correlation(&COUNT.replace("[account.app_code]", "[who]\n  aliases: {who: {}}"))
        }
        Code::BaselineScope => correlation(
            "  type: baseline\n  rules: [base]\n  group-by: [actor.id]\n  measure: count\n  \
             timespan: [1h]\n  condition: {score: 6}",
        ),
        Code::AbsenceFeeds => correlation(
            "  type: absence\n  rules: [base]\n  after: [base]\n  group-by: [account.app_code]\n  \
             timespan: 5m\n---\ntitle: Again\ncorrelation:\n  type: event_count\n  rules: [many]\n  \
             group-by: [account.app_code]\n  timespan: 1h\n  condition: {gte: 3}",
        ),
        Code::InvalidAccount => {
            Input { account: Some(("accounts/.yaml", "name: Toko\n")), ..Input::default() }
        }
        Code::UnusedSelection => {
            rules(item("user: a").rules.replace("  condition", "  filter: {user: b}\n  condition"))
        }
        Code::FieldNotInCategory => own("  s: {template.body|contains: otp}\n  condition: s"),
        Code::RegexWithoutLiteral => own("  s: {message.text|re: '[0-9]+'}\n  condition: s"),
        Code::GroupWithoutAccount => correlation(&COUNT.replace("account.app_code", "actor.id")),
        Code::FilterExpired => filter("test", "satpam: {expires: 2027-01-01}\n"),
        Code::FilterExpiresSoon => filter("test", "satpam: {expires: 2027-01-20}\n"),
        Code::NoTest => {
            Input { looks_for_tests: true, ..own("  s: {message.kind: text}\n  condition: s") }
        }
        Code::NotEvaluated => rules("status: deprecated\n".to_owned() + &item("user: a").rules),
        Code::KeyLooksMisspelt => rules(item("user: a").rules + "falsepostives: [x]\n"),
        Code::KeyWithoutEffect => {
            rules(item("user: a").rules.replace("  condition", "  timeframe: 5m\n  condition"))
        }
        Code::FilterAppliesToNothing => filter("other", ""),
        Code::UnknownAccountList => {
            own("  s: {content.domains|expand: '%account.domians%'}\n  condition: s")
        }
        Code::NeverHolds => own(
            "  asks: {message.text|contains: kode otp}\n  warns: {message.text|contains: otp}\n  \
             condition: asks and not warns",
        ),
        Code::AlwaysHolds => {
            own("  s:\n    - actor.ip|exists: true\n    - actor.ip|exists: false\n  condition: s")
        }
        Code::SameRule => {
            let first = own("  s: {message.text|contains: [otp, pin]}\n  condition: s").rules;
            let second = own(
                "  a: {message.text|contains: pin}\n  b: {message.text|contains: otp}\n  condition: a or b",
            );
            rules(first + "---\n" + &second.rules.replace("a_rule", "the_same"))
        }
        Code::ImpliedRule => {
            let first = own("  s: {message.text|contains: kode otp}\n  condition: s").rules;
            let second = own("  s: {message.text|contains: [otp, pin]}\n  condition: s").rules;
            rules(first + "---\n" + &second.replace("a_rule", "wider"))
        }
        Code::UnknownEvidence => Input {
            policy: Some("same-evidence:\n  - [a_rule, a_ruel]\n"),
            ..own("  s: {message.kind: text}\n  condition: s")
        },
        Code::OneSidedTests => Input {
            tests: Some("tests:\n  - name: a\n    expect: {matches: [a_rule]}\n"),
            ..own("  s: {message.kind: text}\n  condition: s")
        },
        Code::IgnoresNothing => {
            rules("# satpam: ignore[SP501]\n".to_owned() + &item("user: a").rules)
        }
    }
}

fn findings(code: Code, input: &Input) -> Vec<Diagnostic> {
    if code == Code::UnreadableText {
        return unreadable();
    }
    let mut sources = Sources::of_rules([("rules/a.yaml", &*input.rules)]);
    sources.now = Some(EventTime::from_millis(1_800_000_000_000));
    sources.policy = input.policy.map(|text| SourceText::new("rules/policy.yaml", text));
    sources.accounts =
        input.account.map(|(name, text)| SourceText::new(name, text)).into_iter().collect();
    if input.looks_for_tests {
        sources.tested = Some(std::collections::BTreeSet::new());
    }
    sources.tests =
        input.tests.map(|text| SourceText::new("rules/a.test.yaml", text)).into_iter().collect();
    compile(&sources).map_or_else(|findings| findings, |(_, warnings)| warnings)
}

/// The one finding that comes from reading bytes.
fn unreadable() -> Vec<Diagnostic> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.yaml"), b"title: caf\xe9\n").unwrap();
    let mut read = read(&[folder.path().to_owned()]).unwrap();
    let finding = read.unreadable.remove(0);
    let source = SourceText::new("rules/a.yaml", &finding.source.text);
    vec![Diagnostic::new(finding.code, &source, finding.span, finding.message)]
}

#[test]
fn every_finding_reads_as_it_was_written() {
    let mut wrong = Vec::new();
    for code in Code::ALL {
        let findings = findings(*code, &input(*code));
        match findings.as_slice() {
            [only] if only.code == *code => {
                insta::assert_snapshot!(code.as_str(), only.render(Colour::Never));
            }
            other => wrong.push(format!("{code}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_policy_that_names_no_rule_is_told_with_its_place_and_the_nearest_name() {
    let policy = Some("same-evidence:\n  - [a_rule, the_othr]\n");
    let wider = "---\ntitle: The other\nname: the_other\nlogsource: {product: omnichannel, category: login}\n\
                 detection: {s: {login.result: failed}, condition: s}\n";
    let base = own("  s: {message.kind: text}\n  condition: s").rules;
    let input = Input { rules: base.clone() + wider, policy, ..Input::default() };
    let found = findings(Code::UnknownEvidence, &input);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].line, found[0].column), (2, 14));
    // A part of a rule set is checked with the policy of the whole.
    let mut sources = Sources::of_rules([("a.yaml", &*base)]);
    sources.policy = policy.map(|text| SourceText::new("policy.yaml", text));
    sources.is_part = true;
    assert!(compile(&sources).is_ok());
}
