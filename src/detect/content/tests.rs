//! What a reader would see, from what was sent.

use super::*;

/// Dumps folded texts for rule development when the variable is set.
#[test]
fn dump() {
    let Some(path) = option_env!("SATPAM_DUMP") else { return };
    let mut out = String::new();
    for line in std::fs::read_to_string(path).unwrap().lines() {
        let (label, text) = line.split_once('\t').unwrap();
        let doc = Document::from_json(&serde_json::json!({"message": {"text": text}})).unwrap();
        let c = Content::of(&doc, None);
        let l = c.links();
        out.push_str(&serde_json::json!({"label": label, "text": text, "norm": c.norm(), "squeezed": c.squeezed(),
            "obf": c.obfuscation(), "urls": c.urls(), "hosts": c.hosts(), "domains": c.domains(), "phones": c.phones(),
            "apk": c.has_apk(), "ip": l.has_ip_url, "puny": l.has_punycode, "short": l.has_shortener}).to_string());
        out.push('\n');
    }
    std::fs::write(format!("{path}.ndjson"), out).unwrap();
}
