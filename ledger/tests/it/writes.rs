//! Writes through proxies: each in a task of its own, and the same again finds it, until its end was told.

use crate::scene::{Scene, end, start, succeeded};
use fixtures::commands::{agent_with_key, create_key, dns_create, key as apply_key, presented_key};
use ledger::aggregate::Key;
use ledger::command::{ForwardWrite, OWED, Standing, SubmitApply, Submitted, standing};
use ledger::event::OnApproval;
use ledger::operation::{ForwardedRequest, Method, Operation, Scope, ScopeId};
use ledger::policy::Edge;
use ledger::{
    ApplyId, Error, Level, OperationId, Purpose, Rejection, Risk, ScopeType, UpstreamName,
};
use std::time::Duration;

/// A request that makes a record of that name in the zone that is granted.
pub(crate) fn write(name: &str) -> Operation {
    request(
        Method::Post,
        "/zones/zone-1/dns_records",
        &format!(
            "{{ \"name\":\"{name}.example.com\", \"type\":\"A\",\"content\":\"192.0.2.1\",\"ttl\":300 }}"
        ),
    )
}

fn request(method: Method, target: &str, body: &str) -> Operation {
    let headers = [("content-type".to_owned(), "application/json".to_owned())];
    let request = ForwardedRequest {
        upstream: UpstreamName::cloudflare(),
        title: None,
        level: Level::Write,
        risk: Risk::Elevated,
        method,
        base_url: Some("https://api.example.com/v4".to_owned()),
        target: target.to_owned(),
        headers: headers.into_iter().collect(),
        body: body.as_bytes().to_vec(),
        secrets: Vec::new(),
        uploads: Vec::new(),
    };
    let scope = Scope {
        scope_type: ScopeType::of("zone"),
        id: ScopeId::parse("zone-1").unwrap(),
    };
    let operation = OperationId::of("dns.record.write");
    let providers = providers::all();
    providers.forward(operation, scope, request).unwrap()
}

pub(crate) fn forward(key: &Key, operation: Operation) -> ForwardWrite {
    ForwardWrite {
        key_id: key.id,
        agent_id: key.agent_id,
        digest: operation.forwarded().unwrap().match_digest().unwrap(),
        operation,
        told: None,
        edge: Edge::default(),
    }
}

async fn asked(
    scene: &Scene,
    key: &Key,
    operation: Operation,
    told: Option<ApplyId>,
) -> Result<Submitted, Error> {
    let command = ForwardWrite {
        told,
        ..forward(key, operation)
    };
    let ruling = scene.execute(agent_with_key(key), command).await?;
    Ok(ruling.accepted().unwrap())
}

async fn complete(scene: &Scene, apply: ApplyId) {
    scene.run(start(apply, 0)).await.unwrap();
    scene.run(end(apply, 0, succeeded())).await.unwrap();
}

#[tokio::test]
async fn the_same_write_finds_the_one_before_and_another_does_not() {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let first = asked(&scene, &key, write("www"), None).await.unwrap();
    assert!(first.is_new && !first.apply.authorised);
    assert_eq!(first.task.name, "POST /zones/zone-1/dns_records");
    // Another spelling is the same request.
    let spelled =
        "{\"content\":\"192.0.2.1\",\"name\":\"www.example.com\",\"ttl\":300,\"type\":\"A\"}";
    let target = "/zones/zone-1/dns_records";
    let spelled = request(Method::Post, target, spelled);
    let second = asked(&scene, &key, spelled, None).await.unwrap();
    assert_eq!(second.apply.id, first.apply.id);
    for other in [
        write("other"),
        request(Method::Post, "/zones/zone-1/dns_records?x=1", "{\"a\":1}"),
        request(Method::Put, "/zones/zone-1/dns_records", "{\"a\":1}"),
    ] {
        let other = asked(&scene, &key, other, None).await.unwrap();
        assert_ne!(other.apply.id, first.apply.id);
    }
}

#[tokio::test]
async fn an_end_is_what_the_same_write_finds_until_it_was_told_or_is_old() {
    let scene = Scene::granted().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let first = asked(&scene, &key, write("www"), None).await.unwrap();
    assert!(first.apply.authorised);
    let running = asked(&scene, &key, write("www"), Some(first.apply.id)).await;
    assert_eq!(
        running.unwrap().apply.id,
        first.apply.id,
        "it has not ended"
    );
    complete(&scene, first.apply.id).await;
    let ended = asked(&scene, &key, write("www"), None).await.unwrap();
    assert_eq!(ended.apply.id, first.apply.id);
    let stands = standing(&ended.apply, None, scene.ledger.now());
    assert!(matches!(stands, Standing::Ended(_)));
    let told = Some(first.apply.id);
    let second = asked(&scene, &key, write("www"), told).await.unwrap();
    assert_ne!(second.apply.id, first.apply.id);
    complete(&scene, second.apply.id).await;
    scene.clock.advance(OWED - Duration::from_secs(1));
    let late = asked(&scene, &key, write("www"), told).await.unwrap();
    assert_eq!(late.apply.id, second.apply.id);
    scene.clock.advance(Duration::from_secs(1));
    let third = asked(&scene, &key, write("www"), told).await.unwrap();
    assert_ne!(third.apply.id, second.apply.id);
}

#[tokio::test]
async fn nothing_else_is_asked_for_in_the_task_of_a_write_and_a_write_in_no_other() {
    let scene = Scene::granted().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let write_task = asked(&scene, &key, write("www"), None).await.unwrap().task;
    for operations in [
        vec![dns_create("a.example.com")],
        vec![write("other")],
        vec![write("www"), write("www")],
    ] {
        let submit = SubmitApply {
            token: presented_key(&key, &write_task).into(),
            key: apply_key("k1"),
            operations,
            purpose: Purpose::default(),
            on_approval: OnApproval::Wait,
            callback: None,
            edge: Edge::default(),
        };
        let ruling = scene.execute(agent_with_key(&key), submit).await.unwrap();
        let refused = ruling.accepted().unwrap_err();
        assert!(matches!(
            refused,
            Rejection::Invalid {
                code: "task_of_write",
                ..
            }
        ));
    }
    let token = scene.task().await;
    let refused = scene
        .submit(&token, "k1", vec![write("www")])
        .await
        .unwrap();
    let refused = refused.unwrap_err();
    assert!(matches!(
        refused,
        Rejection::Invalid {
            code: "task_of_write",
            ..
        }
    ));
}
