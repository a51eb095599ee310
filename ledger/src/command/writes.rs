//! Writes of agents through proxies: with a key each is asked for in a task of its own, with a task's token in that
//! task. The same write again finds the one that was asked for before.

use super::applies::{SubmitApply, authenticate, submitted};
use super::asset_uploads::admit_files;
use super::authority::{Presented, PresentedKey, admit_key, proxy_token};
use super::continuations::{ContinueApply, Resume};
use super::locked::admit_agent_of;
use super::standing::{Standing, standing};
use super::tasks::{AllowedEntry, allowlist, close, question_time, seconds};
use super::{Command, Ruling, Submitted};
use crate::aggregate::{Agent, Apply, Approval, Task};
use crate::error::Error;
use crate::event::{ApplyEnd, LockTarget, OnApproval, TaskCreated, UploadTokenDigest};
use crate::id::{AgentId, ApplyId, KeyId, TaskId, TokenId};
use crate::name::{ClientSubject, IdempotencyKey};
use crate::operation::{MatchDigest, MatchedWrite, Operation};
use crate::policy::Edge;
use crate::purpose::Purpose;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a write is what the same write again is told, unless it was told before.
pub const OWED: Duration = Duration::from_secs(600);

/// How the key of the first apply of a task that was opened for a write is. Where upstream could not be reached, the
/// approval was given back, and the same write again is one more apply: `write 2`.
const KEY: &str = "write";

/// The most applies of one such task.
const MOST_APPLIES: u64 = 100;

/// How the keys of such applies in the task of a token begin. Their blanks keep them apart from those that requests have.
const NUMBERED: &str = "proxy";

/// The keys that the applies of one write have in their task, by number.
#[derive(Debug, Clone, Copy)]
enum Keys {
    /// The task was opened for the write.
    OwnTask,
    /// The task of a token has others.
    Of(MatchDigest),
}

impl Keys {
    fn key(self, number: u64) -> IdempotencyKey {
        IdempotencyKey::unchecked(match (self, number) {
            (Self::OwnTask, 1) => KEY.to_owned(),
            (Self::OwnTask, later) => format!("{KEY} {later}"),
            (Self::Of(digest), number) => format!("{NUMBERED} {digest} {number}"),
        })
    }

    const fn may_have(self, number: u64) -> bool {
        match self {
            Self::OwnTask => number <= MOST_APPLIES,
            Self::Of(_) => true,
        }
    }
}

/// The digest of the request that such a key in the task of a token is about.
pub(crate) fn numbered_digest(key: &IdempotencyKey) -> Option<&str> {
    let rest = key.as_str().strip_prefix(NUMBERED)?.strip_prefix(' ')?;
    rest.split_once(' ').map(|(digest, _)| digest)
}

/// The most characters of a task's name.
const MOST_NAME: usize = 200;

/// The credential of an agent that asks for a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteBy {
    /// A key: the write has a task of its own.
    Key(KeyId),
    /// A capability token: the write is asked for in its task, which opens the proxies.
    Token {
        /// The task.
        task_id: TaskId,
        /// The token's `jti`.
        token_id: TokenId,
    },
}

/// Asks for a write, or takes the one that was asked for before as far as it goes: what was approved is
/// authorised.
#[derive(Debug, Clone)]
pub struct ForwardWrite {
    /// The credential that was shown.
    pub by: WriteBy,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// A request that is forwarded.
    pub write: MatchedWrite,
    /// A write whose end the agent was told: the same again is a new one.
    pub told: Option<ApplyId>,
    /// The token of the upload of its files, where it names some.
    pub upload: Option<UploadTokenDigest>,
    /// What the service knows of the request and the log does not.
    pub edge: Edge,
}

impl ForwardWrite {
    fn presented_in(&self, key_id: KeyId, task_id: TaskId) -> Presented {
        PresentedKey {
            key_id,
            agent_id: self.agent_id,
            task_id,
        }
        .into()
    }

