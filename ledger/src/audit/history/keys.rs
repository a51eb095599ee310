//! Agent keys, task templates, and what agents do with their keys.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::agent_key::SHARED_KEY;
use crate::audit::check::Check;
use crate::event::{
    Actor, AggregateKind, AllowedOperation, Event, KeyCreated, KeyOrigin, Role, TaskCreated,
    TemplateCreated,
};
use crate::id::{AgentId, KeyId, UserId};
use crate::name::{AgentName, TemplateName};
use crate::question_time::QuestionTime;

/// How long an agent key may open a task, in seconds.
pub(super) const KEY_TTL: std::ops::RangeInclusive<u32> = 60..=86_400;

/// How long one may open a task that was opened for a write, in seconds: twice as long as a question waits.
pub(super) const WRITE_TTL: std::ops::RangeInclusive<u32> =
    2 * *QuestionTime::SECONDS.start()..=2 * *QuestionTime::SECONDS.end();

/// An agent key in force.
#[derive(Debug)]
pub(super) struct KeyState {
    agent_id: AgentId,
    /// The user who made or confirmed it.
    pub(super) minted_by: Option<UserId>,
}

impl KeyState {
    pub(super) const fn agent_id(&self) -> AgentId {
        self.agent_id
    }
}

/// A task template that stands.
#[derive(Debug)]
pub(super) struct TemplateState {
    name: TemplateName,
    agents: Vec<AgentId>,
    allowed: Vec<AllowedOperation>,
    expires_in_seconds: u32,
    needs_approval: bool,
    question_seconds: Option<u32>,
}

/// An agent as its key says.
pub(super) struct KeyActor<'a> {
    pub(super) agent_id: AgentId,
    pub(super) name: &'a AgentName,
    pub(super) key_id: KeyId,
}

impl History {
    /// The least role of a user who causes the event. A key that is shown to who made it is an administrator's to
    /// give; operators confirm those of their own agents.
    pub(super) fn role_for_keys(&mut self, event: &Event, user_id: UserId) -> Role {
        let Event::KeyCreated(created) = event else {
            return Role::Operator;
        };
        let owner = self.agent(created.agent_id).map(|agent| agent.owner);
        match (created.how, owner) {
            (KeyOrigin::Created, _) => Role::Admin,
            (KeyOrigin::Paired, Seen::Here(owner)) if owner != Some(user_id) => Role::Admin,
            // Whose an agent is that cannot be looked at nobody can tell.
            (KeyOrigin::Paired, _) => Role::Operator,
        }
    }

