//! What agents do.

use super::agent::Agent;
use super::client_ledger::{Acknowledged, Asked};
use super::documents::document;
use super::plan::{Act, Answer, Op};
use super::world::SERVICE_TOKEN;
use fixtures::caller::Reply;
use fixtures::service::record;
use reqwest::Method;
use serde_json::{Value, json};

impl Agent<'_> {
    /// `None` when somebody gave no answer, or there is nothing to do it with.
    pub(super) async fn perform(&self, act: &Act) -> Option<()> {
        match act {
            Act::Open => drop(self.open().await?),
            Act::Apply { ops, twin } => self.apply(ops, *twin).await?,
            Act::Ask { ops, answer } => {
                let asked = self.begin(self.task().await?, ops);
                self.submit(asked).await?;
                self.go_on(asked, *answer).await?;
            }
            Act::Pursue { pick, answer } => {
                let asked = self.pick(*pick, |asked| {
                    asked.waiting.is_some() && !asked.is_settled()
                })?;
                self.go_on(asked, *answer).await?;
            }
            Act::Share { ops } => self.share(ops).await?,
            Act::Replay { pick } => drop(self.submit(self.pick(*pick, |_| true)?).await?),
            Act::Alter { pick, ops } => self.alter(*pick, ops).await?,
            Act::Spent { ops } => {
                let task = self.held(|task| task.over && task.closing)?;
                let token = self.world.clients().tasks[task].token.clone();
                self.misuse(task, &token, ops).await?;
            }
            Act::Forged { ops } => {
                let task = self.task().await?;
                let token = self.world.clients().tasks[task].token.clone();
                let (unsigned, _) = token.rsplit_once('.')?;
                self.misuse(task, &format!("{unsigned}.AAAA"), ops).await?;
            }
            Act::Outside { marker } => self.outside(marker).await?,
            Act::Grant => self.grant().await?,
            Act::Close => self.close().await?,
            Act::Lock => self.lock().await?,
            Act::Rules { document } => self.rules(*document).await?,
            Act::Keep { op, later, is_wide } => self.keep(op, later, *is_wide).await?,
            Act::Schedule {
                op,
                is_late_run,
                answer,
            } => self.schedule(op, *is_late_run, *answer).await?,
            Act::Unschedule => self.unschedule().await?,
            Act::Store { text } => self.store(text).await?,
            Act::Forget => self.forget().await?,
            Act::Revoke => self.revoke().await?,
            Act::Call { marker, changes } => self.call(marker, *changes).await?,
            Act::CallSpent { marker } => self.call_spent(marker).await?,
            Act::Resolve { pick, executed } => self.resolve(*pick, *executed).await?,
            Act::Again => self.again().await?,
            Act::Look => {
                let task = self.task().await?;
                let task = self.world.clients().tasks[task].clone();
                let path = format!("/v1/tasks/{}", task.id);
                self.ask(Method::GET, &path, &task.token, None, None)
                    .await?;
            }
        }
        Some(())
    }

    /// One of its applies that is so, on a task that is of use.
    fn pick(&self, pick: u64, wanted: impl Fn(&Asked) -> bool) -> Option<usize> {
        let clients = self.world.clients();
        let found: Vec<usize> = (0..clients.applies.len())
            .filter(|index| {
                let asked = &clients.applies[*index];
                let task = &clients.tasks[asked.task];
                task.agent == self.index && !task.over && !task.closing && wanted(asked)
            })
            .collect();
        let count = u64::try_from(found.len()).unwrap();
        let index = usize::try_from(pick.checked_rem(count)?).unwrap();
        found.get(index).copied()
    }

    async fn apply(&self, ops: &[Op], twin: bool) -> Option<()> {
        let asked = self.begin(self.task().await?, ops);
        if twin {
            let (first, second) = tokio::join!(self.submit(asked), self.submit(asked));
            first.and(second).map(drop)
        } else {
            self.submit(asked).await.map(drop)
        }
    }

    async fn go_on(&self, asked: usize, answer: Answer) -> Option<()> {
        self.decide(asked, answer).await?;
        if answer == Answer::Approve {
            self.resume(asked).await?;
        }
        Some(())
    }

    /// Two keys, one question, one execution.
    async fn share(&self, ops: &[Op]) -> Option<()> {
        let task = self.task().await?;
        let first = self.begin(task, ops);
        let second = self.begin(task, ops);
        self.world.clients().applies[second].key.push_str("-again");
        self.submit(first).await?;
        self.submit(second).await?;
        self.decide(first, Answer::Approve).await?;
        let (one, other) = tokio::join!(self.resume(first), self.resume(second));
        one.and(other).map(drop)
    }

    /// Only under a key that is surely known: otherwise it would be its first use.
    async fn alter(&self, pick: u64, ops: &[Op]) -> Option<()> {
        let asked = self.pick(pick, |asked| asked.waiting.is_some() || asked.is_settled())?;
        let (task, key) = {
            let mut clients = self.world.clients();
            clients
                .forbidden
                .extend(ops.iter().map(|op| op.marker.clone()));
            let asked = &clients.applies[asked];
            (clients.tasks[asked.task].clone(), asked.key.clone())
        };
        let path = format!("/v1/tasks/{}/apply", task.id);
        let body = body_of(ops);
        let reply = self
            .ask(Method::POST, &path, &task.token, Some(&key), Some(&body))
            .await?;
        self.must_be_refused(&reply, "other operations under a known key");
        Some(())
    }

    async fn misuse(&self, task: usize, token: &str, ops: &[Op]) -> Option<()> {
        let id = {
            let mut clients = self.world.clients();
            clients
                .forbidden
                .extend(ops.iter().map(|op| op.marker.clone()));
            clients.tasks[task].id.clone()
        };
        let path = format!("/v1/tasks/{id}/apply");
        let key = format!("misuse-{}", ops[0].marker);
        let body = body_of(ops);
        let reply = self
            .ask(Method::POST, &path, token, Some(&key), Some(&body))
            .await?;
        self.must_be_refused(&reply, "a token that is not good");
        Some(())
    }

    async fn outside(&self, marker: &str) -> Option<()> {
        let held = self.task().await?;
        let held = self.world.clients().tasks[held].clone();
        self.world.clients().forbidden.insert(marker.to_owned());
        let mut operation = record(marker);
        operation["scope_id"] = json!("z9");
        let body = json!({"operations": [operation]});
        let path = format!("/v1/tasks/{}/apply", held.id);
        let key = format!("outside-{marker}");
        let reply = self
            .ask(Method::POST, &path, &held.token, Some(&key), Some(&body))
            .await?;
        self.must_be_refused(&reply, "an operation that the task may not do");
        Some(())
    }

    fn must_be_refused(&self, reply: &Reply, what: &str) {
        if reply.status < 400 {
            let odd = format!("{what} was answered {}: {}", reply.status, reply.text);
            self.world.clients().odd.push(odd);
        }
    }

    /// Grants what the agent has anyway; its tokens go stale all the same.
    pub(super) async fn grant(&self) -> Option<()> {
        let operations: &[&'static str] = match self.index {
            0 => &["dns.record.write", "dns.record.read", "cache.purge.execute"],
            1 => &["cache.purge.execute"],
            _ => &[],
        };
        let permissions: Vec<Value> = operations
            .iter()
            .map(|operation| {
                json!({
                    "operation_id": operation, "scope_type": "zone", "scope_id": "*",
                    "granted_level": "write",
                })
            })
            .collect();
        let agent = self.name();
        self.intend(&agent, operations);
        let path = format!("/v1/agents/{agent}/permissions");
        let body = json!({"permissions": permissions});
        let reply = self.administer(Method::PATCH, &path, Some(&body)).await?;
        if reply.status == 200 {
            let mut clients = self.world.clients();
            let before = clients.acknowledged.iter().filter(|told| {
                matches!(told, Acknowledged::Granted { agent: whose, .. } if *whose == agent)
            });
            let times = before.count() + 1;
            clients
                .acknowledged
                .push(Acknowledged::Granted { agent, times });
        }
        Some(())
    }

    /// Whether or not it is answered, the agent may have these grants from now on.
    fn intend(&self, agent: &str, operations: &[&'static str]) {
        let mut clients = self.world.clients();
        let granted = clients.granted.entry(agent.to_owned()).or_default();
        granted.extend(operations);
    }

    async fn close(&self) -> Option<()> {
        let index = self.held(|task| !task.over && !task.closing)?;
        let task = {
            let mut clients = self.world.clients();
            clients.tasks[index].closing = true;
            clients.tasks[index].id.clone()
        };
        let path = format!("/v1/tasks/{task}/close");
        let reply = self.administer(Method::POST, &path, None).await?;
        if reply.status == 200 {
            self.world.clients().tasks[index].over = true;
            self.world.acknowledge(Acknowledged::TaskClosed { task });
        }
        Some(())
    }

    /// Nothing of the task begins from the answer on, and nobody lifts that.
    async fn lock(&self) -> Option<()> {
        let index = self.held(|task| !task.over && !task.closing)?;
        let task = {
            let mut clients = self.world.clients();
            clients.tasks[index].closing = true;
            clients.tasks[index].id.clone()
        };
        let body = json!({"target": {"kind": "task", "id": task}, "reason": "drill"});
        let reply = self
            .ask(Method::POST, "/v1/locks", SERVICE_TOKEN, None, Some(&body))
            .await?;
        if reply.status == 201 {
            self.world.clients().tasks[index].over = true;
            self.world.acknowledge(Acknowledged::TaskLocked { task });
        }
        Some(())
    }

    /// Saves a policy after the one in force; another client may come first.
    async fn rules(&self, number: u64) -> Option<()> {
        let path = "/v1/policy";
        let reply = self
            .ask(Method::GET, path, SERVICE_TOKEN, None, None)
            .await?;
        let follows = reply.body["version"].as_u64()?;
        let text = document(number);
        let saving = self.caller.save_policy(SERVICE_TOKEN, &text, follows);
        let reply = saving.await.ok();
        // Two people must be there for a document that needs them.
        let is_refused = reply
            .as_ref()
            .is_some_and(|reply| reply.status == 412 || reply.text_at("code") == "policy_invalid");
        if is_refused {
            self.world.count_answer();
            return None;
        }
        let reply = self.heard("PUT /v1/policy", None, reply)?;
        if reply.status == 200 {
            let version = reply.body["version"].as_u64()?;
            self.world
                .acknowledge(Acknowledged::PolicySaved { version });
        }
        Some(())
    }

    /// What was kept for the first may answer the second, and answers it for nobody else.
    async fn keep(&self, op: &Op, later: &Op, is_wide: bool) -> Option<()> {
        let task = self.task().await?;
        let first = self.begin(task, std::slice::from_ref(op));
        self.submit(first).await?;
        let breadth = if is_wide { "scope" } else { "exact" };
        let retention = json!({
            "mode": "cache", "duration": "1h", "breadth": breadth, "binding": "agent",
        });
        if self.world.clients().applies[first].waiting.is_some() {
            self.decide_as(first, Answer::Approve, Some(&retention))
                .await?;
            self.resume(first).await?;
        }
        let second = self.begin(task, std::slice::from_ref(later));
        if !is_wide {
            self.world.clients().applies[second].key.push_str("-again");
        }
        self.submit(second).await.map(drop)
    }

    async fn resolve(&self, pick: u64, executed: bool) -> Option<()> {
        let asked = self.pick(pick, |asked| {
            asked
                .ended
                .as_ref()
                .is_some_and(|end| end["status"] == "unknown")
        })?;
        let apply = {
            let mut clients = self.world.clients();
            let end = clients.applies[asked].ended.as_ref()?;
            let apply = end["apply_id"].as_str()?.to_owned();
            // Nobody may settle it in two ways, and the first answer may have been lost.
            if !clients.resolving.insert(apply.clone()) {
                return None;
            }
            apply
        };
        let path = format!("/v1/applies/{apply}/resolve");
        let outcome = if executed { "executed" } else { "not_executed" };
        let body = json!({"outcome": outcome, "reason": "looked"});
        let reply = self.administer(Method::POST, &path, Some(&body)).await?;
        if reply.status == 200 {
            self.world
                .acknowledge(Acknowledged::Resolved { apply, executed });
        }
        Some(())
    }

    async fn again(&self) -> Option<()> {
        let task = self.task().await?;
        let task = self.world.clients().tasks[task].clone();
        let path = format!("/v1/tasks/{}/deliveries", task.id);
        let reply = self
            .ask(Method::GET, &path, &task.token, None, None)
            .await?;
        let deliveries = reply.body["deliveries"].as_array()?;
        let given_up = deliveries
            .iter()
            .find(|delivery| delivery["state"] == "given_up")?;
        let path = format!("/v1/callbacks/{}/retry", given_up["delivery_id"].as_str()?);
        self.administer(Method::POST, &path, None).await?;
        Some(())
    }
}

fn body_of(ops: &[Op]) -> Value {
    json!({"operations": ops.iter().map(Op::to_json).collect::<Vec<_>>()})
}
