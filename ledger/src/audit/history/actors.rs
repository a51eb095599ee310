//! The actors that can cause an event.
//!
//! The table of events holds the kinds of actor; what names an actor more closely (an agent's token, the passkey of a
//! decision) is held against what the event and the streams around it say.

use super::approvals::is_about_policy;
use super::besides::CANCELLED;
use super::keys::KeyActor;
use super::locks;
use super::streams::{Seen, State};
use super::tasks::TaskState;
use super::upstream_keys;
use super::votes::{VOTE_VOIDED, VOTE_WITHDRAWN};
use super::{History, Now};
use crate::audit::check::Check;
use crate::event::{Actor, AggregateKind, Event, Role};
use crate::id::{SessionId, StreamId, TaskId, TokenId, UserId};
use crate::name::{AgentName, ApproverName, ClientSubject, CredentialId};

/// The numbers of `user.password_set`, `user.sessions_ended`, `user.principal_linked`, `user.device_added` and
/// `user.device_removed`, which users cause of themselves.
const OWN: [u16; 5] = [72, 74, 75, 76, 77];

impl History {
    pub(super) fn check_actor(&mut self, now: &mut Now<'_>, event: &Event) {
        let envelope = now.envelope;
        let able = event.kind().map_or(&[][..], |kind| kind.causes);
        // A delivery that is owed has the actor of the event that it reports.
        if able.is_empty() {
            return;
        }
        if !able.iter().any(|who| who.is(&envelope.actor)) {
            let reason = format!("{} cannot cause {}", envelope.actor, event.name());
            return now.wrong(Check::Actor, reason);
        }
        match &envelope.actor {
            Actor::Agent {
                agent,
                subject,
                token,
            } => self.is_agent_of(now, event, (agent, subject, *token)),
            Actor::Approver {
                principal,
                credential_id,
            } => self.is_approver_of(now, event, principal, credential_id),
            Actor::User {
                user_id, via_id, ..
            } => self.is_user_of(now, event, *user_id, *via_id),
            Actor::System { .. }
            | Actor::Administrator { .. }
            | Actor::Operator { .. }
            | Actor::Service { .. } => {}
            Actor::AgentKey {
                agent_id,
                name,
                key_id,
                subject: _,
            } => {
                let (agent_id, key_id) = (*agent_id, *key_id);
                let actor = KeyActor {
                    agent_id,
                    name,
                    key_id,
                };
                self.is_key_of(now, event, &actor);
            }
        }
    }

    /// The token is of the event's task and in force, and the agent and subject are the token's.
    fn is_agent_of(
        &mut self,
        now: &mut Now<'_>,
        event: &Event,
        (agent, subject, id): (&AgentName, &ClientSubject, TokenId),
    ) {
        let Some((_, task)) = self.acts_in(now, event, agent) else {
            return;
        };
        let (agent_id, token) = (task.agent_id, task.token(id));
        let named = task.agent == *agent && task.subject == *subject;
        now.expect(named, Check::Actor, || {
            format!(
                "agent {agent:?} with subject {subject:?} acts, which are not those of its task"
            )
        });
        let Some(token) = token else {
            let reason = format!("token {id}, with which the agent acts, is not of its task");
            return now.wrong(Check::Actor, reason);
        };
        // A renewal presents a token that has ended, and closing revokes the one that asks for it.
        if event.kind().is_some_and(|kind| kind.traits.outlives_token) {
            return;
        }
        let in_force = !token.revoked && now.at() < token.expires_at;
        now.expect(in_force, Check::Token, || {
            format!("token {id} was revoked, or ended at {}", token.expires_at)
        });
        let revision = self.agent(agent_id).map(|agent| agent.permission_revision);
        if let Some(revision) = revision.or_tell(now, Check::Token, String::new) {
            now.expect(token.permission_revision >= revision, Check::Token, || {
                format!("token {id} speaks for grants that have changed since")
            });
        }
    }

    /// The open task in which an agent acts. What is wrong with it, or cannot be seen, is told.
    pub(super) fn acts_in(
        &mut self,
        now: &mut Now<'_>,
        event: &Event,
        agent: &AgentName,
    ) -> Option<(TaskId, &TaskState)> {
        let task_id = match self.task_of(now.header.stream_id, event) {
            Seen::Here(task_id) => task_id,
            Seen::Hidden(why) => {
                now.cannot(Check::Actor, why);
                return None;
            }
            // What is wrong with the stream is told where the event is looked at.
            Seen::Erased | Seen::Never => return None,
        };
        let task = self.streams.find(task_id, |state| match state {
            State::Task(task) => Some(&**task),
            _ => None,
        });
        let closed = || format!("agent {agent:?} acts in task {task_id}, which is not open");
        let task = task.or_tell(now, Check::Actor, closed)?;
        Some((task_id, task))
    }

