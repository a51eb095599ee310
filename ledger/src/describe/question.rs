//! Questions that are not about an apply.

use super::approval::asked_of;
use super::{Describe, Facts, Topic, Topics};
use crate::event::{ApprovalAsked, AskedSubject, PolicyProposal};
use crate::id::StreamId;
use serde_json::Value;

impl Describe for ApprovalAsked {
    fn text(&self, topic: &Topic) -> String {
        let of = asked_of(&self.approvers, self.policy.as_ref(), topic);
        let until = self.expires_at;
        format!(
            "approval asked of {of} until {until}: {}",
            wanted(&self.subject)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(1, "approval").detail(self.subject.kind().as_str())
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let asked = self.approvers.iter().map(ToString::to_string).collect();
        let topic = Topic {
            asked,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl AskedSubject {
    /// The wish, in one line: *change the policy to version 4*.
    #[must_use]
    pub fn act(&self) -> String {
        match self {
            Self::PolicyChange(change) => {
                let version = change.follows.saturating_add(1);
                match (&change.document, change.restores) {
                    (None, _) => {
                        format!("change the policy to version {version}, without a document")
                    }
                    (Some(_), Some(earlier)) => {
                        format!("change the policy to version {version}, as version {earlier} was")
                    }
                    (Some(_), None) => format!("change the policy to version {version}"),
                }
            }
            Self::Schedule(schedule) => {
                let said: Option<Value> = serde_json::from_str(&schedule.definition).ok();
                let name = said.as_ref().and_then(|said| said.get("name")?.as_str());
                let id = schedule.schedule_id;
                let name = name.map_or_else(|| id.to_string(), ToOwned::to_owned);
                format!("let schedule {name} run")
            }
            Self::Review(_) => "review an approval that was given in an emergency".to_owned(),
        }
    }
}

/// What is asked for, in words.
fn wanted(subject: &AskedSubject) -> String {
    match subject {
        AskedSubject::PolicyChange(change) => change_wanted(change),
        AskedSubject::Schedule(schedule) => format!("schedule {}", schedule.schedule_id),
        AskedSubject::Review(review) => format!(
            "review of approval {}, which was given in an emergency",
            review.approval_id
        ),
    }
}

fn change_wanted(change: &PolicyProposal) -> String {
    let version = change.follows.saturating_add(1);
    match (&change.document, change.restores) {
        (None, _) => format!("policy version {version}, without a document"),
        (Some(document), Some(earlier)) => format!(
            "policy version {version}, back to version {earlier}, digest {}",
            document.digest
        ),
        (Some(document), None) => {
            format!("policy version {version}, digest {}", document.digest)
        }
    }
}
