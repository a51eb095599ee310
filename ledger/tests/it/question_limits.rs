//! The limits of open questions: the next one is refused and recorded, and its key stays free.

use crate::scene::{Scene, refusal};
use fixtures::commands::{agent, create_task, deploy, ssl_mode, submit};
use fixtures::history::History;
use fixtures::people::create_user;
use fixtures::policies::{policy, put};
use ledger::command::{AgentChanges, CreateTask, DescribeAgent, IssuedToken, Ruling, Submitted};
use ledger::policy::{Limits, Policy};
use ledger::{AgentName, Decision, Error, Rejection, Role};
use std::time::Duration;

const NONE: Limits = Limits {
    open: 0,
    per_agent: 0,
    per_owner: 0,
    per_operation: 0,
    per_address: 0,
};

async fn limited(scene: &Scene, limits: Limits, follows: u64) {
    let policy = Policy { limits, ..policy() };
    scene.ledger.run(put(policy, follows)).await.unwrap();
}

/// Asks about a Worker with a text of its own, so that each is a question of its own.
async fn ask(scene: &Scene, token: &IssuedToken, key: &str) -> Result<Ruling<Submitted>, Error> {
    let script = format!("export default {{ key: {key:?} }};");
    let command = submit(token, key, vec![deploy("site", &script)]);
    scene.ledger.ledger.execute(agent(token), command).await
}

async fn asked(scene: &Scene, token: &IssuedToken, key: &str) -> Result<(), Rejection> {
    ask(scene, token, key).await.unwrap().accepted().map(drop)
}

fn too_many(limit: &'static str, most: u32) -> Rejection {
    Rejection::TooManyQuestions { limit, most }
}

