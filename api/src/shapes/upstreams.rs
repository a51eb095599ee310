//! Other APIs that are open to their own clients.

use ledger::aggregate::Upstream;
use ledger::{Described, RouteScope, UpstreamAuth, UpstreamRoute};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// An API that is to be open.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamRequest {
    /// https, without credentials, query and fragment.
    #[schema(example = "https://api.github.com")]
    base_url: String,
    auth: UpstreamAuthShape,
    /// Headers of requests that go on, in small letters; one with a star at its end stands for all that begin so.
    #[serde(default)]
    request_headers: Vec<String>,
    /// Headers of answers that go back.
    #[serde(default)]
    response_headers: Vec<String>,
    /// 1 to 10485760; 1048576 when left out.
    max_body_bytes: Option<u64>,
    /// 1 to 500.
    routes: Vec<UpstreamRouteShape>,
}

/// How the API takes a key.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamAuthShape {
    /// `bearer`, `basic` or `header`.
    #[schema(example = "bearer")]
    send: String,
    /// Of `basic`.
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<String>,
    /// Of `header`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Of `header`: what stands before the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
}

/// One route.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamRouteShape {
    #[schema(example = "GET")]
    method: String,
    /// `{name}` is one segment.
    #[schema(example = "/repos/{owner}/{repo}/issues")]
    path: String,
    #[schema(example = "github.issues.read")]
    operation: String,
    /// `read`, `write` or `admin`.
    level: String,
    /// `safe`, `elevated` or `sensitive`.
    risk: String,
    scope: UpstreamScopeShape,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// Pointers (RFC 6901) to what is secret in the body.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    seal: Vec<String>,
}

/// What a route concerns.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpstreamScopeShape {
    /// The type of its objects.
    #[serde(rename = "type")]
    #[schema(example = "repo")]
    kind: String,
    #[schema(example = "{owner}/{repo}")]
    id: String,
}

/// An API that is open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamShape {
    name: String,
    base_url: String,
    auth: UpstreamAuthShape,
    request_headers: Vec<String>,
    response_headers: Vec<String>,
    max_body_bytes: u64,
    routes: Vec<UpstreamRouteShape>,
    /// Since when it is as it is.
    #[schema(format = DateTime)]
    defined_at: String,
}

/// All of them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UpstreamList {
    upstreams: Vec<UpstreamShape>,
}

impl UpstreamRequest {
    /// Its fields, of which each word is known.
    ///
    /// # Errors
    /// Names the place.
    pub(crate) fn read(self) -> Result<Described, String> {
        let routes = self.routes.into_iter().enumerate();
        let routes = routes
            .map(|(index, route)| route.read().map_err(|why| format!("routes[{index}].{why}")));
        let most = 1024 * 1024;
        Ok(Described {
            base_url: self.base_url,
            auth: self.auth.read()?,
            request_headers: self.request_headers,
            response_headers: self.response_headers,
            max_body_bytes: self.max_body_bytes.unwrap_or(most),
            routes: routes.collect::<Result<_, _>>()?,
        })
    }
}

impl UpstreamAuthShape {
    fn read(self) -> Result<UpstreamAuth, String> {
        match (self.send.as_str(), self.username, self.name, self.prefix) {
            ("bearer", None, None, None) => Ok(UpstreamAuth::Bearer {}),
            ("basic", Some(username), None, None) => Ok(UpstreamAuth::Basic { username }),
            ("header", None, Some(name), prefix) => Ok(UpstreamAuth::Header {
                name,
                prefix: prefix.unwrap_or_default(),
            }),
            _ => {
                Err("auth: bearer, basic with username, or header with name and prefix".to_owned())
            }
        }
    }

    fn of(auth: &UpstreamAuth) -> Self {
        let (send, username, name, prefix) = match auth {
            UpstreamAuth::Bearer {} => ("bearer", None, None, None),
            UpstreamAuth::Basic { username } => ("basic", Some(username.clone()), None, None),
            UpstreamAuth::Header { name, prefix } => {
                ("header", None, Some(name.clone()), Some(prefix.clone()))
            }
        };
        Self {
            send: send.to_owned(),
            username,
            name,
            prefix,
        }
    }
}

impl UpstreamRouteShape {
    fn read(self) -> Result<UpstreamRoute, String> {
        let operation = self.operation.parse();
        Ok(UpstreamRoute {
            operation: operation
                .map_err(|_| "operation: 1 to 39 characters of a-z 0-9 . _ -".to_owned())?,
            level: self.level.parse().map_err(|why| format!("level: {why}"))?,
            risk: self.risk.parse().map_err(|why| format!("risk: {why}"))?,
            scope: RouteScope {
                scope_type: self
                    .scope
                    .kind
                    .parse()
                    .map_err(|_| "scope.type: 1 to 23 characters of a-z 0-9 . _ -".to_owned())?,
                id: self.scope.id,
            },
            method: self.method,
            path: self.path,
            title: self.title,
            seal: self.seal,
        })
    }

    fn of(route: &UpstreamRoute) -> Self {
        Self {
            method: route.method.clone(),
            path: route.path.clone(),
            operation: route.operation.to_string(),
            level: route.level.to_string(),
            risk: route.risk.to_string(),
            scope: UpstreamScopeShape {
                kind: route.scope.scope_type.to_string(),
                id: route.scope.id.clone(),
            },
            title: route.title.clone(),
            seal: route.seal.clone(),
        }
    }
}

impl UpstreamShape {
    /// `None` for one that this version cannot read.
    pub(crate) fn of(upstream: &Upstream) -> Option<Self> {
        let described = upstream.api.as_ref()?.described();
        Some(Self {
            name: upstream.name.to_string(),
            base_url: described.base_url.clone(),
            auth: UpstreamAuthShape::of(&described.auth),
            request_headers: described.request_headers.clone(),
            response_headers: described.response_headers.clone(),
            max_body_bytes: described.max_body_bytes,
            routes: described
                .routes
                .iter()
                .map(UpstreamRouteShape::of)
                .collect(),
            defined_at: upstream.defined_at.to_string(),
        })
    }
}

impl UpstreamList {
    pub(crate) fn of(upstreams: &[Arc<Upstream>]) -> Self {
        let upstreams = upstreams.iter();
        Self {
            upstreams: upstreams.filter_map(|one| UpstreamShape::of(one)).collect(),
        }
    }
}
