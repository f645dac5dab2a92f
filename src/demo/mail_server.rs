//! A small mail server (RFC 5321 without extensions) that takes every mail and hands it on.
//!
//! Bounded: a line of 2,000 bytes, a mail of 1 MiB, 100 recipients, 32 connections, a minute of
//! silence.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use super::clock::DemoClock;
use crate::event::EventTime;

const LINE_MAX: u64 = 2_000;
const MAIL_MAX: usize = 1 << 20;
const RECIPIENTS_MAX: usize = 100;
const CONNECTIONS_MAX: usize = 32;
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// A mail as it came over the wire.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Received {
    /// The recipients of the envelope.
    pub(super) recipients: Vec<String>,
    /// Headers and body, without the dots of the protocol.
    pub(super) message: Vec<u8>,
    pub(super) at: EventTime,
}

/// Hides the message.
impl std::fmt::Debug for Received {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Received")
            .field("bytes", &self.message.len())
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

/// Takes mails until `stop`; a mail that does not fit into `mails` is refused for now.
pub(super) async fn serve(
    clock: Arc<DemoClock>,
    mails: mpsc::Sender<Received>,
    stop: CancellationToken,
) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    tokio::spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            let (Ok((stream, _)), Ok(permit)) = (accepted, Arc::clone(&room).acquire_owned().await)
            else {
                continue;
            };
            let (clock, mails, stop) = (Arc::clone(&clock), mails.clone(), stop.clone());
            tokio::spawn(async move {
                let session = Session::new(stream, clock, mails);
                tokio::select! {
                    () = stop.cancelled() => {}
                    // A client that breaks off has said all that it wanted.
                    _ = session.run() => {}
                }
                drop(permit);
            });
        }
    });
    Ok(address)
}

struct Session {
    reader: BufReader<OwnedReadHalf>,
    writer: OwnedWriteHalf,
    clock: Arc<DemoClock>,
    mails: mpsc::Sender<Received>,
    has_sender: bool,
    recipients: Vec<String>,
}

/// One line of the client.
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

impl Session {
    fn new(stream: TcpStream, clock: Arc<DemoClock>, mails: mpsc::Sender<Received>) -> Self {
        let (reader, writer) = stream.into_split();
        let reader = BufReader::new(reader);
        Self { reader, writer, clock, mails, has_sender: false, recipients: Vec::new() }
    }

    async fn run(mut self) -> std::io::Result<()> {
        self.answer("220 demo.satpam.example ready").await?;
        loop {
            let line = match self.line().await? {
                Line::Text(line) => line,
                Line::TooLong => {
                    self.answer("500 the line is too long").await?;
                    continue;
                }
                Line::End => return Ok(()),
            };
            let text = String::from_utf8_lossy(&line);
            let (verb, rest) = text.split_once(' ').unwrap_or((&text, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => {
                    self.reset();
                    self.answer("250 demo.satpam.example").await?;
                }
                "MAIL" => {
                    self.reset();
                    self.has_sender = true;
                    self.answer("250 sender noted").await?;
                }
                "RCPT" => self.recipient(rest).await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.reset();
                    self.answer("250 forgotten").await?;
                }
                "NOOP" => self.answer("250 still here").await?,
                "QUIT" => return self.answer("221 bye").await,
                _ => self.answer("502 not known here").await?,
            }
        }
    }

    fn reset(&mut self) {
        self.has_sender = false;
        self.recipients.clear();
    }

    async fn recipient(&mut self, rest: &str) -> std::io::Result<()> {
        let address = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let answer = match address {
            _ if !self.has_sender => "503 the sender first",
            None => "501 no address",
            Some(_) if self.recipients.len() == RECIPIENTS_MAX => "452 too many recipients",
            Some((address, _)) => {
                self.recipients.push(address.to_owned());
                "250 recipient noted"
            }
        };
        self.answer(answer).await
    }

