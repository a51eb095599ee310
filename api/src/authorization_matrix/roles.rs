//! Every route with a session of each role, and with what makes a session count for nothing.

use super::routes::ROUTES;
use super::service::TestService;
use crate::testing::{Answer, OpenedSession};
use app::{Action, Who, sessions, software_keys};
use fixtures::approver::SoftApprover;
use fixtures::soft_key::SoftKey;
use http::Request;
use http::request::Builder;
use ledger::aggregate::User;
use ledger::command::{Enrol, OpenUserEnrolment, StepUp};
use ledger::{Ceremony, Origin, Role, key_login_message};
use serde_json::Value;

const ROLES: [Role; 3] = [Role::Viewer, Role::Operator, Role::Admin];

/// Status, code and required role of the refusal; `None` for who gets past authorization.
type Expected = Option<(u16, &'static str, Option<&'static str>)>;

/// By the table of PEOPLE: the kind of identity, then the role, then the passkey.
fn expected(action: Action, role: Role, is_unsafe: bool) -> Expected {
    let least = action.who().iter().find_map(|who| match who {
        Who::User(least) => Some(*least),
        Who::Session | Who::Identity => Some(Role::Viewer),
        _ => None,
    });
    match least {
        None if action.who().contains(&Who::Auditor) => Some((403, "forbidden", None)),
        None => Some((403, "wrong_identity", None)),
        Some(least) if role < least => Some((403, "role_required", Some(least.as_str()))),
        Some(Role::Admin) if is_unsafe => Some((403, "step_up_required", None)),
        Some(_) => None,
    }
}

/// Routes where a session is looked at.
fn routes() -> impl Iterator<Item = &'static (&'static str, &'static str, Action)> {
    ROUTES.iter().filter(|(_, _, action)| {
        let is_unproven = |who: &Who| *who == Who::Anyone || who.is_by_link();
        !action.who().iter().any(is_unproven)
    })
}

fn request(method: &str, path: &str) -> Builder {
    let request = Request::builder().method(method).uri(path);
    request.header("host", "localhost:8080")
}

fn by_cookie(request: Builder, session: &OpenedSession) -> Builder {
    let request = request.header("sec-fetch-site", "same-origin");
    request.header("cookie", format!("__Host-lpp={}", session.cookie))
}

fn by_bearer(request: Builder, session: &OpenedSession) -> Builder {
    request.header("authorization", format!("Bearer {}", session.bearer))
}

fn assert_refused(answer: &Answer, expected: Expected, place: &str) {
    let Some((status, code, required)) = expected else {
        let is_refused = [401, 403].contains(&answer.status);
        assert!(!is_refused, "{place}: {answer:?}");
        return;
    };
    assert_eq!((answer.status, answer.code()), (status, code), "{place}");
    let required = required.map_or(Value::Null, Value::from);
    assert_eq!(answer.body["required_role"], required, "{place}");
    assert_eq!(answer.body["role"].is_null(), required.is_null(), "{place}");
}

#[tokio::test]
async fn every_route_holds_a_session_to_its_role() {
    let service = TestService::build().await;
    for (method, template, action) in routes() {
        let path = service.filled(template);
        let is_unsafe = *method != "GET";
        for role in ROLES {
            for way in ["cookie", "bearer"] {
                // A session of its own each, because some routes end it.
                let session = service.stage.session_of(role).await;
                let asked = match way {
                    "cookie" => by_cookie(request(method, &path), &session),
                    _ => by_bearer(request(method, &path), &session),
                };
                let answer = service.ask(asked, "{\"nonsense\":").await;
                let place = format!("{method} {template} as {role:?} by {way}");
                assert_refused(&answer, expected(*action, role, is_unsafe), &place);
            }
        }
    }
}

