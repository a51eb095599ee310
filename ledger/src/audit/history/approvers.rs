//! Approvers, their credentials and invitations.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::User;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{
    Actor, BackupEligibilityLearnt, CredentialPut, CredentialStatus, Event, KeptCounter, Role,
};
use crate::id::{EnrolmentId, StreamId, UserId};
use crate::name::{ApproverName, CredentialId};
use crate::software_key::CredentialKey;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// How long an invitation is good at most.
const INVITATION_LIFE: Duration = Duration::from_secs(15 * 60);

/// A principal with its invitations.
#[derive(Debug)]
pub(super) struct ApproverState {
    pub(super) principal: ApproverName,
    /// Its credentials in the order in which they were first put.
    credentials: Vec<CredentialId>,
    enrolments: HashMap<EnrolmentId, Invitation>,
}

#[derive(Debug, Clone, Copy)]
struct Invitation {
    opened_at: Timestamp,
    expires_at: Timestamp,
    used: bool,
}

impl ApproverState {
    /// Its credentials in the order in which they were first put.
    pub(super) fn credentials(&self) -> &[CredentialId] {
        &self.credentials
    }

    /// The credential at that place, in the order in which they were first put.
    pub(super) fn credential(&self, index: u32) -> Option<&CredentialId> {
        self.credentials.get(usize::try_from(index).ok()?)
    }
}

/// A credential as it was registered last; cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct KnownCredential {
    /// Whose.
    pub(super) approver: StreamId,
    /// As its newest event says.
    pub(super) put: Arc<CredentialPut>,
    /// As that says, or was learnt since.
    pub(super) backup_eligible: Option<bool>,
    /// The key, where it is sound.
    pub(super) key: Option<CredentialKey>,
    /// Where this key was registered, and by whom.
    pub(super) position: u64,
    pub(super) registered_by: Arc<str>,
    /// The signature counter.
    pub(super) counter: u32,
}

