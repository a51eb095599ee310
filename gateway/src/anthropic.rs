//! The routes of Anthropic's API, as its clients ask for them below `/proxy/anthropic`.

use crate::call::Call;
use crate::refusal::{Refusal, Word};
use http::{Method, StatusCode};
use ledger::OperationId;
use std::borrow::Cow;
use std::time::Duration;

/// The operation that rules about models deny.
pub(crate) const CREATE: OperationId = OperationId::of("anthropic.messages.create");

const MESSAGES: u64 = 32 * MIB;
const BATCHES: u64 = 256 * MIB;
const FILES: u64 = 500 * MIB;
const MIB: u64 = 1024 * 1024;

/// A list of models is asked for at the start of a client, which does not wait for long.
const MODELS: Duration = Duration::from_secs(3);

impl Call {
    const fn about_batches(operation: &'static str) -> Self {
        Self::new(operation, BATCHES).with_links()
    }
}

/// The answers that are given here, to anybody: what clients ask for before they have a credential.
pub(crate) fn answered_here(method: &Method, path: &str) -> Option<StatusCode> {
    let is_head = *method == Method::HEAD && matches!(path, "/" | "/api/hello");
    let is_log = *method == Method::POST && path.starts_with("/api/event_logging/");
    match (is_head, is_log) {
        (true, _) => Some(StatusCode::OK),
        (_, true) => Some(StatusCode::NO_CONTENT),
        _ => None,
    }
}

/// The heading of a request that is no message; `None` for a message.
pub(crate) fn title(method: &Method, path: &str) -> Option<String> {
    let path = path.strip_prefix("/v1/")?;
    let segments: Vec<&str> = path.split('/').collect();
    let is_deleted = *method == Method::DELETE;
    Some(match segments.as_slice() {
        ["messages", "batches"] => "Make a batch of messages".to_owned(),
        ["messages", "batches", batch] if is_deleted => format!("Delete the batch {batch}"),
        ["messages", "batches", batch, "cancel"] => format!("Cancel the batch {batch}"),
        ["files"] => "Upload a file that messages can use".to_owned(),
        ["files", file] if is_deleted => format!("Delete the file {file}"),
        _ => return None,
    })
}

