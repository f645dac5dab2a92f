//! Tests of the derived fields.

use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;
use crate::baseline::Seen;

fn document(json: &Json) -> Document {
    Document::from_json(json).unwrap()
}

fn message(text: &str) -> Document {
    document(&json!({"message": {"text": text}}))
}

fn facts() -> AccountFacts {
    AccountFacts {
        timezone: TimeZone::get("Asia/Jakarta").unwrap(),
        first_seen: EventTime::from_millis(0),
        is_new: false,
        allowlist: None,
        template_text: None,
        seen: Seen::default(),
    }
}

/// All values of a field as text; `null` for null.
fn values(
    document: &Document,
    time: i64,
    facts: &AccountFacts,
    field: DerivedField,
) -> Vec<String> {
    let derived = Derived::new(document, EventTime::from_millis(time), facts);
    let mut values = Vec::new();
    derived.derived(field, &mut |value| {
        values.push(match value {
            FieldValue::Null => "null".to_owned(),
            FieldValue::Bool(value) => value.to_string(),
            FieldValue::Int(value) => value.to_string(),
            FieldValue::Float(value) => value.to_string(),
            FieldValue::Text(value) => value.to_owned(),
        });
        true
    });
    values
}

#[test]
fn disguised_text_reads_as_what_it_looks_like() {
    for (text, norm) in [
        ("pаypal.com", "paypal.com"), // Cyrillic а
        ("РАУРАL", "paypal"),         // all but the last letter Cyrillic
        ("ｗｈａｔｓａｐｐ", "whatsapp"),
        ("𝗛𝗮𝗱𝗶𝗮𝗵 𝗴𝗿𝗮𝘁𝗶𝘀", "hadiah gratis"),
        ("ha\u{200b}diah", "hadiah"),
        ("ha\u{ad}diah", "hadiah"),
        ("h4d14h gr4tis", "h4d14h gr4tis"),
        ("bonus💰", "bonus💰"),
        ("ᴅᴀɴᴀ ᴛᴜɴᴀɪ", "dana tunai"),
        ("ⓢⓛⓞⓣ 🅢🅛🅞🅣 🆂🅻🅾🆃 🄶", "slot slot slot g"),
        ("🇸 🇱 🇴 🇹", "s l o t"),
        ("8️⃣8️⃣", "88"),
        ("P͟U͟L͟A͟U͟777", "pulau777"),
        ("А𝙂𝘜S𝐓𝙊𝙏𝙊", "agustoto"),
        ("❼❼", "77"),
        ("Café Ærø", "cafe aero"),
        ("  a\t\n\u{a0} b\u{3000}c  ", "a b c"),
        ("İstanbul", "istanbul"),
        ("日本語", "日本語"),
        ("Привет жизнь", &fold::fold("Привет жизнь").norm),
    ] {
        assert_eq!(Content::of(&message(text), None).norm(), norm, "{text}");
    }
}

#[test]
fn obfuscation_is_the_share_of_letters_in_disguise() {
    for (text, share) in [
        ("Selamat Anda MENANG", 0.0),
        ("𝐬𝐥𝐨𝐭", 1.0),
        ("slot 𝐬𝐥𝐨𝐭", 0.5),
        ("pаypal", 1.0 / 6.0),
        ("ha\u{200b}diah", 1.0 / 6.0),
        ("ʜᴀᴅɪᴀʜ", 1.0),
    ] {
        let document = message(text);
        let found = Content::of(&document, None).obfuscation();
        assert!((found - share).abs() < 1e-9, "{text}: {found}");
    }
}

#[test]
fn ordinary_writing_is_no_obfuscation() {
    for text in [
        "Crème brûlée di Café Ærø, naïve façade",
        "1️⃣ Menu  2️⃣ Pesan  🇮🇩🇲🇾 Indonesia",
        "Luas 25 m² harga Rp1.000 ½ porsi, suhu 30 ℃, Kopi™ №1",
        "Здравствуйте, это жизнь",
        "こんにちは世界、ﾊﾝｶｸ",
        "مرحبا بكم 123",
        "नमस्ते दुनिया",
        "Tiếng Việt có dấu",
        "👨‍👩‍👧 keluarga ❤️ 👍🏽",
        "ℹ️ Info",
    ] {
        let document = message(text);
        assert_eq!(Content::of(&document, None).obfuscation().to_bits(), 0, "{text}");
    }
}

