//! The requests of an apply's operations, made anew from what was accepted.

use crate::event::OperationStarted;
use crate::operation::{Operation, UpstreamRequest};
use crate::provider::Providers;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// The method of an intent whose operation the service could not read: nothing is sent.
const NOTHING: &str = "none";

/// One operation's request. What is kept of it does not grow with the operation's params, but for reads by
/// name, which are small and depend on the name of their scope.
#[derive(Debug, Clone, Default)]
pub(super) enum Expected {
    /// This version cannot read the operation.
    #[default]
    Unreadable,
    /// Its method, path and body as a digest.
    Digest([u8; 32]),
    /// A read, whose request is made once the name of its scope is known.
    Read(Box<Operation>),
}

/// The result of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compared {
    /// The request that was started is that of the operation.
    Same,
    /// It is another one.
    Other,
    /// This version cannot read the operation, so that it cannot say which request is its.
    Unreadable,
}

impl Expected {
    /// Of an operation as it stands in a submission.
    pub(super) fn of(operation: &Value, providers: &Providers) -> Self {
        match providers.read_recorded(operation) {
            Ok(operation) if operation.effect().asks_by_name() => Self::Read(Box::new(operation)),
            Ok(operation) => Self::Digest(digest_of(&operation.request(None))),
            Err(_) => Self::Unreadable,
        }
    }

    /// Against what the log says was sent.
    pub(super) fn compare(&self, started: &OperationStarted) -> Compared {
        let (method, path) = (started.method.as_str(), started.path.as_str());
        let body = started.body_digest.as_deref();
        let expected = match self {
            Self::Digest(expected) => *expected,
            Self::Read(operation) => {
                digest_of(&operation.request(started.read_before.zone_name.as_deref()))
            }
            Self::Unreadable if method == NOTHING && path.is_empty() && body.is_none() => {
                return Compared::Same;
            }
            Self::Unreadable => return Compared::Unreadable,
        };
        if expected == digest(method, path, body) {
            Compared::Same
        } else {
            Compared::Other
        }
    }
}

fn digest_of(request: &UpstreamRequest) -> [u8; 32] {
    let request = request.description();
    let body = request.body_sha256.map(hex::encode);
    digest(&request.method, &request.path, body.as_deref())
}

fn digest(method: &str, path: &str, body: Option<&str>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in [method, path, body.unwrap_or("-")] {
        digest.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        digest.update(part);
    }
    digest.finalize().into()
}
