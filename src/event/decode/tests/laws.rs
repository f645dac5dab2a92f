//! What holds for any record at all.

use proptest::prelude::*;

use super::*;

const SEEDS: [&str; 5] = [
    r#"{"id":"e","type":"message.sent","time":"2026-11-24T10:00:00+07:00","account":{"app_code":"a"},"message":{"text":"x\u00e9\n"}}"#,
    r#"{"specversion":"1.0","id":"1","type":"message.sent","time":1795489200,"subject":"a","data":{"message":{"text":"x"}}}"#,
    r#"{"app_code":"a","type":"post_comment_rest","channel":{"id":1,"source":"wa"},"payload":{"from":{"email":"a_admin@qismo.com","id":1},"message":{"id":5,"text":"x","timestamp":1795489200,"payload":null},"room":{"id":"1","options":"{}","participants":[{"email":"628111111111"}]}}}"#,
    r#"{"app_code":"a","user":{"id":1},"phone_number":["628111111111"],"variables":["x"],"hide_variables":"true"}"#,
    r#"{"app_code":"a","user":1,"name":"n","hsm_details":[{"language":"id","content":"x","header_sample":["https://x"],"approval_status":0}]}"#,
];

fn shapes() -> Vec<WireShape> {
    vec![
        WireShape::Satpam,
        WireShape::CloudEvents,
        WireShape::QiscusWebhook,
        WireShape::QiscusBroadcast,
        WireShape::QiscusTemplate,
        shape(
            r#"{"map":{"type":"type","id":"id","time":"time","account.app_code":"app_code","message.text":"data.message.0"}}"#,
        ),
    ]
}

/// Decodes in every shape; what is accepted must be accepted again as an envelope.
fn every_shape(record: &RawRecord) {
    for shape in shapes() {
        for event in decoded(&shape, record).into_iter().flatten() {
            let again = RawRecord { payload: event.document().source().into(), ..record.clone() };
            let again = decoded(&WireShape::Satpam, &again).unwrap();
            assert_eq!(again[0].id(), event.id());
            assert_eq!(again[0].time(), event.time());
            assert_eq!(again[0].account(), event.account());
            assert!(jiff::Timestamp::from_millisecond(event.time().millis()).is_ok());
        }
    }
}

/// Any JSON, with keys that the shapes look for.
fn json() -> impl Strategy<Value = Json> {
    let scalar = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::from),
        any::<i64>().prop_map(Json::from),
        any::<f64>().prop_map(Json::from),
        "[a-z0-9.@+:/-]{0,12}".prop_map(Json::from),
        any::<String>().prop_map(Json::from),
    ];
    let key = prop::sample::select(vec![
        "id",
        "type",
        "time",
        "account",
        "app_code",
        "data",
        "subject",
        "payload",
        "message",
        "room",
        "from",
        "email",
        "participants",
        "hsm_details",
        "phone_number",
        "user",
        "channel",
        "specversion",
        "timestamp",
        "header_sample",
        "extras",
    ]);
    scalar.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
            prop::collection::btree_map(key.clone(), inner, 0..8)
                .prop_map(|map| map.into_iter().map(|(k, v)| (k.to_owned(), v)).collect::<Json>()),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_any_shape_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        every_shape(&record(bytes));
    }

    #[test]
    fn no_json_makes_any_shape_panic(json in json()) {
        every_shape(&record(json.to_string()));
    }

    #[test]
    fn no_damage_to_a_valid_record_makes_any_shape_panic(
        seed in prop::sample::select(&SEEDS[..]),
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut bytes = seed.as_bytes().to_vec();
        for (at, byte, edit) in edits {
            let at = at.index(bytes.len());
            match edit {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at + 1),
            }
        }
        every_shape(&record(bytes));
    }
}
