//! A session of a user.

use super::{Aggregate, User};
use crate::clock::Timestamp;
use crate::event::{Event, LoginWay, SessionEnd, SessionProof, SessionTokenHash};
use crate::id::{SessionId, UserId};
use crate::name::CredentialId;
use crate::rejection::Rejection;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// How long an assertion by a passkey counts for what asks for a fresh one.
pub const STEP_UP_LIFE: Duration = Duration::from_secs(5 * 60);

/// The longest life of a session.
pub const SESSION_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The longest life of a session that a command-line key has opened.
pub const KEY_SESSION_LIFE: Duration = Duration::from_secs(15 * 60);

/// The state of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its stream.
    pub id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's epoch at its beginning.
    pub epoch: u64,
    /// Of the token that is its holder's.
    pub token_hash: SessionTokenHash,
    /// The way by which it began.
    pub via: LoginWay,
    /// The command-line key that opened it, with which it ends.
    pub key: Option<CredentialId>,
    /// The address from which it began.
    pub address: String,
    /// The time of its beginning.
    pub opened_at: Timestamp,
    /// Until when it lives.
    pub expires_at: Timestamp,
    /// Until when its newest assertion by a passkey counts.
    pub step_up_until: Option<Timestamp>,
    /// SHA-256 of the client data of each assertion in it. Each counts once.
    pub seen: Vec<[u8; 32]>,
    /// The reason of its end, once it has ended by itself.
    pub ended: Option<SessionEnd>,
}

impl Session {
    /// Whether its holder is that user at that time.
    #[must_use]
    pub fn is_valid(&self, user: &User, now: Timestamp) -> bool {
        self.ended.is_none()
            && now < self.expires_at
            && self.user_id == user.id
            && user.is_enabled()
            && self.epoch == user.epoch
    }

    /// Whether an assertion has counted in it.
    #[must_use]
    pub fn has_seen(&self, client_data_json: &[u8]) -> bool {
        let digest: [u8; 32] = Sha256::digest(client_data_json).into();
        self.seen.contains(&digest)
    }

    /// Whether its newest assertion by a passkey counts at that time.
    #[must_use]
    pub fn is_stepped_up(&self, now: Timestamp) -> bool {
        self.step_up_until.is_some_and(|until| now < until)
    }
}

impl Aggregate for Session {
    type Id = SessionId;

    const NOT_FOUND: Rejection = Rejection::SessionNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::SessionOpened(opened), state) => {
                let (via, step_up_until) = match &opened.proof {
                    SessionProof::Password => (LoginWay::Password, None),
                    SessionProof::Passkey(_) => (LoginWay::Passkey, Some(at.plus(STEP_UP_LIFE))),
                    SessionProof::Continued { via, .. } => (*via, None),
                    SessionProof::SoftwareKey(_) => (LoginWay::SoftwareKey, None),
                };
                let key = match &opened.proof {
                    SessionProof::SoftwareKey(proof) => Some(proof.credential_id.clone()),
                    _ => None,
                };
                *state = Some(Self {
                    id: opened.session_id,
                    user_id: opened.user_id,
                    epoch: opened.epoch,
                    token_hash: opened.token_hash,
                    via,
                    key,
                    address: opened.address.clone(),
                    opened_at: at,
                    expires_at: opened.expires_at,
                    step_up_until,
                    seen: Vec::new(),
                    ended: None,
                });
            }
            (Event::SteppedUp(stepped_up), Some(session)) => {
                session.step_up_until = Some(stepped_up.until);
                let client_data = stepped_up.proof.client_data_json.as_slice();
                session.seen.push(Sha256::digest(client_data).into());
            }
            (Event::SessionEnded(ended), Some(session)) => session.ended = Some(ended.why),
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        320 + self.seen.len() * 32
    }
}
