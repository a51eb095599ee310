//! The record of a call: that it is about to change something, how it ended, and what it used. Nothing of
//! it is waited for but the intent of a change.

use crate::caller::Open;
use crate::refusal::Refusal;
use crate::usage::{Reader, Usage};
use axum::body::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use ledger::CallId;
use ledger::event::{BodyDigest, CallEnded, CallOutcome, CallRuling, CallSubject};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use tokio::time::Instant;

/// The names under which upstreams give the id of a request.
const REQUEST_IDS: [&str; 2] = ["request-id", "cf-ray"];
/// The longest id of upstream's that is kept.
const LONGEST_ID: usize = 128;

/// Why a call has no answer that upstream may have answered: its caller went or may not call any more, or it took too
/// long.
const LEFT: [&str; 4] = ["client_gone", "unauthorized", "locked", "timeout"];

/// Keeps what becomes of calls.
pub trait Records: Send + Sync + 'static {
    /// A name for a call.
    fn call_id(&self) -> CallId;

    /// Records that a call is about to be sent that changes something upstream, and how the policy let it through.
    ///
    /// # Errors
    /// The refusal of a call that may not be sent, or whose intent could not be made durable.
    fn begin(
        &self,
        call_id: CallId,
        subject: CallSubject,
        path: String,
        ruling: Option<CallRuling>,
    ) -> BoxFuture<'static, Result<(), Refusal>>;

    /// Is told how a call has ended, and what it used where it says so; once, and also of one whose beginning
    /// was asked to be recorded and was not waited for. It must not block.
    fn ended(&self, ended: CallEnded, usage: Option<Usage>);
}

/// How much of a body has passed, and the digest of it.
#[derive(Debug)]
pub(crate) struct Measured {
    bytes: u64,
    hasher: blake3::Hasher,
}

impl Measured {
    fn new() -> Self {
        Self {
            bytes: 0,
            hasher: blake3::Hasher::new_derive_key(BodyDigest::CONTEXT),
        }
    }

    pub(crate) fn take(&mut self, data: &[u8]) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        self.hasher.update(data);
    }

    fn digest(&self) -> BodyDigest {
        BodyDigest::from_bytes(*self.hasher.finalize().as_bytes())
    }
}

/// The body that goes up, which the connection to upstream takes over.
#[derive(Debug, Clone)]
pub(crate) struct GoesUp(Arc<Mutex<Measured>>);

impl GoesUp {
    /// Of a request that is no call, and is on record by itself.
    pub(crate) fn of_no_call() -> Self {
        Self(Arc::new(Mutex::new(Measured::new())))
    }

    pub(crate) fn measured(&self) -> MutexGuard<'_, Measured> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call. It is told when this goes, however the call ends.
pub(crate) struct Recording {
    records: Arc<dyn Records>,
    call_id: CallId,
    /// None once nothing is to be told.
    subject: Option<CallSubject>,
    /// How the policy let it through; none where its beginning says it.
    ruling: Option<CallRuling>,
    is_begun: bool,
    begun: Instant,
    up: GoesUp,
    down: Measured,
    status: Option<u16>,
    /// Why there is no answer, while there is none.
    why: &'static str,
    is_whole: bool,
    reader: Option<Reader>,
    /// Its answer says how many tokens it used.
    is_metered: bool,
    /// Counts it as open; it goes after what was used is told.
    open: Open,
    upstream_request_id: Option<String>,
}

impl Recording {
    /// Of a call that is about to be sent. What changes something upstream is on record when this is there.
    ///
    /// # Errors
    /// As [`Records::begin`].
    pub(crate) async fn begin(
        records: &Arc<dyn Records>,
        subject: CallSubject,
        path: &str,
        mut ruling: Option<CallRuling>,
    ) -> Result<Self, Refusal> {
        let changes = subject.changes();
        let said_by_beginning = ruling.take_if(|_| changes);
        let mut recording = Self {
            records: Arc::clone(records),
            call_id: records.call_id(),
            subject: Some(subject.clone()),
            ruling,
            // Who goes while it is being recorded has it told as ended, whatever became of that.
            is_begun: changes,
            begun: Instant::now(),
            up: GoesUp(Arc::new(Mutex::new(Measured::new()))),
            down: Measured::new(),
            status: None,
            why: "client_gone",
            is_whole: false,
            reader: None,
            is_metered: false,
            open: None,
            upstream_request_id: None,
        };
        if changes {
            let path = path.to_owned();
            let begun = records.begin(recording.call_id, subject, path, said_by_beginning);
            if let Err(refused) = begun.await {
                recording.subject = None;
                return Err(refused);
            }
        }
        Ok(recording)
    }

