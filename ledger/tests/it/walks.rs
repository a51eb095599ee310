//! Random walks over commands, clocks, failing commits and restarts: after each, log, memory and
//! lookup tables must say the same.

use crate::consistency;
use crate::scene::{Scene, end, failed, start, succeeded, unknown};
use fixtures::commands::{
    AGENT, callback, continue_apply, create_key, create_template, dns_create, grant_all, open_task,
    presented, presented_key, purge, ssl_mode, submit,
};
use fixtures::faults::{FULL, Faults};
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Approval, Delivery, Key, Task};
use ledger::command::{
    CloseTask, ContinueApply, CreateTemplate, DeleteTemplate, EndAttempt, EndClearance,
    ExpireApproval, IssuedToken, NarrowApproval, RenewToken, ResolveApply, RetryDelivery,
    RevokeKey, Ruling, StartAttempt, SubmitApply, Submitted,
};
use ledger::event::{AttemptOutcome, OnApproval};
use ledger::operation::Operation;
use ledger::{
    AgentName, ApproverName, Binding, Breadth, CommitPoint, Decision, DeliveryId, Error, Event,
    KeptMode, ReadError, Retention, TemplateName, Timestamp,
};
use proptest::prelude::*;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        key: u8,
        operations: u8,
        at_once: bool,
    },
    SubmitWithCallback {
        key: u8,
        operations: u8,
    },
    Decide {
        apply: usize,
        approve: bool,
        /// For the agent or its task, with any params or the same.
        keep: Option<(bool, bool)>,
    },
    EndClearance,
    Continue {
        apply: usize,
    },
    ContinueTogether {
        one: usize,
        two: usize,
    },
    Expire {
        apply: usize,
    },
    Narrow,
    Start {
        apply: usize,
        index: usize,
    },
    End {
        apply: usize,
        index: usize,
        outcome: u8,
    },
    Resolve {
        apply: usize,
        executed: bool,
    },
    Attempt {
        delivery: usize,
    },
    EndAttempt {
        delivery: usize,
        delivered: bool,
    },
    Retry {
        delivery: usize,
    },
    Renew,
    Grant,
    Close,
    MakeKey {
        number: u8,
    },
    RevokeKey {
        key: usize,
    },
    Template {
        needs_approval: bool,
    },
    OpenTask {
        key: usize,
    },
    SubmitByKey {
        key: usize,
        name: u8,
        operations: u8,
        at_once: bool,
    },
    ContinueByKey {
        apply: usize,
    },
    Advance {
        seconds: u16,
    },
    Fail {
        point: u8,
    },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let apply = || 0..6_usize;
    prop_oneof![
        6 => (0..5_u8, 0..4_u8, any::<bool>())
            .prop_map(|(key, operations, at_once)| Step::Submit { key, operations, at_once }),
        1 => (0..5_u8, 0..4_u8)
            .prop_map(|(key, operations)| Step::SubmitWithCallback { key, operations }),
        5 => (apply(), any::<bool>(), any::<Option<(bool, bool)>>())
            .prop_map(|(apply, approve, keep)| Step::Decide { apply, approve, keep }),
        1 => Just(Step::EndClearance),
        4 => apply().prop_map(|apply| Step::Continue { apply }),
        2 => (apply(), apply()).prop_map(|(one, two)| Step::ContinueTogether { one, two }),
        1 => apply().prop_map(|apply| Step::Expire { apply }),
        1 => Just(Step::Narrow),
        6 => (apply(), 0..2_usize).prop_map(|(apply, index)| Step::Start { apply, index }),
        6 => (apply(), 0..2_usize, 0..3_u8)
            .prop_map(|(apply, index, outcome)| Step::End { apply, index, outcome }),
        1 => (apply(), any::<bool>()).prop_map(|(apply, executed)| Step::Resolve { apply, executed }),
        3 => apply().prop_map(|delivery| Step::Attempt { delivery }),
        3 => (apply(), any::<bool>())
            .prop_map(|(delivery, delivered)| Step::EndAttempt { delivery, delivered }),
        1 => apply().prop_map(|delivery| Step::Retry { delivery }),
        2 => Just(Step::Renew),
        1 => Just(Step::Grant),
        1 => Just(Step::Close),
        2 => (0..3_u8).prop_map(|number| Step::MakeKey { number }),
        1 => (0..3_usize).prop_map(|key| Step::RevokeKey { key }),
        2 => any::<bool>().prop_map(|needs_approval| Step::Template { needs_approval }),
        3 => (0..3_usize).prop_map(|key| Step::OpenTask { key }),
        4 => (0..3_usize, 0..5_u8, 0..4_u8, any::<bool>()).prop_map(
            |(key, name, operations, at_once)| Step::SubmitByKey { key, name, operations, at_once }
        ),
        2 => apply().prop_map(|apply| Step::ContinueByKey { apply }),
        3 => (0..90_u16).prop_map(|seconds| Step::Advance { seconds }),
        2 => (0..3_u8).prop_map(|point| Step::Fail { point }),
        1 => Just(Step::Restart),
    ]
}

