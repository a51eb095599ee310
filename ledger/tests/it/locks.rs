//! Locks: one event, and from its commit on nothing of the target begins, is decided or goes on.

use crate::scene::{Scene, end, failed, refusal, start, succeeded};
use fixtures::approver::SoftApprover;
use fixtures::commands::{
    AGENT, agent, agent_with_key, create_key, create_task, create_template, dns_create, key,
    open_task, presented, presented_key, purge, ssl_mode, submit,
};
use fixtures::history::History;
use fixtures::people::{by, create_user, enrol, open_session, passkey_login};
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::{Apply, Approval, ApprovalState, User};
use ledger::command::{
    AgentChanges, CancelLocked, DescribeAgent, LiftLock, Locked, NarrowApproval, OperationStart,
    RenewToken, Ruling, SetLock, SubmitApply,
};
use ledger::event::{ApplyEnd, Event, LockTarget, OnApproval};
use ledger::{
    Actor, AgentId, AgentName, CredentialId, Decision, Error, KeyId, LockId, Origin, Rejection,
    Role, TaskId, UserId,
};
use providers::cloudflare;
use std::time::Duration;

fn lock(target: LockTarget) -> SetLock {
    SetLock {
        target,
        reason: "drill".to_owned(),
        duration: None,
    }
}

fn lift(lock: &Locked) -> LiftLock {
    LiftLock {
        lock_id: lock.lock.id,
        revoke_keys: false,
    }
}

fn passkey_of(person: &SoftApprover) -> CredentialId {
    CredentialId::unchecked(person.credential_id().to_vec())
}

fn operator() -> Origin {
    Origin {
        actor: Actor::Operator {
            name: "ops".to_owned(),
        },
        request_id: None,
    }
}

fn is_locked<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    refusal(result).code() == "locked"
}

/// Ends the ledger, and has everything that it recorded audited.
async fn audited(ledger: TestLedger) {
    let closed = ledger.close().await;
    History::read(closed.path()).assert_verified();
}

/// The targets that stop the scene's task and its apply of `ssl.mode.write`.
async fn targets(scene: &Scene) -> Vec<LockTarget> {
    let owner = scene.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let owned = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(owner.id)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    let task = &scene.token.task;
    vec![
        LockTarget::All,
        LockTarget::Agent(task.agent_id),
        LockTarget::Owner(owner.id),
        LockTarget::Task(task.id),
        LockTarget::Operation(cloudflare::SSL_MODE.id.into()),
    ]
}

#[tokio::test]
async fn a_lock_of_each_kind_refuses_new_applies_decisions_and_what_was_approved() {
    let kinds = targets(&Scene::granted().await).await.len();
    for kind in 0..kinds {
        let scene = Scene::granted().await;
        let target = targets(&scene).await.swap_remove(kind);
        let (asked, approved) = (scene.asked("k1").await, {
            let operations = vec![ssl_mode("full")];
            let asked = scene.submitted("k2", operations).await;
            scene.decided(&asked, Decision::Approve).await;
            asked
        });
        scene.clock.advance(Duration::from_secs(1));
        scene.run(lock(target.clone())).await.unwrap();
        let size = scene.size_now();
        let fresh = scene
            .submit(&scene.token, "k3", vec![ssl_mode("off")])
            .await;
        assert_eq!(fresh.unwrap().unwrap_err().code(), "locked", "{target:?}");
        let continued = scene.continued(&approved).await.unwrap_err();
        assert_eq!(continued.code(), "locked", "{target:?}");
        assert_eq!(
            scene.names_since(size).await,
            ["apply.refused", "apply.refused"],
            "{target:?}"
        );
        let question = scene.approval(&asked).await;
        let vote = scene
            .alice
            .decide(&scene.ledger, &question, Decision::Approve, None);
        let refused = refusal(scene.run(vote).await);
        assert!(
            matches!(refused, Rejection::QuestionLocked { .. }),
            "{refused}"
        );
        audited(scene.ledger).await;
    }
}

