//! SIGKILL at each step of an apply and of a delivery, and a start after it: nothing executed twice,
//! nothing owed forgotten, nothing left in a state that does not move.

use fixtures::approver::SoftApprover;
use fixtures::receiver::{Answer, ReceivedRequest};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{CALLBACK_SECRET, Service, Task, deployment, purge, record};
use fixtures::upstream::Fault;
use ledger::event::{ApplyEnd, AttemptOutcome};
use ledger::{DeliveryId, Event};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// Long enough for a kill to come between two steps.
const SLOWLY: Duration = Duration::from_millis(40);

/// A service with a task whose operations are granted.
async fn granted(sandbox: &Sandbox) -> (Service, Task) {
    let service = sandbox.start().await;
    service
        .grant(&["dns.record.write", "cache.purge.execute"])
        .await;
    let task = service.open_task().await;
    (service, task)
}

/// Asks for an operation and kills the service as soon as `moment` is over.
async fn killed_during(
    service: Service,
    task: &Task,
    operation: &Value,
    moment: impl Future<Output = ()>,
) {
    {
        let asking = service.try_apply(task, "k", operation);
        tokio::pin!(asking);
        tokio::select! {
            biased;
            () = moment => {}
            // Answered before the moment came: it is killed after the answer, then.
            _ = &mut asking => {}
        }
    }
    service.kill();
}

/// Waits until every delivery that is owed has arrived, and checks that none is missing, that each
/// try bears its event's id, and that its signatures hold.
pub(crate) async fn all_owed_arrived(sandbox: &Sandbox) {
    let owed = until("all deliveries", async || {
        let events = sandbox.events().await;
        let mut owed = BTreeSet::new();
        let mut arrived = BTreeSet::new();
        for event in &events {
            match &event.event {
                Event::DeliveryOwed(one) => drop(owed.insert(one.event_id.to_string())),
                Event::AttemptEnded(ended)
                    if matches!(ended.outcome, AttemptOutcome::Delivered { .. }) =>
                {
                    arrived.insert(event.stream_id());
                }
                _ => {}
            }
        }
        (owed.len() == arrived.len()).then_some(owed)
    })
    .await;
    let received = sandbox.receiver.received();
    let ids: BTreeSet<String> = received.iter().map(event_id).collect();
    assert_eq!(ids, owed, "every owed event, and nothing else");
    for request in &received {
        request.verify(CALLBACK_SECRET.as_bytes()).unwrap();
    }
}

fn event_id(request: &ReceivedRequest) -> String {
    let body = request.json();
    let id = body["event"]["event_id"].as_str().unwrap();
    assert_eq!(request.header("webhook-id"), Some(id));
    id.to_owned()
}

/// Kills when an event stands in the file, starts again, and looks at what became of it all.
async fn killed_at(event: &str, operation: Value, mutations: &str) {
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Delay(SLOWLY));
    sandbox.receiver.script([Answer::default().after(SLOWLY)]);
    let moment = async { drop(sandbox.event(event).await) };
    killed_during(service, &task, &operation, moment).await;

    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &operation).await;
    let sent = sandbox.upstream.mutations(mutations).len();
    assert!(sent <= 1, "sent {sent} times");
    if ended.text_at("status") == "completed" {
        assert_eq!(sent, 1, "done without doing it");
    } else {
        // Nobody could tell: a person may settle it now.
        assert_eq!(ended.text_at("status"), "unknown", "{}", ended.text);
        let line = format!(
            "apply resolve {} --outcome executed --reason looked",
            ended.text_at("apply_id")
        );
        assert!(sandbox.run(&line).status.success());
    }
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

/// One test for each step: the event after which the service is killed.
macro_rules! killed_at {
    ($($name:ident = $event:literal;)+) => {$(
        mod $name {
            use super::{killed_at, purge, record};

            #[tokio::test]
            async fn a_record() {
                killed_at($event, record("www"), "dns_records").await;
            }

            #[tokio::test]
            async fn a_purge() {
                killed_at($event, purge("a"), "purge_cache").await;
            }
        }
    )+};
}

killed_at! {
    after_accepting = "apply.accepted";
    after_starting_the_operation = "apply.operation_started";
    after_ending_the_operation = "apply.operation_ended";
    after_ending_the_apply = "apply.ended";
    after_owing_the_delivery = "delivery.owed";
    after_starting_the_delivery = "delivery.attempt_started";
    after_ending_the_delivery = "delivery.attempt_ended";
}

