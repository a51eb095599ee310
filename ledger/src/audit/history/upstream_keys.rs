//! Keys of upstreams: stored for one who is there, by who may, and erased when they end.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::event::{
    Actor, AggregateKind, ErasedSubject, Event, LedgerErased, Role, StreamKind, UpstreamKeyEnd,
    UpstreamKeyOwner, UpstreamKeyRemoved, UpstreamKeyStored,
};
use crate::id::{StreamId, UserId};
use crate::name::UpstreamName;
use std::collections::HashMap;

/// A stored key.
#[derive(Debug)]
pub(super) struct KnownUpstreamKey {
    owner: UpstreamKeyOwner,
    upstream: UpstreamName,
    secret: StreamId,
}

/// What is known of keys that were stored, by the streams that hold them sealed.
#[derive(Debug, Default)]
pub(super) struct UpstreamKeys {
    /// The keys that are stored now.
    stored: HashMap<(UpstreamKeyOwner, UpstreamName), StreamId>,
    /// Whether the key of a sealed value was removed.
    secrets: HashMap<StreamId, bool>,
}

/// The least role of a user who causes the event: their own keys are every user's, an agent's an administrator's.
pub(super) const fn least_role(event: &Event) -> Role {
    match event {
        Event::UpstreamKeyStored(UpstreamKeyStored {
            owner: UpstreamKeyOwner::User(_),
            ..
        })
        | Event::UpstreamKeyRemoved(UpstreamKeyRemoved {
            owner: UpstreamKeyOwner::User(_),
            why: UpstreamKeyEnd::Removed | UpstreamKeyEnd::Replaced,
            ..
        })
        // They go with one of the two, which says whose the key is.
        | Event::UpstreamKeySealed(_)
        | Event::LedgerErased(LedgerErased {
            subject: ErasedSubject::UpstreamSecret(_),
            ..
        }) => Role::Viewer,
        _ => Role::Admin,
    }
}

impl History {
    pub(super) fn upstream_key_event(&mut self, now: &mut Now<'_>, event: &Event) {
        match event {
            Event::UpstreamKeyStored(stored) => self.upstream_key_stored(now, stored),
            Event::UpstreamKeyRemoved(removed) => self.upstream_key_removed(now, removed),
            Event::UpstreamKeySealed(sealed) => {
                let stream = now.header.stream_id;
                now.expect(
                    sealed.secret_id.as_bytes() == stream.as_bytes(),
                    Check::StreamIdentity,
                    || {
                        format!(
                            "it begins sealed key {} in stream {stream}",
                            sealed.secret_id
                        )
                    },
                );
                let is_named = self.upstream_keys.secrets.get(&stream) == Some(&false);
                now.expect(is_named, Check::UpstreamKey, || {
                    format!("no key that is stored says that it is sealed in stream {stream}")
                });
                let over = State::Ended(AggregateKind::UpstreamSecret);
                self.streams.put(stream, over);
            }
            _ => {}
        }
    }

    fn upstream_key_stored(&mut self, now: &mut Now<'_>, stored: &UpstreamKeyStored) {
        let stream = now.header.stream_id;
        now.expect(
            stored.key_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins stored key {} in stream {stream}", stored.key_id),
        );
        let owner = stored.owner;
        match owner {
            UpstreamKeyOwner::User(user_id) => {
                is_by(now, user_id);
                let there = self.streams.find(user_id, |state| match state {
                    State::User(user) => Some(user.is_enabled()),
                    _ => None,
                });
                let missing = || format!("user {user_id} was not there");
                let enabled = there.or_tell(now, Check::UpstreamKey, missing);
                now.expect(enabled != Some(false), Check::UpstreamKey, || {
                    format!("a key is stored for user {user_id}, who may do nothing")
                });
            }
            UpstreamKeyOwner::Agent(agent_id) => {
                let there = self.agent(agent_id).map(drop);
                let missing = || format!("agent {agent_id} was not registered before");
                there.or_tell(now, Check::Reference, missing);
            }
        }
        let secret = StreamId::from(stored.secret_id);
        let place = (owner, stored.upstream.clone());
        let before = self.upstream_keys.stored.insert(place, stream);
        now.expect(before.is_none(), Check::UpstreamKey, || {
            format!("a key of {} is stored there already", stored.upstream)
        });
        let is_new = self.upstream_keys.secrets.insert(secret, false).is_none();
        now.expect(is_new, Check::UpstreamKey, || {
            format!("another key is sealed in stream {secret}")
        });
        let known = KnownUpstreamKey {
            owner,
            upstream: stored.upstream.clone(),
            secret,
        };
        self.streams
            .put(stream, State::UpstreamKey(Box::new(known)));
    }

