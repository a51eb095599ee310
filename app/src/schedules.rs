//! Schedules: put, read and deleted, and what an expression would name.

use crate::app::App;
use crate::cron::CronInZone;
use crate::locks::invalid;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::{Agent, Apply, Approval, ApprovalState, Schedule, ScheduleRun};
use ledger::command::{DeleteSchedule, PutSchedule};
use ledger::event::ScheduleTerms;
use ledger::operation::Operation;
use ledger::{AgentName, ApprovalId, Rejection, ScheduleName, Timestamp};
use projections::{Projection, ScheduleRunView};
use std::sync::Arc;

/// The outcomes of instants with which a schedule is told.
const RUNS: u32 = 20;

/// The most instants of a preview.
pub const MOST_INSTANTS: usize = 1000;

#[derive(Debug)]
pub struct NewSchedule {
    pub agent: AgentName,
    pub terms: ScheduleTerms,
    pub operations: Vec<Operation>,
    pub enabled: bool,
}

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleState {
    Active,
    /// It waits for people to approve it, or its newest firing does. Without a question the next instant asks one: its
    /// time was over, or somebody cancelled it.
    Waiting(Option<ApprovalId>),
    /// People denied it.
    Denied(ApprovalId),
    Paused,
}

/// A schedule, with the name of its agent, its next instant and what became of the newest ones.
#[derive(Debug)]
pub struct ListedSchedule {
    pub schedule: Arc<Schedule>,
    /// Unless it was erased.
    pub agent: Option<AgentName>,
    pub state: ScheduleState,
    /// Unless it is paused.
    pub next: Option<Timestamp>,
    pub runs: Vec<ScheduleRunView>,
}

/// Makes a schedule, or puts another one in its place.
pub async fn put(
    app: &App,
    who: Acting,
    name: ScheduleName,
    wanted: NewSchedule,
) -> Result<ListedSchedule, Error> {
    let (cron, zone) = (wanted.terms.cron.clone(), wanted.terms.zone.clone());
    let now = app.ledger.now();
    if instants((cron, zone), now, 1).await?.is_empty() {
        return Err(invalid("cron: no instant of it is to come".to_owned()).into());
    }
    let command = PutSchedule {
        name,
        agent: wanted.agent,
        terms: wanted.terms,
        operations: wanted.operations,
        enabled: wanted.enabled,
    };
    let schedule = app.ledger.execute(who.origin, command).await?;
    told(app, schedule).await
}

/// All schedules, by name.
pub async fn list(app: &App, _: &Acting) -> Result<Vec<ListedSchedule>, Error> {
    let mut listed = Vec::new();
    for schedule in app.ledger.schedules().all() {
        listed.push(told(app, Arc::clone(schedule)).await?);
    }
    Ok(listed)
}

/// One of them.
///
/// # Errors
/// [`Rejection::ScheduleNotFound`].
pub async fn read(app: &App, _: &Acting, name: &ScheduleName) -> Result<ListedSchedule, Error> {
    let schedules = app.ledger.schedules();
    let schedule = schedules.get(name).ok_or(Rejection::ScheduleNotFound)?;
    told(app, Arc::clone(schedule)).await
}

/// Deletes a schedule. What waits for people is withdrawn; what is being carried out goes on.
pub async fn delete(app: &App, who: Acting, name: ScheduleName) -> Result<(), Error> {
    Ok(app
        .ledger
        .execute(who.origin, DeleteSchedule { name })
        .await?)
}

/// The first instants of an expression after a time.
///
/// # Errors
/// For an expression or a zone that cannot be read, and for more than [`MOST_INSTANTS`].
pub async fn preview(
    _: &Acting,
    of: (String, String),
    from: Timestamp,
    count: usize,
) -> Result<Vec<Timestamp>, Error> {
    if !(1..=MOST_INSTANTS).contains(&count) {
        return Err(invalid(format!("count: 1 to {MOST_INSTANTS}")).into());
    }
    instants(of, from, count).await
}

