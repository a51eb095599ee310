//! Blocks and allows.

use super::{Act, Change, Describe, Facts, Reference, Severity, Topic, wrote};
use crate::clock::Timestamp;
use crate::event::{AllowLifted, AllowSet, BlockLifted, BlockSet, ClientTarget};

fn told(
    what: &str,
    target: &ClientTarget,
    until: Option<Timestamp>,
    reason: Option<&String>,
    topic: &Topic,
) -> String {
    let value = match target {
        ClientTarget::Subject(subject) => wrote(subject.as_str(), topic),
        other => other.value(),
    };
    let until = until.map_or_else(String::new, |until| format!(" until {until}"));
    let reason = reason.map_or_else(String::new, |reason| format!(": {}", wrote(reason, topic)));
    format!("{what} {} {value}{until}{reason}", target.kind())
}

fn rests_on(target: &ClientTarget) -> Vec<Reference> {
    match target {
        ClientTarget::Agent(id) => vec![Reference::Beginning((*id).into())],
        ClientTarget::Subject(_) | ClientTarget::Address(_) | ClientTarget::Asn(_) => Vec::new(),
    }
}

impl Describe for BlockSet {
    fn text(&self, topic: &Topic) -> String {
        told(
            "blocked",
            &self.target,
            self.until,
            self.reason.as_ref(),
            topic,
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(0, Act::own(Change::Created, "block"));
        facts
            .severity(Severity::Medium)
            .comment(self.reason.as_deref())
    }

    fn rests_on(&self) -> Vec<Reference> {
        rests_on(&self.target)
    }
}

impl Describe for BlockLifted {
    fn text(&self, _: &Topic) -> String {
        "block lifted".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "block")).severity(Severity::Medium)
    }
}

impl Describe for AllowSet {
    fn text(&self, topic: &Topic) -> String {
        told(
            "allowed",
            &self.target,
            self.until,
            self.reason.as_ref(),
            topic,
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(0, Act::own(Change::Created, "allow"));
        facts
            .severity(Severity::Medium)
            .comment(self.reason.as_deref())
    }

    fn rests_on(&self) -> Vec<Reference> {
        rests_on(&self.target)
    }
}

impl Describe for AllowLifted {
    fn text(&self, _: &Topic) -> String {
        "allow lifted".to_owned()
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(0, Act::own(Change::Deleted, "allow")).severity(Severity::Medium)
    }
}
