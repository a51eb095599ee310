//! A question with its needs and votes.

use super::evaluation::EvaluationView;
use super::history::HistoryRow;
use crate::problem::ApiError;
use crate::state::AppState;
use app::applies::Traced;
use app::history::Answered;
use app::policy::Change;
use app::votes::{NeedMet, VoteCast, Votes};
use ledger::aggregate::{Apply, Approval};
use ledger::event::{ApprovalDecided, AskedFrom, AskedSubject, PreState};
use ledger::policy::{Assurance, NeedGroup};
use ledger::{Blob, Choice, Timestamp, operations_of};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A question, open or answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuestionView {
    /// The approval.
    id: String,
    /// The kind of thing that is asked about: `apply`, `policy_change`, `schedule` or `review`.
    #[schema(example = "apply")]
    kind: &'static str,
    /// pending, approved, denied, expired, cancelled or consumed.
    state: &'static str,
    /// Null where it is not about an apply.
    task_id: Option<String>,
    /// The apply that asked first; null where it is not about one.
    apply_id: Option<String>,
    /// Null where it is not about an apply.
    agent: Option<String>,
    /// The subject, where that is no apply.
    subject: Option<SubjectView>,
    /// The operations, as they were submitted; none where it is not about an apply.
    #[schema(value_type = Vec<Value>)]
    operations: Vec<Value>,
    /// Hex SHA-256 of what is asked.
    fingerprint: String,
    created_at: String,
    /// Until when it can be decided.
    expires_at: String,
    /// The state upstream before the operations; null while nothing was read.
    pre_state: Option<PreStateView>,
    /// The question in the place of which this one was asked, because the policy or the state upstream had changed.
    replaces: Option<String>,
    /// Where the request that asked came from; null where nothing was known of that.
    client: Option<ClientView>,
    /// The requirement of an answer, where a policy asked: its needs, and the users whom it excludes.
    #[schema(value_type = Option<Value>)]
    requirement: Option<Value>,
    /// The evaluation of the apply that asked, by the policy; null where none was in force.
    evaluation: Option<EvaluationView>,
    /// The needs, and how many people are counted for each now.
    needs: Vec<NeedView>,
    /// Each vote, the newest of each principal, and last the one that ended it.
    votes: Vec<VoteView>,
    /// Whether one person approved it alone in an emergency.
    break_glass: bool,
    /// Earlier answers to the same operations of the same task, the newest first, at most 10.
    history: Vec<HistoryRow>,
}

/// The subject of a question that is not about an apply. Members that its kind does not have are null.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct SubjectView {
    /// In words.
    #[schema(example = "change the policy to version 4")]
    act: String,
    /// The same in more words: where a policy would differ, what a schedule asks for and when, what was approved in an
    /// emergency.
    lines: Vec<String>,
    /// Of a policy change: the version that it follows.
    follows: Option<u64>,
    /// The version that it brings back; null where a document was handed over.
    restores: Option<u64>,
    /// The digest of the document that it replaces.
    replaces: Option<String>,
    /// The digest of the new document; null without one.
    digest: Option<String>,
    /// `toml` or `json`
    format: Option<&'static str>,
    /// The text of the new document, to the byte.
    source: Option<String>,
    /// Where the new document differs from the one that it replaces.
    changes: Vec<ChangeView>,
    /// Of a schedule.
    schedule_id: Option<String>,
    /// Of a review: the approval that was given in an emergency.
    approval_id: Option<String>,
}

/// A place at which two policies differ.
#[derive(Debug, Serialize, ToSchema)]
struct ChangeView {
    /// Such as `rule foreign ttl`.
    place: String,
    /// The value in the old one; null where it has nothing there.
    #[schema(value_type = Option<Value>)]
    from: Option<Value>,
    /// The value in the new one.
    #[schema(value_type = Option<Value>)]
    to: Option<Value>,
}

/// The state upstream before the operations of a question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreStateView {
    /// True where an approval is good for this state only.
    bound: bool,
    /// Hex SHA-256 of it, which statements name where it is bound.
    digest: String,
    /// One for each operation: `{"found":…}`, `"not_applicable"`, or `{"unavailable":"why"}`.
    #[schema(value_type = Vec<Value>)]
    operations: Vec<Value>,
}

impl PreStateView {
    fn of(approval: &Approval) -> Option<Self> {
        let operations = approval.pre_state.as_ref()?.iter().map(|read| match read {
            PreState::Found(text) => match serde_json::from_str::<Value>(text) {
                Ok(found) => json!({"found": found}),
                Err(_) => json!({"found": text}),
            },
            PreState::NotApplicable => Value::from("not_applicable"),
            PreState::Unavailable(why) => json!({"unavailable": why}),
        });
        Some(Self {
            bound: approval.binds_pre_state(),
            digest: approval.state_digest()?.to_string(),
            operations: operations.collect(),
        })
    }
}

