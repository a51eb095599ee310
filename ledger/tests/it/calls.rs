//! Calls that the proxies send on: begun by who may, ended once and as they began, and what they used.

use crate::passkeys::{by_password, user};
use crate::scene::{Scene, refusal};
use fixtures::commands::{AGENT, SUBJECT, administrator, allow, create_key, create_task};
use ledger::aggregate::{AdmissionKind, Call, Key, Session};
use ledger::command::{
    BeginCall, CloseTask, CreateTask, EndCalls, RecordUsage, RevokeKey, SetAdmission, SetLock,
    UsageSum,
};
use ledger::event::{
    BodyDigest, CallCredential, CallEnded, CallOutcome, CallSubject, ClientTarget, LockTarget,
    UpstreamKeyOwner, UsageCounts,
};
use ledger::{
    AgentName, CallId, CatalogEntry, ClientSubject, Error, Origin, Rejection, Role, StreamId,
    TaskId, Timestamp, UpstreamName,
};
use std::sync::Arc;

pub(crate) const TEXT: &str = "lpp_key_for_calls";

pub(crate) fn gateway() -> Origin {
    Origin::system("gateway")
}

pub(crate) fn subject(key: &Key, operation: &str) -> CallSubject {
    CallSubject {
        owner: UpstreamKeyOwner::Agent(key.agent_id),
        credential: CallCredential::AgentKey(key.id),
        task_id: None,
        upstream: UpstreamName::anthropic(),
        operation: operation.to_owned(),
        method: "POST".to_owned(),
        route: "/v1/messages/batches".to_owned(),
    }
}

pub(crate) fn of_user(session: &Session) -> CallSubject {
    CallSubject {
        owner: UpstreamKeyOwner::User(session.user_id),
        credential: CallCredential::Session(session.id),
        task_id: None,
        upstream: UpstreamName::anthropic(),
        operation: WRITE.to_owned(),
        method: "POST".to_owned(),
        route: "/v1/messages/batches".to_owned(),
    }
}

pub(crate) fn call_id(number: u8) -> CallId {
    CallId::from_bytes([number; 16])
}

pub(crate) fn begin(number: u8, subject: CallSubject) -> BeginCall {
    BeginCall {
        call_id: call_id(number),
        subject,
        path: "/v1/messages/batches".to_owned(),
        ruling: None,
    }
}

pub(crate) fn ended(number: u8, subject: CallSubject, is_begun: bool) -> CallEnded {
    CallEnded {
        call_id: call_id(number),
        is_begun,
        subject,
        outcome: CallOutcome::Answered { status: 200 },
        request_bytes: 10,
        request_digest: BodyDigest::from_bytes([1; 32]),
        response_bytes: 20,
        response_digest: BodyDigest::from_bytes([2; 32]),
        duration_micros: 30_000,
        upstream_request_id: Some("req_1".to_owned()),
        ruling: None,
    }
}

pub(crate) fn end(ended: Vec<CallEnded>) -> EndCalls {
    EndCalls { ended }
}

pub(crate) const WRITE: &str = "anthropic.batches.write";
pub(crate) const READ: &str = "anthropic.messages.create";

pub(crate) fn used(owner: UpstreamKeyOwner, from: Timestamp, to: Timestamp) -> RecordUsage {
    RecordUsage {
        used: vec![UsageSum {
            owner,
            task_id: None,
            model: "claude-x".to_owned(),
            from,
            to,
            counts: UsageCounts {
                requests: 2,
                interrupted: 1,
                input_tokens: 3,
                output_tokens: 4,
                ..UsageCounts::default()
            },
        }],
    }
}

pub(crate) async fn with_key() -> (Scene, Arc<Key>) {
    let scene = Scene::new().await;
    let key = scene.run(create_key(TEXT)).await.unwrap();
    (scene, key)
}

pub(crate) fn revoke(key: &Key) -> RevokeKey {
    RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id: key.id,
        reason: None,
    }
}