#[tokio::test]
async fn a_lock_of_each_kind_ends_an_approval_that_its_failed_apply_gave_back() {
    let kinds = targets(&Scene::granted().await).await.len();
    for kind in 0..kinds {
        let scene = Scene::granted().await;
        let target = targets(&scene).await.swap_remove(kind);
        let asked = scene.submitted("k1", vec![ssl_mode("full")]).await;
        scene.decided(&asked, Decision::Approve).await;
        scene.continued(&asked).await.unwrap();
        let apply = asked.apply.id;
        assert_eq!(
            scene.run(start(apply, 0)).await.unwrap(),
            OperationStart::Go
        );
        scene.run(end(apply, 0, failed())).await.unwrap();
        assert_eq!(scene.approval(&asked).await.state, ApprovalState::Approved);
        scene.clock.advance(Duration::from_secs(1));
        scene.run(lock(target.clone())).await.unwrap();
        let approval_id = asked.approval.as_ref().unwrap().id;
        assert!(scene.run(CancelLocked { approval_id }).await.unwrap());
        audited(scene.ledger).await;
    }
}

#[tokio::test]
async fn what_was_asked_approved_or_issued_before_a_lock_stays_dead_when_it_is_lifted() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k1").await;
    let approved = scene.submitted("k2", vec![ssl_mode("full")]).await;
    scene.decided(&approved, Decision::Approve).await;
    let queued = scene
        .submitted("k3", vec![dns_create("a.example.com")])
        .await;
    scene.clock.advance(Duration::from_secs(1));
    let all = scene.run(lock(LockTarget::All)).await.unwrap();
    scene.clock.advance(Duration::from_secs(1));
    scene.execute(operator(), lift(&all)).await.unwrap();

    let old_token = scene
        .submit(&scene.token, "k4", vec![dns_create("b.example.com")])
        .await;
    assert_eq!(refusal(old_token), Rejection::TokenRevoked);
    let question = scene.approval(&asked).await;
    let vote = scene
        .alice
        .decide(&scene.ledger, &question, Decision::Approve, None);
    assert_eq!(refusal(scene.run(vote).await), Rejection::CancelledByLock);
    let approval_id = question.id;
    assert!(scene.run(CancelLocked { approval_id }).await.unwrap());
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Cancelled);
    let approval_id = approved.approval.as_ref().unwrap().id;
    assert!(scene.run(CancelLocked { approval_id }).await.unwrap());
    assert!(!scene.run(CancelLocked { approval_id }).await.unwrap());
    // What was accepted and not sent is not sent any more.
    let queued = queued.apply.id;
    let started = scene.run(start(queued, 0)).await.unwrap();
    assert_eq!(started, OperationStart::Stopped);
    let stopped = scene.load::<Apply>(queued).await.unwrap().unwrap();
    assert_eq!(stopped.end, Some(ApplyEnd::Failed));
    assert_eq!(stopped.stopped.as_deref(), Some("locked"));
    // A new task goes on.
    let token = scene.task().await;
    let fresh = scene
        .submit(&token, "k1", vec![dns_create("c.example.com")])
        .await;
    assert!(fresh.unwrap().unwrap().apply.authorised);
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_question_from_before_a_lock_is_asked_anew_and_not_shared() {
    let scene = Scene::granted().await;
    let secret = scene.run(create_key("cak_one")).await.unwrap();
    scene.run(create_template("deploy")).await.unwrap();
    let task = scene.execute(agent_with_key(&secret), open_task(&secret, "deploy"));
    let task = task.await.unwrap();
    let ask = |name: &str| SubmitApply {
        token: presented_key(&secret, &task).into(),
        key: key(name),
        operations: vec![ssl_mode("strict")],
        purpose: ledger::Purpose::default(),
        on_approval: OnApproval::Wait,
        callback: None,
        edge: ledger::policy::Edge::default(),
    };
    let asked = async |name: &str| {
        let ruling = scene.execute(agent_with_key(&secret), ask(name)).await;
        ruling.unwrap().accepted().unwrap()
    };
    let first = asked("k1").await;
    scene.clock.advance(Duration::from_secs(1));
    let locked = scene.run(lock(LockTarget::Key(secret.id))).await.unwrap();
    let refused = scene.execute(agent_with_key(&secret), ask("k2")).await;
    assert_eq!(refused.unwrap().accepted().unwrap_err().code(), "locked");
    scene.clock.advance(Duration::from_secs(1));
    scene.execute(operator(), lift(&locked)).await.unwrap();
    // The key counts again, and so does the idempotency key that was refused.
    let second = asked("k2").await;
    assert_ne!(
        first.approval.as_ref().unwrap().id,
        second.approval.as_ref().unwrap().id
    );
    assert_eq!(scene.approval(&first).await.state, ApprovalState::Cancelled);
    assert_eq!(scene.approval(&second).await.state, ApprovalState::Pending);
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_lock_between_two_operations_stops_the_second() {
    let scene = Scene::granted().await;
    let operations = vec![dns_create("a.example.com"), purge()];
    let id = scene.submitted("k", operations).await.apply.id;
    assert_eq!(scene.run(start(id, 0)).await.unwrap(), OperationStart::Go);
    let purging = LockTarget::Operation(cloudflare::CACHE_PURGE.id.into());
    scene.clock.advance(Duration::from_secs(1));
    scene.run(lock(purging)).await.unwrap();
    // What was sent ends as it did.
    scene.run(end(id, 0, succeeded())).await.unwrap();
    assert_eq!(
        scene.run(start(id, 1)).await.unwrap(),
        OperationStart::Stopped
    );
    let stopped = scene.load::<Apply>(id).await.unwrap().unwrap();
    assert_eq!(stopped.stopped.as_deref(), Some("locked"));
    audited(scene.ledger).await;
}

#[tokio::test]
async fn nothing_is_issued_opened_or_renewed_under_a_lock() {
    let scene = Scene::granted().await;
    let secret = scene.run(create_key("cak_one")).await.unwrap();
    scene.run(create_template("deploy")).await.unwrap();
    let agent_id = scene.token.task.agent_id;
    scene.run(lock(LockTarget::Agent(agent_id))).await.unwrap();
    assert!(is_locked(scene.run(create_task()).await));
    assert!(is_locked(scene.run(create_key("cak_two")).await));
    let open = scene.execute(agent_with_key(&secret), open_task(&secret, "deploy"));
    assert!(is_locked(open.await));
    let token = presented(&scene.token);
    assert!(is_locked(
        scene
            .run(RenewToken {
                token: token.clone()
            })
            .await
    ));
    let narrow = NarrowApproval {
        token: token.into(),
        principal: None,
    };
    assert!(is_locked(scene.run(narrow).await));
    // Another agent is not concerned.
    let mut other = create_task();
    other.agent = AgentName::unchecked("other");
    scene.run(other).await.unwrap();
    audited(scene.ledger).await;
}

#[tokio::test]
async fn overlapping_locks_stop_until_the_last_is_lifted_in_whatever_order() {
    for first_lifted in [0, 1] {
        let scene = Scene::granted().await;
        let task = scene.token.task.id;
        let locks = [
            scene.run(lock(LockTarget::All)).await.unwrap(),
            scene.run(lock(LockTarget::Task(task))).await.unwrap(),
        ];
        scene
            .execute(operator(), lift(&locks[first_lifted]))
            .await
            .unwrap();
        let still = scene
            .submit(&scene.token, "k", vec![dns_create("a.example.com")])
            .await;
        assert_eq!(still.unwrap().unwrap_err().code(), "locked");
        let last = &locks[1 - first_lifted];
        scene.execute(operator(), lift(last)).await.unwrap();
        let again = scene.execute(operator(), lift(last)).await.unwrap();
        let size = scene.size_now();
        assert_eq!(again.lock.lifted_at, Some(scene.now()));
        scene.execute(operator(), lift(last)).await.unwrap();
        assert_eq!(scene.names_since(size).await, [] as [&str; 0]);
        audited(scene.ledger).await;
    }
}

#[tokio::test]
async fn a_lock_ends_by_itself_and_the_newer_of_two_keeps_what_is_older_dead() {
    let scene = Scene::granted().await;
    let mut short = lock(LockTarget::All);
    short.duration = Some(Duration::from_secs(60));
    scene.run(short).await.unwrap();
    scene.clock.advance(Duration::from_secs(59));
    assert!(is_locked(scene.run(create_task()).await));
    scene.clock.advance(Duration::from_secs(1));
    scene.run(create_task()).await.unwrap();
    let old = scene
        .submit(&scene.token, "k", vec![dns_create("a.example.com")])
        .await;
    assert_eq!(refusal(old), Rejection::TokenRevoked);
    audited(scene.ledger).await;
}

#[tokio::test]
async fn a_lock_outlives_a_restart_and_a_clock_that_goes_back() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k").await;
    scene.clock.advance(Duration::from_secs(1));
    scene.run(lock(LockTarget::All)).await.unwrap();
    let (token, alice) = (scene.token, scene.alice);
    let ledger = scene.ledger.restart().await;
    assert!(!ledger.locks().is_empty());
    ledger.clock.set(fixtures::clock::START);
    assert!(is_locked(ledger.run(create_task()).await));
    let refused = ledger
        .submit(&token, "k2", vec![dns_create("a.example.com")])
        .await;
    assert_eq!(refused.unwrap().unwrap_err().code(), "locked");
    let approval_id = asked.approval.as_ref().unwrap().id;
    let approval = ledger.load::<Approval>(approval_id).await.unwrap().unwrap();
    let vote = alice.decide(&ledger, &approval, Decision::Approve, None);
    assert!(is_locked(ledger.run(vote).await));
    audited(ledger).await;
}

