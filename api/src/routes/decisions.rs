//! Behind an approval link: the page, and the ceremony that decides. Whoever holds the link may look;
//! only an eligible passkey decides.

mod files;

use crate::extract::json::{OptionalJson, StrictJson};
use crate::extract::params::QueryParams;
use crate::limits::counted_for::CountedFor;
use crate::limits::request_id::ThisRequest;
use crate::limits::turns::Turn;
use crate::pages::{self, AboutAgent, Became, Question, SubjectQuestion, WantsPage};
use crate::problem::{ApiError, Problem};
use crate::routes::landing;
use crate::routes::names::{names_of, user_name};
use crate::schemes::By;
use crate::shapes::passkeys::{
    Decided, DecisionOptions, DecisionQuery, DecisionRequest, QuestionState, VerifyRequest,
    WaitsForOthers,
};
use crate::state::AppState;
use app::agent_record::AgentRecord;
use app::decisions::{self, Undecided};
use app::votes::{Votes, may_approve_own};
use app::{QuestionAccess, action, agent_record, besides};
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use ledger::aggregate::{Approval, ApprovalState, Task, User};
use ledger::command::break_glass_of;
use ledger::event::AskedSubject;
use ledger::{Decision, OnScreen, UserId};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(standing))
        .routes(routes!(options, options_with_reason))
        .routes(routes!(verify))
        .routes(routes!(files::file))
}

/// The same routes behind short links, which begin with `/a/`. Both addresses take both forms of a link.
pub(crate) fn short() -> Router<AppState> {
    Router::new()
        .route("/a/{link}", get(show))
        .route("/a/{link}/", get(landing::without_slash))
        .route("/a/{link}/state", get(standing))
        .route("/a/{link}/options", get(options).post(options_with_reason))
        .route("/a/{link}/verify", post(verify))
        .route("/a/{link}/files/{file}", get(files::file))
}

/// The approval page
///
/// Everything that is asked, in full. Decided, expired and cancelled approvals answer 410 with what
/// happened. Refusals are pages for whoever asks for `text/html` and problem details for others.
#[utoipa::path(get, path = "/v1/approve/{link}", operation_id = "approval_page", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    responses(
        (status = 200, content_type = "text/html", body = String),
        (status = "4XX", content(
            (Problem = "application/problem+json"), (String = "text/html"),
        )),
    ))]
async fn show(
    State(state): State<AppState>,
    ThisRequest(request_id): ThisRequest,
    link: Result<By<action::ViewQuestion>, ApiError>,
    wants: WantsPage,
) -> Response {
    let page = match link {
        Ok(By(who)) => page(&state, &who, wants.clone()).await,
        Err(refused) => Err(refused),
    };
    wants.respond(page, request_id)
}

async fn page(
    state: &AppState,
    who: &QuestionAccess,
    wants: WantsPage,
) -> Result<Response, ApiError> {
    let ledger = &state.app.ledger;
    let approval = decisions::opened(ledger, who).await?;
    if let Some(subject) = approval.besides() {
        return subject_page(state, &approval, subject, &wants).await;
    }
    let (task, _turn) = turn_for(state, &approval).await?;
    let (apply, used_by) = decisions::applies_of(ledger, &approval).await?;
    let replaced = decisions::replaced(ledger, &approval, &apply).await?;
    let credentials = decisions::credentials(ledger, &approval.approvers).await?;
    let executes = decisions::is_carried_out_at_once(ledger, &task, &apply).await?;
    let votes = Votes::told(ledger, &approval).await?;
    let may_approve_own = may_approve_own(ledger, &approval);
    let in_force = ledger.policy().in_force.clone();
    let may_break_glass = break_glass_of(&approval, in_force.as_deref()).is_ok();
    let now = ledger.now();
    let about = match decisions::over(&approval, now) {
        None => {
            decisions::unlocked(ledger, &approval, &apply).await?;
            agent_record::beside(&state.app, &approval, now).await
        }
        Some(_) => None,
    };
    let users = users_of(&approval, about.as_ref());
    let names = names_of(state, users).await?;
    let about = about.map(|record| AboutAgent::of(record, &names, now));
    let link = state.approval_url(approval.id);
    let simulated = state.config.simulated;
    let providers = ledger.rules().providers.clone();
    // Much to read where a script is large, and others wait for this thread.
    let made = tokio::task::spawn_blocking(move || {
        let question = Question {
            approval: &approval,
            task: &task,
            apply: &apply,
            credentials: &credentials,
            used_by: used_by.as_deref(),
            replaced: replaced.as_deref(),
            about: about.as_ref(),
            executes,
            votes: votes.as_ref(),
            names: &names,
            may_approve_own,
            may_break_glass,
            now,
            providers: &providers,
        };
        respond_to(&question, &wants, simulated, &link)
    });
    made.await.map_err(ApiError::internal)?
}

