//! Credentials: whose they are, their counters and their backup eligibility.

use crate::scene::{Scene, refusal, refused};
use fixtures::approver::SoftApprover;
use fixtures::commands::ssl_mode;
use fixtures::rules::APPROVER;
use ledger::aggregate::Approver;
use ledger::command::{PutCredential, RevokeCredential};
use ledger::event::CredentialStatus;
use ledger::{ApproverName, CredentialId, Decision, Rejection};
use std::sync::Arc;

#[tokio::test]
async fn a_counter_must_rise_and_counts_across_questions() {
    let scene = Scene::new().await;
    let one = scene.asked("k1").await;
    scene.alice.set_counter(6);
    scene.decided(&one, Decision::Approve).await;
    let two = scene.submitted("k2", vec![ssl_mode("off")]).await;
    for copied in [0, 5, 6] {
        scene.alice.set_counter(copied);
        let command = scene.alice.decide(
            &scene.ledger,
            two.approval.as_ref().unwrap(),
            Decision::Deny,
            None,
        );
        assert_eq!(refused(&scene, command).await, Rejection::CounterWentBack);
    }
    scene.decided(&two, Decision::Deny).await;
}

#[tokio::test]
async fn a_counter_that_falls_back_to_zero_went_back() {
    let scene = Scene::new().await;
    let one = scene.asked("k1").await;
    scene.decided(&one, Decision::Approve).await;
    let two = scene.submitted("k2", vec![ssl_mode("off")]).await;
    let copied = SoftApprover::new(APPROVER).without_counter();
    let command = copied.decide(
        &scene.ledger,
        two.approval.as_ref().unwrap(),
        Decision::Deny,
        None,
    );
    assert_eq!(refused(&scene, command).await, Rejection::CounterWentBack);
}

#[tokio::test]
async fn an_authenticator_that_does_not_count_may_decide_again() {
    let mut scene = Scene::new().await;
    scene.alice = SoftApprover::new(APPROVER).without_counter();
    for key in ["k1", "k2", "k3"] {
        let asked = scene.asked(key).await;
        scene.decided(&asked, Decision::Deny).await;
    }
}

#[tokio::test]
async fn registering_the_same_key_again_does_not_turn_its_counter_back() {
    let scene = Scene::new().await;
    let one = scene.asked("k1").await;
    scene.alice.set_counter(41);
    scene.decided(&one, Decision::Approve).await;
    scene.run(scene.alice.registration()).await.unwrap();
    let two = scene.submitted("k2", vec![ssl_mode("off")]).await;
    scene.alice.set_counter(0);
    let copied = scene.alice.decide(
        &scene.ledger,
        two.approval.as_ref().unwrap(),
        Decision::Deny,
        None,
    );
    assert_eq!(refused(&scene, copied).await, Rejection::CounterWentBack);
}

#[tokio::test]
async fn backup_eligibility_is_learnt_at_the_first_valid_assertion_and_held_to() {
    for eligible in [true, false] {
        let mut scene = Scene::new().await;
        if eligible {
            scene.alice = SoftApprover::new(APPROVER).backup_eligible();
        }
        let one = scene.asked("k1").await;
        let before = scene.size_now();
        scene.decided(&one, Decision::Deny).await;
        assert_eq!(
            scene.names_since(before).await,
            ["approver.backup_eligibility_learnt", "approval.denied"]
        );
        let two = scene.submitted("k2", vec![ssl_mode("off")]).await;
        let mut changed = SoftApprover::new(APPROVER);
        if !eligible {
            changed = changed.backup_eligible();
        }
        changed.set_counter(100);
        let command = changed.decide(
            &scene.ledger,
            two.approval.as_ref().unwrap(),
            Decision::Deny,
            None,
        );
        assert_eq!(
            refused(&scene, command).await,
            Rejection::BackupEligibilityChanged
        );
        let before = scene.size_now();
        scene.decided(&two, Decision::Deny).await;
        assert_eq!(scene.names_since(before).await, ["approval.denied"]);
    }
}

#[tokio::test]
async fn a_registered_backup_eligibility_is_not_learnt_but_checked() {
    let scene = Scene::new().await;
    let mut registration = scene.alice.registration();
    registration.credential.backup_eligible = Some(true);
    scene.run(registration).await.unwrap();
    let asked = scene.asked("k1").await;
    let command = scene.alice.decide(
        &scene.ledger,
        asked.approval.as_ref().unwrap(),
        Decision::Deny,
        None,
    );
    assert_eq!(
        refused(&scene, command).await,
        Rejection::BackupEligibilityChanged
    );
}

#[tokio::test]
async fn a_credential_belongs_to_one_approver() {
    let scene = Scene::new().await;
    let stolen = PutCredential {
        principal: ApproverName::unchecked("mallory"),
        ..scene.alice.registration()
    };
    let before = scene.size_now();
    assert_eq!(refusal(scene.run(stolen).await), Rejection::CredentialTaken);
    assert_eq!(
        scene.size_now(),
        before,
        "nor is the approver registered who tried"
    );
}

#[tokio::test]
async fn a_revoked_credential_can_be_activated_again_and_keeps_its_counter() {
    let scene = Scene::new().await;
    let one = scene.asked("k1").await;
    scene.alice.set_counter(9);
    scene.decided(&one, Decision::Deny).await;
    let revoke = |id: &[u8]| RevokeCredential {
        principal: ApproverName::unchecked(APPROVER),
        credential_id: CredentialId::unchecked(id),
        reason: None,
    };
    assert_eq!(
        refusal(scene.run(revoke(b"nobody's")).await),
        Rejection::CredentialNotFound
    );
    scene
        .run(revoke(scene.alice.credential_id()))
        .await
        .unwrap();
    let approver: Arc<Approver> = scene.run(scene.alice.registration()).await.unwrap();
    assert_eq!(approver.credentials.len(), 1);
    assert_eq!(approver.credentials[0].status, CredentialStatus::Active);
    assert_eq!(approver.credentials[0].sign_count, 10);
    assert_eq!(approver.credentials[0].backup_eligible, Some(false));
}