/// The client of a request, as far as the service knew it. Members that nobody knew are null.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientView {
    address: Option<String>,
    /// Two letters of ISO 3166-1.
    country: Option<String>,
    /// The English name, as the files of GEOIP_FILE said it then; no rule reads it.
    city: Option<String>,
    /// The number of its autonomous system.
    asn: Option<u32>,
    /// Its provider, as the city is told.
    isp: Option<String>,
    tls: ClientCertificateView,
}

/// The client's certificate.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClientCertificateView {
    subject: Option<String>,
    /// Hex SHA-256.
    fingerprint: Option<String>,
}

impl ClientView {
    /// As the question says it, and of questions of before as the policy has read it.
    fn of(approval: &Approval, apply: &Apply) -> Option<Self> {
        let said = apply.evaluation.as_deref().map(AskedFrom::read_by);
        let from = approval.from.clone().or(said);
        from.map(Self::from)
    }
}

impl From<AskedFrom> for ClientView {
    fn from(from: AskedFrom) -> Self {
        Self {
            address: from.address,
            country: from.country,
            city: from.city,
            asn: from.asn,
            isp: from.isp,
            tls: ClientCertificateView {
                subject: from.tls_subject,
                fingerprint: from.tls_fingerprint,
            },
        }
    }
}

/// A need of a question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NeedView {
    group: GroupNamed,
    /// The number of people of it.
    n: u32,
    /// How many are counted for it now. Each person counts for one need.
    have: usize,
    /// `any` or `passkey`.
    assurance: &'static str,
}

/// A group of people; the approvers of the configuration are `default`.
#[derive(Debug, Serialize, ToSchema)]
struct GroupNamed {
    id: String,
    /// Null where it was deleted.
    name: Option<String>,
}

/// A vote.
#[derive(Debug, Serialize, ToSchema)]
struct VoteView {
    /// The user whose it is; null for a principal that no user owns, and where the user was erased.
    user: Option<UserNamed>,
    principal: String,
    /// `approve`, or `deny` of one that ended the question so.
    decision: &'static str,
    at: String,
    /// `passkey` or `software_key`.
    assurance: &'static str,
    /// Why it counts no more: `withdrawn`; `user`, `passkey`, `group`, `excluded` or `locked` where another vote found it
    /// so; `lost` where nobody has voted since. Null while it counts.
    void: Option<&'static str>,
    /// How long it holds, and for what else, as its voter chose; of several who approve the narrowest holds.
    retention: RetentionView,
    /// The block that it sets; null where it sets none.
    block: Option<SignedBlockView>,
    reason: Option<String>,
    proof: ProofView,
}

/// A user, by the name that it has now.
#[derive(Debug, Serialize, ToSchema)]
struct UserNamed {
    id: String,
    name: String,
}

/// How long a vote holds, and for what else than its question.
#[derive(Debug, Serialize, ToSchema)]
struct RetentionView {
    /// `once`, `cache` or `permanent`.
    mode: &'static str,
    /// `exact` or `scope`; null for `once`.
    breadth: Option<&'static str>,
    /// `task` or `agent`; null for `once`.
    binding: Option<&'static str>,
    /// When it ends by itself; of an approval for once the time before which it is to be used, where its voter has
    /// shortened that.
    until: Option<String>,
}

/// A block that a vote sets.
#[derive(Debug, Serialize, ToSchema)]
struct SignedBlockView {
    /// `agent`, `subject`, `address` or `asn`.
    kind: String,
    value: String,
    /// When it ends by itself.
    until: Option<String>,
}

/// What proves a vote. Binary values are unpadded base64url.
#[derive(Debug, Serialize, ToSchema)]
struct ProofView {
    /// The statement that was signed.
    statement: String,
    credential_id: String,
    /// `ES256`, `ES384`, `RS256` or `Ed25519`; null where its principal was erased.
    algorithm: Option<String>,
    /// Of a passkey.
    client_data_json: Option<String>,
    /// Of a passkey.
    authenticator_data: Option<String>,
    /// The challenge that was signed with the statement.
    challenge: Option<String>,
    signature: String,
}

impl RetentionView {
    fn of(choice: &Choice) -> Self {
        let kept = choice.retention;
        let until = kept.map_or(choice.use_until, |kept| kept.until);
        Self {
            mode: kept.map_or("once", |kept| kept.mode.as_str()),
            breadth: kept.map(|kept| kept.breadth.as_str()),
            binding: kept.map(|kept| kept.binding.as_str()),
            until: until.map(|at| at.to_string()),
        }
    }
}

impl ProofView {
    fn of(cast: ApprovalDecided, algorithm: Option<String>) -> Self {
        let challenge = cast.proof().challenge().ok();
        let of_passkey = |bytes: &Blob| cast.is_by_passkey().then(|| bytes.to_base64url());
        Self {
            challenge: challenge.map(|it| Blob::from(it.to_bytes()).to_base64url()),
            client_data_json: of_passkey(&cast.client_data_json),
            authenticator_data: of_passkey(&cast.authenticator_data),
            credential_id: cast.credential_id.to_base64url(),
            signature: cast.signature.to_base64url(),
            statement: cast.statement,
            algorithm,
        }
    }
}

