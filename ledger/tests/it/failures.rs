//! Invariant 11: an answer is given when its events are durable, whatever becomes of the commit.

use crate::consistency;
use crate::scene::{Scene, refusal};
use fixtures::commands::{administrator, create_task, dns_create, purge};
use fixtures::faults::{FULL, Faults, IOERR_FSYNC, IOERR_WRITE};
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Apply, Task};
use ledger::command::CreateTask;
use ledger::{ApproverName, CommitPoint, Error, Log as _, Rejection};
use ledger_sqlite::Reader;
use std::sync::Arc;

async fn scene() -> (Scene, Arc<Faults>) {
    let faults = Arc::new(Faults::default());
    let setup = Setup {
        faults: Some(Arc::clone(&faults) as _),
        ..Setup::default()
    };
    let mut scene = Scene::with(setup).await;
    scene.grant_all().await;
    scene.token = scene.task().await;
    (scene, faults)
}

/// The keys of the applies that any other process finds in the file.
async fn keys_in_file(scene: &Scene) -> Vec<String> {
    let reader = Reader::open(&scene.url()).await.unwrap();
    let events = reader.events_from(0, 100_000).await.unwrap();
    let mut keys: Vec<_> = events
        .into_iter()
        .filter_map(|recorded| match recorded.event {
            ledger::Event::ApplyAccepted(accepted) => Some(accepted.idempotency_key.into()),
            _ => None,
        })
        .collect();
    keys.sort();
    keys
}

#[tokio::test]
async fn answers_agree_with_the_file_wherever_a_commit_fails() {
    let points = [
        (CommitPoint::Write, false),
        (CommitPoint::Commit, false),
        // It persisted, and was reported as failed.
        (CommitPoint::Committed, true),
    ];
    for (point, persists) in points {
        for code in [IOERR_WRITE, FULL] {
            let (scene, faults) = scene().await;
            let before = scene.submitted("before", vec![purge()]).await;
            faults.plan(point, code);
            let all = (0..40).map(|n| {
                let (scene, key) = (&scene, format!("k{n:02}"));
                async move {
                    let answer = scene
                        .submit(&scene.token, &key, vec![dns_create("a.example.com")])
                        .await;
                    (key, answer)
                }
            });
            let refused = scene.run(CreateTask {
                operations: Vec::new(),
                ..create_task()
            });
            let (answers, refused) = tokio::join!(futures_util::future::join_all(all), refused);
            let mut answered = vec!["before".to_owned()];
            for (key, answer) in answers {
                match answer {
                    Ok(submitted) => {
                        assert!(submitted.unwrap().is_new);
                        answered.push(key);
                    }
                    Err(Error::NotRecorded) => {}
                    Err(other) => panic!("{key}: {other}"),
                }
            }
            assert_eq!(keys_in_file(&scene).await, answered, "{point:?} {code}");
            assert_eq!(answered.len() == 41, persists, "{point:?} {code}");
            if persists {
                assert_eq!(refusal(refused).code(), "no_operations");
                assert_eq!(scene.failing(), None);
            } else {
                assert!(matches!(refused, Err(Error::NotRecorded)));
                assert!(
                    scene.failing().unwrap().contains("committing") || point == CommitPoint::Write
                );
            }
            consistency::check(&scene.ledger).await;

            // The next commands work, and find what stands in the log.
            let again = scene
                .submitted("k07", vec![dns_create("a.example.com")])
                .await;
            assert_eq!(again.is_new, !persists);
            assert_eq!(scene.failing(), None);
            let known = scene.submitted("before", vec![purge()]).await;
            assert_eq!(known.apply.id, before.apply.id);
            consistency::check(&scene.ledger).await;
            let ledger = scene.ledger.restart().await;
            consistency::check(&ledger).await;
        }
    }
}

#[tokio::test]
async fn a_failure_after_another_is_survived_as_well() {
    let (scene, faults) = scene().await;
    for point in [
        CommitPoint::Commit,
        CommitPoint::Committed,
        CommitPoint::Write,
        CommitPoint::Commit,
        CommitPoint::Committed,
    ] {
        faults.plan(point, IOERR_WRITE);
    }
    let mut lost = 0;
    for n in 0..10 {
        let key = format!("k{n}");
        match scene.submit(&scene.token, &key, vec![purge()]).await {
            Ok(submitted) => assert!(submitted.unwrap().is_new),
            Err(Error::NotRecorded) => lost += 1,
            Err(other) => panic!("{other}"),
        }
        consistency::check(&scene.ledger).await;
    }
    assert_eq!(lost, 3);
}

