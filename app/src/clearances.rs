//! Clearances: decisions that are kept, read and ended.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::{Apply, Approval, Task};
use ledger::command::EndClearance;
use ledger::policy::RuleId;
use ledger::{ApplyId, ClearanceId, ClientSubject, Decision, Ledger, Rejection, TaskId};
use projections::{ClearanceUses, ClearanceView, Page, Paging, Projection, Projections};
use std::sync::Arc;

/// The most applies that are looked through for those that a clearance has authorised.
const MOST_ACTIVE: u32 = 1000;

/// A kept decision, with what it stands for and what its end would end.
#[derive(Debug)]
pub struct Kept {
    pub view: ClearanceView,
    /// Its use by tasks that were not erased; `None` where none used it.
    pub used: Option<ClearanceUses>,
    /// The subject of its task, unless that was erased.
    pub subject: Option<ClientSubject>,
    /// The rules for which an approval answers; none of a denial, which holds whatever the rules say.
    pub rules: Vec<RuleId>,
    /// What it authorised that has not ended.
    pub active: Vec<(TaskId, ApplyId)>,
}

/// Kept decisions, those that have ended too, the newest first.
pub async fn list(app: &App, _: &Acting, paging: Paging) -> Result<Page<Kept>, Error> {
    let views = app.current_views(&[Projection::Tasks]).await?;
    let mut page = views.clearances(paging).await?;
    let rows = std::mem::take(&mut page.rows);
    Ok(page.with(told(&app.ledger, views, rows).await?))
}

/// One of them.
///
/// # Errors
/// [`Rejection::ClearanceNotFound`], also where its task was erased.
pub async fn read(app: &App, _: &Acting, id: ClearanceId) -> Result<Kept, Error> {
    let views = app.current_views(&[Projection::Tasks]).await?;
    let found = views.clearance(id).await?;
    let told = told(&app.ledger, views, found.into_iter().collect()).await?;
    Ok(told
        .into_iter()
        .next()
        .ok_or(Rejection::ClearanceNotFound)?)
}

async fn told(
    ledger: &Ledger,
    views: &Projections,
    rows: Vec<ClearanceView>,
) -> Result<Vec<Kept>, Error> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<ClearanceId> = rows.iter().map(|view| view.clearance_id).collect();
    let used = views.clearance_uses(&ids).await?;
    let active = active(ledger, &views.ready_applies(MOST_ACTIVE).await?).await?;
    let mut told = Vec::with_capacity(rows.len());
    for view in rows {
        let used = used.get(&view.clearance_id).copied();
        told.push(kept(ledger, view, used, &active).await?);
    }
    Ok(told)
}

/// Those of these applies that a clearance has authorised and that have not ended.
async fn active(ledger: &Ledger, applies: &[ApplyId]) -> Result<Vec<Arc<Apply>>, Error> {
    let mut active = Vec::new();
    for id in applies {
        let apply = ledger::Error::none_if_erased(ledger.load::<Apply>(*id).await)?;
        active.extend(apply.filter(|apply| apply.clearance_id.is_some() && apply.end.is_none()));
    }
    Ok(active)
}

async fn kept(
    ledger: &Ledger,
    view: ClearanceView,
    used: Option<ClearanceUses>,
    active: &[Arc<Apply>],
) -> Result<Kept, Error> {
    let task = ledger::Error::none_if_erased(ledger.load::<Task>(view.task_id).await)?;
    let asked = ledger::Error::none_if_erased(ledger.load::<Approval>(view.approval_id).await)?;
    let rules = asked.and_then(|asked| Some(asked.policy.as_ref()?.rules.clone()));
    let own = |apply: &&Arc<Apply>| apply.clearance_id == Some(view.clearance_id);
    let active = active.iter().filter(own);
    Ok(Kept {
        subject: task.map(|task| task.subject.clone()),
        rules: rules
            .filter(|_| view.decision == Decision::Approve.as_str())
            .unwrap_or_default(),
        active: active.map(|apply| (apply.task_id, apply.id)).collect(),
        used,
        view,
    })
}

/// Ends a clearance. One that has ended stays as it is.
pub async fn end(app: &App, who: Acting, clearance_id: ClearanceId) -> Result<(), Error> {
    let end = EndClearance { clearance_id };
    app.ledger.execute(who.origin, end).await?;
    Ok(())
}
