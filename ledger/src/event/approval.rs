//! Events of an approval's stream. Frozen forms.

use super::evaluation::{AskedByPolicy, AskedByPolicyV1, FactValue, PolicyEvaluation};
use crate::assertion::Assertion;
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, ApprovalId, TaskId};
use crate::name::{AgentName, ApproverName, CredentialId, RecordedThumbprint};
use crate::on_screen::OnScreen;
use crate::operation::Scope;
use crate::policy::{Edge, Fact, Value, recordable};
use crate::software_key::{DecisionProof, SoftwareSignature};
use serde::{Deserialize, Serialize};

/// `approval.requested` 4.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequested {
    /// The approval, which is also its stream.
    pub approval_id: ApprovalId,
    /// The task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The apply that asked first; its submission is what is approved.
    pub apply_id: ApplyId,
    /// What is approved.
    pub fingerprint: Fingerprint,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// How long after an approval it can be continued, in seconds.
    pub continuation_seconds: u32,
    /// The principals who may decide.
    pub approvers: Vec<ApproverName>,
    /// The rules that ask, and what an answer needs; absent where no policy was in force.
    pub policy: Option<AskedByPolicy>,
    /// Where the request that asked came from; absent where nothing was known of that.
    pub from: Option<AskedFrom>,
}

/// Where a request that asked came from, as far as the service knew it: for those who answer, and for the block of a
/// denial. Rules read it as facts, which stand with the evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AskedFrom {
    /// The client's address.
    pub address: Option<String>,
    /// Its country, two letters of ISO 3166-1.
    pub country: Option<String>,
    /// The English name of its city.
    pub city: Option<String>,
    /// The number of its autonomous system.
    pub asn: Option<u32>,
    /// The name of its provider, else of its autonomous system.
    pub isp: Option<String>,
    /// The subject of the client's certificate.
    pub tls_subject: Option<String>,
    /// Hex SHA-256 of that certificate.
    pub tls_fingerprint: Option<String>,
}

/// A known fact, of one of the two forms that [`AskedFrom`] is made of.
enum Part {
    Text(String),
    Number(i64),
}

impl AskedFrom {
    /// What the service says of a request, each part no longer than a fact may be; `None` where it knows nothing.
    #[must_use]
    pub fn of(edge: &Edge) -> Option<Self> {
        let from = Self::read(|name| match recordable(edge.fact(name)) {
            Fact::Known(Value::Text(text)) => Some(Part::Text(text)),
            Fact::Known(Value::Int(number)) => Some(Part::Number(number)),
            _ => None,
        });
        (from != Self::default()).then_some(from)
    }

    /// What a policy has read of it.
    #[must_use]
    pub fn read_by(said: &PolicyEvaluation) -> Self {
        Self::read(|name| {
            let read = said.facts.iter().find(|fact| fact.name == name)?;
            match &read.value {
                FactValue::Text(text) => Some(Part::Text(text.clone())),
                FactValue::Int(number) => Some(Part::Number(*number)),
                _ => None,
            }
        })
    }

    fn read(part: impl Fn(&str) -> Option<Part>) -> Self {
        let text = |name: &str| match part(name)? {
            Part::Text(text) => Some(text),
            Part::Number(_) => None,
        };
        Self {
            address: text("address"),
            country: text("country"),
            city: text("city"),
            asn: match part("asn") {
                Some(Part::Number(number)) => u32::try_from(number).ok(),
                _ => None,
            },
            isp: text("isp"),
            tls_subject: text("tls.subject"),
            tls_fingerprint: text("tls.fingerprint"),
        }
    }

    /// Whether it says what a policy has read, as far as that was known.
    pub(crate) fn fits(&self, said: &PolicyEvaluation) -> bool {
        let read = Self::read_by(said);
        let same = |read: Option<String>, here: &Option<String>| read.is_none() || read == *here;
        same(read.address, &self.address)
            && same(read.country, &self.country)
            && (read.asn.is_none() || read.asn == self.asn)
            && same(read.tls_subject, &self.tls_subject)
            && same(read.tls_fingerprint, &self.tls_fingerprint)
    }

