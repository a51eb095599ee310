//! `task_templates`: which tasks agents open with their keys.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Spec, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::AllowedOperation;
use ledger::{AgentId, Event, TemplateId, TemplateName, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "task_templates",
    revision: 2,
    definition: "(
    -- Task templates that stand.
    template_id        TEXT PRIMARY KEY,
    name               TEXT NOT NULL,
    agents             TEXT NOT NULL,     -- JSON: the ids of the agents that may use it
    allowed            TEXT NOT NULL,     -- JSON: what a task from it may do
    expires_in_seconds INTEGER NOT NULL,  -- how long an agent key opens a task from it
    needs_approval     TEXT NOT NULL,     -- yes: every apply waits for a human
    question_seconds   INTEGER,           -- how long a question of a task from it waits, where it says so
    created_at         TEXT NOT NULL,
    position           INTEGER NOT NULL   -- of the event that made it
) STRICT, WITHOUT ROWID",
    indexes: &[("task_templates_by_position", "(position)")],
    fold_indexes: &[],
};

row! {
    /// A task template that stands.
    pub struct TemplateView in SPEC, key (template_id: TemplateId = "template_id") {
        pub template_id: TemplateId,
        pub name: TemplateName,
        /// The agents that may use it.
        pub agents: Vec<AgentId>,
        /// What a task from it may do.
        pub allowed: Vec<AllowedOperation>,
        /// How long an agent key opens a task from it.
        pub expires_in_seconds: u32,
        /// Whether every apply waits for a human, whatever is granted.
        pub needs_approval: bool,
        /// How long a question of a task from it waits, in seconds, where it says so.
        pub question_seconds: Option<u64>,
        pub created_at: Timestamp,
        /// The position of the event that made it.
        pub position: u64,
    }
}

parts!(Parts: Table<TemplateView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) {
    let recorded = folding.recorded;
    match &recorded.event {
        Event::TemplateCreated(created) => folding.insert(TemplateView {
            template_id: created.template_id,
            name: created.name.clone(),
            agents: created.agents.clone(),
            allowed: created.allowed.clone(),
            expires_in_seconds: created.expires_in_seconds,
            needs_approval: created.needs_approval,
            question_seconds: created.question_seconds.map(u64::from),
            created_at: recorded.recorded_at(),
            position: recorded.position(),
        }),
        Event::TemplateDeleted(_) => {
            let id = TemplateId::from(recorded.stream_id());
            folding.part::<Table<TemplateView>>().remove(&id);
        }
        _ => {}
    }
}

pub(crate) fn listing(paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new("SELECT * FROM task_templates WHERE position < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    /// Templates that stand, the newest first.
    pub async fn task_templates(&self, paging: Paging) -> Result<Page<TemplateView>, Error> {
        let position = |template: &TemplateView| template.position;
        self.page(Projection::Agents, listing(paging), paging, position)
            .await
    }
}
