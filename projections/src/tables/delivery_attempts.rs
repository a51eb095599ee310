//! `delivery_attempts`: every try of every delivery.

use crate::error::Error;
use crate::projections::{Projections, read_all};
use crate::status::AttemptStatus;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, missing, parts};
use ledger::event::{AfterAttempt, AttemptEnded, AttemptOutcome, LedgerErased};
use ledger::{DeliveryId, Event, Timestamp};

const SPEC: Spec = Spec {
    name: "delivery_attempts",
    revision: 1,
    definition: "(
    -- Tries of deliveries.
    delivery_id     TEXT NOT NULL,
    attempt         INTEGER NOT NULL,  -- from 1, counted on after a retry by hand
    outcome         TEXT NOT NULL,     -- under_way, delivered, failed, interrupted
    http_status     INTEGER,
    error           TEXT,              -- a stable code
    error_text      TEXT,
    started_at      TEXT NOT NULL,
    ended_at        TEXT,
    duration_micros INTEGER,
    retry_at        TEXT,              -- the next try, where there was to be one
    PRIMARY KEY (delivery_id, attempt)
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub struct AttemptView in SPEC,
    key (delivery_id: DeliveryId = "delivery_id", attempt: u32 = "attempt") {
        pub delivery_id: DeliveryId,
        /// The number of the try, from 1.
        pub attempt: u32,
        pub outcome: AttemptStatus,
        /// The receiver's answer, where there was one.
        pub http_status: Option<u16>,
        /// A stable code.
        pub error: Option<String>,
        /// An account for people.
        pub error_text: Option<String>,
        pub started_at: Timestamp,
        pub ended_at: Option<Timestamp>,
        /// How long it took, in microseconds.
        pub duration_micros: Option<u64>,
        /// The next try, where there was to be one.
        pub retry_at: Option<Timestamp>,
    }
}

/// Before the deliveries' rows go, which say whose they are.
pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    let Some(task) = erased.subject.task() else {
        return Ok(());
    };
    let deliveries = stored.set.table("deliveries");
    let statement = format!(
        "DELETE FROM {{}} WHERE delivery_id IN
             (SELECT delivery_id FROM {deliveries} WHERE task_id = ?)"
    );
    stored.erase(SPEC.name, &statement, [task.to_string()])
}

parts!(Parts: Table<AttemptView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let delivery_id = DeliveryId::from(folding.recorded.stream_id());
    match &folding.recorded.event {
        Event::AttemptStarted(started) => folding.insert(AttemptView {
            delivery_id,
            attempt: started.attempt,
            outcome: AttemptStatus::UnderWay,
            http_status: None,
            error: None,
            error_text: None,
            started_at: at,
            ended_at: None,
            duration_micros: None,
            retry_at: None,
        }),
        Event::AttemptEnded(ended) => {
            let key = (delivery_id, ended.attempt);
            let Some(attempt) = folding.edit::<AttemptView>(&key)? else {
                return Err(missing(folding.recorded, "attempt", ended.attempt));
            };
            end(attempt, ended, at);
        }
        _ => {}
    }
    Ok(())
}

fn end(attempt: &mut AttemptView, ended: &AttemptEnded, at: Timestamp) {
    attempt.ended_at = Some(at);
    attempt.duration_micros = Some(ended.duration_micros);
    if let AfterAttempt::RetryAt(due) = ended.after {
        attempt.retry_at = Some(due);
    }
    match &ended.outcome {
        AttemptOutcome::Delivered { http_status } => {
            attempt.outcome = AttemptStatus::Delivered;
            attempt.http_status = Some(*http_status);
        }
        AttemptOutcome::Failed {
            http_status,
            code,
            message,
        } => {
            attempt.outcome = AttemptStatus::Failed;
            attempt.http_status = *http_status;
            attempt.error = Some(code.clone());
            attempt.error_text = Some(message.clone());
        }
        AttemptOutcome::Interrupted => attempt.outcome = AttemptStatus::Interrupted,
    }
}

impl Projections {
    /// The tries of a delivery, oldest first.
    pub async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<AttemptView>, Error> {
        let query =
            sqlx::query("SELECT * FROM delivery_attempts WHERE delivery_id = ? ORDER BY attempt");
        read_all(self.readers(), query.bind(delivery.to_string())).await
    }
}
