//! Who may decide, and what proves it.

use crate::scene::{Scene, refused};
use fixtures::approver::SoftApprover;
use fixtures::commands::{callback, create_task, presented, ssl_mode, submit};
use fixtures::rules::{APPROVER, ORIGIN, RP_ID, TestRules};
use fixtures::test_ledger::Setup;
use ledger::aggregate::{Approval, ApprovalState};
use ledger::command::{CreateTask, DecideApproval, NarrowApproval, RevokeCredential, Submitted};
use ledger::event::{ApprovalDecided, Approved, CredentialStatus, Denied, Event};
use ledger::{
    ApproverName, Challenge, ChallengeKey, CredentialId, Decision, Expectation, OnScreen,
    PublicKey, Rejection, Statement, verify_assertion,
};
use std::sync::Arc;
use std::time::Duration;

/// A ceremony in which one thing can be other than it should be.
struct Ceremony<'a> {
    key: ChallengeKey,
    valid_for: Duration,
    statement: Statement,
    rp_id: &'a str,
    origin: &'a str,
    decision: Decision,
    reason: Option<&'a str>,
}

impl<'a> Ceremony<'a> {
    fn of(scene: &Scene, approval: &Approval) -> Self {
        Self {
            key: scene.rules().challenge_key.clone(),
            valid_for: Duration::from_secs(90),
            statement: approval.statement(scene.id(), Decision::Approve, None),
            rp_id: RP_ID,
            origin: ORIGIN,
            decision: Decision::Approve,
            reason: None,
        }
    }

    fn answered(self, scene: &Scene, approval: &Approval, by: &SoftApprover) -> DecideApproval {
        let until = scene.now().plus(self.valid_for);
        let nonce = scene.random().sixteen();
        let challenge = Challenge::issue(&self.key, nonce, until, &self.statement);
        DecideApproval {
            approval_id: approval.id,
            decision: self.decision,
            reason: self.reason.map(str::to_owned),
            proof: by
                .assert(self.rp_id, self.origin, &challenge.to_bytes())
                .into(),
            statement: None,
            on_screen: None,
        }
    }
}

fn approval_of(asked: &Submitted) -> &Arc<Approval> {
    asked.approval.as_ref().unwrap()
}

async fn recorded_decision(scene: &Scene) -> ApprovalDecided {
    let events = scene.all().await;
    let mut decisions = events.into_iter().filter_map(|event| match event {
        Event::ApprovalApproved(Approved(decided)) | Event::ApprovalDenied(Denied(decided)) => {
            Some(decided)
        }
        _ => None,
    });
    let decided = decisions.next().unwrap();
    assert!(decisions.next().is_none());
    decided
}

#[tokio::test]
async fn a_decision_in_the_log_is_verified_by_anybody_with_the_public_key_alone() {
    for decision in [Decision::Approve, Decision::Deny] {
        let scene = Scene::new().await;
        let asked = scene.asked("k").await;
        let reason = Some("seen and understood");
        let command = scene
            .alice
            .decide(&scene.ledger, approval_of(&asked), decision, reason);
        scene.run(command).await.unwrap().accepted().unwrap();
        let decided = recorded_decision(&scene).await;
        assert_eq!(decided.principal.as_str(), APPROVER);
        assert_eq!(decided.reason.as_deref(), reason);
        assert_eq!(decided.sign_count, 1);
        let statement = approval_of(&asked).statement(scene.id(), decision, reason);
        assert_eq!(decided.statement.as_bytes(), statement.canonical_bytes());
        let key = PublicKey::from_cose(&scene.alice.cose_key()).unwrap();
        assert_eq!(
            decided.public_key_thumbprint.as_slice(),
            key.thumbprint().as_bytes()
        );
        let assertion = ledger::Assertion {
            credential_id: decided.credential_id.as_slice().to_vec(),
            client_data_json: decided.client_data_json.as_slice().to_vec(),
            authenticator_data: decided.authenticator_data.as_slice().to_vec(),
            signature: decided.signature.as_slice().to_vec(),
            user_handle: None,
        };
        let expectation = Expectation {
            credential_id: decided.credential_id.as_slice(),
            rp_id: &decided.rp_id,
            origin: &decided.origin,
            challenge_binds: &statement,
        };
        verify_assertion(&key, &assertion, &expectation).unwrap();
    }
}

#[tokio::test]
async fn what_a_browser_says_of_its_screen_is_recorded_as_far_as_it_can_be() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let mut command =
        scene
            .alice
            .decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    let said = OnScreen {
        operations: vec![7, 1, 1],
        to_the_end: vec![1, 7],
    };
    command.on_screen = Some(said);
    scene.run(command).await.unwrap().accepted().unwrap();
    let kept = OnScreen {
        operations: vec![1],
        to_the_end: vec![1],
    };
    assert_eq!(recorded_decision(&scene).await.on_screen, Some(kept));
}

