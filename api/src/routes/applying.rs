//! What every way of asking for an apply has in common: recording refused attempts, waiting as long
//! as the caller wants, and answering with where the apply stands.

use crate::extract::prefer::PreferWait;
use crate::limits::body_memory::BodyPermit;
use crate::problem::ApiError;
use crate::shapes::answers::{
    ApplyEnded, ApplyRunning, ApplyWaiting, Granted, PermissionCheckView,
};
use crate::state::AppState;
use app::TaskAccess;
use app::token::link::Resume;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use ledger::aggregate::{Agent, Apply, Approval};
use ledger::command::{
    ContinueApply, NewCallback, RefuseApply, Resume as ResumeOf, Standing, SubmitApply, Submitted,
    standing,
};
use ledger::event::ApplyEnd;
use ledger::operation::Operation;
use ledger::{IdempotencyKey, Origin, Rejection, RequestId};
use std::time::Duration;
use tokio::time::Instant;

/// How long a request waits for an authorised apply to end when it does not say: most operations end
/// within a second or two, and most clients give up at 60 s.
const PATIENCE: Duration = Duration::from_secs(30);

/// When to ask again for something that waits for a human.
const HUMAN_PACE: u64 = 5;

/// When to ask again for something that runs.
const MACHINE_PACE: u64 = 1;

/// One attempt of an authenticated agent.
pub(crate) struct Attempt<'a> {
    state: &'a AppState,
    who: &'a TaskAccess,
    request_id: RequestId,
    /// How long the caller wants to wait, where it said so.
    wait: Option<Duration>,
    begun: Instant,
}

/// What is asked for, completely checked.
pub(crate) struct Asked {
    pub(crate) operations: Vec<Operation>,
    pub(crate) callback: Option<NewCallback>,
    /// What the operations take, where they came in a large body.
    pub(crate) permit: Option<BodyPermit>,
}

impl<'a> Attempt<'a> {
    pub(crate) fn new(
        state: &'a AppState,
        who: &'a TaskAccess,
        request_id: RequestId,
        PreferWait(wait): PreferWait,
    ) -> Self {
        Self {
            state,
            who,
            request_id,
            wait,
            begun: Instant::now(),
        }
    }

    fn origin(&self) -> Origin {
        self.who.origin(self.request_id)
    }

    /// Submits what could be read, and records what could not.
    pub(crate) async fn submit(
        &self,
        key: Result<IdempotencyKey, ApiError>,
        asked: Result<Asked, ApiError>,
    ) -> Result<Response, ApiError> {
        let key = match key {
            Ok(key) => key,
            Err(why) => return Err(self.refused(None, why).await),
        };
        let asked = match asked {
            Ok(asked) => asked,
            Err(why) => return Err(self.refused(Some(key), why).await),
        };
        let command = SubmitApply {
            token: self.who.presented(),
            key,
            operations: asked.operations,
            callback: asked.callback,
        };
        let submitted = self
            .state
            .services
            .ledger
            .execute(self.origin(), command)
            .await?
            .accepted()?;
        // Not held while a human thinks.
        drop(asked.permit);
        self.answer(submitted).await
    }

    /// Records a refused attempt and gives the refusal back; or what kept it from being recorded,
    /// because no answer leaves before its record.
    pub(crate) async fn refused(&self, key: Option<IdempotencyKey>, why: ApiError) -> ApiError {
        let (status, _, code) = why.status_and_code();
        if status.is_server_error() {
            return why;
        }
        let refusal = Rejection::Invalid {
            code,
            detail: why.to_string(),
        };
        let command = RefuseApply {
            token: self.who.presented(),
            key,
            refusal,
        };
        match self
            .state
            .services
            .ledger
            .execute(self.origin(), command)
            .await
        {
            Ok(_) => why,
            Err(error) => error.into(),
        }
    }

    /// Carries out what was approved. Where nobody has decided yet and the caller waits for that, what
    /// is approved meanwhile is carried out in the same request.
    pub(crate) async fn resume(
        &self,
        key: IdempotencyKey,
        resume: ResumeOf,
    ) -> Result<Response, ApiError> {
        let command = ContinueApply {
            token: self.who.presented(),
            key,
            resume,
        };
        let ledger = &self.state.services.ledger;
        let mut submitted = ledger
            .execute(self.origin(), command.clone())
            .await?
            .accepted()?;
        self.wait_for_decision(&mut submitted).await?;
        if self.standing(&submitted) == Standing::Approved {
            submitted = ledger.execute(self.origin(), command).await?.accepted()?;
        }
        self.answer(submitted).await
    }