fn on_approval(at_once: bool) -> OnApproval {
    match at_once {
        true => OnApproval::Execute,
        false => OnApproval::Wait,
    }
}

fn operations(number: u8) -> Vec<Operation> {
    match number {
        0 => vec![ssl_mode("strict")],
        1 => vec![ssl_mode("off"), purge()],
        2 => vec![purge()],
        _ => vec![dns_create("a.example.com"), dns_create("b.example.com")],
    }
}

struct Walk {
    scene: Scene,
    faults: Arc<Faults>,
    token: IssuedToken,
    applies: Vec<Submitted>,
    /// Keys of the agent, and the task that was opened last with one of them.
    keys: Vec<Arc<Key>>,
    opened: Option<Arc<Task>>,
}

impl Walk {
    async fn new() -> Self {
        let faults = Arc::new(Faults::default());
        let rules = TestRules {
            approval_ttl: Duration::from_secs(60),
            callback_max_attempts: 2,
            notifiers: vec![ledger::Notifier::Slack],
            ..TestRules::default()
        };
        let scene = Scene::with(Setup {
            rules: rules.build(),
            faults: Some(Arc::clone(&faults) as _),
            ..Setup::default()
        })
        .await;
        let token = scene.token.clone();
        Self {
            scene,
            faults,
            token,
            applies: Vec::new(),
            keys: Vec::new(),
            opened: None,
        }
    }

    async fn submit(&mut self, command: SubmitApply) {
        if let Some(Ruling::Accepted(submitted)) = answer(self.scene.run(command).await)
            && submitted.is_new
        {
            self.applies.push(submitted);
        }
    }

    async fn delivery(&self, number: usize) -> Option<DeliveryId> {
        let owed = self
            .scene
            .all()
            .await
            .into_iter()
            .filter_map(|event| match event {
                Event::DeliveryOwed(owed) => Some(owed.delivery_id),
                _ => None,
            });
        owed.into_iter().nth(number)
    }

