//! Viewer tokens: they read one task for a few minutes, on a page that nobody is signed in to. They are
//! signed and stored nowhere; they last no longer than the session of whoever minted them.

use super::link::{LinkKey, Said};
use crate::authorize::NamedTask;
use crate::identity::session::{SessionCredential, SessionPointer, UserSession};
use crate::refusal::{Error, Forbidden, Unauthorized};
use ledger::aggregate::Task;
use ledger::{Ledger, LedgerId, Rejection, TaskId, Timestamp};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// How long one lives.
pub(crate) const LIFE: Duration = Duration::from_secs(300);

/// What a viewer token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ViewerToken {
    purpose: Purpose,
    pub task_id: TaskId,
    ledger_id: LedgerId,
    /// In seconds since 1970.
    exp: i64,
    /// The session of whoever minted it, where it was a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minter: Option<SessionPointer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Purpose {
    Viewer,
}

impl Said for ViewerToken {
    const AUDIENCE: &'static str = "llm-proxy-viewer";
}

/// The key of viewer tokens, derived from JWT_SECRET.
#[must_use]
pub fn viewer_key(secret: &[u8]) -> LinkKey<ViewerToken> {
    LinkKey::derived(secret, b"llm-permission-proxy viewer v1")
}

impl ViewerToken {
    pub(crate) fn of(ledger: &Ledger, task: &Task, minter: Option<SessionPointer>) -> Self {
        Self {
            purpose: Purpose::Viewer,
            task_id: task.id,
            ledger_id: ledger.id(),
            exp: ledger.now().plus(LIFE).as_seconds(),
            minter,
        }
    }

    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }

    /// The task, while the token reads it.
    ///
    /// # Errors
    /// [`Unauthorized::TokenExpired`]; [`Rejection::TokenRevoked`] once the task is closed or the session of
    /// whoever minted it has ended; [`Forbidden::OtherTask`] when the request names another task.
    pub(crate) async fn opens(
        &self,
        ledger: &Ledger,
        named: NamedTask,
    ) -> Result<Arc<Task>, Error> {
        let (task, _) = self.in_force(ledger).await?;
        match named {
            NamedTask::None => Ok(task),
            NamedTask::Id(named) if named == self.task_id => Ok(task),
            NamedTask::Id(_) | NamedTask::Malformed => Err(Forbidden::OtherTask.into()),
        }
    }

    /// The task, with the session that the token lasts as long as.
    async fn in_force(&self, ledger: &Ledger) -> Result<(Arc<Task>, Option<UserSession>), Error> {
        if self.ledger_id != ledger.id() {
            return Err(Unauthorized::TokenInvalid.into());
        }
        if ledger.now() >= self.expires_at() {
            return Err(Unauthorized::TokenExpired.into());
        }
        let minter = self.minter_session(ledger).await?;
        let task = ledger.load::<Task>(self.task_id).await?;
        let task = task.ok_or(Rejection::TokenUnknown)?;
        match task.closed_at {
            Some(_) => Err(Rejection::TokenRevoked.into()),
            None => Ok((task, minter)),
        }
    }

    /// The session of whoever minted it, where it was a person.
    async fn minter_session(&self, ledger: &Ledger) -> Result<Option<UserSession>, Error> {
        let Some(pointer) = &self.minter else {
            return Ok(None);
        };
        let shown = SessionCredential::Bearer(pointer.clone());
        match shown.session(ledger).await {
            Err(Error::Ledger(ledger::Error::Rejected(_))) => Err(Rejection::TokenRevoked.into()),
            session => session.map(Some),
        }
    }

    /// Waits until it opens nothing any more, which nobody does for longer than `patience`.
    pub(crate) async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        loop {
            let minter = match self.in_force(ledger).await {
                Ok((_, minter)) => minter,
                Err(refused) => return refused,
            };
            let left = self.expires_at().since(ledger.now()).min(patience);
            let is_closed = |task: &Task| task.closed_at.is_some();
            let closed = ledger.wait_for(self.task_id, left, is_closed);
            let changed = match minter {
                None => closed.await.map(drop),
                Some(session) => tokio::select! {
                    changed = closed => changed.map(drop),
                    // The token's own refusal is told.
                    _ = session.ended(ledger, left) => Ok(()),
                },
            };
            if let Err(error) = changed {
                return error.into();
            }
        }
    }
}
