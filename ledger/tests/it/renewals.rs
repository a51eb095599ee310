//! Tokens: what makes them void, and when they can be renewed.

use crate::scene::{Scene, refusal};
use fixtures::commands::{create_task, dns_read, presented, purge, ssl_mode, submit};
use fixtures::rules::TestRules;
use fixtures::test_ledger::Setup;
use ledger::command::{CreateTask, IssuedToken, PresentedToken, RenewToken};
use ledger::{ClaimsHash, ClientSubject, Decision, Rejection, TaskId, Timestamp, TokenId};
use std::time::Duration;

const MICRO: Duration = Duration::from_micros(1);

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn renew(token: &IssuedToken) -> RenewToken {
    RenewToken {
        token: presented(token),
    }
}

#[tokio::test]
async fn a_token_is_known_unaltered_of_its_subject_and_in_time() {
    let scene = Scene::new().await;
    let right = presented(&scene.token);
    let other = scene.task().await;
    let cases: [(PresentedToken, Rejection); 5] = [
        (
            PresentedToken {
                token_id: TokenId::from_bytes([1; 16]),
                ..right.clone()
            },
            Rejection::TokenUnknown,
        ),
        (
            PresentedToken {
                task_id: TaskId::from_bytes([1; 16]),
                ..right.clone()
            },
            Rejection::TokenUnknown,
        ),
        (
            PresentedToken {
                task_id: other.task.id,
                ..right.clone()
            },
            Rejection::TokenUnknown,
        ),
        (
            PresentedToken {
                claims_hash: ClaimsHash::unchecked(vec![1; 32]),
                ..right.clone()
            },
            Rejection::TokenAltered,
        ),
        (
            PresentedToken {
                subject: ClientSubject::unchecked("somebody else"),
                ..right.clone()
            },
            Rejection::SubjectMismatch,
        ),
    ];
    let before = scene.size_now();
    for (token, expected) in cases {
        let command = ledger::command::SubmitApply {
            token: token.clone().into(),
            ..submit(&scene.token, "k", vec![dns_read()])
        };
        assert_eq!(refusal(scene.run(command).await), expected);
        assert_eq!(refusal(scene.run(RenewToken { token }).await), expected);
    }
    assert_eq!(
        scene.size_now(),
        before,
        "who is not authenticated leaves nothing in the log"
    );
}

#[tokio::test]
async fn a_token_ends_exactly_at_its_end() {
    let scene = Scene::granted().await;
    let end = Timestamp::from_seconds(scene.token.claims.exp);
    scene.clock.set(end.minus(MICRO));
    assert!(
        scene
            .submit(&scene.token, "k1", vec![purge()])
            .await
            .is_ok()
    );
    scene.clock.set(end);
    let refused = refusal(scene.submit(&scene.token, "k1", vec![purge()]).await);
    assert_eq!(refused, Rejection::TokenExpired);
}

#[tokio::test]
async fn a_valid_token_is_not_renewed() {
    let scene = Scene::new().await;
    scene.asked("k").await;
    assert_eq!(
        refusal(scene.run(renew(&scene.token)).await),
        Rejection::NotRenewable {
            why: "it is still valid, use it"
        }
    );
}

#[tokio::test]
async fn a_stale_token_is_renewed_for_the_time_that_it_had_left() {
    let scene = Scene::new().await;
    scene.clock.advance(seconds(100));
    scene.grant_all().await;
    let before = scene.size_now();
    let renewed = scene.run(renew(&scene.token)).await.unwrap();
    assert_eq!(
        scene.names_since(before).await,
        ["task.token_revoked", "task.token_issued"]
    );
    assert_eq!(renewed.claims.exp, scene.token.claims.exp);
    assert_eq!(renewed.claims.perms_rev, 1);
    assert_eq!(
        refusal(scene.submit(&scene.token, "k", vec![purge()]).await),
        Rejection::TokenRevoked
    );
    let running = scene.submit(&renewed, "k", vec![purge()]).await;
    assert!(running.unwrap().unwrap().apply.authorised);
}

