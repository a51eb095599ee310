//! Users: names that are one living user's, and an administrator who is always left.

use super::streams::State;
use super::{History, Now};
use crate::aggregate::{Aggregate as _, User};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::event::{Actor, AggregateKind, CredentialStatus, Event, Role, UserCreated};
use crate::id::{CommandId, StreamId, UserId};
use crate::label::UserName;

/// A user who was disabled or deleted by a command.
#[derive(Debug)]
pub(super) struct Departure {
    command_id: CommandId,
    user_id: UserId,
    /// The first event by which the command revokes a key.
    revoked_at: Option<u64>,
}

impl History {
    pub(super) fn user_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        let before = match self.streams.state(stream) {
            Some(State::User(user)) => Some(User::clone(user)),
            _ => None,
        };
        let mut after = before.clone();
        User::evolve(&mut after, event, now.at());
        let Some(after) = after else { return };
        if let Event::UserCreated(created) = event {
            now.expect(
                created.user_id.as_bytes() == stream.as_bytes(),
                Check::StreamIdentity,
                || format!("it begins user {} in stream {stream}", created.user_id),
            );
            self.maybe_first(now, created);
        }
        let name = before.as_ref().map(|user| &user.name);
        if name != Some(&after.name) {
            self.user_named(now, name, &after.name);
        }
        let is_first_password = before.as_ref().is_some_and(|user| user.password.is_none())
            && matches!(event, Event::PasswordSet(_));
        if is_first_password
            && matches!(now.envelope.actor, Actor::User { user_id, .. } if user_id == after.id)
        {
            self.check_shown_by(now, after.id);
        }
        if let Event::UserDeleted(_) = event {
            self.user_gone(now, &after);
        }
        if let Event::PrincipalLinked(linked) = event {
            self.principal_linked(now, after.id, &linked.principal, &linked.proof);
        }
        self.check_devices(now, before.as_ref(), event, after.id);
        if let Some(before) = before {
            if after.deleted || after.disabled && !before.disabled {
                self.departure = Some(Departure {
                    command_id: now.envelope.command_id,
                    user_id: after.id,
                    revoked_at: None,
                });
            }
            self.is_admin_left(now, &before, &after);
        }
        let state = match after.deleted {
            true => State::Ended(AggregateKind::User),
            false => State::User(Box::new(after)),
        };
        self.streams.put(stream, state);
    }

    fn user_named(&mut self, now: &mut Now<'_>, before: Option<&UserName>, name: &UserName) {
        if let Some(before) = before {
            self.users.remove(before);
        }
        let holder = self.users.insert(name.clone(), now.header.stream_id);
        self.is_first(now, holder.is_none(), || {
            format!("a living user is called {name:?}")
        });
    }

    fn user_gone(&mut self, now: &mut Now<'_>, user: &User) {
        self.users.remove(&user.name);
        self.upstream_keys_gone(now, user.id);
        for group in self.groups.values() {
            if let Some(State::Group(group)) = self.streams.state(*group) {
                now.expect(!group.members.contains(&user.id), Check::Membership, || {
                    format!("the user is deleted as a member of group {:?}", group.name)
                });
            }
        }
    }

    /// An operator makes an administrator with a passkey while no other can log in.
    fn maybe_first(&mut self, now: &Now<'_>, created: &UserCreated) {
        let is_operators = matches!(now.envelope.actor, Actor::Operator { .. });
        let may_be = is_operators && created.role == Role::Admin;
        let is_first = may_be && self.is_other_usable(now.header.stream_id) != Ok(true);
        self.first_admin = is_first.then_some((now.envelope.command_id, created.user_id));
    }

    /// A key that is revoked by the command that disables or deletes a user was minted by that user.
    pub(super) fn goes_with_user(&mut self, now: &mut Now<'_>) {
        let Some(departure) = &mut self.departure else {
            return;
        };
        let user_id = departure.user_id;
        departure.revoked_at.get_or_insert(now.position());
        // Of a key that is not there to be read nobody can tell.
        if let Some(State::Key(key)) = self.streams.state(now.header.stream_id) {
            let is_theirs = key.minted_by == Some(user_id);
            now.expect(is_theirs, Check::UserKeys, || {
                format!("it goes with user {user_id}, who did not make or confirm it")
            });
        }
    }

    /// Before each event, and at the end (`None`): a command that has revoked a key of a user with the user
    /// has revoked them all.
    pub(super) fn settle_departure(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let is_over = |departure: &mut Departure| next != Some(departure.command_id);
        let Some(departure) = self.departure.take_if(is_over) else {
            return;
        };
        let Some(position) = departure.revoked_at else {
            return;
        };
        let user_id = departure.user_id;
        let minted = self.minted.remove(&user_id).unwrap_or_default();
        let mut minted = minted.into_iter();
        let left = minted.find(|key| matches!(self.streams.state(*key), Some(State::Key(_))));
        match left {
            // The commit may go on behind the last record.
            Some(_) if next.is_none() => {
                findings.cannot(position, Check::UserKeys, Obstacle::AfterRange);
            }
            Some(key) => {
                let reason = format!("key {key} of user {user_id} was left in force");
                findings.add(Some(position), Check::UserKeys, reason);
            }
            None if self.partial => {
                findings.cannot(position, Check::UserKeys, Obstacle::BeforeRange);
            }
            None => {}
        }
    }

    /// Where an administrator who could log in no longer can, another one must be there.
    fn is_admin_left(&mut self, now: &mut Now<'_>, before: &User, after: &User) {
        if self.is_usable(before) && !self.is_usable(after) {
            self.is_other_left(now, before);
        }
    }

    /// An administrator who can log in is there beside that one.
    pub(super) fn is_other_left(&mut self, now: &mut Now<'_>, user: &User) {
        // Those who are not here may be some.
        if self.is_excerpt {
            return;
        }
        let stream = StreamId::from(user.id);
        match self.is_other_usable(stream) {
            Ok(true) => return,
            Ok(false) => {}
            Err(why) => return now.cannot(Check::LastAdmin, why),
        }
        if self.partial {
            return now.cannot(Check::LastAdmin, Obstacle::BeforeRange);
        }
        let reason = "no administrator who can log in is left after it";
        now.wrong(Check::LastAdmin, reason);
    }

    /// Whether an administrator can log in whose stream is another one.
    fn is_other_usable(&mut self, stream: StreamId) -> Result<bool, Obstacle> {
        let others: Vec<StreamId> = self.users.values().copied().collect();
        let mut is_hidden = false;
        for other in others.into_iter().filter(|other| *other != stream) {
            let Some(State::User(other)) = self.streams.state(other) else {
                // One who cannot be looked at may be one.
                return Err(Obstacle::Erased);
            };
            let other = User::clone(other);
            if self.is_usable(&other) {
                return Ok(true);
            }
            // One whose passkeys cannot be looked at may be one too.
            let is_known = self.principals.contains_key(&other.principal());
            if other.role == Role::Admin && other.is_enabled() && !is_known {
                is_hidden |= !self.hidden_approvers.is_empty();
            }
        }
        is_hidden |= self.hidden_users.iter().any(|hidden| *hidden != stream);
        match is_hidden {
            true => Err(Obstacle::Erased),
            false => Ok(false),
        }
    }

    /// Whether the user is an administrator who can log in.
    pub(super) fn is_usable(&self, user: &User) -> bool {
        let own = self.principals.get(&user.principal());
        let has_passkey = || {
            self.credentials.values().any(|known| {
                Some(&known.approver) == own
                    && known.put.status == CredentialStatus::Active
                    && known.put.is_passkey()
            })
        };
        user.role == Role::Admin && user.is_enabled() && (user.password.is_some() || has_passkey())
    }
}
