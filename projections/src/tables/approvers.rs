//! `approvers`: the principals who may have credentials.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Columns, Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::aggregate::User;
use ledger::event::LedgerErased;
use ledger::{ApproverId, ApproverName, Event, Timestamp, UserId};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "approvers",
    revision: 4,
    definition: "(
    -- Principals who were given a credential, or invited to register one.
    approver_id        TEXT PRIMARY KEY,
    approver_principal TEXT NOT NULL UNIQUE,
    registered_at      TEXT NOT NULL,
    position           INTEGER NOT NULL,  -- of the event that registered it
    user_id            TEXT               -- the user that it belongs to, where to one who was not deleted
) STRICT, WITHOUT ROWID",
    indexes: &[("approvers_in_order", "(position)")],
    fold_indexes: &[(
        "approvers_by_user",
        "(user_id) WHERE user_id IS NOT NULL",
    )],
};

row! {
    pub struct ApproverView in SPEC, key (approver_id: ApproverId = "approver_id") {
        pub approver_id: ApproverId,
        pub principal: ApproverName = "approver_principal",
        pub registered_at: Timestamp,
        /// The position of the event that registered it.
        pub position: u64,
        /// The user that it belongs to, where to one: its own user, or one who has shown a passkey of it and was not
        /// deleted.
        pub user_id: Option<UserId>,
    }
}

parts!(Parts: Table<ApproverView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    match &folding.recorded.event {
        Event::ApproverRegistered(registered) => {
            // The principal of a user's own passkeys says whose they are.
            let own = registered.principal.strip_prefix("user:");
            folding.insert(ApproverView {
                approver_id: registered.approver_id,
                principal: registered.principal.clone(),
                registered_at: folding.recorded.recorded_at(),
                position: folding.recorded.position(),
                user_id: own.and_then(|id| id.parse().ok()),
            });
        }
        Event::PrincipalLinked(linked) => {
            let user = folding.recorded.stream_id().into();
            // It may have been erased since.
            if let Some(approver) = folding.edit::<ApproverView>(&linked.approver_id)? {
                approver.user_id = Some(user);
            }
        }
        Event::UserDeleted(_) => leave(folding)?,
        _ => {}
    }
    Ok(())
}

/// Takes from the event's user the principals that they had shown a passkey of: another user may show one now. Who held
/// one before tells nothing of it, so that an erasure of who holds it now leaves the same row as a fold without them.
fn leave(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let user = UserId::from(folding.recorded.stream_id());
    let own = User::principal_of(user);
    let mut ids = stored_of(folding.stored, user)?;
    for row in folding.part::<Table<ApproverView>>().unwritten() {
        if row.user_id == Some(user) && !ids.contains(&row.approver_id) {
            ids.push(row.approver_id);
        }
    }
    for id in ids {
        if let Some(approver) = folding.edit::<ApproverView>(&id)?
            && approver.user_id == Some(user)
            && approver.principal != own
        {
            approver.user_id = None;
        }
    }
    Ok(())
}

fn stored_of(stored: Stored<'_>, user: UserId) -> Result<Vec<ApproverId>, Error> {
    let failed = || Error::sqlite("reading the approvers of a user");
    let table = stored.set.table(SPEC.name);
    let sql = format!("SELECT approver_id FROM {table} WHERE user_id = ? ORDER BY position");
    let mut query = stored.db.prepare_cached(&sql).map_err(failed())?;
    let mut rows = query.query([user.to_string()]).map_err(failed())?;
    let mut ids = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        ids.push(Columns::folded(row, SPEC.name).get("approver_id")?);
    }
    Ok(ids)
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    if let Some(user) = erased.subject.user() {
        // A principal that the user had shown a passkey of. Their own says whose it is.
        let own = User::principal_of(user).into();
        let sql = "UPDATE {} SET user_id = NULL WHERE user_id = ?1 AND approver_principal <> ?2";
        let params: [String; 2] = [user.to_string(), own];
        return stored.erase(SPEC.name, sql, params);
    }
    let Some(id) = erased.subject.approver() else {
        return Ok(());
    };
    let sql = "DELETE FROM {} WHERE approver_id = ?";
    stored.erase(SPEC.name, sql, [id.to_string()])
}

pub(crate) fn listing(paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM approvers WHERE position < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Those who have credentials or were invited to register one, the newest first.
    pub async fn approvers(&self, paging: Paging) -> Result<Page<ApproverView>, Error> {
        let query = listing(paging);
        let position = |approver: &ApproverView| approver.position;
        self.page(Projection::Approvers, query, paging, position)
            .await
    }
}
