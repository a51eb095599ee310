//! What was erased leaves the same rows behind, whenever it is folded, and no trace in the files.

use crate::dump::dump;
use crate::step::step;
use crate::story::{APPROVERS, Story};
use crate::world::{self, catch_up, path_of, url_of};
use fixtures::approver::SoftApprover;
use fixtures::rules::APPROVER;
use fixtures::test_ledger::TestLedger;
use fixtures::{commands, people};
use ledger::aggregate::{Apply, Approver, Delivery, DeliveryState, OperationState, User};
use ledger::command::{
    CloseTask, CreateTask, EndAttempt, EndOperation, EraseTarget, LinkPrincipal, RemoveUpstreamKey,
    ResolveApply, RevokeCredential, RevokeGrants, RevokeKey, StartAttempt, UpstreamKeyHolder,
};
use ledger::event::{ApplyEnd, AttemptOutcome, OperationOutcome};
use ledger::{
    AgentName, ApproverName, Binding, Breadth, Ceremony, Decision, Event, KeptMode, Ledger,
    Recorded, Retention, Role, TaskId, Timestamp, UpstreamName, UserId,
};
use projections::{ClearanceUses, Paging, Projection, ProjectionOptions, Projections, Runner};
use proptest::prelude::*;
use std::path::Path;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

async fn open(path: &Path, ledger: &Ledger) -> (Projections, Runner) {
    Projections::open(ProjectionOptions {
        url: url_of(path),
        ledger: ledger.clone(),
    })
    .await
    .unwrap()
}

async fn events(ledger: &Ledger) -> Vec<Recorded> {
    ledger.log().events_from(0, u32::MAX).await.unwrap()
}

/// Ends everything of every task, so that all of it can be erased.
async fn wind_down(ledger: &TestLedger) -> Vec<TaskId> {
    let mut tasks = Vec::new();
    for recorded in events(ledger).await {
        if let Event::TaskCreated(created) = &recorded.event {
            let close = CloseTask {
                task_id: created.task_id,
                token: None,
                reason: Some("wound down".to_owned()),
            };
            ledger.execute(commands::system(), close).await.unwrap();
            tasks.push(created.task_id);
        }
    }
    for recorded in events(ledger).await {
        if let Event::ApplyAccepted(accepted) = &recorded.event {
            end_apply(ledger, accepted.apply_id).await;
        }
    }
    // Past every pause between two tries.
    ledger.clock.advance(Duration::from_secs(7 * 86_400));
    for recorded in events(ledger).await {
        if let Event::DeliveryOwed(owed) = &recorded.event {
            deliver(ledger, owed.delivery_id).await;
        }
    }
    tasks
}

async fn end_apply(ledger: &Ledger, id: ledger::ApplyId) {
    let apply = ledger.load::<Apply>(id).await.unwrap().unwrap();
    let under_way = apply
        .operations
        .iter()
        .position(|state| matches!(state, OperationState::Started { .. }));
    if let Some(index) = under_way {
        let end = EndOperation {
            apply_id: id,
            index,
            outcome: OperationOutcome::Unknown {
                why: "wound down".to_owned(),
            },
            reconciled: false,
            duration: Duration::ZERO,
            evidence: Default::default(),
        };
        ledger.execute(commands::system(), end).await.unwrap();
    } else if apply.is_running() {
        // Its next operation is refused, which ends it.
        let start = ledger::command::StartOperation {
            apply_id: id,
            index: apply
                .operations
                .iter()
                .position(|state| *state == OperationState::Waiting)
                .unwrap(),
            simulated: true,
            method: "POST".to_owned(),
            path: "/".to_owned(),
            body_digest: None,
            read_before: Default::default(),
            read_again: None,
        };
        drop(ledger.execute(commands::system(), start).await);
    }
    let apply = ledger.load::<Apply>(id).await.unwrap().unwrap();
    if apply.end == Some(ApplyEnd::Unknown) {
        let resolve = ResolveApply {
            apply_id: id,
            executed: true,
            reason: "wound down".to_owned(),
        };
        ledger.execute(commands::system(), resolve).await.unwrap();
    }
}

async fn deliver(ledger: &Ledger, delivery_id: ledger::DeliveryId) {
    let delivery = ledger.load::<Delivery>(delivery_id).await.unwrap().unwrap();
    let attempt = match delivery.state {
        DeliveryState::Due(_) => {
            let start = StartAttempt { delivery_id };
            ledger
                .execute(commands::system(), start)
                .await
                .unwrap()
                .attempt
        }
        DeliveryState::UnderWay => delivery.attempts,
        DeliveryState::Delivered | DeliveryState::GivenUp => return,
    };
    let end = EndAttempt {
        delivery_id,
        attempt,
        outcome: AttemptOutcome::Delivered { http_status: 204 },
        retry_at: Timestamp::default(),
        duration: Duration::ZERO,
    };
    ledger.execute(commands::system(), end).await.unwrap();
}

async fn erase(ledger: &Ledger, target: EraseTarget) {
    let reason = "asked for".to_owned();
    ledger
        .erase(commands::system(), target, reason)
        .await
        .unwrap();
}

