//! Agents and what they are granted.

use super::covered::Grants;
use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::event::{Event, Role};
use crate::id::{StreamId, UserId};
use crate::name::AgentName;

/// An agent.
#[derive(Debug)]
pub(super) struct AgentState {
    pub(super) name: AgentName,
    pub(super) grants: Grants,
    pub(super) permission_revision: u64,
    /// The user who answers for it.
    pub(super) owner: Option<UserId>,
}

impl History {
    /// The least role of a user who causes the event.
    pub(super) fn role_for_agents(
        &mut self,
        stream: StreamId,
        event: &Event,
        user_id: UserId,
    ) -> Role {
        let takes_away = match event {
            Event::AgentRegistered(_) => true,
            // Who confirms the code of an agent that is new answers for it.
            Event::AgentDescribed(described) => {
                !self.is_command_new && described.owner == Some(user_id)
            }
            Event::PermissionsReplaced(replaced) => match self.streams.state(stream) {
                Some(State::Agent(agent)) => agent.grants.include(&replaced.grants),
                _ => true,
            },
            _ => false,
        };
        match takes_away {
            true => Role::Operator,
            false => Role::Admin,
        }
    }

    pub(super) fn agent_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::AgentRegistered(registered) => {
                self.counts.agents += 1;
                now.expect(
                    registered.agent_id.as_bytes() == stream.as_bytes(),
                    Check::StreamIdentity,
                    || format!("it begins agent {} in stream {stream}", registered.agent_id),
                );
                let before = self.agents.insert(registered.name.clone(), stream);
                self.is_first(now, before.is_none(), || {
                    format!("agent {:?} was registered before", registered.name)
                });
                let agent = AgentState {
                    name: registered.name.clone(),
                    grants: Grants::default(),
                    permission_revision: 0,
                    owner: None,
                };
                self.streams.put(stream, State::Agent(Box::new(agent)));
            }
            Event::AgentDescribed(described) => {
                let before = match self.streams.state(stream) {
                    Some(State::Agent(agent)) => agent.owner,
                    _ => None,
                };
                // One who has gone meanwhile stays named.
                if let Some(owner) = described.owner.filter(|owner| Some(*owner) != before) {
                    let known = self
                        .streams
                        .find(owner, |state| matches!(state, State::User(_)).then_some(()));
                    known.or_tell(now, Check::Reference, || {
                        format!("user {owner}, who is to answer for it, was not there")
                    });
                }
                let position = now.position();
                self.descriptions.take(stream.into(), position, described);
                if let Some(State::Agent(agent)) = self.streams.state(stream) {
                    agent.owner = described.owner;
                }
            }
            Event::PermissionsReplaced(replaced) => {
                let Some(State::Agent(agent)) = self.streams.state(stream) else {
                    return;
                };
                let before = agent.permission_revision;
                now.expect(
                    Some(replaced.revision) == before.checked_add(1),
                    Check::PermissionRevision,
                    || {
                        format!(
                            "revision {} comes after revision {before}",
                            replaced.revision
                        )
                    },
                );
                agent.grants = Grants::of(&replaced.grants);
                agent.permission_revision = replaced.revision;
            }
            _ => {}
        }
    }
}
