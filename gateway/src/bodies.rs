//! Bodies of writes: read whole, within a budget of memory of all calls together, and judged, so that nobody reads two
//! things in one. What is parsed counts in that budget as well: a list of small numbers takes sixteen times its text.

use crate::refusal::{Refusal, Word};
use axum::body::{Body, Bytes};
use bytes::BytesMut;
use http::{HeaderMap, HeaderValue, header};
use http_body::Body as _;
use ledger::canonical::{StrictJsonError, parse_strict};
use ledger::event::UpstreamKeyOwner;
use ledger::operation::{Form, InvalidForm, form_boundary};
use serde_json::Value;
use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The unit in which memory is given out.
const UNIT: usize = 1024;

/// The memory of a value of JSON that was parsed, what an entry of an object takes beside its value, and what a text does
/// beside its bytes.
const VALUE: usize = size_of::<Value>();
const ENTRY: usize = 64;
const TEXT: usize = 24;

/// The least share of one caller, in bytes: the longest message fits.
const LEAST_SHARE: usize = 33 * 1024 * 1024;
/// The lowest rate, in bytes a second, at which a body may come, over its whole length and beside [`BEGINS`].
const LOWEST_RATE: u64 = 16 * 1024;
const BEGINS: Duration = Duration::from_secs(30);

/// The memory that bodies which are read whole may take together; one caller has a quarter of it, with all its credentials.
#[derive(Debug, Clone)]
pub(crate) struct Buffers {
    all: Arc<Semaphore>,
    /// In units, as what is taken.
    share: usize,
    taken: Arc<Mutex<HashMap<UpstreamKeyOwner, usize>>>,
}

/// A body that was read, with the memory that it takes.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    memory: Memory,
}

/// The memory that one body takes.
#[derive(Debug)]
struct Memory {
    of: UpstreamKeyOwner,
    units: usize,
    taken: Arc<Mutex<HashMap<UpstreamKeyOwner, usize>>>,
    permits: Vec<OwnedSemaphorePermit>,
}

impl Drop for Memory {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = taken.get_mut(&self.of) {
            *own = own.saturating_sub(self.units);
            if *own == 0 {
                taken.remove(&self.of);
            }
        }
    }
}

impl Buffers {
    pub(crate) fn new(bytes: usize) -> Self {
        let share = (bytes / 4).max(bytes.min(LEAST_SHARE));
        Self {
            all: Arc::new(Semaphore::new(bytes / UNIT)),
            share: share / UNIT,
            taken: Arc::default(),
        }
    }

    /// Takes memory for what is parsed of a body, beside its bytes, until the body goes.
    ///
    /// # Errors
    /// [`Word::Busy`] where there is none for it now, [`TOO_MANY_VALUES`] where its caller has never so much.
    pub(crate) fn take_parsed(
        &self,
        whole: &mut Whole,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        let units = weight_of(headers, &whole.bytes)?.div_ceil(UNIT);
        let refused = self.pay(&mut whole.memory, units);
        refused.map_err(|refused| match refused.word() {
            Word::TooLarge => Refusal::new(Word::TooLarge, TOO_MANY_VALUES),
            _ => refused,
        })
    }

    /// Takes memory for a body, beside what it has.
    fn pay(&self, memory: &mut Memory, units: usize) -> Result<(), Refusal> {
        let busy = || {
            Refusal::new(
                Word::Busy,
                "the service has no room for this body: try again in a moment",
            )
        };
        {
            let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            let own = taken.entry(memory.of).or_default();
            if own.saturating_add(units) > self.share {
                return Err(match memory.units.saturating_add(units) > self.share {
                    true => too_large((self.share.saturating_mul(UNIT)) as u64),
                    false => busy(),
                });
            }
            *own = own.saturating_add(units);
            memory.units = memory.units.saturating_add(units);
        }
        let wanted = u32::try_from(units).unwrap_or(u32::MAX);
        let given = Arc::clone(&self.all).try_acquire_many_owned(wanted);
        memory.permits.push(given.map_err(|_| busy())?);
        Ok(())
    }

