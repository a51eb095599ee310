//! The live stream: what changes, as server-sent events (WHATWG HTML, section 9.2).
//!
//! An identity that is taken away at a position is told nothing of what is recorded from there on: the
//! batch that has it says so, and access is asked for again before anything of that batch leaves.

use crate::extract::params::QueryParams;
use crate::limits::bounds::LongAnswer;
use crate::limits::counted_for::CountedFor;
use crate::limits::streams::StreamPermits;
use crate::problem::ApiError;
use crate::schemes::By;
use crate::schemes::subject::only;
use crate::shapes::stream::{Ended, changed};
use crate::state::AppState;
use app::feed::{Reader, Step, Watching};
use app::{WatchAccess, action};
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::unfold;
use http::{HeaderMap, HeaderName, header};
use serde::Deserialize;
use std::convert::Infallible;
use std::time::Duration;
use tokio::time::Instant;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(watch_changes))
}

/// How long one who may read nothing of what was recorded waits for the position, at least.
const QUIET: Duration = Duration::from_secs(1);
/// As [`QUIET`], for one who may read a single task.
const QUIET_OF_TASK: Duration = Duration::from_secs(15);

/// How often something is sent where nothing is recorded, for what stands between and ends silent
/// connections.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// From where.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct StreamQuery {
    /// A size of the ledger, as lists say it in `as_of`; what is recorded from now on when left out.
    after: Option<u64>,
}

/// What changes, as it is recorded
///
/// Server-sent events. A message tells what changed up to its `id`, which is a size of the ledger; data is a
/// list of `{kind, ids}`. The event `resync` says to read the lists again, `ended` why nothing follows.
#[utoipa::path(
    get, path = "/v1/stream", tag = "audit",
    params(
        StreamQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The newest id seen; before `after`"),
    ),
    security(("session" = []), ("service" = []), ("viewer" = [])),
    responses((status = 200, description = "Messages until one side ends it", body = String,
               content_type = "text/event-stream")),
)]
async fn watch_changes(
    State(state): State<AppState>,
    By(who): By<action::WatchChanges>,
    Extension(identity): Extension<CountedFor>,
    QueryParams(query): QueryParams<StreamQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let size = *state.app.ledger.size().borrow();
    let after = last_seen(&headers)?.or(query.after).unwrap_or(size);
    if after > size {
        return Err(ApiError::bad_request(format!(
            "after is beyond the ledger, which has {size} events: read the lists, and begin at their as_of"
        )));
    }
    let permits = state.streams.take(&identity)?;
    let told = Told {
        watching: state.app.feed.watch(after),
        state,
        who,
        told_at: Instant::now(),
        told: after,
        progress: Progress::Begins,
        _permits: permits,
    };
    let messages = unfold(told, async |mut told| {
        let message = told.next().await?;
        Some((Ok::<_, Infallible>(message), told))
    });
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    let mut response = (headers, Body::from_stream(messages)).into_response();
    response.extensions_mut().insert(LongAnswer);
    Ok(response)
}

fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    if !headers.contains_key("last-event-id") {
        return Ok(None);
    }
    let seen = only(headers, "last-event-id").and_then(|id| id.parse().ok());
    let wrong = || ApiError::bad_request("last-event-id: the id of a message of this stream");
    seen.map(Some).ok_or_else(wrong)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Begins,
    GoesOn,
    Ended,
}

/// One stream.
struct Told {
    state: AppState,
    who: WatchAccess,
    watching: Watching,
    /// The newest id that was sent, and when something was.
    told: u64,
    told_at: Instant,
    progress: Progress,
    _permits: StreamPermits,
}

impl Told {
    /// The next message; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        match self.progress {
            Progress::Begins => {
                self.progress = Progress::GoesOn;
                Some(self.first().await)
            }
            Progress::GoesOn => self.later().await,
            Progress::Ended => None,
        }
    }

    /// The first message comes at once. What was recorded while the request was admitted may have taken the
    /// identity away.
    async fn first(&mut self) -> Bytes {
        if let Err(ended) = self.renew().await {
            return ended;
        }
        let message = match self.watching.ready().await {
            Ok(Some(step)) => self.tell(step).await,
            Ok(None) => None,
            Err(error) => Some(self.end(&error.into())),
        };
        message.unwrap_or_else(|| self.message("", "[]"))
    }

    async fn later(&mut self) -> Option<Bytes> {
        let ending = self.state.app.ending.clone();
        loop {
            let is_behind = self.told < self.watching.position();
            let due = self.told_at + if is_behind { self.quiet() } else { HEARTBEAT };
            let left = self.left();
            tokio::select! {
                biased;
                () = ending.cancelled() => return None,
                step = self.watching.next() => {
                    let message = match step {
                        Ok(step) => self.tell(step).await,
                        Err(error) => Some(self.end(&error.into())),
                    };
                    if message.is_some() {
                        return message;
                    }
                }
                () = tokio::time::sleep(left), if left < Duration::MAX => {
                    if let Err(ended) = self.renew().await {
                        return Some(ended);
                    }
                }
                () = tokio::time::sleep_until(due) => {
                    if is_behind {
                        return Some(self.position());
                    }
                    self.told_at = Instant::now();
                    return Some(Bytes::from_static(b":\n\n"));
                }
            }
        }
    }

    /// What a step says to this identity, if anything.
    async fn tell(&mut self, step: Step) -> Option<Bytes> {
        match step {
            Step::Batch(batch) => {
                let is_over = self.left() == Duration::ZERO;
                if (batch.concerns_identities || is_over)
                    && let Err(ended) = self.renew().await
                {
                    return Some(ended);
                }
                let text = batch.text(self.who.reader(), changed)?;
                Some(self.message("", &text))
            }
            Step::TooFarBehind(_) => {
                if let Err(ended) = self.renew().await {
                    return Some(ended);
                }
                Some(self.message("event: resync\n", "[]"))
            }
        }
    }

    /// Asks for access again; the message that says why there is none, where there is none.
    async fn renew(&mut self) -> Result<(), Bytes> {
        match self.who.renewed(&self.state.app.ledger).await {
            Ok(who) => {
                self.who = who;
                Ok(())
            }
            Err(refused) => Err(self.end(&refused.into())),
        }
    }

    fn end(&mut self, why: &ApiError) -> Bytes {
        self.progress = Progress::Ended;
        let (_, _, code) = why.status_and_code();
        // A code always serialises.
        let ended = serde_json::to_string(&Ended { code }).unwrap_or_default();
        format!("event: ended\ndata: {ended}\n\n").into()
    }

    /// A message about everything up to where the stream is now.
    fn message(&mut self, event: &str, data: &str) -> Bytes {
        self.note();
        format!("{event}id: {}\ndata: {data}\n\n", self.told).into()
    }

    /// Where the stream is, which a client goes on from.
    fn position(&mut self) -> Bytes {
        self.note();
        format!("id: {}\n\n", self.told).into()
    }

    fn note(&mut self) {
        self.told = self.watching.position();
        self.told_at = Instant::now();
    }

    const fn quiet(&self) -> Duration {
        match self.who.reader() {
            Reader::Role { .. } => QUIET,
            Reader::Task(_) => QUIET_OF_TASK,
        }
    }

    /// How long the identity still lasts by itself; the longest time where it does not end.
    fn left(&self) -> Duration {
        let now = self.state.app.ledger.now();
        let end = self.who.expires_at();
        end.map_or(Duration::MAX, |end| end.since(now))
    }
}
