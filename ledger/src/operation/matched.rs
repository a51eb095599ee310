//! Forwarded requests with the digest that finds the same one again. To make it a body is parsed, which takes a while where
//! it is large, so that it is made once and before the request comes to the writer, which serves everybody.

use super::{ForwardedRequest, InvalidOperation, MatchDigest, Operation};
use std::sync::{Arc, OnceLock};

/// A request, and its digest once that was asked for. The request does not change, so the digest is always its own.
#[derive(Debug, Clone)]
pub(super) struct Forwarded {
    request: Arc<ForwardedRequest>,
    digest: OnceLock<MatchDigest>,
}

impl Forwarded {
    pub(super) const fn new(request: Arc<ForwardedRequest>) -> Self {
        let digest = OnceLock::new();
        Self { request, digest }
    }

    pub(super) const fn request(&self) -> &Arc<ForwardedRequest> {
        &self.request
    }

    pub(super) fn digest(&self) -> Result<MatchDigest, InvalidOperation> {
        if let Some(made) = self.digest.get() {
            return Ok(*made);
        }
        let made = self.request.match_digest()?;
        Ok(*self.digest.get_or_init(|| made))
    }
}

/// An operation that forwards a request, whose digest was made.
#[derive(Debug, Clone)]
pub struct MatchedWrite {
    operation: Operation,
    digest: MatchDigest,
}

impl MatchedWrite {
    /// Makes the digest.
    ///
    /// # Errors
    /// An operation that forwards no request; a body that cannot be read in one way only.
    pub fn of(operation: Operation) -> Result<Self, InvalidOperation> {
        let digest = operation.match_digest();
        let digest = digest.ok_or_else(|| {
            InvalidOperation::new("operation_id", "is no request that is sent on")
        })??;
        Ok(Self { operation, digest })
    }

    /// The digest of its request.
    #[must_use]
    pub const fn digest(&self) -> MatchDigest {
        self.digest
    }

    /// The operation, which keeps the digest.
    #[must_use]
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }
}