    /// Its answer says how many tokens it used, and it is open until then.
    pub(crate) fn meter(&mut self, open: Open) {
        self.is_metered = true;
        self.open = open;
    }

    pub(crate) fn goes_up(&self) -> GoesUp {
        self.up.clone()
    }

    /// Notes the head of the answer, or why there is none.
    pub(crate) fn heard<B>(
        &mut self,
        answer: Result<Response<B>, Refusal>,
    ) -> Result<Response<B>, Refusal> {
        match &answer {
            Ok(answer) => {
                self.status = Some(answer.status().as_u16());
                self.upstream_request_id = request_id(answer.headers());
            }
            Err(refused) => self.refused(refused),
        }
        answer
    }

    /// Notes that the client is given a refusal in place of the answer.
    pub(crate) fn refused(&mut self, refused: &Refusal) {
        self.status = None;
        self.why = refused.word().code();
    }

    /// Has the tokens of the answer counted.
    pub(crate) fn count(&mut self, reader: Option<Reader>) {
        self.reader = reader;
    }

    /// Looks at a piece of the answer, which may be the last one. A client may go once it has that, without
    /// waiting for the end.
    pub(crate) fn look(&mut self, data: &[u8], is_last: bool) {
        self.down.take(data);
        if let Some(reader) = &mut self.reader {
            reader.read(data);
        }
        self.is_whole = is_last || self.has_stopped();
    }

    /// The answer has come to its end.
    pub(crate) const fn is_over(&mut self) {
        self.is_whole = true;
    }

    /// Whether the stream has had its last event, where its tokens are counted.
    pub(crate) fn has_stopped(&self) -> bool {
        self.reader.as_ref().is_some_and(Reader::has_stopped)
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let Some(subject) = self.subject.take() else {
            return;
        };
        let outcome = match self.status {
            Some(status) if self.is_whole => CallOutcome::Answered { status },
            Some(status) => CallOutcome::BrokenOff { status },
            None => CallOutcome::Unanswered {
                why: self.why.to_owned(),
            },
        };
        let usage = match &mut self.reader {
            Some(reader) => Some(reader.end(self.is_whole)),
            // It was sent, and went on upstream for all that is known.
            None if self.is_metered && self.status.is_none() && LEFT.contains(&self.why) => {
                let is_interrupted = true;
                Some(Usage {
                    is_interrupted,
                    ..Usage::default()
                })
            }
            None => None,
        };
        let (request_bytes, request_digest) = {
            let up = self.up.measured();
            (up.bytes, up.digest())
        };
        let ended = CallEnded {
            call_id: self.call_id,
            is_begun: self.is_begun,
            subject,
            outcome,
            request_bytes,
            request_digest,
            response_bytes: self.down.bytes,
            response_digest: self.down.digest(),
            duration_micros: u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX),
            upstream_request_id: self.upstream_request_id.take(),
            ruling: self.ruling.take(),
        };
        self.records.ended(ended, usage);
    }
}

fn request_id(headers: &HeaderMap) -> Option<String> {
    let named = REQUEST_IDS.iter().find_map(|name| headers.get(*name));
    let text = named.map(HeaderValue::to_str)?.ok()?;
    (text.len() <= LONGEST_ID).then(|| text.to_owned())
}

/// An answer that was read here as a whole.
pub(crate) struct Given {
    body: Option<Bytes>,
    recording: Recording,
}

impl Given {
    pub(crate) fn new(body: Bytes, mut recording: Recording) -> Self {
        if body.is_empty() {
            recording.is_over();
        }
        Self {
            body: Some(body).filter(|body| !body.is_empty()),
            recording,
        }
    }
}

impl HttpBody for Given {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        Poll::Ready(this.body.take().map(|body| {
            this.recording.look(&body, true);
            Ok(Frame::data(body))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.body.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(length as u64)
    }
}
