//! Approvals as the agent that waits for them sees them. The page for humans is elsewhere.

use crate::extract::json::{OptionalJson, StrictJson};
use crate::extract::params::PathParams;
use crate::extract::prefer::PreferWait;
use crate::limits::counted_for::CountedFor;
use crate::problem::{ApiError, Problem};
use crate::routes::decisions::{decide, issue};
use crate::schemes::By;
use crate::shapes::approvals::{
    ApprovalLinkView, ApprovalStatus, ApproveRequest, CancelRequest, DiscordMessage,
};
use crate::shapes::passkeys::{Decided, DecisionOptions, DecisionRequest, VerifyRequest};
use crate::shapes::votes::{QuestionView, SubjectView};
use crate::state::AppState;
use app::decisions::Undecided;
use app::votes::{self, Votes};
use app::{action, applies, approvals, besides, decisions, history};
use axum::Json;
use axum::extract::State;
use http::StatusCode;
use ledger::aggregate::Approval;
use ledger::event::AskedSubject;
use ledger::{ApprovalId, Rejection};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(approval_status))
        .routes(routes!(approve))
        .routes(routes!(discord_message))
        .routes(routes!(question))
        .routes(routes!(decision_options_by_id))
        .routes(routes!(decide_by_id))
        .routes(routes!(cancel_approval))
        .routes(routes!(withdraw_vote))
}

/// The task's newest approval
///
/// `Prefer: wait=N` holds the answer back while it is pending, 50 seconds at most.
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}/approval-status", tag = "approvals",
    params(
        ("task_id" = String, Path, description = "The task"),
        ("Prefer" = Option<String>, Header, description = "wait=N, in seconds"),
    ),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = ApprovalStatus),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn approval_status(
    State(state): State<AppState>,
    By(who): By<action::ReadApproval>,
    PreferWait(wait): PreferWait,
) -> Result<Json<ApprovalStatus>, ApiError> {
    let approval = approvals::newest(&state.app, &who, wait).await?;
    Ok(Json(ApprovalStatus::of(&approval, state.app.ledger.now())))
}

/// The link to the task's pending approval
///
/// Naming an approver narrows who may decide to that one; it never widens it.
#[utoipa::path(
    post, path = "/v1/tasks/{task_id}/approve", tag = "approvals",
    params(("task_id" = String, Path, description = "The task")),
    request_body(content = Option<ApproveRequest>),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 201, body = ApprovalLinkView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn approve(
    State(state): State<AppState>,
    By(who): By<action::LinkApproval>,
    OptionalJson(request): OptionalJson<ApproveRequest>,
) -> Result<(StatusCode, Json<ApprovalLinkView>), ApiError> {
    let principal = request.unwrap_or_default().approver_principal;
    let approval = approvals::narrow(&state.app, &who, principal).await?;
    let task_id = approval.of_apply()?.task_id;
    let view = ApprovalLinkView {
        task_id: task_id.to_string(),
        approval_id: approval.id.to_string(),
        approval_url: state.approval_url(approval.id),
        approval_status_url: state.approval_status_url(task_id),
        expires_at: approval.expires_at.to_string(),
    };
    Ok((StatusCode::CREATED, Json(view)))
}

