//! Approvers and their passkeys.

use super::{
    Act, Change, Describe, Facts, Severity, Topic, Topics, because, named, plain, thumbprint,
};
use crate::event::{
    ApproverRegistered, BackupEligibilityLearnt, CredentialPut, CredentialStatus, EnrolmentOpened,
};
use crate::id::StreamId;

/// The passkey's holder, in detail.
fn holder(topic: &Topic, before: &str) -> String {
    match &topic.approver {
        Some(name) if topic.detailed => format!("{before} approver {}", plain(name)),
        _ => String::new(),
    }
}

impl Describe for ApproverRegistered {
    fn text(&self, topic: &Topic) -> String {
        format!("approver {} first heard of", named(&self.principal, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        let (name, kind) = (self.principal.to_string(), "approver");
        Facts::of(0, Act::Account { name, kind })
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let approver = Some(self.principal.to_string());
        let topic = Topic {
            approver,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }
}

impl Describe for CredentialPut {
    fn text(&self, topic: &Topic) -> String {
        let how = match self.status {
            CredentialStatus::Active => "registered",
            CredentialStatus::Revoked => "revoked",
        };
        let of = holder(topic, " of");
        let mut text = format!("credential {}{of} {how}", self.credential_id);
        if topic.detailed {
            let key = thumbprint(&self.public_key_thumbprint);
            text = format!("{text}, {} key {key}", self.algorithm);
        }
        text + &because(self.reason.as_deref(), topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Passkey {
            active: self.status == CredentialStatus::Active,
            credential_id: self.credential_id.clone(),
        };
        let facts = Facts::of(0, act).severity(Severity::Low);
        facts.comment(self.reason.as_deref())
    }
}

impl Describe for BackupEligibilityLearnt {
    fn text(&self, _: &Topic) -> String {
        let can = match self.backup_eligible {
            true => "can",
            false => "cannot",
        };
        format!("credential {} {can} be backed up", self.credential_id)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let id = &self.credential_id;
        Facts::of(1, Act::managed(Change::Updated, "credential", id))
    }
}

impl Describe for EnrolmentOpened {
    fn text(&self, topic: &Topic) -> String {
        let (of, until) = (holder(topic, ", for"), self.expires_at);
        format!("invitation to register a passkey until {until}{of}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        let id = self.enrolment_id;
        Facts::of(0, Act::managed(Change::Created, "enrolment", id))
    }
}
