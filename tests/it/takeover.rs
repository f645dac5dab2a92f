//! The main job on the real parts: two takeovers go through Apache Kafka, and each ends as an incident,
//! a mail that arrives, one in Indonesian and one in English, and one call that resets the passwords,
//! Admin first.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::daemon::{Platform, Request};
use crate::support::intruder::{self, SHOP, TOKO, Tenant};
use crate::support::kafka::{self, poll_until};
use crate::support::process::{Running, free_port};
use crate::support::project_path;

fn mail_server(folder: &Path) -> (Running, u16) {
    let port = free_port();
    let child = Command::new(project_path(".cache/python/bin/python3"))
        .args(["-m", "aiosmtpd", "-n", "-l", &format!("127.0.0.1:{port}")])
        .args(["-c", "aiosmtpd.handlers.Mailbox"])
        .arg(folder)
        .stderr(Stdio::null())
        .spawn()
        .expect("`./run setup --tests` makes the Python environment");
    let server = Running(child);
    poll_until("the mail server", || TcpStream::connect(("127.0.0.1", port)).ok());
    (server, port)
}

fn mails(folder: &Path) -> Vec<String> {
    let Ok(files) = std::fs::read_dir(folder.join("new")) else { return Vec::new() };
    files.flatten().filter_map(|file| std::fs::read_to_string(file.path()).ok()).collect()
}

fn scrape(port: u16, name: &str) -> Option<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET /metrics HTTP/1.1\r\nhost: satpam\r\nconnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

fn configure(folder: &Path, prefix: &str, smtp: u16, platform: u16, metrics: u16) {
    let topics = ["messages", "templates", "broadcasts", "accounts"];
    let topics: Vec<String> = topics.iter().map(|name| format!("{prefix}{name}: satpam")).collect();
    let text = format!(
        "rules: {rules}\n\
         topics: {{{topics}}}\n\
         kafka:\n  brokers: {brokers}\n  group_id: {prefix}group\n  dead_letter: {{target: {{topic: {prefix}dead}}}}\n\
         limits: {{future: 3650d}}\n\
         store: {{path: {state}}}\n\
         telemetry: {{listen: '127.0.0.1:{metrics}'}}\n\
         respond:\n  modes: {{force_password_reset: auto, revoke_sessions: auto}}\n\
         \x20 email: {{host: 127.0.0.1, port: {smtp}, tls: none, from: 'Qiscus Security <security@qiscus.example>', staff: [ops@qiscus.example]}}\n\
         \x20 platform: {{base_url: 'http://127.0.0.1:{platform}', signing_secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}}\n",
        rules = project_path("rules").display(),
        topics = topics.join(", "),
        brokers = kafka::shared().address(),
        state = folder.join("state").display(),
    );
    std::fs::write(folder.join("satpam.yaml"), text).unwrap();
}

#[test]
fn each_takeover_ends_in_a_mail_in_the_tenants_language_and_one_password_reset() {
    let broker = kafka::shared();
    let prefix = format!("{}-", kafka::prefix("takeover").trim_end_matches('-'));
    for name in ["messages", "templates", "broadcasts", "accounts", "dead"] {
        kafka::create_topic(&broker.address(), &format!("{prefix}{name}"), 1, &[]);
    }
    for tenant in [TOKO, SHOP] {
        intruder::produce(tenant, &broker.address(), &prefix);
    }
    kafka::produce(&broker.address(), &format!("{prefix}messages"), 0, &[b"{not json"]);

    let folder = tempfile::tempdir().unwrap();
    let (_mail_server, smtp) = mail_server(&folder.path().join("mail"));
    let platform = Platform::start();
    let requests = &platform.seen;
    let metrics = free_port();
    configure(folder.path(), &prefix, smtp, platform.port, metrics);
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut daemon = Running(
        Command::new(env!("CARGO_BIN_EXE_satpam"))
            .args(["run", "--config"])
            .arg(folder.path().join("satpam.yaml"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let tell = || std::fs::read_to_string(folder.path().join("log")).unwrap_or_default();

    for Tenant { app_code, language, domain } in [TOKO, SHOP] {
        let of_tenant = |(head, body): &&Request| {
            head.contains(&format!("/accounts/{app_code}/"))
                && body["kind"] == "force_password_reset"
        };
        let reset = std::panic::catch_unwind(|| {
            poll_until("the password reset", || {
                requests.lock().unwrap().iter().find(of_tenant).cloned()
            })
        })
        .unwrap_or_else(|_| panic!("no reset; the daemon said:\n{}", tell()));
        assert_eq!(reset.1["users"]["roles"], serde_json::json!(["admin", "supervisor", "agent"]));
        let key = reset.0.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap();
        assert_eq!(Some(key.trim()), reset.1["id"].as_str());

        let mail = poll_until("the mail to the tenant", || {
            mails(&folder.path().join("mail"))
                .into_iter()
                .find(|mail| mail.contains(&format!("To: budi@{domain}")))
        });
        assert!(mail.contains(&format!("Content-Language: {language}")), "{mail}");
        assert!(!mail.contains("http://bri-undian88.xyz"), "a live link is in the mail:\n{mail}");
    }

    poll_until("the metric", || {
        scrape(metrics, "satpam_incidents_opened_total").filter(|n| *n >= 2.0)
    });
    let dead = kafka::read(&broker.address(), &format!("{prefix}dead"), 0, 1);
    assert_eq!(dead[0].payload, b"{not json");

    // A stop saves the state and ends well; a restart repeats nothing.
    let terminated =
        Command::new("kill").args(["-TERM", &daemon.0.id().to_string()]).status().unwrap();
    assert!(terminated.success());
    assert!(daemon.0.wait().unwrap().success(), "{}", tell());
    let resets = |requests: &[Request]| {
        requests.iter().filter(|(_, body)| body["kind"] == "force_password_reset").count()
    };
    assert_eq!(resets(&requests.lock().unwrap()), 2);
}
