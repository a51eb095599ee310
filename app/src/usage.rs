//! The usage of calls through the proxies.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::{AgentName, Rejection, TaskId, Timestamp};
use projections::{Page, Paging, Projection, UsageFilter, UsageView};

/// Which use is asked for.
#[derive(Debug, Default)]
pub struct UsageSought {
    pub agent: Option<AgentName>,
    pub task: Option<TaskId>,
    pub model: Option<String>,
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// The sums of one owner, task and model.
#[derive(Debug)]
pub struct ListedUsage {
    pub view: UsageView,
    /// The agent's name, unless that was erased.
    pub agent: Option<AgentName>,
}

/// What was used, those that began last first.
///
/// # Errors
/// [`Rejection::AgentNotFound`], besides what keeps it from being read.
pub async fn list(
    app: &App,
    _: &Acting,
    sought: UsageSought,
    paging: Paging,
) -> Result<Page<ListedUsage>, Error> {
    let agent = match &sought.agent {
        Some(name) => {
            let agent = app.ledger.agent(name).await?;
            Some(agent.ok_or(Rejection::AgentNotFound)?.id)
        }
        None => None,
    };
    let filter = UsageFilter {
        agent,
        task: sought.task,
        model: sought.model,
        from: sought.from,
        to: sought.to,
    };
    let views = app.current_views(&[Projection::Agents]).await?;
    let mut page = views.usage(filter, paging).await?;
    let rows = std::mem::take(&mut page.rows);
    let agents: Vec<_> = rows.iter().filter_map(|row| row.agent_id).collect();
    let names = views.agent_names(&agents).await?;
    let listed = rows.into_iter().map(|view| ListedUsage {
        agent: view.agent_id.and_then(|id| names.get(&id).cloned()),
        view,
    });
    Ok(page.with(listed.collect()))
}
