//! What one agent may ask and have kept, so that it fills neither the disk nor anybody's day.

use crate::scene::{Scene, end, failed, refusal, start};
use fixtures::commands::{
    administrator, agent, continue_apply, create_task, deploy, key, presented, ssl_mode, submit,
    system,
};
use fixtures::rules::TestRules;
use fixtures::test_ledger::Setup;
use ledger::command::{CloseTask, ContinueApply, NarrowApproval, RefuseApply};
use ledger::{Decision, Quotas, Rejection};
use std::time::Duration;

async fn with(quotas: Quotas) -> Scene {
    let rules = TestRules {
        quotas,
        ..TestRules::default()
    };
    Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await
}

async fn asked(scene: &Scene, number: usize) -> Result<(), Rejection> {
    let script = format!("export default {{ number: {number} }};");
    asked_for(scene, number, &script).await
}

async fn asked_for(scene: &Scene, number: usize, script: &str) -> Result<(), Rejection> {
    let command = submit(
        &scene.token,
        &format!("k{number}"),
        vec![deploy("site", script)],
    );
    let ledger = &scene.ledger.ledger;
    let answer = ledger.execute(agent(&scene.token), command).await;
    answer.unwrap().accepted().map(drop)
}

#[tokio::test]
async fn a_task_asks_no_more_than_its_share_of_open_questions() {
    let scene = with(Quotas {
        open_approvals: 3,
        ..Quotas::default()
    })
    .await;
    for number in 0..3 {
        asked(&scene, number).await.unwrap();
    }
    let before = scene.size_now();
    let refused = asked(&scene, 3).await.unwrap_err();
    assert_eq!(refused, Rejection::TooManyOpenApprovals { most: 3 });
    assert_eq!(refused.code(), "too_many_open_approvals");
    assert_eq!(scene.names_since(before).await, ["apply.refused"]);
    // The same operations ask nothing new, and neither does a key that is known.
    asked(&scene, 2).await.unwrap();
    // The refused key was not used up: once one is decided, there is room again.
    let script = deploy("site", "export default { number: 1 };");
    let second = scene.submitted("other-key", vec![script]).await;
    scene.decided(&second, Decision::Deny).await;
    asked(&scene, 3).await.unwrap();
}