#[tokio::test]
async fn a_denial_is_final_and_says_why() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let command = scene.alice.decide(
        &scene.ledger,
        approval_of(&asked),
        Decision::Deny,
        Some("not on a Friday"),
    );
    let denied = scene.run(command).await.unwrap().accepted().unwrap();
    assert_eq!(denied.state, ApprovalState::Denied);
    let lost = scene.continued(&asked).await.unwrap();
    assert!(!lost.apply.authorised);
    let later = scene
        .alice
        .decide(&scene.ledger, &denied, Decision::Approve, None);
    assert_eq!(
        refused(&scene, later).await,
        Rejection::ApprovalDecided { state: "denied" }
    );
}

#[tokio::test]
async fn a_question_is_decided_once() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let deny = || {
        scene
            .alice
            .decide(&scene.ledger, approval_of(&asked), Decision::Deny, None)
    };
    scene.decided(&asked, Decision::Approve).await;
    assert_eq!(
        refused(&scene, deny()).await,
        Rejection::ApprovalDecided { state: "approved" }
    );
    scene.continued(&asked).await.unwrap();
    assert_eq!(
        refused(&scene, deny()).await,
        Rejection::ApprovalDecided { state: "consumed" }
    );
}

#[tokio::test]
async fn of_two_people_who_decide_at_once_one_decides() {
    let rules = TestRules {
        approvers: [APPROVER, "bob"].map(ApproverName::unchecked).to_vec(),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let bob = SoftApprover::new("bob");
    scene.run(bob.registration()).await.unwrap();
    let asked = scene.asked("k").await;
    let approve = scene
        .alice
        .decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    let deny = bob.decide(&scene.ledger, approval_of(&asked), Decision::Deny, None);
    let before = scene.size_now();
    let (one, two) = tokio::join!(scene.run(approve), scene.run(deny));
    assert!(one.is_ok() != two.is_ok());
    let names = scene.names_since(before).await;
    let decided = names
        .iter()
        .filter(|name| ["approval.approved", "approval.denied"].contains(*name))
        .count();
    assert_eq!(decided, 1, "{names:?}");
}

#[tokio::test]
async fn whoever_is_not_eligible_learns_only_that() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let decide =
        |by: &SoftApprover| by.decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    // A passkey that nobody registered.
    let stranger = SoftApprover::new("stranger");
    assert_eq!(
        refused(&scene, decide(&stranger)).await,
        Rejection::CredentialNotEligible
    );
    // One of a principal who may not decide this.
    scene.run(stranger.registration()).await.unwrap();
    assert_eq!(
        refused(&scene, decide(&stranger)).await,
        Rejection::CredentialNotEligible
    );
    // One that was taken away.
    let revoke = RevokeCredential {
        principal: ApproverName::unchecked(APPROVER),
        credential_id: CredentialId::unchecked(scene.alice.credential_id()),
        reason: Some("lost".to_owned()),
    };
    let approver = scene.run(revoke).await.unwrap();
    assert_eq!(approver.credentials[0].status, CredentialStatus::Revoked);
    assert_eq!(
        refused(&scene, decide(&scene.alice)).await,
        Rejection::CredentialNotEligible
    );
}

#[tokio::test]
async fn who_was_narrowed_out_may_not_decide_any_more() {
    let rules = TestRules {
        approvers: [APPROVER, "bob"].map(ApproverName::unchecked).to_vec(),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let bob = SoftApprover::new("bob");
    scene.run(bob.registration()).await.unwrap();
    let asked = scene.asked("k").await;
    let early = scene
        .alice
        .decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    let narrow = NarrowApproval {
        token: presented(&scene.token).into(),
        principal: Some(ApproverName::unchecked("bob")),
    };
    scene.run(narrow).await.unwrap();
    assert_eq!(
        refused(&scene, early).await,
        Rejection::CredentialNotEligible
    );
    let by_bob = bob.decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    assert!(scene.run(by_bob).await.unwrap().accepted().is_ok());
}

#[tokio::test]
async fn an_assertion_for_anything_else_proves_nothing() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let other = scene.submitted("k2", vec![ssl_mode("off")]).await;
    let approval = approval_of(&asked);
    let right = || Ceremony::of(&scene, approval);
    let cases = [
        Ceremony {
            statement: approval_of(&other).statement(scene.id(), Decision::Approve, None),
            ..right()
        },
        Ceremony {
            statement: approval.statement(scene.id(), Decision::Deny, None),
            ..right()
        },
        Ceremony {
            decision: Decision::Deny,
            ..right()
        },
        Ceremony {
            reason: Some("added later"),
            ..right()
        },
        Ceremony {
            statement: approval.statement(
                ledger::LedgerId::from_bytes([1; 16]),
                Decision::Approve,
                None,
            ),
            ..right()
        },
        Ceremony {
            origin: "https://evil.example",
            ..right()
        },
        Ceremony {
            rp_id: "evil.example",
            ..right()
        },
        Ceremony {
            key: ChallengeKey::derive(b"another secret"),
            ..right()
        },
    ];
    for (number, ceremony) in cases.into_iter().enumerate() {
        let command = ceremony.answered(&scene, approval, &scene.alice);
        let refused = refused(&scene, command).await;
        assert_eq!(refused.code(), "assertion_invalid", "case {number}");
    }
    // Signed by another key under the registered id.
    let impostor = SoftApprover::with_credential("impostor", "passkey of default");
    let command = right().answered(&scene, approval, &impostor);
    assert_eq!(refused(&scene, command).await.code(), "assertion_invalid");
    let command = right().answered(&scene, approval, &scene.alice);
    assert!(scene.run(command).await.unwrap().accepted().is_ok());
}

