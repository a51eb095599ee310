//! The catalog of operations. It says nothing about anybody, so anybody may read it.

use crate::shapes::catalog::Catalog;
use crate::state::AppState;
use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(list_operations))
}

/// The operations that can be asked for
#[utoipa::path(get, path = "/v1/operations", tag = "service", responses(
    (status = 200, body = Catalog),
))]
async fn list_operations(State(state): State<AppState>) -> Json<Catalog> {
    Json(Catalog::whole(&state.app.ledger.rules().providers))
}
