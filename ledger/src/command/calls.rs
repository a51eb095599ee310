//! Calls that the proxies send on: the intent of one that changes something upstream, the ends of all, and what
//! they used.

use super::Command;
use super::acting::acting_session;
use super::authority::{admit, check_key, proxy_token};
use super::clearances::call_not_denied;
use super::locked::admit_agent;
use crate::admissions::Client;
use crate::aggregate::{Agent, Call, Key, Task, User};
use crate::clock::Timestamp;
use crate::denials::RelayedCall;
use crate::error::Error;
use crate::event::{
    CallBegun, CallCredential, CallEnded, CallRuling, CallSubject, LockTarget, LockedOperation,
    RulingBasis, UpstreamKeyOwner, UsageCounts, UsageRecorded,
};
use crate::id::{CallId, TaskId};
use crate::rejection::Rejection;
use crate::storage::NewEvent;
use crate::writer::Transaction;

/// Records that a call is about to be sent that changes something upstream. Only who gets the answer may send it.
#[derive(Debug, Clone)]
pub struct BeginCall {
    /// The id that its end names too.
    pub call_id: CallId,
    /// The call.
    pub subject: CallSubject,
    /// Its path as it was sent, without the query.
    pub path: String,
    /// How the policy let it through where it arrived; none where that was not asked.
    pub ruling: Option<CallRuling>,
}

impl Command for BeginCall {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let CallSubject {
            owner,
            credential,
            task_id,
            ..
        } = self.subject;
        may_call(tx, (owner, credential, task_id)).await?;
        may_do(tx, (&self.subject, &self.path)).await?;
        is_by_policy_in_force(tx, self.ruling.as_ref())?;
        tx.needs_room()?;
        let begun = CallBegun {
            call_id: self.call_id,
            subject: self.subject,
            path: self.path,
            ruling: self.ruling.filter(says_more_than_nothing),
        };
        let event = tx.context().event(self.call_id, begun);
        tx.append(vec![event]).await
    }
}

/// Holds the caller to what was decided before: nothing begins with a credential that has ended, or for one who is
/// locked.
pub(super) async fn may_call(
    tx: &mut Transaction<'_>,
    (owner, credential, task_id): (UpstreamKeyOwner, CallCredential, Option<TaskId>),
) -> Result<(), Error> {
    match (owner, credential) {
        (UpstreamKeyOwner::Agent(agent_id), CallCredential::AgentKey(key_id)) => {
            let agent = tx.named::<Agent>(agent_id).await?;
            let key = tx.load::<Key>(key_id).await?;
            check_key(key_id, agent_id, key.as_deref())?;
            Ok(admit_agent(tx, Some(&agent), &[LockTarget::Key(key_id)])?)
        }
        (UpstreamKeyOwner::User(user_id), CallCredential::Session(session_id)) => {
            let user = tx.load::<User>(user_id).await?;
            let user = user.ok_or(Rejection::SessionEnded)?;
            acting_session(tx, &user, session_id).await?;
            Ok(())
        }
        (UpstreamKeyOwner::Agent(agent_id), CallCredential::Token(token_id)) => {
            let task_id = task_id.ok_or(Rejection::TokenUnknown)?;
            let token = proxy_token(tx, (agent_id, task_id, token_id)).await?;
            admit(tx, task_id, &token).await?;
            Ok(())
        }
        (UpstreamKeyOwner::Agent(_), CallCredential::Session(_))
        | (UpstreamKeyOwner::User(_), CallCredential::AgentKey(_) | CallCredential::Token(_)) => {
            Err(Error::defect("a call is made with another's credential"))
        }
    }
}

