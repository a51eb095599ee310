//! Kept decisions under a policy: they answer what the same rules ask of requests that came the same way.

use crate::audit::{altered, is_found};
use crate::passkeys::user;
use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, refusal, start};
use crate::votes::{People, of};
use fixtures::commands::{AGENT, agent, dns_create, purge, ssl_mode, submit};
use fixtures::history::History;
use ledger::audit::Check;
use ledger::command::{
    AgentChanges, ChangeGroup, DescribeAgent, OperationStart, SubmitApply, Submitted,
};
use ledger::event::Event;
use ledger::operation::Operation;
use ledger::policy::{
    Comparison, Edge, Expr, Fact, PreState, RetentionMode, Rule, RuleAction, Value,
};
use ledger::statement::SignedRule;
use ledger::{
    AgentName, Binding, BoundTo, Breadth, Choice, ClearanceKey, Decision, GroupId, KeptMode,
    KeyParts, OperationsDigest, Retention, Role, operations_of,
};
use std::collections::BTreeSet;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

/// Asks about what does not come from a country that there is not, and offers to keep the answer for an hour.
fn asks() -> Rule {
    let fact = Box::new(Expr::Fact("country".to_owned()));
    let nowhere = Box::new(Expr::Literal(Value::Text("XX".to_owned())));
    Rule {
        retention: BTreeSet::from([RetentionMode::Once, RetentionMode::Cache]),
        max_duration: 3600,
        pre_state: Some(PreState::Shown),
        ..rule(
            "abroad",
            RuleAction::Ask,
            Expr::Compare(Comparison::NotEqual, fact, nowhere),
        )
    }
}

async fn from(
    scene: &Scene,
    key: &str,
    country: Option<&str>,
    operations: Vec<Operation>,
) -> Submitted {
    let mut edge = Edge::default();
    if let Some(country) = country {
        edge.say("country", Fact::Known(Value::Text(country.to_owned())));
    }
    let command = SubmitApply {
        edge,
        ..submit(&scene.token, key, operations)
    };
    let ruling = scene.execute(agent(&scene.token), command).await.unwrap();
    ruling.accepted().unwrap()
}

fn kept(scene: &Scene, time: Duration) -> Retention {
    Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Task,
        until: Some(scene.now().plus(time)),
    }
}

async fn keep(scene: &Scene, asked: &Submitted, retention: Retention) -> Result<(), &'static str> {
    let approval = asked.approval.clone().unwrap();
    let keep = scene
        .alice
        .keep(&scene.ledger, &approval, Decision::Approve, retention);
    match scene.run(keep).await {
        Ok(ruling) => ruling.accepted().map(drop).map_err(|it| it.code()),
        refused => Err(refusal(refused).code()),
    }
}

fn is_cleared(submitted: &Submitted) -> bool {
    submitted.apply.clearance_id.is_some() && submitted.apply.authorised
}

async fn audited(scene: Scene) {
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn a_kept_approval_answers_what_the_same_rule_asks_of_what_comes_the_same_way() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = from(&scene, "k1", Some("DE"), vec![purge()]).await;
    keep(&scene, &asked, kept(&scene, MINUTE)).await.unwrap();
    let question = scene.approval(&asked).await;
    let statement = &question.decision.as_ref().unwrap().statement;
    let said: serde_json::Value = serde_json::from_str(statement).unwrap();
    assert_eq!(said["policy"]["version"], 1);
    assert_eq!(said["rules"][0]["id"], "abroad");
    assert_eq!(said["rules"][0]["digest"], asks().digest().to_string());
    let requirement = &question.policy.as_ref().unwrap().requirement;
    assert_eq!(said["requirement_digest"], requirement.digest().to_string());

    let cleared = from(&scene, "k2", Some("DE"), vec![purge()]).await;
    assert!(is_cleared(&cleared));
    let go = scene.run(start(cleared.apply.id, 0)).await.unwrap();
    assert_eq!(go, OperationStart::Go);
    assert!(!is_cleared(
        &from(&scene, "k3", Some("FR"), vec![purge()]).await
    ));
    assert!(!is_cleared(&from(&scene, "k4", None, vec![purge()]).await));
    let another = Rule {
        reason: "another".to_owned(),
        ..asks()
    };
    put(&scene, 2, Some(policy([another]))).await;
    assert!(!is_cleared(
        &from(&scene, "k5", Some("DE"), vec![purge()]).await
    ));
    put(&scene, 3, Some(policy([asks()]))).await;
    assert!(is_cleared(
        &from(&scene, "k6", Some("DE"), vec![purge()]).await
    ));
    put(&scene, 4, None).await;
    assert!(
        from(&scene, "k7", None, vec![purge()])
            .await
            .apply
            .clearance_id
            .is_none()
    );
    audited(scene).await;
}

