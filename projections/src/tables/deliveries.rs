//! `deliveries`: what is owed to callbacks, and how far it is.

use crate::error::Error;
use crate::moment;
use crate::projections::{Projections, read_all, read_one};
use crate::status::DeliveryStatus;
use crate::store::{Columns, Spec, Table, row};
use crate::tables::callbacks::CallbackView;
use crate::tables::fold::{Folding, parts};
use ledger::event::{AfterAttempt, AttemptEnded, AttemptOutcome, DeliveryOwed};
use ledger::{
    ApplyId, ApprovalId, CallbackId, DeliveryId, DeviceId, Event, EventId, Notifier, TaskId,
    Timestamp,
};
use sha2::{Digest as _, Sha256};
use sqlx::Row as _;

pub(super) const SPEC: Spec = Spec {
    name: "deliveries",
    revision: 2,
    definition: "(
    -- Deliveries: one event for one callback.
    delivery_id       TEXT PRIMARY KEY,
    task_id           TEXT NOT NULL,
    callback_id       TEXT NOT NULL,
    endpoint          TEXT NOT NULL,     -- scheme, host and port of the callback's URL
    url_digest        TEXT NOT NULL,     -- tells its URL from others of the endpoint
    event_id          TEXT NOT NULL,     -- the same on every try
    event_type        TEXT NOT NULL,     -- approval.pending, apply.finished, …
    apply_id          TEXT,
    approval_id       TEXT,
    state             TEXT NOT NULL,     -- owed, under_way, delivered, given_up
    due_at            TEXT,              -- the next try, while it is owed
    attempts          INTEGER NOT NULL,  -- tries started, all in all
    attempts_in_round INTEGER NOT NULL,  -- tries started since it was owed, or asked for again
    max_attempts      INTEGER NOT NULL,  -- tries in a round
    last_http_status  INTEGER,
    last_error        TEXT,              -- the stable code of the newest failure
    last_error_text   TEXT,
    owed_at           TEXT NOT NULL,
    delivered_at      TEXT,
    updated_at        TEXT NOT NULL,
    position          INTEGER NOT NULL   -- of the event that made it owed
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("deliveries_by_task", "(task_id, position)"),
        (
            "deliveries_owed",
            "(endpoint, due_at, url_digest) WHERE state = 'owed'",
        ),
        (
            "deliveries_under_way",
            "(updated_at) WHERE state = 'under_way'",
        ),
        (
            "deliveries_given_up",
            "(updated_at) WHERE state = 'given_up'",
        ),
    ],
    fold_indexes: &[],
};

row! {
    pub struct DeliveryView in SPEC, key (id: DeliveryId = "delivery_id") {
        pub id: DeliveryId = "delivery_id",
        pub task_id: TaskId,
        /// The registration that it goes to.
        pub callback_id: CallbackId,
        /// Scheme, host and port of the callback's URL; `notifier:` and the kind; or `device`.
        pub endpoint: String,
        /// Tells the callback's URL from others of the endpoint.
        pub url_digest: String,
        pub event_id: EventId,
        /// The event's name at the surface: `apply.finished`.
        pub event_type: String,
        /// The apply, where one is concerned.
        pub apply_id: Option<ApplyId>,
        /// The approval, where one is concerned.
        pub approval_id: Option<ApprovalId>,
        pub state: DeliveryStatus,
        /// The next try, while it is owed.
        pub due_at: Option<Timestamp>,
        /// Tries started, all in all.
        pub attempts: u32,
        /// Tries started since it was owed, or since it was asked for again.
        pub attempts_in_round: u32,
        /// Tries in a round.
        pub max_attempts: u32,
        /// The receiver's newest answer.
        pub last_http_status: Option<u16>,
        /// The stable code of the newest failure.
        pub last_error: Option<String>,
        /// The newest failure, for people.
        pub last_error_text: Option<String>,
        pub owed_at: Timestamp,
        pub delivered_at: Option<Timestamp>,
        /// When it last changed.
        pub updated_at: Timestamp,
        /// The position of the event that made it owed.
        pub position: u64,
    }
}

impl DeliveryView {
    /// The task; `None` of a question that belongs to none, whose id stands in its place.
    #[must_use]
    pub fn of_task(&self) -> Option<TaskId> {
        let question = self.approval_id.map(|id| *id.as_bytes());
        (question != Some(*self.task_id.as_bytes())).then_some(self.task_id)
    }
}

/// A delivery whose next try is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueDelivery {
    pub delivery_id: DeliveryId,
    /// The registration that it goes to.
    pub callback_id: CallbackId,
    /// Scheme, host and port of the callback's URL.
    pub endpoint: String,
    /// Tells the callback's URL from others of the endpoint.
    pub url_digest: String,
    pub due_at: Timestamp,
    /// The position of the event that made it owed.
    pub position: u64,
}

