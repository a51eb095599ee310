//! `erased_streams`: what there was and is not any more. All that is left of it in the read tables,
//! beside the times in the timeline.

use crate::error::Error;
use crate::projections::{Projections, read_one};
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::LedgerErased;
use ledger::{StreamId, Timestamp};

const SPEC: Spec = Spec {
    name: "erased_streams",
    revision: 1,
    definition: "(
    -- Streams whose payloads were erased.
    stream_id  TEXT PRIMARY KEY,
    kind       TEXT NOT NULL,     -- task, apply, approval, delivery, refusal, agent, approver
    subject_id TEXT NOT NULL,     -- the task, agent or approver that was named to be erased
    erased_by  INTEGER NOT NULL,  -- the position of the event that says who erased it and why
    erased_at  TEXT NOT NULL
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub struct ErasedView in SPEC, key (stream_id: StreamId = "stream_id") {
        pub stream_id: StreamId,
        /// The kind of stream: `task`, `apply`.
        pub kind: String,
        /// The task, agent or approver that was named to be erased.
        pub subject_id: StreamId,
        /// The position of the event that says who erased it and why.
        pub erased_by: u64,
        pub erased_at: Timestamp,
    }
}

parts!(Parts: Table<ErasedView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>, erased: &LedgerErased) {
    for stream in &erased.streams {
        folding.insert(ErasedView {
            stream_id: stream.stream_id,
            kind: stream.kind.as_str().to_owned(),
            subject_id: erased.subject.stream(),
            erased_by: folding.recorded.position(),
            erased_at: folding.recorded.recorded_at(),
        });
    }
}

impl Projections {
    /// Whether anything was ever erased.
    pub async fn has_erased(&self) -> Result<bool, Error> {
        let any = sqlx::query("SELECT 1 FROM erased_streams LIMIT 1");
        let any = any.fetch_optional(self.readers()).await;
        Ok(any
            .map_err(Error::database("reading what was erased"))?
            .is_some())
    }

    /// The rest of a stream that was erased; `None` for every other one.
    pub async fn erased(&self, id: impl Into<StreamId>) -> Result<Option<ErasedView>, Error> {
        read_one(self.readers(), &id.into()).await
    }
}
