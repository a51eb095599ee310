//! The cosignatures on one checkpoint.

use ledger::SignedCheckpoint;
use ledger::tlog::{Note, NoteError, NoteSignature, WitnessKey, WitnessPolicy};
use std::sync::Arc;

/// One checkpoint, until it is witnessed and there is a newer one. It stays the same while the log
/// grows: witnesses that are asked about different checkpoints never agree.
pub(super) struct Round {
    target: Arc<SignedCheckpoint>,
    note: Note,
    is_witnessed: bool,
    is_passed: bool,
}

impl Round {
    /// Begins with the note as it is, cosigned by nobody or by some already.
    pub(super) fn new(target: Arc<SignedCheckpoint>) -> Self {
        let note = target.note().clone();
        Self {
            target,
            note,
            is_witnessed: false,
            is_passed: false,
        }
    }

    pub(super) const fn target(&self) -> &Arc<SignedCheckpoint> {
        &self.target
    }

    /// True when the witness has cosigned it already.
    pub(super) fn has(&self, key: &WitnessKey) -> bool {
        matches!(key.cosignature(&self.note), Ok(Some(_)))
    }

    /// Takes a cosignature in; the note, when it is witnessed with it.
    ///
    /// # Errors
    /// When a line of the note does not hold; then it stays as it was.
    pub(super) fn add(
        &mut self,
        cosignature: NoteSignature,
        policy: &WitnessPolicy,
    ) -> Result<Option<Note>, NoteError> {
        let note = self.note.clone().with_signature(cosignature);
        let report = policy.evaluate(&note)?;
        self.note = note;
        Ok(report.witnessed.then(|| self.note.clone()))
    }

    /// It is witnessed, on disk and published.
    pub(super) const fn witnessed(&mut self) {
        self.is_witnessed = true;
    }

    /// Some witness has gone on from it, so it may never be witnessed.
    pub(super) const fn passed(&mut self) {
        self.is_passed = true;
    }

    /// True when a newer checkpoint is to be next.
    pub(super) fn gives_way_to(&self, newest: &SignedCheckpoint) -> bool {
        (self.is_witnessed || self.is_passed) && newest.size() > self.target.size()
    }
}
