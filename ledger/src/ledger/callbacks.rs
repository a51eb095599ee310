//! Where deliveries go.

use super::Ledger;
use crate::aggregate::Task;
use crate::error::Error;
use crate::event::{Event, RegisteredCallback};
use crate::id::{CallbackId, StreamId, TaskId};
use crate::rejection::Rejection;

impl Ledger {
    /// A registration of the task's, replaced ones included; `None` where the task has none of that
    /// id, or was erased. What is sent, and where to, follows from the log alone.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub async fn callback(
        &self,
        task: TaskId,
        callback: CallbackId,
    ) -> Result<Option<RegisteredCallback>, Error> {
        let current = match self.load::<Task>(task).await {
            Err(Error::Rejected(Rejection::Erased)) | Ok(None) => return Ok(None),
            Err(error) => return Err(error),
            Ok(Some(task)) => task
                .callbacks()
                .find(|known| known.callback_id == callback)
                .cloned(),
        };
        if current.is_some() {
            return Ok(current);
        }
        // It was replaced by now, which is rare: the task's state does not keep those before.
        let stream = StreamId::from(task);
        let size = *self.shared.size.borrow();
        let events = self.noted(self.log.stream(stream, size).await)?;
        let mut sets = events
            .into_iter()
            .filter_map(|recorded| match recorded.event {
                Event::CallbackSet(set) => Some(set.callback),
                _ => None,
            });
        Ok(sets.find(|set| set.callback_id == callback))
    }
}