    async fn take(mut self, step: Step) -> Self {
        let scene = &self.scene;
        let applies = self.applies.clone();
        match step {
            Step::Submit {
                key,
                operations: n,
                at_once,
            } => {
                let command = SubmitApply {
                    on_approval: on_approval(at_once),
                    ..submit(&self.token, &format!("k{key}"), operations(n))
                };
                self.submit(command).await;
            }
            Step::SubmitWithCallback { key, operations: n } => {
                let command = SubmitApply {
                    callback: Some(callback(9, "secret")),
                    ..submit(&self.token, &format!("k{key}"), operations(n))
                };
                self.submit(command).await;
            }
            Step::Decide {
                apply,
                approve,
                keep,
            } => {
                let Some(id) = applies.get(apply).and_then(|a| a.apply.approval_id) else {
                    return self;
                };
                let approval = scene.load::<Approval>(id).await.unwrap().unwrap();
                let decision = if approve {
                    Decision::Approve
                } else {
                    Decision::Deny
                };
                let command = match keep {
                    None => scene.alice.decide(&scene.ledger, &approval, decision, None),
                    Some((agent, scope)) => {
                        let retention = Retention {
                            mode: KeptMode::Cache,
                            breadth: if scope {
                                Breadth::Scope
                            } else {
                                Breadth::Exact
                            },
                            binding: if agent { Binding::Agent } else { Binding::Task },
                            until: Some(scene.now().plus(Duration::from_secs(120))),
                        };
                        let (ledger, alice) = (&scene.ledger, &scene.alice);
                        alice.keep(ledger, &approval, decision, retention)
                    }
                };
                answer(scene.run(command).await);
            }
            Step::EndClearance => {
                let cleared = applies.iter().rev().find_map(|a| a.apply.clearance_id);
                if let Some(clearance_id) = cleared {
                    answer(scene.run(EndClearance { clearance_id }).await);
                }
            }
            Step::Continue { apply } => {
                if let Some(asked) = applies.get(apply).filter(|a| a.approval.is_some()) {
                    answer(scene.run(continue_apply(&self.token, asked)).await);
                }
            }
            Step::ContinueTogether { one, two } => {
                let waiting = |n: usize| applies.get(n).filter(|a| a.approval.is_some());
                if let (Some(one), Some(two)) = (waiting(one), waiting(two)) {
                    let (one, two) = tokio::join!(
                        scene.run(continue_apply(&self.token, one)),
                        scene.run(continue_apply(&self.token, two))
                    );
                    answer(one);
                    answer(two);
                }
            }
            Step::Expire { apply } => {
                if let Some(id) = applies.get(apply).and_then(|a| a.apply.approval_id) {
                    answer(scene.run(ExpireApproval { approval_id: id }).await);
                }
            }
            Step::Narrow => {
                let token = presented(&self.token).into();
                let principal = Some(ApproverName::unchecked("default"));
                answer(scene.run(NarrowApproval { token, principal }).await);
            }
            Step::Start { apply, index } => {
                if let Some(apply) = applies.get(apply) {
                    answer(scene.run(start(apply.apply.id, index)).await);
                }
            }
            Step::End {
                apply,
                index,
                outcome,
            } => {
                let outcome = match outcome {
                    0 => succeeded(),
                    1 => failed(),
                    _ => unknown(),
                };
                if let Some(apply) = applies.get(apply) {
                    answer(scene.run(end(apply.apply.id, index, outcome)).await);
                }
            }
            Step::Resolve { apply, executed } => {
                if let Some(apply) = applies.get(apply) {
                    let command = ResolveApply {
                        apply_id: apply.apply.id,
                        executed,
                        reason: "looked".to_owned(),
                    };
                    answer(scene.run(command).await);
                }
            }
            Step::Attempt { delivery } => {
                if let Some(delivery_id) = self.delivery(delivery).await {
                    answer(scene.run(StartAttempt { delivery_id }).await);
                }
            }
            Step::EndAttempt {
                delivery,
                delivered,
            } => {
                if let Some(delivery_id) = self.delivery(delivery).await {
                    let state = scene.load::<Delivery>(delivery_id).await.unwrap().unwrap();
                    let outcome = if delivered {
                        AttemptOutcome::Delivered { http_status: 200 }
                    } else {
                        AttemptOutcome::Interrupted
                    };
                    let command = EndAttempt {
                        delivery_id,
                        attempt: state.attempts,
                        outcome,
                        retry_at: Timestamp::default(),
                        duration: Duration::ZERO,
                    };
                    answer(scene.run(command).await);
                }
            }
            Step::Retry { delivery } => {
                if let Some(delivery_id) = self.delivery(delivery).await {
                    let reason = None;
                    answer(
                        scene
                            .run(RetryDelivery {
                                delivery_id,
                                reason,
                            })
                            .await,
                    );
                }
            }
            Step::Renew => {
                let token = presented(&self.token);
                if let Some(renewed) = answer(scene.run(RenewToken { token }).await) {
                    self.token = renewed;
                }
            }
            Step::Grant => {
                answer(scene.run(grant_all()).await);
            }
            Step::Close => {
                let command = CloseTask {
                    task_id: self.token.task.id,
                    token: None,
                    reason: None,
                };
                answer(scene.run(command).await);
                if let Some(token) = answer(scene.run(fixtures::commands::create_task()).await) {
                    self.token = token;
                }
            }
            Step::MakeKey { number } => {
                // The key that it would be again stays as it is.
                if usize::from(number) >= self.keys.len() {
                    let text = format!("cak_{}", scene.size_now());
                    self.keys.extend(answer(scene.run(create_key(&text)).await));
                }
            }
            Step::RevokeKey { key } => {
                if let Some(key) = self.keys.get(key) {
                    let command = RevokeKey {
                        agent: AgentName::unchecked(AGENT),
                        key_id: key.id,
                        reason: None,
                    };
                    answer(scene.run(command).await);
                }
            }
            Step::Template { needs_approval } => {
                let name = TemplateName::unchecked("deploy");
                answer(scene.run(DeleteTemplate { name }).await);
                let template = CreateTemplate {
                    needs_approval,
                    expires_in: Duration::from_secs(120),
                    ..create_template("deploy")
                };
                answer(scene.run(template).await);
            }
            Step::OpenTask { key } => {
                if let Some(key) = self.keys.get(key)
                    && let Some(task) = answer(scene.run(open_task(key, "deploy")).await)
                {
                    self.opened = Some(task);
                }
            }
            Step::SubmitByKey {
                key,
                name,
                operations: n,
                at_once,
            } => {
                if let (Some(key), Some(task)) = (self.keys.get(key), &self.opened) {
                    let command = SubmitApply {
                        token: presented_key(key, task).into(),
                        on_approval: on_approval(at_once),
                        ..submit(&self.token, &format!("k{name}"), operations(n))
                    };
                    self.submit(command).await;
                }
            }
            Step::ContinueByKey { apply } => {
                let asked = applies.get(apply).filter(|a| a.approval.is_some());
                if let (Some(key), Some(asked)) = (self.keys.first(), asked) {
                    let command = ContinueApply {
                        edge: ledger::policy::Edge::default(),
                        token: presented_key(key, &asked.task).into(),
                        ..continue_apply(&self.token, asked)
                    };
                    answer(scene.run(command).await);
                }
            }
            Step::Advance { seconds } => {
                scene.clock.advance(Duration::from_secs(u64::from(seconds)));
            }
            Step::Fail { point } => {
                let point = match point {
                    0 => CommitPoint::Write,
                    1 => CommitPoint::Commit,
                    _ => CommitPoint::Committed,
                };
                self.faults.plan(point, FULL);
            }
            Step::Restart => {
                let Scene {
                    ledger,
                    alice,
                    token,
                } = self.scene;
                let ledger: TestLedger = ledger.restart().await;
                self.scene = Scene {
                    ledger,
                    alice,
                    token,
                };
            }
        }
        self
    }
}

