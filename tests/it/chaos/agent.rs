//! An agent, its orchestrator and its approvers: they ask, write down what they are told, and go on
//! when nobody answers.

use super::client_ledger::{Acknowledged, Asked, HeldTask, Waiting};
use super::plan::{Act, Answer, Op};
use super::world::World;
use fixtures::caller::{Caller, Reply};
use fixtures::service::{ACCOUNT, CALLBACK_SECRET, ZONE};
use reqwest::Method;
use serde_json::{Value, json};

/// How long a request for what is granted may be held, in seconds: what takes longer is asked for
/// again. Nobody waits for a human.
const WAIT: u32 = 1;

/// Answers that a request of ours may get, whatever happens around the service.
const EXPECTED: [u16; 8] = [200, 201, 202, 401, 403, 409, 410, 503];

/// Refusals that stay.
const FINAL: [&str; 4] = [
    "approval_denied",
    "approval_expired",
    "approval_cancelled",
    "approval_consumed",
];

/// Refusals after which a token is of no use.
const SPENT: [&str; 4] = ["token_expired", "token_revoked", "task_closed", "locked"];

/// One agent in one process of the service.
pub(super) struct Agent<'a> {
    pub(super) world: &'a World,
    pub(super) index: usize,
    pub(super) caller: Caller,
    /// It does not wait for anything to end.
    pub(super) in_haste: bool,
}

