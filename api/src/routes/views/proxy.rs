//! A person's own key of an upstream, and the settings of programs that go through this service.

use super::Asked;
use crate::pages::Beside;
use crate::pages::views::{Frame, ProxyPage, View};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::token::link::absolute;
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
        let address = absolute(&state.config.base_url, "/proxy/anthropic");
        let hours = state.app.session_ttl.as_secs() / 3600;
        let minutes = state.app.session_ttl.as_secs() / 60;
        Ok(ProxyPage {
            frame: Frame::of(&Acting::from(who), asked.path(), View::Proxy, as_of),
            since: key.map(|key| Beside::past(key.stored_at, ledger.now())),
            settings: format!(
                "export ANTHROPIC_BASE_URL={address}\nexport ANTHROPIC_AUTH_TOKEN=<agent key>"
            ),
            session: match minutes % 60 {
                0 => format!("{hours} h"),
                _ => format!("{minutes} min"),
            },
        })
    };
    asked.page(made.await)
}