#[derive(Debug, Clone)]
pub struct DueSearch {
    pub now: Timestamp,
    /// At most so many, those that have been due longest.
    pub limit: u32,
    /// Of each endpoint at most so many, so that a long backlog of one does not hide another's.
    pub per_host: u32,
    /// Those that are better sent later.
    pub unproven: Option<Unproven>,
    /// None to these URLs, by their digests: they have as much under way as they may.
    pub without: Vec<String>,
}

/// Deliveries that are better sent later, although they are due: those owed since shortly, by events
/// that cannot be proven yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unproven {
    /// Events from this position on.
    pub from: u64,
    /// Owed after that moment.
    pub owed_after: Timestamp,
}

parts!(Parts: Table<CallbackView>, Table<DeliveryView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::DeliveryOwed(owed) => owe(folding, owed)?,
        Event::AttemptStarted(started) => {
            let delivery = edit(folding)?;
            delivery.state = DeliveryStatus::UnderWay;
            delivery.due_at = None;
            delivery.attempts = started.attempt;
            delivery.attempts_in_round = delivery.attempts_in_round.saturating_add(1);
        }
        Event::AttemptEnded(ended) => {
            let delivery = edit(folding)?;
            end_attempt(delivery, ended, at);
        }
        Event::RetryRequested(_) => {
            let delivery = edit(folding)?;
            delivery.state = DeliveryStatus::Owed;
            delivery.due_at = Some(at);
            delivery.attempts_in_round = 0;
        }
        _ => {}
    }
    Ok(())
}

fn owe(folding: &mut Folding<'_, impl Parts>, owed: &DeliveryOwed) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let receiver = owed.callback_id;
    let (endpoint, url_digest) = match (Notifier::of(receiver), DeviceId::of(receiver)) {
        // Its address is no matter of the log.
        (Some(notifier), _) => {
            let endpoint = format!("notifier:{notifier}");
            let digest = url_digest(&endpoint);
            (endpoint, digest)
        }
        // Where it is, is its user's matter.
        (None, Some(device)) => ("device".to_owned(), url_digest(&format!("device:{device}"))),
        (None, None) => {
            let callback = folding.known::<CallbackView>("callback", &owed.callback_id)?;
            (callback.endpoint.clone(), url_digest(&callback.url))
        }
    };
    folding.insert(DeliveryView {
        id: owed.delivery_id,
        task_id: owed.task_id,
        callback_id: owed.callback_id,
        endpoint,
        url_digest,
        event_id: owed.event_id,
        event_type: owed.event_name.clone(),
        apply_id: owed.apply_id,
        approval_id: owed.approval_id,
        state: DeliveryStatus::Owed,
        due_at: Some(at),
        attempts: 0,
        attempts_in_round: 0,
        max_attempts: owed.max_attempts,
        last_http_status: None,
        last_error: None,
        last_error_text: None,
        owed_at: at,
        delivered_at: None,
        updated_at: at,
        position: folding.recorded.position(),
    });
    Ok(())
}

/// Half of the URL's SHA-256: enough to tell URLs apart, and no copy of a path that may be a secret.
fn url_digest(url: &str) -> String {
    let digest = Sha256::digest(url.as_bytes());
    let half = digest.iter().take(16);
    half.fold(String::with_capacity(32), |text, byte| {
        text + &format!("{byte:02x}")
    })
}

fn end_attempt(delivery: &mut DeliveryView, ended: &AttemptEnded, at: Timestamp) {
    match &ended.outcome {
        AttemptOutcome::Delivered { http_status } => {
            delivery.last_http_status = Some(*http_status);
            delivery.last_error = None;
            delivery.last_error_text = None;
            delivery.delivered_at = Some(at);
        }
        AttemptOutcome::Failed {
            http_status,
            code,
            message,
        } => {
            delivery.last_http_status = *http_status;
            delivery.last_error = Some(code.clone());
            delivery.last_error_text = Some(message.clone());
        }
        AttemptOutcome::Interrupted => {
            delivery.last_http_status = None;
            delivery.last_error = Some("interrupted".to_owned());
            delivery.last_error_text =
                Some("the service stopped while the try was under way".to_owned());
        }
    }
    (delivery.state, delivery.due_at) = match ended.after {
        AfterAttempt::Done => (DeliveryStatus::Delivered, None),
        AfterAttempt::RetryAt(due) => (DeliveryStatus::Owed, Some(due)),
        AfterAttempt::GivenUp => (DeliveryStatus::GivenUp, None),
    };
}

fn edit<'t>(folding: &'t mut Folding<'_, impl Parts>) -> Result<&'t mut DeliveryView, Error> {
    let at = folding.recorded.recorded_at();
    let id = DeliveryId::from(folding.recorded.stream_id());
    let delivery = folding.edit_known::<DeliveryView>("delivery", &id)?;
    delivery.updated_at = at;
    Ok(delivery)
}

