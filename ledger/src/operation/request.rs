//! An operation as the one request that carries it out.
//!
//! The request follows from the operation's canonical form alone, and for a read by name from the name of
//! the scope, which stands in the log beside it, so that an auditor can make it anew and
//! hold it against what the log says was sent. It is therefore frozen for each form that was ever accepted:
//! an operation of today makes the same bytes for good.

use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::fmt;
use url::form_urlencoded;

/// The method of a request (RFC 9110, and RFC 5789 for PATCH).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// `GET`
    Get,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `PATCH`
    Patch,
    /// `DELETE`
    Delete,
}

impl Method {
    /// As it stands in the request line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

impl Method {
    /// The method of a write, by its name.
    #[must_use]
    pub fn of_write(name: &str) -> Option<Self> {
        let mut all = [Self::Post, Self::Put, Self::Patch, Self::Delete].into_iter();
        all.find(|method| method.as_str() == name)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request below the API's base URL.
#[derive(Debug, Clone, PartialEq)]
pub struct UpstreamRequest {
    /// How.
    pub method: Method,
    /// `/zones/…`; every segment that comes from params or scope is made of `[A-Za-z0-9_-]`.
    pub path: String,
    /// Query parameters, unescaped.
    pub query: Vec<(Cow<'static, str>, String)>,
    /// The body that is sent.
    pub body: UpstreamBody,
}

/// The body of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum UpstreamBody {
    /// None.
    None,
    /// `application/json`
    Json(Value),
    /// `multipart/form-data`, ready to be sent.
    Multipart {
        /// The media type with the boundary.
        content_type: String,
        /// The form.
        bytes: Vec<u8>,
    },
    /// Bytes as a client sent them, whose media type is among the headers that go with them.
    Raw(Vec<u8>),
}

/// The description of a request that is recorded before it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestDescription {
    /// The HTTP method.
    pub method: String,
    /// Path and query below the API's base URL.
    pub path: String,
    /// SHA-256 of the body's bytes exactly as they are sent; `None` without a body.
    pub body_sha256: Option<[u8; 32]>,
}

impl UpstreamBody {
    /// Media type and bytes as they are sent; the same each time.
    #[must_use]
    pub fn encoded(&self) -> Option<(&str, Vec<u8>)> {
        match self {
            Self::None => None,
            Self::Json(value) => Some(("application/json", value.to_string().into_bytes())),
            Self::Multipart {
                content_type,
                bytes,
            } => Some((content_type, bytes.clone())),
            Self::Raw(bytes) => Some(("", bytes.clone())),
        }
    }
}

impl UpstreamRequest {
    /// The description that is recorded.
    #[must_use]
    pub fn description(&self) -> RequestDescription {
        RequestDescription {
            method: self.method.to_string(),
            path: self.path_and_query(),
            body_sha256: self
                .body
                .encoded()
                .map(|(_, bytes)| Sha256::digest(bytes).into()),
        }
    }

    /// Path and query as they stand in the request.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        if self.query.is_empty() {
            return self.path.clone();
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(
                self.query
                    .iter()
                    .map(|(name, value)| (name.as_ref(), value.as_str())),
            )
            .finish();
        format!("{}?{query}", self.path)
    }

    /// True when sending it twice is as good as sending it once.
    #[must_use]
    pub const fn is_read(&self) -> bool {
        matches!(self.method, Method::Get)
    }

    /// A read of what stands at a path.
    #[must_use]
    pub const fn get(path: String) -> Self {
        Self {
            method: Method::Get,
            path,
            query: Vec::new(),
            body: UpstreamBody::None,
        }
    }

    /// The same request with query parameters.
    #[must_use]
    pub fn with_query<N: Into<Cow<'static, str>>>(mut self, query: Vec<(N, String)>) -> Self {
        let query = query.into_iter();
        self.query = query.map(|(name, value)| (name.into(), value)).collect();
        self
    }

    /// A request that deletes what stands at a path.
    #[must_use]
    pub const fn delete(path: String) -> Self {
        Self {
            method: Method::Delete,
            path,
            query: Vec::new(),
            body: UpstreamBody::None,
        }
    }

    /// A request with a body of JSON.
    #[must_use]
    pub const fn json(method: Method, path: String, body: Value) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: UpstreamBody::Json(body),
        }
    }
}
