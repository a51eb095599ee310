//! Public parts of the log: checkpoint, key and the tiles of hashes. Hashes of leaves tell nothing about what
//! the leaves say, since each holds the salted digest of its payload.

use super::{checkpoints, immutable, newest};
use crate::extract::params::PathParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::client_address::Stranger;
use crate::shapes::Octets;
use crate::state::AppState;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header;
use ledger::tlog::TilePath;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(checkpoint))
        .routes(routes!(vkey))
        .routes(routes!(tile))
}

const TEXT: &str = "text/plain; charset=utf-8";

/// The newest checkpoint, signed
///
/// A signed note (C2SP tlog-checkpoint): origin, size and root of the tree over the whole ledger. One
/// is made within about a second of an event. Cosignatures of witnesses are on it once enough of them
/// have cosigned it.
#[utoipa::path(
    get, path = "/v1/ledger/checkpoint", tag = "log",
    responses(
        (status = 200, description = "The note", body = String, content_type = "text/plain"),
        (status = 503, description = "None is signed yet", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn checkpoint(State(state): State<AppState>) -> Result<Response, ApiError> {
    let newest = newest(&state)?;
    // The same statement with the witnesses' cosignatures, once it has them.
    let witnessed = checkpoints(&state)?.witnessed();
    let witnessed = witnessed.filter(|witnessed| witnessed.size() == newest.size());
    let note = witnessed.unwrap_or(newest).note().to_string();
    // The next one is at least a second away from this one.
    let headers = [
        (header::CONTENT_TYPE, TEXT),
        (header::CACHE_CONTROL, "public, max-age=1"),
    ];
    Ok((headers, note).into_response())
}

/// The key that verifies checkpoints
///
/// A verifier key line (C2SP signed-note). Trust it because you got it elsewhere too: whoever could
/// show you another history could show you another key with it.
#[utoipa::path(
    get, path = "/v1/ledger/vkey", tag = "log",
    responses(
        (status = 200, description = "The key", body = String, content_type = "text/plain"),
        (status = 503, description = "No checkpoints are signed", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn vkey(State(state): State<AppState>) -> Result<Response, ApiError> {
    let key = format!("{}\n", checkpoints(&state)?.key());
    Ok(([(header::CONTENT_TYPE, TEXT)], key).into_response())
}

/// A tile of the tree's hashes
///
/// `<L>/<N>[.p/<W>]` as C2SP tlog-tiles has it, within the size of the newest checkpoint. What is at
/// such a path never changes.
#[utoipa::path(
    get, path = "/v1/ledger/tile/{*path}", tag = "log",
    params(("path" = String, Path, description = "Level, index in threes, and width where partial: \
                                                  `0/x001/234.p/5`")),
    responses(
        (status = 200, description = "Up to 256 hashes of 32 bytes", body = inline(Octets),
         content_type = "application/octet-stream"),
        (status = 404, description = "The tree of the newest checkpoint has no such tile",
         body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "Too many requests of strangers from one network",
         body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No checkpoint is signed yet", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn tile(
    State(state): State<AppState>,
    _: Stranger,
    PathParams(path): PathParams<String>,
) -> Result<Response, ApiError> {
    let none = ApiError::NotFound {
        what: "tile in the tree of the newest checkpoint",
    };
    let Ok(TilePath::Hashes(tile)) = format!("tile/{path}").parse() else {
        return Err(none);
    };
    let size = newest(&state)?.size();
    if !tile.is_in(size) {
        return Err(none);
    }
    let lookup = tile.lookup(size).map_err(ApiError::internal)?;
    let bytes = state.app.ledger.log().compute(lookup).await?;
    Ok(immutable(bytes, "public"))
}
