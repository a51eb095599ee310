//! The newest checkpoint that enough witnesses have cosigned. Who collects cosignatures and what is
//! enough is decided elsewhere; this is where it is shown.

use super::{Checkpoints, SignedCheckpoint};
use crate::tlog::{CheckpointError, Note};
use std::sync::Arc;
use tokio::sync::watch;

impl Checkpoints {
    /// The newest witnessed checkpoint, its note with the cosignatures; `None` while there is none. An
    /// event is *appended*, then *checkpointed* once its position is below the newest checkpoint's
    /// size, then *witnessed* once it is below this one's.
    #[must_use]
    pub fn witnessed(&self) -> Option<Arc<SignedCheckpoint>> {
        self.0.witnessed.borrow().clone()
    }

    /// The newest witnessed checkpoint, and those to come.
    #[must_use]
    pub fn subscribe_witnessed(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        self.0.witnessed.subscribe()
    }

    /// Shows a checkpoint of this log as witnessed. The caller has found the cosignatures to be enough
    /// and has put the note on disk. One that is smaller than what is shown already changes nothing.
    ///
    /// # Errors
    /// When the log has not signed it.
    pub fn publish_witnessed(&self, note: Note) -> Result<(), CheckpointError> {
        let next = SignedCheckpoint::open(note, self.key(), self.origin())?;
        self.0.witnessed.send_if_modified(|witnessed| {
            let goes_on = witnessed
                .as_ref()
                .is_none_or(|known| known.size() <= next.size());
            if goes_on {
                *witnessed = Some(Arc::new(next));
            }
            goes_on
        });
        Ok(())
    }
}