/// Refused and lost commands are part of a walk; anything else that goes wrong is not.
fn answer<T: std::fmt::Debug>(answer: Result<T, Error>) -> Option<T> {
    match answer {
        Ok(answer) => Some(answer),
        Err(Error::Rejected(_) | Error::NotRecorded) => None,
        Err(other) => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn log_memory_and_lookups_say_the_same_after_any_walk(
        steps in prop::collection::vec(step(), 1..60)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut walk = Walk::new().await;
            for step in steps {
                walk = walk.take(step).await;
            }
            consistency::check(&walk.scene.ledger).await;
            let ledger = walk.scene.ledger.restart().await;
            consistency::check(&ledger).await;
        });
    }
}

#[tokio::test]
async fn lookups_that_do_not_follow_from_the_events_are_found() {
    for (sql, expected, says) in [
        (
            "DELETE FROM lookups WHERE kind = 5",
            "lookups",
            "there should be ",
        ),
        (
            "INSERT INTO lookups VALUES (1, x'00', x'00')",
            "lookups",
            "there should not be ",
        ),
        (
            "UPDATE lookups SET value = randomblob(16) WHERE kind = 6",
            "lookups",
            "there should be ",
        ),
        (
            "DELETE FROM open_streams",
            "open_streams",
            "there should be ",
        ),
    ] {
        let scene = Scene::new().await;
        scene.asked("k").await;
        scene.file().await.verify_lookups().await.unwrap();
        let mut connection = crate::store::foreign(scene.path()).await;
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        match scene.file().await.verify_lookups().await {
            Err(ReadError::LookupsDiffer { table, what }) => {
                assert_eq!(table, expected);
                assert!(what.starts_with(says), "{what}");
            }
            other => panic!("{sql}: {other:?}"),
        }
    }
}