    /// `198.51.100.77, Boston, US, AS64497 (Example Net), certificate CN=ci`; of a certificate without a known subject
    /// the fingerprint.
    #[must_use]
    pub fn in_words(&self) -> String {
        let certificate = self.tls_subject.as_ref().or(self.tls_fingerprint.as_ref());
        let network = match (self.asn, &self.isp) {
            (Some(number), Some(name)) => Some(format!("AS{number} ({name})")),
            (Some(number), None) => Some(format!("AS{number}")),
            (None, name) => name.clone(),
        };
        let parts = [
            self.address.clone(),
            self.city.clone(),
            self.country.clone(),
            network,
            certificate.map(|name| format!("certificate {name}")),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// `approval.requested` 3: nothing was said of where the request came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequestedV3 {
    /// The approval, which is also its stream.
    pub approval_id: ApprovalId,
    /// The task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The apply that asked first; its submission is what is approved.
    pub apply_id: ApplyId,
    /// What is approved.
    pub fingerprint: Fingerprint,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// How long after an approval it can be continued, in seconds.
    pub continuation_seconds: u32,
    /// The principals who may decide.
    pub approvers: Vec<ApproverName>,
    /// The rules that ask, and what an answer needs; absent where no policy was in force.
    pub policy: Option<AskedByPolicy>,
}

impl From<ApprovalRequestedV3> for ApprovalRequested {
    fn from(old: ApprovalRequestedV3) -> Self {
        Self {
            approval_id: old.approval_id,
            task_id: old.task_id,
            agent: old.agent,
            apply_id: old.apply_id,
            fingerprint: old.fingerprint,
            expires_at: old.expires_at,
            continuation_seconds: old.continuation_seconds,
            approvers: old.approvers,
            policy: old.policy,
            from: None,
        }
    }
}

/// `approval.requested` 2: statements said nothing of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequestedV2 {
    /// The approval, which is also its stream.
    pub approval_id: ApprovalId,
    /// The task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The apply that asked first; its submission is what is approved.
    pub apply_id: ApplyId,
    /// What is approved.
    pub fingerprint: Fingerprint,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// How long after an approval it can be continued, in seconds.
    pub continuation_seconds: u32,
    /// The principals who may decide.
    pub approvers: Vec<ApproverName>,
    /// The rules that ask, and what an answer needs; absent where no policy was in force.
    pub policy: Option<AskedByPolicyV1>,
}

impl From<ApprovalRequestedV2> for ApprovalRequested {
    fn from(old: ApprovalRequestedV2) -> Self {
        Self {
            approval_id: old.approval_id,
            task_id: old.task_id,
            agent: old.agent,
            apply_id: old.apply_id,
            fingerprint: old.fingerprint,
            expires_at: old.expires_at,
            continuation_seconds: old.continuation_seconds,
            approvers: old.approvers,
            policy: old.policy.map(AskedByPolicy::from),
            from: None,
        }
    }
}

/// `approval.requested` 1: no policy was in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRequestedV1 {
    /// The approval, which is also its stream.
    pub approval_id: ApprovalId,
    /// The task.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent: AgentName,
    /// The apply that asked first; its submission is what is approved.
    pub apply_id: ApplyId,
    /// What is approved.
    pub fingerprint: Fingerprint,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// How long after an approval it can be continued, in seconds.
    pub continuation_seconds: u32,
    /// The principals who may decide.
    pub approvers: Vec<ApproverName>,
}

impl From<ApprovalRequestedV1> for ApprovalRequested {
    fn from(old: ApprovalRequestedV1) -> Self {
        Self {
            approval_id: old.approval_id,
            task_id: old.task_id,
            agent: old.agent,
            apply_id: old.apply_id,
            fingerprint: old.fingerprint,
            expires_at: old.expires_at,
            continuation_seconds: old.continuation_seconds,
            approvers: old.approvers,
            policy: None,
            from: None,
        }
    }
}

/// What one operation would change, as it was read upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreState {
    /// JSON text of what stands there now.
    Found(String),
    /// There is nothing to read for this operation.
    NotApplicable,
    /// It could not be read, and why.
    Unavailable(String),
}

/// `approval.pre_state_recorded` 1, without the names of zones.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreStateRecordedV1 {
    /// One for each operation, in order.
    pub operations: Vec<PreState>,
}

/// `approval.pre_state_recorded` 2: read once for each approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreStateRecorded {
    /// One for each operation, in order.
    pub operations: Vec<PreState>,
    /// One for each zone that an operation acts on.
    pub zones: Vec<ZoneRead>,
}

impl From<PreStateRecordedV1> for PreStateRecorded {
    fn from(old: PreStateRecordedV1) -> Self {
        Self {
            operations: old.operations,
            zones: Vec::new(),
        }
    }
}

/// What upstream calls a zone, or another scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneRead {
    /// The id of a zone; of another scope, its type and id, such as `account:023e…`.
    pub zone_id: String,
    /// Its name.
    pub name: ZoneNameRead,
}