#[tokio::test]
async fn a_token_that_expired_with_nothing_open_is_not_renewed() {
    let scene = Scene::new().await;
    scene.clock.advance(seconds(300));
    let refused = refusal(scene.run(renew(&scene.token)).await);
    assert_eq!(refused.code(), "token_not_renewable");
    // Staleness on top of that makes no difference.
    scene.grant_all().await;
    let refused = refusal(scene.run(renew(&scene.token)).await);
    assert_eq!(refused.code(), "token_not_renewable");
}

#[tokio::test]
async fn a_token_that_expired_while_a_human_was_asked_is_renewed() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    scene.clock.advance(seconds(400));
    let renewed = scene.run(renew(&scene.token)).await.unwrap();
    assert_eq!(renewed.claims.exp - renewed.claims.iat, 300);
    scene.decided(&asked, Decision::Approve).await;
    let command = fixtures::commands::continue_apply(&renewed, &asked);
    assert!(
        scene
            .run(command)
            .await
            .unwrap()
            .accepted()
            .unwrap()
            .apply
            .authorised
    );
}

#[tokio::test]
async fn a_token_that_expired_while_an_approval_waited_to_be_continued_is_renewed_until_its_end() {
    let scene = Scene::new().await;
    let asked = scene.approved("k").await;
    let until = scene.approval(&asked).await.continue_until().unwrap();
    scene.clock.set(until.minus(seconds(100)));
    let renewed = scene.run(renew(&scene.token)).await.unwrap();
    assert_eq!(renewed.claims.exp, until.as_seconds());
    scene.clock.set(until.minus(MICRO));
    let command = fixtures::commands::continue_apply(&renewed, &asked);
    assert!(
        scene
            .run(command)
            .await
            .unwrap()
            .accepted()
            .unwrap()
            .apply
            .authorised
    );
}

#[tokio::test]
async fn no_renewal_after_the_approval_has_ended() {
    for end in ["expired", "denied", "consumed"] {
        let scene = Scene::new().await;
        let asked = scene.asked("k").await;
        match end {
            "denied" => {
                scene.decided(&asked, Decision::Deny).await;
            }
            "consumed" => {
                scene.decided(&asked, Decision::Approve).await;
                scene.continued(&asked).await.unwrap();
            }
            _ => {}
        }
        scene.clock.advance(seconds(600));
        let refused = refusal(scene.run(renew(&scene.token)).await);
        assert_eq!(refused.code(), "token_not_renewable", "{end}");
    }
}

#[tokio::test]
async fn a_question_asked_after_the_token_had_ended_does_not_bring_it_back() {
    let scene = Scene::new().await;
    scene.asked("k1").await;
    scene.clock.advance(seconds(400));
    let renewed = scene.run(renew(&scene.token)).await.unwrap();
    scene.clock.advance(seconds(190));
    // The renewed token asks a question of its own before the first one ends.
    scene
        .submit(&renewed, "k2", vec![ssl_mode("off")])
        .await
        .unwrap()
        .unwrap();
    scene.clock.advance(seconds(200));
    let refused = refusal(scene.run(renew(&scene.token)).await);
    assert_eq!(refused, Rejection::TokenRevoked);
    assert!(scene.run(renew(&renewed)).await.is_ok());
}

#[tokio::test]
async fn asked_again_within_sixty_seconds_the_same_new_token_is_given() {
    let scene = Scene::new().await;
    scene.asked("k").await;
    scene.clock.advance(seconds(301));
    let first = scene.run(renew(&scene.token)).await.unwrap();
    let before = scene.size_now();
    scene.clock.advance(seconds(60));
    let again = scene.run(renew(&scene.token)).await.unwrap();
    assert_eq!(again.claims, first.claims);
    assert_eq!(scene.size_now(), before);
    scene.clock.advance(MICRO);
    assert_eq!(
        refusal(scene.run(renew(&scene.token)).await),
        Rejection::TokenRevoked
    );
}

