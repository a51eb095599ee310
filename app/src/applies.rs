//! Applies: planning, submitting, continuing, reading, settling.

use crate::app::App;
use crate::edge::{SeenFrom, edge, edge_of_asker};
use crate::principal::{Acting, Principal, TaskAccess, TaskReading};
use crate::refusal::Error;
use crate::scope_names::{self, ScopeName};
use crate::token::link::{Resume, SignedToken};
use ledger::aggregate::{Agent, Apply, Approval, Task};
use ledger::command::{
    Asker, ContinueApply, NewCallback, RefuseApply, ResolveApply, Resume as Resumed, Standing,
    SubmitApply, Submitted, permission_check, ruled, standing,
};
use ledger::event::{ApplyEnd, OnApproval, PermissionCheck, PolicyEvaluation};
use ledger::operation::Operation;
use ledger::policy::{OperationEvaluation, Policy};
use ledger::{ApplyId, Client, IdempotencyKey, Ledger, Purpose, Rejection, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a request waits for an authorised apply to end when it does not say: most operations end
/// within a second or two, and most clients give up at 60 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// What an apply would do, and what is granted for it.
#[derive(Debug)]
pub struct Planned {
    /// What is allowed, and what is not granted.
    pub check: PermissionCheck,
    /// What upstream calls what each operation acts on.
    pub names: Vec<ScopeName>,
    pub agent: Option<Arc<Agent>>,
    /// What the policy says of it, and of each rule, where one is in force.
    pub evaluation: Option<(PolicyEvaluation, Traced)>,
    pub now: Timestamp,
}

/// Checks operations as an apply of them would be checked. Nothing is recorded; upstream is asked for names of scopes that
/// the task allows, and for nothing else.
///
/// # Errors
/// The refusal that the apply would meet.
pub async fn plan(
    app: &App,
    who: &TaskAccess,
    operations: &[Operation],
    seen: &SeenFrom,
) -> Result<Planned, Error> {
    let agent_id = who.task().agent_id;
    let agent = app.ledger.load::<Agent>(agent_id).await?;
    let now = app.ledger.now();
    let mut check = permission_check(who.task(), agent.as_deref(), operations, now)?;
    let mut evaluation = None;
    if let Some(policy) = &app.ledger.policy().in_force {
        let edge = edge(app, seen);
        let origin = who.origin();
        let asker = Asker {
            task: who.task(),
            agent: agent.as_deref(),
            token: &who.presented(),
            edge: &edge,
            client: Client::of(agent_id, &origin.actor).seen(&edge),
            admissions: &app.ledger.admissions(),
            lately: app.ledger.lately(&who.task().agent),
        };
        let clock = (&app.ledger.rules().windows, now);
        let ruled = ruled(policy, &asker, operations, clock)?;
        check = ruled.check(check);
        let traced = Traced {
            policy: Arc::clone(&policy.policy),
            operations: ruled.said.operations,
        };
        evaluation = Some((ruled.recorded, traced));
    }
    let patience = scope_names::PATIENCE;
    let names = scope_names::read(&*app.scope_names, agent_id, operations, patience).await;
    Ok(Planned {
        check,
        names,
        agent,
        evaluation,
        now,
    })
}

/// One request for an apply: it is submitted, continued or refused, and waited for as long as the caller
/// wants.
pub struct Attempt<'a> {
    app: &'a App,
    who: &'a TaskAccess,
    /// How long the caller wants to wait, where it said so.
    wait: Option<Duration>,
    /// Where the request came from, where that is known.
    seen: SeenFrom,
    begun: Instant,
}

/// Where an apply stands when its request is answered.
#[derive(Debug)]
pub struct Concluded {
    pub apply: Arc<Apply>,
    /// Its approval, where it needs one.
    pub approval: Option<Arc<Approval>>,
    pub outcome: ApplyProgress,
}

/// Where an apply stands that was not refused.
#[derive(Debug)]
pub enum ApplyProgress {
    Ended(ApplyEnd),
    /// It is being carried out.
    Running,
    /// It waits to be decided, or to be continued.
    Waiting(Box<Waiting>),
}

/// What somebody needs who waits for a human.
#[derive(Debug)]
pub struct Waiting {
    pub approval: Arc<Approval>,
    /// Whether it was approved, and `continue` carries it out.
    pub is_approved: bool,
    /// Continues the apply once it is approved.
    pub resume: SignedToken,
    pub agent: Option<Arc<Agent>>,
    pub now: Timestamp,
}

