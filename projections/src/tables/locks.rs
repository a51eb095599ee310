//! `locks`: what was stopped, by whom and why.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::describe::who;
use ledger::{Event, LockId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "locks",
    revision: 1,
    definition: "(
    -- Locks, those that have ended too.
    lock_id   TEXT PRIMARY KEY,
    kind      TEXT NOT NULL,     -- all, agent, owner, task, operation, key, user or credential
    target    TEXT,              -- the id of what it stops; empty for all
    reason    TEXT NOT NULL,
    set_by    TEXT NOT NULL,     -- who set it
    set_at    TEXT NOT NULL,
    until     TEXT,              -- when it ends by itself; empty where it is to be lifted
    lifted_at TEXT,              -- empty while nobody has lifted it
    position  INTEGER NOT NULL   -- of the event that set it
) STRICT, WITHOUT ROWID",
    indexes: &[("locks_by_position", "(position)")],
    fold_indexes: &[],
};

row! {
    /// A lock.
    pub struct LockView in SPEC, key (lock_id: LockId = "lock_id") {
        pub lock_id: LockId,
        /// What it stops: `all`, `agent`, ….
        pub kind: String,
        /// The id of what it stops: of an agent or user its stream; none for all.
        pub target: Option<String>,
        pub reason: String,
        /// Who set it, in a phrase.
        pub set_by: String,
        pub set_at: Timestamp,
        /// When it ends by itself.
        pub until: Option<Timestamp>,
        /// When somebody lifted it.
        pub lifted_at: Option<Timestamp>,
        /// The position of the event that set it.
        pub position: u64,
    }
}

impl LockView {
    /// Whether it stops its target at that time.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.until.is_none_or(|until| now < until)
    }
}

parts!(Parts: Table<LockView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let at = recorded.recorded_at();
    match &recorded.event {
        Event::LockSet(set) => folding.insert(LockView {
            lock_id: set.lock_id,
            kind: set.target.kind().to_owned(),
            target: set.target.id(),
            reason: set.reason.clone(),
            set_by: who(&recorded.envelope.actor),
            set_at: at,
            until: set.until,
            lifted_at: None,
            position: recorded.position(),
        }),
        Event::LockLifted(_) => {
            let id = LockId::from(recorded.stream_id());
            let lock = folding.edit_known::<LockView>("lock", &id)?;
            lock.lifted_at.get_or_insert(at);
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn listing(paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM locks WHERE position < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Locks, those that have ended too, the newest first.
    pub async fn locks(&self, paging: Paging) -> Result<Page<LockView>, Error> {
        let position = |lock: &LockView| lock.position;
        self.page(Projection::Agents, listing(paging), paging, position)
            .await
    }
}
