//! `admissions`: blocks and allows, by whom and why.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, as_list, read_all};
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::describe::who;
use ledger::event::ClientTarget;
use ledger::{AdmissionId, ApprovalId, Event, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "admissions",
    revision: 2,
    definition: "(
    -- Blocks and allows, those that have ended too.
    admission_id TEXT PRIMARY KEY,
    list         TEXT NOT NULL,     -- block, allow
    kind         TEXT NOT NULL,     -- agent, subject, address, asn
    value        TEXT NOT NULL,     -- whose requests; of an agent its id
    reason       TEXT,
    set_by       TEXT NOT NULL,     -- who set it
    set_at       TEXT NOT NULL,
    until        TEXT,              -- when it ends by itself; empty where it is to be lifted
    lifted_at    TEXT,              -- empty while nobody has lifted it
    approval_id  TEXT,              -- the question with whose decision it was set
    position     INTEGER NOT NULL   -- of the event that set it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("admissions_by_list", "(list, position)"),
        (
            "admissions_by_question",
            "(approval_id) WHERE approval_id IS NOT NULL",
        ),
    ],
    fold_indexes: &[],
};

row! {
    /// A block or an allow.
    pub struct AdmissionView in SPEC, key (admission_id: AdmissionId = "admission_id") {
        pub admission_id: AdmissionId,
        /// `block` or `allow`.
        pub list: String,
        /// `agent`, `subject`, `address` or `asn`.
        pub kind: String,
        /// Whose requests it is about; of an agent its id.
        pub value: String,
        pub reason: Option<String>,
        /// Who set it, in a phrase.
        pub set_by: String,
        pub set_at: Timestamp,
        /// When it ends by itself.
        pub until: Option<Timestamp>,
        /// When somebody lifted it.
        pub lifted_at: Option<Timestamp>,
        /// The question with whose decision it was set.
        pub approval_id: Option<String>,
        /// The position of the event that set it.
        pub position: u64,
    }
}

impl AdmissionView {
    /// Whether it counts at that time.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.until.is_none_or(|until| now < until)
    }
}

parts!(Parts: Table<AdmissionView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let recorded = folding.recorded;
    let row =
        |id, list: &str, target: &ClientTarget, reason: &Option<String>, until| AdmissionView {
            admission_id: id,
            list: list.to_owned(),
            kind: target.kind().to_owned(),
            value: target.value(),
            reason: reason.clone(),
            set_by: who(&recorded.envelope.actor),
            set_at: recorded.recorded_at(),
            until,
            lifted_at: None,
            approval_id: None,
            position: recorded.position(),
        };
    match &recorded.event {
        Event::BlockSet(set) => folding.insert(AdmissionView {
            approval_id: set.approval_id.map(|id| id.to_string()),
            ..row(
                set.admission_id,
                "block",
                &set.target,
                &set.reason,
                set.until,
            )
        }),
        Event::AllowSet(set) => {
            folding.insert(row(
                set.admission_id,
                "allow",
                &set.target,
                &set.reason,
                set.until,
            ));
        }
        Event::BlockLifted(_) | Event::AllowLifted(_) => {
            let id = AdmissionId::from(recorded.stream_id());
            let at = recorded.recorded_at();
            let admission = folding.edit_known::<AdmissionView>("admission", &id)?;
            admission.lifted_at.get_or_insert(at);
        }
        _ => {}
    }
    Ok(())
}

pub(crate) fn listing(list: &'static str, paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM admissions WHERE position < ");
    query.push_bind(paging.below());
    query.push(" AND list = ").push_bind(list);
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// The blocks that were set with the decisions of these questions.
    pub async fn blocks_of(&self, questions: &[ApprovalId]) -> Result<Vec<AdmissionView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM admissions WHERE list = 'block' AND approval_id IS NOT NULL
                 AND approval_id IN (SELECT value FROM json_each(?))",
        );
        read_all(self.readers(), query.bind(as_list(questions))).await
    }

    /// Blocks (`block`) or allows (`allow`), those that have ended too, the newest first.
    pub async fn admissions(
        &self,
        list: &'static str,
        paging: Paging,
    ) -> Result<Page<AdmissionView>, Error> {
        let position = |admission: &AdmissionView| admission.position;
        self.page(Projection::Agents, listing(list, paging), paging, position)
            .await
    }
}
