//! What somebody writes into the file who has no key makes the ledger act on nothing, whether it is
//! stopped or running.

mod decisions;
mod starts;

use crate::scene::Scene;
use fixtures::approver::SoftApprover;
use fixtures::commands::{create_task, grant};
use fixtures::forgery::Forger;
use fixtures::rules::{APPROVER, RP_ID};
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::command::Submitted;
use ledger::event::{
    ApprovalDecided, Approved, CredentialPut, CredentialStatus, PermissionsReplaced, TokenIssued,
};
use ledger::{Actor, ApproverName, Blob, CredentialId, Decision, Error, Event, StreamId};
use ledger_sqlite::OpenError;
use providers::cloudflare;

fn somebody() -> Actor {
    Actor::system("ledger")
}

/// A decision that nobody made, as complete as it can be made without the passkey.
async fn unsigned_approval(scene: &Scene, asked: &Submitted) -> (StreamId, Event) {
    let approval = scene.approval(asked).await;
    let statement = approval.statement(scene.ledger.id(), Decision::Approve, None);
    let approver = scene
        .ledger
        .approver(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap()
        .unwrap();
    let credential = approver.active_credentials().next().unwrap();
    let decided = ApprovalDecided {
        principal: ApproverName::unchecked(APPROVER),
        reason: None,
        statement: String::from_utf8(statement.canonical_bytes()).unwrap(),
        credential_id: credential.credential_id.clone(),
        public_key_thumbprint: credential.public_key_thumbprint.clone(),
        client_data_json: Blob::from(b"{}".to_vec()),
        authenticator_data: Blob::from(vec![0; 37]),
        signature: Blob::from(vec![0; 70]),
        user_handle: None,
        rp_id: RP_ID.to_owned(),
        origin: fixtures::rules::ORIGIN.to_owned(),
        sign_count: 7,
        on_screen: None,
        challenge: None,
    };
    (approval.id.into(), Approved(decided).into())
}

/// Grants for everything, to the agent of the task.
async fn grants(scene: &Scene) -> (StreamId, Event) {
    let grants = vec![grant(cloudflare::DNS_RECORD_WRITE)];
    let replaced = PermissionsReplaced {
        grants,
        revision: 1,
        reason: None,
    };
    (scene.token.task.agent_id.into(), replaced.into())
}

/// A token for the task.
fn token(scene: &Scene) -> (StreamId, Event) {
    let task = &scene.token.task;
    let known = task.tokens.last().unwrap();
    let issued = TokenIssued {
        token_id: ledger::TokenId::from_bytes([3; 16]),
        claims_hash: known.claims_hash.clone(),
        subject: known.subject.clone(),
        issued_at: known.issued_at,
        expires_at: known.expires_at,
        permission_revision: known.permission_revision,
        replaces: None,
    };
    (task.id.into(), issued.into())
}

/// A passkey of somebody's own under the approver's name.
async fn credential(scene: &Scene) -> (StreamId, Event) {
    let approver = scene
        .ledger
        .approver(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap()
        .unwrap();
    let theirs = SoftApprover::with_credential(APPROVER, "theirs");
    let put = CredentialPut {
        credential_id: CredentialId::unchecked(theirs.credential_id()),
        public_key: Blob::from(theirs.cose_key()),
        public_key_thumbprint: theirs.public_key().thumbprint().into(),
        status: CredentialStatus::Active,
        ..approver.credentials[0].clone()
    };
    (approver.id.into(), put.into())
}

/// Everything that authorises, forged for one ledger.
async fn forgeries(scene: &Scene, asked: &Submitted) -> Vec<(StreamId, Event)> {
    vec![
        unsigned_approval(scene, asked).await,
        grants(scene).await,
        token(scene),
        credential(scene).await,
    ]
}

#[track_caller]
fn unproven(opened: Result<(), OpenError>) -> String {
    match opened {
        Err(OpenError::Unproven { why, .. }) => why,
        other => panic!("expected a ledger that nothing proves, got {other:?}"),
    }
}

#[tokio::test]
async fn what_was_appended_to_a_stopped_ledger_without_the_key_stops_the_start() {
    for number in 0..4 {
        let scene = Scene::with(Setup::signed()).await;
        let asked = scene.asked("k").await;
        let (stream, event) = forgeries(&scene, &asked).await.swap_remove(number);
        let closed = scene.ledger.close().await;
        Forger::open(closed.path()).append(somebody(), stream, &event);
        let why = unproven(closed.try_open().await);
        assert_eq!(why, "the MAC of its head is wrong", "{event:?}");
    }
}

#[tokio::test]
async fn what_is_appended_beside_a_running_ledger_ends_it_before_anything_is_decided_on_it() {
    for number in 0..4 {
        let scene = Scene::with(Setup::signed()).await;
        let asked = scene.asked("k").await;
        let (stream, event) = forgeries(&scene, &asked).await.swap_remove(number);
        Forger::open(scene.path()).append(somebody(), stream, &event);
        let size = scene.size_now();
        scene.run(create_task()).await.unwrap_err();
        assert_eq!(scene.size_now(), size);
        let TestLedger { ledger, writer, .. } = scene.ledger;
        drop(ledger);
        writer.await.unwrap().unwrap_err();
    }
}

/// Beyond the head, where the next events do not collide with it.
#[tokio::test]
async fn rows_beyond_the_head_are_not_read_and_end_the_writer() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k").await;
    let (stream, event) = unsigned_approval(&scene, &asked).await;
    let forger = Forger::open(scene.path());
    let size = scene.size_now();
    forger.append(somebody(), stream, &event);
    forger.run_without_triggers(&format!(
        "UPDATE events SET position = 100000 WHERE position = {size};
         UPDATE payloads SET position = 100000 WHERE position = {size};
         DELETE FROM tree WHERE position = {size};
         UPDATE head SET size = {size}"
    ));
    forger.run("DROP TRIGGER events_no_replace; DROP TRIGGER payloads_no_replace");
    assert_eq!(scene.events_from(size, 10).await.unwrap().len(), 0);
    let refused = scene.run(create_task()).await.unwrap_err();
    assert!(matches!(refused, Error::Stopped), "{refused:?}");
}

#[tokio::test]
async fn whatever_another_process_writes_ends_the_writer_with_the_next_commit() {
    for sql in [
        "DELETE FROM lookups WHERE kind = 5",
        "DELETE FROM open_streams",
        "UPDATE head SET verified_size = 1",
        "CREATE INDEX theirs ON events (event_type)",
    ] {
        let scene = Scene::granted().await;
        scene.asked("k").await;
        let size = scene.size_now();
        Forger::open(scene.path()).run(sql);
        assert!(scene.run(create_task()).await.is_err(), "{sql}");
        assert_eq!(scene.size_now(), size, "{sql}");
        let TestLedger { ledger, writer, .. } = scene.ledger;
        drop(ledger);
        let ended = writer.await.unwrap();
        assert!(
            matches!(ended, Err(Error::WrittenBeside)),
            "{sql}: {ended:?}"
        );
    }
}

/// Who only reads, as a backup does, is nobody's trouble.
#[tokio::test]
async fn reading_and_copying_beside_the_writer_end_nothing() {
    let scene = Scene::granted().await;
    let forger = Forger::open(scene.path());
    forger.run("BEGIN; SELECT count(*) FROM events; COMMIT; PRAGMA wal_checkpoint(PASSIVE)");
    let copy = scene.dir().join("copy.db");
    scene.file().await.copy_into(&copy).await.unwrap();
    scene.run(create_task()).await.unwrap();
    drop(forger);
    scene.run(create_task()).await.unwrap();
}
