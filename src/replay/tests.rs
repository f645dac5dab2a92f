//! What a backtest promises: what counts as caught, as early, as a false alarm.

use super::*;
use crate::engine::{Rules, Settings};
use crate::event::decode::{Limits, WireShape, decode};
use crate::event::{AccountId, Event, EventTime, Offset, Position, RawRecord, ShardId, TopicIndex};
use crate::rulebook;

const RULE: &str = "\
title: Bad words
name: bad_words
status: stable
level: critical
logsource: {product: omnichannel, category: message}
detection:
  selection: {message.text|contains: bad}
  condition: selection
";

const HOUR: i64 = 3_600_000;
const START: i64 = 1_767_571_200_000;

fn rules() -> Rules {
    rules_of(RULE)
}

fn rules_of(text: &str) -> Rules {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rule.yaml"), text).unwrap();
    Rules::new(rulebook::load(folder.path()).unwrap().rulebook)
}

fn message(account: &str, id: &str, hour: i64, text: &str) -> Event {
    let payload = serde_json::json!({
        "id": id, "type": "message.sent", "time": (START + hour * HOUR).to_string(),
        "account": {"app_code": account}, "message": {"text": text, "recipient": id},
    });
    let record = RawRecord {
        shard: ShardId(0),
        position: Position { topic: TopicIndex(0), offset: Offset(0) },
        timestamp: None,
        key: None,
        headers: Vec::new(),
        payload: payload.to_string().into_bytes(),
    };
    decode(&WireShape::Satpam, &record, &Limits::default()).unwrap().remove(0)
}

fn attack(account: &str, first: i64, last: i64, events: &[&str]) -> Attack {
    Attack {
        account: AccountId::new(account).unwrap(),
        name: format!("{account} {first}"),
        kind: "spam".to_owned(),
        first: EventTime::from_millis(START + first * HOUR),
        last: EventTime::from_millis(START + last * HOUR),
        recipients: None,
        events: events.iter().map(|id| Box::from(*id)).collect(),
    }
}

fn report(attacks: Vec<Attack>, events: Vec<Event>) -> Report {
    report_of(&rules(), attacks, events)
}

fn report_of(rules: &Rules, attacks: Vec<Attack>, events: Vec<Event>) -> Report {
    let options = Options {
        settings: Settings::default(),
        since: EventTime::from_millis(i64::MIN),
        attacks: Some(attacks),
        ablation: true,
    };
    let mut backtest = Backtest::new(rules, options);
    for event in events {
        backtest.play(event).unwrap();
    }
    backtest.report()
}

#[test]
fn an_attack_is_caught_early_when_less_than_half_went_out_before_the_alarm() {
    for (alarm_at, early, before) in [(0, 1.0, 0), (2, 1.0, 2), (3, 0.0, 3)] {
        let ids = ["a", "b", "c", "d"];
        let events = ids.iter().zip(0..).map(|(id, hour)| {
            message("toko", id, hour, if hour == alarm_at { "bad" } else { "fine" })
        });
        let report = report(vec![attack("toko", 0, 3, &ids)], events.collect());
        let attacks = report.attacks.unwrap();
        assert!((attacks.recall.alert - 1.0).abs() < 1e-9, "{attacks:?}");
        assert!((attacks.recall_before_half.alert - early).abs() < 1e-9, "{alarm_at}");
        assert_eq!(attacks.sends_before.alert, Some(before));
        assert_eq!(attacks.false_alarms.alert, 0);
    }
}

#[test]
fn an_alarm_on_no_attack_is_false_and_one_within_a_day_after_an_attack_is_not() {
    for (hour, false_alarms, recall) in [(-5, 1, 0.0), (1, 0, 1.0), (20, 0, 1.0), (30, 1, 0.0)] {
        // The time alone says which events are the intruder's.
        let mut events = vec![
            message("toko", "x", 0, "fine"),
            message("toko", "y", 2, "fine"),
            message("toko", "z", hour, "bad"),
        ];
        events.sort_by_key(Event::time);
        let attacks = report(vec![attack("toko", 0, 2, &[])], events).attacks.unwrap();
        assert_eq!(attacks.false_alarms.alert, false_alarms, "at hour {hour}");
        assert!((attacks.recall.alert - recall).abs() < 1e-9, "at hour {hour}");
    }
}

#[test]
fn what_a_rule_adds_is_what_would_be_missing_without_it() {
    let events = vec![
        message("toko", "a", 0, "bad"),
        message("warung", "b", 1, "bad"),
        message("warung", "c", 90, "fine"),
    ];
    let report = report(vec![attack("toko", 0, 1, &["a"])], events);
    let [added] = report.ablation.as_deref().unwrap() else { panic!("{report:?}") };
    assert_eq!(&*added.rule, "bad_words");
    assert_eq!((added.incidents, added.false_alarms, added.attacks), (2, 1, 1));
    let row = &report.by_rule[0];
    assert_eq!((row.hostile, row.ordinary, row.attacks), (Some(1), Some(1), Some(1)));
}

#[test]
fn an_attack_without_an_event_in_the_stream_counts_nowhere() {
    let report = report(vec![attack("gone", 0, 1, &[])], vec![message("toko", "a", 0, "fine")]);
    let attacks = report.attacks.unwrap();
    assert_eq!((attacks.attacks, attacks.absent), (0, 1));
}

#[test]
fn labels_are_read_as_they_are_written_and_a_wrong_line_is_named() {
    let one = attack("toko", 0, 3, &["a", "b"]);
    let text = format!("\n{}\n", one.to_line());
    assert_eq!(read_labels(text.as_bytes()).unwrap(), [one]);
    for wrong in [
        r#"{"account":"","attack":"1","kind":"k","first":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z"}"#,
        r#"{"account":"a","attack":"1","kind":"k","first":"2026-01-02T00:00:00Z","last":"2026-01-01T00:00:00Z"}"#,
        r#"{"account":"a","attack":"1","kind":"k","first":"yesterday","last":"2026-01-01T00:00:00Z"}"#,
        r#"{"account":"a","attak":"1"}"#,
        "no json",
    ] {
        let error = read_labels(format!("\n{wrong}").as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with("line 2 "), "{error}");
    }
}

#[test]
fn a_baseline_reports_the_ordinary_days_above_its_score_and_leaves_attacks_out() {
    const BASELINE: &str = "\
title: Messages far above habit
name: above_habit
status: stable
level: high
correlation:
  type: baseline
  rules: [any_message]
  group-by: [account.app_code]
  timespan: 1h
  condition: {budget: 50/1000d, score: 4}
---
title: Any message
name: any_message
status: stable
level: informational
logsource: {product: omnichannel, category: message}
detection:
  selection: {type: message.sent}
  condition: selection
";
    let rules = rules_of(BASELINE);
    let habit = (0..30 * 24).step_by(6).map(|hour| message("toko", &hour.to_string(), hour, "hi"));
    let burst = (0..60).map(|number| message("toko", &format!("burst-{number}"), 720, "hi"));
    let events: Vec<Event> = habit.chain(burst).collect();
    for (attacks, days) in [(vec![], 1), (vec![attack("toko", 720, 720, &[])], 0)] {
        let report = report_of(&rules, attacks, events.clone());
        let [row] = &report.baselines[..] else { panic!("one baseline") };
        assert_eq!((&*row.rule, row.budget, row.account_days), ("above_habit", Some(50.0), days));
        assert!((row.fires_from - 4.0).abs() < 1e-9, "the rule's own score: {}", row.fires_from);
    }
}