#[test]
fn squeezed_keeps_only_ascii_letters_and_digits() {
    for (text, squeezed) in [
        ("S L O T - gacor 88!", "slotgacor88"),
        ("bonus💰", "bonus"),
        ("𝐕 𝐈 𝐒 𝐈 𝟒 𝐃", "visi4d"),
        ("世界", ""),
    ] {
        assert_eq!(Content::of(&message(text), None).squeezed(), squeezed, "{text}");
    }
}

#[test]
fn links_are_found_with_and_without_a_scheme() {
    for (text, hosts) in [
        (
            "cek bit.ly/abc lalu wa.me/62812 dan hadiah-gratis.my.id/x",
            vec!["bit.ly", "wa.me", "hadiah-gratis.my.id"],
        ),
        ("klik:www.Promo-BNI46.tk sekarang", vec!["www.promo-bni46.tk"]),
        ("info 3care2016.com.", vec!["3care2016.com"]),
        ("HXXPS://Evil.Example/path", vec!["evil.example"]),
        ("https://user:pass@evil.top/x", vec!["evil.top"]),
        ("https://toko.com/?to=https://evil.top", vec!["toko.com", "evil.top"]),
        ("(https://toko.co.id/a_(b)).", vec!["toko.co.id"]),
        ("𝐛𝐢𝐭.𝐥𝐲/x", vec!["bit.ly"]),
        ("toko．co．id/x", vec!["toko.co.id"]),
        ("http://bit.ly\u{200b}/x", vec!["bit.ly"]),
        ("http://3232235777/ dan http://192.168.1.1/a", vec!["192.168.1.1"]),
        ("10.1.2.3:8080/apk", vec!["10.1.2.3"]),
        // No links.
        ("sampai besok.ke rumah ya", vec![]),
        ("home.love u, no.pin 123, pt.bank", vec![]),
        ("laporan.zip dan undangan.mov", vec![]),
        ("Rp1.000.000.000 versi 1.2.3.4", vec![]),
        ("a.b@contoh.com", vec![]),
        ("tunggu... ya.", vec![]),
        ("bit . ly/abc", vec![]),
        ("d1edrlpyc25xu0.cloudfront.net/foto.jpg", vec![]),
    ] {
        let document = message(text);
        assert_eq!(Content::of(&document, None).hosts(), hosts, "{text}");
    }
}

#[test]
fn a_host_is_not_found_inside_another() {
    let document = message("toko.blogspot.com/t.co");
    let content = Content::of(&document, None);
    assert_eq!(content.hosts(), ["toko.blogspot.com"]);
    assert_eq!(content.domains(), ["toko.blogspot.com"]);
    assert!(!content.links().has_shortener);
}

#[test]
fn what_links_say_is_told() {
    for (text, apk, address, punycode, shortener) in [
        ("https://bit.ly/abc", false, false, false, true),
        ("www.s.id/abc", false, false, false, true),
        ("wa.me/62812", false, false, false, false),
        ("http://203.0.113.9/login", false, true, false, false),
        ("http://xn--pypal-4ve.com/", false, false, true, false),
        ("http://раураl.com/", false, false, true, false),
        ("https://x.top/Undangan.APK?id=1", true, false, false, false),
        ("Undangan Pernikahan.apk", true, false, false, false),
        ("unduh .apk atau capkan.apkah", false, false, false, false),
        ("halo", false, false, false, false),
    ] {
        let document = message(text);
        let content = Content::of(&document, None);
        let links = content.links();
        assert_eq!(
            (content.has_apk(), links.has_ip_url, links.has_punycode, links.has_shortener),
            (apk, address, punycode, shortener),
            "{text}"
        );
    }
}

#[test]
fn telephone_numbers_become_msisdn() {
    for (text, phones) in [
        ("Hub.085288991559", vec!["6285288991559"]),
        ("+62 812-3456-7890", vec!["6281234567890"]),
        ("telp (021) 3677-1839", vec!["622136771839"]),
        ("wa.me/6281234567890?text=a", vec!["6281234567890"]),
        ("082134976289/087888869297", vec!["6282134976289", "6287888869297"]),
        ("0821349762 0878888692", vec!["62821349762", "62878888692"]),
        ("call +14155550123", vec!["14155550123"]),
        ("rek 1340-0065-58125, Rp 1.000.000, 20/01/2013, kode 123456", vec![]),
        ("99999999999999999999999999999999", vec![]),
    ] {
        assert_eq!(Content::of(&message(text), None).phones(), phones, "{text}");
    }
}

