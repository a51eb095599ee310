//! `approval_deciders`: those who may decide each approval, so that theirs are found.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{ApprovalId, ApproverName, Event};

const SPEC: Spec = Spec {
    name: "approval_deciders",
    revision: 1,
    definition: "(
    -- Who may decide which approvals, one row for each principal of each.
    approver_principal TEXT NOT NULL,
    position           INTEGER NOT NULL,  -- of the event that asked it
    approval_id        TEXT NOT NULL,
    PRIMARY KEY (approver_principal, position)
) STRICT, WITHOUT ROWID",
    indexes: &[("approval_deciders_by_approval", "(position)")],
    fold_indexes: &[],
};

row! {
    pub(crate) struct DeciderRow in SPEC,
    key (principal: ApproverName = "approver_principal", position: u64 = "position") {
        principal: ApproverName = "approver_principal",
        position: u64,
        approval_id: ApprovalId,
    }
}

parts!(Parts: Table<ApprovalView>, Table<DeciderRow>);

/// Looks at who could decide before, so it comes before the fold of approvals.
pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    match &folding.recorded.event {
        Event::ApprovalRequested(requested) => {
            put(folding, requested.approval_id, &requested.approvers);
        }
        Event::ApprovalAsked(asked) => put(folding, asked.approval_id, &asked.approvers),
        Event::ApprovalNarrowed(narrowed) => {
            let id = ApprovalId::from(folding.recorded.stream_id());
            let approval = folding.known::<ApprovalView>("approval", &id)?;
            let position = approval.position;
            let before = approval.approvers.clone();
            for principal in before {
                if !narrowed.approvers.contains(&principal) {
                    let rows = folding.part::<Table<DeciderRow>>();
                    rows.remove(&(principal, position));
                }
            }
        }
        _ => {}
    }
    Ok(())
}

fn put(folding: &mut Folding<'_, impl Parts>, approval_id: ApprovalId, may: &[ApproverName]) {
    let position = folding.recorded.position();
    for principal in may {
        // A principal may be named twice.
        folding.part::<Table<DeciderRow>>().put(DeciderRow {
            principal: principal.clone(),
            position,
            approval_id,
        });
    }
}

/// Before the approvals' rows go, which say whose they are.
pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(task) = erased.subject.task() else {
        return Ok(());
    };
    let approvals = stored.set.table("approvals");
    let statement = format!(
        "DELETE FROM {{}} WHERE position IN (SELECT position FROM {approvals} WHERE task_id = ?)"
    );
    stored.erase(SPEC.name, &statement, [task.to_string()])
}
