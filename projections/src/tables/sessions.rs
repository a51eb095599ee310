//! `sessions`: those of each user that have not ended by themselves. Whether one is in force the ledger
//! says: it also ends with its user's epoch.

use crate::error::Error;
use crate::projections::{Projections, read_ids};
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{Event, SessionId, Timestamp, UserId};

const SPEC: Spec = Spec {
    name: "sessions",
    revision: 1,
    definition: "(
    -- Sessions of users. Those that ended are taken away; those that ran out stay.
    session_id TEXT PRIMARY KEY,
    user_id    TEXT NOT NULL,
    opened_at  TEXT NOT NULL,
    expires_at TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[("sessions_by_user", "(user_id, opened_at)")],
    fold_indexes: &[],
};

row! {
    pub(crate) struct SessionRow in SPEC, key (session_id: SessionId = "session_id") {
        session_id: SessionId,
        user_id: UserId,
        opened_at: Timestamp,
        expires_at: Timestamp,
    }
}

parts!(Parts: Table<SessionRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) {
    match &folding.recorded.event {
        Event::SessionOpened(opened) => folding.insert(SessionRow {
            session_id: opened.session_id,
            user_id: opened.user_id,
            opened_at: folding.recorded.recorded_at(),
            expires_at: opened.expires_at,
        }),
        Event::SessionEnded(_) => {
            let id = SessionId::from(folding.recorded.stream_id());
            folding.part::<Table<SessionRow>>().remove(&id);
        }
        _ => {}
    }
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(user) = erased.subject.user() else {
        return Ok(());
    };
    let sql = "DELETE FROM {} WHERE user_id = ?";
    stored.erase(SPEC.name, sql, [user.to_string()])
}

impl Projections {
    /// The newest sessions of a user that have not ended by themselves, the newest first.
    pub async fn sessions(&self, user: UserId, limit: u32) -> Result<Vec<SessionId>, Error> {
        let query = sqlx::query(
            "SELECT session_id FROM sessions WHERE user_id = ? ORDER BY opened_at DESC LIMIT ?",
        );
        let query = query.bind(user.to_string()).bind(i64::from(limit));
        read_ids(self.readers(), query, SPEC.name, "session_id").await
    }
}
