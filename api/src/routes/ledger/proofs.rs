//! Proofs, of which each reads few stored hashes and no record.

use super::newest;
use crate::extract::params::QueryParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::audit::{Consistency, Inclusion};
use crate::state::AppState;
use app::action;
use axum::Json;
use axum::extract::State;
use ledger::tlog::{ConsistencyProof, InclusionProof};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(inclusion))
        .routes(routes!(consistency))
}

/// Which leaf, and of which tree.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct InclusionQuery {
    /// The event's position.
    position: u64,
    /// The size of the tree; that of the newest checkpoint when left out, and never more.
    size: Option<u64>,
}

/// Prove that an event is in the log
///
/// RFC 6962, section 2.1.1. The leaf's content is the event's 133-byte header.
#[utoipa::path(
    get, path = "/v1/ledger/proof/inclusion", tag = "audit",
    params(InclusionQuery),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Inclusion),
        (status = 404, description = "`beyond_checkpoint`: no checkpoint covers it yet",
         body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No checkpoint is signed yet", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn inclusion(
    State(state): State<AppState>,
    _: By<action::Audit>,
    QueryParams(query): QueryParams<InclusionQuery>,
) -> Result<Json<Inclusion>, ApiError> {
    let InclusionQuery { position, size } = query;
    let covered = newest(&state)?.size();
    let size = within("size", size.unwrap_or(covered), covered)?;
    if position >= covered {
        return Err(beyond("position", position, covered));
    }
    let lookup = InclusionProof::lookup_with_leaf(position, size);
    let lookup = lookup.map_err(ApiError::ImpossibleProof)?;
    let (leaf, proof) = state.app.ledger.log().compute(lookup).await?;
    Ok(Json(Inclusion::new(leaf, &proof)))
}

/// Which two trees.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ConsistencyQuery {
    /// The size of the earlier tree.
    from: u64,
    /// The size of the later one; that of the newest checkpoint when left out, and never more.
    to: Option<u64>,
}

/// Prove that the log only grew
///
/// RFC 6962, section 2.1.2: the tree of `to` events begins with all of the tree of `from` events.
#[utoipa::path(
    get, path = "/v1/ledger/proof/consistency", tag = "audit",
    params(ConsistencyQuery),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Consistency),
        (status = 404, description = "`beyond_checkpoint`: no checkpoint covers it yet",
         body = Problem, content_type = "application/problem+json"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No checkpoint is signed yet", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn consistency(
    State(state): State<AppState>,
    _: By<action::Audit>,
    QueryParams(query): QueryParams<ConsistencyQuery>,
) -> Result<Json<Consistency>, ApiError> {
    let covered = newest(&state)?.size();
    let to = within("to", query.to.unwrap_or(covered), covered)?;
    let from = within("from", query.from, covered)?;
    let lookup = ConsistencyProof::lookup(from, to).map_err(ApiError::ImpossibleProof)?;
    let proof = state.app.ledger.log().compute(lookup).await?;
    Ok(Json(Consistency::from(&proof)))
}

/// A size that the newest checkpoint covers: of a tree that nobody has signed, nobody can know whether
/// it is the log's.
fn within(what: &'static str, size: u64, covered: u64) -> Result<u64, ApiError> {
    if size > covered {
        return Err(beyond(what, size, covered));
    }
    Ok(size)
}

const fn beyond(what: &'static str, asked: u64, covered: u64) -> ApiError {
    ApiError::BeyondCheckpoint {
        what,
        asked,
        covered,
    }
}
