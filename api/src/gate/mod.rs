//! The gate of the surface: every route with every way to be refused at its door. A route that is
//! registered but missing in [`DOORS`] fails the test, and so does a door without a route.

mod doors;
mod house;

use crate::auth::link::{ApprovalLink, EnrolmentLink};
use crate::router::described;
use doors::{DOORS, Door};
use house::{House, Refusal, with};
use http::Request;
use ledger::{ApprovalId, EnrolmentId, TaskId};
use std::collections::BTreeSet;

#[test]
fn every_route_has_a_door() {
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
        .collect();
    let doors: BTreeSet<(String, String)> = DOORS
        .iter()
        .map(|(method, path, _)| ((*method).into(), (*path).into()))
        .collect();
    assert_eq!(registered, doors, "routes on the left, doors on the right");
}

#[tokio::test]
async fn nobody_gets_past_a_door_who_should_not() {
    let house = House::build().await;
    for (method, template, door) in DOORS {
        let path = house.filled(template);
        for Refusal {
            way,
            request,
            status,
            code,
        } in house.refusals(method, &path, *door)
        {
            // A body that no route takes: a refusal for it would show that the body came first.
            let answer = house.ask(request, "{\"nonsense\":").await;
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

/// Without this, a door that refuses everybody would pass the test above.
#[tokio::test]
async fn who_should_gets_past_every_door() {
    let house = House::build().await;
    for (method, template, door) in DOORS.iter().filter(|(_, _, door)| *door != Door::Link) {
        let path = house.filled(template);
        let request = with(house.signed(method, &path), &house.fitting(*door));
        let answer = house.ask(request, "{\"nonsense\":").await;
        let refused = [401, 403].contains(&answer.status);
        assert!(!refused, "{method} {template}: {answer:?}");
    }
}

#[tokio::test]
async fn an_open_door_asks_for_nothing() {
    let house = House::build().await;
    for (method, path, _) in DOORS.iter().filter(|(_, _, door)| *door == Door::Open) {
        let request = Request::builder().method(*method).uri(house.filled(path));
        let answer = house.ask(request, "").await;
        assert!((200..300).contains(&answer.status), "{path}");
    }
}

#[tokio::test]
async fn a_link_door_opens_to_its_own_kind_of_link_only() {
    let house = House::build().await;
    let state = &house.stage.state;
    let approval = ApprovalLink {
        approval_id: ApprovalId::from_bytes([1; 16]),
        task_id: TaskId::from_bytes([2; 16]),
    };
    let approval = state.keys.approval_link.sign(approval).unwrap();
    let enrolment = EnrolmentLink {
        enrolment_id: EnrolmentId::from_bytes([1; 16]),
        principal: "default".to_owned(),
        exp: i64::MAX / 2_000_000,
    };
    let enrolment = state.keys.enrolment_link.sign(enrolment).unwrap();
    for (method, path, _) in DOORS.iter().filter(|(_, _, door)| *door == Door::Link) {
        let (right, wrong) = if path.contains("approve") {
            (&approval, &enrolment)
        } else {
            (&enrolment, &approval)
        };
        let ask = async |link: &str| {
            let path = path.replace("{link}", link);
            let path = path.replace("{file}", "request.json");
            let request = Request::builder().method(*method).uri(path);
            house.ask(request, "{\"nonsense\":").await
        };
        for link in ["nonsense", "a.b.c", wrong.reveal()] {
            let answer = ask(link).await;
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert_eq!(answer.code(), "unauthorized");
        }
        let answer = ask(right.reveal()).await;
        assert!(
            [400, 404].contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
    }
}