/// An operation of the catalog.
pub(crate) fn entry(operation: &str) -> CatalogEntry {
    providers::all().entry(operation).unwrap()
}

/// A task that may use that operation alone through the proxies, and a call of it with its token.
pub(crate) async fn in_a_task(scene: &Scene, key: &Key, operation: &str) -> (TaskId, CallSubject) {
    let open = CreateTask {
        proxy: true,
        operations: vec![allow(entry(operation))],
        ..create_task()
    };
    let issued = scene.execute(administrator(), open).await.unwrap();
    let call = CallSubject {
        credential: CallCredential::Token(issued.task.tokens[0].id),
        task_id: Some(issued.task.id),
        ..subject(key, operation)
    };
    (issued.task.id, call)
}

async fn begun(scene: &Scene, number: u8, subject: CallSubject) -> Result<(), Error> {
    scene.execute(gateway(), begin(number, subject)).await
}

#[tokio::test]
async fn a_call_that_changes_something_is_on_record_before_it_is_sent_and_ends_once() {
    let (scene, key) = with_key().await;
    let from = scene.size_now();
    let write = subject(&key, WRITE);
    begun(&scene, 1, write.clone()).await.unwrap();
    assert_eq!(scene.names_since(from).await, ["call.begun"]);
    for _ in 0..2 {
        // An answer that was lost has the end told again.
        let ended = ended(1, write.clone(), true);
        scene.execute(gateway(), end(vec![ended])).await.unwrap();
    }
    assert_eq!(scene.names_since(from).await, ["call.begun", "call.ended"]);
    let call = scene.load::<Call>(call_id(1)).await.unwrap().unwrap();
    assert!(call.ended_at.is_some());
}