#[tokio::test]
async fn a_lost_commit_leaves_no_trace_of_its_states() {
    let (scene, faults) = scene().await;
    let asked = scene.approved("k").await;
    faults.plan(CommitPoint::Commit, FULL);
    let lost = scene
        .run(fixtures::commands::continue_apply(&scene.token, &asked))
        .await;
    assert!(matches!(lost, Err(Error::NotRecorded)));
    let apply = scene.load::<Apply>(asked.apply.id).await.unwrap().unwrap();
    assert!(!apply.authorised);
    assert_eq!(scene.approval(&asked).await.consumed_by, None);
    let continued = scene.continued(&asked).await.unwrap();
    assert!(continued.apply.authorised);
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn a_refusal_beside_a_lost_commit_is_not_given_as_an_answer() {
    let (scene, faults) = scene().await;
    faults.plan(CommitPoint::Commit, FULL);
    // A refusal that records nothing, in one batch with a command that does.
    let closing = ledger::command::CloseTask {
        task_id: ledger::TaskId::from_bytes([9; 16]),
        token: None,
        reason: None,
    };
    let (one, two) = tokio::join!(
        scene.execute(administrator(), create_task()),
        scene.run(closing.clone())
    );
    assert!(matches!(one, Err(Error::NotRecorded)));
    assert!(matches!(two, Err(Error::NotRecorded)));
    assert_eq!(refusal(scene.run(closing).await), Rejection::TaskNotFound);
}

#[tokio::test]
async fn a_failed_fsync_stops_the_writer_and_nothing_is_answered_after_it() {
    for point in [
        CommitPoint::Write,
        CommitPoint::Commit,
        CommitPoint::Committed,
    ] {
        let (scene, faults) = scene().await;
        let size = scene.size_now();
        faults.plan(point, IOERR_FSYNC);
        let (one, two) = tokio::join!(
            scene.submit(&scene.token, "k1", vec![purge()]),
            scene.submit(&scene.token, "k2", vec![purge()])
        );
        assert!(matches!(one, Err(Error::Stopped)));
        assert!(matches!(two, Err(Error::Stopped)));
        let later = scene.submit(&scene.token, "k3", vec![purge()]).await;
        assert!(matches!(later, Err(Error::Stopped)));
        assert!(!scene.is_open());
        assert!(scene.failing().unwrap().contains("1034"));
        assert_eq!(scene.size_now(), size, "nothing was published");
        let Scene { ledger, token, .. } = scene;
        let TestLedger { writer, .. } = &ledger;
        assert!(writer.is_finished());
        // The next process looks at what the disk holds.
        let ledger = ledger.restart().await;
        consistency::check(&ledger).await;
        let again = ledger.submit(&token, "k1", vec![purge()]).await;
        let is_new = again.unwrap().unwrap().is_new;
        assert_eq!(is_new, point != CommitPoint::Committed);
    }
}

#[tokio::test]
async fn what_somebody_else_wrote_into_the_log_stops_the_writer() {
    let (scene, _) = scene().await;
    let size = scene.size_now();
    let mut connection = crate::store::foreign(scene.path()).await;
    let sql = format!(
        "INSERT INTO events SELECT {size}, event_id, randomblob(16), 0, event_type, \
         schema_version, recorded_at, record_hash, payload_len, payload_digest, record_hash \
         FROM events WHERE position = {}",
        size - 1
    );
    sqlx::query(sqlx::AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    let answer = scene.submit(&scene.token, "k", vec![purge()]).await;
    assert!(matches!(answer, Err(Error::Stopped)), "{answer:?}");
    let error = scene.ledger.writer.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::WrittenBeside), "{error:?}");
}

