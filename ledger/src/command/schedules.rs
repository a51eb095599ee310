//! Schedules: put, deleted, and fired by the service when their time comes.

use super::acting::still_acts;
use super::agents::find;
use super::applies::SubmitApply;
use super::authority::{Presented, PresentedSchedule, SCHEDULER, subject_of};
use super::locked::admit_agent;
use super::schedule_questions::{NewlyPut, ask_about};
use super::standing::{Standing, standing};
use super::tasks::{AllowedEntry, allowlist, close, question_time, seconds};
use super::{Command, Ruling, schedule_questions};
use crate::aggregate::{Agent, Apply, Approval, Schedule, ScheduleRun, Task};
use crate::canonical::canonicalise;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    Actor, AllowedOperation, ApplyEnd, LockTarget, Misfire, MissReason, OnApproval, Role,
    ScheduleDeleted, ScheduleFired, ScheduleMissed, SchedulePut, ScheduleTerms, TaskCreated,
};
use crate::id::{AgentId, ApplyId, ScheduleId, TaskId};
use crate::name::{AgentName, IdempotencyKey, ScheduleName};
use crate::operation::Operation;
use crate::policy::Edge;
use crate::purpose::{Purpose, Reason};
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::{Context, Transaction};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How late a firing may be: beyond that its time has passed.
pub(crate) const GRACE: Duration = Duration::from_secs(60);

/// The most instants that one command looks at. The writer serves everybody.
const MOST_AT_ONCE: usize = 200;

/// The most schedules.
const MOST_SCHEDULES: usize = 500;

/// The most operations of a schedule.
const MOST_OPERATIONS: usize = 100;

/// How long a token of a task that a schedule opens could live. It has none.
const TOKEN_TTL: Duration = Duration::from_secs(3600);

/// Makes a schedule, or puts another one in its place. The same one again changes nothing.
#[derive(Debug, Clone)]
pub struct PutSchedule {
    /// Its name.
    pub name: ScheduleName,
    /// The agent whose operations they are; one that is known.
    pub agent: AgentName,
    /// The times at which it fires.
    pub terms: ScheduleTerms,
    /// What is asked for each time, at least one.
    pub operations: Vec<Operation>,
    /// False: it is paused.
    pub enabled: bool,
}

impl Command for PutSchedule {
    type Answer = Arc<Schedule>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Schedule>, Error> {
        still_acts(tx, Role::Operator).await?;
        let operations = canonical(&self.operations)?;
        let agent = find(tx, &self.agent).await?;
        let agent = agent.ok_or(Rejection::AgentNotFound)?;
        let schedules = tx.schedules();
        let before = schedules.get(&self.name);
        let asks_the_same =
            before.filter(|before| before.agent_id == agent.id && before.operations == operations);
        let same =
            asks_the_same.filter(|same| (&same.terms, same.enabled) == (&self.terms, self.enabled));
        if let Some(same) = same {
            return Ok(Arc::clone(same));
        }
        if before.is_none() && schedules.len() >= MOST_SCHEDULES {
            let most = MOST_SCHEDULES;
            return Err(Rejection::TooManySchedules { most }.into());
        }
        tx.needs_room()?;
        let context = tx.context();
        let first = context.rules.schedules.next(&self.terms, context.now);
        let Some(first) = first else {
            let detail = "no instant of it is to come, or its cron or zone is none that is known";
            return Err(invalid(detail.to_owned()).into());
        };
        admit_agent(tx, Some(&agent), &targets(&self.operations))?;
        if let Some(before) = before {
            withdraw(tx, before).await?;
        }
        let context = tx.context();
        let schedule_id: ScheduleId = context.id();
        let task_id: TaskId = context.id();
        let put = SchedulePut {
            schedule_id,
            origin: asks_the_same.map_or(schedule_id, |same| same.origin),
            name: self.name.clone(),
            agent_id: agent.id,
            terms: self.terms,
            operations,
            enabled: self.enabled,
            replaces: before.map(|before| before.id),
        };
        tx.append(vec![context.event(schedule_id, put)]).await?;
        let schedule = tx.existing::<Schedule>(schedule_id).await?;
        if schedule.enabled {
            let opening = Opening {
                schedule_id,
                name: &schedule.name,
                agent_id: agent.id,
                agent: &agent.name,
                operations: &self.operations,
            };
            let put = NewlyPut {
                schedule: &schedule,
                agent: &agent,
                operations: &self.operations,
                task: opening.task(task_id, &tx.context())?,
                first,
            };
            ask_about(tx, put).await?;
        }
        tx.existing::<Schedule>(schedule_id).await
    }
}

