//! The running service's end of the control socket.

use super::account::Account;
use super::action::{Action, Performed, UnderWay};
use anyhow::Context;
use serde::Serialize;
use std::fs::Permissions;
use std::future::Future;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::unix::WriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The longest request, in bytes.
const MOST_BYTES: u64 = 64 * 1024;

/// Conversations at a time; whoever comes then waits.
const AT_A_TIME: usize = 32;

/// How long a connected process may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(5);

/// The wait after a connection could not be accepted, at first and at most: what keeps one from
/// being accepted (no free file descriptor) does not pass at once.
const FIRST_REST: Duration = Duration::from_millis(100);
const LONGEST_REST: Duration = Duration::from_secs(10);

/// Between two words about how far an action is.
const BETWEEN_WORDS: Duration = Duration::from_secs(1);

/// Where an action says how far it is.
pub(crate) type Telling = watch::Sender<String>;

/// A socket that the service's own account and root may use. The file goes with the value; one that
/// a killed service left behind is replaced, which is safe because only the holder of the ledger's
/// writer lock comes here.
pub(crate) struct ControlSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ControlSocket {
    /// Listens on the path. The writer lock of the ledger must be held.
    ///
    /// # Errors
    /// When the path cannot be bound: too long for a socket (about 100 bytes), or not writable.
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Self> {
        match std::fs::remove_file(path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error).context("removing an old control socket"),
        }
        let listener = UnixListener::bind(path)
            .with_context(|| format!("listening on the control socket {}", path.display()))?;
        // Until here the umask decides who may connect; whoever did is asked for their account.
        std::fs::set_permissions(path, Permissions::from_mode(0o600))
            .context("closing the control socket to others")?;
        Ok(Self {
            listener,
            path: path.to_owned(),
        })
    }

    /// Carries out what is asked until told to stop, and then ends what is under way. An action that
    /// takes long keeps no other waiting.
    pub(crate) async fn serve<P, F>(self, perform: P, stop: CancellationToken)
    where
        P: Fn(Account, Action, Telling) -> F + Send + Sync + 'static,
        F: Future<Output = Performed> + Send + 'static,
    {
        let listener = &self.listener;
        let perform = Arc::new(perform);
        let mut conversations = JoinSet::new();
        metrics::gauge!("control_connections").set(0.0);
        while let Some((stream, _)) = accepted(|| listener.accept(), &stop).await {
            let perform = Arc::clone(&perform);
            conversations.spawn(async move {
                metrics::gauge!("control_connections").increment(1.0);
                if let Err(error) = converse(stream, &*perform).await {
                    tracing::warn!(error = format!("{error:#}"), "a control connection failed");
                }
                metrics::gauge!("control_connections").decrement(1.0);
            });
            while conversations.try_join_next().is_some() {}
            if conversations.len() >= AT_A_TIME {
                stop.run_until_cancelled(conversations.join_next()).await;
            }
        }
        while conversations.join_next().await.is_some() {}
    }
}

impl Drop for ControlSocket {
    fn drop(&mut self) {
        // Left behind it does no harm: nobody answers there, and the next start replaces it.
        drop(std::fs::remove_file(&self.path));
    }
}

/// The next connection, however long it takes; `None` when told to stop.
async fn accepted<T, F>(accept: impl Fn() -> F, stop: &CancellationToken) -> Option<T>
where
    F: Future<Output = std::io::Result<T>>,
{
    let mut rest = FIRST_REST;
    loop {
        match stop.run_until_cancelled(accept()).await? {
            Ok(connection) => return Some(connection),
            Err(error) => tracing::warn!(
                %error,
                wait_ms = rest.as_millis(),
                "a control connection cannot be accepted"
            ),
        }
        stop.run_until_cancelled(tokio::time::sleep(rest)).await?;
        rest = rest.saturating_mul(2).min(LONGEST_REST);
    }
}

