//! A command on its way: the caller waits at one end, the writer decides at the other.

use super::transaction::Transaction;
use crate::command::Command;
use crate::error::Error;
use crate::event::Envelope;
use crate::storage::{BoxFuture, LookupKey};
use tokio::sync::oneshot;

/// The end of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// Its events, if any, are durable.
    Recorded,
    /// Nothing of it is in the log.
    NotRecorded,
    /// The writer stops.
    Stopped,
}

/// A command whose type the writer need not know.
pub(crate) trait Job: Send {
    fn envelope(&self) -> Envelope;

    /// See [`Command::looks_up`].
    fn looks_up(&self) -> Vec<LookupKey>;

    /// See [`Command::IS_ALONE`].
    fn is_alone(&self) -> bool;

    /// Decides; `true` when its events are to be kept.
    fn decide<'a>(&'a mut self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, bool>;

    /// Tells the caller. Callers that are gone are not missed: what was decided stays decided.
    fn answer(self: Box<Self>, outcome: BatchEnd);
}

pub(crate) struct TypedJob<C: Command> {
    pub(crate) command: Option<C>,
    pub(crate) envelope: Envelope,
    pub(crate) decision: Option<Result<C::Answer, Error>>,
    pub(crate) reply: oneshot::Sender<Result<C::Answer, Error>>,
}

impl<C: Command> Job for TypedJob<C> {
    fn envelope(&self) -> Envelope {
        self.envelope.clone()
    }

    fn looks_up(&self) -> Vec<LookupKey> {
        self.command
            .as_ref()
            .map(Command::looks_up)
            .unwrap_or_default()
    }

    fn is_alone(&self) -> bool {
        C::IS_ALONE
    }

    fn decide<'a>(&'a mut self, tx: &'a mut Transaction<'_>) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            let Some(command) = self.command.take() else {
                return false;
            };
            let mut decision = command.run(tx).await;
            if tx.is_user_unproven() {
                // What a user was admitted for may have been taken away since.
                decision = Err(Error::defect(
                    "a command asks no more whether its user acts",
                ));
            }
            let keep = decision.is_ok();
            self.decision = Some(decision);
            keep
        })
    }

    fn answer(self: Box<Self>, outcome: BatchEnd) {
        let answer = match (outcome, self.decision) {
            (BatchEnd::Recorded, Some(decision)) => decision,
            // A refusal that rests on states of a lost batch is not repeated: the caller asks again.
            (BatchEnd::NotRecorded, _) => Err(Error::NotRecorded),
            (BatchEnd::Stopped, _) => Err(Error::Stopped),
            (BatchEnd::Recorded, None) => Err(Error::defect("a command was not decided")),
        };
        // The caller hung up; the answer stands in the log.
        drop(self.reply.send(answer));
    }
}