    /// Answers with where the apply stands, after waiting as long as the caller wants.
    async fn answer(&self, mut submitted: Submitted) -> Result<Response, ApiError> {
        self.wait_for_decision(&mut submitted).await?;
        if self.standing(&submitted) == Standing::Running {
            let ended = |apply: &Apply| apply.end.is_some();
            let patience = self.left_of(self.wait.unwrap_or(PATIENCE));
            let ledger = &self.state.services.ledger;
            submitted.apply = ledger.wait_for(submitted.apply.id, patience, ended).await?;
            // Its end may have given the approval back.
            if let Some(approval) = submitted.apply.approval_id {
                submitted.approval = Some(ledger.existing(approval).await?);
            }
        }
        self.respond(&submitted.apply, submitted.approval.as_deref())
            .await
    }

    /// Takes the decision in, where there is none yet and the caller waits for one.
    async fn wait_for_decision(&self, submitted: &mut Submitted) -> Result<(), ApiError> {
        if let (Standing::Waiting, Some(wait), Some(asked)) =
            (self.standing(submitted), self.wait, &submitted.approval)
        {
            let patience = self.left_of(wait);
            let decided = self.state.wait_for_decision(asked.id, patience).await?;
            submitted.approval = Some(decided);
        }
        Ok(())
    }

    fn standing(&self, submitted: &Submitted) -> Standing {
        let now = self.state.services.ledger.now();
        standing(&submitted.apply, submitted.approval.as_deref(), now)
    }

    fn left_of(&self, patience: Duration) -> Duration {
        patience.saturating_sub(self.begun.elapsed())
    }

    async fn respond(
        &self,
        apply: &Apply,
        approval: Option<&Approval>,
    ) -> Result<Response, ApiError> {
        let standing = standing(apply, approval, self.state.services.ledger.now());
        if let Some(refusal) = standing.refusal() {
            return Err(refusal.into());
        }
        match standing {
            Standing::Ended(end) => Ok(ended(apply, end, approval)),
            Standing::Running => Ok(running(apply)),
            Standing::Approved => self.waiting(apply, approval, ("approved", "ready")).await,
            Standing::Waiting => {
                self.waiting(apply, approval, ("requires_approval", "waiting_approval"))
                    .await
            }
            refused @ (Standing::Denied { .. }
            | Standing::Expired { .. }
            | Standing::Cancelled
            | Standing::ConsumedElsewhere { .. }) => {
                Err(ApiError::internal(format!("{refused:?} was not refused")))
            }
        }
    }

    async fn waiting(
        &self,
        apply: &Apply,
        approval: Option<&Approval>,
        (status, apply_state): (&'static str, &'static str),
    ) -> Result<Response, ApiError> {
        let approval =
            approval.ok_or_else(|| ApiError::internal("an apply waits for no approval"))?;
        let ledger = &self.state.services.ledger;
        let agent = ledger.load::<Agent>(self.who.task().agent_id).await?;
        let granted = Granted {
            agent: agent.as_deref(),
            now: ledger.now(),
        };
        let resume = Resume {
            approval_id: approval.id,
            task_id: apply.task_id,
            fingerprint: apply.fingerprint.to_string(),
            iat: self.state.services.ledger.now().as_seconds(),
        };
        let body = ApplyWaiting {
            status,
            task_id: apply.task_id.to_string(),
            apply_id: apply.id.to_string(),
            apply_state,
            approval_id: approval.id.to_string(),
            approval_status_url: self.state.approval_status_url(apply.task_id),
            approval_url: self.state.approval_url(approval)?,
            resume_token: self.state.keys.resume.sign(resume)?.into_revealed(),
            idempotency_key: apply.idempotency_key.clone().into(),
            retry_after_seconds: HUMAN_PACE,
            callback_id: apply.callback_id.map(|id| id.to_string()),
            permission_check: PermissionCheckView::of(&apply.check, granted),
        };
        Ok(later(HUMAN_PACE, Json(body)))
    }
}

/// 200 when everything was carried out; 409, with the same shape, when not.
fn ended(apply: &Apply, end: ApplyEnd, approval: Option<&Approval>) -> Response {
    let status = match end {
        ApplyEnd::Completed => StatusCode::OK,
        ApplyEnd::Failed | ApplyEnd::Unknown => StatusCode::CONFLICT,
    };
    (status, Json(ApplyEnded::of(apply, end, approval))).into_response()
}

fn running(apply: &Apply) -> Response {
    let body = ApplyRunning {
        status: "in_progress",
        task_id: apply.task_id.to_string(),
        apply_id: apply.id.to_string(),
        apply_state: "applying",
        idempotency_key: apply.idempotency_key.clone().into(),
        execution_id: apply.execution_id.map(|id| id.to_string()),
        retry_after_seconds: MACHINE_PACE,
    };
    later(MACHINE_PACE, Json(body))
}

fn later(seconds: u64, body: impl IntoResponse) -> Response {
    let retry_after = [(header::RETRY_AFTER, HeaderValue::from(seconds))];
    (StatusCode::ACCEPTED, retry_after, body).into_response()
}