/// Approves a deployment that is to be carried out at once, kills when an event stands in the file, and starts
/// again. Its agent never comes back.
async fn killed_after_deciding(event: &str) {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let task = service.open_task().await;
    let path = format!("/v1/tasks/{}/apply", task.id);
    let body = json!({"operations": [deployment()], "on_approval": "execute"});
    let ask = service
        .caller
        .ask_with(Method::POST, &path, &task.token, Some("k"), Some(&body));
    let asked = ask.await.unwrap();
    assert_eq!(asked.text_at("status"), "requires_approval");
    sandbox.upstream.on_next_mutation(Fault::Delay(SLOWLY));
    {
        let link = asked.text_at("approval_url");
        let deciding = service.caller.decide(&alice, link, "approve", None);
        tokio::pin!(deciding);
        tokio::select! {
            biased;
            _ = sandbox.event(event) => {}
            // Answered before: it is killed after the answer, then.
            _ = &mut deciding => drop(sandbox.event(event).await),
        }
    }
    service.kill();

    let service = sandbox.start().await;
    drop(sandbox.event("apply.ended").await);
    let ask = service
        .caller
        .ask_with(Method::POST, &path, &task.token, Some("k"), Some(&body));
    let ended = ask.await.unwrap();
    let sent = sandbox.upstream.mutations("workers/scripts").len();
    match ended.text_at("status") {
        "completed" => assert_eq!(sent, 1, "done without doing it"),
        status => {
            assert_eq!(status, "unknown", "{}", ended.text);
            assert!(sent <= 1, "sent {sent} times");
        }
    }
    let events = sandbox.events().await;
    let uses = events
        .iter()
        .filter(|event| matches!(event.event, Event::ApprovalConsumed(_)));
    assert_eq!(uses.count(), 1);
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn what_a_decision_carries_out_is_carried_out_once_whenever_it_is_killed() {
    for event in [
        "approval.approved",
        "apply.authorised",
        "apply.operation_started",
        "apply.operation_ended",
        "apply.ended",
    ] {
        killed_after_deciding(event).await;
    }
}

#[tokio::test]
async fn a_record_that_upstream_made_is_found_and_not_made_again() {
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let held = async { until_sent(&sandbox, "dns_records").await };
    killed_during(service, &task, &record("www"), held).await;
    // A request that is held is never carried out when its sender is gone; so this one is, here.
    let made = &record("www")["params"];
    sandbox.upstream.put_record("z1", made);

    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &record("www")).await;
    assert_eq!((ended.status, ended.text_at("status")), (200, "completed"));
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    let found = sandbox.event("apply.operation_ended").await;
    let Event::OperationEnded(operation) = &found.event else {
        panic!("{found:?}");
    };
    assert!(operation.reconciled, "it was found by looking");
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_record_that_is_not_there_is_unknown_and_not_made_again() {
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let held = async { until_sent(&sandbox, "dns_records").await };
    killed_during(service, &task, &record("www"), held).await;

    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &record("www")).await;
    assert_eq!((ended.status, ended.text_at("status")), (409, "unknown"));
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_purge_under_way_is_unknown_and_not_sent_again() {
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let held = async { until_sent(&sandbox, "purge_cache").await };
    killed_during(service, &task, &purge("a"), held).await;

    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &purge("a")).await;
    assert_eq!((ended.status, ended.text_at("status")), (409, "unknown"));
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn an_end_that_takes_too_long_leaves_what_runs_to_the_next_start() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SHUTDOWN_SECS", "1".to_owned());
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let operation = purge("a");
    let told = async {
        until_sent(&sandbox, "purge_cache").await;
        service.process.signal("TERM");
    };
    tokio::join!(service.try_apply(&task, "k", &operation), told);
    assert!(service.end().await.success());
    let log = sandbox.log();
    assert!(log.contains("before all work has ended"), "{log}");

    let service = sandbox.start().await;
    let ended = service.ended(&task, "k", &operation).await;
    assert_eq!((ended.status, ended.text_at("status")), (409, "unknown"));
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_decision_outlives_the_process_and_is_executed_once() {
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let asked = service.apply(&task, "k", &deployment()).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    service.kill();

    let service = sandbox.start().await;
    let decided = service
        .caller
        .decide(&alice, asked.text_at("approval_url"), "approve", None)
        .await
        .unwrap();
    assert_eq!(decided.status, 200, "{}", decided.text);
    service.kill();

    let service = sandbox.start().await;
    sandbox.upstream.on_next_mutation(Fault::DropAfter);
    let resume_token = asked.text_at("resume_token");
    {
        let resuming = service.resume(&task, "k", resume_token);
        tokio::pin!(resuming);
        tokio::select! {
            () = until_sent(&sandbox, "scripts") => {}
            // It looked, and found what was done, before it was killed.
            _ = &mut resuming => {}
        }
    }
    service.kill();

    let service = sandbox.start().await;
    let ended = until("the end", async || {
        let reply = service.resume(&task, "k", resume_token).await?;
        (reply.text_at("status") != "in_progress").then_some(reply)
    })
    .await;
    assert_eq!(ended.status, 200, "{}", ended.text);
    assert_eq!(sandbox.upstream.mutations("scripts").len(), 1);
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_delivery_that_was_under_way_is_tried_again_with_the_same_id() {
    let sandbox = Sandbox::new().await;
    sandbox.receiver.script([Answer::hanging()]);
    let (service, task) = granted(&sandbox).await;
    assert_eq!(service.apply(&task, "k", &purge("a")).await.status, 200);
    sandbox.receiver.wait_for(1).await.unwrap();
    service.kill();
    sandbox.receiver.release();

    let service = sandbox.start().await;
    let received = sandbox.receiver.wait_for(2).await.unwrap();
    assert_eq!(event_id(&received[0]), event_id(&received[1]));
    all_owed_arrived(&sandbox).await;
    let interrupted = sandbox.events().await.into_iter().find(|event| {
        matches!(&event.event, Event::AttemptEnded(ended)
            if ended.outcome == AttemptOutcome::Interrupted)
    });
    assert!(interrupted.is_some(), "the interrupted try is on record");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_waits_for_its_next_try_is_not_forgotten() {
    let sandbox = Sandbox::new().await;
    sandbox.receiver.script([Answer::status(503)]);
    let (service, task) = granted(&sandbox).await;
    assert_eq!(service.apply(&task, "k", &purge("a")).await.status, 200);
    let failed = sandbox.event("delivery.attempt_ended").await;
    service.kill();

    let service = sandbox.start().await;
    all_owed_arrived(&sandbox).await;
    let delivery = DeliveryId::from(failed.stream_id());
    let tries = sandbox
        .events()
        .await
        .into_iter()
        .filter(|event| DeliveryId::from(event.stream_id()) == delivery)
        .filter(|event| event.event.name() == "delivery.attempt_started")
        .count();
    assert_eq!(tries, 2);
    assert!(service.stop().await.success());
}

/// Kills again and again, each time some events further on, while several applies are under way.
#[tokio::test]
async fn killed_over_and_over_under_load() {
    const KEYS: [&str; 4] = ["a", "b", "c", "d"];
    let sandbox = Sandbox::new().await;
    let (service, task) = granted(&sandbox).await;
    assert!(service.stop().await.success());
    let mut names = Vec::new();
    for (round, further) in [2, 5, 9, 14, 20, 27].into_iter().enumerate() {
        let service = sandbox.start().await;
        let size = sandbox.events().await.len() + further;
        let wanted = KEYS.map(|key| format!("{key}{round}"));
        {
            let operations = wanted.each_ref().map(|name| record(name));
            let ask = |index: usize| service.try_apply(&task, &wanted[index], &operations[index]);
            let asking = async { drop(tokio::join!(ask(0), ask(1), ask(2), ask(3))) };
            let far_enough = until("events", async || {
                (sandbox.events().await.len() >= size).then_some(())
            });
            tokio::pin!(asking);
            tokio::select! {
                () = far_enough => {}
                () = &mut asking => {}
            }
        }
        service.kill();
        names.extend(wanted);
    }

    let service = sandbox.start().await;
    for name in &names {
        let ended = service.ended(&task, name, &record(name)).await;
        let sent = sandbox
            .upstream
            .mutations("dns_records")
            .iter()
            .filter(|request| request.json()["name"] == format!("{name}.example.com"))
            .count();
        assert!(sent <= 1, "{name} was sent {sent} times");
        match ended.text_at("status") {
            "completed" => assert_eq!(sent, 1, "{name} is done without being sent"),
            status => assert_eq!(status, "unknown", "{}", ended.text),
        }
    }
    all_owed_arrived(&sandbox).await;
    assert!(service.stop().await.success());
    assert!(sandbox.run("ledger check").status.success());
    assert!(sandbox.run("projections status").status.success());
}

/// Waits until upstream has got a request that could change something.
async fn until_sent(sandbox: &Sandbox, part: &str) {
    until("a request upstream", async || {
        (!sandbox.upstream.mutations(part).is_empty()).then_some(())
    })
    .await;
}

/// The token by which the service is locked.
const SERVICE_TOKEN: &str = "service-token-of-a-kill-0123456789abcdef";

/// Locks a task while its first operation is upstream, kills the service once the lock stands, and starts it again:
/// the second operation is claimed by nobody, whichever line the kill has met.
#[tokio::test]
async fn a_lock_stands_after_a_kill_before_the_next_claim() {
    let mut sandbox = Sandbox::new().await;
    let token = SERVICE_TOKEN.to_owned();
    sandbox.settings.insert("SERVICE_TOKEN", token);
    let (service, task) = granted(&sandbox).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    let path = format!("/v1/tasks/{}/apply", task.id);
    let body = json!({"operations": [purge("a"), purge("b")]});
    {
        let ask = service
            .caller
            .ask_with(Method::POST, &path, &task.token, Some("k"), Some(&body));
        let lock = async {
            drop(sandbox.event("apply.operation_started").await);
            let lock = json!({"target": {"kind": "task", "id": task.id}, "reason": "drill"});
            let locks = service.caller.ask_with(
                Method::POST,
                "/v1/locks",
                SERVICE_TOKEN,
                None,
                Some(&lock),
            );
            locks.await.unwrap()
        };
        tokio::pin!(ask);
        tokio::select! {
            biased;
            locked = lock => assert_eq!(locked.status, 201, "{}", locked.text),
            answer = &mut ask => panic!("it is held upstream: {answer:?}"),
        }
    }
    // The first operation comes back, and the process dies while it may claim the second.
    sandbox.upstream.release();
    service.kill();

    let service = sandbox.start().await;
    drop(sandbox.event("apply.ended").await);
    let events = sandbox.events().await;
    let lock = events
        .iter()
        .position(|event| matches!(event.event, Event::LockSet(_)));
    let after = &events[lock.unwrap()..];
    let begun = after
        .iter()
        .filter(|event| matches!(event.event, Event::OperationStarted(_)));
    assert_eq!(begun.count(), 0, "nothing begins after the lock's position");
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

const TWO_PEOPLE: &str = r#"
engine = "lpp-cel/1"

[[rule]]
id = "two"
priority = 100
action = "ask"
operations = ["workers.deploy.write"]
needs = [{ group = "default", n = 2 }]
pre_state = "shown"
"#;

/// Two people approve a deployment that is to be carried out at once. The service is killed when an event of the
/// first or of the second stands in the file; whoever got no answer answers again.
async fn killed_between_two_votes(event: &str, is_second: bool) {
    let mut sandbox = Sandbox::new().await;
    let settings = &mut sandbox.settings;
    settings.insert("APPROVAL_APPROVERS", "alice,bob".to_owned());
    settings.insert("SERVICE_TOKEN", SERVICE_TOKEN.to_owned());
    let service = sandbox.start().await;
    let [alice, bob] = ["alice", "bob"].map(SoftApprover::new);
    service.register(&alice).await;
    service.register(&bob).await;
    let saving = service.caller.save_policy(SERVICE_TOKEN, TWO_PEOPLE, 0);
    let saved = saving.await.unwrap();
    assert_eq!(saved.status, 200, "{}", saved.text);
    let task = service.open_task().await;
    let path = format!("/v1/tasks/{}/apply", task.id);
    let body = json!({"operations": [deployment()], "on_approval": "execute"});
    let ask = service
        .caller
        .ask_with(Method::POST, &path, &task.token, Some("k"), Some(&body));
    let asked = ask.await.unwrap();
    let link = asked.text_at("approval_url").to_owned();
    let approve = async |service: &Service, who: &SoftApprover| {
        let answer = service.caller.decide(who, &link, "approve", None).await;
        answer.ok()
    };
    if is_second {
        let voted = approve(&service, &alice).await.unwrap();
        assert_eq!(voted.text_at("status"), "voted", "{}", voted.text);
    }
    let who = if is_second { &bob } else { &alice };
    {
        let deciding = approve(&service, who);
        tokio::pin!(deciding);
        tokio::select! {
            biased;
            _ = sandbox.event(event) => {}
            // Answered before: it is killed after the answer, then.
            _ = &mut deciding => drop(sandbox.event(event).await),
        }
    }
    service.kill();

    let service = sandbox.start().await;
    if !is_second {
        // The vote stands, and the same person is not two.
        let again = approve(&service, &alice).await.unwrap();
        assert_eq!(again.text_at("code"), "already_voted", "{}", again.text);
        assert!(sandbox.upstream.mutations("workers/scripts").is_empty());
        let second = approve(&service, &bob).await.unwrap();
        assert_eq!(second.text_at("status"), "approved", "{}", second.text);
    }
    let ended = sandbox.event("apply.ended").await;
    let sent = sandbox.upstream.mutations("workers/scripts").len();
    match &ended.event {
        Event::ApplyEnded(ended) if ended.end == ApplyEnd::Completed => assert_eq!(sent, 1),
        // Nobody could tell, when it was killed while it was sent.
        ended => assert!(is_second && sent <= 1, "sent {sent} times: {ended:?}"),
    }
    let events = sandbox.events().await;
    let count = |pick: fn(&Event) -> bool| events.iter().filter(|it| pick(&it.event)).count();
    let votes = count(|event| matches!(event, Event::ApprovalVoted(_)));
    let decided = count(|event| matches!(event, Event::ApprovalApproved(_)));
    assert_eq!((votes, decided), (1, 1));
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn a_vote_counts_once_and_the_last_one_decides_whenever_it_is_killed() {
    killed_between_two_votes("approval.voted", false).await;
    killed_between_two_votes("approval.approved", true).await;
}
