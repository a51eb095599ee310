//! Ends that name a closed task: the task is closed already, or by the same command.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::id::{CommandId, TaskId};

/// The only reason for which something is stopped or withdrawn.
pub(super) const TASK_CLOSED: &str = "task_closed";

/// Something that ended for that reason while its task was open.
#[derive(Debug)]
pub(super) struct Closing {
    position: u64,
    command_id: CommandId,
    task_id: TaskId,
}

impl History {
    /// Holds `reason` against the task: one that is open must be closed by this command.
    pub(super) fn ends_with_task(&mut self, now: &mut Now<'_>, task_id: TaskId, reason: &str) {
        now.expect(reason == TASK_CLOSED, Check::TaskClosed, || {
            format!("it ends for the reason {reason:?}, which is not known")
        });
        self.closings.push(Closing {
            position: now.position(),
            command_id: now.envelope.command_id,
            task_id,
        });
    }

    /// Before each event, and at the end (`None`): what other commands left open was not closed.
    pub(super) fn settle_closings(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |closing: &Closing| next != Some(closing.command_id);
        if !self.closings.iter().any(over) {
            return;
        }
        let (over, under_way) = std::mem::take(&mut self.closings)
            .into_iter()
            .partition(over);
        self.closings = under_way;
        for closing in over {
            let (position, task_id) = (closing.position, closing.task_id);
            // The commit may go on behind the last record.
            let goes_on = next.is_none() && self.ends_with(closing.command_id);
            let open = match self.streams.state(task_id) {
                Some(State::ClosedTask(_)) => continue,
                Some(State::Hidden(_, why)) => Err(*why),
                Some(State::Erased(_)) => Err(Obstacle::Erased),
                None if self.partial => Err(Obstacle::BeforeRange),
                _ if goes_on => Err(Obstacle::AfterRange),
                _ => Ok(()),
            };
            match open {
                Err(why) => findings.cannot(position, Check::TaskClosed, why),
                Ok(()) => {
                    let reason =
                        format!("it ends because task {task_id} was closed, which was not closed");
                    findings.add(Some(position), Check::TaskClosed, reason);
                }
            }
        }
    }
}