/// Somebody who could not have answered then is not passed by now.
#[tokio::test]
async fn a_kept_approval_answers_only_what_excludes_the_same_people() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let anna = user(&scene.ledger, "anna", Role::Viewer).await;
    let ben = user(&scene.ledger, "ben", Role::Viewer).await;
    let owned_by = |owner| DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(owner),
            ..AgentChanges::default()
        },
    };
    scene.run(owned_by(Some(anna))).await.unwrap();
    let asked = from(&scene, "k1", Some("DE"), vec![purge()]).await;
    keep(&scene, &asked, kept(&scene, MINUTE)).await.unwrap();
    let next = async |key| is_cleared(&from(&scene, key, Some("DE"), vec![purge()]).await);
    assert!(next("k2").await);
    scene.run(owned_by(Some(ben))).await.unwrap();
    assert!(!next("k3").await);
    scene.run(owned_by(None)).await.unwrap();
    assert!(!next("k4").await);
    scene.run(owned_by(Some(anna))).await.unwrap();
    assert!(next("k5").await);
    audited(scene).await;
}

/// The key that services gave to the kept answer before keys said whom a question excludes.
fn key_of_before(asked: &Submitted) -> ClearanceKey {
    let operations = operations_of(asked.apply.submission.as_bytes()).unwrap();
    ClearanceKey::of(&KeyParts {
        decision: Decision::Approve,
        agent_id: asked.task.agent_id,
        bound_to: BoundTo::Task(asked.task.id),
        rules: &[SignedRule {
            id: asks().id,
            digest: asks().digest(),
        }],
        edge: &[("country".to_owned(), "DE".to_owned())],
        breadth: Breadth::Exact,
        operations: OperationsDigest::of(&operations, Breadth::Exact).unwrap(),
    })
}

fn give_key(history: &mut History, at: u64, key: ClearanceKey) {
    history.alter(at, |event| {
        if let Event::ClearanceMade(made) = event {
            made.key = key;
        }
    });
}

#[tokio::test]
async fn a_key_that_does_not_say_whom_it_excludes_holds_until_one_has_said_it() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let anna = user(&scene.ledger, "anna", Role::Viewer).await;
    let owned = DescribeAgent {
        agent: AgentName::unchecked(AGENT),
        changes: AgentChanges {
            owner: Some(Some(anna)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    let first = from(&scene, "k1", Some("DE"), vec![purge()]).await;
    keep(&scene, &first, kept(&scene, MINUTE)).await.unwrap();
    assert!(is_cleared(
        &from(&scene, "k2", Some("DE"), vec![purge()]).await
    ));
    let operations = vec![dns_create("a.example.com")];
    let second = from(&scene, "k3", Some("DE"), operations).await;
    keep(&scene, &second, kept(&scene, MINUTE)).await.unwrap();
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    let (of_first, of_second) = (
        history.first("clearance.made"),
        history.last("clearance.made"),
    );
    let report = altered(&history, |history| {
        give_key(history, of_first, key_of_before(&first));
        give_key(history, of_second, key_of_before(&second));
    });
    assert_eq!(report.findings, []);
    let report = altered(&history, |history| {
        give_key(history, of_second, key_of_before(&second));
    });
    is_found(&report, Check::Clearance, of_second);
}

#[tokio::test]
async fn an_approval_is_kept_as_its_rule_offers() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = from(&scene, "k1", Some("DE"), vec![purge()]).await;
    let refused = Err("retention_not_allowed");
    assert_eq!(
        keep(&scene, &asked, kept(&scene, 61 * MINUTE)).await,
        refused
    );
    let for_ever = Retention {
        mode: KeptMode::Permanent,
        until: None,
        binding: Binding::Agent,
        ..kept(&scene, MINUTE)
    };
    assert_eq!(keep(&scene, &asked, for_ever).await, refused);
    // Nothing says that another request comes from the same place.
    let unknown = from(&scene, "k2", None, vec![dns_create("a.example.com")]).await;
    assert_eq!(keep(&scene, &unknown, kept(&scene, MINUTE)).await, refused);
    assert_eq!(
        keep(&scene, &asked, kept(&scene, 60 * MINUTE)).await,
        Ok(())
    );

    let once = Rule {
        retention: BTreeSet::from([RetentionMode::Once]),
        when: always(),
        ..asks()
    };
    let reaches = Rule {
        id: "reaches".parse().unwrap(),
        operations: Some(BTreeSet::from([ledger::OperationId::of("ssl.mode.write")])),
        priority: 900,
        sensitive: true,
        when: always(),
        ..asks()
    };
    put(&scene, 2, Some(policy([once, reaches]))).await;
    let asked = scene.submitted("k3", vec![purge()]).await;
    assert_eq!(keep(&scene, &asked, kept(&scene, MINUTE)).await, refused);
    let asked = scene.submitted("k4", vec![ssl_mode("off")]).await;
    assert_eq!(keep(&scene, &asked, kept(&scene, MINUTE)).await, Ok(()));
    assert!(is_cleared(
        &scene.submitted("k5", vec![ssl_mode("off")]).await
    ));
    audited(scene).await;
}

/// Those who have to answer, and what their rule offers to keep.
async fn kept_by_two() -> (People, GroupId) {
    let people = People::over(Scene::granted().await, ["anna", "ben", "carl"]).await;
    let group = people.group("security", &[0, 1, 2]).await;
    let modes = [
        RetentionMode::Once,
        RetentionMode::Cache,
        RetentionMode::Permanent,
    ];
    let rule = Rule {
        needs: vec![of(group, 2)],
        retention: BTreeSet::from(modes),
        ..asks()
    };
    put(&people.scene, 1, Some(policy([rule]))).await;
    (people, group)
}

async fn signs(
    people: &People,
    who: usize,
    asked: &Submitted,
    choice: Choice,
) -> Result<(), &'static str> {
    let approval = people.approval(asked).await;
    let passkey = &people.passkeys[who];
    let signed = passkey.choose(&people.ledger, &approval, Decision::Approve, None, choice);
    match people.run(signed).await {
        Ok(ruling) => ruling.accepted().map(drop).map_err(|it| it.code()),
        refused => Err(refusal(refused).code()),
    }
}

