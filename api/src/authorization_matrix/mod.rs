//! The authorization matrix: every route with every caller that its action does not admit, made from the
//! table that the service itself reads (`app::action`). A route that is registered but missing in
//! [`ROUTES`] fails the test, and so does a row without a route.

mod agent_keys;
mod cookie;
mod roles;
mod routes;
mod service;

use crate::router::described;
use crate::routes::views;
use crate::testing::SERVICE_TOKEN;
use app::token::link::{ApprovalLink, EnrolmentLink};
use app::{Action, Who};
use http::Request;
use ledger::{ApprovalId, ApproverName, EnrolmentId, Role, TaskId};
use routes::ROUTES;
use service::{Refusal, TestService, with};
use std::collections::BTreeSet;

#[test]
fn every_route_has_an_action() {
    let (_, description) = described().split_for_parts();
    let description = serde_json::to_value(description).unwrap();
    let methods = [
        "get", "put", "post", "patch", "delete", "head", "options", "trace",
    ];
    let registered: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            methods
                .iter()
                .filter(|method| item.get(**method).is_some())
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .chain(
            views::PATHS
                .iter()
                .map(|path| ("GET".into(), (*path).into())),
        )
        .collect();
    let rows: BTreeSet<(String, String)> = ROUTES
        .iter()
        .map(|(method, path, _)| ((*method).into(), (*path).into()))
        .collect();
    assert_eq!(registered, rows, "routes on the left, rows on the right");
}

#[tokio::test]
async fn every_route_refuses_whom_its_action_does_not_admit() {
    let service = TestService::build().await;
    for (method, template, action) in ROUTES {
        let path = service.filled(template);
        for Refusal {
            way,
            request,
            status,
            code,
        } in service.refusals(method, &path, *action)
        {
            // A body that no route takes: a refusal for it would show that the body came first.
            let answer = service.ask(request, "{\"nonsense\":").await;
            let place = format!("{method} {template}: {way}");
            assert_eq!(answer.status, status, "{place}: {answer:?}");
            assert_eq!(
                answer.headers["content-type"], "application/problem+json",
                "{place}"
            );
            assert_eq!(answer.body["message"], answer.body["detail"], "{place}");
            if !code.is_empty() {
                assert_eq!(answer.code(), code, "{place}: {answer:?}");
            }
        }
    }
}

/// A path with a text in the place of an id names nothing that exists, and is no fault of the service.
#[tokio::test]
async fn an_id_that_does_not_parse_is_not_found_and_never_a_fault() {
    let service = TestService::build().await;
    let by_id = ROUTES.iter().filter(|(_, template, action)| {
        template.contains('{') && !template.contains("{*") && !is_behind_link(*action)
    });
    for (method, template, action) in by_id {
        let who = action.who();
        let is_id = ["_id}", "{id}", "{version}"]
            .iter()
            .any(|it| template.contains(it));
        for id in ["x!", "%FF"] {
            let path = service.filled_with(template, id);
            let bare = || {
                let bare = Request::builder().method(*method).uri(&path);
                bare.header("host", "localhost:8080")
            };
            let role = who.iter().find_map(|who| match who {
                Who::User(role) => Some(*role),
                Who::Session => Some(Role::Viewer),
                _ => None,
            });
            let mut asked = Vec::new();
            // Where the service token counts, sessions of admins would have to show a passkey first.
            if role.is_some_and(|role| role < Role::Admin) {
                let session = service.stage.session_of(Role::Operator).await;
                asked.push(with(bare(), &session.bearer));
            }
            if who.iter().any(|who| matches!(who, Who::User(_))) {
                asked.push(with(bare(), SERVICE_TOKEN));
            }
            if who.iter().any(|who| matches!(who, Who::Administrator(_))) {
                asked.push(with(
                    service.signed(method, &path),
                    &service.bootstrap(|_| ()),
                ));
            }
            for request in asked {
                let answer = service.ask(request, "{\"nonsense\":").await;
                let place = format!("{method} {path}: {answer:?}");
                match answer.status {
                    404 => assert!(answer.code().ends_with("_not_found"), "{place}"),
                    // The body is read first where the path may name what is made only now.
                    400 => assert_ne!(*method, "GET", "{place}"),
                    // Of a name that nobody has heard of some say that there is nothing.
                    200..300 => assert!(!is_id, "{place}"),
                    _ => panic!("{place}"),
                }
            }
            if who.contains(&Who::Agent) {
                let request = with(service.signed(method, &path), &service.capability_token());
                let answer = service.ask(request, "{\"nonsense\":").await;
                assert_eq!(answer.status, 403, "{method} {path}: {answer:?}");
            }
        }
    }
}

