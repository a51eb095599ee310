//! Questions to humans: how long they stand, who may answer.

use super::sources::Sources;
use super::variable;
use std::time::Duration;
use unicode_normalization::UnicodeNormalization as _;

/// The longest name of a principal, in characters.
const MOST_CHARACTERS: usize = 200;

/// The life of an approval.
pub(crate) struct Approvals {
    /// How long a question waits, and how long an approved one may be continued.
    pub(crate) ttl: Duration,
    /// How long a WebAuthn challenge is good.
    pub(crate) challenge_ttl: Duration,
    /// The principals who may decide; at least one.
    pub(crate) approvers: Vec<String>,
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

fn approvers(sources: &mut Sources) -> Vec<String> {
    let mut approvers = sources.list(&variable::APPROVAL_APPROVERS);
    if approvers.is_empty() {
        sources.problem(
            &variable::APPROVAL_APPROVERS,
            "names nobody; nobody could ever decide",
        );
    }
    let named_well = |name: &String| {
        name.chars().count() <= MOST_CHARACTERS && !name.chars().any(char::is_control)
    };
    if !approvers.iter().all(named_well) {
        sources.problem(
            &variable::APPROVAL_APPROVERS,
            "has a name with control characters or of more than 200 characters",
        );
    }
    // Links and routes bring names in this form too (Unicode Standard Annex 15).
    for name in &mut approvers {
        *name = name.nfc().collect();
    }
    approvers.sort();
    approvers.dedup();
    approvers
}
