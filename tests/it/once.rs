//! Many callers at once, one effect.

use fixtures::approver::SoftApprover;
use fixtures::process::said;
use fixtures::sandbox::Sandbox;
use fixtures::service::{deployment, purge};
use fixtures::upstream::Fault;
use std::collections::BTreeSet;
use std::time::Duration;

#[tokio::test]
async fn six_applies_with_one_key_are_one_call() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let slowly = Fault::Delay(Duration::from_millis(100));
    sandbox.upstream.on_next_mutation(slowly);
    let operation = purge("a");
    let ask = || service.apply(&task, "k", &operation);
    let replies = tokio::join!(ask(), ask(), ask(), ask(), ask(), ask());
    let (first, others) = (
        replies.0,
        [replies.1, replies.2, replies.3, replies.4, replies.5],
    );
    assert_eq!(first.status, 200, "{}", first.text);
    for reply in others {
        assert_eq!((reply.status, &reply.body), (200, &first.body));
    }
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn two_keys_and_one_approval_are_one_execution() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let task = service.open_task().await;
    let first = service.apply(&task, "k1", &deployment()).await;
    let second = service.apply(&task, "k2", &deployment()).await;
    assert_eq!(first.text_at("approval_id"), second.text_at("approval_id"));
    let decided = service
        .caller
        .decide(&alice, first.text_at("approval_url"), "approve", None)
        .await
        .unwrap();
    assert_eq!(decided.status, 200, "{}", decided.text);

    let go_on = |key, asked: &fixtures::caller::Reply| {
        let resume_token = asked.text_at("resume_token").to_owned();
        let (service, task) = (&service, &task);
        async move { service.resume(task, key, &resume_token).await.unwrap() }
    };
    let replies = tokio::join!(
        go_on("k1", &first),
        go_on("k2", &second),
        go_on("k1", &first),
        go_on("k2", &second),
        go_on("k1", &first),
        go_on("k2", &second),
    );
    let replies = [
        replies.0, replies.1, replies.2, replies.3, replies.4, replies.5,
    ];
    let statuses: BTreeSet<u16> = replies.iter().map(|reply| reply.status).collect();
    assert_eq!(statuses, BTreeSet::from([200, 409]), "{replies:?}");
    let executions: BTreeSet<&str> = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| reply.text_at("execution_id"))
        .collect();
    assert_eq!(executions.len(), 1);
    assert_eq!(sandbox.upstream.mutations("scripts").len(), 1);
    assert!(service.stop().await.success());
}

/// What a human approved is carried out once, however often upstream refuses before.
#[tokio::test]
async fn what_upstream_throttled_or_refused_is_tried_again_without_asking_a_human() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k1", &deployment()).await;
    let url = asked.text_at("approval_url");
    let decided = service.caller.decide(&alice, url, "approve", None).await;
    assert_eq!(decided.unwrap().status, 200);
    let token = asked.text_at("resume_token");

    let forbidden = Fault::Refuse {
        status: 403,
        code: 10_000,
        message: "Authentication error".to_owned(),
    };
    let faults = [Fault::Throttle { retry_after: 300 }, forbidden];
    for (fault, key) in faults.into_iter().zip(["k1", "k2"]) {
        sandbox.upstream.on_next_mutation(fault);
        let failed = service.resume(&task, key, token).await.unwrap();
        assert_eq!(failed.status, 409, "{}", failed.text);
        assert!(
            failed.body["approval_usable_until"].is_string(),
            "{}",
            failed.text
        );
    }
    let done = service.resume(&task, "k3", token).await.unwrap();
    assert_eq!(done.status, 200, "{}", done.text);
    let late = service.resume(&task, "k4", token).await.unwrap();
    assert_eq!(late.text_at("code"), "approval_consumed");
    let sent = sandbox.upstream.mutations("scripts");
    let applied = sent.iter().filter(|request| request.applied).count();
    assert_eq!((sent.len(), applied), (3, 1));
    assert!(service.stop().await.success());
    let key = said(&sandbox.run("ledger vkey")).0;
    sandbox.run("ledger export --out all.bundle");
    let line = format!("ledger verify all.bundle --key {}", key.trim());
    let (told, complained) = said(&sandbox.run(&line));
    assert!(told.contains("VERIFIED"), "{told}{complained}");
}
