//! A tenant's ordinary days, and the intruder who comes after them.

use super::kafka;

/// Who is attacked; `budi` is its admin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tenant {
    pub(crate) app_code: &'static str,
    pub(crate) language: &'static str,
    pub(crate) domain: &'static str,
}

pub(crate) const TOKO: Tenant =
    Tenant { app_code: "toko-contoh", language: "id", domain: "toko.example" };
pub(crate) const SHOP: Tenant =
    Tenant { app_code: "sample-shop", language: "en", domain: "shop.example" };

impl Tenant {
    /// Returns a record of this tenant.
    pub(crate) fn event(
        self,
        id: &str,
        kind: &str,
        time: &str,
        ip: &str,
        user: &str,
        body: &serde_json::Value,
    ) -> Vec<u8> {
        let Self { app_code, language, domain } = self;
        let mut event = serde_json::json!({
            "id": format!("{app_code}-{id}"), "type": kind, "time": time,
            "account": {"app_code": app_code, "name": app_code, "language": language, "two_factor": false},
            "actor": {"id": user, "email": format!("{user}@{domain}"), "role": "admin", "auth": "password", "ip": ip},
        });
        for (key, value) in body.as_object().unwrap() {
            event[key] = value.clone();
        }
        event.to_string().into_bytes()
    }
}

/// Ordinary days of a tenant, so that it is no longer learning, then the intruder.
pub(crate) fn produce(tenant: Tenant, brokers: &str, prefix: &str) {
    let office = "203.0.113.10";
    for day in 1..=9 {
        let time = |hour: u32| format!("2026-11-{day:02}T{hour:02}:00:00+07:00");
        let login = tenant.event(
            &format!("l{day}"),
            "login.succeeded",
            &time(9),
            office,
            "budi",
            &serde_json::json!({"login": {"result": "succeeded"}}),
        );
        kafka::produce(brokers, &format!("{prefix}accounts"), 0, &[&login]);
        let messages: Vec<Vec<u8>> = (0..5)
            .map(|n| {
                let body = serde_json::json!({"message": {"id": format!("{day}-{n}"), "kind": "text",
                    "text": "Terima kasih, pesanan Anda sudah kami kirim hari ini.", "recipient": format!("62812000000{n}")}});
                tenant.event(&format!("m{day}-{n}"), "message.sent", &time(10 + n), office, "budi", &body)
            })
            .collect();
        let messages: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        kafka::produce(brokers, &format!("{prefix}messages"), 0, &messages);
    }
    let stranger = "198.51.100.77";
    let login = tenant.event(
        "x1",
        "login.succeeded",
        "2026-11-10T02:00:00+07:00",
        stranger,
        "budi",
        &serde_json::json!({"login": {"result": "succeeded", "new_device": true}}),
    );
    kafka::produce(brokers, &format!("{prefix}accounts"), 0, &[&login]);
    let template = tenant.event(
        "x2",
        "template.created",
        "2026-11-10T02:05:00+07:00",
        stranger,
        "budi",
        &serde_json::json!({"template": {"id": "t1", "name": "promo_123", "category": "UTILITY", "language": "id",
            "body": "Selamat! Anda terpilih sebagai pemenang undian gebyar BRI, hadiah ke-2 cek tunai Rp175 juta. PIN pemenang 25f4777. Klik http://bri-undian88.xyz/info"}}),
    );
    kafka::produce(brokers, &format!("{prefix}templates"), 0, &[&template]);
    for (id, kind, minute) in [("x3", "broadcast.created", 10), ("x4", "broadcast.started", 11)] {
        let broadcast = tenant.event(
            id,
            kind,
            &format!("2026-11-10T02:{minute}:00+07:00"),
            stranger,
            "budi",
            &serde_json::json!({"broadcast": {"job_id": "j1", "name": "b", "template_name": "promo_123",
                "language": "id", "recipient_count": 990, "hide_variables": true}}),
        );
        kafka::produce(brokers, &format!("{prefix}broadcasts"), 0, &[&broadcast]);
    }
}
