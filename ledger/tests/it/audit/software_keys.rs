//! Command-line keys: the log's key makes nobody's signature, and nobody a key.

use super::{altered, is_found};
use crate::passkeys::user;
use crate::ruled::{always, policy, put, rule};
use crate::scene::Scene;
use fixtures::commands::purge;
use fixtures::history::History;
use fixtures::people::{by, enrol, passkey_login};
use fixtures::rules::APPROVER;
use fixtures::soft_key::SoftKey;
use ledger::aggregate::User;
use ledger::audit::{Check, Report};
use ledger::event::{Actor, ApprovalDecided, Approved, CredentialStatus, Event, SessionProof};
use ledger::policy::{Assurance, RuleAction};
use ledger::{Choice, Decision, Role};
use std::time::Duration;

/// An approver decides by a command-line key, and a user adds one and logs in by it.
async fn told() -> History {
    let scene = Scene::new().await;
    let key = SoftKey::new("of the approver");
    scene
        .run(key.registration(APPROVER).unwrap())
        .await
        .unwrap();
    put(
        &scene,
        1,
        Some(policy([rule("ask", RuleAction::Ask, always())])),
    )
    .await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = asked.approval.as_ref().unwrap();
    let command = key.decide(
        &scene.ledger,
        approval,
        Decision::Approve,
        Choice::default(),
    );
    scene.run(command).await.unwrap().accepted().unwrap();
    scene.continued(&asked).await.unwrap();
    let zoe = user(&scene.ledger, "zoe", Role::Admin).await;
    let phone = enrol(&scene.ledger, zoe, "phone").await;
    let epoch = scene.ledger.load::<User>(zoe).await.unwrap().unwrap().epoch;
    let login = passkey_login(&scene.ledger, zoe, epoch, &phone);
    let session = scene.run(login).await.unwrap().session;
    let key = SoftKey::new("of the user");
    let added = scene.execute(by(&session), key.addition(zoe).unwrap());
    added.await.unwrap();
    let login = key.login(&scene.ledger, zoe, epoch);
    let session = scene.run(login).await.unwrap().session;
    let template = fixtures::commands::create_template("deploy");
    scene.execute(by(&session), template).await.unwrap();
    History::read(scene.ledger.close().await.path())
}

fn decision(history: &History, change: impl FnOnce(&mut ApprovalDecided)) -> (Report, u64) {
    let at = history.first("approval.approved");
    let report = altered(history, |history| {
        history.alter(at, |event| match event {
            Event::ApprovalApproved(Approved(decided)) => change(decided),
            other => panic!("{} stands there", other.name()),
        });
    });
    (report, at)
}

#[tokio::test]
async fn an_honest_history_with_command_line_keys_has_no_findings() {
    let report = altered(&told().await, |_| {});
    assert!(report.findings.is_empty(), "{report:?}");
    let key = report.history.deciding_keys.first().unwrap();
    assert!(
        key.origins.is_empty(),
        "a command-line key signs at no page"
    );
}

#[tokio::test]
async fn a_signature_of_a_command_line_key_is_verified_again() {
    let history = told().await;
    let (report, at) = decision(&history, |decided| {
        let mut bytes = decided.signature.as_slice().to_vec();
        bytes[0] ^= 1;
        decided.signature = bytes.into();
    });
    is_found(&report, Check::DecisionAssertion, at);
    let (report, at) = decision(&history, |decided| {
        let mut bytes = decided.challenge.as_ref().unwrap().as_slice().to_vec();
        bytes[0] ^= 1;
        decided.challenge = Some(bytes.into());
    });
    is_found(&report, Check::DecisionChallenge, at);
    let (report, at) = decision(&history, |decided| decided.challenge = None);
    is_found(&report, Check::DecisionAssertion, at);
    let (report, at) = decision(&history, |decided| {
        decided.origin = "https://proxy.example".to_owned();
    });
    is_found(&report, Check::PayloadForm, at);
}

