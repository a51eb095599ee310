//! Task templates.

use super::operations::on_scope;
use super::{Act, Change, Describe, Facts, Reference, Severity, Topic, listed, named, number};
use crate::event::{TemplateCreated, TemplateDeleted};

impl Describe for TemplateCreated {
    fn text(&self, topic: &Topic) -> String {
        let name = named(&self.name, topic);
        let agents = number(self.agents.len(), "agent");
        let mut text = format!("task template {name} created for {agents}");
        if topic.detailed {
            let allowed = listed(&self.allowed, |allowed| {
                on_scope(allowed.operation, allowed.scope_type, &allowed.scope_id)
            });
            let seconds = self.expires_in_seconds;
            text = format!("{text}: {allowed}, tasks for {seconds} s");
            if self.needs_approval {
                text.push_str(", every apply waits for a human");
            }
            if let Some(seconds) = self.question_seconds {
                text.push_str(&format!(", a question waits for {seconds} s"));
            }
        }
        text
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Managed {
            change: Change::Created,
            kind: "task_template",
            id: None,
            name: Some(self.name.to_string()),
        };
        Facts::of(0, act).severity(Severity::Low)
    }

    fn rests_on(&self) -> Vec<Reference> {
        let agents = self.agents.iter().map(|agent| (*agent).into());
        agents.map(Reference::Beginning).collect()
    }
}

impl Describe for TemplateDeleted {
    fn text(&self, _: &Topic) -> String {
        "task template deleted".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "task_template")).severity(Severity::Low)
    }
}
