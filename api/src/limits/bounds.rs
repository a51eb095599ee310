//! The limits on requests under way: how many at a time, of all and of each subject, and how long each may
//! take.

use super::body_memory::BodyPermit;
use super::concurrency::{Permit, SubjectLimit};
use super::counted_for::CountedFor;
use super::links::LinkPermits;
use crate::problem::ApiError;
use crate::state::AppState;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::Extensions;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Above the longest wait that a caller can ask for (50 s), so that it only meets what is stuck.
/// What a command has committed stays committed: the caller learns it by asking again.
pub(crate) const LONGEST_REQUEST: Duration = Duration::from_secs(90);

/// Requests at a time: most are answered within milliseconds, and the others wait for a human.
const MOST: usize = 4096;

/// Requests of one subject at a time, so that one that waits for many humans leaves room for others.
const MOST_OF_ONE_SUBJECT: usize = 1024;

/// Whoever watches the service has to be answered most of all when it has no room.
const WATCHED: [&str; 3] = ["/v1/healthz", "/v1/readyz", "/metrics"];

/// Counts requests that are being answered.
#[derive(Debug)]
pub(crate) struct RequestLimit {
    all: Arc<Semaphore>,
    subjects: Arc<SubjectLimit>,
}

impl RequestLimit {
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            subjects: Arc::new(SubjectLimit::new(MOST_OF_ONE_SUBJECT)),
        }
    }

    fn enter(&self) -> Result<OwnedSemaphorePermit, ApiError> {
        Arc::clone(&self.all)
            .try_acquire_owned()
            .map_err(|_| ApiError::Unavailable {
                detail: "the service has reached its limit of requests: try again in a moment"
                    .to_owned(),
                retry_after: Duration::from_secs(1),
            })
    }

    /// Counts the request for its subject, until it is answered.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when the subject has as many under way as it may.
    pub(crate) fn count_for(
        &self,
        subject: &CountedFor,
        extensions: &Extensions,
    ) -> Result<(), ApiError> {
        let Some(held) = extensions.get::<HeldPermits>() else {
            return Err(ApiError::internal("this request was counted nowhere"));
        };
        let permit = self
            .subjects
            .take(subject, 1)
            .ok_or(ApiError::RateLimited {
                retry_after: Duration::from_secs(1),
            })?;
        // A second guard of the same request counts it once.
        drop(held.0.subject.set(permit));
        Ok(())
    }

    /// Requests that are being answered at the moment, and the subjects that they are of.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let under_way = MOST.saturating_sub(self.all.available_permits());
        (under_way, self.subjects.known())
    }
}

/// Whom an answer was made for, as its places are counted: it rides along in the answer's extensions to
/// whoever counts the answers that are not read. Without it the answer is for somebody unknown.
#[derive(Debug, Clone)]
pub(crate) struct AnswerFor(pub(crate) CountedFor);

/// Marks an answer that goes on for as long as its reader wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LongAnswer;

/// The permits that a request holds until it is answered.
#[derive(Debug, Clone, Default)]
pub(crate) struct HeldPermits(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    subject: OnceLock<Permit>,
    link: OnceLock<LinkPermits>,
    body: OnceLock<BodyPermit>,
}

impl HeldPermits {
    /// Holds the memory of the request's body. There is one body.
    pub(crate) fn hold(&self, body: BodyPermit) {
        drop(self.0.body.set(body));
    }

    fn holder(&self) -> Option<AnswerFor> {
        let subject = self.0.subject.get().map(Permit::subject);
        let holder = subject.or_else(|| self.0.link.get().map(LinkPermits::owner));
        holder.map(|holder| AnswerFor(holder.clone()))
    }

    /// Holds the permits of the link that the request came through.
    pub(crate) fn hold_link(&self, link: LinkPermits) {
        drop(self.0.link.set(link));
    }
}

/// Answers 503 when there are too many requests, or the route has not answered in time.
pub(crate) async fn enforce(
    State(state): State<AppState>,
    mut request: Request,
    next: Next,
) -> Response {
    let is_watched = WATCHED.contains(&request.uri().path());
    let entered = match state.under_way.enter() {
        Ok(entered) => Some(entered),
        Err(_) if is_watched => None,
        Err(full) => return full.into_response(),
    };
    let held = HeldPermits::default();
    request.extensions_mut().insert(held.clone());
    let answered = tokio::time::timeout(LONGEST_REQUEST, next.run(request)).await;
    let holder = held.holder();
    drop((held, entered));
    match answered {
        Ok(mut response) => {
            if let Some(holder) = holder {
                response.extensions_mut().insert(holder);
            }
            response
        }
        Err(_) => ApiError::Unavailable {
            detail:
                "the answer was not ready in time: send the request again, with the same idempotency key if it had one"
                    .to_owned(),
            retry_after: Duration::from_secs(1),
        }
        .into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Answer, Stage};
    use axum::body::Body;
    use tower::ServiceExt;

    #[tokio::test]
    async fn beyond_the_last_place_a_request_is_a_503_and_health_is_told_all_the_same() {
        let stage = Stage::new().await;
        let ask = async |path: &str| {
            let request = Request::get(path).body(Body::empty()).unwrap();
            Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
        };
        let under_way = &stage.state.under_way;
        let held: Vec<_> = (0..MOST).map(|_| under_way.enter().unwrap()).collect();
        let full = ask("/v1/openapi.json").await;
        assert_eq!((full.status, full.code()), (503, "unavailable"));
        assert_eq!(full.headers["retry-after"], "1");
        assert_eq!(full.headers["content-type"], "application/problem+json");
        assert_eq!(ask("/v1/healthz").await.status, 200);
        drop(held);
        assert_eq!(ask("/v1/openapi.json").await.status, 200);
        assert_eq!(
            under_way.counts(),
            (0, 0),
            "nothing is kept of what was answered"
        );
    }
}