    /// The session was the user's and valid when its command began, and the user had the role that its events
    /// take.
    fn is_user_of(
        &mut self,
        now: &mut Now<'_>,
        event: &Event,
        user_id: UserId,
        session: SessionId,
    ) {
        let stream = now.header.stream_id;
        // A login opens the session by which it acts.
        if *session.as_bytes() == *stream.as_bytes() && event.begins() {
            self.acting = Some(Role::Viewer);
            return;
        }
        if self.is_command_new {
            self.acting = self.acting_role(now, user_id, session);
            self.acts_unlocked(now, user_id, session);
        }
        // What a command has changed does not count against the rest of it.
        let Some(role) = self.acting else { return };
        let least = self.least_role(stream, event, user_id);
        now.expect(role >= least, Check::Actor, || {
            let (role, least) = (role.as_str(), least.as_str());
            format!("user {user_id} acts as {role}, and it takes the role {least}")
        });
    }

    fn acting_role(
        &mut self,
        now: &mut Now<'_>,
        user_id: UserId,
        session: SessionId,
    ) -> Option<Role> {
        let invalid = || format!("user {user_id} acts by session {session}, which is not valid");
        let user = self.acting_user(now, session);
        let user = user.or_tell(now, Check::Actor, invalid)?;
        now.expect(user.id == user_id, Check::Actor, || {
            format!("session {session}, by which user {user_id} acts, is another's")
        });
        Some(user.role)
    }

    /// The least role of a user who causes the event: taking away is an operator's, giving an administrator's.
    /// What is the user's own takes none but that of a viewer.
    fn least_role(&mut self, stream: StreamId, event: &Event, user_id: UserId) -> Role {
        match AggregateKind::of(event.event_type()) {
            Some(AggregateKind::Approval) if event.event_type() == VOTE_WITHDRAWN => Role::Viewer,
            Some(AggregateKind::Approval) if is_about_policy(event) => Role::Admin,
            Some(
                AggregateKind::Task
                | AggregateKind::Apply
                | AggregateKind::Approval
                | AggregateKind::Delivery
                | AggregateKind::Template
                | AggregateKind::Clearance
                | AggregateKind::Admission
                | AggregateKind::Schedule,
            ) => Role::Operator,
            Some(AggregateKind::Lock) => locks::least_role(event),
            Some(
                AggregateKind::UpstreamKey | AggregateKind::UpstreamSecret | AggregateKind::Ledger,
            ) => upstream_keys::least_role(event),
            Some(AggregateKind::Upstream) => Role::Admin,
            Some(AggregateKind::Agent) => self.role_for_agents(stream, event, user_id),
            Some(AggregateKind::Approver) => self.role_for_passkeys(stream, event, user_id),
            Some(AggregateKind::Key) => self.role_for_keys(event, user_id),
            Some(AggregateKind::Session) => self.role_for_sessions(stream, event, user_id),
            Some(AggregateKind::User)
                if OWN.contains(&event.event_type())
                    && *stream.as_bytes() == *user_id.as_bytes() =>
            {
                Role::Viewer
            }
            Some(
                AggregateKind::User
                | AggregateKind::Group
                | AggregateKind::Policy
                | AggregateKind::Call
                | AggregateKind::Usage
                | AggregateKind::AssetUpload,
            )
            | None => Role::Admin,
        }
    }

    /// The task that an event belongs to.
    pub(super) fn task_of(&mut self, stream: StreamId, event: &Event) -> Seen<TaskId> {
        if let Some(task_id) = event.task_id() {
            return Seen::Here(task_id);
        }
        self.streams.find(stream, |state| match state {
            State::Task(_) | State::ClosedTask(_) => Some(TaskId::from_bytes(*stream.as_bytes())),
            State::Apply(apply) => Some(apply.task_id),
            State::Approval(question) => question.task_id(),
            _ => None,
        })
    }

    /// The approver and the passkey are those that the event is about.
    fn is_approver_of(
        &mut self,
        now: &mut Now<'_>,
        event: &Event,
        principal: &ApproverName,
        credential: &CredentialId,
    ) {
        let stream = now.header.stream_id;
        let fits = match event {
            Event::ApprovalExpired(_) => match self.streams.state(stream) {
                // Who finds a deadline passed is one of those who are asked; members of groups are not listed.
                Some(State::Approval(question)) => {
                    question.approvers.contains(principal) || !question.groups().is_empty()
                }
                _ => return,
            },
            Event::CredentialPut(put) => {
                put.enrolment_id.is_some()
                    && put.credential_id == *credential
                    && self.holder_is(stream, principal)
            }
            Event::BackupEligibilityLearnt(learnt) => {
                learnt.credential_id == *credential && self.holder_is(stream, principal)
            }
            // Held to its decision where clearances are looked at.
            of_clearance
                if AggregateKind::of(of_clearance.event_type())
                    == Some(AggregateKind::Clearance) =>
            {
                true
            }
            // With an approved change of the policy others are withdrawn.
            cancelled
                if cancelled.event_type() == CANCELLED
                    && (self.is_changing(now) || self.unseen_before(now).is_some()) =>
            {
                return;
            }
            // Whose votes are void is found by who votes next.
            voided if voided.event_type() == VOTE_VOIDED => return,
            _ => match event.answer() {
                Some((_, decided)) => {
                    decided.principal == *principal && decided.credential_id == *credential
                }
                None => self.is_use_by(now, principal),
            },
        };
        now.expect(fits, Check::Actor, || {
            format!("approver {principal:?} with passkey {credential} is not who it is about")
        });
    }
}
