//! Erasing what has ended: nothing of it can be read any more, and nothing else changes.

mod interrupted;
mod names;
mod unended;
mod users;

use crate::consistency;
use crate::scene::{Scene, end, refusal, start, succeeded};
use fixtures::commands::{
    AGENT, administrator, callback, create_task, dns_create, presented, ssl_mode, submit,
};
use fixtures::faults::{FULL, Faults, IOERR_WRITE};
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Agent, Apply, Approval, Approver, Delivery, Task};
use ledger::command::{
    CloseTask, CreateTask, EndAttempt, EraseTarget, Erasure, IssuedToken, OpenEnrolment,
    PutCredential, RetryDelivery, RevokeCredential, RevokeGrants, StartAttempt, Submitted,
};
use ledger::event::{AttemptOutcome, ErasedSubject, Event, LedgerErased, StreamKind};
use ledger::{
    CommitPoint, Decision, Error, Header, Origin, Rejection, StreamId, TaskId, Timestamp,
};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Text that stands in every payload of the task that is erased, where text can stand.
const TRACE: &str = "mrs-trace";

fn origin() -> Origin {
    Origin {
        actor: ledger::Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    }
}

async fn erase(ledger: &TestLedger, target: EraseTarget) -> Result<Erasure, Error> {
    let reason = "request 2026-114".to_owned();
    ledger.erase(origin(), target, reason).await
}

fn why(result: Result<Erasure, Error>) -> String {
    let refused = refusal(result);
    assert_eq!(refused.code(), "not_erasable");
    refused.to_string()
}

/// A task with one of everything: an apply that ran, a denied approval, refusals, deliveries.
struct Story {
    scene: Scene,
    token: IssuedToken,
    ran: Submitted,
    denied: Submitted,
}

async fn story(scene: Scene) -> Story {
    let command = CreateTask {
        name: format!("{TRACE} name"),
        callback: Some(callback(9, TRACE)),
        ..create_task()
    };
    let token = scene.execute(administrator(), command).await.unwrap();
    let scene = Scene {
        token: token.clone(),
        ..scene
    };
    let key = |n: u32| format!("{TRACE}-key-{n}");
    let operations = vec![dns_create(&format!("{TRACE}.example.com"))];
    let ran = scene.submitted(&key(1), operations).await;
    scene.run(start(ran.apply.id, 0)).await.unwrap();
    scene.run(end(ran.apply.id, 0, succeeded())).await.unwrap();
    let denied = scene
        .asked_from(&key(2), &format!("CN={TRACE}-client"))
        .await;
    scene.decided(&denied, Decision::Deny).await;
    let asked = scene.submitted(&key(3), vec![ssl_mode("full")]).await;
    scene.decided(&asked, Decision::Approve).await;
    // Twenty refusals: ten by themselves, the others counted.
    for _ in 0..20 {
        let reused = scene
            .submit(&token, &key(1), vec![dns_create("other.example.com")])
            .await
            .unwrap();
        assert!(reused.is_err());
    }
    Story {
        scene,
        token,
        ran,
        denied,
    }
}

async fn deliveries(ledger: &TestLedger, task: TaskId) -> Vec<ledger::DeliveryId> {
    let events = ledger.log().events_from(0, 10_000).await.unwrap();
    events
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            Event::DeliveryOwed(owed) if owed.task_id == task => Some(owed.delivery_id),
            _ => None,
        })
        .collect()
}

async fn deliver_all(ledger: &TestLedger, task: TaskId) {
    for delivery_id in deliveries(ledger, task).await {
        let started = ledger.run(StartAttempt { delivery_id }).await.unwrap();
        let ended = EndAttempt {
            delivery_id,
            attempt: started.attempt,
            outcome: AttemptOutcome::Delivered { http_status: 200 },
            retry_at: Timestamp::default(),
            duration: Duration::ZERO,
        };
        ledger.run(ended).await.unwrap();
    }
}

async fn close(ledger: &TestLedger, task_id: TaskId) {
    let command = CloseTask {
        task_id,
        token: None,
        reason: Some(format!("{TRACE} has ended")),
    };
    ledger.run(command).await.unwrap();
}

async fn ended_story() -> Story {
    let story = story(Scene::granted().await).await;
    close(&story.scene, story.task()).await;
    deliver_all(&story.scene, story.task()).await;
    story
}

impl Story {
    fn task(&self) -> TaskId {
        self.token.task.id
    }

    fn target(&self) -> EraseTarget {
        EraseTarget::Task(self.task())
    }
}

async fn headers(ledger: &TestLedger) -> Vec<Header> {
    let events = ledger.log().events_from(0, 10_000).await.unwrap();
    events.iter().map(|recorded| recorded.header).collect()
}

async fn said(ledger: &TestLedger, erasure: &Erasure) -> LedgerErased {
    let events = ledger.log().events_from(erasure.position, 1).await;
    match &events.unwrap()[0].event {
        Event::LedgerErased(erased) => erased.clone(),
        other => panic!("expected what was erased, got {other:?}"),
    }
}

