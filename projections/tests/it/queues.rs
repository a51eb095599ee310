//! What the workers find: callbacks, deliveries, approvals to be read upstream.

use crate::world::{self, catch_up, path_of, url_of};
use fixtures::commands;
use fixtures::test_ledger::TestLedger;
use ledger::command::{
    CreateTask, EndAttempt, IssuedToken, NewCallback, RecordPreState, RetryDelivery, StartAttempt,
    SubmitApply,
};
use ledger::event::{AttemptOutcome, PreState};
use ledger::{DeliveryId, SealContext, Timestamp};
use projections::{DeliveryStatus, DueSearch, Projections, Runner, Unproven};
use std::time::Duration;

async fn task_with_callback(ledger: &TestLedger, port: u16) -> IssuedToken {
    let command = CreateTask {
        callback: Some(commands::callback(port, "a secret")),
        ..commands::create_task()
    };
    let origin = commands::administrator();
    ledger.execute(origin, command).await.unwrap()
}

/// Owes one delivery for each key: an approval that is pending.
async fn owe(ledger: &TestLedger, token: &IssuedToken, keys: u8) {
    for key in 0..keys {
        let mode = commands::dns_create(&format!("host-{key}.example.com"));
        let submitted = ledger
            .submit(token, &format!("key-{key}"), vec![mode])
            .await;
        submitted.unwrap().unwrap();
    }
}

fn search(now: Timestamp, limit: u32, per_host: u32, unproven: Option<Unproven>) -> DueSearch {
    DueSearch {
        now,
        limit,
        per_host,
        unproven,
        without: Vec::new(),
    }
}

async fn due(projections: &Projections, now: Timestamp) -> Vec<(String, DeliveryId)> {
    let due = projections
        .due_deliveries(search(now, 100, 2, None))
        .await
        .unwrap();
    due.into_iter()
        .map(|due| (due.endpoint, due.delivery_id))
        .collect()
}

async fn fail(ledger: &TestLedger, runner: &mut Runner, delivery_id: DeliveryId) -> u32 {
    let started = ledger.run(StartAttempt { delivery_id }).await.unwrap();
    let command = EndAttempt {
        delivery_id,
        attempt: started.attempt,
        outcome: AttemptOutcome::Failed {
            http_status: Some(503),
            code: "http_status".to_owned(),
            message: "HTTP 503".to_owned(),
        },
        retry_at: ledger.now().plus(Duration::from_secs(30)),
        duration: Duration::from_millis(1),
    };
    ledger.run(command).await.unwrap();
    catch_up(runner).await;
    started.attempt
}

#[tokio::test]
async fn a_long_backlog_of_one_endpoint_does_not_hide_another() {
    let (ledger, projections, mut runner) = world::new().await;
    let busy = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &busy, 5).await;
    ledger.clock.advance(Duration::from_secs(1));
    let calm = task_with_callback(&ledger, 9443).await;
    owe(&ledger, &calm, 1).await;
    catch_up(&mut runner).await;
    let now = ledger.now();

    let found = due(&projections, now).await;

    let endpoints: Vec<_> = found
        .iter()
        .map(|(endpoint, _)| endpoint.as_str())
        .collect();
    let busy = "https://localhost:8443";
    assert_eq!(endpoints, [busy, busy, "https://localhost:9443"]);
    let one = projections
        .due_deliveries(search(now, 1, 2, None))
        .await
        .unwrap();
    assert_eq!(one.len(), 1);
    assert!(
        due(&projections, Timestamp::from_seconds(0))
            .await
            .is_empty()
    );
    assert_eq!(projections.depths().await.unwrap().due_deliveries, 6);
    let first = now.minus(Duration::from_secs(1));
    assert_eq!(projections.next_delivery_due().await.unwrap(), Some(first));
}

#[tokio::test]
async fn a_url_that_has_its_share_hides_no_other_of_its_host() {
    let (ledger, projections, mut runner) = world::new().await;
    let busy = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &busy, 3).await;
    catch_up(&mut runner).await;
    ledger.clock.advance(Duration::from_secs(1));
    let other = CreateTask {
        callback: Some(NewCallback {
            url: commands::callback_url("https://localhost:8443/other"),
            ..commands::callback(8443, "a secret")
        }),
        ..commands::create_task()
    };
    let calm = ledger.execute(commands::administrator(), other).await;
    owe(&ledger, &calm.unwrap(), 1).await;
    catch_up(&mut runner).await;

    let first = projections
        .due_deliveries(search(ledger.now(), 9, 1, None))
        .await;
    let first = first.unwrap().remove(0);
    let without = DueSearch {
        without: vec![first.url_digest.clone()],
        ..search(ledger.now(), 9, 1, None)
    };
    let found = projections.due_deliveries(without).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].endpoint, first.endpoint);
    assert_ne!(found[0].url_digest, first.url_digest);
}

