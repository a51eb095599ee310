//! Agent keys.

use super::{Act, Change, Describe, Facts, Severity, Topic, Topics, because, plain};
use crate::event::{KeyCreated, KeyOrigin, KeyRevoked};
use crate::id::StreamId;

/// The agent whose key it is, in detail.
fn holder(topic: &Topic) -> String {
    match &topic.agent {
        Some(name) if topic.detailed => format!(" of agent {}", plain(name)),
        _ => String::new(),
    }
}

impl Describe for KeyCreated {
    fn text(&self, topic: &Topic) -> String {
        let how = match self.how {
            KeyOrigin::Created => "created",
            KeyOrigin::Paired => "created by pairing",
        };
        format!("agent key {}{} {how}", self.key_id, holder(topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(0, "agent_key").severity(Severity::Low)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let agent = topics.of(self.agent_id.into()).agent;
        let topic = Topic {
            agent,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl Describe for KeyRevoked {
    fn text(&self, topic: &Topic) -> String {
        let reason = because(self.reason.as_deref(), topic);
        format!("agent key{} revoked{reason}", holder(topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(0, Act::own(Change::Deleted, "agent_key")).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}
