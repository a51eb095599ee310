//! What is left of events whose payloads were erased, and the event that erased them.

use crate::blob::Blob;
use crate::id::{AgentId, ApproverId, StreamId, TaskId, UpstreamSecretId, UserId};
use crate::name::RecordedThumbprint;
use serde::{Deserialize, Serialize};

/// What was named to be erased. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErasedSubject {
    /// A task, with its applies, approvals, deliveries and refusals.
    Task(TaskId),
    /// An agent: its name and its grants.
    Agent(AgentId),
    /// An approver: its principal and its credentials.
    Approver(ApproverId),
    /// A user: its name, its password, its sessions and its failed logins.
    User(UserId),
    /// A stored key of an upstream, sealed: it is erased when it is replaced or removed.
    UpstreamSecret(UpstreamSecretId),
}

impl ErasedSubject {
    /// The stream that was named.
    #[must_use]
    pub fn stream(self) -> StreamId {
        match self {
            Self::Task(id) => id.into(),
            Self::Agent(id) => id.into(),
            Self::Approver(id) => id.into(),
            Self::User(id) => id.into(),
            Self::UpstreamSecret(id) => id.into(),
        }
    }

    /// The task, where it is one.
    #[must_use]
    pub const fn task(self) -> Option<TaskId> {
        match self {
            Self::Task(id) => Some(id),
            _ => None,
        }
    }

    /// The agent, where it is one.
    #[must_use]
    pub const fn agent(self) -> Option<AgentId> {
        match self {
            Self::Agent(id) => Some(id),
            _ => None,
        }
    }

    /// The approver, where it is one.
    #[must_use]
    pub const fn approver(self) -> Option<ApproverId> {
        match self {
            Self::Approver(id) => Some(id),
            _ => None,
        }
    }

    /// The user, where it is one.
    #[must_use]
    pub const fn user(self) -> Option<UserId> {
        match self {
            Self::User(id) => Some(id),
            _ => None,
        }
    }

    /// What the named stream is the story of.
    #[must_use]
    pub const fn kind(self) -> StreamKind {
        match self {
            Self::Task(_) => StreamKind::Task,
            Self::Agent(_) => StreamKind::Agent,
            Self::Approver(_) => StreamKind::Approver,
            Self::User(_) => StreamKind::User,
            Self::UpstreamSecret(_) => StreamKind::UpstreamSecret,
        }
    }
}

/// What a stream was the story of. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// A task.
    Task,
    /// An apply that was accepted.
    Apply,
    /// An approval.
    Approval,
    /// A delivery.
    Delivery,
    /// A refused attempt, or a count of them.
    Refusal,
    /// An agent.
    Agent,
    /// An approver.
    Approver,
    /// A user.
    User,
    /// A session of a user.
    Session,
    /// A login that failed.
    FailedLogin,
    /// A stored key of an upstream, sealed.
    UpstreamSecret,
    /// A call that was sent on.
    Call,
    /// The sums of what some calls used.
    Usage,
}

impl StreamKind {
    /// The word in tables and texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Apply => "apply",
            Self::Approval => "approval",
            Self::Delivery => "delivery",
            Self::Refusal => "refusal",
            Self::Agent => "agent",
            Self::Approver => "approver",
            Self::User => "user",
            Self::Session => "session",
            Self::FailedLogin => "failed login",
            Self::UpstreamSecret => "stored key",
            Self::Call => "call",
            Self::Usage => "usage",
        }
    }
}

/// One stream that was erased as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedStream {
    /// The stream.
    pub stream_id: StreamId,
    /// What it was the story of.
    pub kind: StreamKind,
    /// How many events it had: those of the stream versions below this number.
    pub events: u64,
}

/// Positions from one up to, and without, another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PositionRange {
    /// The first position.
    pub from: u64,
    /// The position after the last.
    pub until: u64,
}

/// What a name was the name of. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameKind {
    /// An agent's name.
    Agent,
    /// An approver's principal.
    Principal,
    /// A credential's id.
    Credential,
    /// An invitation's id.
    Enrolment,
    /// A principal that a user had shown a passkey of: it stays that user's, who decides nothing.
    Linked,
}