/// The page of a question that is not about an apply.
async fn subject_page(
    state: &AppState,
    approval: &Approval,
    subject: &AskedSubject,
    wants: &WantsPage,
) -> Result<Response, ApiError> {
    let ledger = &state.app.ledger;
    let credentials = decisions::credentials(ledger, &approval.approvers).await?;
    let votes = Votes::told(ledger, approval).await?;
    let names = names_of(state, users_of(approval, None)).await?;
    let mut wanted_by = Vec::new();
    for id in besides::wanted_by(approval) {
        let name = user_name(state, id).await?;
        wanted_by.push(name.unwrap_or_else(|| id.to_string()));
    }
    let lines = besides::lines(ledger, subject).await?;
    let now = ledger.now();
    let question = SubjectQuestion {
        approval,
        subject,
        credentials: &credentials,
        names: &names,
        votes: votes.as_ref(),
        wanted_by: &wanted_by,
        lines: &lines,
        now,
    };
    match question.ended(&wants.path) {
        Some(ended) if wants.page => Ok(pages::respond(StatusCode::GONE, &ended)),
        Some(ended) => Err(ApiError::Gone {
            code: decisions::over(approval, now).map_or("gone", |refusal| refusal.code()),
            detail: ended.in_words(),
        }),
        None => Ok(pages::respond(StatusCode::OK, &question.page(&wants.path))),
    }
}

/// The users whose names the page has.
fn users_of(approval: &Approval, about: Option<&AgentRecord>) -> Vec<UserId> {
    let votes = approval.votes.iter().map(|vote| &vote.cast);
    let answers = votes.chain(&approval.decision);
    let principals = answers.map(|cast| &cast.principal);
    let before = about.and_then(|record| record.last.as_ref()?.decided_by.as_ref());
    let principals = principals.chain(&approval.approvers).chain(before);
    principals.filter_map(User::named_by).collect()
}

fn respond_to(
    question: &Question<'_>,
    wants: &WantsPage,
    simulated: bool,
    link: &str,
) -> Result<Response, ApiError> {
    match question.ended(&wants.path)? {
        Some(ended) if wants.page => Ok(pages::respond(StatusCode::GONE, &ended)),
        Some(ended) => Err(ApiError::Gone {
            code: decisions::over(question.approval, question.now)
                .map_or("gone", |refusal| refusal.code()),
            detail: ended.in_words(),
        }),
        None => {
            let page = question.page(simulated, &wants.path)?.bounded(link);
            Ok(pages::respond(StatusCode::OK, &page))
        }
    }
}

/// The approval's task, and the turn in which what may be large is read for it.
async fn turn_for(state: &AppState, approval: &Approval) -> Result<(Arc<Task>, Turn), ApiError> {
    let task = decisions::task_of(&state.app.ledger, approval).await?;
    let turn = state.turns.take(CountedFor::client(&task.subject)).await?;
    Ok((task, turn))
}

/// Where the question stands
///
/// For a page that is open: whether there is still something to decide, what came of it, and whether the
/// page would show more if it were loaded again.
#[utoipa::path(get, path = "/v1/approve/{link}/state", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    responses(
        (status = 200, body = QuestionState),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn standing(
    State(state): State<AppState>,
    By(who): By<action::ViewQuestion>,
) -> Result<Json<QuestionState>, ApiError> {
    let ledger = &state.app.ledger;
    let approval = decisions::opened(ledger, &who).await?;
    let used_by = decisions::used_by(ledger, &approval).await?;
    let now = ledger.now();
    let became = Became::of(&approval, used_by.as_deref(), now);
    Ok(Json(QuestionState {
        approval_id: approval.id.to_string(),
        state: approval.state_at(now).as_str(),
        upstream_read: approval.pre_state.is_some(),
        became: became.map(|became| became.ended.as_str()),
        progress: became.map_or_else(
            || approval.standing_votes().count(),
            |became| became.progress,
        ),
    }))
}

