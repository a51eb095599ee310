//! A person's own key of an upstream, and the settings of programs that go through this service.

use super::Asked;
use crate::pages::Beside;
use crate::pages::views::{Frame, ProxyPage, View};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::{Acting, action, upstream_keys};
use axum::extract::State;
use axum::response::Response;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadOwnUpstreamKey>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let ledger = &state.app.ledger;
        let as_of = *ledger.size().borrow();
        let key = upstream_keys::own(&state.app, &who).await?;
        Ok(ProxyPage {
            frame: Frame::of(&Acting::from(who), asked.path(), View::Proxy, as_of),
            since: key.map(|key| Beside::past(key.stored_at, ledger.now())),
            settings: upstream_keys::anthropic_settings(&state.config.base_url).join("\n"),
            session: upstream_keys::session_in_words(state.app.session_ttl),
        })
    };
    asked.page(made.await)
}