#[tokio::test]
async fn a_command_line_key_comes_to_a_user_by_that_user_alone() {
    let history = told().await;
    let at = history.last("approver.credential_put");
    let report = altered(&history, |history| {
        history.alter_all(at, |envelope, _| {
            envelope.actor = Actor::Operator {
                name: "root".to_owned(),
            };
        });
    });
    is_found(&report, Check::Passkey, at);
    // Six minutes after the passkey was shown.
    let report = altered(&history, |history| {
        for record in &mut history.records {
            if record.header.position >= at {
                let later = record.header.recorded_at.plus(Duration::from_secs(6 * 60));
                record.header.recorded_at = later;
            }
        }
    });
    is_found(&report, Check::Passkey, at);
}

#[tokio::test]
async fn a_key_is_what_its_algorithm_and_format_say() {
    let history = told().await;
    let at = history.last("approver.credential_put");
    for change in [
        |put: &mut ledger::event::CredentialPut| put.algorithm = "ES256".to_owned(),
        |put: &mut ledger::event::CredentialPut| put.public_key_format = "cose".to_owned(),
        |put: &mut ledger::event::CredentialPut| put.public_key = vec![0; 32].into(),
    ] {
        let report = altered(&history, |history| {
            history.alter(at, |event| match event {
                Event::CredentialPut(put) => change(put),
                other => panic!("{} stands there", other.name()),
            });
        });
        is_found(&report, Check::Credential, at);
    }
}

#[tokio::test]
async fn a_login_by_a_command_line_key_is_proven_again() {
    let history = told().await;
    let at = history.last("session.opened");
    let alter = |change: fn(&mut ledger::event::SessionOpened)| {
        altered(&history, |history| {
            history.alter(at, |event| match event {
                Event::SessionOpened(opened) => change(opened),
                other => panic!("{} stands there", other.name()),
            });
        })
    };
    let report = alter(|opened| {
        if let SessionProof::SoftwareKey(proof) = &mut opened.proof {
            let mut bytes = proof.signature.as_slice().to_vec();
            bytes[0] ^= 1;
            proof.signature = bytes.into();
        }
    });
    is_found(&report, Check::Passkey, at);
    let report = alter(|opened| {
        opened.expires_at = opened.expires_at.plus(Duration::from_secs(3600));
    });
    is_found(&report, Check::Session, at);
}

#[tokio::test]
async fn who_acts_by_a_session_whose_key_was_taken_away_is_told() {
    let mut history = told().await;
    let put = history.last("approver.credential_put");
    let acts = history.last("template.created");
    let (envelope, event) = history.event(put);
    let Event::CredentialPut(mut revoked) = event else {
        panic!("a key was added");
    };
    revoked.status = CredentialStatus::Revoked;
    let stream = history.record(put).header.stream_id;
    history.insert_with(acts, stream, &envelope, &Event::CredentialPut(revoked));
    let report = altered(&history, |_| {});
    is_found(&report, Check::Actor, acts + 1);
}

#[tokio::test]
async fn a_credential_of_a_user_does_not_become_another_key() {
    let mut history = told().await;
    let put = history.last("approver.credential_put");
    let (envelope, event) = history.event(put);
    let Event::CredentialPut(mut other) = event else {
        panic!("a key was added");
    };
    let key = SoftKey::new("another");
    other.public_key = key.public_key().to_vec().into();
    other.public_key_thumbprint = key.read().unwrap().thumbprint().into();
    let stream = history.record(put).header.stream_id;
    history.insert_with(put + 1, stream, &envelope, &Event::CredentialPut(other));
    let report = altered(&history, |_| {});
    is_found(&report, Check::Passkey, put + 1);
}

#[tokio::test]
async fn a_command_line_key_that_decides_where_a_passkey_is_asked_for_is_told() {
    let history = told().await;
    let at = history.first("approval.approved");
    let report = altered(&history, |history| {
        let requested = history.first("approval.requested");
        history.alter(requested, |event| {
            let Event::ApprovalRequested(asked) = event else {
                panic!("a question was asked");
            };
            let asked = asked.policy.as_mut().unwrap();
            let mut requirement = asked.requirement.get().clone();
            requirement.needs[0].assurance = Assurance::Passkey;
            asked.requirement = requirement.into();
        });
    });
    is_found(&report, Check::Vote, at);
}
