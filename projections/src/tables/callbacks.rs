//! `callbacks`: where tasks want their events sent.

use crate::error::Error;
use crate::fold::{Folding, missing};
use crate::groups::CallbackTables;
use crate::projections::{Projections, read_all, read_one};
use crate::store::{Columns, Spec, Stored, row};
use ledger::{CallbackId, Event, Sealed, TaskId, Timestamp};

const SPEC: Spec = Spec {
    name: "callbacks",
    revision: 1,
    definition: "(
    -- Callback registrations. A replaced one still gets what was owed to it before.
    callback_id   TEXT PRIMARY KEY,
    task_id       TEXT NOT NULL,
    url           TEXT NOT NULL,
    endpoint      TEXT NOT NULL,  -- scheme, host and port of the URL
    events        TEXT NOT NULL,  -- the event names it wants, as a JSON list
    sealed_secret BLOB NOT NULL,  -- opens only with the master key, which is not in any database
    registered_at TEXT NOT NULL,
    replaced_at   TEXT            -- empty: it is the task's current one
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[("callbacks_active", "(task_id) WHERE replaced_at IS NULL")],
};

row! {
    /// A registered callback.
    pub struct CallbackView in SPEC, key (callback_id: CallbackId = "callback_id") {
        /// Its id.
        pub callback_id: CallbackId,
        /// The task that it belongs to.
        pub task_id: TaskId,
        /// Where to.
        pub url: String,
        /// Scheme, host and port of the URL.
        pub endpoint: String,
        /// The event names that it wants.
        pub events: Vec<String>,
        /// The signing secret, sealed for (ledger, task stream, `callback.secret`).
        pub sealed_secret: Sealed,
        /// When it was registered.
        pub registered_at: Timestamp,
        /// When another one took its place.
        pub replaced_at: Option<Timestamp>,
    }
}

pub(crate) fn fold(folding: &mut Folding<'_, CallbackTables>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let set = match &folding.recorded.event {
        Event::CallbackSet(set) => set,
        Event::TaskCreated(created) => {
            folding.tables.active.put(created.task_id, None);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let task_id = TaskId::from(folding.recorded.stream_id());
    if let Some(before) = active(folding, task_id)? {
        let replaced = folding.tables.callbacks.edit(folding.stored, &before)?;
        let Some(replaced) = replaced else {
            return Err(missing(folding.recorded, "callback", before));
        };
        replaced.replaced_at = Some(at);
    }
    let now_active = Some(set.callback.callback_id);
    folding.tables.active.put(task_id, now_active);
    folding.tables.callbacks.insert(CallbackView {
        callback_id: set.callback.callback_id,
        task_id,
        url: set.callback.url.clone(),
        endpoint: endpoint(&set.callback.url),
        events: set.callback.events.clone(),
        sealed_secret: Sealed::from_bytes(set.callback.sealed_secret.as_slice().to_vec()),
        registered_at: at,
        replaced_at: None,
    });
    Ok(())
}

/// The callback that a task has before the event.
fn active(
    folding: &mut Folding<'_, CallbackTables>,
    task: TaskId,
) -> Result<Option<CallbackId>, Error> {
    if let Some(active) = folding.tables.active.get(&task) {
        return Ok(*active);
    }
    // What is not written yet is newer than what stands in the file.
    let unwritten = folding.tables.callbacks.unwritten();
    let newest = unwritten
        .filter(|callback| callback.task_id == task && callback.replaced_at.is_none())
        .last();
    match newest {
        Some(callback) => Ok(Some(callback.callback_id)),
        None => stored_active(folding.stored, task),
    }
}

fn stored_active(stored: Stored<'_>, task: TaskId) -> Result<Option<CallbackId>, Error> {
    let failed = || Error::sqlite("reading the active callback of a task");
    let table = stored.place.table(SPEC.name);
    let sql = format!("SELECT callback_id FROM {table} WHERE task_id = ? AND replaced_at IS NULL");
    let mut query = stored.db.prepare_cached(&sql).map_err(failed())?;
    let mut rows = query.query([task.to_string()]).map_err(failed())?;
    match rows.next().map_err(failed())? {
        Some(row) => Columns::folded(row, SPEC.name).get("callback_id").map(Some),
        None => Ok(None),
    }
}

/// Scheme, host and port: deliveries that share them go to the same receiver.
fn endpoint(url: &str) -> String {
    let parts = url::Url::parse(url).ok();
    let origin = parts.as_ref().and_then(|url| {
        let host = url.host_str()?;
        let port = url.port_or_known_default()?;
        Some(format!("{}://{host}:{port}", url.scheme()))
    });
    // Registration admits https URLs only; whatever else stands there is an endpoint of its own.
    origin.unwrap_or_else(|| url.to_owned())
}

impl Projections {
    /// A callback registration, replaced ones included.
    pub async fn callback(&self, id: CallbackId) -> Result<Option<CallbackView>, Error> {
        read_one(self.readers(), &id).await
    }

    /// Up to `limit` registrations, in the order of their ids, which are random: a sample of all.
    pub async fn sample_of_callbacks(&self, limit: u32) -> Result<Vec<CallbackView>, Error> {
        let query = sqlx::query("SELECT * FROM callbacks ORDER BY callback_id LIMIT ?").bind(limit);
        read_all(self.readers(), query).await
    }
}

#[cfg(test)]
mod tests {
    use super::endpoint;

    #[test]
    fn the_endpoint_has_scheme_host_and_port_and_nothing_else() {
        assert_eq!(
            endpoint("https://hooks.example.com/a/b?token=x"),
            "https://hooks.example.com:443"
        );
        assert_eq!(
            endpoint("https://localhost:8443/"),
            "https://localhost:8443"
        );
    }
}
