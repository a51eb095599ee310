//! The routes of an API that an administrator opened.

use crate::bodies::Content;
use crate::call::{Access, Call, Routed};
use crate::caller::{Asked, Reach};
use crate::refusal::{Refusal, Word};
use http::Method;
use ledger::operation::{carries_secret, shown_name};
use ledger::{Level, UpstreamApi};
use std::borrow::Cow;

/// The call that a request makes.
///
/// # Errors
/// The refusal of what no route takes.
pub(crate) fn route(api: &UpstreamApi, method: &Method, path: &str) -> Result<Routed, Refusal> {
    let Some((route, scope)) = api.route(method.as_str(), path) else {
        let methods = api.methods(path);
        return Err(
            match methods.is_empty() || methods.contains(&method.as_str()) {
                true => Refusal::new(Word::NotFound, "no route that is open here is that"),
                false => Refusal::new(
                    Word::MethodNotAllowed,
                    format!("through this proxy the route takes {}", methods.join(", ")),
                ),
            },
        );
    };
    let asked = Asked {
        operation: route.operation,
        level: route.level,
        risk: route.risk,
        reach: Reach::One(scope),
    };
    let access = match route.level {
        Level::Read => Access::Read(asked),
        Level::Write | Level::Admin => Access::Write(asked),
    };
    let template = Cow::Owned(route.path.clone());
    let most = api.described().max_body_bytes;
    Ok(Routed::Call(Call::of(
        route.operation,
        template,
        access,
        most,
    )))
}

/// Holds the query of a write to what may be recorded and shown.
///
/// # Errors
/// A parameter whose name says that it carries a secret.
pub(crate) fn judge_query(query: &str) -> Result<(), Refusal> {
    let mut named = url::form_urlencoded::parse(query.as_bytes());
    match named.find(|(name, value)| carries_secret(name) && !value.is_empty()) {
        None => Ok(()),
        Some((name, _)) => Err(Refusal::malformed(format!(
            "the query has {}, which says that it carries a secret: the address of a write is recorded and shown to people. \
             Send it in a field of the body that the description of this API seals",
            shown_name(&name)
        ))),
    }
}

/// The places of secrets in the body of a write, as its route names them.
///
/// # Errors
/// The refusal of a form where the route names secrets, which stand in JSON.
pub(crate) fn judge_write(
    api: &UpstreamApi,
    method: &Method,
    path: &str,
    content: &Content,
) -> Result<Vec<String>, Refusal> {
    let route = api.route(method.as_str(), path);
    let named = route.map_or(&[][..], |(route, _)| route.seal.as_slice());
    match content {
        Content::Json(body) => {
            let there = named.iter().filter(|place| body.pointer(place).is_some());
            Ok(there.cloned().collect())
        }
        Content::Form(_) if !named.is_empty() => Err(Refusal::malformed(
            "this route takes JSON, in which its secrets are found, and no form",
        )),
        Content::Nothing | Content::Form(_) => Ok(Vec::new()),
    }
}
