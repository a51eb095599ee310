//! Tasks, their tokens and callbacks.

use super::operations::on_scope;
use super::{
    Act, Change, Describe, Facts, Reference, Topic, Topics, because, host, listed, named, number,
    quoted, said,
};
use crate::event::{
    AllowedOperation, CallbackOwner, CallbackSet, ProxiesOpened, TaskClosed, TaskCreated,
    TokenIssued, TokenRevoked,
};
use crate::id::StreamId;

impl Describe for TaskCreated {
    fn text(&self, topic: &Topic) -> String {
        let (name, agent) = (quoted(&self.name), named(&self.agent, topic));
        let allowed = number(self.allowed.len(), "operation");
        let mut text = format!("task {name} for agent {agent}, {allowed} allowed");
        if topic.detailed {
            let each = |allowed: &AllowedOperation| {
                on_scope(allowed.operation, allowed.scope_type, &allowed.scope_id)
            };
            text = format!("{text}: {}", listed(&self.allowed, each));
            if !self.agent_callbacks {
                text.push_str("; the agent may name no callback");
            }
            if let Some(from) = self.template {
                let seconds = self.token_ttl_seconds;
                let template = from.template_id;
                text = format!("{text}; from template {template}, for {seconds} s");
                if from.needs_approval {
                    text.push_str(", and every apply waits for a human");
                }
            }
            if self.write.is_some() {
                text.push_str("; for a write through a proxy");
            }
            if let Some(seconds) = self.question_seconds {
                text.push_str(&format!("; a question waits for {seconds} s"));
            }
        }
        text + &said(&self.purpose)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Managed {
            change: Change::Created,
            kind: "task",
            id: Some(self.task_id.to_string()),
            name: Some(self.name.clone()),
        };
        Facts::of(0, act)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        topics.put(stream, Topic::of(self.task_id, Some(&self.agent)));
    }

    fn rests_on(&self) -> Vec<Reference> {
        let template = self.template.map(|from| from.template_id.into());
        template.map(Reference::Stream).into_iter().collect()
    }
}

impl Describe for ProxiesOpened {
    fn text(&self, _: &Topic) -> String {
        "its tokens open the proxies".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "task")
    }
}

impl Describe for TokenIssued {
    fn text(&self, _: &Topic) -> String {
        let instead = match self.replaces {
            Some(_) => ", in place of an older one",
            None => "",
        };
        format!("capability token until {}{instead}", self.expires_at)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (issued, token_id) = (true, self.token_id);
        Facts::of(1, Act::Token { issued, token_id })
    }
}

impl Describe for TokenRevoked {
    fn text(&self, _: &Topic) -> String {
        format!("capability token revoked: {}", self.reason)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (issued, token_id) = (false, self.token_id);
        Facts::of(1, Act::Token { issued, token_id }).detail(self.reason.as_str())
    }
}

impl Describe for CallbackSet {
    fn text(&self, topic: &Topic) -> String {
        let beside = match self.owner {
            CallbackOwner::Agent if topic.detailed => ", besides the orchestrator's callback",
            _ => "",
        };
        let host = named(&host(&self.callback.url), topic);
        format!(
            "callbacks go to {host}: {}{beside}",
            self.callback.events.join(", ")
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let id = self.callback.callback_id;
        Facts::of(1, Act::managed(Change::Updated, "callback", id))
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        if let Some(topic) = topics.known(stream) {
            topic.add_host(self.callback.callback_id, host(&self.callback.url));
        }
    }
}

impl Describe for TaskClosed {
    fn text(&self, topic: &Topic) -> String {
        format!("task closed{}", because(self.reason.as_deref(), topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "task").detail("closed");
        facts.comment(self.reason.as_deref())
    }
}