    /// Reads a body of at most so many bytes, of that caller.
    ///
    /// # Errors
    /// [`Word::TooLarge`], [`Word::Busy`] where there is no memory for it, [`Word::Malformed`] where it does not come
    /// to its end, or too slowly.
    pub(crate) async fn read(
        &self,
        mut body: Body,
        most: u64,
        (of, idle): (UpstreamKeyOwner, Duration),
    ) -> Result<Whole, Refusal> {
        let mut bytes = BytesMut::new();
        let mut memory = Memory {
            of,
            units: 0,
            taken: Arc::clone(&self.taken),
            permits: Vec::new(),
        };
        let cut = || Refusal::malformed("the body did not come to its end, or too slowly");
        let begun = Instant::now();
        loop {
            let next = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx));
            let earned = Duration::from_secs(bytes.len() as u64 / LOWEST_RATE);
            let due = begun + BEGINS + earned;
            let due = due.min(Instant::now() + idle);
            let frame = tokio::time::timeout_at(due, next)
                .await
                .map_err(|_| cut())?;
            let Some(frame) = frame else {
                return Ok(Whole {
                    bytes: bytes.freeze(),
                    memory,
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
            let units = length.div_ceil(UNIT).saturating_sub(memory.units);
            if units > 0 {
                self.pay(&mut memory, units)?;
            }
            bytes.extend_from_slice(&data);
        }
    }
}

/// The refusal of a body that is not too long, and takes more memory than one caller has once it is parsed.
pub(crate) const TOO_MANY_VALUES: &str = "the JSON of the request has more values than this service has memory for: send \
    fewer, or have an administrator raise PROXY_BUFFER_MIB";

/// The memory that the JSON in a body takes once it is parsed, in bytes, beside its text. It is counted before anything is
/// parsed, so that also what is no JSON has a weight.
fn weight_of(headers: &HeaderMap, bytes: &Bytes) -> Result<usize, Refusal> {
    let Some(content_type) = content_type(headers)? else {
        return Ok(0);
    };
    Ok(match form_of(content_type, bytes)? {
        Some(form) => {
            let parts = form.parts.iter().filter(|part| part.is_json());
            parts.map(|part| weight(&part.content)).sum()
        }
        None => weight(bytes),
    })
}

fn weight(json: &[u8]) -> usize {
    let (mut values, mut entries, mut texts) = (1_usize, 0_usize, 0_usize);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b',' | b'[' | b'{' => values = values.saturating_add(1),
            b':' => entries = entries.saturating_add(1),
            b'"' => {
                texts = texts.saturating_add(1);
                // To its end.
                while let Some(byte) = bytes.next() {
                    match byte {
                        b'"' => break,
                        b'\\' => _ = bytes.next(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let values = values.saturating_mul(VALUE);
    let entries = entries.saturating_mul(ENTRY);
    values
        .saturating_add(entries)
        .saturating_add(texts.saturating_mul(TEXT))
}

pub(crate) fn too_large(most: u64) -> Refusal {
    const MIB: u64 = 1024 * 1024;
    let most = match most.is_multiple_of(MIB) {
        true => format!("{} MiB", most / MIB),
        false => format!("{most} bytes"),
    };
    let why = format!("the request body is longer than {most}");
    Refusal::new(Word::TooLarge, why)
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
        let Some(content_type) = content_type(headers)? else {
            return match bytes.is_empty() {
                true => Ok(Self::Nothing),
                false => Err(other_type()),
            };
        };
        if let Some(form) = form_of(content_type, bytes)? {
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

/// Reads a form of files, of which nothing but their names and bytes is looked at.
///
/// # Errors
/// [`Word::Malformed`] for what is no form, and what two readers could read as two things.
pub(crate) fn form_of_files(headers: &HeaderMap, bytes: &Bytes) -> Result<Form, Refusal> {
    let form = match content_type(headers)? {
        Some(content_type) => form_of(content_type, bytes)?,
        None => None,
    };
    form.ok_or_else(|| Refusal::malformed("files are uploaded as a form"))
}

fn content_type(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (_, Some(_)) => Err(Refusal::malformed("the content type is said twice")),
        (content_type, None) => Ok(content_type),
    }
}

/// The form, where the media type is that of one.
fn form_of(content_type: &HeaderValue, bytes: &Bytes) -> Result<Option<Form>, Refusal> {
    let unreadable = |error: InvalidForm| Refusal::malformed(format!("the form: {error}"));
    let content_type = content_type
        .to_str()
        .map_err(|_| Refusal::malformed("the content type cannot be read"))?;
    let boundary = form_boundary(content_type).map_err(unreadable)?;
    let form = boundary.map(|boundary| Form::parse(bytes, &boundary));
    form.transpose().map_err(unreadable)
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

    #[test]
    fn a_file_of_json_in_a_form_of_files_is_coded_like_any_other() {
        let head = "Content-Disposition: form-data; name=\"0a\"; filename=\"0a\"";
        let form =
            format!("--x\r\n{head}\r\nContent-Type: application/json\r\n\r\ne30=\r\n--x--\r\n");
        let body = Bytes::from(form);
        let mut headers = HeaderMap::new();
        let content_type = HeaderValue::from_static("multipart/form-data; boundary=x");
        headers.insert(header::CONTENT_TYPE, content_type);
        let files = form_of_files(&headers, &body).unwrap();
        assert_eq!(files.parts[0].content, "e30=");
        assert!(Content::read(&headers, &body).is_err());
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
        assert!(form_of_files(&headers, &body).is_err());
    }

    #[tokio::test]
    async fn bodies_take_memory_until_they_go_and_no_more_than_there_is() {
        let caller = (of(1), Duration::from_secs(1));
        let buffers = Buffers::new(4 * UNIT);
        let body = |length: usize| Body::from(vec![b'a'; length]);
        let first = buffers.read(body(3 * UNIT), 1 << 20, caller).await.unwrap();
        let busy = buffers.read(body(2 * UNIT), 1 << 20, caller).await;
        assert_eq!(busy.unwrap_err().word(), Word::Busy);
        assert_eq!(first.bytes.len(), 3 * UNIT);
        drop(first);
        let second = buffers.read(body(4 * UNIT), 1 << 20, caller).await.unwrap();
        let large = buffers.read(body(8 * UNIT), 7 * UNIT as u64, caller).await;
        assert_eq!(large.unwrap_err().word(), Word::TooLarge);
        drop(second);
    }

    #[tokio::test]
    async fn a_parsed_body_takes_what_its_values_take_and_not_what_its_text_says() {
        let caller = (of(1), Duration::from_secs(1));
        let buffers = Buffers::new(1024 * UNIT);
        let mut headers = HeaderMap::new();
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
        let parsed = async |body: String| {
            let mut whole = buffers.read(body.into(), 1 << 20, caller).await.unwrap();
            buffers.take_parsed(&mut whole, &headers).map(|()| whole)
        };
        let numbers = |count: usize| format!("[{}0]", "0,".repeat(count));
        let text = format!("[\"{}\"]", "0,[{:\\\"".repeat(60_000));
        assert!(parsed(text).await.is_ok(), "a text is one value");
        let refused = parsed(numbers(60_000)).await.unwrap_err();
        assert_eq!(refused.word(), Word::TooLarge);
        assert_eq!(refused.message(), TOO_MANY_VALUES);
        let held = parsed(numbers(20_000)).await.unwrap();
        let busy = parsed(numbers(20_000)).await.unwrap_err();
        assert_eq!(busy.word(), Word::Busy);
        drop(held);
        assert!(parsed(numbers(20_000)).await.is_ok());
    }

    #[test]
    fn the_weight_of_json_is_at_least_what_its_values_take() {
        let nested = "{\"a\":[{\"b\":1},null,\"x\",[[]]]}";
        // The object, its list, the object in that, 1, null, the text, and two lists.
        let least = 8 * VALUE + 2 * ENTRY + 3 * TEXT;
        assert!(weight(nested.as_bytes()) >= least);
        assert_eq!(weight(b"\"\\\",[{:\""), VALUE + TEXT);
        assert_eq!(weight(b"\"open"), VALUE + TEXT);
    }

    const fn of(agent: u8) -> UpstreamKeyOwner {
        UpstreamKeyOwner::Agent(ledger::AgentId::from_bytes([agent; 16]))
    }

    #[tokio::test]
    async fn a_caller_has_a_share_and_leaves_the_rest_to_others() {
        let idle = Duration::from_secs(1);
        let buffers = Buffers::new(4 * LEAST_SHARE);
        let body = |length: usize| Body::from(vec![b'a'; length]);
        let most = 1 << 40;
        let held = buffers.read(body(LEAST_SHARE), most, (of(1), idle)).await;
        let held = held.unwrap();
        let more = buffers.read(body(1), most, (of(1), idle)).await;
        assert_eq!(more.unwrap_err().word(), Word::Busy);
        assert!(buffers.read(body(1), most, (of(2), idle)).await.is_ok());
        let longer = buffers
            .read(body(LEAST_SHARE + 1), most, (of(2), idle))
            .await;
        assert_eq!(longer.unwrap_err().word(), Word::TooLarge);
        drop(held);
        assert!(buffers.read(body(1), most, (of(1), idle)).await.is_ok());
        assert!(buffers.taken.lock().unwrap().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_does_not_hold_its_memory() {
        let buffers = Buffers::new(LEAST_SHARE);
        let pieces = futures_util::stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_secs(10)).await;
            Some((Ok::<_, std::io::Error>(Bytes::from_static(b"a")), ()))
        });
        let begun = Instant::now();
        let caller = (of(1), Duration::from_secs(600));
        let read = buffers
            .read(Body::from_stream(pieces), 1 << 20, caller)
            .await;
        assert_eq!(read.unwrap_err().word(), Word::Malformed);
        assert!(begun.elapsed() <= BEGINS + Duration::from_secs(1));
        assert!(buffers.taken.lock().unwrap().is_empty());
    }
}
