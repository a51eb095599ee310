//! Operations: one action from the catalog on one scope, with params checked against the rules that
//! the upstream applies, in the form in which they will be sent.
//!
//! [`Providers::parse`] is the only way in. What it accepts is complete (defaults filled in, older
//! field names translated), and [`Operation::to_json`] is what is fingerprinted, shown to approvers
//! and sent from. Fields of params are upstream's own; each provider lists those that it knows.
//!
//! Upstream knows more than is known here, so sets are open: a field, a type or an action that is not
//! known is sent as it came, in full view of the approver and named by [`Operation::unchecked`]. What is
//! refused is what upstream surely refuses, what would leave the request's path or its headers, what
//! holds a secret (see `secrets`), and what no part of the request would carry; a list that is closed
//! says where it stands why it is.

mod before;
mod entry;
pub mod fields;
mod file;
mod form;
mod forwarded;
mod hidden;
mod lookalike;
mod matched;
mod mistakes;
mod request;
mod secrets;
mod shown;
mod unchecked;
mod warning;

pub use before::{Before, Beside};
pub use entry::{Entries, Entry, EntryChange, EntryField};
pub use file::{FileChange, GoneFile, Hunk, OperationFile, OperationFiles, hosts_of};
pub use form::{Form, FormPart, InvalidForm, form_boundary};
pub(crate) use forwarded::match_digest_of;
pub use forwarded::{
    AlsoAllowed, ForwardedBody, ForwardedRequest, HiddenSecret, MatchDigest, Sent, UploadOf,
    UploadedFile, outcome_by_status,
};
pub use hidden::is_hidden;
pub use lookalike::{Disguise, DisguisedWord, disguised_words};
pub use matched::MatchedWrite;
pub use request::{Method, RequestDescription, UpstreamBody, UpstreamRequest};
pub use secrets::{carries_secret, holds_text, refuse_secrets, says_secret};
pub use shown::{MARK, is_plain, quoted, shown, shown_name, shown_once, unspelled};
pub use unchecked::Unchecked;
pub use warning::{Warning, WarningLevel};

use crate::catalog::{CatalogEntry, OperationId, ScopeType};
use crate::fingerprint::{SubmissionError, operations_of};
use crate::provider::{Effect, Provider, Providers};
use fields::{Fields, Marks};
use matched::Forwarded;
use serde_json::{Map, Value, json};
use std::fmt;
use std::sync::Arc;

/// Most places of one operation that may be unknown.
const MOST_UNCHECKED: usize = 1000;

crate::name::name!(
    /// The id of an object as upstream names it.
    ScopeId
);

impl ScopeId {
    /// `None` unless it is one safe path segment: 1..=64 characters of `[A-Za-z0-9_-]`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        is_safe_segment(text).then(|| Self::unchecked(text))
    }

    /// Of the segments of a request to an API that is no provider's, which no other request is made of: 1..=128
    /// characters of `[A-Za-z0-9_.~-]` in segments with slashes between them, none of which is dots.
    #[must_use]
    pub fn of_route(text: &str) -> Option<Self> {
        let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"_.~-".contains(&byte);
        let mut segments = text.split('/');
        let holds = text.len() <= 128
            && segments.all(|segment| {
                !segment.is_empty()
                    && ![".", ".."].contains(&segment)
                    && segment.bytes().all(is_fine)
            });
        holds.then(|| Self::unchecked(text))
    }
}

/// 1..=64 characters of `[A-Za-z0-9_-]`: no dots, slashes, percent signs or anything else that
/// could turn one path segment into another path.
#[must_use]
pub fn is_safe_segment(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}

/// The object of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope {
    /// The kind of object.
    pub scope_type: ScopeType,
    /// The object's id.
    pub id: ScopeId,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.scope_type, self.id)
    }
}

/// Why an operation was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct InvalidOperation {
    /// Where, as a JSON path below the operation: `params.ttl`.
    pub path: String,
    /// The mistake, and its correction.
    pub problem: String,
}

/// A submission whose operations cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableSubmission {
    /// It is none.
    #[error(transparent)]
    Submission(#[from] SubmissionError),
    /// One of its operations is none that this service knows.
    #[error(transparent)]
    Operation(#[from] InvalidOperation),
}

impl InvalidOperation {
    /// At a place.
    pub fn new(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            problem: problem.into(),
        }
    }
}

/// One action on one scope, complete and valid.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Operation {
    /// The entry of the catalog.
    pub entry: CatalogEntry,
    /// The object; always of the type that the catalog names.
    pub scope: Scope,
    provider: Arc<dyn Provider>,
    effect: Arc<dyn Effect>,
    unchecked: Vec<Unchecked>,
    forwarded: Option<Forwarded>,
}

/// Operations that are sent as the same are equal.
impl PartialEq for Operation {
    fn eq(&self, other: &Self) -> bool {
        self.entry == other.entry
            && self.scope == other.scope
            && self.unchecked == other.unchecked
            && self.forwarded() == other.forwarded()
            && self.effect.to_json() == other.effect.to_json()
    }
}

