//! One API that clients reach through the gateway: what differs from the others.

use crate::anthropic;
use crate::bodies::Content;
use crate::call::Routed;
use crate::caller::Owner;
use crate::cloudflare;
use crate::credentials::Forms;
use crate::headers::Passing;
use crate::opened;
use crate::pace::Pace;
use crate::refusal::{Envelope, Refusal, Word};
use crate::titles;
use crate::upstream::{Limits, SetupError, Upstream};
use crate::write::BroughtUpload;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use ledger::{UpstreamApi, UpstreamAuth, UpstreamId, UpstreamName};
use secrecy::{ExposeSecret as _, SecretString};
use std::sync::Arc;
use url::Url;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// One API.
pub(crate) struct Api {
    /// As stored keys name it, and its place below `/proxy/`.
    pub(crate) name: UpstreamName,
    /// The description of one that an administrator opened.
    pub(crate) described: Option<UpstreamId>,
    /// What clients have between that place and the paths of the API, because upstream's base ends so.
    inner: &'static str,
    pub(crate) envelope: Envelope,
    pub(crate) credentials: Forms,
    /// The headers of requests and of answers that pass.
    pub(crate) to: Passing,
    pub(crate) from: Passing,
    key: KeyForm,
    routes: Routes,
    /// Whether a person's session opens it, as well as an agent's key.
    pub(crate) takes_sessions: bool,
    /// Whether its answers take as long as they take, and clients read them while they come.
    pub(crate) streams: bool,
    pub(crate) upstream: Upstream,
    pub(crate) base: Url,
    /// For each stored key, where upstream counts calls.
    pub(crate) pace: Option<Pace>,
}

/// The place of a key in requests to upstream.
#[derive(Debug, Clone)]
enum KeyForm {
    XApiKey,
    Bearer,
    /// As the password of this user.
    Basic(String),
    /// In this header, behind that text.
    Header(HeaderName, String),
}

#[derive(Debug, Clone)]
enum Routes {
    Anthropic {
        has_files: bool,
    },
    Cloudflare,
    /// As an administrator describes them.
    Opened(Arc<UpstreamApi>),
}

impl Api {
    pub(crate) fn anthropic(upstream: Upstream, base: Url, has_files: bool) -> Self {
        Self {
            name: UpstreamName::anthropic(),
            described: None,
            inner: "",
            envelope: Envelope::Anthropic,
            credentials: Forms::ANTHROPIC,
            to: Passing::TO_ANTHROPIC,
            from: Passing::FROM_ANTHROPIC,
            key: KeyForm::XApiKey,
            routes: Routes::Anthropic { has_files },
            takes_sessions: true,
            streams: true,
            upstream,
            base,
            pace: None,
        }
    }

    pub(crate) fn cloudflare(upstream: Upstream, base: Url, calls_in_5_minutes: u32) -> Self {
        Self {
            name: UpstreamName::cloudflare(),
            described: None,
            inner: "/client/v4",
            envelope: Envelope::Cloudflare,
            credentials: Forms::CLOUDFLARE,
            to: Passing::TO_CLOUDFLARE,
            from: Passing::FROM_CLOUDFLARE,
            key: KeyForm::Bearer,
            routes: Routes::Cloudflare,
            takes_sessions: false,
            streams: false,
            upstream,
            base,
            pace: Pace::new(calls_in_5_minutes),
        }
    }

    /// An API that an administrator opened.
    ///
    /// # Errors
    /// [`SetupError`] when its URL cannot be used.
    pub(crate) fn opened(
        name: &UpstreamName,
        (described_by, api): (UpstreamId, &Arc<UpstreamApi>),
        limits: &Limits,
    ) -> Result<Self, SetupError> {
        const SETTING: &str = "base_url";
        let described = api.described();
        let base: Url = described
            .base_url
            .parse()
            .map_err(|_| SetupError::BaseUrl(SETTING))?;
        let key = match &described.auth {
            UpstreamAuth::Bearer {} => KeyForm::Bearer,
            UpstreamAuth::Basic { username } => KeyForm::Basic(username.clone()),
            UpstreamAuth::Header { name, prefix } => {
                let name = HeaderName::from_bytes(name.as_bytes());
                let name = name.map_err(|_| SetupError::BaseUrl(SETTING))?;
                KeyForm::Header(name, prefix.clone())
            }
        };
        Ok(Self {
            name: name.clone(),
            described: Some(described_by),
            inner: "",
            envelope: Envelope::Problem,
            credentials: Forms::OPENED,
            to: Passing::to_opened(&described.request_headers),
            from: Passing::from_opened(&described.response_headers),
            key,
            routes: Routes::Opened(Arc::clone(api)),
            takes_sessions: false,
            streams: false,
            upstream: Upstream::new(SETTING, &base, limits)?,
            base,
            pace: None,
        })
    }

    /// Its base, without a slash at its end.
    pub(crate) fn base_url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// What people read of a request, where its route says so.
    pub(crate) fn title(&self, method: &Method, path: &str) -> Option<String> {
        match &self.routes {
            Routes::Opened(api) => {
                let (route, _) = api.route(method.as_str(), path)?;
                UpstreamApi::title(route, path)
            }
            Routes::Cloudflare => titles::title(method, path),
            Routes::Anthropic { .. } => anthropic::title(method, path),
        }
    }

