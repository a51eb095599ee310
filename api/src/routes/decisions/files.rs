//! Whole texts that the approval page cuts, as files to download.

use super::turn_for;
use crate::extract::params::PathParams;
use crate::limits::counted_for::CountedFor;
use crate::limits::links::{FilePermits, ThroughLink};
use crate::pages::{ApprovalFile, diff_of, upload_list, whole_param};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::Octets;
use crate::state::AppState;
use app::{action, decisions};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use http::header;
use ledger::Providers;
use ledger::aggregate::{Apply, Approval};
use ledger::event::PreState;
use ledger::operation::{Before, OperationFile};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::convert::Infallible;

/// How much of a file is handed over at a time.
const CHUNK: usize = 64 * 1024;

/// The path parameter that names a file.
#[derive(Debug, Deserialize)]
pub(super) struct FilePath {
    file: String,
}

/// A text that the approval page cuts, in full
///
/// `request.json` is what the fingerprint is made from: SHA-256 of `llm-permission-proxy operations v1` and
/// these bytes. `upstream.json` is what was read upstream, `param-N-M.txt` one param by itself, `file-N-M.bin`
/// the bytes of one file, `file-N-M.txt` its text as the page shows it, `file-N-M.diff` where it differs from the one
/// that runs, `uploads-N.txt` the files that were sent before one operation. `repr-digest` (RFC 9530) has
/// the digest that the page names.
#[utoipa::path(get, path = "/v1/approve/{link}/files/{file}", operation_id = "approval_file", tag = "approvals",
    params(
        ("link" = String, Path, description = "from approval_url"),
        ("file" = String, Path, description = "as the page names it"),
    ),
    responses(
        (status = 200, content(
            (String = "text/plain"), (Value = "application/json"),
            (inline(Octets) = "application/octet-stream"),
        )),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
pub(super) async fn file(
    State(state): State<AppState>,
    By(who): By<action::ViewQuestion>,
    Extension(through): Extension<ThroughLink>,
    PathParams(path): PathParams<FilePath>,
) -> Result<Response, ApiError> {
    let missing = || ApiError::NotFound { what: "file" };
    let file = ApprovalFile::named(&path.file).ok_or_else(missing)?;
    // What is not about an apply has no files.
    let of_task = CountedFor::task(who.link.task_id.ok_or_else(missing)?);
    let seats = state.links.take_file(&of_task, &through.owner)?;
    let approval = decisions::opened(&state.app.ledger, &who).await?;
    let (_, turn) = turn_for(&state, &approval).await?;
    let ledger = &state.app.ledger;
    let apply = ledger.load::<Apply>(approval.of_apply()?.apply_id).await?;
    let apply = apply.ok_or_else(missing)?;
    let providers = ledger.rules().providers.clone();
    let content = tokio::task::spawn_blocking(move || content(file, &approval, &apply, &providers));
    let content = content.await.map_err(ApiError::internal)??;
    drop(turn);
    Ok(download(file, content.ok_or_else(missing)?, seats))
}

fn content(
    file: ApprovalFile,
    approval: &Approval,
    apply: &Apply,
    providers: &Providers,
) -> Result<Option<Bytes>, ApiError> {
    match file {
        ApprovalFile::Request => Ok(Some(apply.submission.clone().into())),
        ApprovalFile::Upstream => {
            let read = approval.pre_state.as_deref();
            Ok(read.map(upstream).map(Bytes::from))
        }
        ApprovalFile::Param { operation, row } => {
            let mut operation = operation_of(apply, operation)?;
            let params = operation.as_mut().and_then(|one| one.get_mut("params"));
            let whole = params.and_then(|params| whole_param(params.take(), row.wrapping_sub(1)));
            Ok(whole.map(Bytes::from))
        }
        ApprovalFile::Content { operation, file } => {
            // Without what is upstream, no changes are computed.
            let before = Before::default();
            of_file(apply, providers, (operation, file), &before, |file| {
                Some(Bytes::copy_from_slice(file.content))
            })
        }
        ApprovalFile::Text { operation, file } => {
            let before = Before::default();
            of_file(apply, providers, (operation, file), &before, |file| {
                let text = file.text.as_ref()?;
                Some(Bytes::copy_from_slice(text.as_bytes()))
            })
        }
        ApprovalFile::Uploads { operation } => {
            let Some(operation) = operation_of(apply, operation)? else {
                return Ok(None);
            };
            let operation = providers.read_recorded(&operation);
            let operation = operation.map_err(ApiError::internal)?;
            let files = operation.files(&Before::default());
            Ok(files.and_then(|files| upload_list(files.uploads).map(Bytes::from)))
        }
        ApprovalFile::Diff { operation, file } => {
            let state = approval.found(operation.wrapping_sub(1));
            let before = Before {
                state: state.as_ref(),
                name: None,
            };
            of_file(apply, providers, (operation, file), &before, |file| {
                diff_of(file).map(Bytes::from)
            })
        }
    }
}

/// Reads one file of one operation of the request, both counted from 1.
fn of_file(
    apply: &Apply,
    providers: &Providers,
    (operation, file): (usize, usize),
    before: &Before<'_>,
    read: impl FnOnce(&OperationFile<'_>) -> Option<Bytes>,
) -> Result<Option<Bytes>, ApiError> {
    let Some(operation) = operation_of(apply, operation)? else {
        return Ok(None);
    };
    let operation = providers
        .read_recorded(&operation)
        .map_err(ApiError::internal)?;
    let files = operation.files(before);
    let files = files.map_or_else(Vec::new, |files| files.files);
    Ok(files.get(file.wrapping_sub(1)).and_then(read))
}

/// One operation of the request, from 1.
fn operation_of(apply: &Apply, number: usize) -> Result<Option<Value>, ApiError> {
    let operations = ledger::operations_of(apply.submission.as_bytes());
    let mut operations = operations.map_err(ApiError::internal)?;
    let at = number.wrapping_sub(1);
    Ok((at < operations.len()).then(|| operations.swap_remove(at)))
}

/// What was read for each operation, as JSON.
fn upstream(read: &[PreState]) -> String {
    let read = read.iter().map(|read| match read {
        PreState::NotApplicable => Value::Null,
        PreState::Unavailable(why) => serde_json::json!({"could_not_be_read": why}),
        PreState::Found(text) => {
            serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()))
        }
    });
    format!("{:#}", Value::Array(read.collect()))
}

/// Nothing of it is opened as a page: an agent wrote it.
fn download(file: ApprovalFile, content: Bytes, seats: FilePermits) -> Response {
    let kind = match file {
        ApprovalFile::Param { .. }
        | ApprovalFile::Text { .. }
        | ApprovalFile::Diff { .. }
        | ApprovalFile::Uploads { .. } => "text/plain; charset=utf-8",
        ApprovalFile::Request | ApprovalFile::Upstream => "application/json",
        ApprovalFile::Content { .. } => "application/octet-stream",
    };
    let digest = STANDARD.encode(Sha256::digest(&content));
    let length = content.len();
    let chunks = (0..length).step_by(CHUNK).map(move |at| {
        // Held until the last byte was handed over, or the client has gone.
        let _held = &seats;
        Ok::<_, Infallible>(content.slice(at..length.min(at + CHUNK)))
    });
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{file}\""),
        ),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; sandbox; frame-ancestors 'none'".to_owned(),
        ),
        (
            header::HeaderName::from_static("repr-digest"),
            format!("sha-256=:{digest}:"),
        ),
    ];
    (headers, Body::from_stream(stream::iter(chunks))).into_response()
}
