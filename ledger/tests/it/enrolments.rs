//! Invitations to register a passkey.

use crate::scene::{Scene, refusal};
use fixtures::approver::SoftApprover;
use ledger::command::{Enrol, OpenEnrolment};
use ledger::{ApproverName, Decision, EnrolmentId, Rejection};
use std::time::Duration;

fn open(principal: &str) -> OpenEnrolment {
    OpenEnrolment {
        principal: ApproverName::unchecked(principal),
    }
}

fn enrol(enrolment_id: EnrolmentId, passkey: &SoftApprover) -> Enrol {
    Enrol {
        enrolment_id,
        credential: passkey.new_credential(),
    }
}

#[tokio::test]
async fn an_invitation_registers_one_passkey_which_can_decide() {
    let mut scene = Scene::new().await;
    let opened = scene.run(open("default")).await.unwrap();
    let phone = SoftApprover::with_credential("default", "phone");
    let approver = scene.run(enrol(opened.enrolment_id, &phone)).await.unwrap();
    let credential = approver.credentials.last().unwrap();
    assert_eq!(credential.enrolment_id, Some(opened.enrolment_id));
    scene.alice = phone;
    let asked = scene.asked("k").await;
    scene.decided(&asked, Decision::Approve).await;
}

#[tokio::test]
async fn an_invitation_is_good_for_one_registration() {
    let scene = Scene::new().await;
    let opened = scene.run(open("bob")).await.unwrap();
    let (one, two) = (
        SoftApprover::with_credential("bob", "one"),
        SoftApprover::with_credential("bob", "two"),
    );
    let (first, second) = tokio::join!(
        scene.run(enrol(opened.enrolment_id, &one)),
        scene.run(enrol(opened.enrolment_id, &two))
    );
    let late = if first.is_ok() { second } else { first };
    assert_eq!(refusal(late), Rejection::EnrolmentEnded);
    let bob = scene
        .ledger
        .approver(&ApproverName::unchecked("bob"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(bob.credentials.len(), 1);
}

#[tokio::test]
async fn an_invitation_ends_exactly_after_fifteen_minutes() {
    let scene = Scene::new().await;
    let minutes = Duration::from_secs(15 * 60);
    let opened = scene.run(open("bob")).await.unwrap();
    assert_eq!(opened.expires_at, scene.now().plus(minutes));
    let other = scene.run(open("bob")).await.unwrap();
    scene.clock.advance(minutes - Duration::from_micros(1));
    let one = SoftApprover::with_credential("bob", "one");
    scene.run(enrol(opened.enrolment_id, &one)).await.unwrap();
    scene.clock.advance(Duration::from_micros(1));
    let two = SoftApprover::with_credential("bob", "two");
    assert_eq!(
        refusal(scene.run(enrol(other.enrolment_id, &two)).await),
        Rejection::EnrolmentEnded
    );
}

#[tokio::test]
async fn an_invitation_nobody_opened_is_not_there() {
    let scene = Scene::new().await;
    let passkey = SoftApprover::new("bob");
    assert_eq!(
        refusal(
            scene
                .run(enrol(EnrolmentId::from_bytes([1; 16]), &passkey))
                .await
        ),
        Rejection::EnrolmentNotFound
    );
}

#[tokio::test]
async fn a_known_credential_cannot_be_enrolled_over_and_leaves_the_invitation_usable() {
    let scene = Scene::new().await;
    for principal in ["bob", "default"] {
        let opened = scene.run(open(principal)).await.unwrap();
        assert_eq!(
            refusal(scene.run(enrol(opened.enrolment_id, &scene.alice)).await),
            Rejection::CredentialTaken
        );
        let own = SoftApprover::with_credential(principal, &format!("{principal}'s own"));
        assert!(scene.run(enrol(opened.enrolment_id, &own)).await.is_ok());
    }
}
