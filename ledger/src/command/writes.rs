//! Writes of agents through proxies: each is asked for in a task of its own, and the same write again finds
//! the one that was asked for before.

use super::applies::{SubmitApply, submitted};
use super::authority::{Presented, PresentedKey, admit_key};
use super::continuations::{ContinueApply, Resume};
use super::locked::admit_agent_of;
use super::standing::{Standing, standing};
use super::tasks::{AllowedEntry, allowlist, close, question_time, seconds};
use super::{Command, Ruling, Submitted};
use crate::aggregate::{Agent, Apply, Approval, Task};
use crate::error::Error;
use crate::event::{ApplyEnd, LockTarget, OnApproval, TaskCreated};
use crate::id::{AgentId, ApplyId, KeyId, TaskId};
use crate::name::{ClientSubject, IdempotencyKey};
use crate::operation::{MatchDigest, Operation};
use crate::policy::Edge;
use crate::purpose::Purpose;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a write is what the same write again is told, unless it was told before.
pub const OWED: Duration = Duration::from_secs(600);

/// The key of the first apply of a task that was opened for a write. Where upstream could not be reached, the
/// approval was given back, and the same write again is one more apply: `write 2`.
const KEY: &str = "write";

/// The most applies of one such task.
const MOST_APPLIES: u32 = 100;

fn key(number: u32) -> IdempotencyKey {
    IdempotencyKey::unchecked(match number {
        1 => KEY.to_owned(),
        later => format!("{KEY} {later}"),
    })
}

/// The most characters of a task's name.
const MOST_NAME: usize = 200;

/// Asks for a write, or takes the one that was asked for before as far as it goes: what was approved is
/// authorised.
#[derive(Debug, Clone)]
pub struct ForwardWrite {
    /// The agent's key.
    pub key_id: KeyId,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// A request that is forwarded.
    pub operation: Operation,
    /// Its digest. Made by the caller, since a large body takes a while and the writer serves everybody.
    pub digest: MatchDigest,
    /// A write whose end the agent was told: the same again is a new one.
    pub told: Option<ApplyId>,
    /// What the service knows of the request and the log does not.
    pub edge: Edge,
}

impl ForwardWrite {
    fn presented_in(&self, task_id: TaskId) -> Presented {
        PresentedKey {
            key_id: self.key_id,
            agent_id: self.agent_id,
            task_id,
        }
        .into()
    }

    /// What became of the newest such write, while that is what is to be told.
    async fn asked_before(
        &self,
        tx: &mut Transaction<'_>,
    ) -> Result<Option<Ruling<Submitted>>, Error> {
        let newest = LookupKey::write(self.agent_id, &self.digest);
        let task = Error::none_if_erased(tx.find_state::<Task>(&newest).await)?;
        let Some(task) = task else { return Ok(None) };
        // One that was refused left none.
        let Some((number, apply)) = newest_apply(tx, task.id).await? else {
            return Ok(None);
        };
        let approval = match apply.approval_id {
            Some(id) => Error::none_if_erased(tx.load::<Approval>(id).await)?,
            None => None,
        };
        let now = tx.context().now;
        let goes_on = |approval: &Approval, number| ContinueApply {
            token: self.presented_in(task.id),
            key: key(number),
            resume: Resume {
                task_id: task.id,
                approval_id: approval.id,
                fingerprint: apply.fingerprint,
            },
            edge: self.edge.clone(),
        };
        let ended = match (standing(&apply, approval.as_deref(), now), &approval) {
            (Standing::Waiting | Standing::Approved, Some(approval)) => {
                return goes_on(approval, number).run(tx).await.map(Some);
            }
            // Nobody sends it again before somebody has said what became of it.
            (Standing::Running | Standing::Ended(ApplyEnd::Unknown), _) => None,
            (Standing::Ended(_), _) => apply.ended_at,
            (Standing::Expired { at }, _) => Some(at),
            (_, approval) => approval.as_ref().map(|approval| approval.changed_at),
        };
        let is_over = ended.is_some_and(|at| now.since(at) >= OWED);
        let is_told = ended.is_some() && self.told == Some(apply.id);
        if is_over || is_told {
            let given_back = approval.filter(|approval| {
                approval.usable_after(&apply).is_some() && approval.is_open_at(now)
            });
            return match given_back {
                Some(approval) if number < MOST_APPLIES => {
                    goes_on(&approval, number + 1).run(tx).await.map(Some)
                }
                _ => Ok(None),
            };
        }
        let submitted = submitted(tx, task.id, apply.id, false).await?;
        Ok(Some(Ruling::Accepted(submitted)))
    }

