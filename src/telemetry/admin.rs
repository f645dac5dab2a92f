//! The administrative address: `/metrics`, `/livez`, `/readyz`. It changes nothing and needs no
//! sign-in; nothing it answers names an account.

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::bounded_listener::BoundedListener;
use super::health::{Condition, Liveness, Readiness};
use super::registry::Telemetry;

/// More than any monitoring opens, and few enough to cost nothing.
const CONNECTIONS_MAX: usize = 64;
/// Longer than a scrape interval of a minute, so that a scraper keeps its connection.
const IDLE_MAX: Duration = Duration::from_secs(75);
/// How long open answers may take when the process stops.
const DRAIN_MAX: Duration = Duration::from_secs(2);

const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPENMETRICS_FORMAT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Why the address could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the address {address} for metrics and health checks could not be opened")]
pub struct AdminError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The open address, not served yet: whoever starts the process sees at once that it is taken.
#[derive(Debug)]
pub struct Admin {
    listener: TcpListener,
    address: SocketAddr,
    router: Router,
}

#[derive(Debug, Clone)]
struct Shared {
    telemetry: Telemetry,
    readiness: Readiness,
    liveness: Liveness,
}

impl Admin {
    /// Opens the address; port 0 takes a free one.
    pub async fn bind(
        listen: SocketAddr,
        telemetry: Telemetry,
        readiness: Readiness,
        liveness: Liveness,
    ) -> Result<Self, AdminError> {
        let fail = |source| AdminError { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(fail)?;
        let address = listener.local_addr().map_err(fail)?;
        let router = Router::new()
            .route("/metrics", get(metrics))
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .with_state(Shared { telemetry, readiness, liveness });
        Ok(Self { listener, address, router })
    }

    /// Returns the address that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop` is cancelled, then ends open answers within two seconds.
    pub async fn serve(self, stop: CancellationToken) {
        let listener = BoundedListener::new(self.listener, CONNECTIONS_MAX, IDLE_MAX);
        let drained = stop.clone();
        let server = axum::serve(listener, self.router)
            .with_graceful_shutdown(async move { drained.cancelled().await });
        let cut_off = async {
            stop.cancelled().await;
            tokio::time::sleep(DRAIN_MAX).await;
        };
        tokio::select! {
            ended = async { server.await } => {
                if let Err(error) = ended {
                    error!(%error, "the address for metrics and health checks ended");
                }
            }
            () = cut_off => warn!("connections to the metrics address were cut off"),
        }
    }
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if prefers_openmetrics(accept) {
        return ([(CONTENT_TYPE, OPENMETRICS_FORMAT)], shared.telemetry.openmetrics())
            .into_response();
    }
    match shared.telemetry.text() {
        Ok(text) => ([(CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn livez(State(shared): State<Shared>) -> Response {
    verdict("stuck", &shared.liveness.stuck())
}

async fn readyz(State(shared): State<Shared>) -> Response {
    let missing: Vec<_> = shared.readiness.missing().into_iter().map(Condition::as_str).collect();
    verdict("missing", &missing)
}

/// 200, or 503 with the list of what is wrong.
fn verdict(word: &str, wrong: &[&str]) -> Response {
    let (code, status) = if wrong.is_empty() {
        (StatusCode::OK, "ok")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    };
    let body = serde_json::json!({ "status": status, word: wrong });
    (code, [(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}

/// Returns whether the `Accept` header likes `OpenMetrics` 1.0 at least as much as plain text.
/// Without a header, or with `*/*`, the answer is plain text.
fn prefers_openmetrics(accept: &str) -> bool {
    let (mut openmetrics, mut plain) = (0.0f32, 0.0f32);
    for range in accept.split(',') {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut quality, mut is_known_version) = (1.0f32, true);
        for parameter in parts {
            match parameter.split_once('=') {
                Some(("q", text)) => quality = text.parse().unwrap_or(0.0),
                Some(("version", version)) => is_known_version = version == "1.0.0",
                Some(_) | None => {}
            }
        }
        match media.as_str() {
            "application/openmetrics-text" if is_known_version => {
                openmetrics = openmetrics.max(quality);
            }
            "text/plain" => plain = plain.max(quality),
            _ => {}
        }
    }
    openmetrics > 0.0 && openmetrics >= plain
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    struct Running {
        address: SocketAddr,
        readiness: Readiness,
        stop: CancellationToken,
        server: tokio::task::JoinHandle<()>,
    }

    async fn running() -> Running {
        let (readiness, stop) = (Readiness::default(), CancellationToken::new());
        let admin = Admin::bind(
            "127.0.0.1:0".parse().unwrap(),
            Telemetry::new().unwrap(),
            readiness.clone(),
            Liveness::new(Duration::from_secs(60)),
        )
        .await
        .unwrap();
        let address = admin.address();
        let server = tokio::spawn(admin.serve(stop.clone()));
        Running { address, readiness, stop, server }
    }

    async fn request(address: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let text = format!("{head}\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_lists_what_is_missing_and_turns_when_nothing_is() {
        let running = running().await;
        running.readiness.set(Condition::StateOpen);
        let answer = request(running.address, "GET /readyz HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
        assert!(
            answer.contains(r#""missing":["rules_compiled","assignment_received"]"#),
            "{answer}"
        );
        running.readiness.set(Condition::RulesCompiled);
        running.readiness.set(Condition::AssignmentReceived);
        let answer = request(running.address, "GET /readyz HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let answer = request(running.address, "GET /livez HTTP/1.1").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn metrics_come_in_the_format_that_the_scraper_asks_for() {
        let address = running().await.address;
        let plain = request(address, "GET /metrics HTTP/1.1").await;
        assert!(plain.contains(TEXT_FORMAT) && plain.contains("satpam_build_info{"), "{plain}");
        let head = "GET /metrics HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0";
        let open = request(address, head).await;
        assert!(open.contains(OPENMETRICS_FORMAT) && open.contains("# EOF"), "{open}");
    }

    #[tokio::test]
    async fn nothing_can_be_changed_here() {
        let address = running().await.address;
        for (head, status) in [
            ("POST /metrics HTTP/1.1\r\nContent-Length: 0", "405"),
            ("GET /-/reload HTTP/1.1", "404"),
            ("GET / HTTP/1.1", "404"),
        ] {
            let answer = request(address, head).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{head}: {answer}");
        }
    }

    #[tokio::test]
    async fn serving_ends_when_told_even_with_a_connection_held_open() {
        let running = running().await;
        let mut silent = TcpStream::connect(running.address).await.unwrap();
        silent.write_all(b"GET /metrics HTTP/1.1\r\n").await.unwrap();
        running.stop.cancel();
        tokio::time::timeout(Duration::from_secs(20), running.server).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn an_address_in_use_is_an_error_that_names_it() {
        let address = running().await.address;
        let liveness = Liveness::new(Duration::from_secs(60));
        let again =
            Admin::bind(address, Telemetry::new().unwrap(), Readiness::default(), liveness).await;
        let error = again.unwrap_err();
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    }

    #[test]
    fn the_accept_header_decides_by_its_weights() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
            application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, expected) in [
            ("", false),
            ("*/*", false),
            ("text/plain", false),
            (prometheus, true),
            ("application/openmetrics-text; version=1.0.0; charset=utf-8", true),
            ("application/openmetrics-text;version=0.0.1", false),
            ("application/openmetrics-text;q=0.1, text/plain;q=0.9", false),
            ("application/openmetrics-text;q=0", false),
            ("application/openmetrics-text;q=nan", false),
        ] {
            assert_eq!(prefers_openmetrics(accept), expected, "{accept}");
        }
    }
}
