//! Writes through proxies: each in a task of its own, and the same again finds it, until its end was told.

use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, end, refusal, start, succeeded};
use fixtures::commands::{
    administrator, agent_with_key, create_key, create_task, dns_create, key as apply_key,
    presented_key,
};
use ledger::aggregate::Key;
use ledger::command::{
    CloseTask, CreateTask, ForwardUnasked, ForwardWrite, IssuedToken, OWED, Standing, SubmitApply,
    Submitted, WriteBy, standing,
};
use ledger::event::OnApproval;
use ledger::operation::{ForwardedRequest, MatchedWrite, Method, Operation, Scope, ScopeId};
use ledger::policy::{Edge, RuleAction};
use ledger::{
    Actor, ApplyId, Decision, Error, Level, OperationId, Origin, Purpose, Rejection, Risk,
    ScopeType, UpstreamName,
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

pub(crate) fn request(method: Method, target: &str, body: &str) -> Operation {
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
        upload: None,
        also_allowed: Vec::new(),
        follows: None,
    };
    let scope = Scope {
        scope_type: ScopeType::of("zone"),
        id: ScopeId::parse("zone-1").unwrap(),
    };
    let operation = OperationId::of("dns.record.write");
    let providers = providers::all();
    providers.forward(operation, scope, request).unwrap()
}

/// The same as [`write`], with more headers.
pub(crate) fn with_headers(headers: &[(&str, &str)], upstream: &str) -> Operation {
    let known = write("www");
    let mut request = ForwardedRequest::clone(known.forwarded().unwrap());
    request.upstream = UpstreamName::unchecked(upstream);
    for (name, value) in headers {
        request
            .headers
            .insert((*name).to_owned(), (*value).to_owned());
    }
    let providers = providers::all();
    let operation = OperationId::of("dns.record.write");
    providers.forward(operation, known.scope, request).unwrap()
}

#[test]
fn a_header_that_says_what_is_wanted_makes_another_request_and_one_of_the_client_does_not() {
    let digest = |headers: &[(&str, &str)], upstream: &str| {
        let operation = with_headers(headers, upstream);
        operation.forwarded().unwrap().match_digest().unwrap()
    };
    let plain = digest(&[], "cloudflare");
    for same in [
        &[("user-agent", "another/1")][..],
        &[("accept", "*/*"), ("accept-language", "fr")],
        &[("api-version", "2026-01-01")],
        &[("content-type", "application/json; charset=utf-8")],
    ] {
        assert_eq!(digest(same, "cloudflare"), plain, "{same:?}");
    }
    for other in [
        &[("x-tenant", "prod")][..],
        &[("x-tenant", "test")],
        &[("idempotency-key", "one")],
        &[("if-none-match", "*")],
        &[("if-match", "*")],
        &[("range", "bytes=0-1")],
        &[("content-type", "application/merge-patch+json")],
    ] {
        assert_ne!(digest(other, "cloudflare"), plain, "{other:?}");
    }
    assert_ne!(
        digest(&[("x-tenant", "prod")], "cloudflare"),
        digest(&[("x-tenant", "test")], "cloudflare")
    );
    assert_ne!(
        digest(&[("api-version", "1")], "github"),
        digest(&[], "github"),
        "an administrator has named it"
    );
    let without_body = |media_type: Option<&str>| {
        let known = write("www");
        let mut request = ForwardedRequest::clone(known.forwarded().unwrap());
        request.body.clear();
        request.headers.clear();
        let media_type = media_type.map(|it| ("content-type".to_owned(), it.to_owned()));
        request.headers.extend(media_type);
        request.match_digest().unwrap()
    };
    assert_eq!(without_body(Some("application/json")), without_body(None));
}

pub(crate) fn forward(key: &Key, operation: Operation) -> ForwardWrite {
    ForwardWrite {
        by: WriteBy::Key(key.id),
        agent_id: key.agent_id,
        write: MatchedWrite::of(operation).unwrap(),
        told: None,
        upload: None,
        edge: Edge::default(),
    }
}

