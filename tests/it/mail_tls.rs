//! Mails over TLS with a sign-in, against a real server with a certificate of a test authority.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use satpam::clock::SystemClock;
use satpam::event::{AccountId, EventId, EventTime, ShardId, TimeSpan};
use satpam::incident::{
    DeliveryKind, Impact, Incident, IncidentId, IncidentState, OutboxId, Planned, StaffMail, Stage,
};
use satpam::respond::{self, EmailSettings, Figures, RetrySettings, Settings, TlsMode};
use satpam::secret::Secret;
use satpam::store::{self, Batch, OutboxEntry, OutboxStatus, Store};
use satpam::telemetry::Liveness;
use tokio_util::sync::CancellationToken;

use crate::support::kafka::poll_until;
use crate::support::process::{Running, free_port};
use crate::support::{needs_outside_component, project_path, run_tool};

/// The certificates of one test: an authority, and a server's for an address.
struct Certificates {
    authority: PathBuf,
    server: PathBuf,
    key: PathBuf,
}

fn certificates(folder: &Path, address: &str) -> Certificates {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (ca, ca_key, request) = (path("ca.pem"), path("ca.key"), path("server.csr"));
    let (server, key, extensions) = (path("server.pem"), path("server.key"), path("extensions"));
    let new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    let authority = ["-keyout", &ca_key, "-out", &ca, "-subj", "/CN=authority of a test"];
    run_tool("openssl", &[&["req", "-x509", "-days", "2"], &new_key[..], &authority].concat());
    let asked = ["-keyout", &key, "-out", &request, "-subj", "/CN=mail server of a test"];
    run_tool("openssl", &[&["req"], &new_key[..], &asked].concat());
    std::fs::write(&extensions, format!("subjectAltName={address}\n")).unwrap();
    let sign = ["x509", "-req", "-in", &request, "-CA", &ca, "-CAkey", &ca_key, "-CAcreateserial"];
    let signed = ["-days", "2", "-extfile", &extensions, "-out", &server];
    run_tool("openssl", &[&sign[..], &signed].concat());
    Certificates { authority: ca.into(), server: server.into(), key: key.into() }
}

