//! The other end of the control socket, for the command line: one request, one answer.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Envelope;

/// Longer than the daemon waits for its own worker.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer of a thousand explained incidents is smaller.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(
        "no satpam answers on {}. The daemon must be running: it alone can open its state. Is it, \
         and is this the configuration that it runs with?", socket.display()
    )]
    NotRunning { socket: PathBuf, source: io::Error },
    #[error(
        "{} may be used by root and the user that satpam runs as only: try `sudo`", .0.display()
    )]
    NotAllowed(PathBuf),
    #[error("satpam did not answer")]
    Broken(#[source] io::Error),
    #[error("satpam's answer is not understood: is it of another version than this command?")]
    NotUnderstood,
    /// The daemon has understood the request and says no.
    #[error("{message}")]
    Refused { status: u16, code: String, message: String },
}

/// Asks one daemon.
#[derive(Debug, Clone)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    /// Asks the daemon behind this socket.
    pub fn new(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// Returns the socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Reads; `query` are names and values, not encoded yet.
    pub fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, CallError> {
        let mut target = encoded(path);
        if !query.is_empty() {
            let query =
                url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
            target.push('?');
            target.push_str(&query);
        }
        self.call("GET", &target, b"")
    }

    /// Decides.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &impl Serialize,
    ) -> Result<T, CallError> {
        let body = serde_json::to_vec(body).map_err(|_| CallError::NotUnderstood)?;
        self.call("POST", &encoded(path), &body)
    }

    fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        target: &str,
        body: &[u8],
    ) -> Result<T, CallError> {
        let mut stream = UnixStream::connect(&self.socket).map_err(|source| {
            if source.kind() == io::ErrorKind::PermissionDenied {
                CallError::NotAllowed(self.socket.clone())
            } else {
                CallError::NotRunning { socket: self.socket.clone(), source }
            }
        })?;
        let answer = exchange(&mut stream, method, target, body).map_err(CallError::Broken)?;
        let (status, body) = parse(&answer).ok_or(CallError::NotUnderstood)?;
        if status == 200 {
            return serde_json::from_slice(body).map_err(|_| CallError::NotUnderstood);
        }
        match serde_json::from_slice::<Envelope>(body) {
            Ok(Envelope { error }) => {
                Err(CallError::Refused { status, code: error.code, message: error.message })
            }
            Err(_) => Err(CallError::NotUnderstood),
        }
    }
}

fn exchange(
    stream: &mut UnixStream,
    method: &str,
    target: &str,
    body: &[u8],
) -> io::Result<Vec<u8>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = format!(
        "{method} {target} HTTP/1.1\r\nhost: satpam\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(answer)
}

/// Reads status and body. The daemon names the length of every answer, so a cut one is seen.
fn parse(answer: &[u8]) -> Option<(u16, &[u8])> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let body = &answer[end + 4..];
    let mut lines = head.split("\r\n");
    let status = lines.next()?.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let length: usize = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    })?;
    (body.len() == length).then_some((status, body))
}

fn encoded(path: &[&str]) -> String {
    let mut target = String::new();
    for segment in path {
        target.push('/');
        for byte in segment.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'~') {
                target.push(char::from(byte));
            } else {
                // Writing into a String cannot fail.
                let _ = write!(target, "%{byte:02X}");
            }
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_and_a_cut_one_is_not() {
        let whole = b"HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\nx: y\r\n\r\n{}";
        assert_eq!(parse(whole), Some((409, b"{}".as_slice())));
        for broken in [
            &whole[..whole.len() - 1],
            b"HTTP/1.1 200 OK\r\n\r\n{}",
            b"HTTP/1.1 2\r\ncontent-length: 0\r\n\r\n",
            b"",
        ] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        assert_eq!(encoded(&["v1", "outbox", "../a b?c"]), "/v1/outbox/%2E%2E%2Fa%20b%3Fc");
    }
}