#[test]
fn placeholders_are_filled_from_the_variables_and_unused_values_are_read_too() {
    let document = document(&json!({"broadcast": {
        "variables": ["Budi", "https://jahat.top/x", "sisa"],
        "header_value": "Pengumuman",
        "button_params": [{"type": "url", "values": ["jahat.xyz/y"], "index": 0}],
    }}));
    let content = Content::of(&document, Some("Halo {{1}}, klik {{ 2 }} {{9}} {{x}} {{"));
    assert_eq!(
        content.text(),
        "Halo Budi, klik https://jahat.top/x {{9}} {{x}} {{\nsisa\nPengumuman\njahat.xyz/y"
    );
    assert_eq!(content.domains(), ["jahat.top", "jahat.xyz"]);
}

#[test]
fn a_message_of_an_unknown_template_is_read_by_its_values() {
    let document = document(&json!({"message": {
        "kind": "template", "template_name": "promo", "variables": ["klik bit.ly/x"],
        "url": "https://cdn.example/file.apk", "caption": "foto", "file_name": "a.jpg",
    }}));
    let content = Content::of(&document, None);
    assert_eq!(content.text(), "foto\na.jpg\nklik bit.ly/x");
    assert_eq!(content.hosts(), ["bit.ly", "cdn.example"]);
    assert!(content.has_apk());
}

#[test]
fn a_template_is_read_whole_with_its_samples() {
    let document = document(&json!({"template": {
        "header": {"type": "TEXT", "content": "Kabar"},
        "body": "Halo {{1}}", "footer": "Kaki", "body_sample": ["Budi"],
        "buttons": [
            {"type": "URL", "text": "Buka", "url": "https://toko.top/{{1}}", "example": "a"},
            {"type": "PHONE_NUMBER", "text": "Telepon", "phone_number": "+6281234567890"},
        ],
    }}));
    let content = Content::of(&document, None);
    assert_eq!(
        content.text(),
        "Kabar\nHalo Budi\nKaki\nBuka\nhttps://toko.top/{{1}}\na\nTelepon\n+6281234567890"
    );
    assert_eq!(content.hosts(), ["toko.top"]);
    assert_eq!(content.phones(), ["6281234567890"]);
    let kept = template_text(&document).unwrap();
    assert!(kept.contains("Halo {{1}}") && !kept.contains("Budi"), "{kept}");
    assert_eq!(template_text(&message("x")), None);
}

#[test]
fn time_is_the_accounts_own() {
    // 2026-01-05T03:00:00Z, a Monday.
    const MONDAY: i64 = 1_767_582_000_000;
    let document = message("x");
    for (zone, hour, weekday) in
        [("Asia/Jakarta", "10", "1"), ("America/Los_Angeles", "19", "7"), ("UTC", "3", "1")]
    {
        let facts = AccountFacts { timezone: TimeZone::get(zone).unwrap(), ..facts() };
        assert_eq!(
            values(&document, MONDAY, &facts, DerivedField::TimeLocalHour),
            [hour],
            "{zone}"
        );
        assert_eq!(
            values(&document, MONDAY, &facts, DerivedField::TimeLocalWeekday),
            [weekday],
            "{zone}"
        );
    }
    for time in [i64::MIN, i64::MAX] {
        assert_eq!(values(&document, time, &facts(), DerivedField::TimeLocalHour).len(), 1);
    }
}

#[test]
fn the_actors_network_and_its_place_in_the_allow_list() {
    let allowlist: Arc<[IpNet]> = Arc::from(["203.0.113.0/24".parse::<IpNet>().unwrap()]);
    for (ip, listed, net, is_in) in [
        (Some("203.0.113.7"), true, vec!["203.0.113.0/24"], "true"),
        (Some("198.51.100.7"), true, vec!["198.51.100.0/24"], "false"),
        (Some("::ffff:203.0.113.7"), true, vec!["203.0.113.0/24"], "true"),
        (Some("2001:db8:1:2::3"), true, vec!["2001:db8:1::/48"], "false"),
        (Some("203.0.113.7"), false, vec!["203.0.113.0/24"], "null"),
        (Some("not an address"), true, vec![], "null"),
        (None, true, vec![], "null"),
    ] {
        let document = document(&json!({"actor": {"ip": ip}}));
        let facts = AccountFacts { allowlist: listed.then(|| allowlist.clone()), ..facts() };
        assert_eq!(values(&document, 0, &facts, DerivedField::ActorNet), net, "{ip:?}");
        assert_eq!(values(&document, 0, &facts, DerivedField::ActorInAllowlist), [is_in], "{ip:?}");
    }
}