pub(crate) async fn scrubbed(ledger: &TestLedger) {
    let mut scrubbed = ledger.scrubbed();
    scrubbed.wait_for(|done| *done).await.unwrap();
}

/// Which of the ledger's files hold these bytes.
pub(crate) fn holding(ledger: &Path, needle: &[u8]) -> Vec<String> {
    let folder = ledger.parent().unwrap();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = std::fs::read(&path).unwrap();
        if bytes.windows(needle.len()).any(|window| window == needle) {
            found.push(path.file_name().unwrap().to_string_lossy().into_owned());
        }
    }
    found
}

#[tokio::test]
async fn a_task_is_erased_with_everything_of_it_and_nothing_else() {
    let story = ended_story().await;
    let scene = &story.scene;
    let before = headers(scene).await;
    let of_task = payloads_of(scene, &story).await;
    let done = erase(scene, story.target()).await.unwrap();
    assert!(done.is_new);
    assert_eq!(done.subject, ErasedSubject::Task(story.task()));
    assert_eq!(done.position, scene.size_now() - 1);
    let after = headers(scene).await;
    assert_eq!(after[..before.len()], before, "headers never change");
    assert_eq!(after.len(), before.len() + 1);
    let events = scene.log().events_from(0, 10_000).await.unwrap();
    let gone: Vec<u64> = events
        .iter()
        .filter(|recorded| recorded.is_erased())
        .map(ledger::Recorded::position)
        .collect();
    assert_eq!(gone, of_task);
    assert_eq!(done.payloads, gone.len() as u64);
    let erased = said(scene, &done).await;
    for event in &events[..before.len()] {
        assert_eq!(erased.covers(event.position()), event.is_erased());
    }
    let kinds = |kind| erased.streams.iter().filter(|s| s.kind == kind).count();
    assert_eq!(kinds(StreamKind::Task), 1);
    assert_eq!(kinds(StreamKind::Apply), 3);
    assert_eq!(kinds(StreamKind::Approval), 2);
    assert!(kinds(StreamKind::Refusal) >= 10);
    assert!(kinds(StreamKind::Delivery) >= 5);
    assert_eq!(erased.names, []);
    assert_eq!(erased.counters.len(), 1);
    assert_eq!(
        scene.file().await.verify_erasures().await.unwrap(),
        done.payloads
    );
    consistency::check(scene).await;
}

#[tokio::test]
async fn an_auditor_finds_nothing_wrong_with_what_was_erased() {
    let story = ended_story().await;
    let scene = &story.scene;
    erase(scene, story.target()).await.unwrap();
    // The story goes on with others, and then they go too.
    let scene = story.scene.ledger;
    let next = scene
        .execute(administrator(), create_task())
        .await
        .unwrap()
        .task
        .id;
    close(&scene, next).await;
    deliver_all(&scene, next).await;
    erase(&scene, EraseTarget::Task(next)).await.unwrap();
    let history = fixtures::history::History::read(scene.close().await.path());
    let report = history.verify();
    assert!(report.verified, "{report}");
    let erased = report.history.erased.iter();
    let gone: u64 = erased.map(|range| range.last - range.first + 1).sum();
    let missing = history.records.iter().filter(|one| one.content.is_none());
    assert_eq!(gone, missing.count() as u64);
}

/// The positions of what tells of the story's task.
async fn payloads_of(ledger: &TestLedger, story: &Story) -> Vec<u64> {
    let events = ledger.log().events_from(0, 10_000).await.unwrap();
    let mut streams = vec![StreamId::from(story.task())];
    let mut positions = Vec::new();
    for recorded in &events {
        let task = match &recorded.event {
            Event::ApplyAccepted(e) => Some(e.task_id),
            Event::ApplyRefused(e) => Some(e.task_id),
            Event::RefusalsCounted(e) => Some(e.task_id),
            Event::ApprovalRequested(e) => Some(e.task_id),
            Event::DeliveryOwed(e) => Some(e.task_id),
            _ => None,
        };
        if task == Some(story.task()) {
            streams.push(recorded.stream_id());
        }
        if streams.contains(&recorded.stream_id()) {
            positions.push(recorded.position());
        }
    }
    positions
}

#[tokio::test]
async fn no_file_of_the_ledger_holds_what_was_erased() {
    let story = ended_story().await;
    let scene = &story.scene;
    // It stands there in the clear, so that finding nothing afterwards means something.
    assert!(!holding(scene.path(), TRACE.as_bytes()).is_empty());
    let key_of_idempotency = format!("{TRACE}-key-1");
    assert!(!holding(scene.path(), key_of_idempotency.as_bytes()).is_empty());
    let where_from = format!("CN={TRACE}-client");
    assert!(!holding(scene.path(), where_from.as_bytes()).is_empty());
    erase(scene, story.target()).await.unwrap();
    scrubbed(scene).await;
    assert_eq!(holding(scene.path(), TRACE.as_bytes()), [""; 0]);
    let path = scene.path().to_owned();
    let ledger = story.scene.ledger.restart().await;
    assert_eq!(holding(&path, TRACE.as_bytes()), [""; 0]);
    consistency::check(&ledger).await;
}