#[tokio::test]
async fn a_locked_user_has_no_session_and_no_vote_and_one_lifted_logs_in_anew() {
    let ledger = TestLedger::open().await;
    ledger.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = ledger
        .run(create_user("zoe", Role::Operator))
        .await
        .unwrap();
    let login = open_session(&ledger, zoe.id, zoe.epoch);
    let session = ledger.run(login).await.unwrap().session;
    ledger.clock.advance(Duration::from_secs(1));
    let locked = ledger.run(lock(LockTarget::User(zoe.id))).await.unwrap();
    let acts = ledger.execute(by(&session), create_task()).await;
    assert_eq!(refusal(acts), Rejection::SessionEnded);
    let login = open_session(&ledger, zoe.id, zoe.epoch);
    assert_eq!(refusal(ledger.run(login).await), Rejection::LoginFailed);
    ledger.clock.advance(Duration::from_secs(1));
    ledger.execute(operator(), lift(&locked)).await.unwrap();
    let acts = ledger.execute(by(&session), create_task()).await;
    assert_eq!(refusal(acts), Rejection::SessionEnded, "it is from before");
    let login = open_session(&ledger, zoe.id, zoe.epoch);
    let session = ledger.run(login).await.unwrap().session;
    ledger.execute(by(&session), create_task()).await.unwrap();
    audited(ledger).await;
}

