//! A question with its needs and votes.

use super::evaluation::EvaluationView;
use crate::problem::ApiError;
use app::votes::{NeedMet, VoteCast, Votes};
use ledger::aggregate::{Apply, Approval};
use ledger::policy::{Assurance, NeedGroup, Policy};
use ledger::{Person, Timestamp, operations_of};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// A question, open or answered.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuestionView {
    /// The approval.
    id: String,
    /// The kind of thing that is asked about: `apply`.
    kind: &'static str,
    /// pending, approved, denied, expired, cancelled or consumed.
    state: &'static str,
    task_id: String,
    /// The apply that asked first.
    apply_id: String,
    agent: String,
    /// The operations, as they were submitted.
    #[schema(value_type = Vec<Value>)]
    operations: Vec<Value>,
    /// Hex SHA-256 of what is asked.
    fingerprint: String,
    created_at: String,
    /// Until when it can be decided.
    expires_at: String,
    /// The requirement of an answer, where a policy asked: its needs, and the users whom it excludes.
    #[schema(value_type = Option<Value>)]
    requirement: Option<Value>,
    /// The evaluation of the apply that asked, by the policy; null where none was in force.
    evaluation: Option<EvaluationView>,
    /// The needs, and how many people are counted for each now.
    needs: Vec<NeedView>,
    /// Votes to approve that did not end it; the newest of each principal.
    votes: Vec<VoteView>,
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
    /// The user who is counted; null for a principal that no user owns, and where the vote counts no more.
    user_id: Option<String>,
    principal: String,
    /// `approve`
    decision: &'static str,
    at: String,
    /// Why it counts no more: `withdrawn`; `user`, `passkey`, `group`, `excluded` or `locked` where another vote found it
    /// so; `lost` where nobody has voted since. Null while it counts.
    void: Option<&'static str>,
    reason: Option<String>,
    /// The statement that was signed.
    statement: String,
    credential_id: String,
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
        Self {
            void: vote.void(),
            user_id: match vote.person {
                Some(Person::User(id)) => Some(id.to_string()),
                Some(Person::Principal(_)) | None => None,
            },
            principal: vote.cast.principal.to_string(),
            decision: "approve",
            at: vote.at.to_string(),
            reason: vote.cast.reason,
            statement: vote.cast.statement,
            credential_id: vote.cast.credential_id.to_base64url(),
        }
    }
}

impl QuestionView {
    pub(crate) fn of(
        approval: &Approval,
        apply: &Apply,
        votes: Votes,
        policy: Option<&Policy>,
        now: Timestamp,
    ) -> Result<Self, ApiError> {
        let asked = approval
            .policy
            .as_ref()
            .map(|asked| asked.requirement.get());
        Ok(Self {
            id: approval.id.to_string(),
            kind: "apply",
            state: approval.state_at(now).as_str(),
            task_id: approval.task_id.to_string(),
            apply_id: approval.apply_id.to_string(),
            agent: approval.agent.to_string(),
            operations: operations_of(apply.submission.as_bytes()).map_err(ApiError::internal)?,
            fingerprint: approval.fingerprint.to_string(),
            created_at: approval.created_at.to_string(),
            expires_at: approval.expires_at.to_string(),
            requirement: asked
                .map(serde_json::to_value)
                .transpose()
                .map_err(ApiError::internal)?,
            evaluation: apply
                .evaluation
                .as_deref()
                .map(|said| EvaluationView::of(said, policy)),
            needs: votes.needs.iter().map(NeedView::from).collect(),
            votes: votes.votes.into_iter().map(VoteView::from).collect(),
        })
    }
}
