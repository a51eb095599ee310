//! A recorded decision is proven again before it is used.

use super::{somebody, unsigned_approval};
use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, refusal};
use fixtures::commands::{create_task, presented, resume, ssl_mode};
use fixtures::forgery::Forger;
use fixtures::rules::{APPROVER, RP_ID, TestRules};
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::command::{ContinueApply, IssuedToken, Submitted};
use ledger::event::{ApprovalDecided, Approved};
use ledger::policy::{PreState, Rule, RuleAction};
use ledger::{ApproverName, Blob, ChallengeKey, CredentialId, Decision, Error, Rejection, Rules};

async fn continued(ledger: &TestLedger, token: &IssuedToken, asked: &Submitted) -> Rejection {
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: presented(token).into(),
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
        .proof
        .passkey()
        .unwrap()
        .clone();
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
        on_screen: None,
        challenge: None,
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
        edge: ledger::policy::Edge::default(),
        token: presented(&token).into(),
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

/// Services asked such questions before they bound their approvals to the state.
#[tokio::test]
async fn an_approval_of_a_bound_question_from_before_they_signed_its_state_is_consumed() {
    let scene = Scene::granted().await;
    let asks = Rule {
        pre_state: Some(PreState::Bind),
        ..rule("bound", RuleAction::Ask, always())
    };
    put(&scene, 1, Some(policy([asks]))).await;
    let asked = scene.submitted("k", vec![ssl_mode("strict")]).await;
    assert!(scene.approval(&asked).await.binds_pre_state());
    let signed = signed_approval(&scene, &asked).await;
    let ours = fixtures::rules::APPROVAL_LINK_SECRET;
    let going = consumed(scene, &asked, signed, ours).await.unwrap();
    assert!(going.apply.is_running());
}
