//! Bodies of writes: read whole, within a budget of memory of all calls together, and judged, so that nobody reads two
//! things in one.

use crate::refusal::{Refusal, Word};
use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use ledger::canonical::{StrictJsonError, parse_strict};
use ledger::operation::{Form, InvalidForm, form_boundary};
use serde_json::Value;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The unit in which memory is given out.
const UNIT: usize = 1024;

/// The memory that bodies which are read whole may take together.
#[derive(Debug, Clone)]
pub(crate) struct Buffers(Arc<Semaphore>);

/// A body that was read, with the memory that it takes.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    _memory: Vec<OwnedSemaphorePermit>,
}

impl Buffers {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(Arc::new(Semaphore::new(bytes / UNIT)))
    }

    /// Reads a body of at most so many bytes.
    ///
    /// # Errors
    /// [`Word::TooLarge`], [`Word::Busy`] where there is no memory for it, [`Word::Malformed`] where it does not come
    /// to its end.
    pub(crate) async fn read(
        &self,
        mut body: Body,
        most: u64,
        idle: Duration,
    ) -> Result<Whole, Refusal> {
        let (mut bytes, mut memory) = (BytesMut::new(), Vec::new());
        let mut paid = 0_usize;
        let cut = || Refusal::malformed("the body did not come to its end");
        loop {
            let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let frame = tokio::time::timeout(idle, next).await.map_err(|_| cut())?;
            let Some(frame) = frame else {
                return Ok(Whole {
                    bytes: bytes.freeze(),
                    _memory: memory,
                });
            };
            // Trailers stay behind.
            let Ok(data) = frame.map_err(|_| cut())?.into_data() else {
                continue;
            };
            let length = bytes.len().saturating_add(data.len());
            if length as u64 > most {
                return Err(too_large(most));
            }
            let units = length.div_ceil(UNIT).saturating_sub(paid);
            if units > 0 {
                let wanted = u32::try_from(units).unwrap_or(u32::MAX);
                let given = Arc::clone(&self.0).try_acquire_many_owned(wanted);
                memory.push(given.map_err(|_| {
                    Refusal::new(
                        Word::Busy,
                        "the service has no room for this body: try again in a moment",
                    )
                })?);
                paid = paid.saturating_add(units);
            }
            bytes.extend_from_slice(&data);
        }
    }
}

pub(crate) fn too_large(most: u64) -> Refusal {
    let most = most / (1024 * 1024);
    Refusal::new(
        Word::TooLarge,
        format!("the request body is longer than {most} MiB"),
    )
}

/// A body that was read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Content {
    Nothing,
    Json(Value),
    Form(Form),
}

impl Content {
    /// Reads a body by its media type.
    ///
    /// # Errors
    /// [`Word::Malformed`] for what is neither JSON nor a form, and what two readers could read as two things.
    pub(crate) fn read(headers: &HeaderMap, bytes: &Bytes) -> Result<Self, Refusal> {
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let (first, second) = (types.next(), types.next());
        if second.is_some() {
            return Err(Refusal::malformed("the content type is said twice"));
        }
        let Some(content_type) = first else {
            return match bytes.is_empty() {
                true => Ok(Self::Nothing),
                false => Err(other_type()),
            };
        };
        let unreadable = |error: InvalidForm| Refusal::malformed(format!("the form: {error}"));
        let said = content_type
            .to_str()
            .map_err(|_| Refusal::malformed("the content type cannot be read"))?;
        if let Some(boundary) = form_boundary(said).map_err(unreadable)? {
            let form = Form::parse(bytes, &boundary).map_err(unreadable)?;
            for part in form.parts.iter().filter(|part| part.is_json()) {
                json(&part.content)?;
            }
            return Ok(Self::Form(form));
        }
        if bytes.is_empty() {
            return Ok(Self::Nothing);
        }
        match is_json(content_type) {
            true => Ok(Self::Json(json(bytes)?)),
            false => Err(other_type()),
        }
    }
}

fn is_json(content_type: &HeaderValue) -> bool {
    let text = content_type.to_str().unwrap_or_default();
    let (essence, params) = text.split_once(';').unwrap_or((text, "charset=utf-8"));
    let is_utf8 = params
        .trim()
        .trim_matches('"')
        .eq_ignore_ascii_case("charset=utf-8");
    essence.trim().eq_ignore_ascii_case("application/json") && is_utf8
}

/// Reads JSON in which no key stands twice, no number is beyond ±2^53, and nothing is nested deeper than 64 levels.
pub(crate) fn json(bytes: &[u8]) -> Result<Value, Refusal> {
    parse_strict(bytes).map_err(|error: StrictJsonError| Refusal::malformed(error.to_string()))
}

fn other_type() -> Refusal {
    Refusal::malformed("the body must be application/json or multipart/form-data")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &str) -> Result<Content, Refusal> {
        let mut headers = HeaderMap::new();
        if !content_type.is_empty() {
            headers.insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        Content::read(&headers, &Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn json_that_two_readers_could_read_as_two_things_is_refused() {
        let deep = format!("{}{}", "[".repeat(65), "]".repeat(65));
        for body in [
            "{\"a\":1,\"a\":2}",
            "{\"a\":9007199254740993}",
            "{\"a\":1}x",
            "{",
            &deep,
        ] {
            let refused = read("application/json", body).unwrap_err();
            assert_eq!(refused.word(), Word::Malformed, "{body}");
        }
        for content_type in ["application/json", "Application/JSON; charset=UTF-8"] {
            let read = read(content_type, "{\"a\":1}");
            assert_eq!(read, Ok(Content::Json(serde_json::json!({"a": 1}))));
        }
    }

    #[test]
    fn a_body_of_another_type_is_refused_and_an_empty_one_is_nothing() {
        assert_eq!(read("", ""), Ok(Content::Nothing));
        assert_eq!(read("application/json", ""), Ok(Content::Nothing));
        for content_type in [
            "",
            "text/plain",
            "application/javascript",
            "application/json; charset=utf-16",
            "application/x-www-form-urlencoded",
        ] {
            assert!(read(content_type, "{}").is_err(), "{content_type}");
        }
    }

    #[test]
    fn metadata_of_a_form_is_read_as_strictly() {
        let form = |metadata: &str| {
            let head = "Content-Disposition: form-data; name=\"metadata\"";
            format!("--x\r\n{head}\r\n\r\n{metadata}\r\n--x--\r\n")
        };
        assert!(read("multipart/form-data; boundary=x", &form("{\"a\":1}")).is_ok());
        for metadata in ["{\"a\":1,\"a\":2}", "no JSON"] {
            let read = read("multipart/form-data; boundary=x", &form(metadata));
            assert!(read.is_err(), "{metadata}");
        }
    }

    #[tokio::test]
    async fn bodies_take_memory_until_they_go_and_no_more_than_there_is() {
        let idle = Duration::from_secs(1);
        let buffers = Buffers::new(4 * UNIT);
        let body = |length: usize| Body::from(vec![b'a'; length]);
        let first = buffers.read(body(3 * UNIT), 1 << 20, idle).await.unwrap();
        let busy = buffers.read(body(2 * UNIT), 1 << 20, idle).await;
        assert_eq!(busy.unwrap_err().word(), Word::Busy);
        assert_eq!(first.bytes.len(), 3 * UNIT);
        drop(first);
        let second = buffers.read(body(4 * UNIT), 1 << 20, idle).await.unwrap();
        let large = buffers.read(body(8 * UNIT), 7 * UNIT as u64, idle).await;
        assert_eq!(large.unwrap_err().word(), Word::TooLarge);
        drop(second);
    }
}
