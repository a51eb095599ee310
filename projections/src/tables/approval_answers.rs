//! `approval_answers`: whose answers ended each question, so that theirs are found in the history.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts};
use ledger::event::{Approved, Denied, LedgerErased};
use ledger::{ApprovalId, ApproverName, Event};

const SPEC: Spec = Spec {
    name: "approval_answers",
    revision: 1,
    definition: "(
    -- Whose answers ended which questions: who decided, and those whose votes stood then.
    approver_principal TEXT NOT NULL,
    answered           INTEGER NOT NULL,  -- the position of the event that answered the question
    approval_id        TEXT NOT NULL,
    PRIMARY KEY (approver_principal, answered)
) STRICT, WITHOUT ROWID",
    indexes: &[("approval_answers_by_approval", "(approval_id)")],
    fold_indexes: &[],
};

row! {
    pub(crate) struct AnswerRow in SPEC,
    key (principal: ApproverName = "approver_principal", answered: u64 = "answered") {
        principal: ApproverName = "approver_principal",
        answered: u64,
        approval_id: ApprovalId,
    }
}

parts!(Parts: Table<ApprovalView>, Table<AnswerRow>);

/// Looks at who had voted and whether the question was answered before, so it comes before the fold of approvals.
pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let decider = match &folding.recorded.event {
        Event::ApprovalApproved(Approved(decided)) | Event::ApprovalDenied(Denied(decided)) => {
            Some(decided.principal.clone())
        }
        Event::ApprovalExpired(_) | Event::ApprovalCancelled(_) => None,
        _ => return Ok(()),
    };
    let answered = folding.recorded.position();
    let approval_id = ApprovalId::from(folding.recorded.stream_id());
    let approval = folding.known::<ApprovalView>("approval", &approval_id)?;
    if approval.answered.is_some() {
        return Ok(());
    }
    let voters = approval.voters.clone();
    for principal in voters.into_iter().chain(decider) {
        folding.part::<Table<AnswerRow>>().put(AnswerRow {
            principal,
            answered,
            approval_id,
        });
    }
    Ok(())
}

/// Before the approvals' rows go, which say whose they are.
pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(task) = erased.subject.task() else {
        return Ok(());
    };
    let approvals = stored.set.table("approvals");
    let statement = format!(
        "DELETE FROM {{}} WHERE approval_id IN (SELECT approval_id FROM {approvals} WHERE task_id = ?)"
    );
    stored.erase(SPEC.name, &statement, [task.to_string()])
}