/// The pending approval as a chat message
#[utoipa::path(
    get, path = "/v1/tasks/{task_id}/approve/discord-message", tag = "approvals",
    params(("task_id" = String, Path, description = "The task")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "capability" = [])),
    responses(
        (status = 200, body = DiscordMessage),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn discord_message(
    State(state): State<AppState>,
    By(who): By<action::LinkApproval>,
) -> Result<Json<DiscordMessage>, ApiError> {
    let approval = approvals::pending(&state.app, &who).await?;
    let _turn = state
        .turns
        .take(CountedFor::client(&who.task().subject))
        .await?;
    let (apply, _) = decisions::applies_of(&state.app.ledger, &approval).await?;
    let now = state.app.ledger.now();
    let url = state.approval_url(approval.id);
    let providers = &state.app.ledger.rules().providers;
    DiscordMessage::of(who.task(), &approval, &apply, url, now, providers).map(Json)
}

/// A question, with what an answer needs and the votes that it has
#[utoipa::path(
    get, path = "/v1/approvals/{approval_id}", tag = "approvals",
    params(("approval_id" = String, Path, description = "The approval")),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, body = QuestionView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn question(
    State(state): State<AppState>,
    _: By<action::ListApprovals>,
    PathParams(id): PathParams<ApprovalId>,
) -> Result<Json<QuestionView>, ApiError> {
    let approval = state.app.ledger.load::<Approval>(id).await?;
    let approval = approval.ok_or(Rejection::ApprovalNotFound)?;
    shown(&state, &approval).await
}

/// Options for a decision, as the user who is logged in
///
/// As behind the link, for a user whose answer the question waits for: `allow_credentials` names passkeys of theirs.
#[utoipa::path(
    post, path = "/v1/approvals/{approval_id}/options", tag = "approvals",
    params(("approval_id" = String, Path, description = "The approval")),
    security(("session" = [])),
    request_body = Option<DecisionRequest>,
    responses(
        (status = 200, body = DecisionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn decision_options_by_id(
    State(state): State<AppState>,
    By(who): By<action::DecideAsUser>,
    PathParams(id): PathParams<ApprovalId>,
    OptionalJson(request): OptionalJson<DecisionRequest>,
) -> Result<Json<DecisionOptions>, ApiError> {
    let question = Undecided::for_user(&state.app, &who, id).await?;
    issue(&state, question, request.unwrap_or_default())
        .await
        .map(Json)
}

/// Decide as the user who is logged in
///
/// As behind the link, with a passkey or command-line key of that user. A question that is decided already answers 409
/// `already_decided`.
#[utoipa::path(
    post, path = "/v1/approvals/{approval_id}/verify", tag = "approvals",
    params(("approval_id" = String, Path, description = "The approval")),
    security(("session" = [])),
    request_body = VerifyRequest,
    responses(
        (status = 200, body = Decided),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn decide_by_id(
    State(state): State<AppState>,
    By(who): By<action::DecideAsUser>,
    PathParams(id): PathParams<ApprovalId>,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<Json<Decided>, ApiError> {
    let question = Undecided::for_user(&state.app, &who, id).await?;
    decide(&state, question, request).await.map(Json)
}

/// Cancel a question
///
/// Also an approval that nothing has used yet. The apply that asked fails, and its orchestrator is told. Cancelling
/// again changes nothing.
#[utoipa::path(
    post, path = "/v1/approvals/{approval_id}/cancel", tag = "approvals",
    params(("approval_id" = String, Path, description = "The approval")),
    security(("session" = []), ("service" = [])),
    request_body = Option<CancelRequest>,
    responses(
        (status = 200, body = QuestionView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn cancel_approval(
    State(state): State<AppState>,
    By(who): By<action::CancelApproval>,
    PathParams(id): PathParams<ApprovalId>,
    OptionalJson(request): OptionalJson<CancelRequest>,
) -> Result<Json<QuestionView>, ApiError> {
    let comment = request.unwrap_or_default().reason;
    let approval = approvals::cancel(&state.app, who, id, comment).await?;
    shown(&state, &approval).await
}

/// Take your own vote back
///
/// While the question waits for others you can take your vote to approve back, and vote again. A vote against it ends
/// it, and cannot be taken back.
#[utoipa::path(
    post, path = "/v1/approvals/{approval_id}/withdraw-vote", tag = "approvals",
    params(("approval_id" = String, Path, description = "The approval")),
    security(("session" = [])),
    responses(
        (status = 200, body = QuestionView),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn withdraw_vote(
    State(state): State<AppState>,
    By(who): By<action::WithdrawVote>,
    PathParams(id): PathParams<ApprovalId>,
) -> Result<Json<QuestionView>, ApiError> {
    let approval = votes::withdraw(&state.app, who, id).await?;
    shown(&state, &approval).await
}

async fn shown(state: &AppState, approval: &Approval) -> Result<Json<QuestionView>, ApiError> {
    let ledger = &state.app.ledger;
    let votes = Votes::of(ledger, approval).await?;
    if let Some(subject) = approval.besides() {
        let changes = match subject {
            AskedSubject::PolicyChange(change) => besides::differences(ledger, change).await?,
            AskedSubject::Schedule(_) | AskedSubject::Review(_) => Vec::new(),
        };
        let lines = besides::lines(ledger, subject).await?;
        let about = SubjectView::of(subject, changes, lines);
        return QuestionView::besides(approval, about, votes, ledger.now()).map(Json);
    }
    let (apply, _) = decisions::applies_of(ledger, approval).await?;
    let before = history::before(&state.app, approval).await?;
    let traced = applies::traced(ledger, &apply).await?;
    QuestionView::of(state, approval, &apply, (votes, before), traced.as_ref()).map(Json)
}
