//! Schemes: how a caller of the HTTP surface proves who it is. They are tried in order, each only where the
//! action admits the kind of principal that it proves; the first proof counts.
//!
//! Together with [`app::authorize`] the order of checks is fixed, so that an answer tells a stranger as
//! little as possible: signed subject (401), rate (429), token and its standing in the ledger (401), the
//! client that the token is bound to (403), rights (403), the path's task (403).

mod agent_keys;
pub(crate) mod client_address;
pub(crate) mod cookie;
pub(crate) mod cross_site;
mod links;
pub(crate) mod seen_from;
pub mod service_token;
mod sessions;
pub mod subject;
mod tokens;
mod viewer;

use crate::limits::counted_for::CountedFor;
use crate::problem::{ApiError, Unauthorized};
use crate::state::AppState;
use app::action::{Act, Action, Who};
use app::identity::session::SessionCredential;
use app::{NamedTask, PresentedProof, Principal, Request, authorize};
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, MatchedPath, RawPathParams};
use http::header::AUTHORIZATION;
use http::request::Parts;
use ledger::{ApprovalId, ClientSubject, Timestamp};
use subject::only;

/// One way of proving who a request is from.
pub(crate) trait Scheme: Send + Sync {
    /// Without a rule of its own, a scheme is tried also where it is not admitted, so that its holder learns
    /// that it is the wrong identity. A link proves its holder by itself, whatever else a request carries.
    fn proves(&self, who: Who) -> bool {
        who != Who::Anyone && !who.is_by_link()
    }

    /// Proves the caller from a request head.
    ///
    /// # Errors
    /// When a credential of this scheme is there and does not count: no other scheme is asked then.
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError>;
}

/// The result of one scheme for a request head.
pub(crate) enum Identity {
    Proven(Principal),
    /// Something like an agent key. The ledger says whose it is.
    Presented(PresentedProof, Option<ClientSubject>),
    /// A link to an approval, whose task the ledger knows.
    Linked(ApprovalId),
    /// A session, whose standing the ledger knows.
    Session(SessionCredential),
    /// No credential of this scheme, and what to send.
    Absent(Unauthorized),
    /// No credential of this scheme. Another scheme of the action says what to send.
    NotOfThis,
}

/// The schemes of the service, in the order in which they are tried.
pub(crate) fn all() -> Vec<Box<dyn Scheme>> {
    vec![
        Box::new(tokens::KnownCapability),
        Box::new(sessions::AuthDisabled),
        Box::new(service_token::Configured),
        Box::new(sessions::Sessions),
        Box::new(agent_keys::AgentKeys),
        Box::new(viewer::Viewer),
        Box::new(tokens::Capability),
        Box::new(tokens::Bootstrap),
        Box::new(links::ToApproval),
        Box::new(links::ToEnrolment),
        Box::new(links::ToSetup),
    ]
}

/// The head of a request, as schemes read it.
pub(crate) struct Head<'a> {
    parts: &'a mut Parts,
    /// `None` when they are not UTF-8.
    params: Option<RawPathParams>,
    state: &'a AppState,
    /// Whether the credential is one that a browser adds by itself.
    is_by_cookie: bool,
}

impl Head<'_> {
    /// The signed subject, within its rate. An unsigned one has no rate of its own to use up. It stays with
    /// the request, for what else is counted for each subject. The inner error says that there is none.
    fn subject(&mut self) -> Result<Result<ClientSubject, Unauthorized>, ApiError> {
        if let Some(subject) = self.parts.extensions.get::<ClientSubject>() {
            return Ok(Ok(subject.clone()));
        }
        let now = self.now();
        let subject = match self.state.keys.subject.verify(&self.parts.headers, now) {
            Ok(subject) => subject,
            Err(absent @ Unauthorized::SubjectHeaders) => return Ok(Err(absent)),
            Err(refused) => return Err(refused.into()),
        };
        self.count_for(CountedFor::client(&subject))?;
        self.parts.extensions.insert(subject.clone());
        Ok(Ok(subject))
    }

    /// Counts the request for a caller who is proven. It stays with the request, for what else is counted.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] beyond the caller's rate or places.
    pub(crate) fn count_for(&mut self, caller: CountedFor) -> Result<(), ApiError> {
        self.state
            .limiter
            .admit(&caller)
            .map_err(|retry_after| ApiError::RateLimited { retry_after })?;
        self.state
            .under_way
            .count_for(&caller, &self.parts.extensions)?;
        self.parts.extensions.insert(caller);
        Ok(())
    }

    /// The service's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.state.app.ledger.clock().now()
    }

    /// A header's value when it is there exactly once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        only(&self.parts.headers, name)
    }

    /// The bearer token (RFC 6750, section 2.1); the scheme's name in any case (RFC 9110, section 11.1).
    fn bearer(&self) -> Option<&str> {
        let (scheme, token) = only(&self.parts.headers, AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    }

    /// A parameter of the path.
    fn param(&self, wanted: &str) -> Option<&str> {
        let mut params = self.params.as_ref()?.iter();
        params.find_map(|(name, value)| (name == wanted).then_some(value))
    }

    /// The task that the path names.
    fn named_task(&self) -> NamedTask {
        if let Some(id) = self.param("task_id") {
            return NamedTask::of(id);
        }
        let template = self.parts.extensions.get::<MatchedPath>();
        match template.is_some_and(|template| template.as_str().contains("{task_id}")) {
            true => NamedTask::Malformed,
            false => NamedTask::None,
        }
    }

    /// The principal of the first scheme that proves one whom the action may admit.
    async fn identify(&mut self, action: Action) -> Result<Principal, ApiError> {
        let mut absent = None;
        for scheme in &self.state.schemes {
            if !action.who().iter().any(|who| scheme.proves(*who)) {
                continue;
            }
            match scheme.identify(self)? {
                Identity::Proven(principal) => return Ok(principal),
                Identity::Presented(proof, subject) => {
                    return agent_keys::find(self, proof, subject).await;
                }
                Identity::Linked(approval) => return links::find(self, approval).await,
                Identity::Session(shown) => return self.user(&shown).await,
                Identity::Absent(why) => _ = absent.get_or_insert(why),
                Identity::NotOfThis => {}
            }
        }
        Err(absent.unwrap_or(Unauthorized::TokenMissing).into())
    }

    /// Whether a page of another site may have made the request.
    fn is_cross_site(&self, principal: &Principal) -> bool {
        let is_checked = self.is_by_cookie
            || matches!(principal, Principal::AuthDisabled)
            || self.parts.uri.path().starts_with("/v1/auth/");
        let Parts {
            method, headers, ..
        } = &*self.parts;
        let own = &self.state.own_origins;
        is_checked && own.check(method, headers, self.is_by_cookie).is_err()
    }
}

/// The access of a caller who may do the action; nobody else gets as far as the handler.
#[derive(Debug)]
pub(crate) struct By<A: Act>(pub(crate) A::Access);

impl<A: Act> FromRequestParts<AppState> for By<A> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let params = parts.extract().await.ok();
        let mut head = Head {
            parts,
            params,
            state,
            is_by_cookie: false,
        };
        let principal = head.identify(A::ACTION).await?;
        links::count(&principal, &mut head).await?;
        let request = Request {
            id: head.parts.extensions.get().copied(),
            task: head.named_task(),
            is_unsafe: !head.parts.method.is_safe(),
            is_cross_site: head.is_cross_site(&principal),
        };
        let access = authorize::<A>(&state.app.ledger, principal, request).await?;
        Ok(Self(access))
    }
}