#[tokio::test]
async fn a_command_that_fails_takes_nothing_of_its_batch_with_it() {
    let (scene, faults) = scene().await;
    let commits = faults.commits();
    let bad = || {
        scene.run(CreateTask {
            operations: Vec::new(),
            ..create_task()
        })
    };
    let (one, refused, two, again) = tokio::join!(
        scene.run(create_task()),
        bad(),
        scene.run(create_task()),
        bad()
    );
    for task in [one.unwrap(), two.unwrap()] {
        assert!(scene.load::<Task>(task.task.id).await.unwrap().is_some());
    }
    assert_eq!(refusal(refused).code(), "no_operations");
    assert_eq!(refusal(again).code(), "no_operations");
    assert_eq!(faults.commits(), commits + 1, "they shared one commit");
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn a_command_that_fails_half_way_leaves_nothing_of_itself_either() {
    let (scene, _) = scene().await;
    // It registers the approver before it finds the credential taken.
    let stolen = ledger::command::PutCredential {
        principal: ApproverName::unchecked("mallory"),
        ..scene.alice.registration()
    };
    let before = scene.size_now();
    let (refused, other) = tokio::join!(scene.run(stolen), scene.run(create_task()));
    assert_eq!(refusal(refused), Rejection::CredentialTaken);
    other.unwrap();
    assert_eq!(
        scene.names_since(before).await,
        ["task.created", "task.token_issued"]
    );
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn waiting_commands_share_commits() {
    let (scene, faults) = scene().await;
    let commits = faults.commits();
    let all = (0..600).map(|_| scene.run(create_task()));
    for answer in futures_util::future::join_all(all).await {
        answer.unwrap();
    }
    let shared = faults.commits() - commits;
    // Three batches where the writer is never ahead of those who ask; other tests take the processors too.
    assert!(shared <= 30, "600 commands took {shared} commits");
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn commands_of_one_batch_see_what_the_ones_before_them_decided() {
    let (scene, faults) = scene().await;
    let commits = faults.commits();
    let asked = scene.approved("k").await;
    let second = scene.asked("k2").await;
    let before = (scene.size_now(), faults.commits());
    let close = ledger::command::CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    let (won, lost, closed, late) = tokio::join!(
        scene.continued(&asked),
        scene.continued(&second),
        scene.run(close),
        scene.submit(&scene.token, "k3", vec![purge()])
    );
    assert!(won.unwrap().apply.authorised);
    assert!(!lost.unwrap().apply.authorised);
    assert!(closed.unwrap().closed_at.is_some());
    assert_eq!(refusal(late), Rejection::TokenRevoked);
    assert_eq!(faults.commits(), before.1 + 1);
    assert!(before.1 > commits);
    // What was authorised in the batch was stopped in the batch.
    let apply = scene.load::<Apply>(asked.apply.id).await.unwrap().unwrap();
    assert_eq!(apply.stopped.as_deref(), Some("task_closed"));
    consistency::check(&scene.ledger).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_takes_nothing_back() {
    let (scene, _) = scene().await;
    let before = scene.size_now();
    let mut size = scene.size();
    size.mark_unchanged();
    {
        let call = scene.submit(&scene.token, "k", vec![purge()]);
        tokio::pin!(call);
        // Polled once: handed over, not waited for.
        let waker = std::task::Waker::noop();
        let mut context = std::task::Context::from_waker(waker);
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    size.changed().await.unwrap();
    assert_eq!(scene.names_since(before).await, ["apply.accepted"]);
    assert!(!scene.submitted("k", vec![purge()]).await.is_new);
}

#[tokio::test]
async fn a_refusal_in_a_lost_commit_keeps_its_place_among_the_ten() {
    let (scene, faults) = scene().await;
    scene.submitted("taken", vec![purge()]).await;
    let refuse = async || {
        scene
            .submit(&scene.token, "taken", vec![dns_create("a.example.com")])
            .await
    };
    for _ in 0..9 {
        refuse().await.unwrap().unwrap_err();
    }
    faults.plan(CommitPoint::Commit, FULL);
    assert!(matches!(refuse().await, Err(Error::NotRecorded)));
    let before = scene.size_now();
    refuse().await.unwrap().unwrap_err();
    refuse().await.unwrap().unwrap_err();
    assert_eq!(
        scene.names_since(before).await,
        ["apply.refused"],
        "the tenth, and no eleventh"
    );
}