impl NameKind {
    /// Its number in digests and lookups.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Agent => 1,
            Self::Principal => 2,
            Self::Credential => 3,
            Self::Enrolment => 4,
            Self::Linked => 5,
        }
    }
}

/// A name under which the subject was known, so that it stays taken: a digest that is keyed from the
/// master key, which nobody can guess from who has the ledger alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedName {
    /// What it named.
    pub kind: NameKind,
    /// Keyed BLAKE3 over ledger id, kind and name; 32 bytes.
    pub digest: Blob,
}

/// The signature counter of a credential, which erased decisions had raised and which must not fall
/// back. Speaks of the credential by its place among those of its approver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCounter {
    /// The approver.
    pub approver_id: ApproverId,
    /// Which of its credentials, in the order in which they were first put, from 0.
    pub credential: u32,
    /// The counter as of the erasure.
    pub sign_count: u32,
}

/// `ledger.erased` 1, which did not say which keys went with an approver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerErasedV1 {
    /// What was named to be erased.
    pub subject: ErasedSubject,
    /// Why.
    pub reason: String,
    /// The streams that were erased.
    pub streams: Vec<ErasedStream>,
    /// The positions of all their events.
    pub positions: Vec<PositionRange>,
    /// The names that stay taken.
    pub names: Vec<ErasedName>,
    /// The id of the master key that keyed their digests.
    pub name_key: Option<Blob>,
    /// The counters that stay as high as they were.
    pub counters: Vec<KeptCounter>,
}

impl From<LedgerErasedV1> for LedgerErased {
    fn from(erased: LedgerErasedV1) -> Self {
        Self {
            subject: erased.subject,
            reason: erased.reason,
            streams: erased.streams,
            positions: erased.positions,
            names: erased.names,
            name_key: erased.name_key,
            counters: erased.counters,
            keys: Vec::new(),
        }
    }
}

/// `ledger.erased` 2: from here on the payloads at these positions are gone. In the ledger's own
/// stream, and itself never erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerErased {
    /// What was named to be erased.
    pub subject: ErasedSubject,
    /// Why. It stays for good, so it must not repeat what was erased.
    pub reason: String,
    /// The streams that were erased, each as a whole, the subject's own first.
    pub streams: Vec<ErasedStream>,
    /// The positions of all their events, in order and without overlap.
    pub positions: Vec<PositionRange>,
    /// The names that stay taken.
    pub names: Vec<ErasedName>,
    /// The id of the master key that keyed their digests, 8 bytes; absent when there are none.
    pub name_key: Option<Blob>,
    /// The counters that stay as high as they were.
    pub counters: Vec<KeptCounter>,
    /// The RFC 9679 thumbprints of the public keys that went with an approver: a decision that one of
    /// them made can still be told from one that nobody's key made.
    pub keys: Vec<RecordedThumbprint>,
}

impl LedgerErased {
    /// How many payloads it erased.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.positions
            .iter()
            .map(|range| range.until.saturating_sub(range.from))
            .fold(0, u64::saturating_add)
    }

    /// True when the payload at a position is among them.
    #[must_use]
    pub fn covers(&self, position: u64) -> bool {
        let after = self
            .positions
            .partition_point(|range| range.until <= position);
        self.positions
            .get(after)
            .is_some_and(|range| range.from <= position)
    }
}

/// What is left of an event whose payload was erased: its header says what kind of event it was, in
/// which stream and when, and nothing says more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedPayload {
    /// The header's event type.
    pub event_type: u16,
    /// The header's schema version.
    pub schema_version: u16,
    /// The position of the `ledger.erased` that erased it.
    pub erased_by: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_covered_by_its_range_and_no_other() {
        let range = |from, until| PositionRange { from, until };
        let erased = LedgerErased {
            subject: ErasedSubject::Task(TaskId::from_bytes([1; 16])),
            reason: String::new(),
            streams: Vec::new(),
            positions: vec![range(3, 5), range(9, 10)],
            names: Vec::new(),
            name_key: None,
            counters: Vec::new(),
            keys: Vec::new(),
        };
        let covered: Vec<u64> = (0..12).filter(|at| erased.covers(*at)).collect();
        assert_eq!(covered, [3, 4, 9]);
        assert_eq!(erased.count(), 3);
    }
}