fn keeping(retention: Retention) -> Choice {
    Choice {
        retention: Some(retention),
        ..Choice::default()
    }
}

#[tokio::test]
async fn what_several_people_of_a_group_keep_is_kept_as_the_narrowest_of_them_says() {
    let (people, group) = kept_by_two().await;
    let asked = from(&people, "k1", Some("DE"), vec![purge()]).await;
    let for_ever = Retention {
        mode: KeptMode::Permanent,
        breadth: Breadth::Scope,
        binding: Binding::Agent,
        until: None,
    };
    let short = kept(&people, MINUTE);
    signs(&people, 0, &asked, keeping(for_ever)).await.unwrap();
    signs(&people, 1, &asked, keeping(short)).await.unwrap();
    assert_eq!(people.approval(&asked).await.kept(), Some(short));
    let cleared = from(&people, "k2", Some("DE"), vec![purge()]).await;
    assert!(is_cleared(&cleared));
    // Each of them has to be able to decide, also later.
    people
        .run(ChangeGroup {
            group_id: group,
            name: None,
            members: Some(vec![people.users[0], people.users[2]]),
            reason: None,
        })
        .await
        .unwrap();
    assert!(!is_cleared(
        &from(&people, "k3", Some("DE"), vec![purge()]).await
    ));
    let stopped = people.run(start(cleared.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
    audited(people.scene).await;
}

#[tokio::test]
async fn nothing_is_kept_where_one_of_several_approves_once_or_too_late() {
    let (people, _) = kept_by_two().await;
    let asked = from(&people, "k1", Some("DE"), vec![purge()]).await;
    let short = kept(&people, MINUTE);
    signs(&people, 0, &asked, keeping(short)).await.unwrap();
    let once = Choice {
        use_until: Some(people.now().plus(2 * MINUTE)),
        ..Choice::default()
    };
    signs(&people, 1, &asked, once).await.unwrap();
    let decided = people.approval(&asked).await;
    assert_eq!(decided.kept(), None);
    assert_eq!(
        decided.continue_until(),
        Some(people.now().plus(2 * MINUTE))
    );
    let asked = from(&people, "k2", Some("DE"), vec![purge()]).await;
    assert!(!is_cleared(&asked));
    let operations = vec![dns_create("a.example.com")];
    let asked = from(&people, "k3", Some("DE"), operations.clone()).await;
    let short = kept(&people, MINUTE);
    signs(&people, 0, &asked, keeping(short)).await.unwrap();
    people.clock.advance(MINUTE);
    let long = kept(&people, 10 * MINUTE);
    signs(&people, 1, &asked, keeping(long)).await.unwrap();
    assert_eq!(people.approval(&asked).await.kept(), None);
    assert!(!is_cleared(
        &from(&people, "k4", Some("DE"), operations).await
    ));
    audited(people.scene).await;
}