/// Cancels the question about a schedule, and closes the task of the newest firing where nothing of it is being carried out: nobody is to approve what a schedule
/// asked for that has changed or is gone.
async fn withdraw(tx: &mut Transaction<'_>, schedule: &Schedule) -> Result<(), Error> {
    schedule_questions::withdraw(tx, schedule).await?;
    let Some(before) = last_run(tx, schedule).await? else {
        return Ok(());
    };
    match standing_of(tx, before).await? {
        None | Some((_, Standing::Running | Standing::Ended(ApplyEnd::Unknown))) => Ok(()),
        Some(_) => close_task(tx, before, WITHDRAWN).await,
    }
}

fn invalid(detail: String) -> Rejection {
    Rejection::Invalid {
        code: "invalid_schedule",
        detail,
    }
}

/// The operations as they are recorded.
fn canonical(operations: &[Operation]) -> Result<String, Rejection> {
    if !(1..=MOST_OPERATIONS).contains(&operations.len()) {
        let detail = format!("operations: 1 to {MOST_OPERATIONS}");
        return Err(invalid(detail));
    }
    let list = operations.iter().map(Operation::to_json).collect();
    let bytes = canonicalise(&Value::Array(list)).map_err(|error| invalid(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| invalid(error.to_string()))
}

fn targets(operations: &[Operation]) -> Vec<LockTarget> {
    let each = operations.iter();
    each.map(|operation| LockTarget::Operation(operation.entry.id.into()))
        .collect()
}

/// The task that a firing opens.
struct Opening<'a> {
    schedule_id: ScheduleId,
    name: &'a ScheduleName,
    agent_id: AgentId,
    agent: &'a AgentName,
    operations: &'a [Operation],
}

impl Opening<'_> {
    fn task(&self, task_id: TaskId, context: &Context<'_>) -> Result<TaskCreated, Rejection> {
        let mut allowed: Vec<AllowedOperation> = Vec::new();
        for operation in self.operations {
            let entry = AllowedEntry {
                operation: operation.entry,
                scope_id: operation.scope.id.clone().into(),
                required_level: None,
                risk_tier: None,
            };
            for entry in allowlist(&[entry])? {
                if !allowed.contains(&entry) {
                    allowed.push(entry);
                }
            }
        }
        let schedule_id = self.schedule_id;
        Ok(TaskCreated {
            task_id,
            agent_id: self.agent_id,
            agent: self.agent.clone(),
            name: format!("schedule {}", self.name),
            subject: subject_of(schedule_id),
            allowed,
            token_ttl_seconds: seconds(TOKEN_TTL),
            agent_callbacks: false,
            template: None,
            question_seconds: Some(seconds(question_time(None, context))),
            purpose: Purpose::default(),
            write: None,
        })
    }
}

/// Deletes a schedule: it never fires again. What waits for people is withdrawn; what is being carried out goes on.
#[derive(Debug, Clone)]
pub struct DeleteSchedule {
    /// Its name.
    pub name: ScheduleName,
}

impl Command for DeleteSchedule {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        still_acts(tx, Role::Operator).await?;
        let schedule = tx
            .find_state::<Schedule>(&LookupKey::schedule(&self.name))
            .await?;
        let schedule = schedule.filter(|schedule| schedule.deleted_at.is_none());
        let schedule = schedule.ok_or(Rejection::ScheduleNotFound)?;
        withdraw(tx, &schedule).await?;
        let deleted = tx.context().event(schedule.id, ScheduleDeleted {});
        tx.append(vec![deleted]).await
    }
}