impl Agent<'_> {
    pub(super) fn name(&self) -> String {
        format!("agent-{}", self.index)
    }

    /// Does one thing after another until the process is over.
    pub(super) async fn live(&self, acts: &[Act]) {
        for act in acts {
            if self.world.is_over() {
                return;
            }
            // Without an answer there is nothing to go on with; the next act is.
            let _ = self.perform(act).await;
        }
    }

    /// Asks, counts and writes down; `None` when there is no answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Option<Reply> {
        let wait = if self.in_haste || self.index == 2 {
            0
        } else {
            WAIT
        };
        let caller = self.caller.waiting(wait).ahead(self.world.machine.offset());
        let reply = caller
            .ask_with(method.clone(), path, token, key, body)
            .await;
        self.heard(&format!("{method} {path}"), key, reply.ok())
    }

    /// The same as the administrator.
    pub(super) async fn administer(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Option<Reply> {
        let caller = self.caller.ahead(self.world.machine.offset());
        let reply = caller.administer(method.clone(), path, body).await;
        self.heard(&format!("{method} {path}"), None, reply.ok())
    }

    pub(super) fn heard(
        &self,
        what: &str,
        key: Option<&str>,
        reply: Option<Reply>,
    ) -> Option<Reply> {
        let said = reply.as_ref().map(|reply| (reply.status, &reply.body));
        let note = json!({"agent": self.index, "key": key, "answer": said});
        self.world.journal.note(what, note);
        let reply = reply?;
        self.world.count_answer();
        if !EXPECTED.contains(&reply.status) {
            let odd = format!("{what} was answered {}: {}", reply.status, reply.text);
            self.world.clients().odd.push(odd);
        }
        Some(reply)
    }

    /// Its newest task that is of use; a new one where there is none.
    pub(super) async fn task(&self) -> Option<usize> {
        let held = self.held(|task| !task.over && !task.closing);
        match held {
            Some(task) => Some(task),
            None => self.open().await,
        }
    }

    pub(super) fn held(&self, wanted: impl Fn(&HeldTask) -> bool) -> Option<usize> {
        let clients = self.world.clients();
        clients
            .tasks
            .iter()
            .rposition(|task| task.agent == self.index && wanted(task))
    }

    pub(super) async fn open(&self) -> Option<usize> {
        let allowed = [
            ("dns.record.write", "zone", ZONE),
            ("dns.record.read", "zone", ZONE),
            ("cache.purge.execute", "zone", ZONE),
            ("workers.deploy.write", "account", ACCOUNT),
        ]
        .map(|(operation, kind, id)| {
            json!({"operation_id": operation, "scope_type": kind, "scope_id": id})
        });
        let url = self.world.sandbox.receiver.url("/hooks");
        let body = json!({
            "task_name": "a task of the tests",
            "operations": allowed,
            "callback": {"url": url, "secret": CALLBACK_SECRET},
            "expires_in_seconds": 3600,
        });
        let reply = self
            .administer(Method::POST, "/v1/tasks", Some(&body))
            .await?;
        if reply.status != 201 {
            return None;
        }
        let id = reply.text_at("task_id").to_owned();
        let mut clients = self.world.clients();
        let task = id.clone();
        clients.acknowledged.push(Acknowledged::TaskOpened { task });
        clients.tasks.push(HeldTask {
            agent: self.index,
            id,
            token: reply.text_at("capability_token").to_owned(),
            closing: false,
            over: false,
        });
        Some(clients.tasks.len() - 1)
    }

    /// Writes down that these operations are asked for under a new key.
    pub(super) fn begin(&self, task: usize, ops: &[Op]) -> usize {
        let mut clients = self.world.clients();
        clients.applies.push(Asked {
            task,
            key: format!("key of {}", ops[0].marker).replace(' ', "-"),
            ops: ops.to_vec(),
            waiting: None,
            ended: None,
            refused: None,
        });
        clients.applies.len() - 1
    }

    /// Asks for an apply, or asks again; with a fresh token where the old one went stale.
    pub(super) async fn submit(&self, asked: usize) -> Option<Reply> {
        let ops = self.world.clients().applies[asked].ops.clone();
        let mut body = json!({"operations": ops.iter().map(Op::to_json).collect::<Vec<_>>()});
        // The same whenever it is asked again.
        if asked % 2 == 1 {
            body["on_approval"] = json!("execute");
        }
        self.send(asked, "apply", &body).await
    }

    /// Continues what was approved.
    pub(super) async fn resume(&self, asked: usize) -> Option<Reply> {
        let waiting = self.world.clients().applies[asked].waiting.clone()?;
        let body = json!({"resume_token": waiting.resume_token});
        self.send(asked, "apply/continue", &body).await
    }

    async fn send(&self, asked: usize, what: &str, body: &Value) -> Option<Reply> {
        let (task, key) = {
            let clients = self.world.clients();
            (
                clients.applies[asked].task,
                clients.applies[asked].key.clone(),
            )
        };
        let mut reply = self.send_once(task, what, &key, body).await?;
        if reply.text_at("code") == "token_stale" && self.renew(task).await.is_some() {
            reply = self.send_once(task, what, &key, body).await?;
        }
        self.told(asked, &reply);
        Some(reply)
    }

    async fn send_once(&self, task: usize, what: &str, key: &str, body: &Value) -> Option<Reply> {
        let held = self.world.clients().tasks[task].clone();
        let path = format!("/v1/tasks/{}/{what}", held.id);
        self.ask(Method::POST, &path, &held.token, Some(key), Some(body))
            .await
    }

    async fn renew(&self, task: usize) -> Option<()> {
        let held = self.world.clients().tasks[task].clone();
        let path = format!("/v1/tasks/{}/token", held.id);
        let reply = self
            .ask(Method::POST, &path, &held.token, None, None)
            .await?;
        if reply.status != 200 {
            return None;
        }
        let mut clients = self.world.clients();
        clients.tasks[task].token = reply.text_at("capability_token").to_owned();
        let task = held.id;
        clients
            .acknowledged
            .push(Acknowledged::TokenRenewed { task });
        Some(())
    }

    /// Writes down what an apply was answered with.
    fn told(&self, asked: usize, reply: &Reply) {
        let mut clients = self.world.clients();
        let known = &clients.applies[asked];
        let (index, key) = (known.task, known.key.clone());
        let task = clients.tasks[index].id.clone();
        let apply = reply.text_at("apply_id").to_owned();
        let code = reply.text_at("code");
        match (reply.status, reply.text_at("status")) {
            (202, "requires_approval" | "approved") => {
                let approval = reply.text_at("approval_id").to_owned();
                clients.applies[asked].waiting = Some(Waiting {
                    approval: approval.clone(),
                    url: reply.text_at("approval_url").to_owned(),
                    resume_token: reply.text_at("resume_token").to_owned(),
                });
                let approval = Some(approval);
                clients.acknowledged.push(Acknowledged::Waits {
                    apply,
                    task,
                    key,
                    approval,
                });
            }
            (202, _) => {
                let approval = None;
                clients.acknowledged.push(Acknowledged::Waits {
                    apply,
                    task,
                    key,
                    approval,
                });
            }
            (200 | 409, end) if !apply.is_empty() => {
                let end = end.to_owned();
                let settled = clients.resolving.contains(&apply);
                let first = clients.applies[asked].ended.replace(reply.body.clone());
                let differs =
                    first.and_then(|first| super::checks::differs(&first, &reply.body, settled));
                clients.odd.extend(differs);
                clients.acknowledged.push(Acknowledged::Ended {
                    apply,
                    task,
                    key,
                    end,
                });
            }
            (409 | 410, _) if FINAL.contains(&code) => {
                let code = code.to_owned();
                clients.applies[asked].refused = Some(code.clone());
                clients
                    .acknowledged
                    .push(Acknowledged::Refused { task, key, code });
            }
            _ if SPENT.contains(&code) => clients.tasks[index].over = true,
            _ => {}
        }
    }

    /// A human answers the question that an apply waits for.
    pub(super) async fn decide(&self, asked: usize, answer: Answer) -> Option<()> {
        self.decide_as(asked, answer, None).await
    }

    /// The same; where an answer is to be kept, it is signed so. Where several people are needed, the next one
    /// follows, and sometimes the first one tries to be two.
    pub(super) async fn decide_as(
        &self,
        asked: usize,
        answer: Answer,
        retention: Option<&Value>,
    ) -> Option<()> {
        let waiting = self.world.clients().applies[asked].waiting.clone()?;
        self.answer(&waiting, (answer, asked), retention).await
    }

    /// The same of a question, by people in an order that the number chooses.
    pub(super) async fn answer(
        &self,
        waiting: &Waiting,
        (answer, order): (Answer, usize),
        retention: Option<&Value>,
    ) -> Option<()> {
        let decision = match answer {
            Answer::Approve => "approve",
            Answer::Deny => "deny",
            Answer::Nothing => return None,
        };
        {
            let mut clients = self.world.clients();
            if answer == Answer::Approve {
                clients.approving.insert(waiting.approval.clone());
            }
            if retention.is_some() {
                clients.keeping.insert(waiting.approval.clone());
            }
        }
        let [alice, bob] = &self.world.approvers;
        let people: &[_] = match (order % 2, order % 3) {
            (0, 0) => &[alice, alice, bob],
            (0, _) => &[alice, bob],
            _ => &[bob, alice],
        };
        for approver in people {
            let words = (decision, Some("because"));
            let reply = self
                .caller
                .decide_and_keep(approver, &waiting.url, words, retention)
                .await;
            let reply = self.heard(decision, None, reply.ok())?;
            let approval = waiting.approval.clone();
            match (reply.status, reply.text_at("status")) {
                (200, "voted") => {
                    let principal = approver.principal().to_string();
                    self.world.acknowledge(Acknowledged::Voted {
                        approval,
                        principal,
                    });
                }
                (200, "approved" | "denied") => {
                    let approved = answer == Answer::Approve;
                    self.world
                        .acknowledge(Acknowledged::Decided { approval, approved });
                    return Some(());
                }
                _ if reply.text_at("code") == "already_voted" => {}
                _ => return Some(()),
            }
        }
        Some(())
    }
}