#[tokio::test]
async fn a_forged_mac_is_refused_even_where_everything_else_fits() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let approval = approval_of(&asked);
    let statement = approval.statement(scene.id(), Decision::Approve, None);
    let challenge = Challenge::issue(
        &scene.rules().challenge_key,
        [7; 16],
        scene.now().plus(Duration::from_secs(90)),
        &statement,
    );
    let mut bytes = challenge.to_bytes();
    *bytes.last_mut().unwrap() ^= 1;
    let forged = DecideApproval {
        approval_id: approval.id,
        decision: Decision::Approve,
        reason: None,
        proof: scene.alice.assert(RP_ID, ORIGIN, &bytes).into(),
        statement: None,
        on_screen: None,
    };
    let Rejection::AssertionInvalid { why } = refused(&scene, forged).await else {
        panic!("not refused for its proof");
    };
    assert_eq!(why, "its challenge was not issued by this service");
}

#[tokio::test]
async fn a_challenge_ends_exactly_at_its_end() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let command = Ceremony::of(&scene, approval_of(&asked)).answered(
        &scene,
        approval_of(&asked),
        &scene.alice,
    );
    scene.clock.advance(Duration::from_secs(90));
    assert_eq!(
        refused(&scene, command.clone()).await,
        Rejection::ChallengeExpired
    );
    let other = Scene::new().await;
    let asked = other.asked("k").await;
    let command = Ceremony::of(&other, approval_of(&asked)).answered(
        &other,
        approval_of(&asked),
        &other.alice,
    );
    other
        .clock
        .advance(Duration::from_secs(90) - Duration::from_micros(1));
    assert!(other.run(command).await.unwrap().accepted().is_ok());
}

#[tokio::test]
async fn asking_for_a_challenge_again_leaves_an_earlier_one_valid() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let first = scene
        .alice
        .decide(&scene.ledger, approval_of(&asked), Decision::Approve, None);
    scene.alice.set_counter(0);
    drop(
        scene
            .alice
            .decide(&scene.ledger, approval_of(&asked), Decision::Deny, None),
    );
    assert!(scene.run(first).await.unwrap().accepted().is_ok());
}

#[tokio::test]
async fn a_reason_has_at_most_a_thousand_characters() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let decide = |length| {
        let reason = "é".repeat(length);
        scene.alice.decide(
            &scene.ledger,
            approval_of(&asked),
            Decision::Deny,
            Some(&reason),
        )
    };
    assert_eq!(
        refused(&scene, decide(1001)).await.code(),
        "reason_too_long"
    );
    assert!(scene.run(decide(1000)).await.unwrap().accepted().is_ok());
}

#[tokio::test]
async fn a_decision_owes_the_callback_what_happened_and_until_when() {
    let scene = Scene::new().await;
    let command = CreateTask {
        callback: Some(callback(9, "secret")),
        ..create_task()
    };
    let token = scene.run(command).await.unwrap();
    let asked = scene
        .run(submit(&token, "k", vec![ssl_mode("off")]))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let before = scene.size_now();
    scene.decided(&asked, Decision::Approve).await;
    let events = scene.since(before).await;
    let approved = events
        .iter()
        .find(|recorded| recorded.event.name() == "approval.approved")
        .unwrap();
    let owed = events.last().unwrap();
    let Event::DeliveryOwed(delivery) = &owed.event else {
        panic!("{events:?}");
    };
    assert_eq!(owed.envelope.cause, Some(approved.position()));
    assert_eq!(delivery.event_id, approved.event_id());
    let body: serde_json::Value = serde_json::from_str(&delivery.event).unwrap();
    assert_eq!(body["event_type"], "approval.approved");
    let until = scene.approval(&asked).await.continue_until().unwrap();
    assert_eq!(body["payload"]["continue_until"], until.to_string());
}