    /// What became of the newest such write in a task, while that is what is to be told.
    async fn asked_before(
        &self,
        tx: &mut Transaction<'_>,
        (presented, keys): (Presented, Keys),
    ) -> Result<Option<Ruling<Submitted>>, Error> {
        let task_id = presented.task_id();
        // One that was refused left none.
        let number = newest(tx, task_id, keys).await?;
        let named = LookupKey::apply_key(task_id, &keys.key(number));
        let apply = Error::none_if_erased(tx.find_state::<Apply>(&named).await)?;
        let Some(apply) = apply else { return Ok(None) };
        let approval = match apply.approval_id {
            Some(id) => Error::none_if_erased(tx.load::<Approval>(id).await)?,
            None => None,
        };
        let now = tx.context().now;
        let goes_on = |approval: &Approval, number| ContinueApply {
            token: presented.clone(),
            key: keys.key(number),
            resume: Resume {
                task_id,
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
                Some(approval) if keys.may_have(number.saturating_add(1)) => {
                    let goes_on = goes_on(&approval, number.saturating_add(1));
                    goes_on.run(tx).await.map(Some)
                }
                _ => Ok(None),
            };
        }
        let submitted = submitted(tx, task_id, apply.id, false).await?;
        Ok(Some(Ruling::Accepted(submitted)))
    }

    /// Asks for it in the task of a token.
    async fn in_task(
        self,
        tx: &mut Transaction<'_>,
        (task_id, token_id): (TaskId, TokenId),
    ) -> Result<Ruling<Submitted>, Error> {
        let token = proxy_token(tx, (self.agent_id, task_id, token_id)).await?;
        authenticate(tx, &token).await?;
        let keys = Keys::Of(self.write.digest());
        if let Some(asked) = self.asked_before(tx, (token.clone(), keys)).await? {
            return Ok(asked);
        }
        tx.needs_room()?;
        let next = newest(tx, task_id, keys).await?.saturating_add(1);
        self.submitting(token, keys.key(next)).run(tx).await
    }

    /// Asks for it in a task of its own.
    async fn in_own_task(
        self,
        tx: &mut Transaction<'_>,
        key_id: KeyId,
    ) -> Result<Ruling<Submitted>, Error> {
        admit_key(tx, key_id, self.agent_id).await?;
        admit_agent_of(tx, self.agent_id, &[LockTarget::Key(key_id)]).await?;
        let newest = LookupKey::write(self.agent_id, &self.write.digest());
        let task = Error::none_if_erased(tx.find_state::<Task>(&newest).await)?;
        if let Some(task) = task {
            let place = (self.presented_in(key_id, task.id), Keys::OwnTask);
            if let Some(asked) = self.asked_before(tx, place).await? {
                return Ok(asked);
            }
        }
        tx.needs_room()?;
        let agent: Arc<Agent> = tx.existing(self.agent_id).await?;
        let task_id: TaskId = tx.context().id();
        let created = self.task((task_id, key_id), &agent, tx)?;
        let created = tx.context().event(task_id, created);
        tx.append(vec![created]).await?;
        let presented = self.presented_in(key_id, task_id);
        let submit = self.submitting(presented, Keys::OwnTask.key(1));
        let ruling = submit.run(tx).await?;
        if let Ruling::Refused(refused) = &ruling {
            // Who floods the door with what is refused leaves no task, refusal and close for each.
            if !tx.may_record_refused_write(agent.id) {
                tx.forget_refusals(task_id);
                return Err(refused.rejection().clone().into());
            }
            let task = tx.existing::<Task>(task_id).await?;
            close(tx, &task, Some("its write was refused")).await?;
        }
        Ok(ruling)
    }

