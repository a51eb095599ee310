//! One small piece of work, done step by step and taken up again where it was left, and what its clients
//! were told.

use fixtures::approver::SoftApprover;
use fixtures::caller::Reply;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{Service, Task, deployment, purge};
use ledger::Recorded;
use std::time::Duration;

/// Between two tries of a client.
const PAUSE: Duration = Duration::from_millis(20);

/// What is reported to the orchestrator of the work: pending, approved, and the ends of two applies.
const OWED: usize = 4;

/// The size of a body that takes more than SQLite's log of the ledger may hold, which is then copied.
const HEAVY: usize = 4_500_000;

/// What clients were told, for good.
pub(super) struct Told {
    alice: SoftApprover,
    granted: bool,
    registered: bool,
    task: Option<Task>,
    applied: Option<Reply>,
    asked: Option<Reply>,
    decided: bool,
    continued: Option<Reply>,
    /// A large submission that waits for an approval, where the course has one.
    heavy: Option<Reply>,
    is_heavy: bool,
    /// Tasks that may or may not have come about: whoever asked got no answer that says.
    pub(super) doubtful_tasks: usize,
}

/// How a client's question ended.
enum Answer {
    /// With an answer that counts.
    Given(Reply),
    /// There is nobody to ask, or nobody who will answer.
    Never,
}

/// Where a disturbed life begins and what is done in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// From an empty folder to the end of the work.
    First,
    /// On what a process left that was killed with half of the work done.
    Again,
    /// From an empty folder, with bodies so large that SQLite copies its logs into the files.
    Heavy,
}

/// Whether a failure passes, so that whoever asks again will be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlook {
    Passes,
    Stays,
}

impl Told {
    pub(super) fn nothing(course: Course) -> Self {
        Self {
            alice: SoftApprover::new("alice"),
            granted: false,
            registered: false,
            task: None,
            applied: None,
            asked: None,
            decided: false,
            continued: None,
            heavy: None,
            is_heavy: course == Course::Heavy,
            doubtful_tasks: 0,
        }
    }

    /// Does what is not done yet, up to the first step that gets no answer; whether all is done.
    pub(super) async fn go_on(&mut self, service: &mut Service, outlook: Outlook) -> bool {
        self.go_on_to_apply(service, outlook).await
            && self.ask_for_much(service, outlook).await.is_some()
            && self.apply_with_approval(service, outlook).await.is_some()
    }

    /// Half of it: up to the apply that needs nobody's approval.
    pub(super) async fn go_on_to_apply(&mut self, service: &mut Service, outlook: Outlook) -> bool {
        self.prepare(service, outlook).await.is_some()
            && self.apply(service, outlook).await.is_some()
    }

    async fn prepare(&mut self, service: &mut Service, outlook: Outlook) -> Option<()> {
        if !self.granted {
            let attempt =
                async |service: &Service| service.try_grant(&["cache.purge.execute"]).await;
            let answer = ask(service, outlook, |_| true, attempt).await;
            self.granted = answer.given()?.status == 200;
        }
        if !self.registered {
            let alice = &self.alice;
            let attempt = async |service: &Service| service.caller.register(alice).await.ok();
            let answer = ask(service, outlook, |_| true, attempt).await;
            self.registered = answer.given()?.status == 200;
        }
        if self.task.is_none() {
            let mut doubtful = 0;
            let attempt = async |service: &Service| {
                let reply = service.ask_for_task().await;
                let nothing = |reply: &Reply| reply.text.contains("nothing was recorded");
                let is_told = reply
                    .as_ref()
                    .is_some_and(|r| r.status == 201 || nothing(r));
                doubtful += usize::from(!is_told);
                reply
            };
            let answer = ask(service, outlook, |_| true, attempt).await;
            self.doubtful_tasks += doubtful;
            self.task = Some(Task::of(&answer.given()?).unwrap());
        }
        Some(())
    }

    async fn apply(&mut self, service: &mut Service, outlook: Outlook) -> Option<()> {
        let task = self.task.as_ref()?;
        let attempt = async |service: &Service| service.try_apply(task, "k1", &purge("a")).await;
        let reply = ask(service, outlook, has_ended, attempt).await.given()?;
        match &self.applied {
            Some(before) => assert_eq!(reply.body, before.body, "another answer to the same key"),
            None => self.applied = Some(reply),
        }
        Some(())
    }

    async fn ask_for_much(&mut self, service: &mut Service, outlook: Outlook) -> Option<()> {
        let task = self.task.as_ref()?;
        if self.is_heavy && self.heavy.is_none() {
            let attempt = async |service: &Service| service.try_deploy(task, "h", HEAVY).await;
            let reply = ask(service, outlook, |_| true, attempt).await.given()?;
            assert_eq!(reply.status, 202, "{}", reply.text);
            self.heavy = Some(reply);
        }
        Some(())
    }

