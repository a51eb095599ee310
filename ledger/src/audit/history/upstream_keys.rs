//! Keys of upstreams: stored for one who is there, by who may, and erased when they end.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::audit::check::Check;
use crate::event::{
    Actor, AggregateKind, ErasedSubject, Event, LedgerErased, Role, StreamKind, UpstreamEnd,
    UpstreamEnded, UpstreamKeyEnd, UpstreamKeyOwner, UpstreamKeyRemoved, UpstreamKeyShared,
    UpstreamKeyStored, UpstreamKeyUnshared,
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

/// A key that agents share.
#[derive(Debug)]
struct SharedKey {
    /// The description that it was last said for.
    upstream: StreamId,
    base_url: String,
    secret: StreamId,
}

/// What is known of keys that were stored, by the streams that hold them sealed.
#[derive(Debug, Default)]
pub(super) struct UpstreamKeys {
    /// The keys that are stored now.
    stored: HashMap<(UpstreamKeyOwner, UpstreamName), StreamId>,
    /// The keys that agents share now.
    shared: HashMap<UpstreamName, SharedKey>,
    /// Whether the key of a sealed value was removed.
    secrets: HashMap<StreamId, bool>,
    /// The last address of each upstream that was opened.
    addresses: HashMap<UpstreamName, String>,
}

impl UpstreamKeys {
    /// Whether a key is stored for an upstream.
    fn are_for(&self, upstream: &UpstreamName) -> bool {
        let is_own = self.stored.keys().any(|(_, of)| of == upstream);
        is_own || self.shared.contains_key(upstream)
    }
}

impl UpstreamKeys {
    /// Whether a stream holds a sealed key that was removed.
    pub(super) fn was_removed(&self, stream: StreamId) -> bool {
        self.secrets.get(&stream) == Some(&true)
    }
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
                let unseen = self.unseen_before(now).filter(|_| !is_named);
                if let Some(why) = unseen {
                    now.cannot(Check::UpstreamKey, why);
                }
                now.expect(is_named || unseen.is_some(), Check::UpstreamKey, || {
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
            (UpstreamKeyOwner::User(_), UpstreamKeyEnd::UpstreamEnded) => {
                let reason = "a key goes with an upstream that was opened, and is a user's";
                now.wrong(Check::UpstreamKey, reason);
            }
            (UpstreamKeyOwner::User(_), UpstreamKeyEnd::OwnerDeleted)
            | (
                UpstreamKeyOwner::Agent(_),
                UpstreamKeyEnd::Removed | UpstreamKeyEnd::Replaced | UpstreamKeyEnd::UpstreamEnded,
            ) => {}
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

    pub(super) fn key_shared(&mut self, now: &mut Now<'_>, shared: &UpstreamKeyShared) {
        let stream = now.header.stream_id;
        self.is_named(now, &shared.name);
        let upstream = self.upstreams.get(&shared.name);
        let base_url = upstream.map_or_else(String::new, |upstream| upstream.base_url.clone());
        let secret = StreamId::from(shared.secret_id);
        match self.upstream_keys.shared.get(&shared.name) {
            Some(known) => {
                let goes_on = known.secret == secret
                    && known.upstream != stream
                    && known.base_url == base_url;
                now.expect(goes_on, Check::UpstreamKey, || {
                    format!("agents share another key of {} already", shared.name)
                });
            }
            None => {
                let secrets = &mut self.upstream_keys.secrets;
                let is_new = secrets.insert(secret, false).is_none();
                now.expect(is_new, Check::UpstreamKey, || {
                    format!("another key is sealed in stream {secret}")
                });
            }
        }
        let known = SharedKey {
            upstream: stream,
            base_url,
            secret,
        };
        self.upstream_keys.shared.insert(shared.name.clone(), known);
    }

    pub(super) fn key_unshared(&mut self, now: &mut Now<'_>, unshared: &UpstreamKeyUnshared) {
        let stream = now.header.stream_id;
        self.is_named(now, &unshared.name);
        let known = self.upstream_keys.shared.remove(&unshared.name);
        let is_shared = known.as_ref().is_some_and(|known| known.upstream == stream);
        now.expect(is_shared, Check::UpstreamKey, || {
            format!("agents share no key of {}", unshared.name)
        });
        if let Some(known) = known {
            self.upstream_keys.secrets.insert(known.secret, true);
        }
        let is_of_user = unshared.why == UpstreamKeyEnd::OwnerDeleted;
        now.expect(!is_of_user, Check::UpstreamKey, || {
            "a key goes with its user, and is of all agents".to_owned()
        });
    }

    /// What is said of the key of an upstream stands with the upstream.
    fn is_named(&mut self, now: &mut Now<'_>, name: &UpstreamName) {
        let stream = now.header.stream_id;
        if let Some(State::Upstream(known)) = self.streams.state(stream) {
            let same = known == name;
            now.expect(same, Check::UpstreamKey, || {
                "it says another name than the API was opened under".to_owned()
            });
        }
    }

    /// An upstream that is removed leaves no key.
    pub(super) fn upstream_leaves_no_key(&self, now: &mut Now<'_>, ended: &UpstreamEnded) {
        let is_removed = ended.why == UpstreamEnd::Removed;
        let is_left = is_removed && self.upstream_keys.are_for(&ended.name);
        now.expect(!is_left, Check::UpstreamKey, || {
            "the upstream is removed, and a key that is stored for it is left".to_owned()
        });
    }

    /// Keys are not led elsewhere by another description.
    pub(super) fn upstream_leads_no_key_elsewhere(
        &mut self,
        now: &mut Now<'_>,
        name: &UpstreamName,
        base_url: &str,
    ) {
        let keys = &mut self.upstream_keys;
        let before = keys.addresses.insert(name.clone(), base_url.to_owned());
        let has_moved = before.is_some_and(|before| before != base_url);
        let is_led = has_moved && keys.are_for(name);
        now.expect(!is_led, Check::UpstreamKey, || {
            format!("the upstream is at {base_url} now, and a key that was stored for another address is left")
        });
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
