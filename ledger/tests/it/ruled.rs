//! The policy in decisions: what its rules say stands in the place of grants and risk, and is recorded.

use crate::scene::{Scene, end, start, succeeded};
use fixtures::approver::SoftApprover;
use fixtures::commands::{agent, dns_create, purge, ssl_mode, submit};
use fixtures::history::History;
use fixtures::rules::APPROVER;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Apply, ApprovalState};
use ledger::command::{Command, OperationStart, RecordPreState, SubmitApply, Submitted};
use ledger::event::{
    Event, FactValue, OnApproval, PolicyChanged, PolicyDocument, PolicyFormat,
    PreState as PreStateRead,
};
use ledger::policy::{
    Assurance, Comparison, DefaultAction, Edge, Engine, Expr, Fact, Limits, Mode, Need, NeedGroup,
    Policy, PreState, RetentionMode, Rule, RuleAction, TextTest, Value, Window, WindowClock,
};
use ledger::{
    Actor, Decision, Error, OperationId, Origin, PolicyId, Rejection, StreamId, Timestamp,
    Transaction,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

/// Puts a tree in force as a saved document does, or takes the document away.
pub(crate) struct Put(pub(crate) u64, pub(crate) Option<Policy>);

impl Command for Put {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let policy_id = PolicyId::from(tx.context().id::<StreamId>());
        let document = self.1.map(|policy| PolicyDocument {
            digest: policy.digest(),
            format: PolicyFormat::Toml,
            source: "# as lowered".to_owned(),
            tree: policy.into(),
        });
        let changed = PolicyChanged {
            policy_id,
            version: self.0,
            restores: document.is_none().then_some(0),
            overrides: None,
            document,
        };
        let event = tx.context().event(policy_id, changed);
        tx.append(vec![event]).await
    }
}

pub(crate) fn operator() -> Origin {
    let name = "ops".to_owned();
    Origin {
        actor: Actor::Operator { name },
        request_id: None,
    }
}

pub(crate) fn rule(id: &str, action: RuleAction, when: Expr) -> Rule {
    let asks = action == RuleAction::Ask;
    Rule {
        id: id.parse().unwrap(),
        priority: 100,
        action,
        operations: None,
        when,
        reason: format!("because of {id}"),
        mode: Mode::Enforce,
        sensitive: false,
        needs: asks.then(Need::default).into_iter().collect(),
        ttl: 120,
        retention: BTreeSet::from([RetentionMode::Once]),
        max_duration: 3600,
        pre_state: asks.then_some(PreState::Shown),
    }
}

pub(crate) fn always() -> Expr {
    Expr::Literal(Value::Bool(true))
}

fn from(country: &str) -> Expr {
    let (fact, text) = (
        Expr::Fact("country".to_owned()),
        Expr::Literal(Value::Text(country.to_owned())),
    );
    Expr::Compare(Comparison::Equal, Box::new(fact), Box::new(text))
}

pub(crate) fn policy(rules: impl IntoIterator<Item = Rule>) -> Policy {
    Policy {
        engine: Engine::LppCel1,
        default: DefaultAction::Catalog,
        policy_change: None,
        break_glass: None,
        limits: Limits::default(),
        self_approval: false,
        rules: rules.into_iter().collect(),
        windows: BTreeMap::from([(
            "office".to_owned(),
            Window {
                zone: "Europe/Berlin".to_owned(),
                open: BTreeSet::from(["mon 09:00-18:00".to_owned()]),
                except: BTreeSet::new(),
            },
        )]),
    }
}

pub(crate) async fn put(scene: &Scene, version: u64, policy: Option<Policy>) {
    scene
        .execute(operator(), Put(version, policy))
        .await
        .unwrap();
}

fn edge(country: Option<&str>) -> Edge {
    let mut edge = Edge::default();
    if let Some(country) = country {
        edge.say("country", Fact::Known(Value::Text(country.to_owned())));
    }
    edge
}

async fn try_submit(scene: &Scene, command: SubmitApply) -> Result<Submitted, Rejection> {
    let ruling = scene.execute(agent(&scene.token), command).await.unwrap();
    ruling.accepted()
}

/// A scene with one window, which is open as the function says.
async fn scene(
    is_granted: bool,
    is_open: impl Fn(Timestamp) -> bool + Send + Sync + 'static,
) -> Scene {
    let mut setup = Setup::default();
    setup.rules.windows =
        WindowClock::new(move |_, now| BTreeMap::from([("office".to_owned(), is_open(now))]));
    let ledger = TestLedger::with(setup).await;
    let alice = SoftApprover::new(APPROVER);
    ledger.run(alice.registration()).await.unwrap();
    if is_granted {
        ledger.grant_all().await;
    }
    let token = ledger.task().await;
    Scene {
        ledger,
        alice,
        token,
    }
}

