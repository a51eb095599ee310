//! Questions to humans: how long they stand, who may answer.

use super::sources::Sources;
use super::variable;
use ledger::ApproverName;
use std::time::Duration;

/// The life of an approval.
pub(crate) struct Approvals {
    /// How long a question waits, and how long an approved one may be continued.
    pub(crate) ttl: Duration,
    /// How long a WebAuthn challenge is good.
    pub(crate) challenge_ttl: Duration,
    /// The principals who may decide; at least one.
    pub(crate) approvers: Vec<ApproverName>,
}

impl Approvals {
    /// Reads the section; problems are left with `sources`.
    pub(crate) fn read(sources: &mut Sources) -> Self {
        let ttl = sources.number(&variable::APPROVAL_TTL_SECONDS, 60, 604_800);
        let challenge_ttl = sources.number(&variable::APPROVAL_NONCE_TTL_SECONDS, 30, 300);
        Self {
            ttl: Duration::from_secs(u64::from(ttl)),
            challenge_ttl: Duration::from_secs(u64::from(challenge_ttl)),
            approvers: approvers(sources),
        }
    }
}

fn approvers(sources: &mut Sources) -> Vec<ApproverName> {
    let named = sources.list(&variable::APPROVAL_APPROVERS);
    if named.is_empty() {
        sources.problem(
            &variable::APPROVAL_APPROVERS,
            "names nobody; nobody could ever decide",
        );
    }
    let parsed = named
        .iter()
        .filter(|name| !name.is_empty())
        .map(|name| ApproverName::parse(name));
    let mut approvers: Vec<_> = parsed.collect::<Result<_, _>>().unwrap_or_else(|_| {
        sources.problem(
            &variable::APPROVAL_APPROVERS,
            "has a name with control characters or of more than 200 characters",
        );
        Vec::new()
    });
    approvers.sort();
    approvers.dedup();
    approvers
}