async fn converse<F>(
    mut stream: UnixStream,
    perform: &impl Fn(Account, Action, Telling) -> F,
) -> anyhow::Result<()>
where
    F: Future<Output = Performed>,
{
    let account = Account::of_peer(&stream).context("asking who connects")?;
    let own = Account::own()?;
    if account.uid() != own.uid() && account.uid() != 0 {
        anyhow::bail!("{} may not use the control socket", account.name());
    }
    let (reading, mut writing) = stream.split();
    let mut line = String::new();
    let mut reading = BufReader::new(reading.take(MOST_BYTES));
    tokio::time::timeout(PATIENCE, reading.read_line(&mut line))
        .await
        .context("nothing was asked in time")??;
    if line.is_empty() {
        // Somebody only looked whether the service listens.
        return Ok(());
    }
    let performed = match serde_json::from_str(&line) {
        Ok(action) => {
            let (tell, told) = watch::channel(String::new());
            let performing = perform(account, action, tell);
            tell_until(performing, told, &mut writing).await?
        }
        Err(error) => Performed::Refused {
            text: format!("not understood: {error}"),
        },
    };
    write_line(&mut writing, &performed).await
}

/// Waits for the end of an action, and says now and then how far it is. When nobody listens any more
/// it is not waited for: what was begun by it ends by itself.
async fn tell_until(
    performing: impl Future<Output = Performed>,
    mut told: watch::Receiver<String>,
    writing: &mut WriteHalf<'_>,
) -> anyhow::Result<Performed> {
    tokio::pin!(performing);
    let mut ticks = tokio::time::interval(BETWEEN_WORDS);
    loop {
        tokio::select! {
            performed = &mut performing => return Ok(performed),
            _ = ticks.tick() => {
                let under_way = told.borrow_and_update().clone();
                if !under_way.is_empty() {
                    write_line(writing, &UnderWay { under_way }).await?;
                }
            }
        }
    }
}

async fn write_line(writing: &mut WriteHalf<'_>, line: &impl Serialize) -> anyhow::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    tokio::time::timeout(PATIENCE, writing.write_all(&bytes))
        .await
        .context("the answer was not taken in time")??;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::client::ask_service;
    use super::*;
    use std::os::unix::fs::MetadataExt;

    fn action(reason: &str) -> Action {
        Action::CloseTask {
            task: "t".to_owned(),
            reason: reason.to_owned(),
        }
    }

    #[tokio::test]
    async fn an_action_crosses_with_the_account_that_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.db.sock");
        assert!(
            ask_service(&path, &action("a")).unwrap().is_none(),
            "nobody listens"
        );
        let stop = CancellationToken::new();
        let socket = ControlSocket::bind(&path).unwrap();
        assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
        let served = tokio::spawn(socket.serve(
            |account: Account, action, _| async move {
                let own = Account::own().unwrap();
                assert_eq!(account, own);
                Performed::Done {
                    text: format!("{action:?}"),
                }
            },
            stop.clone(),
        ));
        let asked = path.clone();
        let answer = tokio::task::spawn_blocking(move || ask_service(&asked, &action("done")));
        let Some(Performed::Done { text }) = answer.await.unwrap().unwrap() else {
            panic!("not done");
        };
        assert!(text.contains("\"done\""), "{text}");
        stop.cancel();
        served.await.unwrap();
        assert!(!path.exists(), "the socket goes with the service");
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_be_accepted_is_tried_again_ever_more_seldom() {
        let tries = std::cell::Cell::new(0);
        let accept = || {
            tries.set(tries.get() + 1);
            std::future::ready(if tries.get() < 20 {
                Err(std::io::Error::from(ErrorKind::OutOfMemory))
            } else {
                Ok(tries.get())
            })
        };
        let began = tokio::time::Instant::now();
        assert_eq!(accepted(accept, &CancellationToken::new()).await, Some(20));
        assert!(began.elapsed() > LONGEST_REST * 10);
    }

    #[tokio::test]
    async fn what_a_killed_service_left_behind_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("l.db.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        assert!(ask_service(&path, &action("a")).unwrap().is_none());
        ControlSocket::bind(&path).unwrap();
    }
}