#[tokio::test]
async fn two_renewals_at_once_give_one_token() {
    let scene = Scene::new().await;
    scene.asked("k").await;
    scene.clock.advance(seconds(301));
    let before = scene.size_now();
    let (one, two) = tokio::join!(
        scene.run(renew(&scene.token)),
        scene.run(renew(&scene.token))
    );
    assert_eq!(one.unwrap().claims, two.unwrap().claims);
    assert_eq!(
        scene.names_since(before).await,
        ["task.token_revoked", "task.token_issued"]
    );
}

#[tokio::test]
async fn a_repetition_by_another_subject_gets_nothing() {
    let scene = Scene::new().await;
    scene.asked("k").await;
    scene.clock.advance(seconds(301));
    scene.run(renew(&scene.token)).await.unwrap();
    for change in [
        |token: &mut PresentedToken| token.subject = ClientSubject::unchecked("somebody else"),
        |token: &mut PresentedToken| token.claims_hash = ClaimsHash::unchecked(vec![0; 32]),
    ] {
        let mut token = presented(&scene.token);
        change(&mut token);
        assert!(scene.run(RenewToken { token }).await.is_err());
    }
}

#[tokio::test]
async fn a_closed_task_renews_nothing_not_even_a_repetition() {
    let scene = Scene::new().await;
    scene.asked("k").await;
    scene.clock.advance(seconds(301));
    let renewed = scene.run(renew(&scene.token)).await.unwrap();
    scene
        .run(ledger::command::CloseTask {
            task_id: renewed.task.id,
            token: None,
            reason: None,
        })
        .await
        .unwrap();
    for token in [&scene.token, &renewed] {
        assert_eq!(
            refusal(scene.run(renew(token)).await),
            Rejection::TokenRevoked
        );
    }
}

#[tokio::test]
async fn no_renewal_reaches_past_a_day_after_the_task_was_made() {
    let day = seconds(24 * 3600);
    let rules = TestRules {
        approval_ttl: seconds(3600),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let command = CreateTask {
        token_ttl: Some(seconds(3600)),
        ..create_task()
    };
    let mut token = scene.run(command).await.unwrap();
    let made = token.task.created_at;
    // Somebody is always being asked, so that the token can always be renewed.
    for number in 0.. {
        let ends = Timestamp::from_seconds(token.claims.exp);
        scene.clock.set(ends.minus(seconds(1)));
        let ask = submit(&token, &format!("k{number}"), vec![ssl_mode("off")]);
        scene.run(ask).await.unwrap().accepted().unwrap();
        if ends >= made.plus(day) {
            break;
        }
        scene.clock.set(ends);
        token = scene.run(renew(&token)).await.unwrap();
        assert!(number < 100, "the cap is reached");
    }
    assert_eq!(token.claims.exp, made.plus(day).as_seconds());
    scene.clock.set(made.plus(day));
    assert_eq!(
        refusal(scene.run(renew(&token)).await).code(),
        "token_not_renewable"
    );
}

#[tokio::test]
async fn claims_made_again_hash_the_same_after_a_restart() {
    let scene = Scene::new().await;
    let (task_id, hash) = (scene.token.task.id, scene.token.claims.hash());
    let claims = scene.token.claims.clone();
    let Scene { ledger, .. } = scene;
    let ledger = ledger.restart().await;
    let task = ledger
        .load::<ledger::aggregate::Task>(task_id)
        .await
        .unwrap()
        .unwrap();
    let again = ledger::CapabilityClaims::of(&task, &task.tokens[0], ledger.rules());
    assert_eq!(again, claims);
    assert_eq!(task.tokens[0].claims_hash, hash);
}