#[tokio::test]
async fn a_locked_passkey_decides_nothing_logs_nobody_in_and_ends_their_sessions() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k").await;
    scene.clock.advance(Duration::from_secs(1));
    let passkey = LockTarget::Credential(passkey_of(&scene.alice));
    scene.run(lock(passkey)).await.unwrap();
    let question = scene.approval(&asked).await;
    let vote = scene
        .alice
        .decide(&scene.ledger, &question, Decision::Approve, None);
    assert_eq!(
        refusal(scene.run(vote).await),
        Rejection::CredentialNotEligible
    );

    let root = scene.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = scene.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let own = enrol(&scene.ledger, zoe.id, "zoe").await;
    let zoe = scene.load::<User>(zoe.id).await.unwrap().unwrap();
    let login = passkey_login(&scene.ledger, zoe.id, zoe.epoch, &own);
    let session = scene.run(login).await.unwrap().session;
    scene.clock.advance(Duration::from_secs(1));
    let passkey = LockTarget::Credential(passkey_of(&own));
    scene.run(lock(passkey)).await.unwrap();
    assert!(scene.is_session_locked(&zoe, &session).await.unwrap());
    let login = passkey_login(&scene.ledger, zoe.id, zoe.epoch, &own);
    assert_eq!(refusal(scene.run(login).await), Rejection::LoginFailed);
    assert_ne!(root.id, zoe.id);
    audited(scene.ledger).await;
}

