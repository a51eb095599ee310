//! `callbacks`: where tasks want their events sent.

use crate::error::Error;
use crate::projections::{Projections, read_all, read_one};
use crate::store::{Columns, Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::CallbackOwner;
use ledger::{CallbackId, Event, Sealed, TaskId, Timestamp};
use lru::LruCache;

const SPEC: Spec = Spec {
    name: "callbacks",
    revision: 2,
    definition: "(
    -- Callback registrations. A replaced one still gets what was owed to it before.
    callback_id   TEXT PRIMARY KEY,
    task_id       TEXT NOT NULL,
    url           TEXT NOT NULL,
    endpoint      TEXT NOT NULL,  -- scheme, host and port of the URL
    events        TEXT NOT NULL,  -- the event names it wants, as a JSON list
    sealed_secret BLOB NOT NULL,  -- opens only with the master key, which is not in any database
    of_agent      TEXT NOT NULL,  -- yes: the agent's, beside the orchestrator's; no
    registered_at TEXT NOT NULL,
    replaced_at   TEXT            -- empty: events still go to it
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[("callbacks_active", "(task_id) WHERE replaced_at IS NULL")],
};

row! {
    pub struct CallbackView in SPEC, key (callback_id: CallbackId = "callback_id") {
        pub callback_id: CallbackId,
        pub task_id: TaskId,
        pub url: String,
        /// Scheme, host and port of the URL.
        pub endpoint: String,
        /// The event names that it wants.
        pub events: Vec<String>,
        /// The signing secret, sealed for (ledger, task stream, `callback.secret`).
        pub sealed_secret: Sealed,
        /// True when the agent registered it, beside the orchestrator's.
        pub of_agent: bool,
        pub registered_at: Timestamp,
        /// When another one took its place.
        pub replaced_at: Option<Timestamp>,
    }
}

/// The callbacks that events of a task go to; complete for the tasks that are here.
pub(crate) type ActiveCallbacks = LruCache<TaskId, Active>;

parts!(Parts: Table<CallbackView>, ActiveCallbacks);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let set = match &folding.recorded.event {
        Event::CallbackSet(set) => set,
        Event::TaskCreated(created) => {
            let none = Active::default();
            folding.part::<ActiveCallbacks>().put(created.task_id, none);
            return Ok(());
        }
        _ => return Ok(()),
    };
    let task_id = TaskId::from(folding.recorded.stream_id());
    let mut active = active(folding, task_id)?;
    for before in active.set(set.owner, set.callback.callback_id) {
        let replaced = folding.edit_known::<CallbackView>("callback", &before)?;
        replaced.replaced_at = Some(at);
    }
    folding.part::<ActiveCallbacks>().put(task_id, active);
    folding.insert(CallbackView {
        callback_id: set.callback.callback_id,
        task_id,
        url: set.callback.url.clone(),
        endpoint: endpoint(&set.callback.url),
        events: set.callback.events.clone(),
        sealed_secret: Sealed::from_bytes(set.callback.sealed_secret.as_slice().to_vec()),
        of_agent: set.owner == CallbackOwner::Agent,
        registered_at: at,
        replaced_at: None,
    });
    Ok(())
}

/// The callbacks that events of a task go to.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Active {
    orchestrator: Option<CallbackId>,
    agent: Option<CallbackId>,
}

impl Active {
    fn put(&mut self, of_agent: bool, id: CallbackId) -> Option<CallbackId> {
        let place = match of_agent {
            true => &mut self.agent,
            false => &mut self.orchestrator,
        };
        place.replace(id)
    }

    fn drop(&mut self, id: CallbackId) {
        for place in [&mut self.orchestrator, &mut self.agent] {
            place.take_if(|known| *known == id);
        }
    }

    /// Takes a new one in; answers which ones it replaces.
    fn set(&mut self, owner: CallbackOwner, id: CallbackId) -> impl Iterator<Item = CallbackId> {
        let of_agent = match owner {
            CallbackOwner::Unsaid => self.agent.take(),
            CallbackOwner::Orchestrator | CallbackOwner::Agent => None,
        };
        let before = self.put(owner == CallbackOwner::Agent, id);
        before.into_iter().chain(of_agent)
    }
}

/// The callbacks that a task has before the event.
fn active(folding: &mut Folding<'_, impl Parts>, task: TaskId) -> Result<Active, Error> {
    if let Some(active) = folding.part::<ActiveCallbacks>().get(&task) {
        return Ok(*active);
    }
    let mut active = stored_active(folding.stored, task)?;
    // What is not written yet is newer than what stands in the file.
    for callback in folding.part::<Table<CallbackView>>().unwritten() {
        if callback.task_id != task {
            continue;
        }
        match callback.replaced_at {
            None => drop(active.put(callback.of_agent, callback.callback_id)),
            Some(_) => active.drop(callback.callback_id),
        }
    }
    Ok(active)
}

fn stored_active(stored: Stored<'_>, task: TaskId) -> Result<Active, Error> {
    let failed = || Error::sqlite("reading the active callbacks of a task");
    let table = stored.set.table(SPEC.name);
    let sql = format!(
        "SELECT callback_id, of_agent FROM {table} WHERE task_id = ? AND replaced_at IS NULL"
    );
    let mut query = stored.db.prepare_cached(&sql).map_err(failed())?;
    let mut rows = query.query([task.to_string()]).map_err(failed())?;
    let mut active = Active::default();
    while let Some(row) = rows.next().map_err(failed())? {
        let row = Columns::folded(row, SPEC.name);
        active.put(row.get("of_agent")?, row.get("callback_id")?);
    }
    Ok(active)
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