pub(crate) async fn asked(
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
    Ok(ruling.accepted()?)
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
async fn of_the_refused_writes_of_an_agent_ten_a_minute_are_recorded_and_nothing_of_the_rest() {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let none = rule("none", RuleAction::Deny, always());
    put(&scene, 1, Some(policy([none]))).await;
    let refuse = async |from: u32, count: u32| {
        let before = scene.size_now();
        for number in from..from + count {
            let refused = asked_or_refused(&scene, &key, write(&format!("www{number}"))).await;
            assert!(
                matches!(refused, Rejection::DeniedByPolicy { .. }),
                "{refused}"
            );
        }
        scene.size_now() - before
    };
    // The task, the refusal and the close.
    assert_eq!(refuse(0, 25).await, 3 * 10);
    scene.clock.advance(Duration::from_secs(60));
    assert_eq!(
        refuse(25, 1).await,
        3,
        "and no count of what was not recorded"
    );
}

async fn asked_or_refused(scene: &Scene, key: &Key, operation: Operation) -> Rejection {
    let ruling = scene
        .execute(agent_with_key(key), forward(key, operation))
        .await;
    match ruling.and_then(|ruling| Ok(ruling.accepted()?)) {
        Err(Error::Rejected(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_ended_question_is_behind_a_grant_and_before_another_question() {
    let scene = Scene::new().await;
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let first = asked(&scene, &key, write("www"), None).await.unwrap();
    scene.decided(&first, Decision::Deny).await;
    let again = || {
        ForwardUnasked(ForwardWrite {
            told: Some(first.apply.id),
            ..forward(&key, write("www"))
        })
    };
    let size = scene.size_now();
    let refused = scene.ledger.execute(agent_with_key(&key), again()).await;
    assert!(matches!(refusal(refused), Rejection::NotGranted { .. }));
    assert_eq!(scene.size_now(), size, "nothing is recorded");
    scene.grant_all().await;
    let granted = scene.ledger.execute(agent_with_key(&key), again()).await;
    let granted = granted.unwrap().apply;
    assert!(granted.authorised && granted.id != first.apply.id);
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

/// A task with a token, which opens the proxies or does not.
pub(crate) async fn with_token(scene: &Scene, proxy: bool) -> IssuedToken {
    let task = CreateTask {
        proxy,
        ..create_task()
    };
    scene.execute(administrator(), task).await.unwrap()
}

/// A write with that token, by who holds it.
pub(crate) fn by_token(issued: &IssuedToken, operation: Operation) -> (Origin, ForwardWrite) {
    let (task, token) = (&issued.task, &issued.task.tokens[0]);
    let origin = Origin {
        actor: Actor::Agent {
            agent: task.agent.clone(),
            subject: token.subject.clone(),
            token: token.id,
        },
        request_id: None,
    };
    let asked = ForwardWrite {
        by: WriteBy::Token {
            task_id: task.id,
            token_id: token.id,
        },
        agent_id: task.agent_id,
        write: MatchedWrite::of(operation).unwrap(),
        told: None,
        upload: None,
        edge: Edge::default(),
    };
    (origin, asked)
}

async fn asked_by(
    scene: &Scene,
    issued: &IssuedToken,
    operation: Operation,
    told: Option<ApplyId>,
) -> Result<Submitted, Error> {
    let (origin, command) = by_token(issued, operation);
    let command = ForwardWrite { told, ..command };
    Ok(scene.execute(origin, command).await?.accepted()?)
}

#[tokio::test]
async fn a_write_with_a_tasks_token_is_an_apply_of_that_task_and_the_same_again_finds_it() {
    let scene = Scene::granted().await;
    let (one, other) = (
        with_token(&scene, true).await,
        with_token(&scene, true).await,
    );
    let mut ids = Vec::new();
    for number in 0..9 {
        let told = ids.last().copied();
        let write_ = asked_by(&scene, &one, write("www"), told).await.unwrap();
        assert!(write_.is_new && write_.apply.authorised, "{number}");
        assert_eq!(write_.task.id, one.task.id);
        let again = asked_by(&scene, &one, write("www"), told).await.unwrap();
        assert_eq!(again.apply.id, write_.apply.id, "{number}: it runs");
        complete(&scene, write_.apply.id).await;
        let again = asked_by(&scene, &one, write("www"), None).await.unwrap();
        assert_eq!(again.apply.id, write_.apply.id, "{number}: it is owed");
        ids.push(write_.apply.id);
    }
    // Another task's write, and another request, are others.
    let elsewhere = asked_by(&scene, &other, write("www"), None).await.unwrap();
    assert_eq!(elsewhere.task.id, other.task.id);
    assert!(!ids.contains(&elsewhere.apply.id));
    let another = asked_by(&scene, &one, write("other"), None).await.unwrap();
    assert!(another.is_new);
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let own = asked(&scene, &key, write("www"), None).await.unwrap();
    assert_ne!(own.task.id, one.task.id);
}

#[tokio::test]
async fn a_token_writes_only_in_a_task_that_opens_the_proxies_while_it_counts() {
    let scene = Scene::granted().await;
    let closed = with_token(&scene, false).await;
    let refused = asked_by(&scene, &closed, write("www"), None).await;
    assert!(matches!(
        refused,
        Err(Error::Rejected(Rejection::TokenUnknown))
    ));
    let open = with_token(&scene, true).await;
    // What the task does not name is not for its token, whatever the agent is granted.
    let mut other = create_task();
    other.proxy = true;
    other
        .operations
        .retain(|allowed| allowed.operation.id != OperationId::of("dns.record.write"));
    let other = scene.execute(administrator(), other).await.unwrap();
    let (origin, asked) = by_token(&other, write("www"));
    let ruling = scene.execute(origin, asked).await.unwrap();
    assert!(ruling.accepted().is_err());
    let close = CloseTask {
        task_id: open.task.id,
        token: None,
        reason: None,
    };
    scene.execute(administrator(), close).await.unwrap();
    assert!(asked_by(&scene, &open, write("www"), None).await.is_err());
}