    fn submitting(self, token: Presented, key: IdempotencyKey) -> SubmitApply {
        SubmitApply {
            token,
            key,
            operations: vec![self.write.operation().clone()],
            purpose: Purpose::default(),
            on_approval: OnApproval::Wait,
            callback: None,
            edge: self.edge,
        }
    }

    fn task(
        &self,
        (task_id, key_id): (TaskId, KeyId),
        agent: &Agent,
        tx: &Transaction<'_>,
    ) -> Result<TaskCreated, Rejection> {
        let operation = self.write.operation();
        let entry = AllowedEntry {
            operation: operation.entry,
            scope_id: operation.scope.id.clone().into(),
            required_level: None,
            risk_tier: None,
        };
        let request = operation.forwarded();
        let name = request.map_or_else(String::new, |request| {
            let path = request.target.split('?').next().unwrap_or_default();
            format!("{} {path}", request.method)
        });
        let question = question_time(None, &tx.context());
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
            write: Some(self.write.digest()),
        })
    }
}

impl Command for ForwardWrite {
    type Answer = Ruling<Submitted>;

    fn looks_up(&self) -> Vec<LookupKey> {
        match self.by {
            WriteBy::Key(_) => vec![LookupKey::write(self.agent_id, &self.write.digest())],
            WriteBy::Token { .. } => Vec::new(),
        }
    }

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        admit_files(
            tx,
            self.agent_id,
            self.write.operation(),
            self.upload.as_ref(),
        )
        .await?;
        match self.by {
            WriteBy::Key(key_id) => self.in_own_task(tx, key_id).await,
            WriteBy::Token { task_id, token_id } => self.in_task(tx, (task_id, token_id)).await,
        }
    }
}

/// The same write where nobody has to be asked about it: a grant or an approval covers it by now. Otherwise nothing of it is
/// recorded.
#[derive(Debug, Clone)]
pub struct ForwardUnasked(pub ForwardWrite);

impl Command for ForwardUnasked {
    type Answer = Submitted;

    fn looks_up(&self) -> Vec<LookupKey> {
        self.0.looks_up()
    }

    /// # Errors
    /// The refusal, or [`Rejection::NotGranted`] where people would be asked. With an error nothing is recorded.
    async fn run(self, tx: &mut Transaction<'_>) -> Result<Submitted, Error> {
        let asked = self.0.run(tx).await?.accepted()?;
        match asked.apply.authorised {
            true => Ok(asked),
            false => Err(Rejection::NotGranted {
                detail: "people are asked about this write".to_owned(),
            }
            .into()),
        }
    }
}

/// The number of the newest apply of a write in a task, from 1; 0 where there is none. No number is left out, so it is found
/// by doubling.
async fn newest(tx: &mut Transaction<'_>, task_id: TaskId, keys: Keys) -> Result<u64, Error> {
    let (mut there, mut beyond) = (0_u64, 1_u64);
    loop {
        let named = LookupKey::apply_key(task_id, &keys.key(beyond));
        if tx.find(&named).await?.is_none() {
            break;
        }
        (there, beyond) = (beyond, beyond.saturating_mul(2));
    }
    while beyond - there > 1 {
        let middle = there + (beyond - there) / 2;
        let named = LookupKey::apply_key(task_id, &keys.key(middle));
        match tx.find(&named).await? {
            Some(_) => there = middle,
            None => beyond = middle,
        }
    }
    Ok(there)
}

/// Holds the operations of an apply to the task in which they are asked for: a request that is forwarded stands
/// alone, in the task that was opened for it or in one that opens the proxies.
///
/// # Errors
/// [`Rejection::Invalid`].
pub(super) fn fit(task: &Task, operations: &[Operation]) -> Result<(), Rejection> {
    let fits = match (task.write, operations) {
        (None, [one]) if one.forwarded().is_some() => task.opens_proxies,
        (None, operations) => operations
            .iter()
            .all(|operation| operation.forwarded().is_none()),
        (Some(write), [one]) => one.match_digest() == Some(Ok(write)),
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
