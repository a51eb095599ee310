//! The question whether a schedule may run: asked about it as a whole when it is put, answered for each of its firings
//! while that is enough, and asked again where it is not.

use super::approvals::PERSON;
use super::authority::{PresentedSchedule, permission_check};
use super::clearances::may_still_decide;
use super::locked::{cancel, is_question_dead};
use super::proof::prove_decision;
use super::questions::ask;
use super::ruled::{Asker, POLICY, Ruled, answered, cancelled, ruled};
use super::votes::excluded;
use super::{Presented, callbacks::of_question};
use crate::admissions::Client;
use crate::aggregate::{Agent, Approval, ApprovalState, Schedule, Task};
use crate::callback_report;
use crate::canonical::canonicalise;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    ApprovalCancelled, AskedByPolicy, AskedSubject, LockTarget, ScheduleAsked, ScheduleProposal,
    TaskCreated,
};
use crate::id::ApprovalId;
use crate::operation::Operation;
use crate::policy::{Edge, PreState, Requirement};
use crate::rejection::Rejection;
use crate::writer::Transaction;
use serde_json::{Value, json};
use std::time::Duration;

/// How long people have to answer. Nothing waits for them but the schedule, and its instants may be at night.
const WAITS: Duration = Duration::from_secs(7 * 24 * 3600);

/// The comment of what is cancelled because its schedule is another one or gone.
const WITHDRAWN: &str = "its schedule was changed or deleted";

/// A schedule that was just put, and the task that its first firing would open.
#[derive(Debug)]
pub(super) struct NewlyPut<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) agent: &'a Agent,
    pub(super) operations: &'a [Operation],
    pub(super) task: TaskCreated,
    /// Its first instant.
    pub(super) first: Timestamp,
}

/// Asks people about a schedule as a whole where its first firing would ask them, by what is known now. What is
/// denied then is no matter of a put: each firing is decided when it comes.
///
/// # Errors
/// [`Rejection::ApprovalUnsatisfiable`] where those who may answer are not enough, [`Rejection::TooManyQuestions`].
pub(super) async fn ask_about(tx: &mut Transaction<'_>, put: NewlyPut<'_>) -> Result<(), Error> {
    let context = tx.context();
    let task = Task::begin(&put.task, context.now);
    let check = permission_check(&task, Some(put.agent), put.operations, put.first);
    let Ok(check) = check else { return Ok(()) };
    let Some(policy) = tx.policy().cloned() else {
        return match check.missing.is_empty() {
            true => Ok(()),
            false => ask_whole(tx, put.schedule, None).await.map(drop),
        };
    };
    let token = Presented::Schedule(PresentedSchedule {
        schedule_id: put.schedule.id,
        origin: put.schedule.origin,
        task_id: task.id,
    });
    let admissions = tx.admissions();
    let asker = Asker {
        task: &task,
        agent: Some(put.agent),
        token: &token,
        edge: &Edge::default(),
        client: Client {
            agent: put.agent.id,
            subject: None,
            address: None,
            asn: None,
        },
        admissions: &admissions,
        lately: tx.lately(&put.agent.name),
    };
    let windows = tx.context().rules.windows.clone();
    let said = ruled(&policy, &asker, put.operations, (&windows, put.first));
    let Ok(mut said) = said else { return Ok(()) };
    let whole = said.requirement().filter(|required| is_of_whole(required));
    if whole.is_none() {
        return Ok(());
    }
    let whose = excluded(tx, &task, Some(put.agent), None).await?;
    said.exclude(whose);
    ask_whole(tx, put.schedule, said.asked()).await.map(drop)
}

/// Whether people can answer for instants to come. What is bound to the state that they see is asked about each time.
fn is_of_whole(required: &Requirement) -> bool {
    required.pre_state == PreState::Shown
}

