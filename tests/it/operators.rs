//! What an operator of the machine can do, beside a running service and without one.

use fixtures::approver::SoftApprover;
use fixtures::process::said;
use fixtures::receiver::Answer;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, purge};
use fixtures::upstream::Fault;
use ledger::event::{AfterAttempt, AttemptOutcome};
use ledger::{Actor, Blob, Event};
use reqwest::Method;

/// A purge whose answer got lost, and its apply's id.
async fn unknown(sandbox: &Sandbox, service: &Service, task: &Task, key: &str) -> String {
    sandbox.upstream.on_next_mutation(Fault::DropAfter);
    let reply = service.apply(task, key, &purge(key)).await;
    assert_eq!(
        (reply.status, reply.text_at("status")),
        (409, "unknown"),
        "{}",
        reply.text
    );
    reply.text_at("apply_id").to_owned()
}

#[tokio::test]
async fn an_unknown_outcome_is_settled_with_and_without_the_service() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let first = unknown(&sandbox, &service, &task, "first").await;
    let second = unknown(&sandbox, &service, &task, "second").await;
    let settle = |apply: &str, outcome: &str| {
        let line = format!("apply resolve {apply} --outcome {outcome} --reason looked");
        sandbox.run(&line)
    };

    let settled = settle(&first, "executed");
    let (told, complained) = said(&settled);
    assert!(settled.status.success(), "{complained}");
    assert!(
        told.contains(&first) && told.contains("carried out"),
        "{told}"
    );
    let reply = service.apply(&task, "first", &purge("first")).await;
    assert_eq!((reply.status, reply.text_at("status")), (200, "completed"));
    let again = settle(&first, "executed");
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).1.contains("no unknown outcome"), "{again:?}");

    assert!(service.stop().await.success());
    let settled = settle(&second, "not_executed");
    assert!(settled.status.success(), "{}", said(&settled).1);
    let service = sandbox.start().await;
    let reply = service.apply(&task, "second", &purge("second")).await;
    assert_eq!(
        (reply.status, reply.text_at("status")),
        (409, "failed"),
        "{}",
        reply.text
    );
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 2);
    assert!(service.stop().await.success());

    for event in sandbox.events().await {
        if let Event::ApplyResolved(resolved) = &event.event {
            assert_eq!(resolved.reason, "looked");
            assert!(matches!(event.envelope.actor, Actor::Operator { .. }));
        }
    }
}

