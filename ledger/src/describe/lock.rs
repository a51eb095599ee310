//! Locks.

use super::{Act, Change, Describe, Facts, Reference, Severity, Topic, wrote};
use crate::event::{LockLifted, LockSet, LockTarget};

impl Describe for LockSet {
    fn text(&self, topic: &Topic) -> String {
        let mut target = self.target.kind().to_owned();
        if let Some(id) = self.target.id() {
            target = format!("{target} {id}");
        }
        let until = self.until;
        let until = until.map_or_else(String::new, |until| format!(" until {until}"));
        let reason = wrote(&self.reason, topic);
        format!("lock set on {target}{until}: {reason}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::own(Change::Created, "lock");
        Facts::of(0, act)
            .severity(Severity::High)
            .comment(Some(&self.reason))
    }

    fn rests_on(&self) -> Vec<Reference> {
        let stream = match self.target {
            LockTarget::Agent(id) => id.into(),
            LockTarget::Owner(id) | LockTarget::User(id) => id.into(),
            LockTarget::Task(id) => id.into(),
            LockTarget::Key(id) => id.into(),
            LockTarget::All | LockTarget::Operation(_) | LockTarget::Credential(_) => {
                return Vec::new();
            }
        };
        vec![Reference::Beginning(stream)]
    }
}

impl Describe for LockLifted {
    fn text(&self, _: &Topic) -> String {
        "lock lifted".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "lock")).severity(Severity::High)
    }
}