/// The approval of a schedule as a whole that answers for a firing about which people would be asked; `None` where they
/// are asked about each.
///
/// # Errors
/// [`Rejection::ScheduleDenied`], [`Rejection::ScheduleWaits`] with the question that waits, which may have been asked
/// just now, and what keeps that from being asked.
pub(super) async fn answer(
    tx: &mut Transaction<'_>,
    fires: PresentedSchedule,
    targets: &[LockTarget],
    ruled: Option<&Ruled>,
) -> Result<Option<ApprovalId>, Error> {
    let required = ruled.and_then(Ruled::requirement);
    if required.is_some_and(|required| !is_of_whole(required)) {
        return Ok(None);
    }
    let without = Requirement::without_policy();
    let required = required.unwrap_or(&without);
    let schedule = tx.existing::<Schedule>(fires.schedule_id).await?;
    let now = tx.context().now;
    let (mut answers, mut waits) = (None, None);
    for id in &schedule.asked {
        let question = Error::none_if_erased(tx.load::<Approval>(*id).await)?;
        let Some(question) = question else { continue };
        match question.state_at(now) {
            ApprovalState::Denied => {
                let approval_id = question.id;
                return Err(Rejection::ScheduleDenied { approval_id }.into());
            }
            ApprovalState::Approved
                if is_enough(&question, required)
                    && stands(tx, None, &question, targets).await? =>
            {
                answers = Some(question.id);
            }
            ApprovalState::Pending => waits = Some(question),
            _ => {}
        }
    }
    if answers.is_some() {
        return Ok(answers);
    }
    if let Some(waits) = waits {
        let ended = cancel(tx, None, &waits).await?;
        let by_policy = ended.is_empty() && !is_enough(&waits, required);
        let events = match by_policy && tx.policy().is_some() {
            true => cancelled(&tx.context(), None, &waits, POLICY),
            false => ended,
        };
        if events.is_empty() {
            let approval_id = waits.id;
            return Err(Rejection::ScheduleWaits { approval_id }.into());
        }
        tx.append(events).await?;
    }
    let asked = ruled.and_then(Ruled::asked);
    let approval_id = ask_whole(tx, &schedule, asked).await?;
    Err(Rejection::ScheduleWaits { approval_id }.into())
}

/// Whether those who answer a question are enough for what is needed now, and nobody is among them whose wish it is.
pub(super) fn is_enough(question: &Approval, required: &Requirement) -> bool {
    let asked = answered(question);
    let excludes = |one: &crate::policy::Excluded| asked.excludes(one.user_id);
    asked.needs_as_much_as(required) && required.exclude.iter().all(excludes)
}

/// Whether an approval still counts: who gave it could give it today, nothing was locked since, and it is proven.
pub(super) async fn stands(
    tx: &mut Transaction<'_>,
    task: Option<&Task>,
    approval: &Approval,
    targets: &[LockTarget],
) -> Result<bool, Error> {
    if !may_still_decide(tx, approval).await? {
        return Ok(false);
    }
    let (locks, now) = (tx.locks(), tx.context().now);
    if !locks.is_empty()
        && (locks.end(targets, approval.created_at, now)
            || is_question_dead(tx, task, approval).await?)
    {
        return Ok(false);
    }
    match prove_decision(tx, approval).await {
        Ok(()) => Ok(true),
        Err(Error::Rejected(Rejection::ApprovalUnproven { why, is_forged })) => {
            if is_forged {
                tracing::error!(approval.id = %approval.id, why, "an approval that is to answer for more is not what was signed");
            }
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

/// Asks, and has the schedule name the question.
async fn ask_whole(
    tx: &mut Transaction<'_>,
    schedule: &Schedule,
    policy: Option<AskedByPolicy>,
) -> Result<ApprovalId, Error> {
    let subject = AskedSubject::Schedule(ScheduleProposal {
        schedule_id: schedule.id.into(),
        definition: definition(schedule)?,
    });
    let approval_id = ask(tx, subject, policy, Some(WAITS)).await?.id;
    let asked = ScheduleAsked { approval_id };
    let event = tx.context().event(schedule.id, asked);
    tx.append(vec![event]).await?;
    Ok(approval_id)
}

/// Everything of a schedule that is approved, as canonical JSON.
///
/// # Errors
/// For operations that cannot be read.
pub(crate) fn definition(schedule: &Schedule) -> Result<String, Error> {
    let unreadable = |error: &dyn std::fmt::Display| Error::defect(error.to_string());
    let operations: Value =
        serde_json::from_str(&schedule.operations).map_err(|error| unreadable(&error))?;
    let terms = &schedule.terms;
    let bytes = canonicalise(&json!({
        "name": schedule.name.as_str(),
        "agent_id": schedule.agent_id.to_string(),
        "cron": terms.cron,
        "zone": terms.zone,
        "misfire": terms.misfire.as_str(),
        "operations": operations,
    }));
    let bytes = bytes.map_err(|error| unreadable(&error))?;
    String::from_utf8(bytes).map_err(|error| unreadable(&error))
}

/// Cancels the question about a schedule that is changed or deleted, while it waits: nobody is to approve what is not
/// there any more.
pub(super) async fn withdraw(tx: &mut Transaction<'_>, schedule: &Schedule) -> Result<(), Error> {
    for id in &schedule.asked {
        let question = Error::none_if_erased(tx.load::<Approval>(*id).await)?;
        let context = tx.context();
        let question =
            question.filter(|known| known.state_at(context.now) == ApprovalState::Pending);
        let Some(question) = question else { continue };
        let by = ApprovalCancelled {
            reason: PERSON.to_owned(),
            comment: Some(WITHDRAWN.to_owned()),
        };
        let by = context.event(question.id, by);
        let message = callback_report::cancelled(PERSON);
        let events = of_question(&context, None, &question, by, message);
        tx.append(events).await?;
    }
    Ok(())
}