impl ZoneRead {
    /// The id under which what upstream calls a scope is recorded. No id of a scope has a colon.
    #[must_use]
    pub fn id_of(scope: &Scope) -> String {
        match scope.scope_type.as_str() {
            "zone" => scope.id.to_string(),
            other => format!("{other}:{}", scope.id),
        }
    }
}

/// A zone's name as far as it could be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ZoneNameRead {
    /// A zone's in lower-case ASCII (Punycode); that of another scope as upstream has it.
    Known(String),
    /// It could not be read, and why.
    Unavailable(String),
}

/// `approval.narrowed` 1: from here on only these may decide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalNarrowed {
    /// A part of those who could decide before.
    pub approvers: Vec<ApproverName>,
}

/// `approval.approved` 3 and `approval.denied` 3: who decided, and the whole proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecided {
    /// The approver.
    pub principal: ApproverName,
    /// What they wrote.
    pub reason: Option<String>,
    /// The canonical JSON statement that the challenge binds.
    pub statement: String,
    /// The credential, as registered.
    pub credential_id: CredentialId,
    /// RFC 9679 thumbprint of its public key.
    pub public_key_thumbprint: RecordedThumbprint,
    /// A passkey's: the assertion's client data, byte for byte. Empty of a command-line key.
    pub client_data_json: Blob,
    /// A passkey's: the assertion's authenticator data. Empty of a command-line key.
    pub authenticator_data: Blob,
    /// The signature.
    pub signature: Blob,
    /// The assertion's user handle.
    pub user_handle: Option<Blob>,
    /// The relying party id that was checked; empty of a command-line key.
    pub rp_id: String,
    /// The origin that was checked; empty of a command-line key.
    pub origin: String,
    /// The authenticator's signature counter.
    pub sign_count: u32,
    /// The operations that the browser says were on its screen; absent where it says nothing of that.
    pub on_screen: Option<OnScreen>,
    /// The challenge that a command-line key has signed. A passkey's stands in its client data.
    pub challenge: Option<Blob>,
}

impl ApprovalDecided {
    /// The proof, as it was verified.
    #[must_use]
    pub fn proof(&self) -> DecisionProof {
        let bytes = |blob: &Blob| blob.as_slice().to_vec();
        let credential_id = self.credential_id.as_slice().to_vec();
        let signature = bytes(&self.signature);
        match &self.challenge {
            Some(challenge) => DecisionProof::Software(SoftwareSignature {
                credential_id,
                challenge: bytes(challenge),
                signature,
            }),
            None => DecisionProof::Passkey(Assertion {
                credential_id,
                client_data_json: bytes(&self.client_data_json),
                authenticator_data: bytes(&self.authenticator_data),
                signature,
                user_handle: self.user_handle.as_ref().map(bytes),
            }),
        }
    }

    /// True where nothing stands in it that its kind of proof has not.
    #[must_use]
    pub fn is_of_one_kind(&self) -> bool {
        let has_no_passkeys = self.client_data_json.as_slice().is_empty()
            && self.authenticator_data.as_slice().is_empty()
            && self.user_handle.is_none()
            && self.rp_id.is_empty()
            && self.origin.is_empty()
            && self.sign_count == 0
            && self.on_screen.is_none();
        self.is_by_passkey() || has_no_passkeys
    }

    /// Whether a passkey signed it, and not a command-line key.
    #[must_use]
    pub const fn is_by_passkey(&self) -> bool {
        self.challenge.is_none()
    }
}

/// `approval.approved` 2 and `approval.denied` 2: only passkeys decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecidedV2 {
    /// The approver.
    pub principal: ApproverName,
    /// What they wrote.
    pub reason: Option<String>,
    /// The canonical JSON statement that the challenge binds.
    pub statement: String,
    /// The credential, as registered.
    pub credential_id: CredentialId,
    /// RFC 9679 thumbprint of its public key.
    pub public_key_thumbprint: RecordedThumbprint,
    /// The assertion's client data, byte for byte.
    pub client_data_json: Blob,
    /// The assertion's authenticator data.
    pub authenticator_data: Blob,
    /// The assertion's signature.
    pub signature: Blob,
    /// The assertion's user handle.
    pub user_handle: Option<Blob>,
    /// The relying party id that was checked.
    pub rp_id: String,
    /// The origin that was checked.
    pub origin: String,
    /// The authenticator's signature counter.
    pub sign_count: u32,
    /// The operations that the browser says were on its screen; absent where it says nothing of that.
    pub on_screen: Option<OnScreen>,
}