/// Holds a call to the locks on its operation, the blocks on its caller, the kept denials and the allowlist of its task.
/// The proxies have looked at these before they asked, and something may have come in between.
async fn may_do(
    tx: &mut Transaction<'_>,
    (subject, path): (&CallSubject, &str),
) -> Result<(), Error> {
    let now = tx.context().now;
    for operation in [subject.operation.as_str(), subject.held_to()] {
        let operation = LockedOperation::named(operation);
        tx.locks().admit(&[LockTarget::Operation(operation)], now)?;
    }
    let UpstreamKeyOwner::Agent(agent) = subject.owner else {
        return Ok(());
    };
    let task = match subject.task_id {
        Some(task_id) => Some(tx.existing::<Task>(task_id).await?),
        None => None,
    };
    let client = Client {
        agent,
        subject: task.as_ref().map(|task| &task.subject),
        address: None,
        asn: None,
    };
    tx.admissions().admit(&client, now)?;
    if task.is_none() && tx.denials().has_none(agent) {
        return Ok(());
    }
    let entry = tx.context().rules.providers.entry(subject.held_to());
    let entry = entry.map_err(|_| Error::defect("a call is of no operation"))?;
    let scope = subject.scope(path, entry.scope_type);
    if let Some(scope) = &scope {
        let held_to = [subject.operation.as_str(), subject.held_to()].into_iter();
        let call = RelayedCall {
            operations: held_to
                .chain(subject.messages())
                .map(str::to_owned)
                .collect(),
            scope: Ok(scope.clone()),
        };
        call_not_denied(tx, (agent, task.as_deref()), &call).await?;
    }
    let Some(task) = task else {
        return Ok(());
    };
    match scope.and_then(|scope| task.allows(entry.id, &scope)) {
        Some(_) => Ok(()),
        None => {
            let operation = entry.id;
            Err(Rejection::CallNotAllowed { operation }.into())
        }
    }
}

/// Holds a call to the policy: the document that let it through where it arrived is the one in force.
fn is_by_policy_in_force(
    tx: &Transaction<'_>,
    ruling: Option<&CallRuling>,
) -> Result<(), Rejection> {
    let ruled = ruling.and_then(|ruling| ruling.basis.document());
    let in_force = tx.policy().map(|policy| (policy.version, policy.digest));
    match ruled == in_force {
        true => Ok(()),
        false => Err(Rejection::PolicyJustChanged),
    }
}

/// Whether a ruling is recorded where no document is in force.
fn says_more_than_nothing(ruling: &CallRuling) -> bool {
    ruling.basis != RulingBasis::NoDocument
}

/// Records how calls have ended. Each that begins no stream has its beginning on record.
#[derive(Debug, Clone)]
pub struct EndCalls {
    /// The ends, each of another call.
    pub ended: Vec<CallEnded>,
}

impl Command for EndCalls {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let mut events: Vec<NewEvent> = Vec::with_capacity(self.ended.len());
        let has_document = tx.policy().is_some();
        for mut ended in self.ended {
            if ended.is_begun && !goes_on(tx, &ended).await? {
                continue;
            }
            let is_begun = ended.is_begun;
            ended.ruling = ended.ruling.filter(|ruling| {
                // Of one that has begun its beginning says it.
                !is_begun && (has_document || says_more_than_nothing(ruling))
            });
            events.push(tx.context().event(ended.call_id, ended));
        }
        tx.append(events).await
    }
}

/// Whether the call is under way as of the log. One that was recorded as ended before, by a commit whose answer was lost,
/// is not; nor is one whose beginning was refused after its client had gone.
async fn goes_on(tx: &mut Transaction<'_>, ended: &CallEnded) -> Result<bool, Error> {
    match tx.load::<Call>(ended.call_id).await? {
        None => Ok(false),
        Some(call) if call.subject == ended.subject => Ok(call.ended_at.is_none()),
        Some(_) => Err(Error::defect("a call ends as another than it began as")),
    }
}

/// The sums of calls of one owner with one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsageSum {
    /// Whose calls.
    pub owner: UpstreamKeyOwner,
    /// The task, where they were made with a task's credential.
    pub task_id: Option<TaskId>,
    /// The model, as upstream named it.
    pub model: String,
    /// When the first of them ended.
    pub from: Timestamp,
    /// When the last of them had ended.
    pub to: Timestamp,
    /// The sums.
    pub counts: UsageCounts,
}

/// Records what calls used.
#[derive(Debug, Clone)]
pub struct RecordUsage {
    /// One for each owner, task and model.
    pub used: Vec<UsageSum>,
}

impl Command for RecordUsage {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let context = tx.context();
        let events = self.used.into_iter().map(|used| {
            let usage_id = context.id();
            let to = used.to.min(context.now);
            let recorded = UsageRecorded {
                usage_id,
                owner: used.owner,
                task_id: used.task_id,
                model: used.model,
                from: used.from.min(to),
                to,
                counts: used.counts,
            };
            context.event(usage_id, recorded)
        });
        let events = events.collect();
        tx.append(events).await
    }
}
