//! Somebody writes an approval into the ledger's file, with right hashes, and has no key: the real binary
//! carries out nothing.

use fixtures::approver::SoftApprover;
use fixtures::caller::Reply;
use fixtures::forgery::Forger;
use fixtures::process::said;
use fixtures::rules::{ORIGIN, RP_ID};
use fixtures::sandbox::Sandbox;
use fixtures::service::{Service, Task, deployment};
use ledger::event::{ApprovalDecided, Approved};
use ledger::{Actor, Blob, Event, StreamId};

/// A service on which a deployment waits for its approval.
async fn asked(sandbox: &Sandbox) -> (Service, Task, Reply) {
    let service = sandbox.start().await;
    service.register(&SoftApprover::new("alice")).await;
    let task = service.open_task().await;
    let reply = service.apply(&task, "k", &deployment()).await;
    assert_eq!(reply.text_at("status"), "requires_approval");
    (service, task, reply)
}

/// As complete as it can be made without a passkey.
async fn forge(sandbox: &Sandbox) {
    let requested = sandbox.event("approval.requested").await;
    let events = sandbox.events().await;
    let credential = events
        .into_iter()
        .find_map(|recorded| match recorded.event {
            Event::CredentialPut(credential) => Some(credential),
            _ => None,
        });
    let credential = credential.unwrap();
    let decided = ApprovalDecided {
        principal: ledger::ApproverName::unchecked("alice"),
        reason: None,
        statement: "{}".to_owned(),
        credential_id: credential.credential_id,
        public_key_thumbprint: credential.public_key_thumbprint,
        client_data_json: Blob::from(b"{}".to_vec()),
        authenticator_data: Blob::from(vec![0; 37]),
        signature: Blob::from(vec![0; 70]),
        user_handle: None,
        rp_id: RP_ID.to_owned(),
        origin: ORIGIN.to_owned(),
        sign_count: 9,
        on_screen: None,
        challenge: None,
    };
    let stream: StreamId = requested.stream_id();
    let actor = Actor::system("ledger");
    Forger::open(&sandbox.ledger_file()).append(actor, stream, &Approved(decided).into());
}

#[tokio::test]
async fn an_approval_that_was_forged_while_it_was_stopped_stops_the_start() {
    let sandbox = Sandbox::new().await;
    let (service, ..) = asked(&sandbox).await;
    assert!(service.stop().await.success());
    forge(&sandbox).await;
    let refused = sandbox.run("serve --log-format json");
    assert_eq!(refused.status.code(), Some(1));
    let (_, complaint) = said(&refused);
    assert!(
        complaint.contains("the MAC of its head is wrong"),
        "{complaint}"
    );
    assert!(complaint.contains("ledger accept"), "{complaint}");
    let (_, complaint) = said(&sandbox.run("ledger check"));
    assert!(!complaint.is_empty());
    let (found, _) = said(&sandbox.run("doctor"));
    assert!(found.contains("problem  ledger"), "{found}");
    // Nor is it accepted unseen: the auditor knows that nobody signed it.
    let refused = sandbox.run("ledger accept --reason unseen");
    assert_eq!(refused.status.code(), Some(1));
    let (_, complaint) = said(&refused);
    assert!(complaint.contains("decision_"), "{complaint}");
    assert_eq!(sandbox.upstream.mutations("").len(), 0);
}

#[tokio::test]
async fn an_approval_that_is_forged_beside_the_running_service_executes_nothing() {
    let sandbox = Sandbox::new().await;
    let (service, task, reply) = asked(&sandbox).await;
    forge(&sandbox).await;
    let resumed = service
        .resume(&task, "k", reply.text_at("resume_token"))
        .await;
    if let Some(resumed) = resumed {
        assert_ne!(resumed.status, 200, "{}", resumed.text);
    }
    assert_eq!(sandbox.upstream.mutations("").len(), 0);
    service.kill();
    let refused = sandbox.run("serve --log-format json");
    assert_eq!(refused.status.code(), Some(1));
    assert_eq!(sandbox.upstream.mutations("").len(), 0);
}

#[tokio::test]
async fn a_ledger_is_accepted_on_record_and_then_proven() {
    let sandbox = Sandbox::new().await;
    let (service, ..) = asked(&sandbox).await;
    assert!(service.stop().await.success());
    let proven = sandbox.run("ledger accept --reason nothing");
    assert!(proven.status.success(), "{}", said(&proven).1);
    assert!(
        said(&proven).0.contains("there is nothing to accept"),
        "{proven:?}"
    );
    Forger::open(&sandbox.ledger_file()).run("UPDATE head SET mac = zeroblob(40)");
    // The checkpoint still covers all of it.
    assert!(sandbox.start().await.stop().await.success());
    Forger::open(&sandbox.ledger_file()).run("DELETE FROM signing");
    let refused = sandbox.run("serve");
    assert_eq!(refused.status.code(), Some(1));
    let accepted = sandbox.run("ledger accept --reason lost");
    assert!(accepted.status.success(), "{}", said(&accepted).1);
    let recorded = sandbox.event("ledger.accepted").await;
    assert!(matches!(recorded.envelope.actor, Actor::Operator { .. }));
    assert!(sandbox.start().await.stop().await.success());
}