#[tokio::test]
async fn every_route_of_admins_admits_a_session_that_has_shown_a_passkey() {
    let service = TestService::build().await;
    let ledger = &service.stage.state.app.ledger;
    let admin = service.stage.user("shows-a-passkey", Role::Admin).await.id;
    let system = || Origin::system("test");
    let invited = ledger.execute(system(), OpenUserEnrolment { user_id: admin });
    let passkey = SoftApprover::new(&User::principal_of(admin)).without_counter();
    let enrol = Enrol {
        enrolment_id: invited.await.unwrap().enrolment_id,
        credential: passkey.new_credential(),
    };
    ledger.execute(system(), enrol).await.unwrap();
    for (method, template, action) in routes() {
        let needed = expected(*action, Role::Admin, *method != "GET");
        if needed != Some((403, "step_up_required", None)) {
            continue;
        }
        let session = service.stage.log_in(admin).await;
        let asked = || by_bearer(request(method, &service.filled(template)), &session);
        let place = format!("{method} {template}");
        let answer = service.ask(asked(), "{\"nonsense\":").await;
        assert_refused(&answer, needed, &place);
        let step_up = StepUp {
            session_id: session.id,
            assertion: passkey.prove(ledger, Ceremony::StepUp(session.id)).0,
        };
        ledger.execute(system(), step_up).await.unwrap();
        let answer = service.ask(asked(), "{\"nonsense\":").await;
        assert_refused(&answer, None, &place);
    }
}

#[tokio::test]
async fn no_route_takes_a_session_that_has_ended() {
    let service = TestService::build().await;
    let session = service.stage.session_of(Role::Admin).await;
    service.stage.log_out(&session).await;
    for (method, template, _) in routes() {
        let path = service.filled(template);
        let asked = by_bearer(request(method, &path), &session);
        let answer = service.ask(asked, "{\"nonsense\":").await;
        let place = format!("{method} {template}");
        assert_refused(&answer, Some((401, "session_ended", None)), &place);
        assert!(!answer.headers.contains_key("set-cookie"), "{place}");
        let asked = by_cookie(request(method, &path), &session);
        let answer = service.ask(asked, "{\"nonsense\":").await;
        assert_refused(&answer, Some((401, "session_ended", None)), &place);
        let forgotten = answer.headers["set-cookie"].to_str().unwrap();
        assert!(forgotten.starts_with("__Host-lpp=; Max-Age=0;"), "{place}");
    }
}

#[tokio::test]
async fn no_route_changes_something_for_a_page_of_another_site() {
    let service = TestService::build().await;
    let session = service.stage.session_of(Role::Admin).await;
    for (method, template, action) in routes() {
        let path = service.filled(template);
        let cookie = format!("__Host-lpp={}", session.cookie);
        let expected = match expected(*action, Role::Admin, false) {
            Some((_, "wrong_identity", _)) => Some((403, "wrong_identity", None)),
            read if *method == "GET" => read,
            _ => Some((403, "cross_site", None)),
        };
        let cross_site = [
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("x-nothing", "said"),
        ];
        for (name, value) in cross_site {
            let asked = request(method, &path).header("cookie", &cookie);
            let asked = asked.header(name, value);
            let answer = service.ask(asked, "{\"nonsense\":").await;
            let place = format!("{method} {template} with {name}: {value}");
            assert_refused(&answer, expected, &place);
        }
        // Another name that resolves to us.
        let asked = Request::builder().method(*method).uri(&path);
        let asked = asked
            .header("host", "evil.example")
            .header("cookie", &cookie);
        let asked = asked.header("sec-fetch-site", "same-origin");
        let answer = service.ask(asked, "{\"nonsense\":").await;
        let is_wrong = matches!(expected, Some((_, "wrong_identity", _)));
        let code = if is_wrong {
            "wrong_identity"
        } else {
            "cross_site"
        };
        assert_refused(&answer, Some((403, code, None)), template);
    }
}