/// `approval.approved` 1 and `approval.denied` 1: nothing was said of what was on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalDecidedV1 {
    /// The approver.
    pub principal: ApproverName,
    /// What they wrote.
    pub reason: Option<String>,
    /// The canonical JSON statement that the challenge binds.
    pub statement: String,
    /// The credential, as registered.
    pub credential_id: CredentialId,
    /// RFC 9679 thumbprint of its public key.
    pub public_key_thumbprint: RecordedThumbprint,
    /// The assertion's client data, byte for byte.
    pub client_data_json: Blob,
    /// The assertion's authenticator data.
    pub authenticator_data: Blob,
    /// The assertion's signature.
    pub signature: Blob,
    /// The assertion's user handle.
    pub user_handle: Option<Blob>,
    /// The relying party id that was checked.
    pub rp_id: String,
    /// The origin that was checked.
    pub origin: String,
    /// The authenticator's signature counter.
    pub sign_count: u32,
}

impl From<ApprovalDecidedV1> for ApprovalDecided {
    fn from(old: ApprovalDecidedV1) -> Self {
        Self {
            principal: old.principal,
            reason: old.reason,
            statement: old.statement,
            credential_id: old.credential_id,
            public_key_thumbprint: old.public_key_thumbprint,
            client_data_json: old.client_data_json,
            authenticator_data: old.authenticator_data,
            signature: old.signature,
            user_handle: old.user_handle,
            rp_id: old.rp_id,
            origin: old.origin,
            sign_count: old.sign_count,
            on_screen: None,
            challenge: None,
        }
    }
}

impl From<ApprovalDecidedV2> for ApprovalDecided {
    fn from(old: ApprovalDecidedV2) -> Self {
        Self {
            principal: old.principal,
            reason: old.reason,
            statement: old.statement,
            credential_id: old.credential_id,
            public_key_thumbprint: old.public_key_thumbprint,
            client_data_json: old.client_data_json,
            authenticator_data: old.authenticator_data,
            signature: old.signature,
            user_handle: old.user_handle,
            rp_id: old.rp_id,
            origin: old.origin,
            sign_count: old.sign_count,
            on_screen: old.on_screen,
            challenge: None,
        }
    }
}

/// `approval.vote_withdrawn` 1: its voter has taken it back, and may vote again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteWithdrawn {
    /// The principal whose vote it was.
    pub principal: ApproverName,
}

/// Why a vote counts no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteLoss {
    /// Its user was disabled, deleted or erased.
    User,
    /// Its passkey was revoked, or its approver erased.
    Passkey,
    /// Its person is in no group that is needed.
    Group,
    /// Its person turned out to be one who may not answer.
    Excluded,
    /// A lock was set on its user or passkey.
    Lock,
}

/// `approval.vote_voided` 1: it was looked at when somebody else voted, and its person could not vote any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoteVoided {
    /// The principal whose vote it was.
    pub principal: ApproverName,
    /// Why.
    pub why: VoteLoss,
}

/// `approval.expired` 1: the deadline passed undecided, or approved but not continued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalExpired {
    /// The deadline that passed.
    pub deadline: Timestamp,
    /// It had been approved and was not continued in time.
    pub was_approved: bool,
}

/// `approval.cancelled` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalCancelledV1 {
    /// Why: `task_closed`, `locked`, `policy`.
    pub reason: String,
}

/// `approval.cancelled` 2: also by a person, who may say why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalCancelled {
    /// Why: `task_closed`, `locked`, `policy`, `pre_state`, or `person`, who is the actor.
    pub reason: String,
    /// The person's own words.
    pub comment: Option<String>,
}

impl ApprovalCancelled {
    /// By what happened elsewhere.
    #[must_use]
    pub fn because(reason: &str) -> Self {
        Self {
            reason: reason.to_owned(),
            comment: None,
        }
    }
}

impl From<ApprovalCancelledV1> for ApprovalCancelled {
    fn from(old: ApprovalCancelledV1) -> Self {
        Self {
            reason: old.reason,
            comment: None,
        }
    }
}

/// `approval.released` 1: the apply that used it failed before anything was applied, so that it can be
/// used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalReleased {
    /// The apply that had used it, which ends in the same commit.
    pub apply_id: ApplyId,
    /// The end of the continuation window that the decision opened; it does not begin anew.
    pub usable_until: Timestamp,
}

/// `approval.consumed` 1: for one apply; again only after it was released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalConsumed {
    /// The apply that it authorises.
    pub apply_id: ApplyId,
}
