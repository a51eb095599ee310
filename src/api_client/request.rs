//! A request to the API, and the form in which people see its answer.

use reqwest::Method;
use serde_json::Value;

/// A request to the API. The path is kept in segments, which the client escapes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiRequest {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(&'static str, String)>,
    pub(crate) body: Option<Value>,
    /// A body that is no JSON of ours: its media type, and itself.
    pub(crate) text: Option<(&'static str, String)>,
    /// The version of the resource that a change follows.
    pub(crate) follows: Option<u64>,
    pub(crate) shown: Shown,
}

/// The form in which people see an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// A line for each row of the member of that name, with these columns.
    Rows(&'static str, &'static [&'static str]),
    /// A line for each member.
    Members,
    /// The member of that name alone on standard output, the others beside it.
    Secret(&'static str),
    /// Variables of a shell, each with the member that it takes; the others beside them.
    Shell(&'static [(&'static str, &'static str)]),
    /// That it was done.
    Done,
}

impl ApiRequest {
    /// One whose path is `/v1/` and these segments.
    pub(crate) fn new(method: Method, path: &[&str], shown: Shown) -> Self {
        let path = ["v1"].iter().chain(path);
        Self {
            method,
            path: path.map(|segment| (*segment).to_owned()).collect(),
            query: Vec::new(),
            body: None,
            text: None,
            follows: None,
            shown,
        }
    }

    pub(crate) fn get(path: &[&str], shown: Shown) -> Self {
        Self::new(Method::GET, path, shown)
    }

    pub(crate) fn post(path: &[&str], body: Value, shown: Shown) -> Self {
        Self::new(Method::POST, path, shown).with_body(body)
    }

    pub(crate) fn patch(path: &[&str], body: Value) -> Self {
        Self::new(Method::PATCH, path, Shown::Members).with_body(body)
    }

    pub(crate) fn put(path: &[&str], body: Value) -> Self {
        Self::new(Method::PUT, path, Shown::Members).with_body(body)
    }

    pub(crate) fn delete(path: &[&str]) -> Self {
        Self::new(Method::DELETE, path, Shown::Done)
    }

    pub(crate) fn with_query(mut self, name: &'static str, value: Option<String>) -> Self {
        self.query.extend(value.map(|value| (name, value)));
        self
    }

    /// With a text as the body.
    pub(crate) fn with_text(mut self, media_type: &'static str, text: String) -> Self {
        self.text = Some((media_type, text));
        self
    }

    /// As a change that follows that version.
    pub(crate) fn following(mut self, version: u64) -> Self {
        self.follows = Some(version);
        self
    }

    fn with_body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }
}
