//! The gate: holds back what was approved until it is witnessed, where the operator wants that.

use crate::supervisor::WorkersConfig;
use ledger::{Checkpoints, Ledger, SignedCheckpoint};
use std::future::pending;
use std::sync::Arc;
use tokio::sync::watch;

/// Lets through what the newest witnessed checkpoint covers.
#[derive(Debug, Clone)]
pub(crate) struct Gate(watch::Receiver<Option<Arc<SignedCheckpoint>>>);

impl Gate {
    /// `None` where nothing waits. A ledger without checkpoints is never witnessed: what was approved
    /// waits for ever then.
    pub(crate) fn new(config: &WorkersConfig, ledger: &Ledger) -> Option<Self> {
        let of_ledger = || {
            let checkpoints = ledger.checkpoints();
            let witnessed = checkpoints.map(Checkpoints::subscribe_witnessed);
            witnessed.unwrap_or_else(|| watch::Sender::new(None).subscribe())
        };
        config.approvals_wait_for_witness.then(|| Self(of_ledger()))
    }

    /// How many events are witnessed.
    pub(crate) fn size(&mut self) -> u64 {
        let witnessed = self.0.borrow_and_update();
        witnessed.as_ref().map_or(0, |newest| newest.size())
    }

    /// Waits until more is witnessed than [`Self::size`] has said; for ever without a gate.
    pub(crate) async fn moved(gate: &mut Option<Self>) {
        if let Some(Self(witnessed)) = gate
            && witnessed.changed().await.is_ok()
        {
            return;
        }
        pending().await
    }
}
