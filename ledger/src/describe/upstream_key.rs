//! Keys of upstreams that are stored for users and agents.

use super::{Act, Change, Describe, Facts, Severity, Topic, Topics, plain};
use crate::event::{UpstreamKeyOwner, UpstreamKeyRemoved, UpstreamKeySealed, UpstreamKeyStored};
use crate::id::StreamId;

/// The user or agent, in detail by the name.
fn holder(owner: UpstreamKeyOwner, topic: &Topic) -> String {
    let name = match owner {
        UpstreamKeyOwner::User(_) => &topic.user,
        UpstreamKeyOwner::Agent(_) => &topic.agent,
    };
    match name {
        Some(name) if topic.detailed => format!(" of {} {}", owner.kind(), plain(name)),
        _ => match owner {
            UpstreamKeyOwner::User(_) => " of a user".to_owned(),
            UpstreamKeyOwner::Agent(_) => " of an agent".to_owned(),
        },
    }
}

impl Describe for UpstreamKeyStored {
    fn text(&self, topic: &Topic) -> String {
        format!("{} key{} stored", self.upstream, holder(self.owner, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(0, "upstream_key").severity(Severity::Low)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let known = topics.of(self.owner.stream());
        let topic = Topic {
            user: known.user,
            agent: known.agent,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl Describe for UpstreamKeyRemoved {
    fn text(&self, topic: &Topic) -> String {
        let holder = holder(self.owner, topic);
        format!("{} key{holder} {}", self.upstream, self.why.as_str())
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "upstream_key")).severity(Severity::Low)
    }
}

impl Describe for UpstreamKeySealed {
    fn text(&self, _: &Topic) -> String {
        "the stored key, sealed".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(1, "upstream_secret")
    }
}