#[tokio::test]
async fn deliveries_that_were_given_up_are_found_longest_first() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &token, 2).await;
    catch_up(&mut runner).await;
    let mut gone = Vec::new();
    for (_, delivery_id) in due(&projections, ledger.now()).await {
        let started = ledger.run(StartAttempt { delivery_id }).await.unwrap();
        let ended = EndAttempt {
            delivery_id,
            attempt: started.attempt,
            outcome: AttemptOutcome::Failed {
                http_status: Some(410),
                code: "http_status".to_owned(),
                message: "HTTP 410".to_owned(),
            },
            retry_at: ledger.now(),
            duration: Duration::from_millis(1),
        };
        ledger.run(ended).await.unwrap();
        ledger.clock.advance(Duration::from_secs(1));
        gone.push(delivery_id);
    }
    catch_up(&mut runner).await;
    let given_up = async |task, limit| projections.given_up_deliveries(task, limit).await.unwrap();
    assert_eq!(given_up(None, 9).await, gone);
    assert_eq!(given_up(Some(token.task.id), 1).await, gone[..1]);
    assert!(
        given_up(Some(ledger::TaskId::from_bytes([1; 16])), 9)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn what_cannot_be_proven_yet_is_left_for_a_while_and_hides_nothing() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &token, 2).await;
    catch_up(&mut runner).await;
    let now = ledger.now();
    let all = projections
        .due_deliveries(search(now, 9, 9, None))
        .await
        .unwrap();
    let [first, second] = [all[0].position, all[1].position];
    let due = async |from: u64, owed_after: Timestamp| {
        let unproven = Some(Unproven { from, owed_after });
        let due = projections
            .due_deliveries(search(now, 9, 1, unproven))
            .await;
        let due = due.unwrap().into_iter();
        due.map(|due| due.position).collect::<Vec<_>>()
    };
    let before = now.minus(Duration::from_micros(1));

    assert!(due(first.min(second), before).await.is_empty());
    assert_eq!(due(first.max(second), before).await, [first.min(second)]);
    let longest_due = first;
    assert_eq!(due(0, now).await, [longest_due], "it has waited enough");
}

#[tokio::test]
async fn a_delivery_goes_from_owed_to_given_up_and_back() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &token, 1).await;
    catch_up(&mut runner).await;
    let (_, id) = due(&projections, ledger.now()).await.remove(0);

    ledger.run(StartAttempt { delivery_id: id }).await.unwrap();
    catch_up(&mut runner).await;
    let interrupted = projections.interrupted_deliveries(9).await.unwrap();
    assert_eq!(interrupted, [(id, 1)]);
    assert!(due(&projections, ledger.now()).await.is_empty());
    let command = EndAttempt {
        delivery_id: id,
        attempt: 1,
        outcome: AttemptOutcome::Interrupted,
        retry_at: ledger.now(),
        duration: Duration::ZERO,
    };
    ledger.run(command).await.unwrap();
    catch_up(&mut runner).await;
    for attempt in 2..=5 {
        ledger.clock.advance(Duration::from_secs(30));
        assert_eq!(fail(&ledger, &mut runner, id).await, attempt);
    }
    let given_up = projections.delivery(id).await.unwrap().unwrap();
    assert_eq!(given_up.state, DeliveryStatus::GivenUp);
    assert_eq!((given_up.attempts, given_up.due_at), (5, None));
    assert_eq!(given_up.last_error.as_deref(), Some("http_status"));
    assert_eq!(given_up.last_http_status, Some(503));
    let depths = projections.depths().await.unwrap();
    assert_eq!(depths.given_up_deliveries, 1);
    let now = Timestamp::from_seconds(0);
    let seen = projections::attention(&url_of(&path_of(&ledger)), now)
        .await
        .unwrap();
    assert_eq!(seen.depths, depths, "a look from outside sees the same");
    assert_eq!(seen.locks, [""; 0]);

    let reason = None;
    ledger
        .run(RetryDelivery {
            delivery_id: id,
            reason,
        })
        .await
        .unwrap();
    catch_up(&mut runner).await;

    let again = projections.delivery(id).await.unwrap().unwrap();
    assert_eq!(again.state, DeliveryStatus::Owed);
    assert_eq!((again.attempts, again.attempts_in_round), (5, 0));
    let tries = projections.attempts(id).await.unwrap();
    assert_eq!(tries.len(), 5);
    assert_eq!(
        tries[1].retry_at,
        Some(tries[1].ended_at.unwrap().plus(Duration::from_secs(30)))
    );
    let of_task = projections.deliveries(token.task.id, 9).await.unwrap();
    assert_eq!(of_task, [again]);
}