/// Options for a decision
///
/// A challenge that binds the decision, and the credentials that may answer it. Asking again leaves
/// earlier challenges valid.
#[utoipa::path(get, path = "/v1/approve/{link}/options", operation_id = "decision_options", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url"), DecisionQuery),
    responses(
        (status = 200, body = DecisionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options(
    State(state): State<AppState>,
    By(who): By<action::DecideQuestion>,
    QueryParams(request): QueryParams<DecisionQuery>,
) -> Result<Json<DecisionOptions>, ApiError> {
    let question = Undecided::of(&state.app, &who).await?;
    issue(&state, question, request.into()).await.map(Json)
}

/// Options for a decision, with a reason that does not stand in a URL, and what is kept
///
/// `statement` is what the passkey signs and `means` says it in words. A decision with a retention answers later
/// applies too, until it ends: those with the same key in all parts. It is not offered for what is sensitive (400
/// `retention_not_allowed`), but for denials. A denial with a `block` refuses whatever else what asked asks; 409 `allowed` where an
/// allow covers that.
#[utoipa::path(post, path = "/v1/approve/{link}/options", operation_id = "decision_options_with_reason", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    request_body = Option<DecisionRequest>,
    responses(
        (status = 200, body = DecisionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options_with_reason(
    State(state): State<AppState>,
    By(who): By<action::DecideQuestion>,
    OptionalJson(request): OptionalJson<DecisionRequest>,
) -> Result<Json<DecisionOptions>, ApiError> {
    let question = Undecided::of(&state.app, &who).await?;
    issue(&state, question, request.unwrap_or_default())
        .await
        .map(Json)
}

/// Decides
///
/// Records the decision that the passkey or command-line key signed, with its whole proof. `decision` and `reason` must be
/// the ones that the options were asked for, and `statement` the one that they held where they were asked for with a
/// retention; one that is not what the question says now is refused (409 `question_changed`). `on_screen` is recorded as what the browser says; it proves
/// nothing. Where the question needs others too, an approval is a vote: `status` is `voted`, and `waits` says for whom.
#[utoipa::path(post, path = "/v1/approve/{link}/verify", operation_id = "decide", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    request_body = VerifyRequest,
    responses(
        (status = 200, body = Decided),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn verify(
    State(state): State<AppState>,
    By(who): By<action::DecideQuestion>,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<Json<Decided>, ApiError> {
    let question = Undecided::of(&state.app, &who).await?;
    decide(&state, question, request).await.map(Json)
}

/// Records what a request decides.
pub(crate) async fn decide(
    state: &AppState,
    question: Undecided<'_>,
    request: VerifyRequest,
) -> Result<Decided, ApiError> {
    let decision = request.decision()?;
    let proof = request.proof()?;
    let on_screen = request.on_screen.map(OnScreen::from);
    let (reason, statement) = (request.reason, request.statement);
    let decided = question.decide(decision, reason, statement, proof, on_screen);
    let approval = decided.await?;
    let votes = match approval.state {
        ApprovalState::Pending => Votes::told(&state.app.ledger, &approval).await?,
        _ => None,
    };
    Ok(Decided {
        approval_id: approval.id.to_string(),
        status: match decision {
            Decision::Approve if approval.state == ApprovalState::Pending => "voted",
            Decision::Approve => "approved",
            Decision::Deny => "denied",
        },
        task_id: approval.task_id().map(|task| task.to_string()),
        waits: votes.as_ref().map(WaitsForOthers::from),
    })
}

/// The options for what a request decides.
pub(crate) async fn issue(
    state: &AppState,
    question: Undecided<'_>,
    request: DecisionRequest,
) -> Result<DecisionOptions, ApiError> {
    let (decision, reason) = (request.decision()?, request.reason.clone());
    let wanted = request.wanted()?;
    let options = question.options(decision, reason.as_deref(), wanted);
    let options = options.await?;
    Ok(DecisionOptions::of(&state.app.relying_party, options))
}

#[cfg(test)]
mod tests;
