//! The real daemon as a process of its own, and the receivers that it talks to.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{kafka, project_path};

/// The four topics of a test, without its prefix.
pub(crate) const TOPICS: [&str; 4] = ["messages", "templates", "broadcasts", "accounts"];

/// What a daemon of a test is set up with.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub(crate) folder: PathBuf,
    /// Of topics and group.
    pub(crate) prefix: String,
    pub(crate) group: String,
    pub(crate) rules: PathBuf,
    pub(crate) smtp: u16,
    pub(crate) platform: u16,
    /// The mode of the actions.
    pub(crate) mode: &'static str,
    /// Further lines of the configuration, at the top level.
    pub(crate) more: String,
    /// Further lines of its `respond` section, indented by two.
    pub(crate) respond: String,
    /// Further lines of its `kafka` section, indented by two.
    pub(crate) kafka: String,
}

impl Setup {
    pub(crate) fn new(folder: &Path, prefix: &str, smtp: u16, platform: u16) -> Self {
        Self {
            folder: folder.to_owned(),
            prefix: prefix.to_owned(),
            group: format!("{prefix}group"),
            rules: project_path("rules"),
            smtp,
            platform,
            mode: "auto",
            more: String::new(),
            respond: String::new(),
            kafka: String::new(),
        }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    fn write(&self, metrics: u16) -> PathBuf {
        let Self { prefix, group, smtp, platform, mode, more, respond, kafka, .. } = self;
        let topics = TOPICS.map(|name| format!("{prefix}{name}: satpam")).join(", ");
        let text = format!(
            "rules: {rules}\n\
             topics: {{{topics}}}\n\
             kafka:\n  brokers: {brokers}\n  group_id: {group}\n  dead_letter: {{target: {{topic: {prefix}dead}}}}\n{kafka}\
             limits: {{future: 3650d}}\n\
             store: {{path: {state}}}\n\
             telemetry: {{listen: '127.0.0.1:{metrics}'}}\n\
             respond:\n  modes: {{force_password_reset: {mode}, revoke_sessions: {mode}}}\n\
             \x20 email: {{host: 127.0.0.1, port: {smtp}, tls: none, from: 'Qiscus Security <security@qiscus.example>', staff: [ops@qiscus.example]}}\n\
             \x20 platform: {{base_url: 'http://127.0.0.1:{platform}', signing_secret: whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=}}\n\
             {respond}{more}",
            rules = self.rules.display(),
            brokers = kafka::shared().address(),
            state = self.state().display(),
        );
        let path = self.folder.join("satpam.yaml");
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// A running daemon. It ends with the test.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: RefCell<Child>,
    metrics: u16,
    log: PathBuf,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.get_mut().kill();
        let _ = self.child.get_mut().wait();
    }
}

impl Daemon {
    pub(crate) fn start(setup: &Setup) -> Self {
        let metrics = free_port();
        let config = setup.write(metrics);
        let log = setup.folder.join("log");
        let file = std::fs::File::options().create(true).append(true).open(&log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_satpam"))
            .args(["run", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Self { child: RefCell::new(child), metrics, log }
    }

    /// Looks until `found` returns something; tells what the daemon said when it never does.
    pub(crate) fn until<T>(&self, what: &str, mut found: impl FnMut() -> Option<T>) -> T {
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            kafka::poll_until(what, || match found() {
                Some(value) => Some(Some(value)),
                None if self.runs() => None,
                None => Some(None),
            })
        }));
        outcome.ok().flatten().unwrap_or_else(|| {
            let ended = if self.runs() { "in vain" } else { "it ended" };
            panic!("{what}: {ended}; the daemon said:\n{}", self.said())
        })
    }

    /// As [`Self::until`], but as patient as it takes while events are being handled: a busy machine
    /// is slow.
    pub(crate) fn until_while_it_moves<T>(
        &self,
        what: &str,
        mut found: impl FnMut() -> Option<T>,
    ) -> T {
        loop {
            let before = self.sum("satpam_events_total");
            let step = self.until(what, || {
                if let Some(value) = found() {
                    return Some(Some(value));
                }
                (self.sum("satpam_events_total") != before).then_some(None)
            });
            if let Some(value) = step {
                return value;
            }
        }
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.get_mut().kill().unwrap();
        self.child.get_mut().wait().unwrap();
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.borrow().id().to_string();
        let told = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(told.success());
    }

    /// Tells it to stop and waits for the end.
    pub(crate) fn terminate(mut self) -> ExitStatus {
        self.signal("TERM");
        let status = self.child.get_mut().wait().unwrap();
        assert!(status.success(), "{status}; the daemon said:\n{}", self.said());
        status
    }

    /// Returns whether the process still runs.
    pub(crate) fn runs(&self) -> bool {
        self.child.borrow_mut().try_wait().unwrap().is_none()
    }

    pub(crate) fn said(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// Returns the metrics: name with labels, and value.
    pub(crate) fn metrics(&self) -> BTreeMap<String, f64> {
        let text = self.get("/metrics").unwrap_or_default();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let (name, value) = line.rsplit_once(' ')?;
                Some((name.to_owned(), value.parse().ok()?))
            })
            .collect()
    }