/// Without this, a route that refuses everybody would pass the test above.
#[tokio::test]
async fn every_route_admits_whom_its_action_admits() {
    let service = TestService::build().await;
    for (method, template, action) in ROUTES
        .iter()
        .filter(|(_, _, action)| !is_behind_link(*action) && !action.who().contains(&Who::Session))
    {
        let path = service.filled(template);
        let request = with(service.signed(method, &path), &service.fitting(*action));
        let answer = service.ask(request, "{\"nonsense\":").await;
        let refused = [401, 403].contains(&answer.status);
        assert!(!refused, "{method} {template}: {answer:?}");
    }
}

#[tokio::test]
async fn the_service_token_may_do_what_users_may_without_a_signed_subject() {
    let service = TestService::build().await;
    let may = |action: &Action| action.who().iter().any(|who| matches!(who, Who::User(_)));
    for (method, template, _) in ROUTES.iter().filter(|(_, _, action)| may(action)) {
        let ask = async |token: &str| {
            let request = Request::builder()
                .method(*method)
                .uri(service.filled(template));
            let answer = service.ask(with(request, token), "{\"nonsense\":").await;
            answer.status
        };
        let status = ask(SERVICE_TOKEN).await;
        assert!(
            ![401, 403].contains(&status),
            "{method} {template}: {status}"
        );
        // Without signed subject headers, what is no service token is nobody.
        let longer = format!("{SERVICE_TOKEN}x");
        for wrong in ["", &SERVICE_TOKEN[1..], &longer] {
            assert_eq!(ask(wrong).await, 401, "{method} {template}");
        }
    }
}

#[tokio::test]
async fn what_is_public_asks_for_nothing() {
    let service = TestService::build().await;
    for (method, path, _) in ROUTES
        .iter()
        .filter(|(_, _, action)| *action == Action::ReadPublic)
    {
        let request = Request::builder().method(*method).uri(service.filled(path));
        let answer = service.ask(request, "").await;
        assert!((200..300).contains(&answer.status), "{path}");
    }
}

#[tokio::test]
async fn a_route_behind_a_link_opens_to_its_own_kind_of_link_only() {
    let service = TestService::build().await;
    let state = &service.stage.state;
    let approval = ApprovalLink {
        approval_id: ApprovalId::from_bytes([1; 16]),
        task_id: Some(TaskId::from_bytes([2; 16])),
    };
    let approval = state.app.keys.approval_link.sign(approval).unwrap();
    let enrolment = EnrolmentLink {
        enrolment_id: EnrolmentId::from_bytes([1; 16]),
        principal: ApproverName::unchecked("default"),
        exp: i64::MAX / 2_000_000,
    };
    let enrolment = state.app.keys.enrolment_link.sign(enrolment).unwrap();
    for (method, path, action) in ROUTES
        .iter()
        .filter(|(_, _, action)| is_behind_link(*action))
    {
        let setup = state.app.setup.reveal();
        let (approval, enrolment) = (approval.reveal(), enrolment.reveal());
        let (right, wrong) = match action.who().first() {
            Some(Who::ApprovalLink) => (approval, [enrolment, setup]),
            Some(Who::SetupLink) => (setup, [approval, enrolment]),
            _ => (enrolment, [approval, setup]),
        };
        let guess = state
            .app
            .keys
            .short_link
            .seal(ApprovalId::from_bytes([1; 16]));
        let ask = async |path: &str, link: &str| {
            let path = path.replace("{link}", link);
            let path = path.replace("{file}", "request.json");
            let request = Request::builder().method(*method).uri(path);
            service.ask(request, "{\"nonsense\":").await
        };
        let page = *method == "GET" && action.who().contains(&Who::SetupLink);
        // Questions have two addresses.
        for path in BTreeSet::from([path.to_string(), path.replace("/v1/approve/", "/a/")]) {
            for link in ["nonsense", "a.b.c", guess.reveal(), wrong[0], wrong[1]] {
                let answer = ask(&path, link).await;
                assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
                assert_eq!(answer.code(), "unauthorized");
            }
            let answer = ask(&path, right).await;
            assert!(
                [400, 404].contains(&answer.status) || page && answer.status == 200,
                "{method} {path}: {answer:?}"
            );
        }
    }
}

fn is_behind_link(action: Action) -> bool {
    action.who().iter().any(|who| who.is_by_link())
}
