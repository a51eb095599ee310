//! Approvals: who was asked, what they saw, how they decided.

use super::{
    Act, Call, Describe, Effect, Facts, Severity, Status, Topic, Topics, all_named, because, named,
    number, plain, quoted, thumbprint,
};
use crate::event::{
    ApprovalCancelled, ApprovalConsumed, ApprovalDecided, ApprovalExpired, ApprovalNarrowed,
    ApprovalReleased, ApprovalRequested, Approved, AskedByPolicy, Denied, PreState,
    PreStateRecorded, VoteLoss, VoteVoided, VoteWithdrawn, Voted,
};
use crate::id::StreamId;
use crate::name::ApproverName;
use crate::operation::shown;
use crate::policy::{Need, NeedGroup};

impl Describe for ApprovalRequested {
    fn text(&self, topic: &Topic) -> String {
        let asked = asked_of(&self.approvers, self.policy.as_ref(), topic);
        let until = self.expires_at;
        let text = format!("approval asked of {asked} until {until}");
        match topic.alone {
            true => {
                let (agent, operations) = (plain(&self.agent), topic.operations.join("; "));
                format!("{text}, for agent {agent}: {operations}")
            }
            false => text,
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::created(1, "approval")
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let mut topic = Topic::of(self.task_id, Some(&self.agent));
        topic.asked = self.approvers.iter().map(ToString::to_string).collect();
        topic.operations = topics.of(self.apply_id.into()).operations;
        topics.put(stream, topic);
    }
}

/// Who is asked: by name where any one of the approvers answers, else by what is needed.
pub(super) fn asked_of(
    approvers: &[ApproverName],
    policy: Option<&AskedByPolicy>,
    topic: &Topic,
) -> String {
    let needs = policy.map(|policy| &policy.requirement.get().needs);
    match needs {
        Some(needs) if !needs.iter().all(Need::is_one_approver) => {
            let needs = needs.iter().map(|need| {
                let of = match need.group {
                    NeedGroup::Default => all_named(approvers, topic),
                    NeedGroup::Group(id) => format!("group {id}"),
                };
                format!("{} of {of}", need.n)
            });
            needs.collect::<Vec<_>>().join(" and ")
        }
        _ => all_named(approvers, topic),
    }
}

impl Describe for PreStateRecorded {
    fn text(&self, topic: &Topic) -> String {
        let found = |state: &&PreState| matches!(state, PreState::Found(_));
        let mut text = format!(
            "read upstream what would change for {} of {}",
            self.operations.iter().filter(found).count(),
            number(self.operations.len(), "operation")
        );
        for state in &self.operations {
            if let PreState::Unavailable(why) = state
                && topic.detailed
            {
                text.push_str(&format!("; not readable: {}", quoted(why)));
            }
        }
        text
    }

    fn facts(&self, _: &Topic) -> Facts {
        let call = Call {
            effect: Effect::Reads,
            operation: "read what would change".to_owned(),
            upstream: true,
            ..Call::default()
        };
        Facts::of(3, Act::Call(Box::new(call)))
    }
}

impl Describe for ApprovalNarrowed {
    fn text(&self, topic: &Topic) -> String {
        format!("only {} may decide", all_named(&self.approvers, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(3, "approval").detail("narrowed")
    }
}

impl ApprovalDecided {
    fn text(&self, verb: &str, topic: &Topic) -> String {
        let mut text = format!("{verb} by {}", named(&self.principal, topic));
        if topic.detailed {
            let (id, key) = (&self.credential_id, &self.public_key_thumbprint);
            let what = match self.challenge {
                None => "passkey",
                Some(_) => "command-line key",
            };
            text = format!(
                "{text} with {what} {} (key {})",
                shown(&id.to_base64url(), 16),
                thumbprint(key)
            );
        }
        text.push_str(&because(self.reason.as_deref(), topic));
        if let Some(said) = self.on_screen.as_ref().filter(|_| topic.detailed) {
            let (seen, whole) = (said.operations.len(), said.to_the_end.len());
            text.push_str(&format!(
                "; the browser says that {} on its screen, {whole} to the end",
                match seen {
                    1 => "1 operation was".to_owned(),
                    many => format!("{many} operations were"),
                }
            ));
        }
        text
    }

    fn facts(&self, status: Status) -> Facts {
        let credential_id = self.credential_id.clone();
        Facts {
            severity: Severity::Low,
            status,
            detail: self.reason.clone(),
            ..Facts::of(
                2,
                Act::Decision {
                    credential_id,
                    is_passkey: self.is_by_passkey(),
                },
            )
        }
    }
}

impl Describe for Approved {
    fn text(&self, topic: &Topic) -> String {
        self.0.text("approved", topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        self.0.facts(Status::Success)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        if let Some(topic) = topics.known(stream) {
            topic.approved_by = Some(self.0.principal.to_string());
        }
    }
}

impl Describe for Denied {
    fn text(&self, topic: &Topic) -> String {
        self.0.text("denied", topic)
    }

    fn facts(&self, _: &Topic) -> Facts {
        self.0.facts(Status::Failure)
    }
}

impl Describe for Voted {
    fn text(&self, topic: &Topic) -> String {
        let text = self.0.text("vote to approve", topic);
        format!("{text}; others are needed too")
    }

    fn facts(&self, _: &Topic) -> Facts {
        // Nothing is permitted by it.
        let facts = Facts::updated(2, "approval").detail("voted");
        facts.comment(self.0.reason.as_deref())
    }
}

impl Describe for VoteWithdrawn {
    fn text(&self, topic: &Topic) -> String {
        format!("vote of {} withdrawn", named(&self.principal, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "approval").detail("vote_withdrawn")
    }
}

impl Describe for VoteVoided {
    fn text(&self, topic: &Topic) -> String {
        let why = match self.why {
            VoteLoss::User => "the user was disabled or deleted",
            VoteLoss::Passkey => "the passkey was revoked",
            VoteLoss::Group => "the person is in no group that is needed",
            VoteLoss::Excluded => "the person may not answer this",
            VoteLoss::Lock => "a lock was set on the user or the passkey",
        };
        format!("vote of {} void: {why}", named(&self.principal, topic))
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "approval").detail("vote_voided")
    }
}

impl Describe for ApprovalExpired {
    fn text(&self, _: &Topic) -> String {
        let why = match self.was_approved {
            true => "approved but not continued",
            false => "nobody decided",
        };
        format!("approval expired at {}: {why}", self.deadline)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(2, "approval").severity(Severity::Low);
        facts.detail("expired")
    }
}

impl Describe for ApprovalCancelled {
    fn text(&self, _: &Topic) -> String {
        match &self.comment {
            Some(comment) => format!("approval cancelled: {}: {comment}", self.reason),
            None => format!("approval cancelled: {}", self.reason),
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(2, "approval").detail("cancelled");
        facts.comment(Some(self.comment.as_deref().unwrap_or(&self.reason)))
    }
}

impl Describe for ApprovalReleased {
    fn text(&self, topic: &Topic) -> String {
        let text = format!("approval given back by apply {}", self.apply_id);
        match topic.detailed {
            true => format!("{text}; it can be used again until {}", self.usable_until),
            false => text,
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "approval").detail("released")
    }
}

impl Describe for ApprovalConsumed {
    fn text(&self, _: &Topic) -> String {
        format!("approval used by apply {}", self.apply_id)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "approval").detail("consumed")
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let by = topics
            .known(stream)
            .and_then(|topic| topic.approved_by.clone());
        if let Some(apply) = topics.known(self.apply_id.into()) {
            apply.approved_by = by;
        }
    }
}