/// The endpoints to which something is owed. Jumps from one to the next in the index instead of
/// reading a whole backlog.
macro_rules! endpoints {
    () => {
        "WITH RECURSIVE endpoints(endpoint) AS (
             SELECT min(endpoint) FROM deliveries WHERE state = 'owed'
             UNION ALL
             SELECT (SELECT min(endpoint) FROM deliveries
                     WHERE state = 'owed' AND endpoint > endpoints.endpoint)
             FROM endpoints WHERE endpoints.endpoint IS NOT NULL
         ) "
    };
}

impl Projections {
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryView>, Error> {
        read_one(self.readers(), &id).await
    }

    /// The deliveries of a task, newest first.
    pub async fn deliveries(&self, task: TaskId, limit: u32) -> Result<Vec<DeliveryView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM deliveries WHERE task_id = ? ORDER BY position DESC LIMIT ?",
        );
        let query = query.bind(task.to_string()).bind(i64::from(limit));
        read_all(self.readers(), query).await
    }

    /// Deliveries whose next try is due, the longest due first.
    pub async fn due_deliveries(&self, search: DueSearch) -> Result<Vec<DueDelivery>, Error> {
        let DueSearch {
            now,
            limit,
            per_host,
            unproven,
            without,
        } = search;
        let without = serde_json::to_string(&without).unwrap_or_default();
        let query = sqlx::query(concat!(
            endpoints!(),
            "SELECT due.delivery_id, due.callback_id, due.endpoint, due.url_digest, due.due_at,
                    due.position
             FROM endpoints JOIN deliveries AS due ON due.delivery_id IN (
                 SELECT delivery_id FROM deliveries
                 WHERE state = 'owed' AND endpoint = endpoints.endpoint AND due_at <= ?1
                 AND url_digest NOT IN (SELECT value FROM json_each(?6))
                 AND (position < ?4 OR owed_at <= ?5)
                 ORDER BY due_at, delivery_id LIMIT ?3)
             ORDER BY due.due_at, due.delivery_id LIMIT ?2",
        ));
        let proven = unproven.and_then(|unproven| i64::try_from(unproven.from).ok());
        let rows = query
            .bind(moment::to_text(now))
            .bind(i64::from(limit))
            .bind(i64::from(per_host))
            .bind(proven.unwrap_or(i64::MAX))
            .bind(moment::to_text(
                unproven.map_or(now, |unproven| unproven.owed_after),
            ))
            .bind(without)
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("reading the deliveries that are due"))?;
        rows.iter()
            .map(|row| {
                let row = Columns::new(row, SPEC.name);
                Ok(DueDelivery {
                    delivery_id: row.get("delivery_id")?,
                    callback_id: row.get("callback_id")?,
                    endpoint: row.get("endpoint")?,
                    url_digest: row.get("url_digest")?,
                    due_at: row.get("due_at")?,
                    position: row.get("position")?,
                })
            })
            .collect()
    }

    /// When the next try is due, or has been due since.
    pub async fn next_delivery_due(&self) -> Result<Option<Timestamp>, Error> {
        let failed = || Error::database("reading the next due delivery");
        let row = sqlx::query(concat!(
            endpoints!(),
            "SELECT min((SELECT min(due_at) FROM deliveries
                         WHERE state = 'owed' AND endpoint = endpoints.endpoint))
             FROM endpoints"
        ))
        .fetch_one(self.readers())
        .await
        .map_err(failed())?;
        let due: Option<String> = row.try_get(0).map_err(failed())?;
        Ok(due.as_deref().and_then(moment::from_text))
    }

    /// Deliveries that were given up, of one task or of all, those given up longest first. They stay in the
    /// list until they are tried again.
    pub async fn given_up_deliveries(
        &self,
        task: Option<TaskId>,
        limit: u32,
    ) -> Result<Vec<DeliveryId>, Error> {
        let query = sqlx::query(
            "SELECT delivery_id FROM deliveries
             WHERE state = 'given_up' AND (?1 IS NULL OR task_id = ?1)
             ORDER BY updated_at, delivery_id LIMIT ?2",
        );
        let rows = query
            .bind(task.map(|task| task.to_string()))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("reading the deliveries that were given up"))?;
        rows.iter()
            .map(|row| Columns::new(row, SPEC.name).get("delivery_id"))
            .collect()
    }

    /// Deliveries with a try under way, and which try; at a start these were interrupted. The ones
    /// that have been under way longest first.
    pub async fn interrupted_deliveries(
        &self,
        limit: u32,
    ) -> Result<Vec<(DeliveryId, u32)>, Error> {
        let query = sqlx::query(
            "SELECT delivery_id, attempts FROM deliveries WHERE state = 'under_way'
             ORDER BY updated_at LIMIT ?",
        );
        let rows = query
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("reading interrupted deliveries"))?;
        rows.iter()
            .map(|row| {
                let row = Columns::new(row, SPEC.name);
                Ok((row.get("delivery_id")?, row.get("attempts")?))
            })
            .collect()
    }
}