#[tokio::test]
async fn an_agents_callback_stands_beside_and_a_replaced_one_keeps_what_was_owed_to_it() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = task_with_callback(&ledger, 8443).await;
    owe(&ledger, &token, 1).await;
    let command = SubmitApply {
        callback: Some(commands::callback(9443, "another secret")),
        ..commands::submit(&token, "key-9", vec![commands::purge()])
    };
    let origin = commands::agent(&token);
    let ruling = ledger.execute(origin, command).await.unwrap();
    ruling.accepted().unwrap();
    catch_up(&mut runner).await;

    let due = projections
        .due_deliveries(search(ledger.now(), 9, 9, None))
        .await
        .unwrap();
    assert_eq!(due.len(), 3, "the second event goes to both");
    let endpoint_of = |port: u16| format!("https://localhost:{port}");
    for due in due {
        let callback = projections
            .callback(due.callback_id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(callback.endpoint, due.endpoint);
        assert_eq!(callback.of_agent, callback.endpoint == endpoint_of(9443));
        assert_eq!(callback.replaced_at, None);
        // The secret opens at its place, and at no other.
        let keys = &ledger.rules().master_keys;
        let place = SealContext {
            ledger_id: ledger.id(),
            stream: token.task.id.into(),
            field: NewCallback::SECRET_FIELD,
        };
        assert!(keys.open(&place, &callback.sealed_secret).is_ok());
    }
    let before = projections.task(token.task.id).await.unwrap().unwrap();
    let command = SubmitApply {
        callback: Some(commands::callback(9444, "a third secret")),
        ..commands::submit(&token, "key-10", vec![commands::purge()])
    };
    let origin = commands::agent(&token);
    let ruling = ledger.execute(origin, command).await.unwrap();
    ruling.accepted().unwrap();
    catch_up(&mut runner).await;
    let after = projections.task(token.task.id).await.unwrap().unwrap();
    assert_eq!(after.callback_id, before.callback_id);
    assert_ne!(after.agent_callback_id, before.agent_callback_id);
    for (id, replaced) in [
        (after.callback_id, false),
        (before.agent_callback_id, true),
        (after.agent_callback_id, false),
    ] {
        let callback = projections.callback(id.unwrap()).await.unwrap().unwrap();
        assert_eq!(callback.replaced_at.is_some(), replaced);
    }
}

#[tokio::test]
async fn pending_approvals_are_read_upstream_once() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = ledger.task().await;
    owe(&ledger, &token, 2).await;
    catch_up(&mut runner).await;
    let unread = projections.approvals_without_pre_state(9).await.unwrap();
    assert_eq!(unread.len(), 2);
    assert_eq!(projections.depths().await.unwrap().pending_approvals, 2);
    let command = RecordPreState {
        approval_id: unread[0],
        operations: vec![PreState::NotApplicable],
        zones: Vec::new(),
    };
    ledger.run(command).await.unwrap();
    catch_up(&mut runner).await;

    let left = projections.approvals_without_pre_state(9).await.unwrap();

    assert_eq!(left, unread[1..]);
}

#[tokio::test]
async fn a_look_from_outside_sees_the_locks_in_force() {
    let (ledger, _projections, mut runner) = world::new().await;
    let lock = |target, seconds: Option<u64>| ledger::command::SetLock {
        target,
        reason: "drill".to_owned(),
        duration: seconds.map(Duration::from_secs),
    };
    let operation = providers::cloudflare::CACHE_PURGE.id.into();
    let operation = ledger::event::LockTarget::Operation(operation);
    ledger.run(lock(operation, Some(60))).await.unwrap();
    let all = lock(ledger::event::LockTarget::All, None);
    let all = ledger.run(all).await.unwrap();
    catch_up(&mut runner).await;
    let seen = async |at| {
        let url = url_of(&path_of(&ledger));
        projections::attention(&url, at).await.unwrap().locks
    };
    assert_eq!(seen(all.lock.set_at).await, ["all", "operation"]);
    let later = all.lock.set_at.plus(Duration::from_secs(60));
    assert_eq!(seen(later).await, ["all"], "the other has ended by itself");
    let lift = ledger::command::LiftLock {
        lock_id: all.lock.id,
        revoke_keys: false,
    };
    ledger.run(lift).await.unwrap();
    catch_up(&mut runner).await;
    assert_eq!(seen(later).await, [""; 0]);
}
