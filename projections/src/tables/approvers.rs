//! `approvers`: the principals who may have credentials.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{ApproverId, ApproverName, Event, Timestamp};

const SPEC: Spec = Spec {
    name: "approvers",
    revision: 1,
    definition: "(
    -- Principals who were given a credential, or invited to register one.
    approver_id        TEXT PRIMARY KEY,
    approver_principal TEXT NOT NULL UNIQUE,
    registered_at      TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub(crate) struct ApproverRow in SPEC, key (approver_id: ApproverId = "approver_id") {
        approver_id: ApproverId,
        pub(crate) principal: ApproverName = "approver_principal",
        registered_at: Timestamp,
    }
}

parts!(Parts: Table<ApproverRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    if let Event::ApproverRegistered(registered) = &folding.recorded.event {
        folding.insert(ApproverRow {
            approver_id: registered.approver_id,
            principal: registered.principal.clone(),
            registered_at: folding.recorded.recorded_at(),
        });
    }
    Ok(())
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(id) = erased.subject.approver() else {
        return Ok(());
    };
    let sql = "DELETE FROM {} WHERE approver_id = ?";
    stored.erase(SPEC.name, sql, [id.to_string()])
}
