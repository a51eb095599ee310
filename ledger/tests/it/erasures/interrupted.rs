//! Commits that fail, starts after a crash, and others who go on meanwhile.

use super::*;

#[tokio::test]
async fn an_erasure_is_whole_or_not_at_all_wherever_its_commit_fails() {
    for (point, persists) in [
        (CommitPoint::Write, false),
        (CommitPoint::Commit, false),
        (CommitPoint::Committed, true),
    ] {
        for code in [IOERR_WRITE, FULL] {
            let faults = Arc::new(Faults::default());
            let setup = Setup {
                faults: Some(Arc::clone(&faults) as _),
                ..Setup::default()
            };
            let scene = Scene::with(setup).await;
            scene.grant_all().await;
            let story = story(scene).await;
            let scene = &story.scene;
            close(scene, story.task()).await;
            deliver_all(scene, story.task()).await;
            faults.plan(point, code);
            let answer = erase(scene, story.target()).await;
            if persists {
                assert!(answer.unwrap().is_new);
                assert_eq!(
                    refusal(scene.load::<Task>(story.task()).await),
                    Rejection::Erased
                );
            } else {
                assert!(matches!(answer, Err(Error::NotRecorded)), "{answer:?}");
                assert_eq!(scene.file().await.verify_erasures().await.unwrap(), 0);
                assert!(scene.load::<Task>(story.task()).await.unwrap().is_some());
            }
            consistency::check(scene).await;
            let again = erase(scene, story.target()).await.unwrap();
            assert_eq!(again.is_new, !persists);
            scrubbed(scene).await;
            assert_eq!(holding(scene.path(), TRACE.as_bytes()), [""; 0]);
            consistency::check(scene).await;
        }
    }
}

#[tokio::test]
async fn other_tasks_go_on_while_one_is_erased() {
    let story = ended_story().await;
    let scene = &story.scene;
    let token = scene.task().await;
    let work = (0..64).map(|client| {
        let token = &token;
        async move {
            for n in 0..5 {
                let key = format!("client-{client}-{n}");
                let operations = vec![dns_create(&format!("c{client}-{n}.example.com"))];
                scene
                    .submit(token, &key, operations)
                    .await
                    .unwrap()
                    .unwrap();
            }
        }
    });
    let (_, erased) = tokio::join!(
        futures_util::future::join_all(work),
        erase(scene, story.target())
    );
    assert!(erased.unwrap().is_new);
    scrubbed(scene).await;
    consistency::check(scene).await;
}

#[tokio::test]
async fn what_a_crash_leaves_of_an_erasure_the_next_start_finishes() {
    let story = ended_story().await;
    let path = story.scene.path().to_owned();
    erase(&story.scene, story.target()).await.unwrap();
    scrubbed(&story.scene).await;
    let closed = story.scene.ledger.close().await;
    // As a crash between the commit and the scrubbing leaves it.
    let mark = path.with_extension("db.erasing");
    std::fs::write(&mark, b"").unwrap();
    let ledger = closed.open().await.unwrap();
    scrubbed(&ledger).await;
    assert!(!mark.exists());
}
