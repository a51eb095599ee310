//! What somebody writes into the file who has no key makes the ledger act on nothing, whether it is
//! stopped or running.

use crate::scene::{Scene, refusal};
use crate::store::tree::of_schema_2;
use fixtures::approver::SoftApprover;
use fixtures::commands::{create_task, grant, permissions, presented, resume};
use fixtures::forgery::Forger;
use fixtures::rules::{APPROVER, RP_ID, TestRules};
use fixtures::test_ledger::{Closed, Setup, TestLedger, state_beside};
use ledger::command::{ContinueApply, IssuedToken, Submitted};
use ledger::event::{
    ApprovalDecided, Approved, CredentialPut, CredentialStatus, PermissionsReplaced, TokenIssued,
};
use ledger::{
    Actor, ApproverName, Blob, ChallengeKey, CredentialId, Decision, Error, Event, ReadError,
    Rejection, Rules, StreamId,
};
use ledger_sqlite::{LedgerOptions, OpenError};
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

async fn continued(ledger: &TestLedger, token: &IssuedToken, asked: &Submitted) -> Rejection {
    let command = ContinueApply {
        token: presented(token),
        key: fixtures::commands::key("k"),
        resume: resume(asked),
    };
    refusal(ledger.run(command).await)
}

/// Even where somebody took the ledger as it is.
#[tokio::test]
async fn a_decision_without_its_signature_is_not_consumed() {
    let scene = Scene::with(Setup::signed()).await;
    let asked = scene.asked("k").await;
    let (stream, event) = unsigned_approval(&scene, &asked).await;
    let Scene { ledger, token, .. } = scene;
    let closed = ledger.close().await;
    Forger::open(closed.path()).append(somebody(), stream, &event);
    // What is looked up by it, as the writer would have put it.
    Forger::open(closed.path()).run("UPDATE lookups SET value = x'07000000' WHERE kind = 7");
    let ledger = closed.accepting().open().await.unwrap();
    let refused = continued(&ledger, &token, &asked).await;
    assert_eq!(refused.code(), "approval_unproven", "{refused}");
    assert!(ledger.is_damaged());
    let events = ledger.events_from(0, 1000).await.unwrap();
    assert!(
        events
            .iter()
            .all(|event| event.event.name() != "approval.consumed")
    );
}

/// A decision that the passkey did sign, as it would be recorded, and its counter.
async fn signed_approval(scene: &Scene, asked: &Submitted) -> (ApprovalDecided, u8) {
    let approval = scene.approval(asked).await;
    let alice = ApproverName::unchecked(APPROVER);
    let approver = scene.ledger.approver(&alice).await.unwrap().unwrap();
    let credential = &approver.credentials[0];
    let signed = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None)
        .assertion;
    let statement = approval.statement(scene.ledger.id(), Decision::Approve, None);
    let count = *signed.authenticator_data.last().unwrap();
    let decided = ApprovalDecided {
        principal: ApproverName::unchecked(APPROVER),
        reason: None,
        statement: String::from_utf8(statement.canonical_bytes()).unwrap(),
        credential_id: credential.credential_id.clone(),
        public_key_thumbprint: credential.public_key_thumbprint.clone(),
        client_data_json: Blob::from(signed.client_data_json),
        authenticator_data: Blob::from(signed.authenticator_data),
        signature: Blob::from(signed.signature),
        user_handle: None,
        rp_id: RP_ID.to_owned(),
        origin: fixtures::rules::ORIGIN.to_owned(),
        sign_count: u32::from(count),
    };
    (decided, count)
}

type Change = fn(&mut ApprovalDecided);

/// What a ledger that was taken as it is makes of a decision that was put into it.
async fn consumed(
    scene: Scene,
    asked: &Submitted,
    (decided, count): (ApprovalDecided, u8),
    secret: &[u8],
) -> Result<Submitted, Error> {
    let stream = asked.approval.as_ref().unwrap().id.into();
    let Scene { ledger, token, .. } = scene;
    let rules = Rules {
        challenge_key: ChallengeKey::derive(secret),
        ..TestRules::default().build()
    };
    let closed = ledger.close().await.with_rules(rules);
    let forger = Forger::open(closed.path());
    let event = Approved(decided).into();
    forger.append(somebody(), stream, &event);
    forger.run(&format!(
        "UPDATE lookups SET value = x'{count:02x}000000' WHERE kind = 7"
    ));
    let ledger = closed.accepting().open().await.unwrap();
    let command = ContinueApply {
        token: presented(&token),
        key: fixtures::commands::key("k"),
        resume: resume(asked),
    };
    ledger
        .run(command)
        .await
        .map(|ruling| ruling.accepted().unwrap())
}

#[tokio::test]
async fn each_part_of_a_decision_is_proven_again_when_it_is_consumed() {
    let ours = fixtures::rules::APPROVAL_LINK_SECRET;
    let changes: [(&str, Change); 4] = [
        ("", |_| ()),
        ("statement is of another", |decided| {
            decided.statement.push(' ')
        }),
        ("counter or its time", |decided| decided.sign_count += 1),
        ("could not decide", |decided| {
            decided.principal = ApproverName::unchecked("mallory");
        }),
    ];
    for (why, change) in changes {
        let scene = Scene::new().await;
        let asked = scene.asked("k").await;
        let (mut decided, _) = signed_approval(&scene, &asked).await;
        change(&mut decided);
        let count = u8::try_from(decided.sign_count).unwrap();
        match consumed(scene, &asked, (decided, count), ours).await {
            Ok(going) => assert!(why.is_empty() && going.apply.is_running(), "{why}"),
            Err(error) => {
                let refused = refusal::<()>(Err(error)).to_string();
                assert!(!why.is_empty() && refused.contains(why), "{why}: {refused}");
            }
        }
    }
    // What was signed, but when it did not count any more.
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let signed = signed_approval(&scene, &asked).await;
    let revoke = ledger::command::RevokeCredential {
        principal: ApproverName::unchecked(APPROVER),
        credential_id: CredentialId::unchecked(scene.alice.credential_id()),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let refused = refusal(consumed(scene, &asked, signed, ours).await).to_string();
    assert!(refused.contains("was revoked before"), "{refused}");

    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let signed = signed_approval(&scene, &asked).await;
    scene.clock.advance(std::time::Duration::from_secs(600));
    scene.run(create_task()).await.unwrap();
    let late = consumed(scene, &asked, signed, ours).await;
    let refused = refusal(late).to_string();
    assert!(
        refused.contains("deadline") || refused.contains("token"),
        "{refused}"
    );

    // Under a challenge that nobody of this service handed out.
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let signed = signed_approval(&scene, &asked).await;
    let other = b"another secret for links, long enough";
    let refused = refusal(consumed(scene, &asked, signed, other).await).to_string();
    assert!(refused.contains("APPROVAL_LINK_SECRET"), "{refused}");
}

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

#[tokio::test]
async fn a_decision_is_proven_by_what_was_registered_when_it_was_made() {
    let scene = Scene::granted().await;
    let asked = scene.approved("k").await;
    // Taken away afterwards: what was approved before can be finished.
    let revoke = ledger::command::RevokeCredential {
        principal: ApproverName::unchecked(APPROVER),
        credential_id: CredentialId::unchecked(scene.alice.credential_id()),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let Scene {
        ledger,
        token,
        alice,
    } = scene;
    let scene = Scene {
        ledger: ledger.restart().await,
        alice,
        token,
    };
    scene.continued(&asked).await.unwrap();
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