#[tokio::test]
async fn a_closed_task_is_closed_with_the_next_request() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let closed = sandbox.run(&format!("task close {} --reason over", task.id));
    assert!(closed.status.success(), "{}", said(&closed).1);
    let reply = service.apply(&task, "k", &purge("a")).await;
    assert_eq!(reply.status, 401, "{}", reply.text);
    let nonsense = sandbox.run("task close nonsense --reason over");
    assert_eq!(nonsense.status.code(), Some(1));
    assert!(said(&nonsense).1.contains("is not the id of a task"));
    assert!(sandbox.upstream.requests().is_empty());
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_was_granted_can_be_taken_away() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service
        .grant(&["cache.purge.execute", "dns.record.write"])
        .await;
    let task = service.open_task().await;
    let revoke = |line: &str| sandbox.run(&format!("grant revoke {line} --reason over"));
    let revoked = revoke("--agent deployer --operation cache.purge.execute");
    assert!(revoked.status.success(), "{}", said(&revoked).1);
    assert!(said(&revoked).0.contains("1 grants left"), "{revoked:?}");
    let stale = service.apply(&task, "k", &purge("a")).await;
    assert_eq!((stale.status, stale.text_at("code")), (401, "token_stale"));
    let renewed = service.renew(&task).await;
    let task = Task {
        id: task.id,
        token: renewed.text_at("capability_token").to_owned(),
    };
    let reply = service.apply(&task, "k", &purge("a")).await;
    assert_eq!(
        reply.status, 202,
        "it waits for a human now: {}",
        reply.text
    );

    assert_eq!(revoke("--agent deplyoer --all").status.code(), Some(1));
    assert!(revoke("--agent deployer --all").status.success());
    let names = sandbox.events().await;
    let registered = names
        .iter()
        .filter(|e| e.event.name() == "agent.registered");
    assert_eq!(registered.count(), 1, "a mistyped name is nobody's");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_passkey_can_be_taken_away() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k", &purge("a")).await;
    assert_eq!(asked.status, 202);
    let credential = Blob::from(alice.credential_id()).to_base64url();
    let revoked = sandbox.run(&format!(
        "credential revoke --principal alice --credential {credential} --reason lost"
    ));
    assert!(revoked.status.success(), "{}", said(&revoked).1);
    let refused = service
        .caller
        .decide(&alice, asked.text_at("approval_url"), "approve", None)
        .await
        .unwrap();
    assert!((400..500).contains(&refused.status), "{}", refused.text);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_principal_is_the_same_one_in_every_normal_form_of_its_name() {
    let mut sandbox = Sandbox::new().await;
    let (composed, decomposed) = ("Zo\u{e9}", "Zoe\u{301}");
    sandbox
        .settings
        .insert("APPROVAL_APPROVERS", composed.to_owned());
    let service = sandbox.start().await;
    let zoe = SoftApprover::new(composed);
    service.register(&zoe).await;
    let credential = Blob::from(zoe.credential_id()).to_base64url();
    let replayed = sandbox.run(&format!("ledger replay --approver {decomposed}"));
    assert!(
        said(&replayed).0.contains("registered"),
        "{:?}",
        said(&replayed)
    );
    for line in [
        format!(
            "credential revoke --principal {decomposed} --credential {credential} --reason lost"
        ),
        format!("ledger erase --approver {decomposed} --reason retired"),
    ] {
        let done = sandbox.run(&line);
        assert!(done.status.success(), "{line}: {}", said(&done).1);
    }
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_callback_that_was_given_up_can_be_sent_again() {
    let mut sandbox = Sandbox::new().await;
    sandbox
        .settings
        .insert("CALLBACK_MAX_RETRIES", "1".to_owned());
    sandbox.receiver.script([Answer::status(500)]);
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    assert_eq!(service.apply(&task, "k", &purge("a")).await.status, 200);
    let ended = sandbox.event("delivery.attempt_ended").await;
    let Event::AttemptEnded(attempt) = &ended.event else {
        panic!("{ended:?}");
    };
    assert_eq!(attempt.after, AfterAttempt::GivenUp);
    let retried = sandbox.run(&format!(
        "delivery retry {} --reason repaired",
        ended.stream_id()
    ));
    assert!(retried.status.success(), "{}", said(&retried).1);
    let received = sandbox.receiver.wait_for(2).await.unwrap();
    assert_eq!(
        received[0].header("webhook-id"),
        received[1].header("webhook-id")
    );
    until("the delivery", async || {
        let events = sandbox.events().await;
        events.into_iter().find(|event| {
            matches!(&event.event, Event::AttemptEnded(ended)
                if matches!(ended.outcome, AttemptOutcome::Delivered { .. }))
        })
    })
    .await;
    assert!(service.stop().await.success());
}

/// Has so many callbacks given up, the next that are owed, and says which.
async fn given_up(sandbox: &Sandbox, count: usize) {
    until("callbacks that were given up", async || {
        let events = sandbox.events().await;
        let ended = events.iter().filter(|event| {
            matches!(&event.event, Event::AttemptEnded(ended) if ended.after == AfterAttempt::GivenUp)
        });
        (ended.count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn all_callbacks_that_were_given_up_can_be_sent_again_at_once() {
    let mut sandbox = Sandbox::new().await;
    sandbox
        .settings
        .insert("CALLBACK_MAX_RETRIES", "1".to_owned());
    sandbox
        .receiver
        .script([500, 500, 500, 500].map(Answer::status));
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    for key in ["a", "b"] {
        assert_eq!(service.apply(&task, key, &purge(key)).await.status, 200);
    }
    given_up(&sandbox, 2).await;
    let retried = sandbox.run("delivery retry --all --reason repaired");
    let (told, why) = said(&retried);
    assert!(retried.status.success(), "{why}");
    assert!(told.contains("2 deliveries are due again"), "{told}");
    given_up(&sandbox, 4).await;

    let body = serde_json::json!({"task_id": task.id, "reason": "repaired at last"});
    let path = "/v1/callbacks/retry";
    let again = service.caller.administer(Method::POST, path, Some(&body));
    let again = again.await.unwrap();
    assert_eq!(again.status, 200, "{}", again.text);
    assert_eq!(
        (&again.body["retried"], &again.body["left"]),
        (&2.into(), &false.into())
    );
    let received = sandbox.receiver.wait_for(6).await.unwrap();
    let events: std::collections::BTreeSet<_> = received
        .iter()
        .map(|one| one.header("webhook-id").map(str::to_owned))
        .collect();
    assert_eq!(events.len(), 2, "the same two events each time");
    let none = service.caller.administer(Method::POST, path, None).await;
    assert_eq!(none.unwrap().body["retried"], 0);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn without_a_ledger_nothing_is_made() {
    let sandbox = Sandbox::new().await;
    let line = "task close 01a203aa-0000-7000-8000-000000000000 --reason over";
    let refused = sandbox.run(line);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).1.contains("there is no ledger at"),
        "{refused:?}"
    );
    assert!(!sandbox.ledger_file().exists());
}