    pub(super) fn key_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::KeyCreated(created) => self.key_created(now, created),
            Event::KeyRevoked(_) => {
                self.goes_with_user(now);
                self.streams.put(stream, State::Ended(AggregateKind::Key));
            }
            _ => {}
        }
    }

    fn key_created(&mut self, now: &mut Now<'_>, created: &KeyCreated) {
        let stream = now.header.stream_id;
        let (key_id, agent_id) = (created.key_id, created.agent_id);
        now.expect(
            key_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins agent key {key_id} in stream {stream}"),
        );
        self.agent_unlocked(now, agent_id);
        let missing = || format!("agent {agent_id} was not registered before");
        self.agent(agent_id).or_tell(now, Check::Reference, missing);
        let is_new = self.agent_keys.insert(created.hash);
        self.is_first(now, is_new, || {
            format!("agent key {key_id} has the hash of an earlier one")
        });
        let mut minted_by = None;
        if let Actor::User { user_id, .. } = now.envelope.actor {
            minted_by = Some(user_id);
            self.minted.entry(user_id).or_default().push(stream);
        }
        let key = KeyState {
            agent_id,
            minted_by,
        };
        self.streams.put(stream, State::Key(Box::new(key)));
    }

    pub(super) fn template_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::TemplateCreated(created) => self.template_created(now, created),
            Event::TemplateDeleted(_) => {
                if let Some(State::Template(template)) = self.streams.state(stream) {
                    let name = template.name.clone();
                    self.templates.remove(&name);
                }
                self.streams
                    .put(stream, State::Ended(AggregateKind::Template));
            }
            _ => {}
        }
    }

    fn template_created(&mut self, now: &mut Now<'_>, created: &TemplateCreated) {
        let stream = now.header.stream_id;
        let id = created.template_id;
        now.expect(
            id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins template {id} in stream {stream}"),
        );
        let is_free = self.templates.insert(created.name.clone());
        self.is_first(now, is_free, || {
            format!("a template named {:?} stands already", created.name)
        });
        for agent_id in &created.agents {
            let missing = || format!("agent {agent_id} was not registered before");
            self.agent(*agent_id)
                .or_tell(now, Check::Reference, missing);
        }
        let seconds = created.expires_in_seconds;
        now.expect(KEY_TTL.contains(&seconds), Check::TokenLife, || {
            format!("its tasks are to be open for {seconds} s, which is not within {KEY_TTL:?}")
        });
        if let Some(seconds) = created.question_seconds {
            let range = QuestionTime::SECONDS;
            now.expect(range.contains(&seconds), Check::Deadline, || {
                format!(
                    "questions of its tasks are to wait {seconds} s, which is not within {range:?}"
                )
            });
        }
        self.is_within_catalog(now, &created.allowed);
        let template = TemplateState {
            name: created.name.clone(),
            agents: created.agents.clone(),
            allowed: created.allowed.clone(),
            expires_in_seconds: seconds,
            needs_approval: created.needs_approval,
            question_seconds: created.question_seconds,
        };
        self.streams
            .put(stream, State::Template(Box::new(template)));
    }

    /// A task that an agent opens with its key is what its template says; no other task names one.
    pub(super) fn is_of_template(&mut self, now: &mut Now<'_>, created: &TaskCreated) {
        let agent = match &now.envelope.actor {
            Actor::AgentKey { agent_id, name, .. } => Some((*agent_id, name)),
            _ => None,
        };
        if created.write.is_some() {
            let own = agent == Some((created.agent_id, &created.agent));
            let alone = created.allowed.len() == 1 && created.template.is_none();
            return now.expect(
                own && alone && !created.agent_callbacks,
                Check::Write,
                || {
                    "it is for a write, and its agent did not open it with a key, or for more"
                        .to_owned()
                },
            );
        }
        let Some(from) = created.template else {
            return now.expect(agent.is_none(), Check::Template, || {
                "an agent opened it with its key, and not from a template".to_owned()
            });
        };
        let own = agent == Some((created.agent_id, &created.agent));
        now.expect(own, Check::Template, || {
            "it is from a template, and its agent did not open it with a key".to_owned()
        });
        let found = self.streams.find(from.template_id, |state| match state {
            State::Template(template) => Some(&**template),
            _ => None,
        });
        let missing = || format!("template {} did not stand", from.template_id);
        let Some(template) = found.or_tell(now, Check::Template, missing) else {
            return;
        };
        now.expect(
            template.agents.contains(&created.agent_id),
            Check::Template,
            || format!("its template is not for agent {}", created.agent_id),
        );
        let same = template.allowed == created.allowed
            && template.expires_in_seconds == created.token_ttl_seconds
            && template.needs_approval == from.needs_approval
            && (template.question_seconds.is_none()
                || template.question_seconds == created.question_seconds);
        now.expect(same, Check::Template, || {
            "it may do something else than its template says".to_owned()
        });
    }

    /// A key acts for its agent while it is in force, in tasks that a key of the agent opened, while their
    /// time lasts. The key that all agents have is not the ledger's.
    pub(super) fn is_key_of(&mut self, now: &mut Now<'_>, event: &Event, actor: &KeyActor<'_>) {
        let &KeyActor {
            agent_id,
            name,
            key_id,
        } = actor;
        if key_id != SHARED_KEY {
            let found = self.streams.find(key_id, |state| match state {
                State::Key(key) => Some(key.agent_id),
                _ => None,
            });
            let missing = || format!("agent key {key_id} was not in force");
            if let Some(of) = found.or_tell(now, Check::AgentKey, missing) {
                now.expect(of == agent_id, Check::AgentKey, || {
                    format!("agent key {key_id} is of agent {of}, not {agent_id}")
                });
            }
        }
        // Whether it may open the task is told where the task is looked at.
        if event.begins() && AggregateKind::of(event.event_type()) == Some(AggregateKind::Task) {
            return;
        }
        let Some((task_id, task)) = self.acts_in(now, event, name) else {
            return;
        };
        let own = task.agent_id == agent_id && task.agent == *name;
        now.expect(own, Check::Actor, || {
            format!("agent {name:?} acts, which is not that of its task")
        });
        let end = task.end_for_keys();
        now.expect(end.is_some(), Check::AgentKey, || {
            format!("agent key {key_id} acts in task {task_id}, which no key opened")
        });
        now.expect(
            end.is_none_or(|end| now.at() < end),
            Check::AgentKey,
            || format!("agent key {key_id} acts in task {task_id} after its time"),
        );
    }
}
