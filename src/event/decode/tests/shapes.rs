//! One record of each shape, with the oddities that producers are known for.

use serde_json::json;

use super::*;

#[test]
fn an_envelope_is_kept_byte_for_byte() {
    let text = r#" {"id":"e-1","type":"message.sent","time":"2026-11-24T10:00:00+07:00",
        "account":{"app_code":"karm-gzu41e","two_factor":"true"},"extra":1.50,
        "message":{"text":"halo\u0021"}} "#;
    let events = decoded(&WireShape::Satpam, &record(text)).unwrap();
    let [event] = &events[..] else { panic!("one event, not {}", events.len()) };
    assert_eq!(event.document().source(), text);
    assert_eq!(event.id().as_str(), "e-1");
    assert_eq!(event.event_type().name(), "message.sent");
    assert_eq!(event.time().millis(), TIMESTAMP);
    assert_eq!(event.account().as_str(), "karm-gzu41e");
}

#[test]
fn ids_may_be_integers_and_unknown_types_are_kept() {
    let text = r#"{"id":9007199254740993,"type":"poll.opened","time":0,"account":{"app_code":77}}"#;
    let events = decoded(&WireShape::Satpam, &record(text)).unwrap();
    assert_eq!(events[0].id().as_str(), "9007199254740993");
    assert_eq!(events[0].event_type().name(), "poll.opened");
    assert_eq!(events[0].account().as_str(), "77");
}