#[tokio::test]
async fn the_log_is_cut_as_soon_as_the_last_reader_has_gone() {
    let story = ended_story().await;
    let scene = &story.scene;
    let mut reader = crate::store::foreign(scene.path()).await;
    sqlx::raw_sql("BEGIN; SELECT count(*) FROM payloads;")
        .execute(&mut reader)
        .await
        .unwrap();
    erase(scene, story.target()).await.unwrap();
    let mut done = scene.scrubbed();
    assert!(!*done.borrow_and_update());
    // Commands are served meanwhile.
    scene.task().await;
    assert!(!*scene.scrubbed().borrow());
    sqlx::raw_sql("COMMIT").execute(&mut reader).await.unwrap();
    scrubbed(scene).await;
    assert_eq!(holding(scene.path(), TRACE.as_bytes()), [""; 0]);
}

#[tokio::test]
async fn every_command_on_what_was_erased_is_told_so() {
    let story = ended_story().await;
    let scene = &story.scene;
    let delivery = deliveries(scene, story.task()).await[0];
    erase(scene, story.target()).await.unwrap();
    let before = scene.size_now();
    let again = submit(
        &story.token,
        &format!("{TRACE}-key-1"),
        vec![ssl_mode("off")],
    );
    assert_eq!(refusal(scene.run(again).await), Rejection::Erased);
    let fresh = submit(&story.token, "fresh", vec![ssl_mode("off")]);
    assert_eq!(refusal(scene.run(fresh).await), Rejection::Erased);
    let closing = CloseTask {
        task_id: story.task(),
        token: None,
        reason: None,
    };
    assert_eq!(refusal(scene.run(closing).await), Rejection::Erased);
    let token = presented(&story.token);
    let renewal = ledger::command::RenewToken { token };
    assert_eq!(refusal(scene.run(renewal).await), Rejection::Erased);
    assert_eq!(
        refusal(scene.run(start(story.ran.apply.id, 0)).await),
        Rejection::Erased
    );
    let approval = story.denied.approval.as_ref().unwrap();
    let late = scene.alice.decide(scene, approval, Decision::Approve, None);
    assert_eq!(refusal(scene.run(late).await), Rejection::Erased);
    let retry = RetryDelivery {
        delivery_id: delivery,
        reason: None,
    };
    assert_eq!(refusal(scene.run(retry).await), Rejection::Erased);
    let attempt = StartAttempt {
        delivery_id: delivery,
    };
    assert_eq!(refusal(scene.run(attempt).await), Rejection::Erased);
    assert_eq!(
        refusal(scene.load::<Task>(story.task()).await),
        Rejection::Erased
    );
    assert_eq!(
        refusal(scene.load::<Apply>(story.ran.apply.id).await),
        Rejection::Erased
    );
    assert_eq!(
        refusal(scene.load::<Approval>(approval.id).await),
        Rejection::Erased
    );
    assert_eq!(
        refusal(scene.load::<Delivery>(delivery).await),
        Rejection::Erased
    );
    assert!(scene.file().await.is_erased(story.task()).await.unwrap());
    assert_eq!(scene.size_now(), before, "nothing of it is recorded");
    assert_eq!(Rejection::Erased.kind(), ledger::RejectionKind::Gone);
}

#[tokio::test]
async fn erasing_twice_says_the_same_and_records_nothing() {
    let story = ended_story().await;
    let scene = &story.scene;
    let first = erase(scene, story.target()).await.unwrap();
    let size = scene.size_now();
    let second = erase(scene, story.target()).await.unwrap();
    assert_eq!(
        second,
        Erasure {
            is_new: false,
            ..first
        }
    );
    assert_eq!(scene.size_now(), size);
    let ledger = story.scene.ledger.restart().await;
    let target = EraseTarget::Task(story.token.task.id);
    assert_eq!(erase(&ledger, target).await.unwrap(), second);
}

#[tokio::test]
async fn a_reason_is_needed_and_does_not_repeat_what_goes() {
    let story = ended_story().await;
    let target = story.target();
    for (reason, code) in [
        ("  ", "reason_missing"),
        ("MRS-TRACE NAME asked for it", "reason_repeats_name"),
    ] {
        let refused = story
            .scene
            .erase(origin(), target.clone(), reason.to_owned())
            .await;
        assert_eq!(refusal(refused).code(), code);
    }
}

#[tokio::test]
async fn refusals_that_were_being_counted_are_not_recorded_afterwards() {
    let story = ended_story().await;
    let scene = &story.scene;
    erase(scene, story.target()).await.unwrap();
    let size = scene.size_now();
    scene.clock.advance(Duration::from_secs(120));
    scene.task().await;
    let names = scene.names_since(size).await;
    assert!(!names.contains(&"apply.refusals_counted"), "{names:?}");
}