impl<'a> Attempt<'a> {
    #[must_use]
    pub fn new(app: &'a App, who: &'a TaskAccess, wait: Option<Duration>) -> Self {
        Self {
            app,
            who,
            wait,
            seen: SeenFrom::default(),
            begun: Instant::now(),
        }
    }

    /// Says where the request came from.
    #[must_use]
    pub fn asked_from(mut self, seen: SeenFrom) -> Self {
        self.seen = seen;
        self
    }

    /// Submits operations under a key.
    pub async fn submit(
        &self,
        key: IdempotencyKey,
        operations: Vec<Operation>,
        purpose: Purpose,
        on_approval: OnApproval,
        callback: Option<NewCallback>,
    ) -> Result<Submitted, Error> {
        let command = SubmitApply {
            token: self.who.presented(),
            key,
            operations,
            purpose,
            on_approval,
            callback,
            edge: edge_of_asker(self.app, &self.seen),
        };
        let ruling = self.app.ledger.execute(self.who.origin(), command).await?;
        Ok(ruling.accepted()?)
    }

    /// Records an attempt that could not be read.
    ///
    /// # Errors
    /// What kept it from being recorded: no answer leaves before its record.
    pub async fn refuse(
        &self,
        key: Option<IdempotencyKey>,
        refusal: Rejection,
    ) -> Result<(), Error> {
        let command = RefuseApply {
            token: self.who.presented(),
            key,
            refusal,
        };
        self.app.ledger.execute(self.who.origin(), command).await?;
        Ok(())
    }

    /// Carries out what was approved. Where nobody has decided yet and the caller waits for that, what
    /// is approved meanwhile is carried out in the same request.
    pub async fn resume(&self, key: IdempotencyKey, resume: Resumed) -> Result<Concluded, Error> {
        let command = ContinueApply {
            token: self.who.presented(),
            key,
            resume,
            edge: edge(self.app, &self.seen),
        };
        let ledger = &self.app.ledger;
        let ruling = ledger.execute(self.who.origin(), command.clone()).await?;
        let mut submitted = ruling.accepted()?;
        self.wait_for_decision(&mut submitted).await?;
        if self.standing(&submitted) == Standing::Approved {
            let ruling = ledger.execute(self.who.origin(), command).await?;
            submitted = ruling.accepted()?;
        }
        self.conclude(submitted).await
    }

    /// Where the apply stands, after waiting as long as the caller wants.
    ///
    /// # Errors
    /// The refusal that a denial, a deadline or the task's end makes of it.
    pub async fn conclude(&self, mut submitted: Submitted) -> Result<Concluded, Error> {
        self.wait_for_decision(&mut submitted).await?;
        if self.standing(&submitted) == Standing::Running {
            // It may also be asked about anew before it begins.
            let ended = |apply: &Apply| apply.end.is_some() || !apply.authorised;
            let patience = self.left_of(self.wait.unwrap_or(PATIENCE));
            let ledger = &self.app.ledger;
            let waiting = ledger.wait_for(submitted.apply.id, patience, ended);
            // Nobody asked an agent's plain request to wait: it hears how its apply ended, whatever became of
            // the token that started it.
            submitted.apply = match (self.wait, &self.who.reading().by) {
                (None, Principal::Agent(_)) => waiting.await?,
                _ => self.while_in_force(waiting).await?,
            };
            // Its end may have given the approval back.
            if let Some(approval) = submitted.apply.approval_id {
                submitted.approval = Some(ledger.existing(approval).await?);
            }
        }
        let standing = self.standing(&submitted);
        if let Some(refusal) = standing.refusal() {
            return Err(refusal.into());
        }
        let Submitted {
            apply, approval, ..
        } = submitted;
        let outcome = match standing {
            Standing::Ended(end) => ApplyProgress::Ended(end),
            Standing::Running => ApplyProgress::Running,
            Standing::Approved => self.waiting(&apply, approval.clone(), true).await?,
            Standing::Waiting => self.waiting(&apply, approval.clone(), false).await?,
            refused @ (Standing::Denied { .. }
            | Standing::Expired { .. }
            | Standing::Cancelled { .. }
            | Standing::ConsumedElsewhere { .. }) => {
                return Err(Error::defect(format!("{refused:?} was not refused")));
            }
        };
        Ok(Concluded {
            apply,
            approval,
            outcome,
        })
    }

