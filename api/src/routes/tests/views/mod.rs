//! Views as a browser gets them, without scripts.

mod around;
mod history;
mod inbox;
mod schedules;

use super::Scene;
use crate::testing::{OpenedSession, Stage};
use axum::body::Body;
use fixtures::approver::SoftApprover;
use http::{HeaderMap, Request};
use ledger::command::LinkPrincipal;
use ledger::{Ceremony, Origin, UserId};
use tower::ServiceExt as _;

/// Text that would break out of every place a view could put it in.
const HOSTILE: &str = "\"'><img src=x onerror=alert(1)></script>\u{202e}{{7*7}}";

/// A page as it came.
struct Page {
    status: u16,
    headers: HeaderMap,
    html: String,
}

impl Stage {
    /// What the browser of a session gets at a path; of a stranger without one.
    async fn view(&self, path: &str, session: Option<&OpenedSession>) -> Page {
        let mut request = Request::builder()
            .uri(path)
            .header("host", "localhost:8080")
            .header("accept", "text/html,*/*");
        if let Some(session) = session {
            request = request.header("cookie", format!("__Host-lpp={}", session.cookie));
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        Page {
            status: parts.status.as_u16(),
            headers: parts.headers,
            html: String::from_utf8(body.to_vec()).unwrap(),
        }
    }

    /// The text of what the browser of a session gets at a path.
    pub(in crate::routes::tests) async fn read_view(
        &self,
        path: &str,
        session: &OpenedSession,
    ) -> String {
        self.view(path, Some(session)).await.html
    }

    /// Makes the principal `default` a user's own.
    async fn link_default(&self, user_id: UserId) -> SoftApprover {
        let ledger = &self.state.app.ledger;
        let approver = SoftApprover::new("default");
        let system = || Origin::system("test");
        let registered = ledger.execute(system(), approver.registration());
        registered.await.unwrap();
        let link = LinkPrincipal {
            user_id,
            principal: approver.principal().clone(),
            assertion: approver
                .prove(
                    ledger,
                    Ceremony::Link(user_id, approver.principal().clone()),
                )
                .0,
        };
        ledger.execute(system(), link).await.unwrap();
        approver
    }
}

impl Page {
    /// The part of the page below that id, up to the next section.
    fn section(&self, id: &str) -> &str {
        let (_, rest) = self
            .html
            .split_once(&format!("<section id=\"{id}\""))
            .unwrap();
        rest.split_once("</section>").unwrap().0
    }

    #[track_caller]
    fn is_harmless(&self) {
        assert_eq!(self.status, 200, "{}", self.html);
        for foreign in ["<img", " style=", "<style", "\u{202e}", "javascript:"] {
            assert!(!self.html.contains(foreign), "{foreign}: {}", self.html);
        }
        for script in self.html.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src=\""), "{script}");
        }
        let policy = &self.headers["content-security-policy"];
        assert!(policy.to_str().unwrap().contains("default-src 'none'"));
        assert_eq!(self.headers["cache-control"], "no-store");
    }
}
