//! Users and groups.

use super::{
    Act, Change, Describe, Facts, Reference, Severity, Topic, Topics, because, named, number, plain,
};
use crate::event::{
    DeviceAdded, DeviceEnd, DeviceRemoved, GroupChanged, GroupCreated, GroupDeleted, PasswordSet,
    PrincipalLinked, Role, SessionsEnded, UserChanged, UserCreated, UserDeleted,
};
use crate::id::StreamId;

/// The user, in detail by the name.
pub(super) fn of_user(topic: &Topic, before: &str) -> String {
    match &topic.user {
        Some(name) if topic.detailed => format!("{before} user {}", plain(name)),
        _ => String::new(),
    }
}

/// What a user may do.
fn rights(role: Role, can_audit: bool, disabled: bool) -> String {
    let audits = if can_audit { ", may audit" } else { "" };
    let disabled = if disabled { ", disabled" } else { "" };
    format!("{}{audits}{disabled}", role.as_str())
}

fn teach_name(name: &str, stream: StreamId, topics: &mut dyn Topics) {
    let user = Some(name.to_owned());
    let topic = Topic {
        user,
        ..Topic::default()
    };
    topics.put(stream, topic);
}

impl Describe for UserCreated {
    fn text(&self, topic: &Topic) -> String {
        let rights = rights(self.role, self.can_audit, false);
        let text = format!("user {} created: {rights}", named(&self.name, topic));
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (name, kind) = (self.name.to_string(), "user");
        let facts = Facts::of(0, Act::Account { name, kind }).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        teach_name(&self.name, stream, topics);
    }
}

impl Describe for UserChanged {
    fn text(&self, topic: &Topic) -> String {
        let rights = rights(self.role, self.can_audit, self.disabled);
        let text = format!("user is now {}: {rights}", named(&self.name, topic));
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "user").severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        teach_name(&self.name, stream, topics);
    }
}

impl Describe for PasswordSet {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        let must_change = match self.must_change {
            true => ", to be changed at its first use",
            false => "",
        };
        let text = format!("password{of} set{must_change}; sessions ended");
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "user").severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

impl Describe for UserDeleted {
    fn text(&self, topic: &Topic) -> String {
        let text = match of_user(topic, "") {
            named if named.is_empty() => "user deleted".to_owned(),
            named => format!("{} deleted", named.trim_start()),
        };
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(0, Act::own(Change::Deleted, "user")).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

impl Describe for SessionsEnded {
    fn text(&self, topic: &Topic) -> String {
        let text = format!("all sessions{} ended", of_user(topic, " of"));
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "user").comment(self.reason.as_deref())
    }
}

impl Describe for PrincipalLinked {
    fn text(&self, topic: &Topic) -> String {
        let to = of_user(topic, " to");
        let principal = named(&self.principal, topic);
        let credential = &self.proof.credential_id;
        format!("approver {principal} linked{to} by credential {credential}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "user").severity(Severity::Low)
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Passkeys(self.principal.clone())]
    }
}

impl Describe for DeviceAdded {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        let service = plain(&self.service);
        format!("device{of} at {service} is told of questions from here on")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "user").severity(Severity::Low)
    }
}

impl Describe for DeviceRemoved {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        let why = match self.why {
            DeviceEnd::Removed => "removed",
            DeviceEnd::Gone => "gone, as its push service says",
        };
        format!("device{of} {why}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(0, "user").severity(Severity::Low)
    }
}

impl Describe for GroupCreated {
    fn text(&self, topic: &Topic) -> String {
        let text = format!("group {} created", named(&self.name, topic));
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::created(0, "group").severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

impl Describe for GroupChanged {
    fn text(&self, topic: &Topic) -> String {
        let name = named(&self.name, topic);
        let members = number(self.members.len(), "member");
        let text = format!("group is now {name} with {members}");
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(0, "group").severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

impl Describe for GroupDeleted {
    fn text(&self, topic: &Topic) -> String {
        "group deleted".to_owned() + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::of(0, Act::own(Change::Deleted, "group")).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}
