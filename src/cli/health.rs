//! `satpam health`: whether the daemon on this machine is ready, for images without a shell.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use super::{Exit, complain};
use crate::config;

/// Asks the daemon on this machine whether it is ready.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file of the daemon: it says where it listens.
    #[arg(long, default_value = "/etc/satpam/satpam.yaml")]
    config: PathBuf,
}

const WAIT: Duration = Duration::from_secs(3);
/// Longest answer that is read, in bytes.
const ANSWER_MAX: u64 = 64 * 1024;

/// Exit 0 when ready, 1 when the daemon says what it waits for, 3 when it does not answer.
#[expect(clippy::print_stdout, reason = "this command talks to a person")]
pub(super) fn run(args: &Args) -> ExitCode {
    let config = match config::load(&args.config) {
        Ok(config) => config,
        Err(error) => return complain(&error, Exit::Usage),
    };
    match ask(reachable(config.telemetry.listen)) {
        Ok(answer) => {
            let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
            println!("{}", body.trim());
            let is_ready = head.split(' ').nth(1) == Some("200");
            if is_ready { ExitCode::SUCCESS } else { Exit::Findings.into() }
        }
        Err(error) => complain(&error, Exit::Environment),
    }
}

/// A daemon that listens everywhere is asked on loopback.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, WAIT)?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: satpam\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut answer)?;
    Ok(answer)
}
