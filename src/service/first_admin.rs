//! The link by which the first admin is made: on the terminal of a start, else in a file beside the ledger.

use crate::output::say;
use crate::terminal::say_link;
use anyhow::Context;
use app::first_admin::is_missing;
use ledger::Ledger;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How often it is looked at most whether an admin can log in.
const LOOK: Duration = Duration::from_secs(1);

/// The file with the link, while it is there. A kill leaves it; its link is then one of nobody, and the next start
/// writes another or takes it away.
pub(super) struct FirstAdminLink {
    watching: JoinHandle<()>,
    stop: CancellationToken,
}

impl FirstAdminLink {
    /// Hands the link out while no admin can log in; `None` where one can, or the link is on the terminal.
    ///
    /// # Errors
    /// A file that cannot be written, or taken away.
    pub(super) async fn offer(
        file: PathBuf,
        link: &str,
        ledger: &Ledger,
    ) -> anyhow::Result<Option<Self>> {
        take_away(&file).with_context(|| format!("taking {} away", file.display()))?;
        if !is_missing(ledger).await? {
            return Ok(None);
        }
        if io::stdout().is_terminal() {
            say!("no admin can log in yet; make the first one with this link, which works once:");
            say_link(link);
            return Ok(None);
        }
        write(&file, link).with_context(|| format!("writing {}", file.display()))?;
        tracing::warn!(
            file = %file.display(),
            "no admin can log in yet: open the link in that file to make the first one"
        );
        let stop = CancellationToken::new();
        let watching = until_made(ledger.clone(), file, stop.clone());
        Ok(Some(Self {
            watching: tokio::spawn(watching),
            stop,
        }))
    }

    /// Takes the file away; the link ends with the process.
    ///
    /// # Errors
    /// When watching broke down.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.watching.await.context("the first admin's link")
    }
}

/// Takes the file away once an admin can log in, or at the end.
async fn until_made(ledger: Ledger, file: PathBuf, stop: CancellationToken) {
    let mut size = ledger.size();
    let made = async {
        while size.changed().await.is_ok() {
            if matches!(is_missing(&ledger).await, Ok(false)) {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    stop.run_until_cancelled(made).await;
    if let Err(error) = take_away(&file) {
        tracing::warn!(file = %file.display(), %error, "the first admin's link could not be taken away");
    }
}

/// Writes the link for the service's account alone, into a file that nobody else has made.
fn write(file: &Path, link: &str) -> io::Result<()> {
    let mut new = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)?;
    writeln!(new, "{link}")?;
    new.sync_all()
}

fn take_away(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
