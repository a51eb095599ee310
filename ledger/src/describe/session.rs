//! Sessions, and logins that failed.

use super::user::of_user;
use super::{
    Act, Change, Describe, Facts, Reference, Severity, Status, Topic, Topics, counted, plain,
};
use crate::event::{
    FailuresCounted, LoginFailed, SessionEnded, SessionOpened, SessionProof, SteppedUp,
};
use crate::id::StreamId;

impl Describe for SessionOpened {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        let from = plain(&self.address);
        let how = match &self.proof {
            SessionProof::Password => "by password".to_owned(),
            SessionProof::Passkey(proof) => format!("by passkey {}", proof.credential_id),
            SessionProof::Continued { session_id, .. } => format!("instead of {session_id}"),
            SessionProof::SoftwareKey(proof) => {
                format!("by command-line key {}", proof.credential_id)
            }
        };
        let until = self.expires_at;
        format!("session{of} opened {how} from {from}, until {until}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(1, "session")
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let user = topics.of(self.user_id.into()).user;
        let topic = Topic {
            user,
            ..Topic::default()
        };
        topics.put(stream, topic);
    }

    fn rests_on(&self) -> Vec<Reference> {
        match &self.proof {
            SessionProof::Password => Vec::new(),
            SessionProof::Passkey(proof) => vec![Reference::Passkeys(proof.principal.clone())],
            SessionProof::Continued { session_id, .. } => {
                vec![Reference::Stream((*session_id).into())]
            }
            SessionProof::SoftwareKey(proof) => {
                vec![Reference::Passkeys(proof.principal.clone())]
            }
        }
    }
}

impl Describe for SteppedUp {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        let (credential, until) = (&self.proof.credential_id, self.until);
        format!("session{of} stepped up by passkey {credential}, until {until}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(1, "session")
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Passkeys(self.proof.principal.clone())]
    }
}

impl Describe for SessionEnded {
    fn text(&self, topic: &Topic) -> String {
        let of = of_user(topic, " of");
        format!("session{of} ended: {}", self.why.as_str())
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(1, Act::own(Change::Deleted, "session"))
    }
}

impl Describe for LoginFailed {
    fn text(&self, topic: &Topic) -> String {
        let whose = match self.user_id {
            Some(user) if topic.detailed => format!(" of user {user}"),
            Some(_) => " of a user".to_owned(),
            None => " of nobody known".to_owned(),
        };
        let (way, from) = (self.via.as_str(), plain(&self.address));
        format!("login{whose} by {way} from {from} failed")
    }

    fn facts(&self, _: &Topic) -> Facts {
        failed()
    }
}

impl Describe for FailuresCounted {
    fn text(&self, _: &Topic) -> String {
        let more = counted(self.count, "more failed login");
        format!("{more} from {} to {}", self.from, self.until)
    }

    fn facts(&self, _: &Topic) -> Facts {
        failed()
    }
}

fn failed() -> Facts {
    let facts = Facts::of(0, Act::own(Change::Created, "login"));
    facts.severity(Severity::Medium).status(Status::Failure)
}
