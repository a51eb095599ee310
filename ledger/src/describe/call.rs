//! Calls that the proxies send on, and what they used.

use super::apply::by_policy;
use super::{
    Act, Call, Change, Describe, Effect, Facts, Reference, Status, Topic, Topics, counted, plain,
    took,
};
use crate::agent_key::SHARED_KEY;
use crate::event::{
    CallBegun, CallCredential, CallEnded, CallOutcome, CallRuling, CallSubject, RulingBasis,
    UpstreamKeyOwner, UsageRecorded,
};
use crate::id::{StreamId, TaskId};

/// The agent or user, in detail by the name.
fn of(owner: UpstreamKeyOwner, topic: &Topic) -> String {
    let name = match owner {
        UpstreamKeyOwner::User(_) => &topic.user,
        UpstreamKeyOwner::Agent(_) => &topic.agent,
    };
    match name {
        Some(name) if topic.detailed => format!(" of {} {}", owner.kind(), plain(name)),
        _ => String::new(),
    }
}

fn call(subject: &CallSubject) -> Call {
    Call {
        effect: match subject.changes() {
            true => Effect::Changes,
            false => Effect::Reads,
        },
        operation: subject.operation.clone(),
        service: Some(subject.upstream.to_string()),
        method: Some(subject.method.clone()),
        path: Some(subject.route.clone()),
        ..Call::default()
    }
}

/// What the policy said of it: `, since policy 3 says allow by office`, in detail alone.
fn ruled(ruling: Option<&CallRuling>, topic: &Topic) -> String {
    let basis = ruling
        .filter(|_| topic.detailed)
        .map(|ruling| &ruling.basis);
    match basis {
        None | Some(RulingBasis::NoDocument) => String::new(),
        Some(RulingBasis::Listed { version, .. }) => format!(", under policy {version}"),
        Some(RulingBasis::Evaluated { operations, .. }) => {
            let own = operations.first();
            own.map_or_else(String::new, |own| by_policy(&own.evaluation))
        }
    }
}

fn rests_on(subject: &CallSubject) -> Vec<Reference> {
    let mut streams = vec![Reference::Stream(subject.owner.stream())];
    streams.extend(match subject.credential {
        CallCredential::AgentKey(key_id) if key_id != SHARED_KEY => {
            Some(Reference::Stream(key_id.into()))
        }
        CallCredential::Session(session_id) => Some(Reference::Stream(session_id.into())),
        CallCredential::Token(_) => subject.task_id.map(|id| Reference::Stream(id.into())),
        CallCredential::AgentKey(_) => None,
    });
    streams
}

fn teach(
    owner: UpstreamKeyOwner,
    task_id: Option<TaskId>,
    stream: StreamId,
    topics: &mut dyn Topics,
) {
    let known = topics.of(owner.stream());
    let topic = Topic {
        task_id,
        user: known.user,
        agent: known.agent,
        ..Topic::default()
    };
    topics.put(stream, topic);
}

impl Describe for CallBegun {
    fn text(&self, topic: &Topic) -> String {
        let CallSubject {
            operation, method, ..
        } = &self.subject;
        let path = match topic.detailed {
            true => plain(&self.path),
            false => self.subject.route.clone(),
        };
        let of = of(self.subject.owner, topic);
        let ruled = ruled(self.ruling.as_ref(), topic);
        format!("call {operation}{of} is sent on: {method} {path}{ruled}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        let act = Act::Call(Box::new(call(&self.subject)));
        Facts::of(1, act).status(Status::Unknown).detail("begins")
    }

    fn rests_on(&self) -> Vec<Reference> {
        rests_on(&self.subject)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        teach(self.subject.owner, self.subject.task_id, stream, topics);
    }
}

impl Describe for CallEnded {
    fn text(&self, topic: &Topic) -> String {
        let how = match &self.outcome {
            CallOutcome::Answered { status } => format!("answered with {status}"),
            CallOutcome::BrokenOff { status } => {
                format!("answered with {status}, and the answer was broken off")
            }
            CallOutcome::Unanswered { why } => format!("not answered ({why})"),
        };
        let more = match topic.detailed {
            true => format!(
                ", {} up and {} down, after {}",
                counted(self.request_bytes, "byte"),
                counted(self.response_bytes, "byte"),
                took(self.duration_micros)
            ),
            false => String::new(),
        };
        let of = of(self.subject.owner, topic);
        let ruled = ruled(self.ruling.as_ref(), topic);
        format!("call {}{of} {how}{more}{ruled}", self.subject.operation)
    }

    fn facts(&self, _: &Topic) -> Facts {
        let mut call = call(&self.subject);
        call.duration_ms = Some(self.duration_micros / 1000);
        call.request.clone_from(&self.upstream_request_id);
        let (status, http_status, detail) = match &self.outcome {
            CallOutcome::Answered { status } if *status < 400 => {
                (Status::Success, Some(*status), None)
            }
            CallOutcome::Answered { status } => (Status::Failure, Some(*status), None),
            CallOutcome::BrokenOff { status } => (
                Status::Unknown,
                Some(*status),
                Some("broken off".to_owned()),
            ),
            CallOutcome::Unanswered { why } => (Status::Failure, None, Some(why.clone())),
        };
        call.http_status = http_status;
        Facts {
            status,
            detail,
            ..Facts::of(1, Act::Call(Box::new(call)))
        }
    }

    fn rests_on(&self) -> Vec<Reference> {
        rests_on(&self.subject)
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        teach(self.subject.owner, self.subject.task_id, stream, topics);
    }
}

impl Describe for UsageRecorded {
    fn text(&self, topic: &Topic) -> String {
        let model = match self.model.as_str() {
            "" => "an unnamed model".to_owned(),
            model => plain(model),
        };
        let counts = &self.counts;
        let mut text = format!(
            "{}{} used {} of {model}",
            counted(counts.requests, "call"),
            of(self.owner, topic),
            counted(counts.total_tokens(), "token"),
        );
        if topic.detailed {
            text = format!(
                "{text}: {} in, {} out, {} to caches, {} from them",
                counts.input_tokens,
                counts.output_tokens,
                counts
                    .cache_creation_5m
                    .saturating_add(counts.cache_creation_1h),
                counts.cache_read,
            );
            if counts.interrupted > 0 {
                text = format!("{text}; {} interrupted", counts.interrupted);
            }
        }
        text
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::of(1, Act::own(Change::Created, "usage"))
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Stream(self.owner.stream())]
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        teach(self.owner, self.task_id, stream, topics);
    }
}