    fn task(
        &self,
        task_id: TaskId,
        agent: &Agent,
        tx: &Transaction<'_>,
    ) -> Result<TaskCreated, Rejection> {
        let entry = AllowedEntry {
            operation: self.operation.entry,
            scope_id: self.operation.scope.id.clone().into(),
            required_level: None,
            risk_tier: None,
        };
        let request = self.operation.forwarded();
        let name = request.map_or_else(String::new, |request| {
            let path = request.target.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        });
        let question = question_time(None, &tx.context());
        let key_id = self.key_id;
        Ok(TaskCreated {
            task_id,
            agent_id: agent.id,
            agent: agent.name.clone(),
            name: name.chars().take(MOST_NAME).collect(),
            subject: ClientSubject::unchecked(format!("agent-key:{key_id}")),
            allowed: allowlist(&[entry])?,
            token_ttl_seconds: seconds(question.saturating_mul(2)),
            agent_callbacks: false,
            template: None,
            question_seconds: Some(seconds(question)),
            purpose: Purpose::default(),
            write: Some(self.digest),
        })
    }
}

impl Command for ForwardWrite {
    type Answer = Ruling<Submitted>;

    fn looks_up(&self) -> Vec<LookupKey> {
        vec![LookupKey::write(self.agent_id, &self.digest)]
    }

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        admit_key(tx, self.key_id, self.agent_id).await?;
        admit_agent_of(tx, self.agent_id, &[LockTarget::Key(self.key_id)]).await?;
        if let Some(asked) = self.asked_before(tx).await? {
            return Ok(asked);
        }
        tx.needs_room()?;
        let agent: Arc<Agent> = tx.existing(self.agent_id).await?;
        let task_id: TaskId = tx.context().id();
        let created = self.task(task_id, &agent, tx)?;
        let created = tx.context().event(task_id, created);
        tx.append(vec![created]).await?;
        let submit = SubmitApply {
            token: self.presented_in(task_id),
            key: key(1),
            operations: vec![self.operation],
            purpose: Purpose::default(),
            on_approval: OnApproval::Wait,
            callback: None,
            edge: self.edge,
        };
        let ruling = submit.run(tx).await?;
        if let Ruling::Refused(_) = &ruling {
            let task = tx.existing::<Task>(task_id).await?;
            close(tx, &task, Some("its write was refused")).await?;
        }
        Ok(ruling)
    }
}

/// The newest apply of a task that was opened for a write, and its number there.
async fn newest_apply(
    tx: &mut Transaction<'_>,
    task_id: TaskId,
) -> Result<Option<(u32, Arc<Apply>)>, Error> {
    let mut newest = None;
    for number in 1..=MOST_APPLIES {
        let named = LookupKey::apply_key(task_id, &key(number));
        let apply = Error::none_if_erased(tx.find_state::<Apply>(&named).await)?;
        let Some(apply) = apply else { break };
        newest = Some((number, apply));
    }
    Ok(newest)
}

/// Holds the operations of an apply to the task in which they are asked for: a request that is forwarded stands
/// alone in the task that was opened for it.
///
/// # Errors
/// [`Rejection::Invalid`].
pub(super) fn fit(task: &Task, operations: &[Operation]) -> Result<(), Rejection> {
    let fits = match (task.write, operations) {
        (None, operations) => operations
            .iter()
            .all(|operation| operation.forwarded().is_none()),
        (Some(write), [one]) => one
            .forwarded()
            .is_some_and(|request| request.match_digest() == Ok(write)),
        (Some(_), _) => false,
    };
    match fits {
        true => Ok(()),
        false => Err(Rejection::Invalid {
            code: "task_of_write",
            detail: "the task was opened for one write through a proxy, and nothing else can be asked for in it"
                .to_owned(),
        }),
    }
}
