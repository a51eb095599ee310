//! The history of answers to questions, each with what it left behind.

use crate::admissions::{self, ListedAdmission};
use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::ApprovalId;
use ledger::aggregate::Approval;
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
    let rows = answered(views, approvals).await?;
    Ok(page.with(rows))
}

/// The answers to the same operations of the same task before this question, the newest first.
pub async fn before(app: &App, approval: &Approval) -> Result<Vec<Answered>, Error> {
    let read = [Projection::Tasks, Projection::Agents];
    let views = app.current_views(&read).await?;
    let same = views.answers_to(approval.fingerprint, approval.id, MOST_BEFORE);
    answered(views, same.await?).await
}

/// With what each left behind.
async fn answered(
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
        rows.push(Answered {
            apply,
            kept: kept.remove(&approval.id),
            block: blocks.remove(&approval.id.to_string()),
            approval,
        });
    }
    Ok(rows)
}
