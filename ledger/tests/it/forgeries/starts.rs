//! A start proves the file before anything is decided on it.

use super::{grants, somebody, unproven, unsigned_approval};
use crate::scene::Scene;
use crate::store::tree::of_schema_2;
use fixtures::commands::{create_task, permissions};
use fixtures::forgery::Forger;
use fixtures::test_ledger::{Closed, Setup, state_beside};
use ledger::{Event, ReadError, StreamId};
use ledger_sqlite::{LedgerOptions, OpenError};

/// A head with a right MAC, and in what no checkpoint covers an event that nobody could have caused: as a
/// service that decides wrongly would have written it, and ended in the middle.
#[tokio::test]
async fn what_no_checkpoint_covers_is_held_to_the_auditors_rules_at_a_start() {
    let scene = Scene::with(Setup::signed()).await;
    let (stream, event) = grants(&scene).await;
    let closed = scene.ledger.close().await;
    let state = state_beside(closed.path());
    let signed = std::fs::read(&state).unwrap();
    Forger::open(closed.path()).append(somebody(), stream, &event);
    let closed = closed.accepting().open().await.unwrap().close().await;
    std::fs::write(&state, signed).unwrap();
    match closed.refusing().try_open().await {
        Err(OpenError::Read(ReadError::Rule { rule, .. })) => assert_eq!(rule, "actor"),
        other => panic!("expected a broken rule, got {other:?}"),
    }
}

fn rewritten_lookups() -> [(&'static str, &'static str); 5] {
    [
        // One principal's name leads to another's stream.
        (
            "UPDATE lookups SET value = (SELECT value FROM lookups WHERE kind = 1 LIMIT 1)
             WHERE kind = 2",
            "lookups",
        ),
        ("DELETE FROM lookups WHERE kind = 7", "lookups"),
        ("DELETE FROM lookups WHERE kind = 5", "lookups"),
        (
            "INSERT INTO lookups SELECT 4, randomblob(16), value FROM lookups WHERE kind = 4",
            "lookups",
        ),
        ("DELETE FROM open_streams", "open_streams"),
    ]
}