#[test]
fn age_and_novelty_come_from_the_accounts_facts() {
    let document = message("x");
    let seen = Seen { domain_new: true, template_age_hours: Some(1.5), ..Seen::default() };
    let facts = AccountFacts { is_new: true, seen, ..facts() };
    let day = 86_400_000;
    for (field, expected) in [
        (DerivedField::AccountAgeDays, "2"),
        (DerivedField::AccountIsNew, "true"),
        (DerivedField::SeenDomainNew, "true"),
        (DerivedField::SeenSourceNew, "false"),
        (DerivedField::SeenTemplateAgeHours, "1.5"),
    ] {
        assert_eq!(values(&document, 3 * day - 1, &facts, field), [expected], "{field:?}");
    }
    assert_eq!(values(&document, -day, &facts, DerivedField::AccountAgeDays), ["0"]);
    let unknown = AccountFacts { seen: Seen::default(), ..facts };
    assert!(values(&document, 0, &unknown, DerivedField::SeenTemplateAgeHours).is_empty());
}

#[test]
fn hostile_texts_are_read_up_to_the_cap() {
    for pattern in [
        "http://",
        "a.",
        "a.b/",
        "://",
        "@",
        "www.",
        "{{1}}",
        "1",
        "1-",
        "0812 ",
        "xn--",
        ".apk",
        "\u{200b}",
        "а",
        "𝐀",
        "🇮",
        "\u{336}",
        "http://a@",
        "a.co:",
        "\u{1100}\u{200b}\u{1161}",
    ] {
        let document = message(&pattern.repeat((1 << 20) / pattern.len()));
        let content = Content::of(&document, Some(pattern));
        assert!(content.text().len() <= text::MAX_TEXT_BYTES, "{pattern}");
        assert!(content.norm().len() <= 4 * text::MAX_TEXT_BYTES, "{pattern}");
        assert!(content.urls().len() <= 64 && content.phones().len() <= 32, "{pattern}");
        assert!((0.0..=1.0).contains(&content.obfuscation()), "{pattern}");
    }
    let many = document(&json!({"broadcast": {"variables": vec!["x"; 100_000]}}));
    assert!(Content::of(&many, Some("{{1}}")).text().len() <= text::MAX_TEXT_BYTES);
}

#[test]
fn texts_do_not_show_in_debug_output() {
    let document = message("rahasia");
    let facts = facts();
    let derived = Derived::new(&document, EventTime::from_millis(0), &facts);
    assert!(!format!("{:?}{derived:?}", derived.content()).contains("rahasia"));
}

#[test]
fn an_invisible_character_does_not_part_a_run_of_flags() {
    for (text, norm) in [("🇦🇦\u{200b}🇦 ", "aaa"), ("🇦\u{200b}🇦", "🇦🇦"), ("🇮🇩\u{200b}🇲🇾", "🇮🇩🇲🇾")]
    {
        let once = fold::fold(text).norm;
        assert_eq!(once, norm, "{text:?}");
        assert_eq!(fold::fold(&once).norm, once, "{text:?}: the second time");
    }
}

proptest! {
    #[test]
    fn folding_twice_is_folding_once(text in "\\PC{0,60}|[a-zA-Z0-9 а-яΑ-ω𝐀-𝟿\u{200b}\u{300}-\u{36f}🇦-🇿ᄀ-ᇂ가-힣ﬀ-ﬆ]{0,60}") {
        let once = fold::fold(&text).norm;
        prop_assert_eq!(&fold::fold(&once).norm, &once);
    }

    #[test]
    fn squeezed_holds_nothing_but_small_ascii_letters_and_digits(text in any::<String>()) {
        let document = message(&text);
        let content = Content::of(&document, None);
        prop_assert!(content.squeezed().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        prop_assert!((0.0..=1.0).contains(&content.obfuscation()));
    }

    #[test]
    fn any_text_is_read_without_panic(text in any::<String>(), link in "[a-z.:/@\\[\\]{}0-9%а-я。-]{0,40}") {
        let document = document(&json!({"message": {"text": text, "url": &link, "variables": [&link, &text]}}));
        let content = Content::of(&document, Some(&link));
        let _ = (content.urls(), content.phones(), content.has_apk());
        prop_assert!(content.hosts().iter().all(|host| host.is_ascii()));
    }
}