    /// Returns a counter by its name with labels; 0 when it is missing.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let text = self.get("/metrics").unwrap_or_default();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or_default()
    }

    /// Returns the sum of a metric over its labels; nothing when it is missing.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        let metrics = self.metrics();
        let mut found = metrics
            .iter()
            .filter(|(full, _)| full.split('{').next() == Some(name))
            .map(|(_, value)| *value)
            .peekable();
        found.peek()?;
        Some(found.sum())
    }

    /// Returns head and body of an admin page.
    pub(crate) fn get(&self, page: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).ok()?;
        write!(stream, "GET {page} HTTP/1.1\r\nhost: satpam\r\nconnection: close\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Returns whether everything in `partitions` partitions of each topic has been handled.
    pub(crate) fn has_caught_up(&self, partitions: usize) -> bool {
        let metrics = self.metrics();
        let lags: Vec<f64> = metrics
            .iter()
            .filter(|(name, _)| name.starts_with("satpam_kafka_consumer_lag_messages{"))
            .map(|(_, value)| *value)
            .collect();
        lags.len() == partitions * TOPICS.len() && lags.iter().all(|lag| *lag == 0.0)
    }
}

/// A request that the platform has seen: its headers in lower case, and its body.
pub(crate) type Request = (String, serde_json::Value);

/// A stub of the platform's account API.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) port: u16,
    pub(crate) seen: Arc<Mutex<Vec<Request>>>,
    is_down: Arc<AtomicBool>,
    refused: Arc<Mutex<u64>>,
}

impl Platform {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let platform =
            Self { port, seen: Arc::default(), is_down: Arc::default(), refused: Arc::default() };
        let stub = platform.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                stub.answer(stream);
            }
        });
        platform
    }

    /// From here on it answers 503, or works again.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Returns how many requests were answered with 503.
    pub(crate) fn refused(&self) -> u64 {
        *self.refused.lock().unwrap()
    }

    /// Returns the bodies by idempotency key.
    pub(crate) fn by_key(&self) -> BTreeMap<String, Vec<serde_json::Value>> {
        let mut by_key: BTreeMap<String, Vec<serde_json::Value>> = BTreeMap::new();
        for (head, body) in self.seen.lock().unwrap().iter() {
            let key = head.lines().find_map(|line| line.strip_prefix("idempotency-key: ")).unwrap();
            by_key.entry(key.trim().to_owned()).or_default().push(body.clone());
        }
        by_key
    }

    fn answer(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut head = String::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line.to_lowercase());
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?;
        let mut body = vec![0; length.trim().parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        let (status, reply) = if self.is_down.load(Ordering::SeqCst) {
            *self.refused.lock().unwrap() += 1;
            ("503 Service Unavailable", "{}")
        } else {
            self.seen.lock().unwrap().push((head, serde_json::from_slice(&body).ok()?));
            (
                "200 OK",
                r#"{"status":"done","users":[{"id":"1","role":"admin","done":true},{"id":"2","role":"agent","done":true}]}"#,
            )
        };
        write!(
            stream,
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{reply}",
            reply.len()
        )
        .ok()
    }
}

/// A mail server that keeps what it is given. While it is down it hangs up on everyone.
#[derive(Debug, Clone)]
pub(crate) struct MailServer {
    pub(crate) port: u16,
    mails: Arc<Mutex<Vec<String>>>,
    is_down: Arc<AtomicBool>,
    refused: Arc<Mutex<u64>>,
}

impl MailServer {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server =
            Self { port, mails: Arc::default(), is_down: Arc::default(), refused: Arc::default() };
        let accepting = server.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.is_down.load(Ordering::SeqCst) {
                    *accepting.refused.lock().unwrap() += 1;
                    continue;
                }
                let serving = accepting.clone();
                std::thread::spawn(move || serving.serve(stream));
            }
        });
        server
    }

    pub(crate) fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    /// Returns how many connections were hung up on.
    pub(crate) fn refused(&self) -> u64 {
        *self.refused.lock().unwrap()
    }

    /// Returns the mails, as they came.
    pub(crate) fn mails(&self) -> Vec<String> {
        self.mails.lock().unwrap().clone()
    }

    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let mut say = |text: &str| stream.write_all(text.as_bytes()).ok();
        say("220 localhost ESMTP\r\n")?;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).ok()? == 0 {
                return None;
            }
            let word = line.trim().to_ascii_uppercase();
            if word.starts_with("EHLO") {
                say("250-localhost\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")?;
            } else if word == "DATA" {
                say("354 go on\r\n")?;
                let mut mail = String::new();
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).ok()? == 0 {
                        return None;
                    }
                    if line == ".\r\n" {
                        break;
                    }
                    mail.push_str(&line);
                }
                self.mails.lock().unwrap().push(mail);
                say("250 kept\r\n")?;
            } else if word == "QUIT" {
                say("221 bye\r\n")?;
                return None;
            } else {
                say("250 ok\r\n")?;
            }
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
