//! What the engine promises over a whole shard.

use super::{Incoming, NoAccounts, Outcome, Rules, Settings, Shard, Workspace, step};
use crate::event::{
    AccountId, Document, Event, EventId, EventTime, EventType, Offset, Position, ShardId,
    TopicIndex,
};
use crate::rulebook::{Sources, compile};

const UNANSWERED: &str = "
title: A question
name: question
status: stable
level: low
logsource: {product: omnichannel, category: message}
detection: {one: {message.text|contains: tanya}, condition: one}
---
title: An answer
name: answer
status: stable
level: low
logsource: {product: omnichannel, category: message}
detection: {one: {message.text|contains: jawab}, condition: one}
---
title: Nobody answered
name: unanswered
status: stable
level: high
correlation:
  type: absence
  rules: [answer]
  after: [question]
  group-by: [message.recipient]
  timespan: 1h
satpam: {risk: 60}
";

fn minutes(minutes: i64) -> EventTime {
    EventTime::from_millis(1_800_000_000_000 + minutes * 60_000)
}

fn message(offset: i64, at: i64, account: &str, text: &str, recipient: &str) -> Incoming {
    let document =
        serde_json::json!({"message": {"text": text, "recipient": recipient}}).to_string();
    let event = Event::new(
        EventId::new(&format!("e{offset}")).unwrap(),
        EventType::new("message.sent"),
        minutes(at),
        AccountId::new(account).unwrap(),
        Document::parse(document.into_bytes()).unwrap(),
    );
    let position = Position { topic: TopicIndex(0), offset: Offset(offset) };
    Incoming { position, events: vec![event] }
}

/// Such a rule was counted as waiting, and never fired in the daemon.
#[test]
fn an_absence_that_does_not_group_by_account_fires_for_the_account_that_made_it_wait() {
    let rules = Rules::new(compile(&Sources::of_rules([("rules.yaml", UNANSWERED)])).unwrap().0);
    let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
    let mut seen = Vec::new();
    let mut run = |record: Incoming| -> Outcome {
        let (settings, mut workspace) = (Settings::default(), Workspace::default());
        step(&mut shard, &rules, &settings, vec![record], &mut workspace, &mut |one| {
            if one.subject.is_none() {
                seen.push((one.account.as_str().to_owned(), one.time));
            }
        })
        .unwrap()
    };
    run(message(0, 0, "toko-a", "tanya", "answered"));
    run(message(1, 1, "toko-a", "tanya", "forgotten"));
    // Another account may answer.
    run(message(2, 30, "toko-b", "jawab", "answered"));
    assert!(run(message(3, 61, "toko-c", "lain", "other")).opened.is_empty());
    let outcome = run(message(4, 62, "toko-c", "lain", "other"));
    assert_eq!(outcome.opened.len(), 1);
    assert_eq!(outcome.accounts, [AccountId::new("toko-a").unwrap()]);
    assert!(run(message(5, 200, "toko-c", "lain", "other")).opened.is_empty());
    assert_eq!(seen, [("toko-a".to_owned(), minutes(61))]);
}