/// Fires a schedule whose time has come. Which instant that is, and that it is fired once, is decided here: what is
/// fired, its task and its apply are one commit.
#[derive(Debug, Clone, Copy)]
pub struct RunSchedule {
    /// The schedule.
    pub schedule_id: ScheduleId,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RanSchedule {
    /// More has passed than one command looks at.
    pub has_more: bool,
    /// What was fired.
    pub fired: Option<ScheduleRun>,
}

impl Command for RunSchedule {
    type Answer = RanSchedule;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<RanSchedule, Error> {
        const NOTHING: RanSchedule = RanSchedule {
            has_more: false,
            fired: None,
        };
        // Only the service itself fires.
        if tx.envelope().actor != Actor::system(SCHEDULER) {
            return Err(Rejection::ScheduleNotFound.into());
        }
        let schedule = tx.named::<Schedule>(self.schedule_id).await?;
        let is_newest = |newest: &Arc<Schedule>| newest.id == schedule.id;
        if !tx.schedules().get(&schedule.name).is_some_and(is_newest) || !schedule.is_active() {
            return Ok(NOTHING);
        }
        let due = due(&schedule, &tx.context());
        let Some((&newest, passed)) = due.split_last() else {
            return Ok(NOTHING);
        };
        tx.needs_room()?;
        if passed.len() >= MOST_AT_ONCE {
            miss(tx, &schedule, passed, MissReason::Late).await?;
            return Ok(RanSchedule {
                has_more: true,
                fired: None,
            });
        }
        let is_late = tx.context().now.since(newest) > GRACE;
        if is_late && schedule.terms.misfire == Misfire::Skip {
            miss(tx, &schedule, &due, MissReason::Late).await?;
            return Ok(NOTHING);
        }
        if !passed.is_empty() {
            miss(tx, &schedule, passed, MissReason::Late).await?;
        }
        if let Some(before) = last_run(tx, &schedule).await?
            && let Some(apply_id) = overlaps(tx, before).await?
        {
            let why = MissReason::Overlap { apply_id };
            miss(tx, &schedule, &[newest], why).await?;
            return Ok(NOTHING);
        }
        let fired = fire(tx, &schedule, newest).await?;
        Ok(RanSchedule {
            has_more: false,
            fired,
        })
    }
}

/// The instants that are due, the oldest first; where there are more than one command looks at, one more than that.
fn due(schedule: &Schedule, context: &Context<'_>) -> Vec<Timestamp> {
    let clock = &context.rules.schedules;
    let next = |after: &Timestamp| clock.next(&schedule.terms, *after);
    let instants = std::iter::successors(next(&schedule.settled), next);
    let due = instants.take_while(|instant| *instant <= context.now);
    due.take(MOST_AT_ONCE + 1).collect()
}

async fn miss(
    tx: &mut Transaction<'_>,
    schedule: &Schedule,
    instants: &[Timestamp],
    why: MissReason,
) -> Result<(), Error> {
    let (Some(first), Some(last)) = (instants.first(), instants.last()) else {
        return Ok(());
    };
    let context = tx.context();
    let missed = ScheduleMissed {
        first: *first,
        last: *last,
        count: u32::try_from(instants.len()).unwrap_or(u32::MAX),
        why,
        tzdata: context.rules.schedules.tzdata().to_owned(),
    };
    tx.append(vec![context.event(schedule.id, missed)]).await
}

/// The firing before, of this put or of one that it replaces.
async fn last_run(
    tx: &mut Transaction<'_>,
    schedule: &Schedule,
) -> Result<Option<ScheduleRun>, Error> {
    const FURTHEST: usize = 10;
    let (mut last, mut replaces) = (schedule.last, schedule.replaces);
    for _ in 0..FURTHEST {
        let (None, Some(before)) = (last, replaces) else {
            break;
        };
        let before = tx.existing::<Schedule>(before).await?;
        (last, replaces) = (before.last, before.replaces);
    }
    Ok(last)
}

/// The apply of the firing before, while it has not ended. The task of one that has is closed.
async fn overlaps(tx: &mut Transaction<'_>, before: ScheduleRun) -> Result<Option<ApplyId>, Error> {
    let Some((apply, standing)) = standing_of(tx, before).await? else {
        return Ok(None);
    };
    match standing {
        Standing::Waiting | Standing::Approved | Standing::Running => Ok(Some(apply)),
        // A person settles it in its task.
        Standing::Ended(ApplyEnd::Unknown) => Ok(None),
        Standing::Ended(_)
        | Standing::Denied { .. }
        | Standing::Expired { .. }
        | Standing::Cancelled { .. }
        | Standing::ConsumedElsewhere { .. } => {
            close_task(tx, before, CLOSED).await?;
            Ok(None)
        }
    }
}

/// How the apply of a firing stands, unless it was erased.
async fn standing_of(
    tx: &mut Transaction<'_>,
    run: ScheduleRun,
) -> Result<Option<(ApplyId, Standing)>, Error> {
    let apply = Error::none_if_erased(tx.load::<Apply>(run.apply_id).await)?;
    let Some(apply) = apply else { return Ok(None) };
    let approval = match apply.approval_id {
        Some(id) => Error::none_if_erased(tx.load::<Approval>(id).await)?,
        None => None,
    };
    let standing = standing(&apply, approval.as_deref(), tx.context().now);
    Ok(Some((apply.id, standing)))
}

async fn close_task(tx: &mut Transaction<'_>, run: ScheduleRun, reason: &str) -> Result<(), Error> {
    let task = Error::none_if_erased(tx.load::<Task>(run.task_id).await)?;
    match task.filter(|task| task.closed_at.is_none()) {
        Some(task) => close(tx, &task, Some(reason)).await,
        None => Ok(()),
    }
}

/// Why a task that a schedule opened is closed.
const CLOSED: &str = "the firing of its schedule has ended";

/// Why one is closed whose firing waited.
const WITHDRAWN: &str = "its schedule was changed or deleted";

/// The agent of a schedule and its operations; why they cannot be asked for now.
async fn asks_for(
    tx: &mut Transaction<'_>,
    schedule: &Schedule,
) -> Result<Result<(Arc<Agent>, Vec<Operation>), Rejection>, Error> {
    let agent = Error::none_if_erased(tx.load::<Agent>(schedule.agent_id).await)?;
    let Some(agent) = agent else {
        return Ok(Err(Rejection::AgentNotFound));
    };
    // Another release may have written them, and know other operations.
    let operations = match read(&schedule.operations, &tx.context()) {
        Ok(operations) => operations,
        Err(why) => return Ok(Err(why)),
    };
    let admitted = admit_agent(tx, Some(&agent), &targets(&operations));
    Ok(admitted.map(|()| (agent, operations)))
}

/// Opens a task, and asks in it for the operations.
async fn fire(
    tx: &mut Transaction<'_>,
    schedule: &Schedule,
    nominal: Timestamp,
) -> Result<Option<ScheduleRun>, Error> {
    let refused = |code: &str, task_id| MissReason::Refused {
        code: code.to_owned(),
        task_id,
    };
    let (agent, operations) = match asks_for(tx, schedule).await? {
        Ok(asked) => asked,
        Err(why) => {
            let why = refused(why.code(), None);
            miss(tx, schedule, &[nominal], why).await?;
            return Ok(None);
        }
    };
    let context = tx.context();
    let task_id: TaskId = context.id();
    let opening = Opening {
        schedule_id: schedule.id,
        name: &schedule.name,
        agent_id: agent.id,
        agent: &agent.name,
        operations: &operations,
    };
    let created = opening.task(task_id, &context)?;
    tx.append(vec![context.event(task_id, created)]).await?;
    let reason = format!("schedule {}, due at {nominal}", schedule.name);
    let submit = SubmitApply {
        token: Presented::Schedule(PresentedSchedule {
            schedule_id: schedule.id,
            origin: schedule.origin,
            task_id,
        }),
        key: IdempotencyKey::unchecked(format!("schedule-{nominal}")),
        operations,
        purpose: Purpose {
            reason: Some(Reason::unchecked(reason)),
            link: None,
        },
        on_approval: OnApproval::Execute,
        callback: None,
        edge: Edge::default(),
    };
    match submit.run(tx).await? {
        Ruling::Accepted(submitted) => {
            let run = ScheduleRun {
                task_id,
                apply_id: submitted.apply.id,
            };
            let context = tx.context();
            let fired = ScheduleFired {
                nominal,
                task_id,
                apply_id: run.apply_id,
                tzdata: context.rules.schedules.tzdata().to_owned(),
            };
            tx.append(vec![context.event(schedule.id, fired)]).await?;
            Ok(Some(run))
        }
        Ruling::Refused(refusal) => {
            let task = tx.existing::<Task>(task_id).await?;
            close(tx, &task, Some(CLOSED)).await?;
            let why = refused(refusal.rejection().code(), Some(task_id));
            miss(tx, schedule, &[nominal], why).await?;
            Ok(None)
        }
    }
}

/// The operations as they were put.
fn read(operations: &str, context: &Context<'_>) -> Result<Vec<Operation>, Rejection> {
    let unreadable = |why: String| Rejection::Invalid {
        code: "invalid_operations",
        detail: why,
    };
    let list: Vec<Value> =
        serde_json::from_str(operations).map_err(|error| unreadable(error.to_string()))?;
    let providers = &context.rules.providers;
    let read = list.iter().map(|operation| providers.read(operation));
    let read: Result<_, _> = read.collect();
    read.map_err(|error| unreadable(error.to_string()))
}
