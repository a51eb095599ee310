//! Agents, their descriptions and their grants.

use super::operations::on_scope;
use super::{
    Act, Describe, Facts, Reference, Severity, Topic, Topics, because, listed, named, number,
    plain, quoted,
};
use crate::event::{AgentDescribed, AgentRegistered, Grant, PermissionsReplaced};
use crate::id::StreamId;

impl Describe for AgentRegistered {
    fn text(&self, topic: &Topic) -> String {
        format!("agent {} first heard of", named(&self.name, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (name, kind) = (self.name.to_string(), "agent");
        Facts::of(0, Act::Account { name, kind })
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let agent = Some(self.name.to_string());
        let topic = Topic {
            agent,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl Describe for AgentDescribed {
    fn text(&self, topic: &Topic) -> String {
        let mut text = "agent described".to_owned();
        if topic.detailed {
            let mut parts = Vec::new();
            parts.extend(self.owner.map(|owner| format!("owner {owner}")));
            let organization = self.organization.as_ref();
            parts.extend(organization.map(|name| format!("organization {}", quoted(name))));
            parts.extend(
                self.site
                    .as_ref()
                    .map(|name| format!("site {}", quoted(name))),
            );
            if !self.tags.is_empty() {
                parts.push(format!("tags {}", listed(&self.tags, |tag| plain(tag))));
            }
            if parts.is_empty() {
                parts.push("nothing".to_owned());
            }
            text = format!("{text}: {}", parts.join(", "));
        }
        text
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "agent")
    }

    fn rests_on(&self) -> Vec<Reference> {
        let owner = self.owner.map(|owner| owner.into());
        owner.map(Reference::Beginning).into_iter().collect()
    }
}

impl Describe for PermissionsReplaced {
    fn text(&self, topic: &Topic) -> String {
        let mut text = format!(
            "{} granted, revision {}",
            number(self.grants.len(), "permission"),
            self.revision
        );
        if topic.detailed {
            let agent = topic.agent.as_deref();
            text.extend(agent.map(|agent| format!(", to agent {}", plain(agent))));
            text = format!("{text} ({})", listed(&self.grants, grant));
        }
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let grants = self.grants.iter();
        let grants = grants
            .map(|grant| {
                format!(
                    "{} on {} {}",
                    grant.operation, grant.scope_type, grant.scope_id
                )
            })
            .collect();
        let facts = Facts::of(0, Act::Grants { grants }).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

fn grant(grant: &Grant) -> String {
    let until = grant.expires_at;
    let until = until.map_or_else(String::new, |until| format!(" until {}", until));
    let what = on_scope(grant.operation, grant.scope_type, &grant.scope_id);
    format!("{what} ({}){until}", grant.granted_level)
}
