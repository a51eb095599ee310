//! What agents do besides applies: schedules that ask for them, keys of an upstream that are stored for them, and calls
//! through the proxy.

use super::agent::Agent;
use super::client_ledger::{Acknowledged, AgentKey, MadeCall, Waiting};
use super::plan::{Answer, Op};
use super::world::SERVICE_TOKEN;
use fixtures::caller::Reply;
use reqwest::Method;
use serde_json::{Value, json};

/// More than the minute after which a schedule fires again.
const A_MINUTE: i64 = 61;

impl Agent<'_> {
    /// Asks as the operator. Who is there at that moment decides what is answered, so that no refusal is odd.
    async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> Option<Reply> {
        let caller = self.caller.ahead(self.world.machine.offset());
        let reply = caller
            .ask_with(method.clone(), path, SERVICE_TOKEN, None, body)
            .await;
        self.noted(&format!("{method} {path}"), reply.ok())
    }

    /// Writes down what was answered; only a failure of the service is odd.
    fn noted(&self, what: &str, reply: Option<Reply>) -> Option<Reply> {
        let said = reply.as_ref().map(|reply| (reply.status, &reply.body));
        self.world
            .journal
            .note(what, json!({"agent": self.index, "answer": said}));
        let reply = reply?;
        self.world.count_answer();
        if reply.status == 500 {
            let odd = format!("{what} was answered {}: {}", reply.status, reply.text);
            self.world.clients().odd.push(odd);
        }
        Some(reply)
    }

    fn schedule_path(&self) -> String {
        format!("/v1/schedules/{}", self.name())
    }

    /// The agent's schedule asks for the operation each minute from here on, and the next minute comes.
    pub(super) async fn schedule(&self, op: &Op, is_late_run: bool, answer: Answer) -> Option<()> {
        let order = {
            let mut clients = self.world.clients();
            clients.scheduled.insert(op.marker.clone(), self.index);
            clients.scheduled.len()
        };
        let body = json!({
            "cron": "* * * * *", "zone": "UTC", "agent": self.name(),
            "misfire": if is_late_run { "once" } else { "skip" },
            "operations": [op.to_json()],
        });
        let path = self.schedule_path();
        let reply = self.operate(Method::PUT, &path, Some(&body)).await?;
        if reply.status == 200 {
            let marker = op.marker.clone();
            self.world.acknowledge(Acknowledged::SchedulePut { marker });
        }
        let question = (
            reply.body["approval_id"].as_str(),
            reply.body["approval_url"].as_str(),
        );
        if let (Some(approval), Some(url)) = question {
            let waiting = Waiting {
                approval: approval.to_owned(),
                url: url.to_owned(),
                resume_token: String::new(),
            };
            self.answer(&waiting, (answer, order), None).await;
        }
        self.world.machine.move_clock(A_MINUTE);
        Some(())
    }

    /// Nothing of the agent's schedule fires any more.
    pub(super) async fn unschedule(&self) -> Option<()> {
        let path = self.schedule_path();
        let reply = self.operate(Method::DELETE, &path, None).await?;
        if reply.status == 204 {
            let name = self.name();
            self.world
                .acknowledge(Acknowledged::ScheduleDeleted { name });
        }
        Some(())
    }

    /// A key with which it calls through the proxy; a new one where it has none.
    async fn key(&self) -> Option<AgentKey> {
        let held = {
            let clients = self.world.clients();
            let mut keys = clients.keys.iter();
            let mine = keys.rfind(|key| key.agent == self.index && !key.going);
            mine.cloned()
        };
        if held.is_some() {
            return held;
        }
        let path = format!("/v1/agents/{}/keys", self.name());
        let reply = self.operate(Method::POST, &path, Some(&json!({}))).await?;
        if reply.status != 201 {
            return None;
        }
        let key = AgentKey {
            agent: self.index,
            id: reply.text_at("id").to_owned(),
            text: reply.text_at("key").to_owned(),
            going: false,
            gone: false,
        };
        self.world.clients().keys.push(key.clone());
        Some(key)
    }

    /// An operator stores a key of the upstream for the agent, in the place of the one before.
    pub(super) async fn store(&self, text: &str) -> Option<()> {
        let (agent, upstream_key) = (self.name(), text.to_owned());
        {
            let mut clients = self.world.clients();
            let stored = clients.stored.entry(agent.clone()).or_default();
            stored.insert(upstream_key.clone());
        }
        let path = format!("/v1/agents/{agent}/upstream-keys/anthropic");
        let body = json!({"api_key": upstream_key});
        let reply = self.operate(Method::PUT, &path, Some(&body)).await?;
        if reply.status == 204 {
            self.not_stored_any_more();
            let mut clients = self.world.clients();
            clients.surely_stored.insert(agent.clone(), upstream_key);
            clients.acknowledged.push(Acknowledged::KeyStored { agent });
        }
        Some(())
    }

    /// An operator takes the stored key away.
    pub(super) async fn forget(&self) -> Option<()> {
        let path = format!("/v1/agents/{}/upstream-keys/anthropic", self.name());
        let reply = self.operate(Method::DELETE, &path, None).await?;
        if reply.status == 204 {
            self.not_stored_any_more();
        }
        Some(())
    }

    /// The key that was surely stored is replaced or removed. Of one whose storing was not answered nobody knows when it
    /// comes to be stored.
    fn not_stored_any_more(&self) {
        let mut clients = self.world.clients();
        if let Some(before) = clients.surely_stored.remove(&self.name()) {
            clients.removed.insert(before);
        }
    }

    /// Its key is taken away.
    pub(super) async fn revoke(&self) -> Option<()> {
        let id = {
            let mut clients = self.world.clients();
            let mut keys = clients.keys.iter_mut();
            let mine = keys.rfind(|key| key.agent == self.index && !key.going)?;
            mine.going = true;
            mine.id.clone()
        };
        let path = format!("/v1/agents/{}/keys/{id}", self.name());
        let reply = self.operate(Method::DELETE, &path, None).await?;
        if reply.status == 204 {
            let mut clients = self.world.clients();
            for key in clients.keys.iter_mut().filter(|key| key.id == id) {
                key.gone = true;
            }
        }
        Some(())
    }

    /// Calls through the proxy: reads a batch of messages, or cancels it, which changes something upstream.
    pub(super) async fn call(&self, marker: &str, changes: bool) -> Option<()> {
        let key = self.key().await?;
        self.calls(&key, marker, changes).await
    }

    /// The same with a key that was taken away.
    pub(super) async fn call_spent(&self, marker: &str) -> Option<()> {
        let key = {
            let mut clients = self.world.clients();
            clients.forbidden.insert(marker.to_owned());
            let mut keys = clients.keys.iter();
            keys.rfind(|key| key.agent == self.index && key.gone)
                .cloned()?
        };
        self.calls(&key, marker, true).await
    }

    async fn calls(&self, key: &AgentKey, marker: &str, changes: bool) -> Option<()> {
        {
            let mut clients = self.world.clients();
            let removed = clients.removed.clone();
            clients.calls.push(MadeCall {
                marker: marker.to_owned(),
                agent: self.name(),
                removed,
            });
        }
        let path = format!("/proxy/anthropic/v1/messages/batches/{marker}");
        let (method, path, body) = match changes {
            true => (Method::POST, format!("{path}/cancel"), Some(json!({}))),
            false => (Method::GET, path, None),
        };
        let caller = self.caller.ahead(self.world.machine.offset());
        let reply = caller
            .ask_with(method, &path, &key.text, None, body.as_ref())
            .await;
        // Upstream's own words pass, its 500 too.
        let said = reply.as_ref().ok().map(|reply| reply.status);
        self.world
            .journal
            .note(&path, json!({"agent": self.index, "status": said}));
        self.world.count_answer();
        Some(())
    }
}