/// Ends the ledger, and has everything that it recorded audited.
async fn audited(scene: Scene) {
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn limits_hold_with_64_commands_at_once() {
    let scene = Scene::new().await;
    limited(&scene, Limits { open: 10, ..NONE }, 0).await;
    let keys: Vec<String> = (0..64).map(|number| format!("k{number}")).collect();
    let asking = keys.iter().map(|key| asked(&scene, &scene.token, key));
    let answers = futures_util::future::join_all(asking).await;
    let refused: Vec<_> = answers
        .iter()
        .filter_map(|answer| answer.as_ref().err())
        .collect();
    assert_eq!(answers.len() - refused.len(), 10);
    assert!(
        refused
            .iter()
            .all(|refused| **refused == too_many("open", 10))
    );
    audited(scene).await;
}

#[tokio::test]
async fn a_question_beyond_a_limit_is_refused_on_record_and_its_key_stays_free() {
    let scene = Scene::new().await;
    limited(
        &scene,
        Limits {
            per_agent: 2,
            ..NONE
        },
        0,
    )
    .await;
    asked(&scene, &scene.token, "k1").await.unwrap();
    asked(&scene, &scene.token, "k2").await.unwrap();
    let before = scene.size_now();
    let refused = asked(&scene, &scene.token, "k3").await.unwrap_err();
    assert_eq!(refused, too_many("per_agent", 2));
    assert_eq!(refused.code(), "too_many_questions");
    assert!(refused.retry_after().is_some());
    assert_eq!(scene.names_since(before).await, ["apply.refused"]);
    // What is asked already asks nothing new.
    asked(&scene, &scene.token, "k2").await.unwrap();
    let question = ask(&scene, &scene.token, "k1")
        .await
        .unwrap()
        .accepted()
        .unwrap();
    scene.decided(&question, Decision::Deny).await;
    asked(&scene, &scene.token, "k3").await.unwrap();
    audited(scene).await;
}

#[tokio::test]
async fn questions_count_again_after_a_restart_until_their_time_is_over() {
    let scene = Scene::new().await;
    limited(&scene, Limits { open: 2, ..NONE }, 0).await;
    asked(&scene, &scene.token, "k1").await.unwrap();
    asked(&scene, &scene.token, "k2").await.unwrap();
    let Scene {
        ledger,
        alice,
        token,
    } = scene;
    let ledger = ledger.restart().await;
    let scene = Scene {
        ledger,
        alice,
        token,
    };
    let refused = asked(&scene, &scene.token, "k3").await.unwrap_err();
    assert_eq!(refused, too_many("open", 2));
    let question = ask(&scene, &scene.token, "k1")
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let until = question.approval.unwrap().expires_at;
    scene.ledger.clock.set(until);
    let fresh = scene.ledger.task().await;
    asked(&scene, &fresh, "k3").await.unwrap();
    audited(scene).await;
}

#[tokio::test]
async fn an_operation_and_an_owner_have_their_own_limits() {
    let scene = Scene::new().await;
    limited(
        &scene,
        Limits {
            per_operation: 1,
            ..NONE
        },
        0,
    )
    .await;
    asked(&scene, &scene.token, "k1").await.unwrap();
    let refused = asked(&scene, &scene.token, "k2").await.unwrap_err();
    assert_eq!(refused, too_many("per_operation", 1));
    let other = submit(&scene.token, "k3", vec![ssl_mode("off")]);
    let ledger = &scene.ledger.ledger;
    let answer = ledger.execute(agent(&scene.token), other).await.unwrap();
    assert!(answer.accepted().is_ok(), "it asks for something else");

    limited(
        &scene,
        Limits {
            per_owner: 2,
            ..NONE
        },
        1,
    )
    .await;
    asked(&scene, &scene.token, "k4").await.unwrap();
    let owner = scene.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let owned = DescribeAgent {
        agent: AgentName::unchecked(fixtures::commands::AGENT),
        changes: AgentChanges {
            owner: Some(Some(owner.id)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    let refused = asked(&scene, &scene.token, "k5").await.unwrap_err();
    assert_eq!(refused, too_many("per_owner", 2));
    audited(scene).await;
}

/// A task of an agent of that name.
async fn task_of(scene: &Scene, name: &str) -> IssuedToken {
    let create = CreateTask {
        agent: AgentName::unchecked(name),
        ..create_task()
    };
    scene.run(create).await.unwrap()
}

/// Asks a hundred questions with each token at once; the answers.
async fn flood(scene: &Scene, tokens: &[IssuedToken]) -> Vec<Result<(), Rejection>> {
    let keys: Vec<String> = (0..100).map(|number| format!("k{number}")).collect();
    let mut answers = Vec::new();
    for token in tokens {
        let asking = keys.iter().map(|key| asked(scene, token, key));
        answers.extend(futures_util::future::join_all(asking).await);
    }
    answers
}

#[tokio::test]
async fn without_a_document_no_agent_takes_the_places_of_others() {
    let scene = Scene::new().await;
    let mut tokens = Vec::new();
    for _ in 0..10 {
        tokens.push(task_of(&scene, "flood").await);
    }
    let answers = flood(&scene, &tokens).await;
    let refused: Vec<_> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(answers.len() - refused.len(), 100);
    let expected = too_many("per_agent", 100);
    assert!(refused.iter().all(|it| **it == expected), "{refused:?}");
    asked(&scene, &scene.token, "another-agent").await.unwrap();
    audited(scene).await;
}

#[tokio::test]
async fn without_a_document_no_owner_takes_the_places_of_others() {
    let scene = Scene::new().await;
    let owner = scene.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let mut tokens = Vec::new();
    for number in 0..6 {
        let name = format!("flood-{number}");
        tokens.push(task_of(&scene, &name).await);
        let owned = DescribeAgent {
            agent: AgentName::unchecked(name),
            changes: AgentChanges {
                owner: Some(Some(owner.id)),
                ..AgentChanges::default()
            },
        };
        scene.run(owned).await.unwrap();
    }
    let answers = flood(&scene, &tokens).await;
    let refused: Vec<_> = answers.iter().filter_map(|it| it.as_ref().err()).collect();
    assert_eq!(answers.len() - refused.len(), 500);
    let expected = too_many("per_owner", 500);
    assert!(refused.iter().all(|it| **it == expected), "{refused:?}");
    asked(&scene, &scene.token, "another-owner").await.unwrap();
    audited(scene).await;
}

#[tokio::test]
async fn without_a_document_a_thousand_questions_are_the_most() {
    let scene = Scene::new().await;
    let mut tokens = Vec::new();
    for number in 0..10 {
        tokens.push(task_of(&scene, &format!("agent-{number}")).await);
    }
    for answer in flood(&scene, &tokens).await {
        answer.unwrap();
    }
    let refused = asked(&scene, &scene.token, "one-more").await.unwrap_err();
    assert_eq!(refused, too_many("open", 1000));
    scene.ledger.clock.advance(Duration::from_secs(1));
    limited(&scene, NONE, 0).await;
    asked(&scene, &scene.token, "one-more").await.unwrap();
    assert_eq!(
        refusal(scene.ledger.run(put(policy(), 0)).await),
        Rejection::PolicyVersionMismatch { newest: 1 }
    );
}
