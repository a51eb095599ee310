//! JSON bodies, read strictly: what a person approves must be what every reader of the same bytes
//! would understand.

use crate::limits::body_memory::BodyPermit;
use crate::limits::bounds::HeldPermits;
use crate::limits::counted_for::CountedFor;
use crate::limits::links::{self, ThroughLink};
use crate::problem::ApiError;
use crate::shapes::mistakes;
use crate::state::AppState;
use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{FromRequest, Request};
use bytes::BytesMut;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;
use std::future::poll_fn;
use std::pin::Pin;

/// The largest body that most routes take.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// The largest body of a Worker upload: 10 MiB of modules in base64, which takes a third more, and 1 MiB
/// for everything beside them.
pub const DEPLOY_BODY_LIMIT: usize = 15 * 1024 * 1024;

/// A JSON body of at most [`BODY_LIMIT`] bytes. Duplicate keys, unknown fields, and integers that not
/// every reader can hold are refused, naming the place.
#[derive(Debug, Clone)]
pub struct StrictJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for StrictJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        says_json(request.headers())?;
        parse(&read_and_hold(request, state).await?).map(Self)
    }
}

/// As [`StrictJson`], of at most [`DEPLOY_BODY_LIMIT`] bytes, behind a guard. With it come the number
/// of bytes that it was, for routes whose limit depends on what is in the body, and the permit that it
/// takes, which is to be held for as long as its content is.
#[derive(Debug)]
pub(crate) struct LargeJson<T>(pub(crate) T, pub(crate) usize, pub(crate) BodyPermit);

impl<T: DeserializeOwned> FromRequest<AppState> for LargeJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        says_json(request.headers())?;
        let (body, permit) = read(request, state, DEPLOY_BODY_LIMIT).await?;
        parse(&body).map(|value| Self(value, body.len(), permit))
    }
}

/// As [`StrictJson`], for routes where the body may be left out.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest<AppState> for OptionalJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let said = says_json(request.headers());
        let body = read_and_hold(request, state).await?;
        if body.is_empty() {
            return Ok(Self(None));
        }
        said?;
        parse(&body).map(|value| Self(Some(value)))
    }
}

/// As [`StrictJson`], for somebody who has not proven to be anybody: of at most [`links::BODY_LIMIT`] bytes.
#[derive(Debug)]
pub(crate) struct StrangersJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<AppState> for StrangersJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        says_json(request.headers())?;
        let arriving = read(request, state, links::BODY_LIMIT);
        let read = tokio::time::timeout(links::BODY_PATIENCE, arriving).await;
        let (body, _permit) = read.map_err(|_| ApiError::RequestTimeout)??;
        parse(&body).map(Self)
    }
}

/// Whether the body is said to be JSON, once, in UTF-8 (RFC 8259, section 8.1) and without a coding, which
/// nothing here would undo (RFC 9110, section 8.4). Pages of other origins
/// can have a browser send other kinds, and nothing at all, without being asked whether they may.
fn says_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let mut said = headers.get_all(header::CONTENT_TYPE).iter();
    let (first, second) = (said.next(), said.next());
    let text = first.and_then(|value| value.to_str().ok());
    let is_bare = headers
        .get_all(header::CONTENT_ENCODING)
        .iter()
        .all(|coding| coding.as_bytes().eq_ignore_ascii_case(b"identity"));
    match (text, second) {
        (Some(text), None) if is_json(text) && is_bare => Ok(()),
        _ => Err(ApiError::UnsupportedMediaType),
    }
}

fn is_json(text: &str) -> bool {
    let mut parts = text.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        && parts.all(|parameter| {
            let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            let is_charset = name.trim().eq_ignore_ascii_case("charset");
            !is_charset || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

/// Reads a body whose permit is held until the request is answered.
async fn read_and_hold(request: Request, state: &AppState) -> Result<Bytes, ApiError> {
    read_and_hold_most(request, state, BODY_LIMIT).await
}

/// As [`read_and_hold`], of at most so many bytes.
pub(super) async fn read_and_hold_most(
    request: Request,
    state: &AppState,
    limit: usize,
) -> Result<Bytes, ApiError> {
    let held = request.extensions().get::<HeldPermits>().cloned();
    let (body, permit) = read(request, state, limit).await?;
    if let Some(held) = held {
        held.hold(permit);
    }
    Ok(body)
}

async fn read(
    request: Request,
    state: &AppState,
    limit: usize,
) -> Result<(Bytes, BodyPermit), ApiError> {
    let mut patience = state.config.body_patience;
    let mut limit = limit;
    let extensions = request.extensions();
    let counted_for = match (
        extensions.get::<CountedFor>(),
        extensions.get::<ThroughLink>(),
    ) {
        (Some(caller), _) => caller.clone(),
        (None, Some(link)) => {
            patience = patience.min(links::BODY_PATIENCE);
            limit = limit.min(links::BODY_LIMIT);
            link.owner.clone()
        }
        (None, None) => CountedFor::default(),
    };
    let mut permit = state.bodies.none(counted_for);
    let arriving = arrive(request.into_body(), limit, &mut permit);
    match tokio::time::timeout(patience, arriving).await {
        Ok(body) => Ok((body?, permit)),
        Err(_) => Err(ApiError::RequestTimeout),
    }
}

/// The whole body. One that says how long it is has its permit before it is read, and otherwise it is
/// refused before.
async fn arrive(mut body: Body, limit: usize, permit: &mut BodyPermit) -> Result<Bytes, ApiError> {
    let too_large = || ApiError::PayloadTooLarge { limit };
    let said = body.size_hint().exact();
    let said = said
        .map(|length| {
            usize::try_from(length)
                .ok()
                .filter(|length| *length <= limit)
        })
        .map(|length| length.ok_or_else(too_large))
        .transpose()?;
    permit.grow(said.unwrap_or(0))?;
    let mut all = BytesMut::new();
    loop {
        let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(frame) = frame else {
            return Ok(all.freeze());
        };
        let frame = frame.map_err(|_| ApiError::bad_request("the body broke off"))?;
        // Trailers say nothing that a route wants to know.
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = all.len().saturating_add(data.len());
        if length > limit {
            return Err(too_large());
        }
        if said == Some(data.len()) {
            return Ok(data);
        }
        permit.grow(length)?;
        if all.is_empty() {
            all.reserve(said.unwrap_or(length));
        }
        all.extend_from_slice(&data);
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let read = ledger::deserialize_strict_or_all_mistakes(body);
    read.map_err(|all| mistakes::text_of(all.iter().map(|why| format!("body: {why}"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(said: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(header::CONTENT_TYPE, value.parse().unwrap());
        }
        says_json(&headers).is_ok()
    }

    #[test]
    fn only_json_in_utf_8_is_json() {
        for fine in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json; profile=x",
        ] {
            assert!(taken(&[fine]), "{fine}");
        }
        for other in [
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/json",
            "application/problem+json",
            "application/json-seq",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=latin1",
        ] {
            assert!(!taken(&[other]), "{other}");
        }
        assert!(!taken(&[]));
        assert!(!taken(&["application/json", "application/json"]));
    }

    #[test]
    fn a_body_in_a_coding_is_not_taken_for_what_it_decodes_to() {
        for (codings, fine) in [
            (&["identity"][..], true),
            (&["gzip"], false),
            (&["identity", "br"], false),
            (&["gzip, identity"], false),
            (&[""], false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
            for coding in codings {
                headers.append(header::CONTENT_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(says_json(&headers).is_ok(), fine, "{codings:?}");
        }
    }
}
