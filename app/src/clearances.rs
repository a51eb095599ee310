//! Clearances: decisions that are kept, read and ended.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::command::EndClearance;
use ledger::{ClearanceId, Rejection};
use projections::{ClearanceView, Page, Paging, Projection};

/// Kept decisions, those that have ended too, the newest first.
pub async fn list(app: &App, _: &Acting, paging: Paging) -> Result<Page<ClearanceView>, Error> {
    let views = app.current_views(&[Projection::Tasks]).await?;
    Ok(views.clearances(paging).await?)
}

/// One of them.
///
/// # Errors
/// [`Rejection::ClearanceNotFound`], also where its task was erased.
pub async fn read(app: &App, _: &Acting, id: ClearanceId) -> Result<ClearanceView, Error> {
    let views = app.current_views(&[Projection::Tasks]).await?;
    let found = views.clearance(id).await?;
    Ok(found.ok_or(Rejection::ClearanceNotFound)?)
}

/// Ends a clearance. One that has ended stays as it is.
pub async fn end(app: &App, who: Acting, clearance_id: ClearanceId) -> Result<(), Error> {
    let end = EndClearance { clearance_id };
    app.ledger.execute(who.origin, end).await?;
    Ok(())
}