#[tokio::test]
async fn who_has_to_change_the_password_does_that_first() {
    let service = TestService::build().await;
    for (method, template, action) in routes() {
        let path = service.filled(template);
        let session = service.stage.session_of(Role::Admin).await;
        let session = service.stage.must_change(session).await;
        let asked = by_bearer(request(method, &path), &session);
        let answer = service.ask(asked, "{\"nonsense\":").await;
        let place = format!("{method} {template}");
        let expected = match expected(*action, Role::Admin, false) {
            wrong @ Some((_, "wrong_identity", _)) => wrong,
            _ if action.is_before_password_change() => None,
            _ => Some((403, "password_change_required", None)),
        };
        assert_refused(&answer, expected, &place);
    }
}

#[tokio::test]
async fn with_a_token_the_cookie_is_not_read() {
    let service = TestService::build().await;
    let session = service.stage.session_of(Role::Admin).await;
    for (method, template, _) in routes() {
        let path = service.filled(template);
        for token in ["Bearer nonsense", "Bearer ", "Basic YTpi"] {
            let asked = by_cookie(request(method, &path), &session);
            let answer = service.ask(asked.header("authorization", token), "").await;
            assert_eq!(answer.status, 401, "{method} {template}: {answer:?}");
        }
    }
}

/// A user of that role with a command-line key of their own.
async fn with_key(service: &TestService, role: Role) -> SoftKey {
    let ledger = &service.stage.state.app.ledger;
    let name = format!("key-of-{}", role.as_str());
    let user_id = service.stage.user(&name, role).await.id;
    let system = || Origin::system("test");
    let invited = ledger.execute(system(), OpenUserEnrolment { user_id });
    let passkey = SoftApprover::new(&User::principal_of(user_id)).without_counter();
    let enrol = Enrol {
        enrolment_id: invited.await.unwrap().enrolment_id,
        credential: passkey.new_credential(),
    };
    ledger.execute(system(), enrol).await.unwrap();
    let epoch = ledger.load::<User>(user_id).await.unwrap().unwrap().epoch;
    let login = fixtures::people::passkey_login(ledger, user_id, epoch, &passkey);
    let by = fixtures::people::login_of(&login);
    let session = ledger.execute(by, login).await.unwrap().session;
    let key = SoftKey::new(&name);
    let added = ledger.execute(
        fixtures::people::by(&session),
        key.addition(user_id).unwrap(),
    );
    added.await.unwrap();
    key
}

/// The bearer token of a session that a key has opened.
async fn by_key(service: &TestService, key: &SoftKey) -> String {
    let app = &service.stage.state.app;
    let address = std::net::IpAddr::from([192, 0, 2, 1]);
    let challenge = software_keys::login_options(app, key.credential_id(), address).unwrap();
    let challenge = challenge.to_bytes();
    let signed = key.sign(&challenge, &key_login_message(&challenge));
    let begun = sessions::log_in_by_key(app, signed, address, None).await;
    begun.unwrap().bearer.into_revealed()
}

#[tokio::test]
async fn every_route_holds_a_session_of_a_command_line_key_to_the_role_of_its_user() {
    let service = TestService::build().await;
    for role in ROLES {
        let key = with_key(&service, role).await;
        for (method, template, action) in routes() {
            // One each, because some routes end it.
            let bearer = by_key(&service, &key).await;
            let path = service.filled(template);
            let asked = request(method, &path).header("authorization", format!("Bearer {bearer}"));
            let answer = service.ask(asked, "{\"nonsense\":").await;
            let expected = match action {
                Action::LogOutEverywhere => Some((403, "key_session", None)),
                // Its own passkey invites nobody by a session that has shown none.
                Action::ManageOwnPasskeys if *template == "/v1/me/enrolment" => {
                    Some((403, "step_up_required", None))
                }
                other => expected(*other, role, *method != "GET"),
            };
            let place = format!("{method} {template} by a key of a {}", role.as_str());
            assert_refused(&answer, expected, &place);
        }
    }
}