#[tokio::test]
async fn lookup_tables_that_do_not_follow_from_the_events_stop_the_start() {
    for (sql, expected) in rewritten_lookups() {
        let scene = Scene::with(Setup::signed()).await;
        scene.asked("k").await;
        let closed = scene.ledger.close().await;
        Forger::open(closed.path()).run(sql);
        match closed.try_open().await {
            Err(OpenError::Read(ReadError::LookupsDiffer { table, .. })) => {
                assert_eq!(table, expected, "{sql}")
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}

/// An old record before the bookmark: only its own hashes are computed anew.
#[tokio::test]
async fn an_old_record_that_was_altered_taken_out_or_put_elsewhere_stops_the_start() {
    let scene = Scene::granted().await;
    while scene.size_now() < 9000 {
        let tasks = (0..250).map(|_| scene.run(create_task()));
        futures_util::future::join_all(tasks).await;
    }
    let closed = scene.ledger.close().await;
    for (number, sql) in [
        "UPDATE events SET event_id = randomblob(16) WHERE position = 5",
        "DELETE FROM events WHERE position = 5",
        "UPDATE payloads SET payload = zeroblob(length(payload)) WHERE position = 5",
    ]
    .into_iter()
    .enumerate()
    {
        let copy = closed.path().with_file_name(format!("copy{number}.db"));
        Forger::open(closed.path()).run(&format!("VACUUM INTO '{}'", copy.display()));
        Forger::open(&copy).run_without_triggers(sql);
        let url = format!("sqlite://{}", copy.display());
        let rules = fixtures::rules::TestRules::default().build();
        let refused = ledger_sqlite::open(LedgerOptions::new(url, rules))
            .await
            .map(drop);
        assert!(
            matches!(refused, Err(OpenError::Read(ReadError::Damaged { .. }))),
            "{sql}: {refused:?}"
        );
    }
    closed.try_open().await.unwrap();
}

/// Signed, stopped, and as a release from before the MACs had left it.
async fn of_an_earlier_release() -> (Closed, StreamId, Event) {
    let scene = Scene::with(Setup::signed()).await;
    let asked = scene.asked("k").await;
    let (stream, event) = unsigned_approval(&scene, &asked).await;
    let closed = scene.ledger.close().await;
    of_schema_2(&closed).await;
    (closed, stream, event)
}

#[tokio::test]
async fn a_ledger_of_an_earlier_release_is_proven_by_a_checkpoint_over_all_of_it() {
    let (closed, stream, event) = of_an_earlier_release().await;
    closed.try_open().await.unwrap();
    // From then on the MAC is asked for.
    Forger::open(closed.path()).append(somebody(), stream, &event);
    unproven(closed.try_open().await);
}

#[tokio::test]
async fn a_ledger_that_was_made_to_look_like_an_earlier_release_is_not_believed() {
    let (closed, stream, event) = of_an_earlier_release().await;
    Forger::open(closed.path()).append(somebody(), stream, &event);
    let why = unproven(closed.try_open().await);
    assert_eq!(why, "its head has no MAC");
}

/// The signer's row, the state, then both: an old copy that is made to look as if nobody had signed it.
#[tokio::test]
async fn a_ledger_with_events_and_without_what_was_signed_of_it_does_not_begin_to_sign_anew() {
    for (row, state) in [(true, false), (true, true)] {
        for has_mac in [true, false] {
            let scene = Scene::with(Setup::signed()).await;
            let closed = scene.ledger.close().await;
            if row {
                Forger::open(closed.path()).run("DELETE FROM signing");
            }
            if state {
                std::fs::remove_file(state_beside(closed.path())).unwrap();
            }
            if !has_mac {
                of_schema_2(&closed).await;
            }
            unproven(closed.try_open().await);
            assert_eq!(state_beside(closed.path()).exists(), !state);
        }
    }
}

#[tokio::test]
async fn a_head_under_an_older_configured_key_is_renewed_and_one_under_a_lost_key_is_refused() {
    use ledger::MasterKeys;
    use std::sync::Arc;
    use zeroize::Zeroizing;
    let scene = Scene::granted().await;
    let url = scene.ledger.url();
    let closed = scene.ledger.close().await;
    let open = async |keys: MasterKeys| {
        let rules = ledger::Rules {
            master_keys: Arc::new(keys),
            ..fixtures::rules::TestRules::default().build()
        };
        let options = ledger_sqlite::LedgerOptions::new(url.clone(), rules);
        let (ledger, writer) = ledger_sqlite::open(options).await?;
        drop(ledger);
        writer.await.unwrap().unwrap();
        Ok::<(), OpenError>(())
    };
    let old = Zeroizing::new(fixtures::rules::MASTER_KEY);
    let new = Zeroizing::new([0x11; 32]);
    unproven(open(MasterKeys::new(&new, &[])).await);
    open(MasterKeys::new(&new, std::slice::from_ref(&old)))
        .await
        .unwrap();
    // Renewed: the old one is not needed any more.
    open(MasterKeys::new(&new, &[])).await.unwrap();
    let why = unproven(closed.try_open().await);
    assert!(why.contains("is not configured"), "{why}");
}

#[tokio::test]
async fn granted_again_by_nobody_is_not_granted() {
    // The newest set of grants is cut off, and the head set back to the record before.
    let scene = Scene::with(Setup::signed()).await;
    scene.run(permissions(vec![])).await.unwrap();
    let size = scene.size_now();
    let closed = scene.ledger.close().await;
    let last = size - 1;
    Forger::open(closed.path()).run_without_triggers(&format!(
        "UPDATE head SET size = {last},
             record_hash = (SELECT prev_hash FROM events WHERE position = {last});
         DELETE FROM events WHERE position = {last};
         DELETE FROM payloads WHERE position = {last};
         DELETE FROM tree WHERE position = {last}"
    ));
    closed.try_open().await.unwrap_err();
}