async fn audited(scene: Scene) {
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn a_rule_asks_although_a_grant_covers_it_and_allows_without_one() {
    let scene = Scene::granted().await;
    let asks = Rule {
        operations: Some(BTreeSet::from([OperationId::of("cache.purge.execute")])),
        ..rule("purges", RuleAction::Ask, always())
    };
    put(&scene, 1, Some(policy([asks]))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    let question = scene.approval(&asked).await;
    assert_eq!(question.state, ApprovalState::Pending);
    let why = question.policy.as_ref().unwrap();
    assert_eq!(why.rules[0].as_str(), "purges");
    assert_eq!(why.requirement.get().reason, "because of purges");
    assert_eq!(
        question.expires_at,
        scene.now().plus(Duration::from_secs(120))
    );
    let granted = scene
        .submitted("k2", vec![dns_create("a.example.com")])
        .await;
    assert!(granted.apply.authorised && granted.apply.approval_id.is_none());
    scene.decided(&asked, Decision::Approve).await;
    assert!(scene.continued(&asked).await.unwrap().apply.authorised);
    audited(scene).await;

    let scene = Scene::new().await;
    let allows = rule("all", RuleAction::Allow, always());
    put(&scene, 1, Some(policy([allows]))).await;
    let allowed = scene.submitted("k1", vec![purge()]).await;
    assert!(allowed.apply.authorised && allowed.apply.approval_id.is_none());
    let sensitive = scene.submitted("k2", vec![ssl_mode("strict")]).await;
    assert!(!sensitive.apply.authorised);
    audited(scene).await;
}

/// Operations of one kind in one zone differ by what a rule reads of their params alone.
#[tokio::test]
async fn equal_checks_of_an_apply_are_told_apart_by_what_the_rules_read() {
    let name = Expr::Field(Box::new(Expr::Params), "name".to_owned());
    let odd = Expr::Literal(Value::Text("odd".to_owned()));
    let odd = Rule {
        operations: Some(BTreeSet::from([OperationId::of("dns.record.write")])),
        ..rule(
            "odd",
            RuleAction::Ask,
            Expr::Text(TextTest::StartsWith, Box::new(name), Box::new(odd)),
        )
    };
    let purges = Rule {
        operations: Some(BTreeSet::from([OperationId::of("cache.purge.execute")])),
        ..rule("purges", RuleAction::Ask, always())
    };
    let scene = Scene::granted().await;
    let limits = Limits {
        open: 0,
        per_agent: 0,
        per_owner: 0,
        per_operation: 0,
        per_address: 0,
    };
    let policy = Policy {
        limits,
        ..policy([odd, purges])
    };
    put(&scene, 1, Some(policy)).await;
    let kinds = |index: usize| {
        [
            dns_create(&format!("plain{index}.example.com")),
            dns_create(&format!("odd{index}.example.com")),
            purge(),
        ]
    };
    for order in 0..27_usize {
        let operations = (0..3_u32)
            .map(|at| {
                let kind = order / 3_usize.pow(at) % 3;
                kinds(order * 3 + at as usize)[kind].clone()
            })
            .collect();
        scene.submitted(&format!("k{order}"), operations).await;
    }
    audited(scene).await;
}

#[tokio::test]
async fn what_the_policy_denies_is_recorded_with_its_rules_and_leaves_the_key_free() {
    let scene = Scene::granted().await;
    let denies = rule("never", RuleAction::Deny, from("KP"));
    put(&scene, 1, Some(policy([denies]))).await;
    let ask = |country: Option<&str>| SubmitApply {
        edge: edge(country),
        ..submit(&scene.token, "k", vec![purge()])
    };
    let before = scene.size_now();
    for (country, fact) in [
        (Some("KP"), FactValue::Text("KP".to_owned())),
        (None, FactValue::Unknown("not_told".to_owned())),
    ] {
        let refused = try_submit(&scene, ask(country)).await.unwrap_err();
        assert_eq!(refused.code(), "denied_by_policy");
        let told = "the policy denies this by its rule never: because of never";
        assert_eq!(refused.to_string(), told);
        let newest = scene.all().await.pop().unwrap();
        let Event::ApplyRefused(refused) = newest else {
            unreachable!();
        };
        let said = refused.evaluation.unwrap();
        assert_eq!((said.version, said.outcome), (1, RuleAction::Deny));
        assert_eq!(said.facts[0].value, fact);
    }
    let names = scene.names_since(before).await;
    assert_eq!(names, ["apply.refused", "apply.refused"]);
    let accepted = try_submit(&scene, ask(Some("DE"))).await.unwrap();
    assert!(accepted.apply.authorised);
    let again = try_submit(&scene, ask(Some("KP"))).await.unwrap();
    assert_eq!((again.is_new, again.apply.id), (false, accepted.apply.id));
    audited(scene).await;
}

#[tokio::test]
async fn without_a_document_nothing_is_evaluated_or_recorded() {
    let scene = Scene::granted().await;
    let first = scene.submitted("k1", vec![purge()]).await;
    assert_eq!(first.apply.evaluation, None);
    put(
        &scene,
        1,
        Some(policy([rule("no", RuleAction::Deny, always())])),
    )
    .await;
    let denied = submit(&scene.token, "k2", vec![purge()]);
    assert!(try_submit(&scene, denied).await.is_err());
    put(&scene, 2, None).await;
    let after = scene.submitted("k2", vec![purge()]).await;
    assert_eq!(after.apply.evaluation, None);
    assert!(after.apply.authorised);
    audited(scene).await;
}

/// Tightened between approve and execute, and between two operations.
#[tokio::test]
async fn what_was_approved_or_runs_is_held_to_the_policy_of_its_moment() {
    let scene = Scene::granted().await;
    let approved = scene.approved("k1").await;
    let running = scene
        .submitted(
            "k2",
            vec![dns_create("a.example.com"), dns_create("b.example.com")],
        )
        .await;
    scene.run(start(running.apply.id, 0)).await.unwrap();
    let denies = rule("freeze", RuleAction::Deny, always());
    put(&scene, 1, Some(policy([denies]))).await;
    let refused = scene.continued(&approved).await.unwrap_err();
    assert_eq!(refused.code(), "denied_by_policy");
    let question = scene.approval(&approved).await;
    assert_eq!(question.state, ApprovalState::Cancelled);
    scene
        .run(end(running.apply.id, 0, succeeded()))
        .await
        .unwrap();
    let stopped = scene.run(start(running.apply.id, 1)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
    let stopped = scene
        .load::<Apply>(running.apply.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(stopped.stopped.as_deref(), Some("policy"));
    audited(scene).await;
}

#[tokio::test]
async fn an_answer_that_is_enough_for_todays_policy_goes_on() {
    let scene = Scene::granted().await;
    let approved = scene.approved("k1").await;
    let granted = scene
        .submitted("k2", vec![dns_create("a.example.com")])
        .await;
    let asks = rule("ask", RuleAction::Ask, always());
    put(&scene, 1, Some(policy([asks.clone()]))).await;
    assert!(scene.continued(&approved).await.unwrap().apply.authorised);
    let go = scene.run(start(approved.apply.id, 0)).await.unwrap();
    assert_eq!(go, OperationStart::Go);
    // What was granted has no question that could be asked anew.
    let stopped = scene.run(start(granted.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);

    let asked = scene.submitted("k3", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    let stricter = Need {
        assurance: Assurance::Passkey,
        group: NeedGroup::Default,
        n: 1,
    };
    let passkey = Rule {
        needs: vec![stricter],
        ..asks
    };
    put(&scene, 2, Some(policy([passkey]))).await;
    let before = scene.size_now();
    let anew = scene.continued(&asked).await.unwrap();
    let names = scene.names_since(before).await;
    assert_eq!(
        names,
        [
            "approval.cancelled",
            "approval.requested",
            "apply.asked_anew"
        ]
    );
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Cancelled);
    let question = scene.approval(&anew).await;
    assert_eq!(question.state, ApprovalState::Pending);
    assert_eq!(anew.apply.id, asked.apply.id);
    assert_eq!(anew.apply.replaces, Some(asked.approval.unwrap().id));
    let needs = &question.policy.as_ref().unwrap().requirement.get().needs;
    assert_eq!(needs[0].assurance, Assurance::Passkey);
    audited(scene).await;
}

/// The question of the day goes on under the key and with the token of the one that it replaces.
#[tokio::test]
async fn what_is_asked_anew_goes_on_once_it_is_approved() {
    let scene = Scene::granted().await;
    let asks = rule("ask", RuleAction::Ask, always());
    put(&scene, 1, Some(policy([asks.clone()]))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    let beside = scene.submitted("k2", vec![purge()]).await;
    assert_eq!(asked.apply.approval_id, beside.apply.approval_id);
    scene.decided(&asked, Decision::Approve).await;
    let passkey = Rule {
        needs: vec![Need {
            group: NeedGroup::Default,
            n: 1,
            assurance: Assurance::Passkey,
        }],
        ..asks
    };
    put(&scene, 2, Some(policy([passkey]))).await;
    let anew = scene.continued(&asked).await.unwrap();
    assert!(!anew.apply.authorised);
    // The other one waits for the same question, which is not asked twice.
    let other = scene.continued(&beside).await.unwrap();
    assert_eq!(other.apply.approval_id, anew.apply.approval_id);
    assert_eq!(other.apply.replaces, asked.apply.approval_id);
    let again = scene.continued(&asked).await.unwrap();
    assert_eq!(again.apply.approval_id, anew.apply.approval_id);
    scene.decided(&anew, Decision::Approve).await;
    assert!(scene.continued(&asked).await.unwrap().apply.authorised);
    audited(scene).await;
}

/// Asking anew is no way round a lock, a block or a limit.
#[tokio::test]
async fn what_is_asked_anew_is_held_to_the_limits() {
    let scene = Scene::granted().await;
    let asks = rule("ask", RuleAction::Ask, always());
    put(&scene, 1, Some(policy([asks.clone()]))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    let other = dns_create("a.example.com");
    scene.submitted("k2", vec![other]).await;
    let stricter = Need {
        assurance: Assurance::Passkey,
        group: NeedGroup::Default,
        n: 1,
    };
    let mut limited = policy([Rule {
        needs: vec![stricter],
        ..asks
    }]);
    limited.limits.open = 1;
    put(&scene, 2, Some(limited)).await;
    let refused = scene.continued(&asked).await.unwrap_err();
    assert_eq!(refused.code(), "too_many_questions");
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Cancelled);
    audited(scene).await;
}

/// Business hours are looked at again when what was approved is continued, and before it is sent.
#[tokio::test]
async fn a_window_that_has_closed_since_is_seen_at_continue_and_before_an_operation() {
    let is_open = Arc::new(AtomicBool::new(true));
    let seen = Arc::clone(&is_open);
    let scene = scene(false, move |_| seen.load(Relaxed)).await;
    let closed = Expr::Not(Box::new(Expr::Fact("window.office".to_owned())));
    let rules = [
        rule("closed", RuleAction::Deny, closed),
        rule("ask", RuleAction::Ask, always()),
    ];
    put(&scene, 1, Some(policy(rules))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    let in_time = scene.submitted("k2", vec![ssl_mode("strict")]).await;
    scene.decided(&asked, Decision::Approve).await;
    scene.decided(&in_time, Decision::Approve).await;
    scene.continued(&in_time).await.unwrap();
    is_open.store(false, Relaxed);
    let late = scene.continued(&asked).await.unwrap_err();
    assert_eq!(late.code(), "denied_by_policy");
    let stopped = scene.run(start(in_time.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
    audited(scene).await;
}

#[tokio::test]
async fn what_is_carried_out_with_its_decision_is_held_to_the_policy_of_that_moment() {
    let scene = Scene::granted().await;
    let ask = SubmitApply {
        on_approval: OnApproval::Execute,
        ..submit(&scene.token, "k", vec![ssl_mode("strict")])
    };
    let asked = try_submit(&scene, ask).await.unwrap();
    put(
        &scene,
        1,
        Some(policy([rule("no", RuleAction::Deny, always())])),
    )
    .await;
    scene.decided(&asked, Decision::Approve).await;
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Cancelled);
    let apply = scene.load::<Apply>(asked.apply.id).await.unwrap().unwrap();
    assert!(!apply.authorised);
    audited(scene).await;
}

#[tokio::test]
async fn a_question_is_shared_only_where_its_answer_is_enough() {
    let scene = Scene::granted().await;
    put(
        &scene,
        1,
        Some(policy([rule("ask", RuleAction::Ask, always())])),
    )
    .await;
    let first = scene.submitted("k1", vec![purge()]).await;
    let second = scene.submitted("k2", vec![purge()]).await;
    assert_eq!(first.apply.approval_id, second.apply.approval_id);
    let shorter = Rule {
        ttl: 60,
        ..rule("ask", RuleAction::Ask, always())
    };
    put(&scene, 2, Some(policy([shorter]))).await;
    let third = scene.submitted("k3", vec![purge()]).await;
    assert_ne!(first.apply.approval_id, third.apply.approval_id);
    audited(scene).await;
}

/// Numbers that look random and are the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())].clone()
    }

    fn rule(&mut self, id: usize) -> Rule {
        let type_of = Expr::Field(Box::new(Expr::Params), "type".to_owned());
        let is_a = Expr::Compare(
            Comparison::Equal,
            Box::new(type_of),
            Box::new(Expr::Literal(Value::Text("A".to_owned()))),
        );
        let when = self.pick(&[
            always(),
            from("KP"),
            Expr::Not(Box::new(from("DE"))),
            Expr::Fact("window.office".to_owned()),
            Expr::Or(vec![from("DE"), Expr::Fact("window.office".to_owned())]),
            is_a,
        ]);
        let action = self.pick(&[RuleAction::Allow, RuleAction::Ask, RuleAction::Deny]);
        Rule {
            priority: u32::try_from(self.roll(3)).unwrap(),
            operations: Some(BTreeSet::from([
                OperationId::of("dns.record.write"),
                self.pick(&[
                    OperationId::of("cache.purge.execute"),
                    OperationId::of("ssl.mode.write"),
                ]),
            ])),
            sensitive: self.roll(2) == 0,
            mode: self.pick(&[Mode::Enforce, Mode::Enforce, Mode::Observe]),
            ttl: self.pick(&[60, 120]),
            ..rule(&format!("r{id}"), action, when)
        }
    }

    fn policy(&mut self) -> Policy {
        let rules: Vec<_> = (0..self.roll(5)).map(|id| self.rule(id)).collect();
        policy(rules)
    }

    fn edge(&mut self) -> Edge {
        edge(self.pick(&[None, Some("DE"), Some("KP")]))
    }
}

/// How many ledgers are written from a seed each, with some 19 applies: `RULED_SEEDS`.
#[expect(
    clippy::disallowed_methods,
    reason = "configures a test, not the service"
)]
fn seeds() -> u64 {
    std::env::var("RULED_SEEDS").map_or(12, |text| text.parse().unwrap())
}

/// What the auditor evaluates again is what the writer recorded, whatever the policy and the facts.
#[tokio::test]
async fn the_auditor_comes_to_what_was_recorded_whatever_the_policy_and_the_facts() {
    let mut seen = BTreeSet::new();
    let mut applies = 0;
    for seed in 0..seeds() {
        let mut dice = Dice(seed);
        let is_open = |now: Timestamp| now.as_seconds() % 3 == 0;
        let scene = scene(dice.roll(2) == 0, is_open).await;
        let mut version = 0;
        for step in 0..25 {
            if dice.roll(4) == 0 {
                version += 1;
                put(&scene, version, Some(dice.policy())).await;
                continue;
            }
            scene.clock.advance(Duration::from_secs(1));
            let operations = dice.pick(&[
                vec![purge()],
                vec![ssl_mode("strict")],
                vec![dns_create("a.example.com")],
                vec![dns_create("a.example.com"), purge(), ssl_mode("off")],
            ]);
            let ask = SubmitApply {
                edge: dice.edge(),
                ..submit(&scene.token, &format!("k{step}"), operations)
            };
            applies += 1;
            let Ok(asked) = try_submit(&scene, ask).await else {
                seen.insert("denied");
                continue;
            };
            if asked.approval.is_none() {
                seen.insert("allowed");
                scene.run(start(asked.apply.id, 0)).await.unwrap();
                continue;
            }
            seen.insert("asked");
            let question = scene.approval(&asked).await;
            if question.state != ApprovalState::Pending {
                continue;
            }
            if question.waits_for_pre_state() {
                let read = RecordPreState {
                    approval_id: question.id,
                    operations: vec![PreStateRead::NotApplicable; asked.apply.operations.len()],
                    zones: Vec::new(),
                };
                scene.run(read).await.unwrap();
            }
            let read = Submitted {
                approval: Some(scene.approval(&asked).await),
                ..asked.clone()
            };
            scene.decided(&read, Decision::Approve).await;
            if dice.roll(3) == 0 {
                version += 1;
                put(&scene, version, Some(dice.policy())).await;
            }
            scene.clock.advance(Duration::from_secs(1));
            seen.insert(match scene.continued(&asked).await {
                Ok(_) => "continued",
                Err(_) => "ended",
            });
        }
        audited(scene).await;
    }
    let all = ["allowed", "asked", "continued", "denied", "ended"];
    assert_eq!(seen, BTreeSet::from(all));
    println!(
        "{applies} applies were evaluated again, from {} seeds",
        seeds()
    );
}