    /// The path of the API, of what follows its place.
    ///
    /// # Errors
    /// [`Word::NotFound`] for what is beside the API's paths.
    pub(crate) fn path<'a>(&self, rest: &'a str) -> Result<&'a str, Refusal> {
        let path = rest.strip_prefix(self.inner);
        match path {
            Some("") => Ok("/"),
            Some(path) if path.starts_with('/') => Ok(path),
            _ => Err(Refusal::new(
                Word::NotFound,
                format!("this API is below /proxy/{}{}", self.name, self.inner),
            )),
        }
    }

    /// The answers that are given here, to anybody.
    pub(crate) fn answered_here(&self, method: &Method, path: &str) -> Option<StatusCode> {
        match &self.routes {
            Routes::Anthropic { .. } => anthropic::answered_here(method, path),
            Routes::Cloudflare | Routes::Opened(_) => None,
        }
    }

    /// # Errors
    /// The refusal of what is closed, unknown, or asked with another method.
    pub(crate) fn route(&self, method: &Method, path: &str) -> Result<Routed, Refusal> {
        match &self.routes {
            Routes::Anthropic { has_files } => {
                anthropic::route(method, path, *has_files).map(Routed::Call)
            }
            Routes::Cloudflare => cloudflare::route(method, path),
            Routes::Opened(api) => opened::route(api, method, path),
        }
    }

    /// Judges the body of a write, and says where it has secrets: pointers (RFC 6901), which begin with the name of
    /// the part in a form.
    ///
    /// # Errors
    /// [`Word::Malformed`] for a body that the route does not take.
    pub(crate) fn judge_write(
        &self,
        method: &Method,
        path: &str,
        content: &Content,
    ) -> Result<Vec<String>, Refusal> {
        match &self.routes {
            Routes::Anthropic { .. } => Ok(Vec::new()),
            Routes::Opened(api) => opened::judge_write(api, method, path, content),
            Routes::Cloudflare => cloudflare::judge_write(method, path, content),
        }
    }

    /// Holds the query of a write to what may be recorded and shown to people.
    ///
    /// # Errors
    /// [`Word::Malformed`].
    pub(crate) fn judge_query(&self, query: Option<&str>) -> Result<(), Refusal> {
        match (&self.routes, query) {
            (Routes::Opened(_), Some(query)) => opened::judge_query(query),
            // What their own APIs take is known, and is no secret.
            _ => Ok(()),
        }
    }

    /// Whether clients upload files to it with tokens that it gives.
    pub(crate) const fn takes_files(&self) -> bool {
        matches!(self.routes, Routes::Cloudflare)
    }

    /// The upload whose files a write names.
    pub(crate) fn upload_of(
        &self,
        method: &Method,
        path: &str,
        content: &Content,
    ) -> Option<BroughtUpload> {
        match &self.routes {
            Routes::Cloudflare => cloudflare::upload_of(method, path, content),
            Routes::Anthropic { .. } | Routes::Opened(_) => None,
        }
    }

    /// Puts a stored key where upstream wants it.
    ///
    /// # Errors
    /// [`Word::Internal`] for what no header can hold.
    pub(crate) fn put_key(
        &self,
        headers: &mut HeaderMap,
        key: &SecretString,
    ) -> Result<(), Refusal> {
        let (name, text) = match &self.key {
            KeyForm::Basic(user) => {
                let pair = STANDARD.encode(format!("{user}:{}", key.expose_secret()));
                (header::AUTHORIZATION, format!("Basic {pair}"))
            }
            KeyForm::Header(name, prefix) => {
                (name.clone(), format!("{prefix}{}", key.expose_secret()))
            }
            KeyForm::XApiKey => (X_API_KEY, key.expose_secret().to_owned()),
            KeyForm::Bearer => (
                header::AUTHORIZATION,
                format!("Bearer {}", key.expose_secret()),
            ),
        };
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| Refusal::new(Word::Internal, "the stored key cannot be sent"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
        Ok(())
    }

    /// The refusal of an open call whose stored key is removed.
    pub(crate) fn key_removed(&self, owner: &Owner) -> Refusal {
        let text = format!("the {} key that this call used was removed", self.name);
        Refusal::new(self.keyless(owner).word(), text)
    }

    /// The refusal of a caller for whom no key is stored.
    pub(crate) fn keyless(&self, owner: &Owner) -> Refusal {
        let upstream = &self.name;
        let how = match owner {
            Owner::Agent(_, name) => format!(
                "an admin stores one with PUT /v1/agents/{name}/upstream-keys/{upstream}, or on the agent's page"
            ),
            Owner::User(_) => {
                format!("store it at /me/proxy, or with PUT /v1/me/{upstream}-key")
            }
        };
        match (&self.routes, owner) {
            (Routes::Anthropic { .. }, Owner::User(_)) => {
                Refusal::unauthorized(format!("no {upstream} key of yours is stored: {how}"))
            }
            (Routes::Anthropic { .. }, Owner::Agent(_, name)) => Refusal::unauthorized(format!(
                "no {upstream} key is stored for agent {name}: {how}"
            )),
            (Routes::Opened(_), _) => Refusal::new(
                Word::Forbidden,
                format!(
                    "no {upstream} key is stored for this agent or for all: {how}; PUT /v1/upstreams/{upstream}/key \
                     stores one for all agents"
                ),
            ),
            (Routes::Cloudflare, _) => Refusal::new(
                Word::Forbidden,
                format!(
                    "no {upstream} key is stored for this agent, and the service has none of its own: {how}"
                ),
            ),
        }
    }
}
