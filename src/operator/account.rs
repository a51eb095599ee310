//! Who is at the command line.

use std::io;
use tokio::net::UnixStream;

/// The accounts of this machine (passwd(5)).
const ACCOUNTS: &str = "/etc/passwd";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    uid: u32,
    name: String,
}

impl Account {
    /// The account this process runs as.
    ///
    /// # Errors
    /// When the system refuses a socket pair or does not tell.
    pub(crate) fn own() -> io::Result<Self> {
        let (socket, _other) = UnixStream::pair()?;
        Self::of_peer(&socket)
    }

    /// The account of the process at the other end.
    ///
    /// # Errors
    /// When the system does not tell.
    pub(crate) fn of_peer(socket: &UnixStream) -> io::Result<Self> {
        let uid = socket.peer_cred()?.uid();
        // Without a readable list the number has to do.
        let accounts = std::fs::read_to_string(ACCOUNTS).unwrap_or_default();
        Ok(Self {
            uid,
            name: name_in(&accounts, uid).unwrap_or_else(|| format!("uid {uid}")),
        })
    }

    /// Its user id.
    pub(crate) const fn uid(&self) -> u32 {
        self.uid
    }

    /// Its name, or `uid 1000` where it has none.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn name_in(accounts: &str, uid: u32) -> Option<String> {
    accounts.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let found: u32 = fields.nth(1)?.parse().ok()?;
        (found == uid).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_by_its_number() {
        let accounts =
            "root:x:0:0:root:/root:/bin/sh\nbroken\nops:x:1000:1000::/home/ops:/bin/sh\n";
        assert_eq!(name_in(accounts, 1000).as_deref(), Some("ops"));
        assert_eq!(name_in(accounts, 1), None);
    }

    #[tokio::test]
    async fn the_own_account_is_known() {
        assert!(!Account::own().unwrap().name().is_empty());
    }
}