async fn retire(ledger: &Ledger, principal: &str) {
    let principal = &ApproverName::unchecked(principal);
    let approver = ledger.approver(principal).await.unwrap().unwrap();
    for credential in &Approver::clone(&approver).credentials {
        let revoke = RevokeCredential {
            principal: principal.clone(),
            credential_id: credential.credential_id.clone(),
            reason: None,
        };
        ledger.execute(commands::system(), revoke).await.unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn erased_tables_are_the_same_live_lagging_and_rebuilt(
        steps in prop::collection::vec(step(), 20..80),
        halfway in 0..80_usize,
        kept in 0..4_usize,
        staying in 0..3_usize,
        approver_first in any::<bool>(),
    ) {
        runtime().block_on(async {
            let mut story = Story::begin().await;
            let ledger = story.ledger.ledger.clone();
            let dir = story.ledger.dir().to_owned();
            let (live, lagging) = (dir.join("live.db"), dir.join("lagging.db"));
            let (_, mut runner) = open(&live, &ledger).await;
            for (number, step) in steps.iter().enumerate() {
                story.happen(step).await;
                runner.catch_up(|_| {}).await.unwrap();
                if number == halfway {
                    // Closed with half of every story in it.
                    let (_, mut behind) = open(&lagging, &ledger).await;
                    behind.catch_up(|_| {}).await.unwrap();
                }
            }
            let tasks = wind_down(&story.ledger).await;
            runner.catch_up(|_| {}).await.unwrap();
            if approver_first {
                retire(&ledger, APPROVERS[0]).await;
                erase(&ledger, EraseTarget::Approver(ApproverName::unchecked(APPROVERS[0]))).await;
            }
            for task in tasks.iter().skip(kept) {
                erase(&ledger, EraseTarget::Task(*task)).await;
                runner.catch_up(|_| {}).await.unwrap();
            }
            if !approver_first {
                retire(&ledger, APPROVERS[1]).await;
                erase(&ledger, EraseTarget::Approver(ApproverName::unchecked(APPROVERS[1]))).await;
            }
            for user in story.people.users().iter().skip(staying) {
                // The last administrator stays.
                drop(ledger.execute(commands::system(), people::delete_user(*user)).await);
                if ledger.load::<User>(*user).await.unwrap().unwrap().deleted {
                    erase(&ledger, EraseTarget::User(*user)).await;
                }
            }
            let remove = RemoveUpstreamKey {
                holder: UpstreamKeyHolder::Agent(AgentName::unchecked(commands::AGENT)),
                upstream: UpstreamName::anthropic(),
            };
            ledger.execute(commands::administrator(), remove).await.unwrap();
            for key in &story.keys {
                let revoke = RevokeKey {
                    agent: AgentName::unchecked(commands::AGENT),
                    key_id: key.id,
                    reason: None,
                };
                ledger.execute(commands::system(), revoke).await.unwrap();
            }
            let revoke = RevokeGrants {
                agent: AgentName::unchecked(commands::AGENT),
                operation: None,
                reason: None,
            };
            ledger.execute(commands::system(), revoke).await.unwrap();
            erase(&ledger, EraseTarget::Agent(AgentName::unchecked(commands::AGENT))).await;
            // Life goes on.
            let command = CreateTask { agent: AgentName::unchecked("another"), ..commands::create_task() };
            ledger.execute(commands::administrator(), command).await.unwrap();
            runner.catch_up(|_| {}).await.unwrap();
            let (_, mut behind) = open(&lagging, &ledger).await;
            behind.catch_up(|_| {}).await.unwrap();
            let rebuilt = dir.join("rebuilt.db");
            projections::rebuild(&url_of(&rebuilt), ledger.log(), &Projection::ALL, |_| {}).await.unwrap();
            let expected = dump(&rebuilt).await;
            assert_eq!(dump(&live).await, expected);
            assert_eq!(dump(&lagging).await, expected);
            story.ledger.file().await.verify_lookups().await.unwrap();
        });
    }
}

/// The tables that have followed the log are those that one fold of it makes.
async fn assert_as_rebuilt(ledger: &TestLedger) {
    let rebuilt = ledger.dir().join("rebuilt.db");
    projections::rebuild(&url_of(&rebuilt), ledger.log(), &Projection::ALL, |_| {})
        .await
        .unwrap();
    assert_eq!(dump(&path_of(ledger)).await, dump(&rebuilt).await);
}

#[tokio::test]
async fn what_an_erased_task_used_of_a_kept_decision_is_not_counted() {
    let (ledger, projections, mut runner) = world::new().await;
    let approver = SoftApprover::new(APPROVER);
    ledger.run(approver.registration()).await.unwrap();
    let (asking, using) = (ledger.task().await, ledger.task().await);
    let purge = || vec![commands::purge()];
    let asked = ledger.submit(&asking, "asks", purge()).await;
    let asked = asked.unwrap().unwrap().approval.unwrap();
    let retention = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Scope,
        binding: Binding::Agent,
        until: Some(ledger.now().plus(Duration::from_secs(3600))),
    };
    let keep = approver.keep(&ledger, &asked, Decision::Approve, retention);
    ledger.run(keep).await.unwrap().accepted().unwrap();
    let first = ledger.submit(&asking, "uses", purge()).await;
    let id = first.unwrap().unwrap().apply.clearance_id.unwrap();
    let (first_at, minute) = (ledger.now(), Duration::from_secs(60));
    ledger.clock.advance(minute);
    let second = ledger.submit(&using, "uses", purge()).await;
    let second = second.unwrap().unwrap().apply;
    assert_eq!(second.clearance_id, Some(id));
    let used = |uses, last_used_at| Some(ClearanceUses { uses, last_used_at });
    catch_up(&mut runner).await;
    let uses = projections.clearance_uses(&[id]).await.unwrap();
    assert_eq!(uses.get(&id).copied(), used(2, first_at.plus(minute)));
    let close = CloseTask {
        task_id: using.task.id,
        token: None,
        reason: None,
    };
    ledger.run(close).await.unwrap();
    end_apply(&ledger, second.id).await;
    erase(&ledger, EraseTarget::Task(using.task.id)).await;
    catch_up(&mut runner).await;
    let uses = projections.clearance_uses(&[id]).await.unwrap();
    assert_eq!(uses.get(&id).copied(), used(1, first_at));
    assert_as_rebuilt(&ledger).await;
}