fn through_the_proxy(operation: &str) -> InvalidOperation {
    InvalidOperation::new(
        "operation_id",
        format!(
            "{operation} is a request of the API's own, through the proxy of that API: no apply is of it"
        ),
    )
}

impl Providers {
    /// Reads an operation of a request.
    ///
    /// # Errors
    /// When the operation is not in the catalog, the scope is not of its type or not one id, or the
    /// params are not what upstream would accept.
    pub fn parse(
        &self,
        operation_id: &str,
        scope_type: &str,
        scope_id: &str,
        params: &Value,
    ) -> Result<Operation, InvalidOperation> {
        let is_opened = |id: OperationId| self.find(id.as_str()).is_none() && self.is_proxied(id);
        if operation_id.parse().is_ok_and(is_opened) {
            return Err(through_the_proxy(operation_id));
        }
        let (provider, entry) = self.find(operation_id).ok_or_else(|| {
            let known = self.catalog().map(|known| known.id);
            let known = known.filter(|known| !self.is_proxied(*known));
            let known: Vec<_> = known.map(|known| known.to_string()).collect();
            InvalidOperation::new(
                "operation_id",
                format!(
                    "unknown operation {:?}; known are: {}",
                    shown_name(operation_id),
                    known.join(", ")
                ),
            )
        })?;
        let (id, expected) = (entry.id, entry.scope_type);
        if self.is_proxied(id) {
            return Err(through_the_proxy(id.as_str()));
        }
        if scope_type.parse() != Ok(expected) {
            return Err(InvalidOperation::new(
                "scope_type",
                format!("{id} acts on scope_type {:?}", expected.as_str()),
            ));
        }
        let scope_id = ScopeId::parse(scope_id).ok_or_else(|| {
            InvalidOperation::new(
                "scope_id",
                format!("must be one {expected} id: 1..64 characters of A-Z a-z 0-9 _ -"),
            )
        })?;
        let marks = Marks::default();
        let effect = provider.parse(entry, Fields::params(params, &marks)?)?;
        let unchecked = marks.into_places();
        if unchecked.len() > MOST_UNCHECKED {
            return Err(InvalidOperation::new(
                "params",
                format!(
                    "have {} places that are not known here; at most {MOST_UNCHECKED} are passed on, \
                     since a person is to read them",
                    unchecked.len()
                ),
            ));
        }
        Ok(Operation {
            entry: *entry,
            scope: Scope {
                scope_type: expected,
                id: scope_id,
            },
            provider: Arc::clone(provider),
            effect,
            unchecked,
            forwarded: None,
        })
    }

    /// The operations in the canonical bytes of a submission; all of them or none.
    ///
    /// # Errors
    /// [`UnreadableSubmission`] for bytes that are none, and for an operation that [`Self::read`] refuses.
    pub fn read_submission(
        &self,
        canonical_bytes: &[u8],
    ) -> Result<Vec<Operation>, UnreadableSubmission> {
        let operations = operations_of(canonical_bytes)?;
        let read = operations
            .iter()
            .map(|operation| self.read_recorded(operation));
        Ok(read.collect::<Result<_, _>>()?)
    }

    /// Reads an operation of a request, in the form that [`Operation::to_json`] writes. A forwarded request is none:
    /// what was recorded is read by [`Self::read_recorded`].
    ///
    /// # Errors
    /// As for [`Self::parse`], and when a field is missing or unknown.
    pub fn read(&self, operation: &Value) -> Result<Operation, InvalidOperation> {
        let Some(object) = operation.as_object() else {
            return Err(InvalidOperation::new("operation", "must be a JSON object"));
        };
        const KNOWN: [&str; 4] = ["operation_id", "scope_type", "scope_id", "params"];
        if let Some(name) = object.keys().find(|name| !KNOWN.contains(&name.as_str())) {
            return Err(InvalidOperation::new(
                shown_name(name),
                format!("unknown field; known here: {}", KNOWN.join(", ")),
            ));
        }
        let text = |name: &str| {
            let found = object.get(name).and_then(Value::as_str);
            found.ok_or_else(|| InvalidOperation::new(name, "is required, a string"))
        };
        let params = object
            .get("params")
            .ok_or_else(|| InvalidOperation::new("params", "is required, an object"))?;
        self.parse(
            text("operation_id")?,
            text("scope_type")?,
            text("scope_id")?,
            params,
        )
    }
}

impl Operation {
    /// The provider that carries it out.
    #[must_use]
    pub fn provider(&self) -> &Arc<dyn Provider> {
        &self.provider
    }

    /// The effect of its params, as far as that does not depend on the scope.
    #[must_use]
    pub fn effect(&self) -> &dyn Effect {
        &*self.effect
    }

