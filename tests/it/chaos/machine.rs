//! The machine that the service believes to be on: its clock, its disk, its power.

use crate::shim::Shim;
use fixtures::sandbox::Sandbox;
use std::sync::atomic::{AtomicI64, Ordering};

/// What can be done to it while processes come and go. All of them read the same clock, the commands
/// of the checks too.
pub(super) struct Machine {
    shim: Shim,
    /// Where the clock stands when nothing disturbs it, in seconds beside the real one. It only goes
    /// forward: a ledger that holds an event of tomorrow cannot be written to before that.
    settled: AtomicI64,
    offset: AtomicI64,
}

impl Machine {
    /// From here on whatever is started in these sandbox runs on it.
    pub(super) fn under(sandbox: &mut Sandbox) -> Self {
        let shim = Shim::new(sandbox.folder());
        sandbox.settings.extend(shim.envs());
        Self {
            shim,
            settled: AtomicI64::new(0),
            offset: AtomicI64::new(0),
        }
    }

    /// How far its clock is from the real one, in seconds.
    pub(super) fn offset(&self) -> i64 {
        self.offset.load(Ordering::SeqCst)
    }

    /// Moves the clock from where it settled. Forward it stays so.
    pub(super) fn move_clock(&self, seconds: i64) {
        let settled = self.settled.load(Ordering::SeqCst);
        let forward = settled.saturating_add(seconds.max(0));
        self.settled.store(forward, Ordering::SeqCst);
        self.set_clock(settled.saturating_add(seconds));
    }

    /// Whether nothing more fits on its disk.
    pub(super) fn set_full(&self, is_full: bool) {
        self.shim.set_full(is_full);
    }

    /// Takes back what can be taken back.
    pub(super) fn calm(&self) {
        self.set_full(false);
        self.set_clock(self.settled.load(Ordering::SeqCst));
    }

    fn set_clock(&self, seconds: i64) {
        self.offset.store(seconds, Ordering::SeqCst);
        self.shim.set_clock(seconds);
    }
}