#[test]
fn a_time_is_rfc_3339_or_a_unix_time_whose_unit_its_size_tells() {
    for (time, millis) in [
        (r#""2026-11-24T03:00:00Z""#, TIMESTAMP),
        (r#""2026-11-24T10:00:00.25+07:00""#, TIMESTAMP + 250),
        (r#""2026-11-23T21:00:00-06:00""#, TIMESTAMP),
        ("1795489200", TIMESTAMP),
        ("1795489200250", TIMESTAMP + 250),
        ("1795489200250999", TIMESTAMP + 250),
        ("1795489200250999999", TIMESTAMP + 250),
        (r#""1795489200250""#, TIMESTAMP + 250),
        (r#""1795489200.25""#, TIMESTAMP + 250),
        ("1795489200.25", TIMESTAMP + 250),
        ("99999999999", 99_999_999_999_000),
        ("100000000000", 100_000_000_000),
        ("-1", -1_000),
    ] {
        let text = format!(r#"{{"id":1,"type":"x","time":{time},"account":{{"app_code":"a"}}}}"#);
        let record = RawRecord { timestamp: None, ..record(text) };
        let events = decoded(&WireShape::Satpam, &record).unwrap();
        assert_eq!(events[0].time().millis(), millis, "{time}");
    }
}

#[test]
fn a_structured_cloudevent_takes_its_head_from_the_attributes() {
    let text = r#"{"specversion":"1.0","id":"ce-1","source":"/omni","subject":"acme",
        "type":"com.example.omni.message.sent","time":"2026-11-24T03:00:00Z",
        "datacontenttype":"application/json",
        "data":{"id":"other","time":5,"account":{"plan":"free"},"message":{"text":"hi"}}}"#;
    let expected = json!({"id":"ce-1","type":"message.sent","time":"2026-11-24T03:00:00Z",
        "account":{"app_code":"acme","plan":"free"},"message":{"text":"hi"}});
    assert_eq!(envelopes(&WireShape::CloudEvents, &record(text)), [expected]);
}

#[test]
fn a_binary_cloudevent_takes_its_head_from_the_headers() {
    let headers = [
        ("ce_specversion", "1.0"),
        ("CE_ID", "ce-2"),
        ("ce_type", "login.failed"),
        ("ce_time", "2026-11-24T03:00:00Z"),
        ("ce_subject", "ignored, the data names the account"),
        ("content-type", "application/json"),
        ("é", "a name that is not ASCII"),
    ];
    let text = r#"{"account":{"app_code":"acme"},"login":{"result":"failed"}}"#;
    let expected = json!({"id":"ce-2","type":"login.failed","time":"2026-11-24T03:00:00Z",
        "account":{"app_code":"acme"},"login":{"result":"failed"}});
    assert_eq!(envelopes(&WireShape::CloudEvents, &with_headers(text, &headers)), [expected]);
}

#[test]
fn cloudevent_data_without_envelope_members_is_the_object_of_its_type() {
    let text = r#"{"specversion":"1.0","id":3,"subject":"acme","type":"template.created",
        "time":1795489200,"data":{"name":"promo","body":"x"}}"#;
    let expected = json!({"id":3,"type":"template.created","time":1_795_489_200,
        "account":{"app_code":"acme"},"template":{"name":"promo","body":"x"}});
    assert_eq!(envelopes(&WireShape::CloudEvents, &record(text)), [expected]);
}

fn webhook(kind: &str, source: &str, email: &str) -> String {
    let options = r#""{\"channel\":\"wa\",\"is_resolved\":false}""#;
    format!(
        r#"{{"app_code":"acme","type":"{kind}","channel":{{"id":12,"name":"WA","source":"{source}"}},
        "payload":{{"from":{{"avatar_url":"https://x/y.png","email":"{email}","id":9,"id_str":"9","name":"Budi"}},
        "message":{{"id":0,"id_str":"0","created_at":"2026-11-24T03:00:00Z","text":"halo \"kak\"",
        "timestamp":"2026-11-24T03:00:00Z","type":"text","payload":null,"extras":{{}},
        "unique_temp_id":"tmp-5","unix_timestamp":1795489200,"unix_nano_timestamp":1795489200250000000}},
        "room":{{"id":1234,"id_str":"1234","name":"Siti","options":{options},
        "participants":[{{"email":"acme_admin@qismo.com"}},{{"email":"6281234567890"}}],
        "topic_id":1234,"type":"group"}}}}}}"#
    )
}

#[test]
fn a_qiscus_webhook_becomes_a_message() {
    let text = webhook("post_comment_rest", "wa", "acme_admin@qismo.com");
    let expected = json!({"id":"tmp-5","type":"message.sent","time":1_795_489_200_250_000_000_i64,
        "account":{"app_code":"acme"},
        "actor":{"id":"9","email":"acme_admin@qismo.com","name":"Budi","role":"api","auth":"secret_key"},
        "channel":{"id":12,"source":"wa","name":"WA"},
        "message":{"id":"tmp-5","kind":"text","text":"halo \"kak\"","room_id":"1234",
            "recipient":"6281234567890"}});
    assert_eq!(envelopes(&WireShape::QiscusWebhook, &record(text)), [expected]);
}

#[test]
fn only_what_a_business_sends_is_a_sent_message() {
    for (kind, source, email, event_type, role) in [
        ("post_comment_rest", "wa", "acme_admin@qismo.com", "message.sent", "api"),
        ("post_comment_mobile", "wa", "acme_admin@qismo.com", "message.sent", "admin"),
        ("post_comment_mobile", "wa", "other_admin@qismo.com", "message.sent", "agent"),
        ("post_comment_mobile", "wa", "siti@acme.co.id", "message.sent", "agent"),
        ("post_comment_mobile", "wa", "6281234567890", "message.received", "customer"),
        ("post_comment_rest", "wa", "+6281234567890", "message.received", "customer"),
        ("post_comment_mobile", "wa", "not a number", "message.sent", "agent"),
        ("post_comment_mobile", "ig", "17841400000000000", "message.received", "customer"),
        ("post_comment_mobile", "qiscus", "siti@acme.co.id", "message.sent", "agent"),
    ] {
        let text = webhook(kind, source, email);
        let envelope = &envelopes(&WireShape::QiscusWebhook, &record(text))[0];
        assert_eq!(envelope["type"], event_type, "{kind} {source} {email}");
        assert_eq!(envelope["actor"]["role"], role, "{kind} {source} {email}");
        let has_recipient = envelope["message"].get("recipient").is_some();
        assert_eq!(has_recipient, event_type == "message.sent", "{kind} {source} {email}");
    }
}

#[test]
fn a_webhook_with_an_attachment_and_buttons_keeps_their_links() {
    let text = r#"{"app_id":"acme","payload":{"message":{"id":"77","type":"buttons","text":"",
        "payload":{"url":"https://a.b/c.apk","caption":"cek resi","file_name":"c.apk",
        "buttons":[{"payload":{"url":"https://evil.top"}}]},"timestamp":1795489200}}}"#;
    let envelope = &envelopes(&WireShape::QiscusWebhook, &record(text))[0];
    assert_eq!(envelope["id"], "77");
    assert_eq!(envelope["message"]["file_name"], "c.apk");
    assert_eq!(envelope["message"]["url"], "https://a.b/c.apk");
    let buttons = &envelope["message"]["payload"]["buttons"];
    assert_eq!(buttons[0]["payload"]["url"], "https://evil.top");
}