/// The call that a request makes.
///
/// # Errors
/// The refusal of what is closed, unknown, or asked with another method.
pub(crate) fn route(method: &Method, path: &str, has_files: bool) -> Result<Call, Refusal> {
    const READ: Call = Call::about_batches("anthropic.batches.read");
    const WRITE: Call = Call::about_batches("anthropic.batches.write");
    const MODELS_READ: &[(&Method, Call)] = &[(
        &Method::GET,
        Call::new("anthropic.models.read", MIB)
            .within(MODELS)
            .with_models(),
    )];
    let path = path.strip_prefix('/').unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    let (template, by_method): (&'static str, &[(&Method, Call)]) = match segments.as_slice() {
        ["v1", "messages"] => (
            "/v1/messages",
            &[(
                &Method::POST,
                Call::new("anthropic.messages.create", MESSAGES).metered(),
            )],
        ),
        ["v1", "messages", "count_tokens"] => (
            "/v1/messages/count_tokens",
            &[(
                &Method::POST,
                Call::new("anthropic.messages.count", MESSAGES),
            )],
        ),
        ["v1", "messages", "batches"] => (
            "/v1/messages/batches",
            &[(&Method::POST, WRITE.with_messages()), (&Method::GET, READ)],
        ),
        ["v1", "messages", "batches", _] => (
            "/v1/messages/batches/{id}",
            &[(&Method::GET, READ), (&Method::DELETE, WRITE)],
        ),
        ["v1", "messages", "batches", _, "cancel"] => (
            "/v1/messages/batches/{id}/cancel",
            &[(&Method::POST, WRITE)],
        ),
        ["v1", "messages", "batches", _, "results"] => (
            "/v1/messages/batches/{id}/results",
            &[(&Method::GET, Call::new("anthropic.batches.read", BATCHES))],
        ),
        ["v1", "models"] => ("/v1/models", MODELS_READ),
        ["v1", "models", _] => ("/v1/models/{id}", MODELS_READ),
        ["v1", "files"] if has_files => (
            "/v1/files",
            &[
                (&Method::POST, Call::new("anthropic.files.write", FILES)),
                (&Method::GET, Call::new("anthropic.files.read", FILES)),
            ],
        ),
        ["v1", "files", _] if has_files => (
            "/v1/files/{id}",
            &[
                (&Method::GET, Call::new("anthropic.files.read", FILES)),
                (&Method::DELETE, Call::new("anthropic.files.write", FILES)),
            ],
        ),
        ["v1", "files", _, "content"] if has_files => (
            "/v1/files/{id}/content",
            &[(&Method::GET, Call::new("anthropic.files.read", FILES))],
        ),
        ["v1", "organizations", ..] => {
            return Err(Refusal::new(
                Word::Forbidden,
                "the administration of an organization is closed here",
            ));
        }
        _ => {
            return Err(Refusal::new(
                Word::NotFound,
                "there is no such route here: messages, batches and models are open",
            ));
        }
    };
    let found = by_method.iter().find(|(other, _)| *other == method);
    let found = found.map(|(_, call)| Call {
        route: Cow::Borrowed(template),
        ..call.clone()
    });
    found.ok_or_else(|| {
        let methods: Vec<&str> = by_method.iter().map(|(other, _)| other.as_str()).collect();
        Refusal::new(
            Word::MethodNotAllowed,
            format!("this route takes {}", methods.join(", ")),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(line: &str, has_files: bool) -> Result<String, Word> {
        let (method, path) = line.split_once(' ').unwrap();
        let method = method.parse().unwrap();
        let call = route(&method, path, has_files);
        call.map(|call| call.operation.to_string())
            .map_err(|refused| refused.word())
    }

    #[test]
    fn each_route_is_one_operation() {
        for (line, expected) in [
            ("POST /v1/messages", "anthropic.messages.create"),
            ("POST /v1/messages/count_tokens", "anthropic.messages.count"),
            ("POST /v1/messages/batches", "anthropic.batches.write"),
            ("GET /v1/messages/batches", "anthropic.batches.read"),
            ("GET /v1/messages/batches/b1", "anthropic.batches.read"),
            ("DELETE /v1/messages/batches/b1", "anthropic.batches.write"),
            (
                "POST /v1/messages/batches/b1/cancel",
                "anthropic.batches.write",
            ),
            (
                "GET /v1/messages/batches/b1/results",
                "anthropic.batches.read",
            ),
            ("GET /v1/models", "anthropic.models.read"),
            ("GET /v1/models/claude-x", "anthropic.models.read"),
        ] {
            assert_eq!(operation(line, false).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn files_are_open_only_where_the_service_says_so() {
        for (line, expected) in [
            ("POST /v1/files", "anthropic.files.write"),
            ("GET /v1/files", "anthropic.files.read"),
            ("GET /v1/files/f1", "anthropic.files.read"),
            ("DELETE /v1/files/f1", "anthropic.files.write"),
            ("GET /v1/files/f1/content", "anthropic.files.read"),
        ] {
            assert_eq!(operation(line, false), Err(Word::NotFound), "{line}");
            assert_eq!(operation(line, true).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn administration_is_closed_and_the_rest_is_unknown() {
        for (line, expected) in [
            ("GET /v1/organizations/me", Word::Forbidden),
            ("POST /v1/organizations/api_keys", Word::Forbidden),
            ("POST /v1/complete", Word::NotFound),
            ("GET /", Word::NotFound),
            ("POST /v2/messages", Word::NotFound),
            ("POST /v1/messages/x", Word::NotFound),
            ("GET /v1/messages", Word::MethodNotAllowed),
            ("PATCH /v1/messages/batches/b1", Word::MethodNotAllowed),
            ("DELETE /v1/models/claude-x", Word::MethodNotAllowed),
        ] {
            assert_eq!(operation(line, true), Err(expected), "{line}");
        }
    }

    #[test]
    fn three_requests_are_answered_here_for_anybody() {
        for (method, path, expected) in [
            (Method::HEAD, "/", Some(200)),
            (Method::HEAD, "/api/hello", Some(200)),
            (Method::POST, "/api/event_logging/batch", Some(204)),
            (Method::GET, "/", None),
            (Method::GET, "/api/hello", None),
            (Method::GET, "/api/event_logging/batch", None),
            (Method::POST, "/api/event_logging", None),
            (Method::HEAD, "/v1/models", None),
        ] {
            let status = answered_here(&method, path).map(|status| status.as_u16());
            assert_eq!(status, expected, "{method} {path}");
        }
    }
}
