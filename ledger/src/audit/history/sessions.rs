//! Sessions, and logins that failed.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::{
    Aggregate as _, KEY_SESSION_LIFE, SESSION_LIFE, STEP_UP_LIFE, Session, User,
};
use crate::assertion::Assertion;
use crate::audit::check::Check;
use crate::challenge::Challenge;
use crate::event::{
    AggregateKind, Event, FailuresCounted, LoginWay, PasskeyProof, Role, SessionOpened,
    SessionProof, SteppedUp,
};
use crate::id::{SessionId, StreamId, UserId};
use crate::identity::Ceremony;
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

impl History {
    /// The least role of a user who causes the event: none for a session of their own.
    pub(super) fn role_for_sessions(
        &mut self,
        stream: StreamId,
        event: &Event,
        user_id: UserId,
    ) -> Role {
        let is_own = match (event, self.streams.state(stream)) {
            (Event::SessionOpened(opened), _) => opened.user_id == user_id,
            (_, Some(State::Session(session))) => session.user_id == user_id,
            // Whose it is cannot be seen.
            _ => true,
        };
        match is_own {
            true => Role::Viewer,
            false => Role::Admin,
        }
    }

    pub(super) fn session_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        match event {
            Event::SessionOpened(opened) => {
                self.person_unlocked(now, Some(opened.user_id), event.proving_credential());
                self.session_opened(now, opened);
            }
            Event::SteppedUp(stepped_up) => {
                self.person_unlocked(now, None, event.proving_credential());
                self.stepped_up(now, stepped_up);
            }
            Event::LoginFailed(failed) => {
                if let Some(user) = failed.user_id {
                    let user = self.streams.find(user, |state| {
                        (state.kind() == Some(AggregateKind::User)).then_some(())
                    });
                    user.or_tell(now, Check::Reference, || {
                        "it names a user who was never made".to_owned()
                    });
                }
            }
            Event::FailuresCounted(counted) => check_counted(now, counted),
            _ => {}
        }
        let mut session = match self.streams.state(stream) {
            Some(State::Session(session)) => Some(Session::clone(session)),
            _ => None,
        };
        Session::evolve(&mut session, event, now.at());
        let state = match session.filter(|session| session.ended.is_none()) {
            Some(session) => State::Session(Box::new(session)),
            None => State::Ended(AggregateKind::Session),
        };
        self.streams.put(stream, state);
    }

    fn session_opened(&mut self, now: &mut Now<'_>, opened: &SessionOpened) {
        let stream = now.header.stream_id;
        now.expect(
            opened.session_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins session {} in stream {stream}", opened.session_id),
        );
        let is_new = self.session_tokens.insert(opened.token_hash);
        self.is_first(now, is_new, || {
            "another session was opened with its token".to_owned()
        });
        let (at, until) = (now.at(), opened.expires_at);
        let (longest, words) = match &opened.proof {
            SessionProof::SoftwareKey(_) => (KEY_SESSION_LIFE, "15 minutes"),
            _ => (SESSION_LIFE, "a day"),
        };
        now.expect(
            at < until && until <= at.plus(longest),
            Check::Session,
            || format!("it lives until {until}, which is not within {words}"),
        );
        let user = self.streams.find(opened.user_id, |state| match state {
            State::User(user) => Some(User::clone(user)),
            _ => None,
        });
        let nobody = || format!("user {} is not there", opened.user_id);
        let Some(user) = user.or_tell(now, Check::Session, nobody) else {
            return;
        };
        now.expect(
            user.is_enabled() && user.epoch == opened.epoch,
            Check::Session,
            || format!("its user is disabled, or not in epoch {}", opened.epoch),
        );
        match &opened.proof {
            SessionProof::Password => now.expect(user.password.is_some(), Check::Session, || {
                "its user has no password".to_owned()
            }),
            SessionProof::Continued { session_id, via } => {
                self.continued(now, opened, *session_id, *via);
            }
            SessionProof::SoftwareKey(proof) => {
                let challenge = Challenge::parse(proof.challenge.as_slice()).ok();
                let nonce = challenge.as_ref().map(Challenge::nonce);
                now.expect(nonce == Some(stream.as_bytes()), Check::Passkey, || {
                    "it is not named by the challenge that it was opened with".to_owned()
                });
                self.check_key_login(now, proof, &user);
            }
            SessionProof::Passkey(proof) => {
                let logs_in = user.logs_in_by(&proof.principal, &proof.credential_id);
                now.expect(logs_in, Check::Passkey, || {
                    format!(
                        "its user does not log in by passkey {}",
                        proof.credential_id
                    )
                });
                let challenge = challenge_of(proof);
                let nonce = challenge.as_ref().map(Challenge::nonce);
                now.expect(nonce == Some(stream.as_bytes()), Check::Passkey, || {
                    "it is not named by the challenge that it was opened with".to_owned()
                });
                self.check_passkey(now, proof, Ceremony::Login);
            }
        }
    }

    fn stepped_up(&mut self, now: &mut Now<'_>, stepped_up: &SteppedUp) {
        let stream = now.header.stream_id;
        let Some(State::Session(session)) = self.streams.state(stream) else {
            return;
        };
        let session = Session::clone(session);
        let proof = &stepped_up.proof;
        now.expect(session.key.is_none(), Check::Session, || {
            "a session of a command-line key is stepped up".to_owned()
        });
        let is_seen = session.has_seen(proof.client_data_json.as_slice());
        now.expect(!is_seen, Check::Passkey, || {
            "its assertion has counted before".to_owned()
        });
        let until = now.at().plus(STEP_UP_LIFE);
        now.expect(stepped_up.until == until, Check::Session, || {
            format!("it counts until {}, not until {until}", stepped_up.until)
        });
        let user = self.streams.find(session.user_id, |state| match state {
            State::User(user) if session.is_valid(user, now.at()) => Some(User::clone(user)),
            _ => None,
        });
        let ended = || "its session has ended with its user's epoch, or in time".to_owned();
        if let Some(user) = user.or_tell(now, Check::Session, ended) {
            let logs_in = user.logs_in_by(&proof.principal, &proof.credential_id);
            now.expect(logs_in, Check::Passkey, || {
                format!(
                    "its user does not log in by passkey {}",
                    proof.credential_id
                )
            });
        }
        self.check_passkey(now, proof, Ceremony::StepUp(session.id));
    }

    /// It goes on for a session that was valid until the same command ended all of them.
    fn continued(
        &mut self,
        now: &mut Now<'_>,
        opened: &SessionOpened,
        before: SessionId,
        via: LoginWay,
    ) {
        let session = self.streams.find(before, |state| match state {
            State::Session(session) => Some(Session::clone(session)),
            _ => None,
        });
        let ended = || format!("session {before}, for which it goes on, had ended");
        let Some(session) = session.or_tell(now, Check::Session, ended) else {
            return;
        };
        let fits = session.user_id == opened.user_id
            && Some(session.epoch) == opened.epoch.checked_sub(1)
            && session.expires_at == opened.expires_at
            && session.via == via
            && session.key.is_none();
        now.expect(fits, Check::Session, || {
            format!("it is not what session {before} goes on as")
        });
    }

    /// The user of a session, where its holder is that user now.
    pub(super) fn acting_user(&mut self, now: &Now<'_>, session: SessionId) -> Seen<User> {
        let session = self.streams.find(session, |state| match state {
            State::Session(session) => Some(Session::clone(session)),
            _ => None,
        });
        let session = match session {
            Seen::Here(session) => session,
            Seen::Hidden(why) => return Seen::Hidden(why),
            Seen::Erased => return Seen::Erased,
            Seen::Never => return Seen::Never,
        };
        if !self.is_key_in_force(&session) {
            return Seen::Never;
        }
        self.streams.find(session.user_id, |state| match state {
            State::User(user) if session.is_valid(user, now.at()) => Some(User::clone(user)),
            _ => None,
        })
    }
}

/// The challenge in the client data, where there is one.
fn challenge_of(proof: &PasskeyProof) -> Option<Challenge> {
    Assertion::challenge_in(proof.client_data_json.as_slice()).ok()
}

fn check_counted(now: &mut Now<'_>, counted: &FailuresCounted) {
    let fits = counted.count > 0
        && counted.from.as_seconds().rem_euclid(60) == 0
        && counted.until == counted.from.plus(MINUTE)
        && counted.from <= now.at();
    now.expect(fits, Check::FailedLogin, || {
        format!(
            "it counts {} from {} to {}, which is no minute that had begun",
            counted.count, counted.from, counted.until
        )
    });
}