#[test]
fn a_broadcast_request_becomes_a_created_broadcast_with_an_id_from_its_position() {
    let text = r#"{"app_code":"acme","user":{"id":5,"email":"a@acme.id","type_as_string":"Admin"},
        "channel_id":12,"name":"Promo","template_name":"promo_11","template_detail_id":3,
        "namespace":"ns","language":"id","variables":["Budi","https://s.id/x"],
        "phone_number":["+628111111111",628222222222,null],"started_at":null,
        "header_value":null,"button_params":[{"type":"URL","values":["x"],"index":0}],
        "hide_variables":"true"}"#;
    let expected = json!({"id":"kafka-2-7-41","type":"broadcast.created","time":"2026-11-24T03:00:00Z",
        "account":{"app_code":"acme"},"actor":{"id":"5","email":"a@acme.id","role":"admin"},
        "channel":{"id":12,"source":"wa"},
        "broadcast":{"name":"Promo","template_name":"promo_11","template_detail_id":3,
            "namespace":"ns","language":"id","variables":["Budi","https://s.id/x"],
            "button_params":[{"type":"URL","values":["x"],"index":0}],"hide_variables":true,
            "recipient_count":2,"recipients":["628111111111","628222222222"]}});
    assert_eq!(envelopes(&WireShape::QiscusBroadcast, &record(text)), [expected]);
}

#[test]
fn a_broadcast_counts_all_its_numbers_and_lists_some() {
    let numbers: Vec<_> = (0..1_000).map(|n| format!("62811{n:07}")).collect();
    for (phone_number, count, listed) in [
        (json!(numbers), 1_000, 100),
        (json!("+628111111111, 628222222222,"), 2, 2),
        (json!(628_111_111_111_i64), 1, 1),
    ] {
        let text = json!({"app_code":"acme","phone_number":phone_number}).to_string();
        let envelope = &envelopes(&WireShape::QiscusBroadcast, &record(text))[0];
        assert_eq!(envelope["broadcast"]["recipient_count"], count);
        assert_eq!(envelope["broadcast"]["recipients"].as_array().unwrap().len(), listed);
    }
}

