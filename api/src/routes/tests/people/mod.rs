//! People over HTTP: logging in, sessions, users and groups, and one kind of credential for another.

mod attacks;
mod identities;
mod logging_in;
mod managing;
mod passkey_logins;
mod passkeys;
mod sessions;
mod setup;
mod software_keys;

use crate::schemes::client_address::PeerAddress;
use crate::testing::{Answer, SERVICE_TOKEN, Stage};
use app::identity::password::Password;
use axum::body::Body;
use fixtures::people;
use http::Request;
use ledger::{Origin, Role, UserId};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const PASSWORD: &str = "correct horse battery";

/// A request for the service under its own name.
struct Ask<'a> {
    method: &'a str,
    path: &'a str,
    headers: Vec<(&'a str, String)>,
    body: Value,
    peer: &'a str,
}

impl<'a> Ask<'a> {
    fn new(method: &'a str, path: &'a str) -> Self {
        Self {
            method,
            path,
            headers: vec![("host", "localhost:8080".to_owned())],
            body: Value::Null,
            peer: "192.0.2.1:4711",
        }
    }

    fn with(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.retain(|(given, _)| *given != name);
        self.headers.push((name, value.into()));
        self
    }

    fn bearer(self, token: &str) -> Self {
        self.with("authorization", format!("Bearer {token}"))
    }

    /// From a page of ours.
    fn cookie(self, token: &str) -> Self {
        self.with("cookie", format!("__Host-lpp={token}"))
            .with("sec-fetch-site", "same-origin")
    }

    fn peer(mut self, peer: &'a str) -> Self {
        self.peer = peer;
        self
    }

    fn body(mut self, body: Value) -> Self {
        self.body = body;
        self
    }

    async fn of(self, stage: &Stage) -> Answer {
        let mut request = Request::builder().method(self.method).uri(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request = request.extension(PeerAddress(self.peer.parse().unwrap()));
        let body = if self.body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(self.body.to_string())
        };
        let request = request.body(body).unwrap();
        Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
    }
}

fn login<'a>(name: &str, password: &str) -> Ask<'a> {
    let body = json!({"username": name, "password": password});
    Ask::new("POST", "/v1/auth/login").body(body)
}

/// Who the service takes the holder of a session for: status and code, 200 and nothing for somebody.
async fn is_somebody(stage: &Stage, bearer: &str) -> (u16, String) {
    let answer = Ask::new("GET", "/v1/me").bearer(bearer).of(stage).await;
    (answer.status, answer.code().to_owned())
}

fn somebody() -> (u16, String) {
    (200, String::new())
}

fn nobody() -> (u16, String) {
    (401, "session_ended".to_owned())
}

/// As the service token.
async fn as_service(stage: &Stage, method: &str, path: &str, body: Value) -> Answer {
    let ask = Ask::new(method, path).bearer(SERVICE_TOKEN).body(body);
    ask.of(stage).await
}

/// A user with [`PASSWORD`].
async fn user(stage: &Stage, name: &str, role: Role) -> UserId {
    let user = stage.user(name, role).await.id;
    let app = &stage.state.app;
    let mut set = people::set_password(user);
    let password = Password::parse(PASSWORD).unwrap();
    set.password.hash = app.passwords.hash(password).await.unwrap();
    let origin = Origin::system("test");
    app.ledger.execute(origin, set).await.unwrap();
    user
}

/// The bearer token of a login.
async fn logged_in(stage: &Stage, name: &str) -> String {
    let answer = login(name, PASSWORD).of(stage).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["token"].as_str().unwrap().to_owned()
}

/// The value of the session cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    let cookie = answer.headers["set-cookie"].to_str().unwrap();
    let value = cookie.strip_prefix("__Host-lpp=").unwrap();
    value.split(';').next().unwrap().to_owned()
}