#[tokio::test]
async fn ends_of_calls_that_change_nothing_are_one_commit_and_leave_no_state() {
    let (scene, key) = with_key().await;
    let from = scene.size_now();
    let read = subject(&key, READ);
    let all = (1..=3).map(|number| ended(number, read.clone(), false));
    scene.execute(gateway(), end(all.collect())).await.unwrap();
    assert_eq!(scene.names_since(from).await, ["call.ended"; 3]);
    assert!(scene.load::<Call>(call_id(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn nothing_that_changes_something_begins_with_a_credential_that_has_ended() {
    let (scene, key) = with_key().await;
    scene.run(revoke(&key)).await.unwrap();
    let refused = refusal(begun(&scene, 1, subject(&key, WRITE)).await);
    assert!(matches!(refused, Rejection::KeyRevoked), "{refused:?}");

    user(&scene, "root", Role::Admin).await;
    let zoe = user(&scene, "zoe", Role::Viewer).await;
    let session = by_password(&scene, zoe).await;
    begun(&scene, 2, of_user(&session)).await.unwrap();
    let users = fixtures::people::delete_user(zoe);
    scene.run(users).await.unwrap();
    let refused = refusal(begun(&scene, 3, of_user(&session)).await);
    assert!(matches!(refused, Rejection::SessionEnded), "{refused:?}");
}

#[tokio::test]
async fn nothing_that_changes_something_begins_for_a_locked_agent() {
    let (scene, key) = with_key().await;
    let lock = SetLock {
        target: LockTarget::Agent(key.agent_id),
        reason: "drill".to_owned(),
        duration: None,
    };
    scene.run(lock).await.unwrap();
    let refused = refusal(begun(&scene, 1, subject(&key, WRITE)).await);
    assert_eq!(refused.code(), "locked");
}

#[tokio::test]
async fn nothing_that_changes_something_begins_of_a_locked_operation_or_with_a_locked_key() {
    for is_key in [false, true] {
        let (scene, key) = with_key().await;
        let target = match is_key {
            true => LockTarget::Key(key.id),
            false => LockTarget::Operation(entry(WRITE).id.into()),
        };
        let lock = SetLock {
            target,
            reason: "drill".to_owned(),
            duration: None,
        };
        scene.run(lock).await.unwrap();
        let refused = refusal(begun(&scene, 1, subject(&key, WRITE)).await);
        assert_eq!(refused.code(), "locked");
    }
}

#[tokio::test]
async fn nothing_that_changes_something_begins_for_who_is_blocked() {
    let (scene, key) = with_key().await;
    let block = SetAdmission {
        kind: AdmissionKind::Block,
        target: ClientTarget::Agent(key.agent_id),
        reason: None,
        duration: None,
    };
    scene.run(block).await.unwrap();
    let refused = refusal(begun(&scene, 1, subject(&key, WRITE)).await);
    assert_eq!(refused.code(), "blocked");
    let (scene, key) = with_key().await;
    let (_, call) = in_a_task(&scene, &key, WRITE).await;
    let block = SetAdmission {
        kind: AdmissionKind::Block,
        target: ClientTarget::Subject(ClientSubject::unchecked(SUBJECT)),
        reason: None,
        duration: None,
    };
    scene.run(block).await.unwrap();
    let refused = refusal(begun(&scene, 1, call).await);
    assert_eq!(refused.code(), "blocked");
}

#[tokio::test]
async fn a_token_begins_only_calls_that_its_task_allows() {
    let (scene, key) = with_key().await;
    let (task_id, call) = in_a_task(&scene, &key, "anthropic.files.write").await;
    begun(&scene, 1, call.clone()).await.unwrap();
    let other = CallSubject {
        operation: WRITE.to_owned(),
        ..call
    };
    assert_eq!(other.task_id, Some(task_id));
    let refused = refusal(begun(&scene, 2, other).await);
    assert!(
        matches!(refused, Rejection::CallNotAllowed { .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn an_end_is_of_a_call_that_began_as_it_ends() {
    let (scene, key) = with_key().await;
    // The client went before its beginning was refused.
    let unknown = ended(1, subject(&key, WRITE), true);
    let from = scene.size_now();
    scene.execute(gateway(), end(vec![unknown])).await.unwrap();
    assert_eq!(scene.size_now(), from);
    begun(&scene, 1, subject(&key, WRITE)).await.unwrap();
    let other = ended(1, subject(&key, "anthropic.files.write"), true);
    let other = scene.execute(gateway(), end(vec![other])).await;
    assert!(matches!(other, Err(Error::Defect { .. })), "{other:?}");
}

#[tokio::test]
async fn use_is_recorded_for_a_time_that_has_passed() {
    let (scene, key) = with_key().await;
    let owner = UpstreamKeyOwner::Agent(key.agent_id);
    let now = scene.now();
    let later = now.plus(std::time::Duration::from_secs(5));
    scene
        .execute(gateway(), used(owner, now, later))
        .await
        .unwrap();
    let recorded = scene.all().await.into_iter().find_map(|event| match event {
        ledger::Event::UsageRecorded(recorded) => Some(recorded),
        _ => None,
    });
    let recorded = recorded.unwrap();
    assert!(recorded.from <= recorded.to && recorded.to <= scene.now());
    let stream = StreamId::from(recorded.usage_id);
    assert_eq!(
        scene
            .log()
            .stream(stream, scene.size_now())
            .await
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_token_begins_calls_only_in_a_task_that_opens_the_proxies() {
    let (scene, key) = with_key().await;
    let open = |proxy| CreateTask {
        proxy,
        operations: vec![allow(entry(WRITE))],
        ..create_task()
    };
    for (number, proxy) in [(1, true), (2, false)] {
        let issued = scene.execute(administrator(), open(proxy)).await.unwrap();
        let call = CallSubject {
            credential: CallCredential::Token(issued.task.tokens[0].id),
            task_id: Some(issued.task.id),
            ..subject(&key, WRITE)
        };
        let result = begun(&scene, number, call.clone()).await;
        assert_eq!(result.is_ok(), proxy, "{result:?}");
        let close = CloseTask {
            task_id: issued.task.id,
            token: None,
            reason: None,
        };
        scene.execute(administrator(), close).await.unwrap();
        let after = begun(&scene, number + 2, call).await;
        assert!(after.is_err());
    }
}
