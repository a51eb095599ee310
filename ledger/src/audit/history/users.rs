//! Users: names that are one living user's, and an administrator who is always left.

use super::streams::State;
use super::{History, Now};
use crate::aggregate::{Aggregate as _, User};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{AggregateKind, CredentialStatus, Event, Role};
use crate::id::StreamId;
use crate::label::UserName;

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
        }
        let name = before.as_ref().map(|user| &user.name);
        if name != Some(&after.name) {
            self.user_named(now, name, &after.name);
        }
        if let Event::UserDeleted(_) = event {
            self.user_gone(now, &after);
        }
        if let Event::PrincipalLinked(linked) = event {
            self.principal_linked(now, after.id, &linked.principal, &linked.proof);
        }
        if let Some(before) = before {
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
        for group in self.groups.values() {
            if let Some(State::Group(group)) = self.streams.state(*group) {
                now.expect(!group.members.contains(&user.id), Check::Membership, || {
                    format!("the user is deleted as a member of group {:?}", group.name)
                });
            }
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
        let others: Vec<StreamId> = self.users.values().copied().collect();
        for other in others.into_iter().filter(|other| *other != stream) {
            let Some(State::User(other)) = self.streams.state(other) else {
                // One who cannot be looked at may be one.
                return now.cannot(Check::LastAdmin, Obstacle::Erased);
            };
            let other = User::clone(other);
            if self.is_usable(&other) {
                return;
            }
        }
        if self.partial {
            return now.cannot(Check::LastAdmin, Obstacle::BeforeRange);
        }
        let reason = "no administrator who can log in is left after it";
        now.wrong(Check::LastAdmin, reason);
    }

    /// Whether the user is an administrator who can log in.
    pub(super) fn is_usable(&self, user: &User) -> bool {
        let own = self.principals.get(&user.principal());
        let has_passkey = || {
            self.credentials.values().any(|known| {
                Some(&known.approver) == own && known.put.status == CredentialStatus::Active
            })
        };
        user.role == Role::Admin && user.is_enabled() && (user.password.is_some() || has_passkey())
    }
}