    async fn data(&mut self) -> std::io::Result<()> {
        if self.recipients.is_empty() {
            return self.answer("503 a recipient first").await;
        }
        self.answer("354 end with a dot").await?;
        let mut message = Vec::new();
        let mut is_whole = true;
        loop {
            match self.line().await? {
                Line::Text(line) if line == b"." => break,
                Line::Text(line) => {
                    let line = line.strip_prefix(b".").unwrap_or(&line);
                    is_whole &= message.len() + line.len() + 2 <= MAIL_MAX;
                    if is_whole {
                        message.extend_from_slice(line);
                        message.extend_from_slice(b"\r\n");
                    }
                }
                Line::TooLong => is_whole = false,
                Line::End => return Ok(()),
            }
        }
        let recipients = std::mem::take(&mut self.recipients);
        self.reset();
        if !is_whole {
            return self.answer("552 too large").await;
        }
        let received = Received { recipients, message, at: self.clock.time() };
        match self.mails.try_send(received) {
            Ok(()) => self.answer("250 taken").await,
            Err(_) => self.answer("452 no room now").await,
        }
    }

    /// Reads one line without its end; what is too long is read over.
    async fn line(&mut self) -> std::io::Result<Line> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        loop {
            let mut limited = (&mut self.reader).take(LINE_MAX);
            let read = limited.read_until(b'\n', &mut line);
            let count = tokio::time::timeout(SILENCE_MAX, read)
                .await
                .map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
            if count == 0 {
                return Ok(Line::End);
            }
            if line.last() == Some(&b'\n') {
                break;
            }
            is_too_long = true;
            line.clear();
        }
        if is_too_long {
            return Ok(Line::TooLong);
        }
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(Line::Text(line))
    }

    async fn answer(&mut self, text: &str) -> std::io::Result<()> {
        self.writer.write_all(format!("{text}\r\n").as_bytes()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Says everything at once and returns all answers and mails.
    async fn talk(said: &[u8]) -> (String, Vec<Received>) {
        let clock = Arc::new(DemoClock::new(EventTime::from_millis(7)));
        let (sender, mut mails) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let address = serve(clock, sender, stop.clone()).await.unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).await.unwrap();
        stop.cancel();
        let mut received = Vec::new();
        while let Ok(mail) = mails.try_recv() {
            received.push(mail);
        }
        (answers, received)
    }

    fn codes(answers: &str) -> Vec<&str> {
        answers.lines().map(|line| &line[..3]).collect()
    }

    #[tokio::test]
    async fn a_mail_arrives_without_the_dots_of_the_protocol() {
        let said = b"EHLO me\r\nmail from:<a@b.example>\r\nRCPT TO:<c@d.example> X=1\r\nDATA\r\n\
            Subject: x\r\n\r\n..dot\r\n.\r\nNOOP\r\nQUIT\r\n";
        let (answers, mails) = talk(said).await;
        assert_eq!(codes(&answers), ["220", "250", "250", "250", "354", "250", "250", "221"]);
        assert_eq!(mails[0].recipients, ["c@d.example"]);
        assert_eq!(mails[0].message, b"Subject: x\r\n\r\n.dot\r\n");
        assert_eq!(mails[0].at, EventTime::from_millis(7));
    }

    #[tokio::test]
    async fn what_is_out_of_order_unknown_or_too_long_is_refused_and_the_session_goes_on() {
        let long = "x".repeat(5_000);
        let said = format!(
            "RCPT TO:<a@b>\r\nDATA\r\nMAIL FROM:<>\r\nRCPT TO:none\r\nSTARTTLS\r\n{long}\r\nRSET\r\n"
        );
        let (answers, mails) = talk(said.as_bytes()).await;
        assert_eq!(codes(&answers), ["220", "503", "503", "250", "501", "502", "500", "250"]);
        assert!(mails.is_empty());
    }

    #[tokio::test]
    async fn a_mail_above_the_size_limit_is_refused_as_a_whole() {
        let mut said = b"EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n".to_vec();
        for _ in 0..=MAIL_MAX / 1_000 {
            said.extend_from_slice(&[b'x'; 1_000]);
            said.extend_from_slice(b"\r\n");
        }
        said.extend_from_slice(b".\r\nQUIT\r\n");
        let (answers, mails) = talk(&said).await;
        assert_eq!(codes(&answers), ["220", "250", "250", "250", "354", "552", "221"]);
        assert!(mails.is_empty());
    }

    #[tokio::test]
    async fn a_mail_that_nobody_has_room_for_is_put_off() {
        let one = "MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\n";
        let (answers, mails) = talk(one.repeat(2).as_bytes()).await;
        assert_eq!(
            codes(&answers),
            ["220", "250", "250", "354", "250", "250", "250", "354", "452"]
        );
        assert_eq!(mails.len(), 1);
    }
}