    async fn apply_with_approval(&mut self, service: &mut Service, outlook: Outlook) -> Option<()> {
        let task = self.task.as_ref()?;
        if self.asked.is_none() {
            let attempt =
                async |service: &Service| service.try_apply(task, "k2", &deployment()).await;
            let reply = ask(service, outlook, |_| true, attempt).await.given()?;
            assert_eq!(reply.status, 202, "{}", reply.text);
            self.asked = Some(reply);
        }
        let asked = self.asked.as_ref()?;
        if !self.decided {
            let url = asked.text_at("approval_url");
            let attempt = async |service: &Service| {
                service
                    .caller
                    .decide(&self.alice, url, "approve", None)
                    .await
                    .ok()
            };
            let reply = ask(service, outlook, |_| true, attempt).await.given()?;
            // 410: it was decided, and only the answer was lost.
            assert!([200, 410].contains(&reply.status), "{}", reply.text);
            self.decided = true;
        }
        let token = asked.text_at("resume_token");
        let attempt = async |service: &Service| service.resume(task, "k2", token).await;
        let reply = ask(service, outlook, has_ended, attempt).await.given()?;
        match &self.continued {
            Some(before) => assert_eq!(reply.body, before.body, "another answer to the same key"),
            None => self.continued = Some(reply),
        }
        Some(())
    }

    /// Checks that every event that an answer spoke of is there, once.
    pub(super) fn stands_in(&self, events: &[Recorded]) {
        let once = |name: &str, stream: &str| {
            let of_it = events.iter().filter(|event| {
                event.event.name() == name && event.stream_id().to_string() == stream
            });
            let count = of_it.count();
            assert_eq!(count, 1, "{name} was answered, and is there {count} times");
        };
        let any = |name: &str| {
            let is_there = events.iter().any(|event| event.event.name() == name);
            assert!(is_there, "{name} was answered, and is there 0 times");
        };
        if self.granted {
            any("agent.permissions_replaced");
        }
        if self.registered {
            any("approver.credential_put");
        }
        if let Some(task) = &self.task {
            once("task.created", &task.id);
        }
        for ended in self.applied.iter().chain(&self.continued) {
            once("apply.accepted", ended.text_at("apply_id"));
            once("apply.ended", ended.text_at("apply_id"));
        }
        if let Some(heavy) = &self.heavy {
            once("approval.requested", heavy.text_at("approval_id"));
        }
        if let Some(asked) = &self.asked {
            once("approval.requested", asked.text_at("approval_id"));
            if self.decided {
                once("approval.approved", asked.text_at("approval_id"));
            }
            if self.continued.is_some() {
                once("approval.consumed", asked.text_at("approval_id"));
            }
        }
    }

    /// Checks that upstream did what was answered as done, and nothing twice.
    pub(super) fn agrees_with(&self, sandbox: &Sandbox) {
        for (reply, part) in [(&self.applied, "purge_cache"), (&self.continued, "scripts")] {
            let sent = sandbox.upstream.mutations(part).len();
            assert!(sent <= 1, "{part} was sent {sent} times");
            if let Some(reply) = reply
                && reply.text_at("status") == "completed"
            {
                assert_eq!(sent, 1, "{part} is said to be done");
            }
        }
    }

    /// Whether everything that is owed for the work has reached the orchestrator.
    pub(super) fn all_arrived(&self, sandbox: &Sandbox) -> bool {
        sandbox.receiver.received().len() >= OWED + usize::from(self.is_heavy)
    }

    /// How many tasks there may be at most.
    pub(super) fn most_tasks(&self) -> usize {
        usize::from(self.task.is_some()) + self.doubtful_tasks
    }
}

impl Answer {
    fn given(self) -> Option<Reply> {
        match self {
            Self::Given(reply) => Some(reply),
            Self::Never => None,
        }
    }
}

fn has_ended(reply: &Reply) -> bool {
    ["completed", "failed", "unknown"].contains(&reply.text_at("status"))
}

/// Asks until there is an answer, as clients do that are told to come again. No step of this work is ever
/// refused for what it is.
async fn ask(
    service: &mut Service,
    outlook: Outlook,
    counts: impl Fn(&Reply) -> bool,
    mut attempt: impl AsyncFnMut(&Service) -> Option<Reply>,
) -> Answer {
    until("an answer, or the end", async || {
        let Some(reply) = attempt(service).await else {
            // Nobody hangs up on a client but a service that ends.
            until("the end", async || service.process.has_ended()).await;
            return Some(Answer::Never);
        };
        if reply.status < 500 && counts(&reply) {
            return Some(Answer::Given(reply));
        }
        if outlook == Outlook::Stays {
            let is_ready = service.process.has_ended().is_none() && service.is_ready().await;
            // Where something is given to nobody, nobody may be told to come.
            assert!(
                !is_ready || reply.status < 500,
                "it is ready: {}",
                reply.text
            );
            if !is_ready {
                return Some(Answer::Never);
            }
        }
        tokio::time::sleep(PAUSE).await;
        None
    })
    .await
}
