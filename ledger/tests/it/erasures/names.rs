//! Agents and approvers that were erased: their names and passkeys stay taken, counters stay up.

use super::*;
use ledger::{AgentName, ApproverName};

#[tokio::test]
async fn an_agent_without_grants_and_open_tasks_is_erased_and_its_name_stays_taken() {
    let scene = Scene::granted().await;
    let target = || EraseTarget::Agent(AgentName::unchecked(AGENT));
    assert!(why(erase(&scene, target()).await).contains("grant revoke"));
    let revoke = RevokeGrants {
        agent: AgentName::unchecked(AGENT),
        operation: None,
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    assert!(why(erase(&scene, target()).await).contains("task close"));
    close(&scene, scene.token.task.id).await;
    let done = erase(&scene, target()).await.unwrap();
    assert_eq!(done.streams, 1);
    assert_eq!(
        erase(&scene, target()).await.unwrap().position,
        done.position
    );
    let again = scene.execute(administrator(), create_task()).await;
    assert_eq!(refusal(again), Rejection::Erased);
    assert_eq!(
        refusal(scene.run(fixtures::commands::grant_all()).await),
        Rejection::Erased
    );
    assert_eq!(
        refusal(scene.agent(&AgentName::unchecked(AGENT)).await),
        Rejection::Erased
    );
    let erased = said(&scene, &done).await;
    assert_eq!(erased.names.len(), 1);
    assert_eq!(
        refusal(scene.load::<Agent>(erased.subject.stream().into()).await),
        Rejection::Erased
    );
    consistency::check(&scene).await;
    let ledger = scene.ledger.restart().await;
    assert_eq!(
        refusal(ledger.agent(&AgentName::unchecked(AGENT)).await),
        Rejection::Erased
    );
    let nobody = EraseTarget::Agent(AgentName::unchecked("nobody"));
    assert_eq!(
        refusal(erase(&ledger, nobody).await),
        Rejection::AgentNotFound
    );
}

async fn revoke_passkeys(scene: &Scene) {
    let alice = scene
        .approver(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap()
        .unwrap();
    for credential in &alice.credentials {
        let command = RevokeCredential {
            principal: ApproverName::unchecked(APPROVER),
            credential_id: credential.credential_id.clone(),
            reason: None,
        };
        scene.run(command).await.unwrap();
    }
}

#[tokio::test]
async fn an_approver_without_passkeys_is_erased_with_its_names_and_they_stay_taken() {
    let story = ended_story().await;
    let scene = &story.scene;
    let target = || EraseTarget::Approver(ApproverName::unchecked(APPROVER));
    let open = OpenEnrolment {
        principal: ApproverName::unchecked(APPROVER),
    };
    let opened = scene.run(open.clone()).await.unwrap();
    assert!(why(erase(scene, target()).await).contains("credential revoke"));
    revoke_passkeys(scene).await;
    let done = erase(scene, target()).await.unwrap();
    assert_eq!(said(scene, &done).await.names.len(), 3);
    assert_eq!(
        refusal(scene.approver(&ApproverName::unchecked(APPROVER)).await),
        Rejection::Erased
    );
    assert_eq!(refusal(scene.run(open).await), Rejection::Erased);
    let registration = scene.alice.registration();
    assert_eq!(
        refusal(scene.run(registration.clone()).await),
        Rejection::Erased
    );
    // The same passkey for somebody else: its id stays taken.
    let other = PutCredential {
        principal: ApproverName::unchecked("bob"),
        ..registration.clone()
    };
    assert_eq!(refusal(scene.run(other).await), Rejection::CredentialTaken);
    let enrol = ledger::command::Enrol {
        enrolment_id: opened.enrolment_id,
        credential: registration.credential,
    };
    assert_eq!(refusal(scene.run(enrol).await), Rejection::Erased);
    assert_eq!(
        refusal(scene.load::<Approver>(done.subject.stream().into()).await),
        Rejection::Erased
    );
    consistency::check(scene).await;
    // Its decisions are erased afterwards, with their task, and no counter is kept of it.
    let task = erase(scene, story.target()).await.unwrap();
    assert_eq!(said(scene, &task).await.counters, []);
    scrubbed(scene).await;
    assert_eq!(holding(scene.path(), b"alice"), [""; 0]);
    consistency::check(scene).await;
}

#[tokio::test]
async fn a_counter_stays_as_high_as_erased_decisions_had_raised_it() {
    let story = ended_story().await;
    let scene = &story.scene;
    let done = erase(scene, story.target()).await.unwrap();
    let kept = said(scene, &done).await.counters;
    let alice = scene
        .approver(&ApproverName::unchecked(APPROVER))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(kept[0].approver_id, alice.id);
    assert!(kept[0].sign_count > alice.credentials[0].sign_count);
    consistency::check(scene).await;
    let ledger = story.scene.ledger.restart().await;
    consistency::check(&ledger).await;
}