#[tokio::test]
async fn a_question_whose_time_is_over_leaves_its_place_before_that_is_recorded() {
    let rules = TestRules {
        approval_ttl: Duration::from_secs(60),
        quotas: Quotas {
            open_approvals: 2,
            ..Quotas::default()
        },
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    asked(&scene, 0).await.unwrap();
    asked(&scene, 1).await.unwrap();
    asked(&scene, 2).await.unwrap_err();
    let other = scene.ledger.task().await;
    let ask = submit(&other, "k", vec![ssl_mode("off")]);
    let ledger = &scene.ledger.ledger;
    let answer = ledger.execute(agent(&other), ask).await.unwrap();
    assert!(answer.accepted().is_ok(), "another task has its own share");
    scene.ledger.clock.advance(Duration::from_secs(61));
    asked(&scene, 2).await.unwrap();
}

#[tokio::test]
async fn what_an_agent_has_kept_in_an_hour_is_bounded_by_task_and_agent() {
    let scene = with(Quotas {
        task_bytes: 40_000,
        agent_bytes: 60_000,
        ..Quotas::default()
    })
    .await;
    let script =
        |number: usize| format!("export default {{ n: {number} }}; //{}", "x".repeat(9000));
    let mut accepted = 0;
    let refused = loop {
        match asked_for(&scene, accepted, &script(accepted)).await {
            Ok(()) => accepted += 1,
            Err(refused) => break refused,
        }
    };
    assert!((2..=4).contains(&accepted), "{accepted}");
    assert_eq!(refused.code(), "storage_quota_exceeded");
    let wait = refused.retry_after().unwrap();
    assert!(wait <= Duration::from_secs(3600), "{wait:?}");
    assert!(matches!(
        refused,
        Rejection::QuotaUsedUp { whose: "task", .. }
    ));

    // A new task of the same agent has what is left of the agent's.
    let second = scene.ledger.run(create_task()).await.unwrap();
    let ask = async |number: usize| {
        let command = submit(
            &second,
            &format!("k{number}"),
            vec![deploy("site", &script(number))],
        );
        let ledger = &scene.ledger.ledger;
        ledger
            .execute(agent(&second), command)
            .await
            .unwrap()
            .accepted()
            .map(drop)
    };
    let mut more = 0;
    let refused = loop {
        match ask(more).await {
            Ok(()) => more += 1,
            Err(refused) => break refused,
        }
    };
    assert!(matches!(
        refused,
        Rejection::QuotaUsedUp { whose: "agent", .. }
    ));
    assert!(more < accepted, "{more}");

    scene.ledger.clock.advance(Duration::from_secs(200));
    assert!(ask(100).await.is_err(), "it comes back slowly");
}

#[tokio::test]
async fn an_approval_that_is_given_back_over_and_over_is_continued_within_the_quota() {
    let scene = with(Quotas {
        task_bytes: 60_000,
        ..Quotas::default()
    })
    .await;
    let script = format!("export default {{}}; //{}", "x".repeat(10_000));
    let first = scene.submitted("k", vec![deploy("site", &script)]).await;
    scene.decided(&first, Decision::Approve).await;
    let again = async |name: &str| {
        let command = ContinueApply {
            edge: ledger::policy::Edge::default(),
            key: key(name),
            ..continue_apply(&scene.token, &first)
        };
        let ruling = scene.execute(agent(&scene.token), command).await;
        ruling.unwrap().accepted()
    };
    let mut continued = 0;
    let refused = loop {
        match again(&format!("k{continued}")).await {
            Ok(going) => {
                scene.run(start(going.apply.id, 0)).await.unwrap();
                scene.run(end(going.apply.id, 0, failed())).await.unwrap();
                continued += 1;
                assert!(continued < 20, "nobody keeps it from going on");
            }
            Err(refused) => break refused,
        }
    };
    assert!((2..=5).contains(&continued), "{continued}");
    assert_eq!(refused.code(), "storage_quota_exceeded");
    // Under the key that it was asked with nothing is recorded again, and the approval is still there.
    let own = scene.continued(&first).await.unwrap();
    assert!(own.apply.is_running());
}

#[tokio::test]
async fn refusals_for_a_quota_are_recorded_ten_times_a_minute_at_most() {
    let scene = with(Quotas {
        task_bytes: 1,
        ..Quotas::default()
    })
    .await;
    let before = scene.size_now();
    for number in 0..50 {
        asked(&scene, number).await.unwrap_err();
    }
    assert_eq!(scene.size_now() - before, 10);
}

#[tokio::test]
async fn what_was_used_up_is_found_again_at_a_start() {
    let quotas = Quotas {
        task_bytes: 20_000,
        ..Quotas::default()
    };
    let mut scene = with(quotas).await;
    let script = format!("export default {{}}; //{}", "x".repeat(15_000));
    asked_for(&scene, 0, &script).await.unwrap();
    let more = "y".repeat(5000);
    asked_for(&scene, 1, &more).await.unwrap_err();
    scene.ledger = scene.ledger.restart().await;
    let refused = asked_for(&scene, 2, &more).await.unwrap_err();
    assert_eq!(refused.code(), "storage_quota_exceeded");
}

#[tokio::test]
async fn below_the_floor_of_free_disk_nothing_new_is_taken_in_and_the_rest_goes_on() {
    let scene = Scene::new().await;
    let waiting = scene.asked("k1").await;
    let denied = scene.submitted("k2", vec![ssl_mode("off")]).await;
    let short = Quotas {
        min_free_bytes: u64::MAX,
        ..Quotas::default()
    };
    let rules = TestRules {
        quotas: short,
        ..TestRules::default()
    };
    let Scene {
        ledger,
        alice,
        token,
    } = scene;
    let closed = ledger.close().await.with_rules(rules.build());
    let ledger = closed.open().await.unwrap();
    let scene = Scene {
        ledger,
        alice,
        token,
    };
    assert!(scene.ledger.ledger.is_short_of_room());

    let before = scene.size_now();
    let ask = submit(&scene.token, "k3", vec![ssl_mode("flexible")]);
    let ledger = &scene.ledger.ledger;
    let refused = ledger.execute(agent(&scene.token), ask).await;
    assert_eq!(refusal(refused), Rejection::InsufficientStorage);
    let made = ledger.execute(administrator(), create_task()).await;
    assert_eq!(refusal(made), Rejection::InsufficientStorage);
    assert_eq!(scene.size_now(), before, "its refusals take no room either");

    let refuse = RefuseApply {
        token: presented(&scene.token).into(),
        key: Some(key("k4")),
        refusal: Rejection::KeyReused,
    };
    scene.ledger.run(refuse).await.unwrap();
    let narrow = NarrowApproval {
        token: presented(&scene.token).into(),
        principal: None,
    };
    scene.ledger.run(narrow).await.unwrap();
    scene.decided(&waiting, Decision::Approve).await;
    scene.decided(&denied, Decision::Deny).await;
    assert!(scene.continued(&waiting).await.unwrap().apply.authorised);
    let close = CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    ledger.execute(system(), close).await.unwrap();
}
