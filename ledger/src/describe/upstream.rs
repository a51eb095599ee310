//! Other APIs that are opened to their own clients.

use super::{Act, Change, Describe, Facts, Severity, Topic, number};
use crate::event::{
    UpstreamDefined, UpstreamEnd, UpstreamEnded, UpstreamKeyShared, UpstreamKeyUnshared,
};
use crate::name::UpstreamName;
use crate::upstream_api::UpstreamApi;

impl Describe for UpstreamDefined {
    fn text(&self, topic: &Topic) -> String {
        let text = format!("upstream {} opened", self.name);
        match UpstreamApi::parse(&self.document) {
            Ok(api) if topic.detailed => {
                let described = api.described();
                let routes = number(described.routes.len(), "route");
                format!("{text} at {}, with {routes}", described.base_url)
            }
            _ => text,
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Managed {
            change: Change::Created,
            kind: "upstream",
            id: None,
            name: Some(self.name.to_string()),
        };
        Facts::of(0, act).severity(Severity::Low)
    }
}

impl Describe for UpstreamEnded {
    fn text(&self, _: &Topic) -> String {
        match self.why {
            UpstreamEnd::Removed => format!("upstream {} removed", self.name),
            UpstreamEnd::Replaced => format!("upstream {} replaced", self.name),
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "upstream")).severity(Severity::Low)
    }
}

/// What is done with the key that agents share.
fn shared_key(change: Change, name: &UpstreamName) -> Facts {
    let act = Act::Managed {
        change,
        kind: "upstream_key",
        id: None,
        name: Some(name.to_string()),
    };
    Facts::of(0, act).severity(Severity::Low)
}

impl Describe for UpstreamKeyShared {
    fn text(&self, _: &Topic) -> String {
        format!("{} key for all agents stored", self.name)
    }

    fn facts(&self, _: &Topic) -> Facts {
        shared_key(Change::Created, &self.name)
    }
}

impl Describe for UpstreamKeyUnshared {
    fn text(&self, _: &Topic) -> String {
        format!("{} key for all agents {}", self.name, self.why.as_str())
    }

    fn facts(&self, _: &Topic) -> Facts {
        shared_key(Change::Deleted, &self.name)
    }
}