fn mail_server(mode: &str, certificates: &Certificates, port: u16, mails: &Path) -> Running {
    let child = Command::new(project_path(".cache/python/bin/python3"))
        .arg(project_path("tests/mail/server.py"))
        .args([&port.to_string(), mode])
        .args([&certificates.server, &certificates.key])
        .arg(mails)
        .stderr(Stdio::null())
        .spawn()
        .expect("`./run setup --tests` makes the Python environment");
    let server = Running(child);
    poll_until("the mail server", || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    server
}

fn incident() -> Incident {
    let account = AccountId::new("toko-contoh").unwrap();
    let time = EventTime::from_millis(1_795_489_440_000);
    Incident {
        id: IncidentId::mint(&account, &EventId::new("e1").unwrap()),
        shard: ShardId(0),
        account,
        account_name: Some("Toko Contoh".into()),
        revision: 0,
        stage: Stage::Alert,
        opened: time,
        last_match: time,
        risk: 80.0,
        risk_peak: 80.0,
        contributions: Vec::new(),
        actors: Vec::new(),
        impact: Impact::default(),
        language: None,
        timezone: "Asia/Jakarta".into(),
        two_factor: None,
        contacts: Vec::new(),
        rules_revision: "r".into(),
        engine_version: "v".into(),
        state: IncidentState::Open,
    }
}

/// A store with one mail to staff that is due, and settings to send it with.
struct World {
    store: Store,
    id: OutboxId,
    email: EmailSettings,
    mails: PathBuf,
    folder: tempfile::TempDir,
}

impl World {
    fn new(tls: TlsMode, port: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            store::Settings { path: folder.path().join("state"), ..store::Settings::default() };
        let metrics = store::Metrics::new(&prometheus::Registry::new()).unwrap();
        let store = Store::open(&settings, metrics).unwrap().store;
        let incident = incident();
        let kind = DeliveryKind::StaffMail(StaffMail::Opened);
        let planned = Planned {
            id: OutboxId::mint(incident.id, kind, "staff"),
            shard: incident.shard,
            account: incident.account.clone(),
            incident: incident.id,
            kind,
            target: "staff".into(),
            created: incident.opened,
            reason: "First link to a site".into(),
            needs_approval: None,
            after: Vec::new(),
        };
        let id = planned.id;
        let outbox = vec![OutboxEntry::new(planned)];
        let batch = Batch { incidents: vec![incident], outbox, ..Batch::default() };
        assert_eq!(store.shard(ShardId(0)).commit(&batch).unwrap().planned, 1);
        let email = EmailSettings {
            host: "127.0.0.1".to_owned(),
            port: Some(port),
            tls,
            ca_file: None,
            user: Some("satpam".to_owned()),
            password: Some(Secret::new("correct horse")),
            from: "Security <security@platform.example>".to_owned(),
            reply_to: None,
            envelope_from: None,
            staff: vec!["ops@platform.example".to_owned()],
            support: None,
            templates: None,
            timeout: TimeSpan::from_millis(10_000),
        };
        Self { store, id, email, mails: folder.path().join("mails"), folder }
    }

    /// Runs the responder until the entry is as wanted, then stops it.
    async fn run_until(&self, wanted: impl Fn(&OutboxEntry) -> bool) -> OutboxEntry {
        let short = TimeSpan::from_millis(50);
        let settings = Settings {
            email: Some(self.email.clone()),
            retry: RetrySettings { first_wait: short, longest_wait: short, attempts: 1_000 },
            ..Settings::default()
        };
        let cancel = CancellationToken::new();
        let responder = respond::start(
            settings,
            self.store.clone(),
            Arc::new(SystemClock),
            respond::Metrics::new(&prometheus::Registry::new()).unwrap(),
            Arc::new(Figures::default()),
            Arc::new(tokio::sync::Notify::new()),
            Liveness::new(Duration::from_mins(1)).watch("respond"),
            cancel.clone(),
        )
        .unwrap();
        let entry = poll_until("the entry", || {
            self.store.outbox().get(self.id).unwrap().filter(|entry| wanted(entry))
        });
        cancel.cancel();
        responder.task.await.unwrap();
        entry
    }

    /// What the mail server has taken.
    fn taken(&self) -> Vec<String> {
        let Ok(files) = std::fs::read_dir(self.mails.join("new")) else { return Vec::new() };
        files.flatten().map(|file| std::fs::read_to_string(file.path()).unwrap()).collect()
    }

    /// Asserts that the entry fails with an error of these words and stays due.
    async fn fails_with(&self, words: &[&str]) {
        let error =
            |entry: &OutboxEntry| entry.last_error.as_deref().unwrap_or_default().to_lowercase();
        let says = |entry: &OutboxEntry| words.iter().any(|word| error(entry).contains(word));
        let entry = self.run_until(says).await;
        let error = error(&entry);
        assert!(!error.contains("correct horse"), "{error}");
        assert_eq!(entry.status, OutboxStatus::Due, "{error}");
        assert!(self.taken().is_empty());
    }

    async fn is_delivered(&self) {
        self.run_until(|entry| entry.status == OutboxStatus::Done).await;
        let taken = self.taken();
        assert_eq!(taken.len(), 1);
        assert!(taken[0].contains("To: ops@platform.example"), "{}", taken[0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_go_over_both_kinds_of_tls_once_the_authority_and_the_password_are_right() {
    if !needs_outside_component() {
        return;
    }
    for (mode, tls) in [("starttls", TlsMode::Starttls), ("implicit", TlsMode::Implicit)] {
        let port = free_port();
        let mut world = World::new(tls, port);
        let certificates = certificates(world.folder.path(), "IP:127.0.0.1");
        let _server = mail_server(mode, &certificates, port, &world.mails);
        // The system does not trust the authority of the test.
        world.fails_with(&["certificate"]).await;
        world.email.ca_file = Some(certificates.authority.clone());
        world.email.password = Some(Secret::new("wrong"));
        // A wrong password is about the server, not about this mail: it waits for the right one.
        world.fails_with(&["535"]).await;
        world.email.password = Some(Secret::new("correct horse"));
        world.is_delivered().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_another_server_is_refused() {
    if !needs_outside_component() {
        return;
    }
    let port = free_port();
    let mut world = World::new(TlsMode::Starttls, port);
    let certificates = certificates(world.folder.path(), "DNS:mail.other.example");
    world.email.ca_file = Some(certificates.authority.clone());
    let _server = mail_server("starttls", &certificates, port, &world.mails);
    world.fails_with(&["certificate"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_offers_no_starttls_gets_neither_the_password_nor_the_mail() {
    if !needs_outside_component() {
        return;
    }
    let port = free_port();
    let mut world = World::new(TlsMode::Starttls, port);
    let certificates = certificates(world.folder.path(), "IP:127.0.0.1");
    world.email.ca_file = Some(certificates.authority.clone());
    let _server = mail_server("plain", &certificates, port, &world.mails);
    world.fails_with(&["starttls", "tls"]).await;
}
