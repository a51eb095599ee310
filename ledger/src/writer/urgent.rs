//! Commands that go before all that wait: a lock is in force one batch later, however many others wait.

use super::Job;
use super::job::BatchEnd;
use super::transaction::Transaction;
use crate::event::Envelope;
use crate::id::CommandId;
use crate::storage::{BoxFuture, LookupKey};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

type Waiting = Mutex<Vec<Box<dyn Job>>>;

/// The end at which commands are handed in.
#[derive(Clone, Default)]
pub(crate) struct Urgent(Arc<Waiting>);

/// The writer's end. Who waits when it goes is told so.
pub(crate) struct UrgentQueue(Arc<Waiting>);

impl Urgent {
    pub(crate) fn queue(&self) -> UrgentQueue {
        UrgentQueue(Arc::clone(&self.0))
    }

    /// Hands a command in; `false` when the writer has stopped.
    pub(crate) fn push(&self, job: Box<dyn Job>, jobs: &mpsc::Sender<Box<dyn Job>>) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(job);
        drop(waiting);
        // A full queue wakes the writer by itself.
        let woken = jobs.try_send(Box::new(Nudge));
        !matches!(woken, Err(mpsc::error::TrySendError::Closed(_)))
    }
}

impl UrgentQueue {
    /// Puts what waits here before what waits there.
    pub(crate) fn take_into(&self, waiting: &mut Vec<Box<dyn Job>>) {
        let mut urgent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(waiting.splice(..0, urgent.drain(..)));
    }
}

impl Drop for UrgentQueue {
    fn drop(&mut self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }
}

/// Wakes the writer.
struct Nudge;

impl Job for Nudge {
    fn envelope(&self) -> Envelope {
        Envelope {
            actor: crate::event::Actor::system("ledger"),
            request_id: None,
            cause: None,
            command_id: CommandId::from_bytes([0; 16]),
        }
    }

    fn looks_up(&self) -> Vec<LookupKey> {
        Vec::new()
    }

    fn is_alone(&self) -> bool {
        false
    }

    fn decide<'a>(&'a mut self, _: &'a mut Transaction<'_>) -> BoxFuture<'a, bool> {
        Box::pin(std::future::ready(false))
    }

    fn answer(self: Box<Self>, _: BatchEnd) {}
}
