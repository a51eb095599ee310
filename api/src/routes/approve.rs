//! Behind an approval link: the page, and the ceremony that decides. Whoever holds the link may look;
//! only an eligible passkey decides.

mod files;

use crate::extract::json::{OptionalJson, StrictJson};
use crate::extract::params::QueryParams;
use crate::limits::counted_for::CountedFor;
use crate::limits::request_id::ThisRequest;
use crate::limits::turns::Turn;
use crate::pages::{self, Question, WantsPage};
use crate::passkey::{AssertionOptions, EligibleCredential, PasskeyRefused};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::passkeys::{Decided, DecisionRequest, Standing, VerifyRequest};
use crate::state::AppState;
use app::action;
use app::token::link::ApprovalLink;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use ledger::aggregate::{Apply, Approval, ApprovalState, Approver, Task};
use ledger::command::DecideApproval;
use ledger::{
    Actor, ApproverName, Assertion, Challenge, CredentialId, Decision, Origin, PublicKey,
    Rejection, Timestamp,
};
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
        Ok(By(link)) => page(&state, &link, wants).await,
        Err(refused) => Err(refused),
    };
    match page {
        Ok(response) => response,
        Err(error) if wants.0 => pages::respond_notice(error, request_id),
        Err(error) => error.into_response(),
    }
}

async fn page(
    state: &AppState,
    link: &ApprovalLink,
    wants: WantsPage,
) -> Result<Response, ApiError> {
    let approval = opened(state, link).await?;
    let (task, _turn) = turn_for(state, &approval).await?;
    let ledger = &state.services.ledger;
    let apply = ledger.existing::<Apply>(approval.apply_id).await?;
    let used_by = match approval.consumed_by.or(approval.released_by) {
        Some(apply) => recorded(ledger.load::<Apply>(apply).await)?,
        None => None,
    };
    let now = ledger.now();
    let link = state.approval_url(&approval)?;
    let simulated = state.config.simulated;
    let providers = ledger.rules().providers.clone();
    // Much to read where a script is large, and others wait for this thread.
    let made = tokio::task::spawn_blocking(move || {
        let question = Question {
            approval: &approval,
            task: &task,
            apply: &apply,
            used_by: used_by.as_deref(),
            now,
            providers: &providers,
        };
        respond_to(&question, wants, simulated, &link)
    });
    made.await.map_err(ApiError::internal)?
}

fn respond_to(
    question: &Question<'_>,
    wants: WantsPage,
    simulated: bool,
    link: &str,
) -> Result<Response, ApiError> {
    match question.ended()? {
        Some(ended) if wants.0 => Ok(pages::respond(StatusCode::GONE, &ended)),
        Some(ended) => Err(ApiError::Gone {
            code: over(question.approval, question.now).map_or("gone", |refusal| refusal.code()),
            detail: ended.in_words(),
        }),
        None => {
            let page = question.page(simulated)?.bounded(link);
            Ok(pages::respond(StatusCode::OK, &page))
        }
    }
}

/// The approval's task, and the turn in which what may be large is read for it.
async fn turn_for(state: &AppState, approval: &Approval) -> Result<(Arc<Task>, Turn), ApiError> {
    let task: Arc<Task> = state.services.ledger.existing(approval.task_id).await?;
    let turn = state.turns.take(CountedFor::client(&task.subject)).await?;
    Ok((task, turn))
}

/// Where the question stands
///
/// For a page that is open: whether there is still something to decide, and whether it would show
/// more if it were loaded again.
#[utoipa::path(get, path = "/v1/approve/{link}/state", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    responses(
        (status = 200, body = Standing),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn standing(
    State(state): State<AppState>,
    By(link): By<action::ViewQuestion>,
) -> Result<Json<Standing>, ApiError> {
    let approval = opened(&state, &link).await?;
    let now = state.services.ledger.now();
    Ok(Json(Standing {
        approval_id: approval.id.to_string(),
        state: approval.state_at(now).as_str(),
        upstream_read: approval.pre_state.is_some(),
    }))
}

