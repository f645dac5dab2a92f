//! From the bytes of a record to its events, for each wire shape.

use divan::{Bencher, black_box};
use satpam::event::RawRecord;
use satpam::event::decode::{Limits, WireShape, decode};
use satpam::event::{Document, EventTime, Offset, Position, ShardId, TopicIndex};

fn main() {
    divan::main();
}

const SATPAM: &str = r#"{"id":"01J8ZQ3V8K5N6W7X8Y9Z0A1B2C","type":"message.sent","time":"2026-11-24T10:00:00.123+07:00","account":{"app_code":"karm-gzu41e4e4dv9fu3f","name":"Toko Maju Jaya","plan":"business","timezone":"Asia/Jakarta","language":"id"},"actor":{"id":"188213","email":"siti@tokomaju.co.id","role":"agent","auth":"token","ip":"103.144.12.87"},"channel":{"id":4412,"source":"wa","phone":"6281100012345"},"message":{"id":"998877665","kind":"text","text":"Halo Kak Budi, pesanan INV-20261124-0012 sudah kami kirim lewat kurir dengan resi 8825100012345. Estimasi tiba 2-3 hari kerja ya.\nTerima kasih sudah berbelanja","recipient":"6281234567890","room_id":"55443322"}}"#;
const CLOUDEVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/omni","subject":"acme","type":"message.sent","time":"2026-11-24T03:00:00Z","data":{"message":{"kind":"text","text":"Halo Kak, pesanan sudah dikirim","recipient":"6281234567890"}}}"#;
const WEBHOOK: &str = r#"{"app_code":"acme","type":"post_comment_rest","channel":{"id":12,"name":"WA","source":"wa"},"payload":{"from":{"avatar_url":"https://x.example/y.png","email":"acme_admin@qismo.com","id":9,"id_str":"9","name":"Budi"},"message":{"id":77,"id_str":"77","created_at":"2026-11-24T03:00:00Z","text":"Halo Kak, pesanan sudah dikirim","timestamp":"2026-11-24T03:00:00Z","type":"text","payload":null,"extras":{},"unique_temp_id":"t","unix_timestamp":1795489200,"unix_nano_timestamp":1795489200250000000},"room":{"id":1234,"id_str":"1234","name":"Siti","options":"{\"channel\":\"wa\"}","participants":[{"email":"6281234567890"}],"topic_id":1234,"type":"group"}}}"#;
const BROADCAST: &str = r#"{"app_code":"acme","user":{"id":5,"email":"a@acme.example","role":"admin"},"channel_id":12,"name":"Promo","template_name":"promo_11","namespace":"ns","language":"id","variables":["Budi","50%"],"phone_number":["628111111111","628222222222"],"hide_variables":true}"#;
const TEMPLATE: &str = r#"{"app_code":"acme","user":{"id":5},"name":"promo","category":"MARKETING","channel_id":12,"namespace":"ns","hsm_details":[{"language":"id","content":"Halo {{1}}","body_sample":["Budi"],"footer":"STOP","buttons":[{"type":"URL","text":"Klik","url":"https://x.example/{{1}}"}]},{"language":"en","content":"Hello {{1}}"}]}"#;
const FOREIGN: &str = r#"{"uuid":"e-1","kind":"message.sent","at":1795489200,"tenant":"acme","parts":[{"body":"Halo Kak, pesanan sudah dikirim"}]}"#;
const MAP: &str = r#"{"map":{"id":"uuid","type":"kind","time":"at","account.app_code":"tenant","message.text":"parts.0.body"}}"#;

const SHAPES: [(&str, &str); 6] = [
    (r#""satpam""#, SATPAM),
    (r#""cloudevents""#, CLOUDEVENT),
    (r#""qiscus-webhook""#, WEBHOOK),
    (r#""qiscus-broadcast""#, BROADCAST),
    (r#""qiscus-template""#, TEMPLATE),
    (MAP, FOREIGN),
];

#[divan::bench(args = 0..SHAPES.len())]
fn record_to_events(bencher: Bencher<'_, '_>, at: usize) {
    let (shape, payload) = SHAPES[at];
    let shape: WireShape = serde_json::from_str(shape).expect("a shape");
    let record = RawRecord {
        payload: payload.into(),
        key: None,
        headers: Vec::new(),
        timestamp: Some(EventTime::from_millis(1_795_489_200_250)),
        position: Position { topic: TopicIndex(0), offset: Offset(1) },
        shard: ShardId(0),
    };
    let limits = Limits::default();
    bencher
        .counter(divan::counter::BytesCount::new(payload.len()))
        .bench(|| decode(&shape, black_box(&record), &limits).expect("a valid record"));
}

#[divan::bench]
fn bytes_to_document() -> Document {
    Document::parse(black_box(SATPAM).into()).expect("JSON")
}
