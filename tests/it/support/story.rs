//! Events that tests tell: ordinary days of a tenant, and a takeover.

use serde_json::{Value, json};

use super::kafka;

/// Writes events of one account.
#[derive(Debug, Clone)]
pub(crate) struct Teller<'a> {
    pub(crate) brokers: &'a str,
    /// Of the topics.
    pub(crate) prefix: &'a str,
    pub(crate) account: &'a str,
    /// `id` or `en`.
    pub(crate) language: &'a str,
}

const OFFICE: &str = "203.0.113.10";
const STRANGER: &str = "198.51.100.77";

impl Teller<'_> {
    /// Returns an event of the account.
    pub(crate) fn event(
        &self,
        id: &str,
        kind: &str,
        time: &str,
        ip: &str,
        body: &Value,
    ) -> Vec<u8> {
        let account = self.account;
        let mut event = json!({
            "id": format!("{account}-{id}"), "type": kind, "time": time,
            "account": {"app_code": account, "name": format!("Shop {account}"),
                "language": self.language, "two_factor": false},
            "actor": {"id": "budi", "email": format!("budi@{account}.example"), "role": "admin",
                "auth": "password", "ip": ip},
        });
        for (key, value) in body.as_object().unwrap() {
            event[key] = value.clone();
        }
        event.to_string().into_bytes()
    }

    pub(crate) fn produce(&self, topic: &str, events: &[Vec<u8>]) {
        let payloads: Vec<&[u8]> = events.iter().map(Vec::as_slice).collect();
        kafka::produce(self.brokers, &format!("{}{topic}", self.prefix), 0, &payloads);
    }

    /// A message like any other, at a minute of 2026-11-09.
    pub(crate) fn message(&self, id: &str, minute: u32, text: &str) -> Vec<u8> {
        let body = json!({"message": {"id": id, "kind": "text", "text": text,
            "recipient": format!("6281200000{minute:04}")}});
        let time = format!("2026-11-09T{:02}:{:02}:00+07:00", 9 + minute / 60, minute % 60);
        self.event(id, "message.sent", &time, OFFICE, &body)
    }

    /// So many days that the account is no longer learning.
    pub(crate) fn ordinary_days(&self) {
        let login = json!({"login": {"result": "succeeded"}});
        for day in 1..=9 {
            let time = |hour: u32| format!("2026-11-{day:02}T{hour:02}:00:00+07:00");
            let id = format!("l{day}");
            self.produce(
                "accounts",
                &[self.event(&id, "login.succeeded", &time(8), OFFICE, &login)],
            );
            let messages: Vec<Vec<u8>> = (0..5)
                .map(|n| {
                    let body = json!({"message": {"id": format!("{day}-{n}"), "kind": "text",
                        "text": "Terima kasih, pesanan Anda sudah kami kirim hari ini.",
                        "recipient": format!("62812000000{n}")}});
                    let id = format!("m{day}-{n}");
                    self.event(&id, "message.sent", &time(10 + n), OFFICE, &body)
                })
                .collect();
            self.produce("messages", &messages);
        }
    }

    /// A stranger signs in, writes a fraudulent template and sends it to many.
    pub(crate) fn takeover(&self) {
        let at = |minute: u32| format!("2026-11-10T02:{minute:02}:00+07:00");
        let login = json!({"login": {"result": "succeeded", "new_device": true}});
        self.produce("accounts", &[self.event("x1", "login.succeeded", &at(0), STRANGER, &login)]);
        let template = json!({"template": {"id": "t1", "name": "promo_123", "category": "UTILITY",
            "language": "id", "body": "Selamat! Anda terpilih sebagai pemenang undian gebyar BRI, hadiah ke-2 cek tunai Rp175 juta. PIN pemenang 25f4777. Klik http://bri-undian88.xyz/info"}});
        self.produce(
            "templates",
            &[self.event("x2", "template.created", &at(5), STRANGER, &template)],
        );
        let broadcast = json!({"broadcast": {"job_id": "j1", "name": "b",
            "template_name": "promo_123", "language": "id", "recipient_count": 990,
            "hide_variables": true}});
        let events = [("x3", "broadcast.created", 10), ("x4", "broadcast.started", 11)]
            .map(|(id, kind, minute)| self.event(id, kind, &at(minute), STRANGER, &broadcast));
        self.produce("broadcasts", &events);
    }
}