/// Options for a decision
///
/// A challenge that binds the decision, and the credentials that may answer it. Asking again leaves
/// earlier challenges valid.
#[utoipa::path(get, path = "/v1/approve/{link}/options", operation_id = "decision_options", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url"), DecisionRequest),
    responses(
        (status = 200, body = AssertionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options(
    State(state): State<AppState>,
    By(link): By<action::DecideQuestion>,
    QueryParams(request): QueryParams<DecisionRequest>,
) -> Result<Json<AssertionOptions>, ApiError> {
    issue(&state, &link, request).await.map(Json)
}

/// Options for a decision, with a reason that does not stand in a URL
#[utoipa::path(post, path = "/v1/approve/{link}/options", operation_id = "decision_options_with_reason", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    request_body = Option<DecisionRequest>,
    responses(
        (status = 200, body = AssertionOptions),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn options_with_reason(
    State(state): State<AppState>,
    By(link): By<action::DecideQuestion>,
    OptionalJson(request): OptionalJson<DecisionRequest>,
) -> Result<Json<AssertionOptions>, ApiError> {
    issue(&state, &link, request.unwrap_or_default())
        .await
        .map(Json)
}

/// Decides
///
/// Records the decision that the passkey signed, with its whole proof. `decision` and `reason` must be
/// the ones that the options were asked for.
#[utoipa::path(post, path = "/v1/approve/{link}/verify", operation_id = "decide", tag = "approvals",
    params(("link" = String, Path, description = "from approval_url")),
    request_body = VerifyRequest,
    responses(
        (status = 200, body = Decided),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ))]
async fn verify(
    State(state): State<AppState>,
    ThisRequest(request_id): ThisRequest,
    By(link): By<action::DecideQuestion>,
    StrictJson(request): StrictJson<VerifyRequest>,
) -> Result<Json<Decided>, ApiError> {
    let approval = undecided(&state, &link).await?;
    let decision = request.decision()?;
    let assertion = request.assertion()?;
    let (principal, credential) = eligible(&state, &approval, &assertion).await?;
    check(&state, &approval, &credential, &assertion, &request)?;
    let actor = Actor::Approver {
        principal,
        credential_id: CredentialId::unchecked(credential.credential_id),
    };
    let origin = Origin {
        actor,
        request_id: Some(request_id),
    };
    let command = DecideApproval {
        approval_id: approval.id,
        decision,
        reason: request.reason,
        assertion,
    };
    let decided = state.services.ledger.execute(origin, command).await?;
    let approval = decided.accepted()?;
    Ok(Json(Decided {
        approval_id: approval.id.to_string(),
        status: match decision {
            Decision::Approve => "approved",
            Decision::Deny => "denied",
        },
        task_id: approval.task_id.to_string(),
    }))
}

/// The approval that a link is for.
async fn opened(state: &AppState, link: &ApprovalLink) -> Result<Arc<Approval>, ApiError> {
    let ledger = &state.services.ledger;
    let approval = ledger.load::<Approval>(link.approval_id).await?;
    Ok(approval
        .filter(|approval| approval.task_id == link.task_id)
        .ok_or(Rejection::ApprovalNotFound)?)
}

/// As [`opened`], refusing one that there is nothing left to decide on.
async fn undecided(state: &AppState, link: &ApprovalLink) -> Result<Arc<Approval>, ApiError> {
    let approval = opened(state, link).await?;
    match over(&approval, state.services.ledger.now()) {
        None => Ok(approval),
        Some(refusal) => Err(refusal.into()),
    }
}

/// Why there is nothing left to decide; `None` while there is.
fn over(approval: &Approval, now: Timestamp) -> Option<Rejection> {
    match approval.state_at(now) {
        ApprovalState::Pending => None,
        ApprovalState::Expired => Some(Rejection::ApprovalExpired {
            at: approval.expiry(),
        }),
        ApprovalState::Cancelled => Some(Rejection::ApprovalCancelled),
        decided @ (ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Consumed) => {
            Some(Rejection::ApprovalDecided {
                state: decided.as_str(),
            })
        }
    }
}

async fn issue(
    state: &AppState,
    link: &ApprovalLink,
    request: DecisionRequest,
) -> Result<AssertionOptions, ApiError> {
    let approval = undecided(state, link).await?;
    let decision = request.decision()?;
    let ledger = &state.services.ledger;
    let statement = approval.statement(ledger.id(), decision, request.reason.as_deref());
    let valid_until = ledger
        .now()
        .plus(state.config.challenge_ttl)
        .min(approval.expires_at);
    let challenge = Challenge::issue(
        &ledger.rules().challenge_key,
        ledger.random().sixteen(),
        valid_until,
        &statement,
    );
    let mut credential_ids = Vec::new();
    for principal in &approval.approvers {
        if let Some(approver) = approver(state, principal).await? {
            let active = approver.active_credentials();
            credential_ids.extend(active.map(|credential| credential.credential_id.clone()));
        }
    }
    let ids = credential_ids.iter().map(CredentialId::as_slice);
    Ok(state
        .config
        .relying_party
        .assertion_options(&challenge, ids))
}

/// The approver of that principal. One who was erased decides nothing, and is in nobody's way.
async fn approver(
    state: &AppState,
    principal: &ApproverName,
) -> Result<Option<Arc<Approver>>, ApiError> {
    recorded(state.services.ledger.approver(principal).await)
}

/// What was loaded; what was erased is not there.
fn recorded<T>(loaded: Result<Option<T>, ledger::Error>) -> Result<Option<T>, ApiError> {
    match loaded {
        Err(ledger::Error::Rejected(Rejection::Erased)) => Ok(None),
        loaded => Ok(loaded?),
    }
}

/// The principal and credential that signed, where they may decide this.
async fn eligible(
    state: &AppState,
    approval: &Approval,
    assertion: &Assertion,
) -> Result<(ApproverName, EligibleCredential), ApiError> {
    for principal in &approval.approvers {
        let Some(approver) = approver(state, principal).await? else {
            continue;
        };
        let mut active = approver.active_credentials();
        let found = active.find(|one| one.credential_id.as_slice() == assertion.credential_id);
        if let Some(found) = found {
            let key =
                PublicKey::from_cose(found.public_key.as_slice()).map_err(ApiError::internal)?;
            let credential = EligibleCredential {
                credential_id: assertion.credential_id.clone(),
                public_key: key,
                sign_count: found.sign_count,
                backup_eligible: found.backup_eligible,
            };
            return Ok((principal.clone(), credential));
        }
    }
    Err(Rejection::CredentialNotEligible.into())
}

/// The library's rules, before the ledger applies its own: it alone knows the newest count, and
/// whether the challenge is still good at the moment of the decision.
fn check(
    state: &AppState,
    approval: &Approval,
    credential: &EligibleCredential,
    assertion: &Assertion,
    request: &VerifyRequest,
) -> Result<(), ApiError> {
    let ledger_id = state.services.ledger.id();
    let statement = approval.statement(ledger_id, request.decision()?, request.reason.as_deref());
    let party = &state.config.relying_party;
    assertion
        .challenge()
        .map_err(PasskeyRefused::from)
        .and_then(|challenge| party.verify_assertion(credential, &challenge, assertion, &statement))
        .map(|_| ())
        .map_err(refused)
}

fn refused(why: PasskeyRefused) -> ApiError {
    match why {
        PasskeyRefused::UnknownCredential => Rejection::CredentialNotEligible.into(),
        PasskeyRefused::Counter => Rejection::CounterWentBack.into(),
        PasskeyRefused::BackupFlags => Rejection::BackupEligibilityChanged.into(),
        PasskeyRefused::ChallengeExpired => Rejection::ChallengeExpired.into(),
        PasskeyRefused::Setup(cause) => ApiError::internal(cause),
        why => Rejection::AssertionInvalid {
            why: why.to_string(),
        }
        .into(),
    }
}

#[cfg(test)]
mod tests;