impl From<&NeedMet> for NeedView {
    fn from(met: &NeedMet) -> Self {
        Self {
            group: GroupNamed {
                id: match met.need.group {
                    NeedGroup::Default => "default".to_owned(),
                    NeedGroup::Group(id) => id.to_string(),
                },
                name: met.group.clone(),
            },
            n: met.need.n,
            have: met.have,
            assurance: match met.need.assurance {
                Assurance::Any => "any",
                Assurance::Passkey => "passkey",
            },
        }
    }
}

impl From<VoteCast> for VoteView {
    fn from(vote: VoteCast) -> Self {
        let choice = Choice::of_statement(&vote.cast.statement).unwrap_or_default();
        Self {
            void: vote.void(),
            user: vote.user.map(|(id, name)| UserNamed {
                id: id.to_string(),
                name,
            }),
            principal: vote.cast.principal.to_string(),
            decision: vote.decision.as_str(),
            at: vote.at.to_string(),
            assurance: match vote.cast.is_by_passkey() {
                true => "passkey",
                false => "software_key",
            },
            retention: RetentionView::of(&choice),
            block: choice.block.map(|block| SignedBlockView {
                kind: block.kind,
                value: block.value,
                until: block.until.map(|at| at.to_string()),
            }),
            reason: vote.cast.reason.clone(),
            proof: ProofView::of(vote.cast, vote.algorithm),
        }
    }
}

impl QuestionView {
    pub(crate) fn of(
        state: &AppState,
        approval: &Approval,
        apply: &Apply,
        (votes, history): (Votes, Vec<Answered>),
        traced: Option<&Traced>,
    ) -> Result<Self, ApiError> {
        let ledger = &state.app.ledger;
        let said = apply.evaluation.as_deref();
        Ok(Self {
            id: approval.id.to_string(),
            kind: approval.kind().as_str(),
            state: approval.state_at(ledger.now()).as_str(),
            task_id: Some(apply.task_id.to_string()),
            apply_id: Some(apply.id.to_string()),
            agent: Some(apply.agent.to_string()),
            subject: None,
            operations: operations_of(apply.submission.as_bytes()).map_err(ApiError::internal)?,
            fingerprint: approval.fingerprint.to_string(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            pre_state: PreStateView::of(approval),
            replaces: apply.replaced_by(approval.id).map(|id| id.to_string()),
            client: ClientView::of(approval, apply),
            requirement: requirement_of(approval)?,
            evaluation: said.map(|said| EvaluationView::of(said, traced)),
            needs: votes.needs.iter().map(NeedView::from).collect(),
            votes: votes.votes.into_iter().map(VoteView::from).collect(),
            break_glass: approval.is_of_emergency(),
            history: history.into_iter().map(HistoryRow::from).collect(),
        })
    }

    /// Of a question that is not about an apply.
    pub(crate) fn besides(
        approval: &Approval,
        subject: SubjectView,
        votes: Votes,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        Ok(Self {
            id: approval.id.to_string(),
            kind: approval.kind().as_str(),
            state: approval.state_at(now).as_str(),
            task_id: None,
            apply_id: None,
            agent: None,
            subject: Some(subject),
            operations: Vec::new(),
            fingerprint: approval.fingerprint.to_string(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            pre_state: None,
            replaces: None,
            client: None,
            requirement: requirement_of(approval)?,
            evaluation: None,
            needs: votes.needs.iter().map(NeedView::from).collect(),
            votes: votes.votes.into_iter().map(VoteView::from).collect(),
            break_glass: approval.is_of_emergency(),
            history: Vec::new(),
        })
    }
}

fn requirement_of(approval: &Approval) -> Result<Option<Value>, ApiError> {
    let asked = approval.policy.as_ref();
    let requirement = asked.map(|asked| serde_json::to_value(asked.requirement.get()));
    requirement.transpose().map_err(ApiError::internal)
}

impl SubjectView {
    pub(crate) fn of(subject: &AskedSubject, changes: Vec<Change>, lines: Vec<String>) -> Self {
        let mut view = Self {
            act: app::besides::act(subject),
            lines,
            ..Self::default()
        };
        match subject {
            AskedSubject::PolicyChange(change) => {
                let document = change.document.as_ref();
                view.follows = Some(change.follows);
                view.restores = change.restores;
                view.replaces = change.replaces.map(|digest| digest.to_string());
                view.digest = document.map(|document| document.digest.to_string());
                view.format = document.map(|document| document.format.as_str());
                view.source = document.map(|document| document.source.clone());
                view.changes = changes.into_iter().map(ChangeView::from).collect();
            }
            AskedSubject::Schedule(schedule) => {
                view.schedule_id = Some(schedule.schedule_id.to_string());
                view.source = Some(schedule.definition.clone());
            }
            AskedSubject::Review(review) => {
                view.approval_id = Some(review.approval_id.to_string());
            }
        }
        view
    }
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        Self {
            place: change.place,
            from: change.from,
            to: change.to,
        }
    }
}