impl History {
    pub(super) fn approver_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::ApproverRegistered(registered) => {
                self.counts.approvers += 1;
                now.expect(
                    registered.approver_id.as_bytes() == stream.as_bytes(),
                    Check::StreamIdentity,
                    || {
                        format!(
                            "it begins approver {} in stream {stream}",
                            registered.approver_id
                        )
                    },
                );
                let before = self.principals.insert(registered.principal.clone(), stream);
                self.is_first(now, before.is_none(), || {
                    format!("approver {:?} was registered before", registered.principal)
                });
                let approver = ApproverState {
                    principal: registered.principal.clone(),
                    credentials: Vec::new(),
                    enrolments: HashMap::new(),
                };
                self.streams
                    .put(stream, State::Approver(Box::new(approver)));
            }
            Event::CredentialPut(put) => {
                if put.status == CredentialStatus::Revoked {
                    self.check_shown(now, stream);
                }
                self.check_kept(now, put);
                let admin = self.admin_before(stream, put);
                self.credential_put(now, put);
                if let Some(admin) = admin.filter(|admin| !self.is_usable(admin)) {
                    self.is_other_left(now, &admin);
                }
            }
            Event::BackupEligibilityLearnt(learnt) => self.eligibility_learnt(now, learnt),
            Event::EnrolmentOpened(opened) => {
                self.check_shown(now, stream);
                now.expect(
                    now.header.recorded_at < opened.expires_at,
                    Check::Enrolment,
                    || {
                        format!(
                            "the invitation ended at {} before it was made",
                            opened.expires_at
                        )
                    },
                );
                let most = now.at().plus(INVITATION_LIFE);
                now.expect(opened.expires_at <= most, Check::Enrolment, || {
                    format!(
                        "the invitation is good until {}, which is longer than they are",
                        opened.expires_at
                    )
                });
                if let Some(State::Approver(approver)) = self.streams.state(stream) {
                    let invitation = Invitation {
                        opened_at: now.at(),
                        expires_at: opened.expires_at,
                        used: false,
                    };
                    let before = approver.enrolments.insert(opened.enrolment_id, invitation);
                    now.expect(before.is_none(), Check::Unique, || {
                        format!("invitation {} was made before", opened.enrolment_id)
                    });
                }
            }
            _ => {}
        }
    }

    /// The credential is of this principal, as far as its holder can be seen.
    pub(super) fn check_holder(
        &mut self,
        now: &mut Now<'_>,
        known: &KnownCredential,
        principal: &ApproverName,
    ) {
        let id = &known.put.credential_id;
        match self.streams.state(known.approver) {
            Some(State::Approver(approver)) => {
                let holder = &approver.principal;
                now.expect(holder == principal, Check::DecisionCredential, || {
                    format!("credential {id} is of {holder:?}, not of {principal:?}")
                });
            }
            Some(State::Hidden(_, why)) => {
                let why = *why;
                now.cannot(Check::DecisionCredential, why);
            }
            _ => now.cannot(Check::DecisionCredential, Obstacle::Erased),
        }
    }

    /// True when the stream of a principal can be read from its beginning, so that all its credentials are known.
    pub(super) fn has_all_credentials(&mut self, principal: &ApproverName) -> bool {
        let stream = self.principals.get(principal).copied();
        stream.is_some_and(|stream| matches!(self.streams.state(stream), Some(State::Approver(_))))
    }

    /// A counter stays as high as decisions that are here have raised it, or higher.
    pub(super) fn counter_kept(&mut self, now: &mut Now<'_>, kept: &KeptCounter) {
        // A dossier has the approvers that its own decisions name, and erased ones name none.
        let Some(State::Approver(approver)) = self.streams.state(kept.approver_id) else {
            return;
        };
        let credential = approver.credential(kept.credential);
        let known = credential.and_then(|id| self.credentials.get_mut(id));
        let Some(known) = known else {
            let reason = format!("approver {} has no such passkey", kept.approver_id);
            return now.wrong(Check::Erasure, reason);
        };
        let before = known.counter;
        known.counter = before.max(kept.sign_count);
        now.expect(kept.sign_count >= before, Check::DecisionCounter, || {
            format!(
                "it keeps a counter at {} that is at {before}",
                kept.sign_count
            )
        });
    }

    /// True when an approver's stream is that of this principal, as far as it can be seen.
    pub(super) fn holder_is(&mut self, stream: StreamId, principal: &ApproverName) -> bool {
        match self.streams.state(stream) {
            Some(State::Approver(approver)) => approver.principal == *principal,
            _ => true,
        }
    }

    /// The user whose passkeys stand there, where the stream can be seen; `None` inside for an approver.
    fn user_of(&mut self, stream: StreamId) -> Option<Option<UserId>> {
        match self.streams.state(stream) {
            Some(State::Approver(approver)) => Some(User::named_by(&approver.principal)),
            _ => None,
        }
    }

    /// The least role of a user who causes the event.
    pub(super) fn role_for_passkeys(
        &mut self,
        stream: StreamId,
        event: &Event,
        user_id: UserId,
    ) -> Role {
        let owner = match event {
            Event::ApproverRegistered(registered) => Some(User::named_by(&registered.principal)),
            _ => self.user_of(stream),
        };
        match (owner, event) {
            // Whose it is cannot be seen.
            (None, _) => Role::Viewer,
            (Some(Some(owner)), _) if owner == user_id => Role::Viewer,
            (Some(None), Event::CredentialPut(put)) if put.status == CredentialStatus::Revoked => {
                Role::Operator
            }
            (Some(_), _) => Role::Admin,
        }
    }

    /// The administrator who can log in, and from whom a passkey is taken away.
    fn admin_before(&mut self, stream: StreamId, put: &CredentialPut) -> Option<User> {
        if put.status == CredentialStatus::Active {
            return None;
        }
        let user = self.user_of(stream).flatten()?;
        let user = match self.streams.state(user) {
            Some(State::User(user)) => User::clone(user),
            _ => return None,
        };
        self.is_usable(&user).then_some(user)
    }

    fn credential_put(&mut self, now: &mut Now<'_>, put: &CredentialPut) {
        let stream = now.header.stream_id;
        let id = &put.credential_id;
        let key = sound_key(now, put);
        self.check_enrolled(now, put.enrolment_id.is_some());
        self.used_invitation(now, put);
        let known = self.credentials.get(id).cloned();
        if known.is_none()
            && let Some(State::Approver(approver)) = self.streams.state(stream)
        {
            approver.credentials.push(id.clone());
            let user = User::named_by(&approver.principal);
            self.comes_to_user(now, put, user);
        }
        let user = self.user_of(stream).flatten();
        if let (Some(known), Some(_)) = (&known, user) {
            let stays = known.put.may_become(&put.public_key, put.status);
            now.expect(stays, Check::Passkey, || {
                format!("credential {id} of a user gets another key, or is given back")
            });
        }
        match &known {
            Some(known) => now.expect(known.approver == stream, Check::Unique, || {
                format!("credential {id} is registered for another approver")
            }),
            None if self.partial => now.cannot(Check::Unique, Obstacle::BeforeRange),
            None => {}
        }
        let same_key = known.as_ref();
        let same_key = same_key.filter(|known| known.put.public_key == put.public_key);
        now.expect(
            same_key.is_none_or(|known| put.sign_count >= known.counter),
            Check::DecisionCounter,
            || {
                format!(
                    "the counter of credential {id} goes back to {}",
                    put.sign_count
                )
            },
        );
        now.expect(
            same_key.is_none_or(|known| {
                put.backup_eligible == known.backup_eligible || known.backup_eligible.is_none()
            }),
            Check::Credential,
            || format!("the backup eligibility of credential {id} changes with the same key"),
        );
        let (position, registered_by) = match same_key {
            Some(known) => (known.position, Arc::clone(&known.registered_by)),
            None => (now.position(), now.envelope.actor.to_string().into()),
        };
        let credential = KnownCredential {
            approver: stream,
            backup_eligible: put.backup_eligible,
            put: Arc::new(put.clone()),
            key,
            position,
            registered_by,
            counter: put.sign_count,
        };
        self.credentials.insert(id.clone(), credential);
    }

    /// A user's own passkeys come by invitation, and command-line keys by that user, who has shown a passkey in the
    /// five minutes before.
    fn comes_to_user(&mut self, now: &mut Now<'_>, put: &CredentialPut, user: Option<UserId>) {
        let id = &put.credential_id;
        let Some(owner) = user else { return };
        if put.is_passkey() {
            return now.expect(put.enrolment_id.is_some(), Check::Passkey, || {
                format!("credential {id} comes to a user otherwise than by invitation")
            });
        }
        let by = match now.envelope.actor {
            Actor::User {
                user_id, via_id, ..
            } if user_id == owner => Some(via_id),
            _ => None,
        };
        let Some(session) = by else {
            let reason = format!("command-line key {id} comes to a user by somebody else");
            return now.wrong(Check::Passkey, reason);
        };
        let at = now.at();
        let is_shown = self.streams.find(session, |state| match state {
            State::Session(session) => Some(session.is_stepped_up(at)),
            _ => None,
        });
        // Of a session that is not there something else is told.
        now.expect(is_shown.here() != Some(false), Check::Passkey, || {
            format!("session {session} adds a command-line key, and has shown no passkey in the five minutes before")
        });
    }

    /// An invitation is used in a browser, by whom it was made for; nothing else names one. That of the first
    /// administrator is made and used by one command.
    fn check_enrolled(&mut self, now: &mut Now<'_>, by_invitation: bool) {
        let by_approver = matches!(now.envelope.actor, Actor::Approver { .. });
        let holder = match self.streams.state(now.header.stream_id) {
            Some(State::Approver(approver)) => User::named_by(&approver.principal),
            _ => None,
        };
        let first = self.first_admin.as_ref();
        let first = first.filter(|(command, _)| *command == now.envelope.command_id);
        let is_first = first.is_some_and(|(_, user)| holder == Some(*user));
        let fits = by_invitation == (by_approver || is_first);
        now.expect(fits, Check::Actor, || {
            "a passkey is registered by invitation by its approver, and otherwise by others"
                .to_owned()
        });
    }

    fn used_invitation(&mut self, now: &mut Now<'_>, put: &CredentialPut) {
        let Some(used) = put.enrolment_id else { return };
        let stream = now.header.stream_id;
        let invitation = self.streams.find(stream, |state| match state {
            State::Approver(approver) => Some((
                User::named_by(&approver.principal),
                approver.enrolments.get_mut(&used),
            )),
            _ => None,
        });
        let invitation = match invitation {
            Seen::Here(invitation) => invitation,
            Seen::Hidden(why) => return now.cannot(Check::Enrolment, why),
            Seen::Erased | Seen::Never => return,
        };
        let (user, Some(invitation)) = invitation else {
            let reason = format!("invitation {used} was not made before");
            return now.wrong(Check::Enrolment, reason);
        };
        // Revoking a credential, or changing it, does not name its invitation again.
        if std::mem::replace(&mut invitation.used, true) {
            let reason = format!("invitation {used} was used before");
            return now.wrong(Check::Enrolment, reason);
        }
        let (opened_at, until) = (invitation.opened_at, invitation.expires_at);
        now.expect(now.header.recorded_at < until, Check::Enrolment, || {
            format!("invitation {used} ended at {until}")
        });
        let Some(user) = user else { return };
        let is_of_now = self.streams.find(user, |state| match state {
            State::User(user) => Some(user.honours_invitation_of(opened_at)),
            _ => None,
        });
        let gone = || format!("invitation {used} is of user {user}, who is not there");
        if let Some(is_of_now) = is_of_now.or_tell(now, Check::Enrolment, gone) {
            now.expect(is_of_now, Check::Enrolment, || {
                format!("invitation {used} ended with the sessions of its user")
            });
        }
    }

    fn eligibility_learnt(&mut self, now: &mut Now<'_>, learnt: &BackupEligibilityLearnt) {
        let id = &learnt.credential_id;
        match self.credentials.get_mut(id) {
            Some(known) if known.approver == now.header.stream_id => {
                let first = known.backup_eligible.is_none();
                known.backup_eligible = Some(learnt.backup_eligible);
                now.expect(first, Check::Credential, || {
                    format!("the backup eligibility of credential {id} was known before")
                });
            }
            _ => now.wrong(
                Check::Reference,
                format!("credential {id} was not registered for this approver"),
            ),
        }
    }
}

/// The key, where it is sound and everything beside it is true of it.
fn sound_key(now: &mut Now<'_>, put: &CredentialPut) -> Option<CredentialKey> {
    let id = &put.credential_id;
    let key = match put.key() {
        Ok(key) => key,
        Err(error) => {
            now.wrong(
                Check::Credential,
                format!("the key of credential {id}: {error}"),
            );
            return None;
        }
    };
    let thumbprint = key.thumbprint();
    let true_of_it =
        put.public_key_thumbprint.known() == Some(thumbprint) && put.algorithm == key.algorithm();
    now.expect(true_of_it, Check::Credential, || {
        let thumbprint = thumbprint.to_base64url();
        format!("credential {id} names another algorithm, format or thumbprint than its key has, {thumbprint}")
    });
    Some(key)
}
