//! The history of answers to questions, each with what it left behind.

use crate::admissions::{self, ListedAdmission};
use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Approval;
use ledger::{ApprovalId, ApproverName, Ledger, Rejection};
use projections::{
    ApplyView, ApprovalView, ClearanceView, HistoryFilter, Page, Paging, Projection, Projections,
};
use std::collections::HashMap;

/// Of one question, so many earlier answers are told.
const MOST_BEFORE: u32 = 10;

/// A question that was answered, or that ended without an answer.
#[derive(Debug)]
pub struct Answered {
    pub approval: ApprovalView,
    /// The principals who decided, in their order; none where nobody did.
    pub by: Vec<ApproverName>,
    /// The apply that asked it, unless that was erased or it is not about one.
    pub apply: Option<ApplyView>,
    /// The decision as it is kept, where it is.
    pub kept: Option<ClearanceView>,
    /// The block that was set with the decision.
    pub block: Option<ListedAdmission>,
}

/// Answers, the newest first.
pub async fn page(
    app: &App,
    _: &Acting,
    filter: HistoryFilter,
    paging: Paging,
) -> Result<Page<Answered>, Error> {
    let read = [Projection::Tasks, Projection::Agents];
    let views = app.current_views(&read).await?;
    let mut page = views.history(filter, paging).await?;
    let approvals = std::mem::take(&mut page.rows);
    let rows = answered(&app.ledger, views, approvals).await?;
    Ok(page.with(rows))
}

/// The answers to the same operations of the same task before this question, the newest first.
pub async fn before(app: &App, approval: &Approval) -> Result<Vec<Answered>, Error> {
    let read = [Projection::Tasks, Projection::Agents];
    let views = app.current_views(&read).await?;
    let same = views.answers_to(approval.fingerprint, approval.id, MOST_BEFORE);
    answered(&app.ledger, views, same.await?).await
}

/// With what each left behind.
async fn answered(
    ledger: &Ledger,
    views: &Projections,
    approvals: Vec<ApprovalView>,
) -> Result<Vec<Answered>, Error> {
    let ids: Vec<ApprovalId> = approvals.iter().map(|approval| approval.id).collect();
    let kept = views.clearances_of(&ids).await?.into_iter();
    let mut kept: HashMap<ApprovalId, ClearanceView> =
        kept.map(|view| (view.approval_id, view)).collect();
    let blocks = views.blocks_of(&ids).await?;
    let mut blocks: HashMap<String, ListedAdmission> = admissions::named(views, blocks)
        .await?
        .into_iter()
        .filter_map(|block| Some((block.view.approval_id.clone()?, block)))
        .collect();
    let mut rows = Vec::with_capacity(approvals.len());
    for approval in approvals {
        let apply = match approval.apply_id {
            Some(apply_id) => views.apply(apply_id).await?,
            None => None,
        };
        let by = match approval.decided_at {
            Some(_) => decided_by(ledger, &approval).await?,
            None => Vec::new(),
        };
        rows.push(Answered {
            by,
            apply,
            kept: kept.remove(&approval.id),
            block: blocks.remove(&approval.id.to_string()),
            approval,
        });
    }
    Ok(rows)
}

/// Those who decided, as the log has them; of an approval that was erased, the one whom the table names.
async fn decided_by(ledger: &Ledger, view: &ApprovalView) -> Result<Vec<ApproverName>, Error> {
    let approval = match ledger.load::<Approval>(view.id).await {
        Err(ledger::Error::Rejected(Rejection::Erased)) => None,
        loaded => loaded?,
    };
    let Some(approval) = approval else {
        return Ok(view.decided_by.iter().cloned().collect());
    };
    let by = approval.answered_by().into_iter();
    Ok(by.map(|(principal, _)| principal.clone()).collect())
}
