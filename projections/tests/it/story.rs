//! Stories: random commands against a real ledger, so that folds meet the events that happen.

use crate::acts::pick;
use crate::people::People;
use crate::step::Step;
use fixtures::approver::SoftApprover;
use fixtures::clock::TestClock;
use fixtures::random::SeededRandom;
use fixtures::rules::TestRules;
use fixtures::test_ledger::{Setup, TestLedger};
use ledger::aggregate::{Apply, Delivery, DeliveryState, Key, Task};
use ledger::command::{Command, IssuedToken, Submitted};
use ledger::{ApplyId, ApprovalId, ApproverName, DeliveryId, Event, Origin};
use std::sync::Arc;
use std::time::Duration;

/// The principals who may decide in stories.
pub(crate) const APPROVERS: [&str; 2] = ["alice", "bob"];

/// A ledger to which steps happen.
pub(crate) struct Story {
    pub(crate) ledger: TestLedger,
    pub(crate) approvers: Vec<SoftApprover>,
    pub(crate) tasks: Vec<IssuedToken>,
    pub(crate) submitted: Vec<Submitted>,
    /// Keys of the agent, and tasks that were opened with them.
    pub(crate) keys: Vec<Arc<Key>>,
    pub(crate) opened: Vec<Arc<Task>>,
    applies: Vec<ApplyId>,
    pub(crate) approvals: Vec<ApprovalId>,
    deliveries: Vec<DeliveryId>,
    pub(crate) people: People,
    seen: u64,
}

impl Story {
    /// A ledger with two approvers, each with a passkey, and one task.
    pub(crate) async fn begin() -> Self {
        let rules = TestRules {
            approvers: APPROVERS.map(ApproverName::unchecked).to_vec(),
            callback_max_attempts: 2,
            ..TestRules::default()
        };
        let setup = Setup {
            rules: rules.build(),
            clock: TestClock::default(),
            random: Arc::new(SeededRandom::new(5)),
            ..Setup::default()
        };
        let mut story = Self {
            ledger: TestLedger::with(setup).await,
            approvers: APPROVERS.map(SoftApprover::new).into(),
            tasks: Vec::new(),
            submitted: Vec::new(),
            keys: Vec::new(),
            opened: Vec::new(),
            applies: Vec::new(),
            approvals: Vec::new(),
            deliveries: Vec::new(),
            people: People::default(),
            seen: 0,
        };
        for registration in story.approvers.iter().map(SoftApprover::registration) {
            story.ledger.run(registration).await.unwrap();
        }
        story
            .happen(&Step::CreateTask {
                with_callback: true,
            })
            .await;
        story
    }

    /// Lets a step happen, or be refused.
    pub(crate) async fn happen(&mut self, step: &Step) {
        self.act(step).await;
        self.look().await;
    }

    /// Runs a command; refusals are part of the story.
    pub(crate) async fn run<C: Command>(&self, origin: Origin, command: C) -> Option<C::Answer> {
        match self.ledger.execute(origin, command).await {
            Ok(answer) => Some(answer),
            Err(ledger::Error::Rejected(_)) => None,
            Err(error) => panic!("the ledger failed: {error}"),
        }
    }

    async fn act(&mut self, step: &Step) {
        match step {
            Step::Submit { .. }
            | Step::Continue { .. }
            | Step::Renew { .. }
            | Step::Hammer { .. }
            | Step::CreateTask { .. } => {
                self.act_as_agent(step).await;
            }
            Step::StartOperation { .. }
            | Step::EndOperation { .. }
            | Step::StartAttempt { .. }
            | Step::EndAttempt { .. }
            | Step::ReadPreState { .. }
            | Step::Expire { .. } => self.act_as_worker(step).await,
            Step::WithKey(step) => self.act_with_keys(step).await,
            Step::People { act, which } => self.act_on_people(*act, *which).await,
            Step::Wait { seconds } => self.ledger.clock.advance(Duration::from_secs(*seconds)),
            _ => self.act_as_person(step).await,
        }
    }

    pub(crate) async fn pick_apply(
        &self,
        which: usize,
        fits: impl Fn(&Apply) -> bool,
    ) -> Option<Arc<Apply>> {
        let mut fitting = Vec::new();
        for id in &self.applies {
            let apply = self.ledger.load::<Apply>(*id).await.unwrap();
            fitting.extend(apply.filter(|apply| fits(apply)));
        }
        pick(&fitting, which).cloned()
    }

    /// The next operation of a running apply.
    pub(crate) async fn pick_operation(&self, which: usize) -> Option<(ApplyId, usize)> {
        let apply = self.pick_apply(which, Apply::is_running).await?;
        Some((apply.id, apply.next_operation()?))
    }

    pub(crate) async fn pick_delivery(
        &self,
        which: usize,
        fits: impl Fn(DeliveryState) -> bool,
    ) -> Option<Arc<Delivery>> {
        let mut fitting = Vec::new();
        for id in &self.deliveries {
            let delivery = self.ledger.load::<Delivery>(*id).await.unwrap();
            fitting.extend(delivery.filter(|delivery| fits(delivery.state)));
        }
        pick(&fitting, which).cloned()
    }

    /// Takes note of what the step has made.
    async fn look(&mut self) {
        let events = self.ledger.events_from(self.seen, 10_000).await.unwrap();
        for recorded in events {
            self.seen = recorded.position() + 1;
            match &recorded.event {
                Event::ApplyAccepted(accepted) => self.applies.push(accepted.apply_id),
                Event::ApprovalRequested(requested) => self.approvals.push(requested.approval_id),
                Event::ApprovalAsked(asked) => self.approvals.push(asked.approval_id),
                Event::DeliveryOwed(owed) => self.deliveries.push(owed.delivery_id),
                _ => {}
            }
        }
    }
}