/// The first instants of an expression in a zone. Rare ones are searched for over centuries, so this is done on a
/// thread that serves nobody else.
async fn instants(
    (cron, zone): (String, String),
    from: Timestamp,
    count: usize,
) -> Result<Vec<Timestamp>, Error> {
    let search = move || {
        let cron = CronInZone::parse(&cron, &zone)?;
        let instants = std::iter::successors(cron.next(from), |after| cron.next(*after));
        Ok::<_, Rejection>(instants.take(count).collect())
    };
    let found = tokio::task::spawn_blocking(search).await;
    Ok(found.map_err(Error::defect)??)
}

/// The times of an expression in words, and its first three instants after a time.
pub(crate) async fn in_words(
    (cron, zone): (String, String),
    from: Timestamp,
) -> Result<(String, Vec<Timestamp>), Error> {
    const FIRST: usize = 3;
    let search = move || {
        let cron = CronInZone::parse(&cron, &zone)?;
        let instants = std::iter::successors(cron.next(from), |after| cron.next(*after));
        Ok::<_, Rejection>((cron.in_words(), instants.take(FIRST).collect()))
    };
    let found = tokio::task::spawn_blocking(search).await;
    Ok(found.map_err(Error::defect)??)
}

/// The open question of a firing.
async fn waits_for(app: &App, run: ScheduleRun) -> Result<Option<ApprovalId>, Error> {
    let apply = ledger::Error::none_if_erased(app.ledger.load::<Apply>(run.apply_id).await)?;
    let Some(asked) = apply.and_then(|apply| apply.approval_id) else {
        return Ok(None);
    };
    let question = ledger::Error::none_if_erased(app.ledger.load::<Approval>(asked).await)?;
    let now = app.ledger.now();
    Ok(question
        .filter(|question| question.state_at(now) == ApprovalState::Pending)
        .map(|question| question.id))
}

/// What people said of a schedule as a whole; `None` where they approved it, or were not asked.
async fn whole(app: &App, schedule: &Schedule) -> Result<Option<ScheduleState>, Error> {
    let now = app.ledger.now();
    let (mut waits, mut is_approved) = (None, schedule.asked.is_empty());
    for id in &schedule.asked {
        let question = ledger::Error::none_if_erased(app.ledger.load::<Approval>(*id).await)?;
        match question.map(|question| question.state_at(now)) {
            Some(ApprovalState::Denied) => return Ok(Some(ScheduleState::Denied(*id))),
            Some(ApprovalState::Pending) => waits = Some(*id),
            Some(ApprovalState::Approved) => is_approved = true,
            _ => {}
        }
    }
    Ok(match waits {
        None if is_approved => None,
        waits => Some(ScheduleState::Waiting(waits)),
    })
}

async fn told(app: &App, schedule: Arc<Schedule>) -> Result<ListedSchedule, Error> {
    let agent = ledger::Error::none_if_erased(app.ledger.load::<Agent>(schedule.agent_id).await)?;
    let state = match (
        schedule.enabled,
        whole(app, &schedule).await?,
        schedule.last,
    ) {
        (false, ..) => ScheduleState::Paused,
        (true, Some(state), _) => state,
        (true, None, None) => ScheduleState::Active,
        (true, None, Some(run)) => match waits_for(app, run).await? {
            Some(asked) => ScheduleState::Waiting(Some(asked)),
            None => ScheduleState::Active,
        },
    };
    let from = app.ledger.now().max(schedule.settled);
    let clock = &app.ledger.rules().schedules;
    let views = app.current_views(&[Projection::Agents]).await?;
    Ok(ListedSchedule {
        agent: agent.map(|agent| agent.name.clone()),
        state,
        next: match schedule.enabled {
            true => clock.next(&schedule.terms, from),
            false => None,
        },
        runs: views.schedule_runs(&schedule.name, RUNS).await?,
        schedule,
    })
}
