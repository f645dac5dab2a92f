//! Who is on the other end of the socket, and the words they give.

use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use tokio::net::UnixListener;

use super::problem::Problem;
use crate::respond::Person;
use crate::telemetry::BoundedListener;

const NAME_CHARS_MAX: usize = 64;
const REASON_CHARS_MAX: usize = 500;

/// The user of the process that opened the connection, as the kernel tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) user_id: Option<u32>,
}

impl Connected<IncomingStream<'_, BoundedListener<UnixListener>>> for Peer {
    fn connect_info(stream: IncomingStream<'_, BoundedListener<UnixListener>>) -> Self {
        let credentials = stream.io().get_ref().peer_cred();
        Self { user_id: credentials.ok().map(|credentials| credentials.uid()) }
    }
}

impl Peer {
    /// Only root and the user that satpam runs as may ask; the mode of the socket says the same.
    pub(super) fn check(self, own_user_id: u32) -> Result<(), Problem> {
        match self.user_id {
            Some(id) if id == 0 || id == own_user_id => Ok(()),
            Some(_) | None => Err(Problem::forbidden(
                "only root and the user that satpam runs as may use the control socket",
            )),
        }
    }

    /// Returns the name of the user, by the machine's own list of users.
    fn name(self) -> String {
        let Some(id) = self.user_id else { return "unknown user".to_owned() };
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        user_name(&users, id).unwrap_or_else(|| format!("uid {id}"))
    }

    /// Returns the person as the audit log names them: the name they give with the user that the
    /// kernel vouches for, or that user alone.
    pub(super) fn person(self, by: Option<&str>, reason: &str) -> Result<Person, Problem> {
        let user = self.name();
        let name = match by.map(|by| text(by, "the name after --by", NAME_CHARS_MAX)).transpose()? {
            Some(by) => format!("{by} (as {user})"),
            None => user,
        };
        Ok(Person { name, reason: text(reason, "the reason", REASON_CHARS_MAX)? })
    }
}

/// Checks a text that a person gives: something, short, in one line.
fn text(raw: &str, what: &str, most: usize) -> Result<String, Problem> {
    let trimmed = raw.trim();
    if trimmed.is_empty() {
        return Err(Problem::invalid(format!("{what} is empty")));
    }
    if trimmed.chars().count() > most {
        return Err(Problem::invalid(format!("{what} is longer than {most} characters")));
    }
    if trimmed.chars().any(char::is_control) {
        return Err(Problem::invalid(format!("{what} has a line break or a control character")));
    }
    Ok(trimmed.to_owned())
}

/// Finds a user in the text of `/etc/passwd`: `name:password:uid:...`.
fn user_name(users: &str, id: u32) -> Option<String> {
    users.lines().find_map(|line| {
        let mut parts = line.split(':');
        let name = parts.next().filter(|name| !name.is_empty())?;
        (parts.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_named_by_the_machines_list() {
        let users = "root:x:0:0:root:/root:/bin/bash\nbroken\n:x:7:\nsari:x:1000:1000::/:/bin/sh\n";
        for (id, name) in [(0, Some("root")), (1000, Some("sari")), (7, None), (1, None)] {
            assert_eq!(user_name(users, id).as_deref(), name, "{id}");
        }
    }

    #[test]
    fn a_decision_needs_a_reason_in_one_short_line() {
        let peer = Peer { user_id: Some(4_000_000_000) };
        let person = peer.person(Some(" Sari "), " called the tenant ").unwrap();
        assert_eq!(person.name, "Sari (as uid 4000000000)");
        assert_eq!(person.reason, "called the tenant");
        assert_eq!(peer.person(None, "x").unwrap().name, "uid 4000000000");
        let long = "x".repeat(501);
        for (by, reason) in [
            (None, ""),
            (None, "  "),
            (None, "a\nb"),
            (None, &*long),
            (Some(""), "a"),
            (Some("\u{1b}[2J"), "a"),
        ] {
            let problem = peer.person(by, reason).unwrap_err();
            assert_eq!(problem.status, 400, "{by:?} {reason:?}");
        }
    }

    #[test]
    fn nobody_but_the_owner_and_root_is_let_in() {
        for (user_id, allowed) in
            [(Some(0), true), (Some(33), true), (Some(1000), false), (None, false)]
        {
            assert_eq!(Peer { user_id }.check(33).is_ok(), allowed, "{user_id:?}");
        }
    }
}