#[test]
fn a_template_request_becomes_one_event_for_each_language() {
    let text = r#"{"app_code":"acme","user":"a@acme.id","name":"promo","category":"MARKETING",
        "channel_id":12,"have_template":"true","namespace":"ns","hsm_details":[
        {"language":"id","content":"Halo {{1}}","body_sample":["Budi"],"header_type":"IMAGE",
         "header_content":null,"header_sample":["https://cdn/x.png"],"header_default_value":"",
         "footer":"STOP","buttons":[{"type":"URL","text":"Klik","url":"https://x.id/{{1}}","example":"a"}]},
        {"language":"en","content":"Hello","approval_status":1},
        {"language":"ms","content":"Hai","approval_status":"-1"}]}"#;
    let envelopes = envelopes(&WireShape::QiscusTemplate, &record(text));
    let expected = json!({"id":"kafka-2-7-41-1","type":"template.created","time":"2026-11-24T03:00:00Z",
        "account":{"app_code":"acme"},"actor":{"email":"a@acme.id"},"channel":{"id":12,"source":"wa"},
        "template":{"name":"promo","category":"MARKETING","namespace":"ns","language":"id",
            "header":{"type":"IMAGE","url":"https://cdn/x.png"},"body":"Halo {{1}}","footer":"STOP",
            "buttons":[{"type":"URL","text":"Klik","url":"https://x.id/{{1}}","example":"a"}],
            "body_sample":["Budi"],"header_sample":["https://cdn/x.png"]}});
    assert_eq!(envelopes[0], expected);
    let rest: Vec<_> = envelopes[1..]
        .iter()
        .map(|e| (e["id"].as_str(), e["type"].as_str(), e["template"]["approval_status"].as_str()))
        .collect();
    let expected = [
        (Some("kafka-2-7-41-2"), Some("template.approved"), Some("approved")),
        (Some("kafka-2-7-41-3"), Some("template.rejected"), Some("rejected")),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn a_map_finds_the_fields_of_foreign_json() {
    let shape = shape(
        r#"{"map":{"type":"=message.sent","account.app_code":"tenant","actor.ip":"who.ip",
            "message.text":"parts.1.body","message.url":"none.at.all","account.plan":"plan"}}"#,
    );
    let text =
        r#"{"tenant":"acme","parts":[{},{"body":"halo"}],"who":{"ip":"10.0.0.1"},"plan":null}"#;
    let expected = json!({"id":"kafka-2-7-41","type":"message.sent","time":"2026-11-24T03:00:00Z",
        "account":{"app_code":"acme"},"actor":{"ip":"10.0.0.1"},"message":{"text":"halo"}});
    assert_eq!(envelopes(&shape, &record(text)), [expected]);
}

#[test]
fn a_shape_is_written_as_a_word_and_a_map_with_its_paths() {
    for (text, expected) in [
        (r#""satpam""#, WireShape::Satpam),
        (r#""cloudevents""#, WireShape::CloudEvents),
        (r#""qiscus-webhook""#, WireShape::QiscusWebhook),
        (r#""qiscus-broadcast""#, WireShape::QiscusBroadcast),
        (r#""qiscus-template""#, WireShape::QiscusTemplate),
    ] {
        assert_eq!(shape(text), expected);
    }
    for (text, problem) in [
        (r#""kafka""#, "unknown variant `kafka`"),
        (r#"{"map":{"type":"t"}}"#, "no path for `account.app_code`"),
        (r#"{"map":{"type":"t","account.app_code":"a..b"}}"#, "`a..b` has an empty part"),
        (
            r#"{"map":{"type":"t","account.app_code":"a","account":"b"}}"#,
            "`account.app_code` lies inside or around another path",
        ),
    ] {
        let error = serde_json::from_str::<WireShape>(text).unwrap_err().to_string();
        assert!(error.starts_with(problem), "{text}: {error}");
    }
}

#[test]
fn a_record_that_is_read_again_gives_the_same_events() {
    let text = r#"{"app_code":"acme","hsm_details":[{"language":"id"},{"language":"en"}]}"#;
    let first = envelopes(&WireShape::QiscusTemplate, &record(text));
    assert_eq!(first, envelopes(&WireShape::QiscusTemplate, &record(text)));
    assert_ne!(first[0]["id"], first[1]["id"]);
}

#[test]
fn the_debug_output_of_a_record_shows_nothing_of_what_it_says() {
    let mut record = with_headers("secret text", &[("name", "secret header")]);
    record.key = Some(b"secret key".to_vec());
    let output = format!("{record:?}");
    assert!(!output.contains("secret"), "{output}");
}