#[tokio::test]
async fn the_last_admin_who_can_log_in_is_not_locked_out() {
    let ledger = TestLedger::open().await;
    let root = ledger.run(create_user("root", Role::Admin)).await.unwrap();
    let refused = refusal(ledger.run(lock(LockTarget::User(root.id))).await);
    assert_eq!(refused, Rejection::LastAdmin);
    let other = ledger.run(create_user("zoe", Role::Admin)).await.unwrap();
    ledger.run(lock(LockTarget::User(root.id))).await.unwrap();
    let refused = refusal(ledger.run(lock(LockTarget::User(other.id))).await);
    assert_eq!(refused, Rejection::LastAdmin);
    audited(ledger).await;
}

#[tokio::test]
async fn a_lock_names_something_that_there_is_and_says_why() {
    let scene = Scene::granted().await;
    let missing = [
        LockTarget::Agent(AgentId::from_bytes([9; 16])),
        LockTarget::Owner(UserId::from_bytes([9; 16])),
        LockTarget::Task(TaskId::from_bytes([9; 16])),
        LockTarget::Key(KeyId::from_bytes([9; 16])),
        LockTarget::User(UserId::from_bytes([9; 16])),
        LockTarget::Credential(CredentialId::unchecked(vec![9])),
    ];
    for target in missing {
        let refused = refusal(scene.run(lock(target.clone())).await);
        assert!(
            refused.code().ends_with("_not_found"),
            "{target:?}: {refused}"
        );
    }
    for reason in [String::new(), "  ".to_owned(), "x".repeat(1001)] {
        let set = SetLock {
            reason,
            ..lock(LockTarget::All)
        };
        assert_eq!(refusal(scene.run(set).await).code(), "invalid_reason");
    }
    let unknown = LiftLock {
        lock_id: LockId::from_bytes([9; 16]),
        revoke_keys: false,
    };
    assert_eq!(refusal(scene.run(unknown).await), Rejection::LockNotFound);
    assert!(scene.locks().is_empty());
}

#[tokio::test]
async fn people_are_locked_by_admins_and_let_go_by_persons_with_a_fresh_passkey() {
    let ledger = TestLedger::open().await;
    let root = ledger.run(create_user("root", Role::Admin)).await.unwrap();
    let zoe = ledger
        .run(create_user("zoe", Role::Operator))
        .await
        .unwrap();
    let login = open_session(&ledger, zoe.id, zoe.epoch);
    let session = ledger.run(login).await.unwrap().session;
    let refused = ledger.execute(by(&session), lock(LockTarget::All)).await;
    assert!(matches!(refusal(refused), Rejection::RoleRequired { .. }));
    let all = ledger.run(lock(LockTarget::All)).await.unwrap();
    let lifting = ledger.execute(by(&session), lift(&all)).await;
    assert!(matches!(refusal(lifting), Rejection::RoleRequired { .. }));
    let service = Origin {
        actor: Actor::Service {
            fingerprint: [1; 8],
        },
        request_id: None,
    };
    let refused = refusal(ledger.execute(service.clone(), lift(&all)).await);
    assert_eq!(refused, Rejection::PersonRequired);
    let login = open_session(&ledger, root.id, root.epoch);
    let session = ledger.run(login).await.unwrap().session;
    let refused = refusal(ledger.execute(by(&session), lift(&all)).await);
    assert_eq!(refused, Rejection::StepUpRequired);
    let operation = LockTarget::Operation(cloudflare::CACHE_PURGE.id.into());
    let narrow = ledger.run(lock(operation)).await.unwrap();
    ledger.execute(service, lift(&narrow)).await.unwrap();
    audited(ledger).await;
}

