//! Records that are refused, each with its reason.

use super::super::RejectionReason as Reason;
use super::*;

/// An envelope with one entry put in the place of another.
fn envelope(from: &str, to: &str) -> String {
    let valid = r#"{"id":"e","type":"message.sent","time":1795489200,"account":{"app_code":"a"}}"#;
    assert!(valid.contains(from), "{from}");
    valid.replace(from, to)
}

fn check(shape: &WireShape, record: &RawRecord, reason: Reason) {
    let start = String::from_utf8_lossy(&record.payload).chars().take(120).collect::<String>();
    match decoded(shape, record) {
        Ok(_) => panic!("was not refused: {start}"),
        Err(rejection) => assert_eq!(rejection.reason(), reason, "{start}"),
    }
}

#[test]
fn bytes_that_are_no_document_are_refused() {
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
    for (bytes, reason) in [
        (b"".to_vec(), Reason::Empty),
        (vec![b' '; (1 << 20) + 1], Reason::TooLarge),
        (b"{\"id\":\"\xff\"}".to_vec(), Reason::NotUtf8),
        (b"\xef\xbb\xbf{}".to_vec(), Reason::NotJson),
        (b" ".to_vec(), Reason::NotJson),
        (b"null".to_vec(), Reason::WrongShape),
        (b"[]".to_vec(), Reason::WrongShape),
        (b"\"text\"".to_vec(), Reason::WrongShape),
        (b"{".to_vec(), Reason::NotJson),
        (b"{} {}".to_vec(), Reason::NotJson),
        (b"{\"id\":NaN}".to_vec(), Reason::NotJson),
        (b"{\"id\":1e999}".to_vec(), Reason::NotJson),
        (b"{\"id\":\"\\ud800\"}".to_vec(), Reason::NotJson),
        (b"{\"id\":\"a\nb\"}".to_vec(), Reason::NotJson),
        (b"{'id':1}".to_vec(), Reason::NotJson),
        (deep.into_bytes(), Reason::TooDeep),
        (vec![b'['; 100_000], Reason::TooDeep),
        (b"{\"id\":1,\"id\":2}".to_vec(), Reason::DuplicateKey),
    ] {
        check(&WireShape::Satpam, &record(bytes), reason);
    }
}

