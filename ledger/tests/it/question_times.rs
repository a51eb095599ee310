//! How long a question waits, as its task says, and the life of tokens beside it.

use crate::scene::{Scene, refusal};
use fixtures::commands::{create_task, presented, ssl_mode, submit};
use fixtures::rules::TestRules;
use ledger::aggregate::ApprovalState;
use ledger::command::{CreateTask, IssuedToken, RenewToken};
use ledger::{Decision, Link, Purpose, QuestionTime, Reason, Rejection, Timestamp};
use std::time::Duration;

const WEEK: u64 = 604_800;

fn of(question: u64) -> CreateTask {
    CreateTask {
        token_ttl: None,
        question: Some(QuestionTime::from_seconds(question).unwrap()),
        ..create_task()
    }
}

fn life(token: &IssuedToken) -> i64 {
    token.claims.exp - token.claims.iat
}

#[tokio::test]
async fn a_question_waits_as_long_as_its_task_says_and_so_does_an_approval() {
    for seconds in [60, WEEK] {
        let time = Duration::from_secs(seconds);
        let mut scene = Scene::new().await;
        scene.token = scene.run(of(seconds)).await.unwrap();
        let asked = scene.asked("k").await;
        let approval = scene.approval(&asked).await;
        assert_eq!(approval.expires_at, scene.now().plus(time));
        let last = approval.expires_at.minus(Duration::from_micros(1));
        scene.clock.set(last);
        let approved = scene.decided(&asked, Decision::Approve).await;
        assert_eq!(approved.continue_until(), Some(last.plus(time)));
        assert_eq!(
            approved.state_at(last.plus(time)),
            ApprovalState::Expired,
            "{seconds}"
        );
    }
}

#[tokio::test]
async fn a_task_keeps_the_time_that_it_was_opened_with() {
    let scene = Scene::new().await;
    let Scene {
        ledger,
        alice,
        token,
    } = scene;
    let rules = TestRules {
        approval_ttl: Duration::from_secs(60),
        ..TestRules::default()
    };
    let ledger = ledger.restart_with(rules.build()).await;
    let scene = Scene {
        ledger,
        alice,
        token,
    };
    let asked = scene.asked("k").await;
    let until = scene.now().plus(Duration::from_secs(600));
    assert_eq!(scene.approval(&asked).await.expires_at, until);
}

#[tokio::test]
async fn by_default_a_token_lives_as_long_as_a_question_and_five_minutes_at_least() {
    let scene = Scene::new().await;
    for (question, expected) in [(60, 300), (300, 300), (301, 301), (WEEK, 604_800)] {
        let token = scene.run(of(question)).await.unwrap();
        assert_eq!(life(&token), expected);
    }
    // The setting is 600 s.
    let by_setting = CreateTask {
        token_ttl: None,
        ..create_task()
    };
    assert_eq!(life(&scene.run(by_setting).await.unwrap()), 600);
    let shorter = CreateTask {
        token_ttl: Some(Duration::from_secs(60)),
        ..of(WEEK)
    };
    assert_eq!(life(&scene.run(shorter).await.unwrap()), 60);
}

#[tokio::test]
async fn a_token_can_be_renewed_while_a_question_of_a_week_and_its_continuation_last() {
    let week = Duration::from_secs(WEEK);
    let second = Duration::from_secs(1);
    let mut scene = Scene::new().await;
    let short = CreateTask {
        token_ttl: Some(Duration::from_secs(3600)),
        ..of(WEEK)
    };
    scene.token = scene.run(short).await.unwrap();
    let made = scene.token.task.created_at;
    let asked = scene.asked("k").await;
    scene.clock.set(made.plus(week).minus(second));
    let renew = |token: &IssuedToken| RenewToken {
        token: presented(token),
    };
    let token = scene.run(renew(&scene.token)).await.unwrap();
    scene.decided(&asked, Decision::Approve).await;
    // Another question keeps its tokens renewable after that.
    scene
        .clock
        .set(Timestamp::from_seconds(token.claims.exp).minus(second));
    let other = submit(&token, "k2", vec![ssl_mode("off")]);
    scene.run(other).await.unwrap().accepted().unwrap();
    scene.clock.set(made.plus(week * 2).minus(second * 10));
    let last = scene.run(renew(&token)).await.unwrap();
    assert_eq!(last.claims.exp, made.plus(week * 2).as_seconds());
    scene.clock.set(made.plus(week * 2));
    let refused = refusal(scene.run(renew(&last)).await);
    assert_eq!(refused.code(), "token_not_renewable");
}

#[tokio::test]
async fn a_task_is_opened_with_a_reason_and_a_link_that_are_well_formed() {
    let scene = Scene::new().await;
    let with = |reason: &str, link: &str| CreateTask {
        purpose: Purpose {
            reason: Some(Reason::unchecked(reason)),
            link: Some(Link::unchecked(link)),
        },
        ..create_task()
    };
    let command = with("Friday's move", "https://tickets.example/OPS-42");
    let opened = scene.run(command.clone()).await.unwrap();
    assert_eq!(opened.task.purpose, command.purpose);
    for command in [
        with(" ", "https://tickets.example/"),
        with(&"x".repeat(501), "https://tickets.example/"),
        with("why", "javascript:alert(1)"),
    ] {
        let before = scene.size_now();
        let refused = refusal(scene.run(command).await);
        assert!(matches!(refused, Rejection::Invalid { .. }), "{refused}");
        assert_eq!(scene.size_now(), before);
    }
}