    async fn waiting(
        &self,
        apply: &Apply,
        approval: Option<Arc<Approval>>,
        is_approved: bool,
    ) -> Result<ApplyProgress, Error> {
        let approval = approval.ok_or_else(|| Error::defect("an apply waits for no approval"))?;
        let ledger = &self.app.ledger;
        let agent = ledger.load::<Agent>(self.who.task().agent_id).await?;
        let now = ledger.now();
        let resume = Resume {
            approval_id: approval.id,
            task_id: apply.task_id,
            fingerprint: apply.fingerprint.to_string(),
            iat: now.as_seconds(),
        };
        Ok(ApplyProgress::Waiting(Box::new(Waiting {
            resume: self.app.keys.resume.sign(resume)?,
            approval,
            is_approved,
            agent,
            now,
        })))
    }

    /// Takes the decision in, where there is none yet and the caller waits for one.
    async fn wait_for_decision(&self, submitted: &mut Submitted) -> Result<(), Error> {
        if let (Standing::Waiting, Some(wait), Some(asked)) =
            (self.standing(submitted), self.wait, &submitted.approval)
        {
            let patience = self.left_of(wait);
            let waiting = self.app.wait_for_decision(asked.id, patience);
            submitted.approval = Some(self.while_in_force(waiting).await?);
        }
        Ok(())
    }

    async fn while_in_force<T>(
        &self,
        waiting: impl Future<Output = Result<T, ledger::Error>>,
    ) -> Result<T, Error> {
        self.app.while_in_force(self.who.reading(), waiting).await
    }

    fn standing(&self, submitted: &Submitted) -> Standing {
        let now = self.app.ledger.now();
        standing(&submitted.apply, submitted.approval.as_deref(), now)
    }

    fn left_of(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.begun.elapsed())
    }
}

/// One apply, where it stands, and what its agent is granted.
#[derive(Debug)]
pub struct Detail {
    pub apply: Arc<Apply>,
    pub standing: Standing,
    pub agent: Option<Arc<Agent>>,
    /// What became of the rules, where a policy was evaluated.
    pub traced: Option<Traced>,
    pub now: Timestamp,
}

/// What became of each rule of the version that was evaluated, and why where that could not be told.
#[derive(Debug, Clone)]
pub struct Traced {
    pub policy: Arc<Policy>,
    /// Each operation of the apply, in order.
    pub operations: Vec<OperationEvaluation>,
}

/// What became of the rules of an apply, evaluated again from what was recorded, by the version of then.
///
/// # Errors
/// When that version, or the apply's task, cannot be read.
pub async fn traced(ledger: &Ledger, apply: &Apply) -> Result<Option<Traced>, Error> {
    let Some(recorded) = &apply.evaluation else {
        return Ok(None);
    };
    let policy = ledger.policy_of(recorded.version).await?;
    let task = ledger.load::<Task>(apply.task_id).await?;
    let known = policy.zip(task).and_then(|(policy, task)| {
        Some(Traced {
            operations: ledger::command::traced(&policy, &task, apply)?,
            policy: Arc::clone(&policy.policy),
        })
    });
    Ok(known)
}

/// An apply of the task.
///
/// # Errors
/// [`Rejection::ApplyNotFound`] for an apply of another task too.
pub async fn read(ledger: &Ledger, who: &TaskReading, id: ApplyId) -> Result<Detail, Error> {
    let apply = ledger.load::<Apply>(id).await?;
    let apply = apply.filter(|apply| apply.task_id == who.task().id);
    detail(ledger, apply.ok_or(Rejection::ApplyNotFound)?).await
}

/// Settles an outcome that is unknown, as somebody found it upstream.
///
/// # Errors
/// When the apply has no unknown outcome.
pub async fn resolve(
    ledger: &Ledger,
    who: &Acting,
    apply_id: ApplyId,
    executed: bool,
    reason: String,
) -> Result<Detail, Error> {
    let command = ResolveApply {
        apply_id,
        executed,
        reason,
    };
    detail(ledger, ledger.execute(who.origin.clone(), command).await?).await
}

async fn detail(ledger: &Ledger, apply: Arc<Apply>) -> Result<Detail, Error> {
    let approval = match apply.approval_id {
        Some(approval) => ledger.load::<Approval>(approval).await?,
        None => None,
    };
    let agent = match ledger.load::<Task>(apply.task_id).await? {
        Some(task) => ledger.load::<Agent>(task.agent_id).await?,
        None => None,
    };
    let now = ledger.now();
    let traced = traced(ledger, &apply).await?;
    Ok(Detail {
        standing: standing(&apply, approval.as_deref(), now),
        apply,
        agent,
        traced,
        now,
    })
}
