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

/// A message at `at` minutes, whose id follows from its offset.
pub(super) fn message(
    offset: i64,
    at: i64,
    account: &str,
    text: &str,
    recipient: &str,
) -> Incoming {
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

const STRONG: &str = "
title: Strong sign
name: strong
status: stable
level: high
logsource: {product: omnichannel, category: message}
detection: {one: {message.text|contains: jahat}, condition: one}
satpam: {risk: 60}
";

/// A backfill holds one account after the other. Incidents used to close by the shard's time alone,
/// so that those of later accounts closed and opened again at every match.
#[test]
fn the_order_in_which_accounts_are_read_changes_no_incident() {
    let rules = Rules::new(compile(&Sources::of_rules([("rules.yaml", STRONG)])).unwrap().0);
    // Minutes: three signs within a day, then one two days later.
    let signs = [0, 600, 1_200, 4_500, 4_501];
    let mut records: Vec<(i64, &str, i64)> = Vec::new();
    for (number, account) in (0..).zip(["toko-a", "toko-b", "toko-c"]) {
        records.extend((0..).zip(signs).map(|(at, time)| (number * 10 + at, account, time)));
    }
    let run = |records: &[(i64, &str, i64)]| {
        let mut shard = Shard::new(ShardId(0), Box::new(NoAccounts), None, None);
        let mut opened = Vec::new();
        for (offset, (id, account, time)) in (0..).zip(records) {
            let mut record = message(*id, *time, account, "jahat", "someone");
            record.position.offset = Offset(offset);
            let (settings, mut workspace) = (Settings::default(), Workspace::default());
            let records = vec![record];
            let outcome =
                step(&mut shard, &rules, &settings, records, &mut workspace, &mut |_| {}).unwrap();
            opened.extend(outcome.opened);
        }
        opened.sort();
        opened
    };
    let by_account = run(&records);
    assert_eq!(by_account.len(), 6, "two of each account");
    records.sort_by_key(|(id, _, time)| (*time, *id));
    assert_eq!(run(&records), by_account);
}
