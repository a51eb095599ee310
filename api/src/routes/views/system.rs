//! How the service stands.

use super::Asked;
use crate::pages::views::{Frame, LimitRow, ProjectionRow, SignedRow, SystemPage, View};
use crate::pages::{Moment, Short, in_thousands, lasting};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::{Acting, action};
use axum::extract::State;
use axum::response::Response;
use projections::Projections;

const TEXT: usize = 1000;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadSystem>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        system(&state, &who, &asked).await
    };
    asked.page(made.await)
}

async fn system(state: &AppState, who: &Acting, asked: &Asked) -> Result<SystemPage, ApiError> {
    // As they are, since how far they are is what is asked.
    let views: &Projections = &state.app.projections;
    let status = views.status();
    let depths = views.depths().await?;
    let rows = status.projections.iter().map(|one| ProjectionRow {
        name: one.projection.as_str(),
        cursor: one.cursor,
        behind: status.head.saturating_sub(one.cursor),
        stopped: one
            .stop
            .as_ref()
            .map(|stop| Short::line(stop.to_string(), TEXT)),
    });
    let reasons = state.readiness.reasons_against().into_iter();
    Ok(SystemPage {
        frame: Frame::of(who, asked.path(), View::System, status.head),
        now: Moment::new(state.app.ledger.now()),
        version: env!("CARGO_PKG_VERSION"),
        simulated: state.config.simulated,
        reasons: reasons.map(|reason| Short::line(reason, TEXT)).collect(),
        events: status.head,
        projections: rows.collect(),
        rebuilding: views.rebuilding(),
        signed: signed(state),
        queues: vec![
            ("Applies that may run", depths.ready_applies),
            ("Deliveries that are owed", depths.due_deliveries),
            (
                "Questions that nobody has decided",
                depths.pending_approvals,
            ),
            ("Deliveries that were given up", depths.given_up_deliveries),
            (
                "Outcomes that a person has to settle",
                depths.unknown_applies,
            ),
        ],
        limits: limits(state),
    })
}

fn signed(state: &AppState) -> Option<SignedRow> {
    let checkpoints = state.app.ledger.checkpoints()?;
    let witnessed = checkpoints.witnessed().map(|it| {
        let own = checkpoints.key().name().as_str();
        let signatures = it.note().signatures().iter();
        let names = signatures.map(|signature| signature.name().as_str());
        let names = names.filter(|name| *name != own);
        let names = names.map(|name| Short::line(name, TEXT)).collect();
        (it.size(), names)
    });
    Some(SignedRow {
        signed: checkpoints.newest().map_or(0, |newest| newest.size()),
        failing: checkpoints.failing().map(|why| Short::line(why, TEXT)),
        witnessed,
    })
}

fn limits(state: &AppState) -> Vec<LimitRow> {
    let (requests, _) = state.under_way.counts();
    let rules = state.app.ledger.rules();
    let quotas = &rules.quotas;
    let row = |what, taken, most| LimitRow { what, taken, most };
    const MIB: u64 = 1 << 20;
    let size = |bytes: u64| match (bytes, bytes % MIB) {
        (0, _) => "no limit".to_owned(),
        (bytes, 0) => format!("at most {} MiB", in_thousands(bytes / MIB)),
        (bytes, _) => format!("at most {} bytes", in_thousands(bytes)),
    };
    let rate = match state.config.rate_limit_rps {
        0 => "no limit".to_owned(),
        rate => format!("at most {rate} a second"),
    };
    vec![
        row(
            "Requests under way",
            Some(requests),
            "of all callers".to_owned(),
        ),
        row(
            "Streams",
            Some(state.app.feed.watching()),
            "of all browsers and programs".to_owned(),
        ),
        row("Requests of one caller", None, rate),
        row(
            "Open questions of one task",
            None,
            format!("at most {}", quotas.open_approvals),
        ),
        row(
            "Events of one task in an hour",
            None,
            size(quotas.task_bytes),
        ),
        row(
            "Events of one agent in an hour",
            None,
            size(quotas.agent_bytes),
        ),
        row("A question stays open", None, lasting(rules.approval_ttl)),
        row("A session lasts", None, lasting(state.config.session_ttl)),
        row(
            "Tries of a callback",
            None,
            format!("{} in a round", rules.callback_max_attempts),
        ),
    ]
}