#[test]
fn an_envelope_without_a_usable_head_is_refused() {
    let long = format!("\"{}\"", "x".repeat(129));
    for (from, to, reason) in [
        (r#""id":"e","#, "", Reason::MissingId),
        (r#""id":"e""#, r#""id":null"#, Reason::MissingId),
        (r#""e""#, r#""""#, Reason::InvalidId),
        (r#""e""#, "[1]", Reason::InvalidId),
        (r#""e""#, "1.5", Reason::InvalidId),
        (r#""e""#, "18446744073709551615", Reason::InvalidId),
        (r#""e""#, r#""a\u0000b""#, Reason::InvalidId),
        (r#""e""#, long.as_str(), Reason::InvalidId),
        (r#""type":"message.sent","#, "", Reason::MissingType),
        (r#""message.sent""#, "true", Reason::InvalidType),
        (r#""message.sent""#, long.as_str(), Reason::InvalidType),
        (r#""time":1795489200,"#, "", Reason::MissingTime),
        ("1795489200", r#""2026-11-24T03:00:00""#, Reason::InvalidTime),
        ("1795489200", r#""2026-13-24T03:00:00Z""#, Reason::InvalidTime),
        ("1795489200", r#""yesterday""#, Reason::InvalidTime),
        ("1795489200", r#""""#, Reason::InvalidTime),
        ("1795489200", r#""1.2.3""#, Reason::InvalidTime),
        ("1795489200", "1e300", Reason::InvalidTime),
        ("1795489200", "{}", Reason::InvalidTime),
        ("1795489200", "1795489801", Reason::FromTheFuture),
        ("1795489200", "9223372036854775807", Reason::FromTheFuture),
        (r#","account":{"app_code":"a"}"#, "", Reason::MissingAccount),
        (r#"{"app_code":"a"}"#, r#""a""#, Reason::MissingAccount),
        (r#"{"app_code":"a"}"#, "{}", Reason::MissingAccount),
        (r#"{"app_code":"a"}"#, r#"{"app_code":null}"#, Reason::MissingAccount),
        (r#"{"app_code":"a"}"#, r#"{"app_code":""}"#, Reason::InvalidAccount),
        (r#"{"app_code":"a"}"#, r#"{"app_code":"a\r\nBcc: x"}"#, Reason::InvalidAccount),
        (r#"{"app_code":"a"}"#, r#"{"app_code":"a","app_code":"b"}"#, Reason::DuplicateKey),
        (r#"{"app_code":"a"}"#, r#"{"app_code":"a","app_\u0063ode":"b"}"#, Reason::DuplicateKey),
    ] {
        check(&WireShape::Satpam, &record(envelope(from, to)), reason);
    }
}

#[test]
fn the_future_is_measured_against_the_records_own_timestamp() {
    let ahead = record(envelope("1795489200", "1795489800"));
    assert!(decoded(&WireShape::Satpam, &ahead).is_ok(), "ten minutes are allowed");
    let far = record(envelope("1795489200", "4102444800"));
    check(&WireShape::Satpam, &far, Reason::FromTheFuture);
    let unstamped = RawRecord { timestamp: None, ..far };
    assert!(decoded(&WireShape::Satpam, &unstamped).is_ok(), "there is nothing to measure against");
}

#[test]
fn records_of_the_wrong_shape_are_refused() {
    let ce =
        r#"{"specversion":"1.0","id":"1","type":"message.sent","time":1,"subject":"a","data":{}}"#;
    let many = format!(r#"{{"app_code":"a","hsm_details":[{}{{}}]}}"#, "{},".repeat(100));
    let name = "x".repeat(500_000);
    let large =
        format!(r#"{{"app_code":"a","name":"{name}","hsm_details":[{}{{}}]}}"#, "{},".repeat(9));
    for (shape, text, reason) in [
        (WireShape::CloudEvents, ce.replace("1.0", "0.3"), Reason::WrongShape),
        (WireShape::CloudEvents, ce.replace(r#""specversion":"1.0","#, ""), Reason::WrongShape),
        (WireShape::CloudEvents, ce.replace("{}", r#""{}""#), Reason::WrongShape),
        (
            WireShape::CloudEvents,
            ce.replace(r#""data":{}"#, r#""data_base64":"e30=""#),
            Reason::WrongShape,
        ),
        (WireShape::CloudEvents, ce.replace(r#""id":"1","#, ""), Reason::MissingId),
        (WireShape::CloudEvents, ce.replace(r#""type":"message.sent","#, ""), Reason::MissingType),
        (WireShape::CloudEvents, ce.replace(r#""time":1,"#, ""), Reason::MissingTime),
        (WireShape::CloudEvents, ce.replace(r#""subject":"a","#, ""), Reason::MissingAccount),
        (WireShape::CloudEvents, format!("[{ce}]"), Reason::WrongShape),
        (WireShape::QiscusWebhook, "{}".to_owned(), Reason::WrongShape),
        (WireShape::QiscusWebhook, r#"{"payload":null}"#.to_owned(), Reason::WrongShape),
        (WireShape::QiscusWebhook, r#"{"payload":{"message":[]}}"#.to_owned(), Reason::WrongShape),
        (
            WireShape::QiscusWebhook,
            r#"{"app_code":"a","payload":{"message":{}}}"#.to_owned(),
            Reason::MissingTime,
        ),
        (
            WireShape::QiscusWebhook,
            r#"{"app_id":12,"payload":{"message":{"timestamp":1}}}"#.to_owned(),
            Reason::MissingAccount,
        ),
        (WireShape::QiscusBroadcast, "[]".to_owned(), Reason::WrongShape),
        (WireShape::QiscusBroadcast, "{}".to_owned(), Reason::MissingAccount),
        (WireShape::QiscusTemplate, r#"{"app_code":"a"}"#.to_owned(), Reason::WrongShape),
        (
            WireShape::QiscusTemplate,
            r#"{"app_code":"a","hsm_details":[]}"#.to_owned(),
            Reason::WrongShape,
        ),
        (
            WireShape::QiscusTemplate,
            r#"{"app_code":"a","hsm_details":[{},7]}"#.to_owned(),
            Reason::WrongShape,
        ),
        (WireShape::QiscusTemplate, many, Reason::TooManyEvents),
        (WireShape::QiscusTemplate, large, Reason::TooManyEvents),
        (
            shape(r#"{"map":{"type":"kind","account.app_code":"a"}}"#),
            "[]".to_owned(),
            Reason::MissingType,
        ),
        (
            shape(r#"{"map":{"type":"=x","account.app_code":"a"}}"#),
            r#"{"b":1}"#.to_owned(),
            Reason::MissingAccount,
        ),
    ] {
        check(&shape, &record(text), reason);
    }
}

#[test]
fn headers_of_a_binary_cloudevent_are_checked() {
    let version = ("ce_specversion", "1.0");
    for (headers, reason) in [
        (vec![version, ("ce_id", "1")], Reason::MissingType),
        (vec![("ce_id", "1"), ("ce_type", "x")], Reason::WrongShape),
        (vec![version, ("ce_id", "1"), ("CE_ID", "2")], Reason::DuplicateKey),
        (vec![version, ("ce_id", "1"), ("ce_type", "x"), ("ce_time", "soon")], Reason::InvalidTime),
    ] {
        check(&WireShape::CloudEvents, &with_headers("{}", &headers), reason);
    }
    let mut record = with_headers("{}", &[version]);
    record.headers.push(("ce_id".to_owned(), vec![0xff]));
    check(&WireShape::CloudEvents, &record, Reason::NotUtf8);
}

#[test]
fn a_request_without_a_time_needs_a_timestamp_of_the_record() {
    let record = RawRecord { timestamp: None, ..record(r#"{"app_code":"a"}"#) };
    check(&WireShape::QiscusBroadcast, &record, Reason::MissingTime);
}

#[test]
fn what_a_rejection_says_holds_nothing_of_the_record() {
    for text in [
        r#"{"id":["rahasia"],"type":"x","time":1,"account":{"app_code":"a"}}"#,
        r#"{"id":1,"type":"x","time":"rahasia","account":{"app_code":"a"}}"#,
        r#"{"id":1,"rahasia":rahasia}"#,
        r#"{"rahasia":1,"rahasia":2}"#,
    ] {
        let rejection = decoded(&WireShape::Satpam, &record(text)).unwrap_err();
        let said = format!("{rejection} {rejection:?}");
        assert!(!said.contains("rahasia"), "{said}");
    }
}

#[test]
fn reasons_have_words_of_their_own_that_fit_a_label() {
    let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert!(
        words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b"_8".contains(&b)))
    );
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Reason::ALL.len());
}