#[tokio::test]
async fn a_principal_is_nobodys_once_the_user_who_had_linked_it_is_deleted() {
    let (ledger, projections, mut runner) = world::new().await;
    let passkey = SoftApprover::new(APPROVER);
    ledger.run(passkey.registration()).await.unwrap();
    let root = people::create_user("root", Role::Admin);
    ledger.run(root).await.unwrap();
    let mut erased: Option<UserId> = None;
    for name in ["first", "second"] {
        let user = people::create_user(name, Role::Viewer);
        let user = ledger.run(user).await.unwrap().id;
        let principal = passkey.principal().clone();
        let ceremony = Ceremony::Link(user, principal.clone());
        let (assertion, _) = passkey.prove(&ledger, ceremony);
        let link = LinkPrincipal {
            user_id: user,
            principal,
            assertion,
        };
        ledger.run(link).await.unwrap();
        catch_up(&mut runner).await;
        assert_eq!(owner(&projections).await, Some(user));
        ledger.run(people::delete_user(user)).await.unwrap();
        catch_up(&mut runner).await;
        assert_eq!(owner(&projections).await, None);
        erased = Some(user);
    }
    erase(&ledger, EraseTarget::User(erased.unwrap())).await;
    catch_up(&mut runner).await;
    assert_eq!(owner(&projections).await, None);
    assert_as_rebuilt(&ledger).await;
}

/// The user of the only approver.
async fn owner(projections: &Projections) -> Option<UserId> {
    let all = Paging {
        after: None,
        limit: 10,
    };
    let page = projections.approvers(all).await.unwrap();
    assert_eq!(page.rows.len(), 1);
    page.rows[0].user_id
}

fn holding(folder: &Path, prefix: &str, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        if name.starts_with(prefix) && bytes.windows(needle.len()).any(|part| part == needle) {
            found.push(name);
        }
    }
    found
}

#[tokio::test]
async fn no_file_of_the_read_tables_holds_what_was_erased() {
    const TRACE: &str = "mrs-trace";
    let (ledger, projections, runner) = world::new().await;
    let stop = CancellationToken::new();
    let running = tokio::spawn(runner.run(stop.clone()));
    let command = CreateTask {
        name: TRACE.to_owned(),
        ..commands::create_task()
    };
    let token = ledger
        .execute(commands::administrator(), command)
        .await
        .unwrap();
    let key = format!("{TRACE}-key");
    let asked = ledger
        .submit(&token, &key, vec![commands::ssl_mode("strict")])
        .await
        .unwrap()
        .unwrap();
    let close = CloseTask {
        task_id: token.task.id,
        token: None,
        reason: Some(TRACE.to_owned()),
    };
    ledger.run(close).await.unwrap();
    projections
        .caught_up(&Projection::ALL, Duration::from_secs(10))
        .await
        .unwrap();
    assert!(!holding(ledger.dir(), "proxy.db", TRACE.as_bytes()).is_empty());
    erase(&ledger, EraseTarget::Task(token.task.id)).await;
    projections
        .caught_up(&Projection::ALL, Duration::from_secs(10))
        .await
        .unwrap();
    assert_eq!(projections.task(token.task.id).await.unwrap(), None);
    let left = projections.erased(asked.apply.id).await.unwrap().unwrap();
    assert_eq!(left.kind, "apply");
    assert_eq!(left.subject_id, token.task.id.into());
    let until_gone = async {
        while !holding(ledger.dir(), "proxy.db", TRACE.as_bytes()).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), until_gone)
        .await
        .unwrap();
    stop.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(holding(ledger.dir(), "proxy.db", TRACE.as_bytes()), [""; 0]);
}
