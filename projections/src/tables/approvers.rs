//! `approvers`: the principals who may have credentials.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::aggregate::User;
use ledger::event::LedgerErased;
use ledger::{ApproverId, ApproverName, Event, Timestamp, UserId};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "approvers",
    revision: 3,
    definition: "(
    -- Principals who were given a credential, or invited to register one.
    approver_id        TEXT PRIMARY KEY,
    approver_principal TEXT NOT NULL UNIQUE,
    registered_at      TEXT NOT NULL,
    position           INTEGER NOT NULL,  -- of the event that registered it
    user_id            TEXT               -- the user that it belongs to, where to one
) STRICT, WITHOUT ROWID",
    indexes: &[("approvers_in_order", "(position)")],
    fold_indexes: &[],
};

row! {
    pub struct ApproverView in SPEC, key (approver_id: ApproverId = "approver_id") {
        pub approver_id: ApproverId,
        pub principal: ApproverName = "approver_principal",
        pub registered_at: Timestamp,
        /// The position of the event that registered it.
        pub position: u64,
        /// The user that it belongs to, where to one.
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
        _ => {}
    }
    Ok(())
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
