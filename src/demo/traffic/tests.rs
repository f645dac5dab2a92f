//! What generated traffic must be like.

use super::*;
use crate::event::RawRecord;
use crate::event::decode::{Limits, WireShape, decode};
use crate::event::{Offset, Position, ShardId, TopicIndex};

/// Monday 2026-11-02 00:00 in Jakarta.
const START: i64 = 1_793_552_400_000;

fn scenario(accounts: u32, days: u32, share: f64) -> Scenario {
    let attacks = Attacks { share, kinds: AttackKind::ALL.to_vec() };
    Scenario { seed: 7, accounts, start: EventTime::from_millis(START), days, attacks }
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let bytes = |scenario: &Scenario| -> Vec<_> {
        Traffic::new(scenario).map(|event| (event.time, event.payload)).collect()
    };
    let scenario = scenario(20, 3, 0.5);
    let first = bytes(&scenario);
    assert!(first == bytes(&scenario), "two runs differ");
    assert!(first != bytes(&Scenario { seed: 8, ..scenario }), "two seeds agree");
}

#[test]
fn every_event_decodes_and_stands_in_the_order_of_time() {
    let scenario = scenario(40, 12, 0.5);
    let mut before = scenario.start;
    let mut count = 0;
    for event in Traffic::new(&scenario) {
        assert!(event.time >= before, "{event:?}");
        before = event.time;
        count += 1;
        let record = RawRecord {
            payload: event.payload,
            key: None,
            headers: Vec::new(),
            timestamp: Some(event.time),
            position: Position { topic: TopicIndex(0), offset: Offset(count) },
            shard: ShardId(0),
        };
        let decoded = decode(&WireShape::Satpam, &record, &Limits::default()).unwrap();
        assert_eq!(decoded[0].time(), event.time);
        assert_eq!(decoded[0].account(), &event.account);
    }
    assert!(count > 10_000, "{count} events");
    assert!(before < scenario.start.plus_millis(12 * DAY));
}

#[test]
fn days_are_busier_than_nights_and_double_dates_than_other_days() {
    let mut hours = [0_u32; 24];
    let mut days = [0_u32; 14];
    for event in Traffic::new(&scenario(150, 14, 0.0)) {
        let since = event.time.millis() - START;
        hours[usize::try_from(since % DAY / HOUR).unwrap()] += 1;
        days[usize::try_from(since / DAY).unwrap()] += 1;
    }
    assert!(hours[10] > hours[3] * 10, "{hours:?}");
    // From Monday 2 November: the 11th is the tenth day, a Wednesday; the 4th is one too.
    assert!(days[9] * 2 > days[2] * 3, "{days:?}");
}

#[test]
fn every_kind_of_attack_happens_and_is_labelled() {
    for kind in AttackKind::ALL {
        let attacks = Attacks { share: 1.0, kinds: vec![kind] };
        let scenario = Scenario { attacks, ..scenario(6, 15, 1.0) };
        let labelled: Vec<_> =
            Traffic::new(&scenario).filter(|event| event.label.is_some()).collect();
        assert!(labelled.len() >= 5, "{}: {}", kind.as_str(), labelled.len());
        assert!(labelled.iter().all(|event| event.label == Some(kind)));
    }
}

#[test]
fn a_takeover_is_a_login_a_template_and_broadcasts() {
    let attacks = Attacks { share: 1.0, kinds: vec![AttackKind::Takeover] };
    let scenario = Scenario { attacks, ..scenario(1, 12, 1.0) };
    let events = Traffic::new(&scenario).filter(|event| event.label.is_some());
    let topics: Vec<_> = events.map(|event| event.topic).collect();
    let mut expected = vec![TopicKind::Accounts, TopicKind::Templates];
    expected.extend([TopicKind::Broadcasts; 6]);
    assert!(expected.starts_with(&topics) && topics.len() > 2, "{topics:?}");
}

#[test]
fn ids_are_unique_so_that_labels_name_one_event() {
    let ids: Vec<_> = Traffic::new(&scenario(20, 3, 0.5)).map(|event| event.id).collect();
    let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
}

#[test]
fn attacks_are_as_frequent_as_was_asked_for() {
    let attacked: std::collections::BTreeSet<_> = Traffic::new(&scenario(200, 10, 0.25))
        .filter(|event| event.label.is_some())
        .map(|event| event.account)
        .collect();
    assert!((25..=75).contains(&attacked.len()), "{} of 200", attacked.len());
}

#[test]
fn what_is_late_or_comes_twice_is_what_was_asked_for_and_nothing_is_lost() {
    let scenario = scenario(20, 3, 0.5);
    let ids = |delivery: Delivery| -> Vec<_> {
        delivery.of(7, Traffic::new(&scenario)).map(|event| event.id).collect()
    };
    let sent: Vec<_> = Traffic::new(&scenario).map(|event| event.id).collect();
    assert!(ids(Delivery { late: 0.0, duplicates: 0.0 }) == sent, "a good way changes nothing");
    let bad = Delivery { late: 0.2, duplicates: 0.1 };
    let arrived = ids(bad);
    assert!(arrived == ids(bad), "two runs differ");
    let distinct: std::collections::BTreeSet<_> = arrived.iter().collect();
    assert_eq!(distinct.len(), sent.len());
    let repeats = arrived.len() - sent.len();
    assert!((sent.len() / 15..sent.len() / 7).contains(&repeats), "{repeats} of {}", sent.len());

    let (mut latest, mut late) = (scenario.start, 0);
    for event in (Delivery { late: 0.2, duplicates: 0.0 }).of(7, Traffic::new(&scenario)) {
        let behind = latest.millis_since(event.time);
        assert!(behind <= 20 * MINUTE, "{behind} ms");
        late += usize::from(behind > 0);
        latest = latest.max(event.time);
    }
    assert!((sent.len() / 8..sent.len() / 4).contains(&late), "{late} of {}", sent.len());
}