#[tokio::test]
async fn a_lock_goes_before_the_commands_that_wait_and_its_batch_begins_nothing() {
    let scene = Scene::granted().await;
    scene.clock.advance(Duration::from_secs(1));
    let tasks = futures_util::future::join_all((0..64).map(|_| scene.task())).await;
    scene.clock.advance(Duration::from_secs(1));
    let flood = tasks.iter().flat_map(|token| {
        (0..16).map(|n| {
            let name = format!("n{n}.example.com");
            let command = submit(token, &format!("k{n}"), vec![dns_create(&name)]);
            scene.execute(agent(token), command)
        })
    });
    let flood = futures_util::future::join_all(flood);
    let set = scene.run(lock(LockTarget::All));
    let (submitted, set) = futures_util::join!(flood, set);
    let position = set.unwrap().position;
    assert_eq!(submitted.len(), 1024);
    let later = scene.log().events_from(position, 10_000).await.unwrap();
    assert!(matches!(later[0].event, Event::LockSet(_)));
    let begun = later.iter().filter(|recorded| {
        matches!(
            recorded.event,
            Event::ApplyAccepted(_) | Event::OperationStarted(_) | Event::TokenIssued(_)
        )
    });
    assert_eq!(begun.count(), 0);
    // All 1,024 were handed in before it.
    let refused = submitted.iter().filter(|ruling| {
        ruling
            .as_ref()
            .is_ok_and(|ruling| matches!(ruling, Ruling::Refused(_)))
    });
    assert!(refused.count() > 512, "the lock waited behind the flood");
    audited(scene.ledger).await;
}

#[tokio::test]
async fn of_500_approved_applies_none_begins_an_operation_after_the_lock() {
    let scene = Scene::new().await;
    let mut approved = Vec::new();
    for number in 0..500 {
        let asked = scene.approved(&format!("k{number}")).await;
        approved.push(scene.continued(&asked).await.unwrap().apply.id);
    }
    let begun = scene.size_now();
    let clients = approved.chunks(8).map(async |applies| {
        for apply_id in applies {
            if scene.run(start(*apply_id, 0)).await.is_err() {
                return;
            }
        }
    });
    // It comes among them.
    let set = async {
        let mut size = scene.ledger.size();
        size.wait_for(|size| *size > begun + 40).await.unwrap();
        scene.run(lock(LockTarget::All)).await
    };
    let clients = futures_util::future::join_all(clients);
    let (clients, set) = futures_util::join!(clients, set);
    assert_eq!(clients.len(), 63);
    let position = set.unwrap().position;
    let events = scene.log().events_from(begun, 10_000).await.unwrap();
    let started = events
        .iter()
        .filter(|recorded| matches!(recorded.event, Event::OperationStarted(_)));
    let positions: Vec<_> = started.map(|recorded| recorded.position()).collect();
    assert!(positions.len() > 40 && positions.len() < 500);
    assert!(positions.iter().all(|started| *started < position));
    audited(scene.ledger).await;
}

#[tokio::test]
async fn keys_that_are_revoked_with_a_lock_do_not_count_again() {
    let scene = Scene::granted().await;
    let first = scene.run(create_key("cak_one")).await.unwrap();
    let second = scene.run(create_key("cak_two")).await.unwrap();
    let key = LockTarget::Key(second.id);
    let lift_with_keys = |locked: &Locked| LiftLock {
        revoke_keys: true,
        ..lift(locked)
    };
    for target in [
        LockTarget::All,
        LockTarget::Operation(cloudflare::CACHE_PURGE.id.into()),
    ] {
        let set = scene.run(lock(target)).await.unwrap();
        let refused = scene.run(lift_with_keys(&set)).await;
        assert_eq!(refusal(refused).code(), "bad_request");
        scene.run(lift(&set)).await.unwrap();
    }
    let one = scene.run(lock(key)).await.unwrap();
    let lifted = scene.run(lift_with_keys(&one)).await.unwrap();
    let ids = |keys: &[std::sync::Arc<ledger::aggregate::Key>]| -> Vec<KeyId> {
        keys.iter().map(|key| key.id).collect()
    };
    assert_eq!(ids(&lifted.revoked), [second.id]);
    assert!(lifted.lock.lifted_at.is_some());
    // Of the agent only what is in force is left to be revoked.
    let agent = scene
        .run(lock(LockTarget::Agent(first.agent_id)))
        .await
        .unwrap();
    let lifted = scene.run(lift_with_keys(&agent)).await.unwrap();
    assert_eq!(ids(&lifted.revoked), [first.id]);
    // A lock that has ended gives its keys up too, once.
    let again = scene.run(lift_with_keys(&agent)).await.unwrap();
    assert_eq!(ids(&again.revoked), []);
}