    /// `{operation_id, scope_type, scope_id, params}` as it will be sent.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut operation = json!({
            "operation_id": self.entry.id.as_str(),
            "scope_type": self.scope.scope_type.as_str(),
            "scope_id": self.scope.id.as_str(),
            "params": self.effect.to_json(),
        });
        if let (Some(request), Some(fields)) = (self.forwarded(), operation.as_object_mut()) {
            fields.insert(forwarded::FORWARD.to_owned(), request.to_json());
        }
        operation
    }

    /// The request of a client that it is, where it is one that is sent as it came.
    #[must_use]
    pub fn forwarded(&self) -> Option<&Arc<ForwardedRequest>> {
        self.forwarded.as_ref().map(Forwarded::request)
    }

    /// [`ForwardedRequest::match_digest`] of that request, which is made once.
    pub(crate) fn match_digest(&self) -> Option<Result<MatchDigest, InvalidOperation>> {
        self.forwarded.as_ref().map(Forwarded::digest)
    }

    /// The request that carries it out, where upstream calls the scope by this name.
    #[must_use]
    pub fn request(&self, name: Option<&str>) -> UpstreamRequest {
        match &self.forwarded {
            Some(forwarded) => forwarded.request().request(),
            None => self.effect.request(&self.scope, name),
        }
    }

    /// Checks that a request may ask for it; see [`Effect::check_asked`].
    /// What is in the ledger was asked for under the rules of its day and is read without this.
    ///
    /// # Errors
    /// Names the place and what to do instead.
    pub fn check_asked(&self) -> Result<(), InvalidOperation> {
        match self.forwarded {
            // Where its secrets stand is known, and they are not in it.
            Some(_) => Ok(()),
            None => self.effect.check_asked(&self.unchecked),
        }
    }

    /// The places of params that are not known here and were passed on as they came; in order.
    #[must_use]
    pub fn unchecked(&self) -> &[Unchecked] {
        &self.unchecked
    }

    /// The risks that an approver must see before deciding, as far as they follow from the operation
    /// and from what is known of upstream.
    #[must_use]
    pub fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = self.effect.warnings(before);
        warnings.extend(self.warns_of_unchecked());
        warnings
    }

    /// Its warnings, what is lost, and its entries, for who shows all of them.
    #[must_use]
    pub fn beside(&self, before: &Before<'_>) -> Beside {
        let mut beside = self.effect.beside(before);
        beside.warnings.extend(self.warns_of_unchecked());
        beside
    }

    fn warns_of_unchecked(&self) -> Option<Warning> {
        (!self.unchecked.is_empty()).then(|| {
            Warning::new(
                "unchecked_params",
                format!(
                    "not known to this service, which passes it on as it is and cannot warn of what \
                     it does: {}",
                    unchecked::named(&self.unchecked)
                ),
            )
        })
    }

    /// Settings that stand upstream now, are not named in the operation, and are gone afterwards, by name; as far
    /// as they were read.
    #[must_use]
    pub fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        self.effect.lost(before)
    }

    /// One line for people, long texts shortened; the params in full are in [`Self::to_json`].
    #[must_use]
    pub fn summary(&self) -> String {
        self.marked(self.effect.summary(&self.scope))
    }

    /// What it does to what stands upstream, in one line for the person who decides; the summary where nothing
    /// more is known.
    #[must_use]
    pub fn act(&self, before: &Before<'_>) -> String {
        let line = self.effect.act(&self.scope, before);
        self.marked(line.unwrap_or_else(|| self.effect.summary(&self.scope)))
    }

    /// The params that stand upstream already, however they are spelled there, by name.
    #[must_use]
    pub fn unchanged(&self, before: &Before<'_>) -> Vec<String> {
        self.effect.unchanged(before)
    }

    /// The list in the params that people read entry by entry, where there is one.
    #[must_use]
    pub fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        self.effect.entries(before)
    }

    /// The files that it carries, where it does, beside those upstream.
    #[must_use]
    pub fn files(&self, before: &Before<'_>) -> Option<OperationFiles<'_>> {
        self.effect.files(before)
    }

    fn marked(&self, line: String) -> String {
        if self.unchecked.is_empty() {
            return line;
        }
        format!("{line} [unchecked: {}]", unchecked::named(&self.unchecked))
    }

    /// Where it has its effect, for people: `www.other-shop.net.example.com in zone example.com (id 023e…)`.
    /// `name` is what upstream calls the scope or why that cannot be read, and `None` while nobody has asked.
    /// `None` where the summary says all.
    #[must_use]
    pub fn place(&self, name: Option<Result<&str, &str>>) -> Option<String> {
        self.effect.place(&self.scope, name)
    }

    /// True when it can change anything upstream; an operation that cannot may be sent again.
    #[must_use]
    pub fn changes_upstream(&self) -> bool {
        self.effect.changes_upstream()
    }

    /// True when nothing comes of it but its answer, so that any answer is its end.
    #[must_use]
    pub fn ends_with_its_answer(&self) -> bool {
        self.effect.ends_with_its_answer()
    }

    /// True when what stands upstream can be read before it is carried out.
    #[must_use]
    pub fn reads_state(&self) -> bool {
        self.effect.reads_state()
    }

    /// True when reading back can tell if it was carried out.
    #[must_use]
    pub fn reconcilable(&self) -> bool {
        self.effect.reconcilable()
    }
}