    fn upstream_key_removed(&mut self, now: &mut Now<'_>, removed: &UpstreamKeyRemoved) {
        let stream = now.header.stream_id;
        if let Some(State::UpstreamKey(known)) = self.streams.state(stream) {
            let same = known.owner == removed.owner && known.upstream == removed.upstream;
            let secret = known.secret;
            now.expect(same, Check::UpstreamKey, || {
                "it says another owner or upstream than the key was stored for".to_owned()
            });
            self.upstream_keys.secrets.insert(secret, true);
        }
        match (removed.owner, removed.why) {
            (UpstreamKeyOwner::User(_), UpstreamKeyEnd::OwnerDeleted)
            | (UpstreamKeyOwner::Agent(_), UpstreamKeyEnd::Removed | UpstreamKeyEnd::Replaced) => {}
            (UpstreamKeyOwner::User(user_id), _) => is_by(now, user_id),
            (UpstreamKeyOwner::Agent(_), UpstreamKeyEnd::OwnerDeleted) => {
                let reason = "a key goes with its user, and is an agent's";
                now.wrong(Check::UpstreamKey, reason);
            }
        }
        let place = (removed.owner, removed.upstream.clone());
        if self.upstream_keys.stored.get(&place) == Some(&stream) {
            self.upstream_keys.stored.remove(&place);
        }
        self.streams
            .put(stream, State::Ended(AggregateKind::UpstreamKey));
    }

    /// Sealed keys are erased once they were removed, by who removed them, and nothing else is by users.
    pub(super) fn upstream_secrets_erased(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        let is_of_secret = matches!(erased.subject, ErasedSubject::UpstreamSecret(_));
        let is_operator = matches!(now.envelope.actor, Actor::Operator { .. });
        now.expect(is_of_secret || is_operator, Check::Actor, || {
            "it erases something else than a stored key, and no operator asked for it".to_owned()
        });
        for stream in &erased.streams {
            let is_secret = stream.kind == StreamKind::UpstreamSecret;
            now.expect(is_secret == is_of_secret, Check::Erasure, || {
                format!("it erases stream {} besides its subject", stream.stream_id)
            });
            if !is_secret {
                continue;
            }
            let removed = match self.upstream_keys.secrets.get(&stream.stream_id) {
                Some(removed) => Seen::Here(*removed),
                None => self.streams.find(stream.stream_id, |_| None),
            };
            let missing = || format!("no key was sealed in stream {}", stream.stream_id);
            let removed = removed.or_tell(now, Check::UpstreamKey, missing);
            now.expect(removed != Some(false), Check::UpstreamKey, || {
                format!(
                    "it erases a key that is stored still, in stream {}",
                    stream.stream_id
                )
            });
        }
    }

    /// A user who is deleted leaves no key.
    pub(super) fn upstream_keys_gone(&self, now: &mut Now<'_>, user_id: UserId) {
        let owner = UpstreamKeyOwner::User(user_id);
        let left = self
            .upstream_keys
            .stored
            .keys()
            .find(|(of, _)| *of == owner);
        if let Some((_, upstream)) = left {
            let reason = format!("the user is deleted, and a key of {upstream} is left");
            now.wrong(Check::UpstreamKey, reason);
        }
    }
}

/// What is a user's own nobody else changes.
fn is_by(now: &mut Now<'_>, owner: UserId) {
    let actor = &now.envelope.actor;
    let is_own = matches!(actor, Actor::User { user_id, .. } if *user_id == owner);
    now.expect(is_own, Check::UpstreamKey, || {
        format!("the key is user {owner}'s, and another changes it")
    });
}
