//! Sessions: opened once somebody has proven to be a user, ended one by one or all together.

use super::Command;
use super::acting::{acting_session, still_acts_on};
use super::passkeys::prove_login;
use super::software_keys::prove_key_login;
use crate::aggregate::{KEY_SESSION_LIFE, SESSION_LIFE, Session, User};
use crate::assertion::Assertion;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    LockTarget, LoginFailed, LoginWay, SessionEnd, SessionEnded, SessionOpened, SessionProof,
    SessionTokenHash,
};
use crate::id::{SessionId, UserId};
use crate::rejection::Rejection;
use crate::software_key::SoftwareSignature;
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// What a client has shown.
#[derive(Debug, Clone)]
pub enum LoginProof {
    /// The password, which was verified against the hash of that epoch.
    Password,
    /// An assertion by a passkey of the user, made for a login.
    Passkey(Assertion),
    /// A signature by a command-line key of the user, made for a login.
    SoftwareKey(SoftwareSignature),
}

/// Opens a session for a user who has proven who they are.
#[derive(Debug, Clone)]
pub struct OpenSession {
    /// The session, by a new id: the actor of the command names it. By passkey or command-line key it is the nonce
    /// of the challenge.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's epoch when the proof was verified.
    pub epoch: u64,
    /// Of the token that its holder gets.
    pub token_hash: SessionTokenHash,
    /// The proof.
    pub proof: LoginProof,
    /// The client's address.
    pub address: String,
    /// Until when it lives, at most a day; by command-line key at most [`KEY_SESSION_LIFE`].
    pub expires_at: Timestamp,
}

/// A session that was opened, with its user.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The session.
    pub session: Arc<Session>,
    /// The user.
    pub user: Arc<User>,
}

impl Command for OpenSession {
    type Answer = Opened;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Opened, Error> {
        let user = tx.load::<User>(self.user_id).await?;
        let user = user.ok_or(Rejection::LoginFailed)?;
        let locked = [LockTarget::User(user.id)];
        if tx.locks().in_force(&locked, tx.context().now).is_some() {
            return Err(Rejection::LoginFailed.into());
        }
        let proof = match &self.proof {
            LoginProof::Password => SessionProof::Password,
            LoginProof::Passkey(assertion) => {
                SessionProof::Passkey(prove_login(tx, &user, self.session_id, assertion).await?)
            }
            LoginProof::SoftwareKey(signature) => SessionProof::SoftwareKey(
                prove_key_login(tx, &user, self.session_id, signature).await?,
            ),
        };
        let event = decide_open(&self, &user, proof, &tx.context())?;
        open(tx, event, self.session_id).await
    }
}

async fn open(tx: &mut Transaction<'_>, event: NewEvent, id: SessionId) -> Result<Opened, Error> {
    tx.append(vec![event]).await?;
    tx.user_acts_by(id);
    let session = tx.existing::<Session>(id).await?;
    let user = tx.existing::<User>(session.user_id).await?;
    Ok(Opened { session, user })
}

fn decide_open(
    command: &OpenSession,
    user: &User,
    proof: SessionProof,
    context: &Context<'_>,
) -> Result<NewEvent, Rejection> {
    let is_shown = match proof {
        SessionProof::Password => user.password.is_some(),
        SessionProof::Passkey(_)
        | SessionProof::Continued { .. }
        | SessionProof::SoftwareKey(_) => true,
    };
    // Since the proof was verified, a command before this one may have taken it away.
    if !is_shown || !user.is_enabled() || user.epoch != command.epoch {
        return Err(Rejection::LoginFailed);
    }
    let longest = context.now.plus(match proof {
        SessionProof::SoftwareKey(_) => KEY_SESSION_LIFE,
        _ => SESSION_LIFE,
    });
    if command.expires_at <= context.now || command.expires_at > longest {
        return Err(Rejection::Invalid {
            code: "invalid_session_life",
            detail: "a session lives for at most a day, one of a command-line key for 15 minutes"
                .to_owned(),
        });
    }
    let opened = SessionOpened {
        session_id: command.session_id,
        user_id: user.id,
        epoch: user.epoch,
        token_hash: command.token_hash,
        proof,
        address: command.address.clone(),
        expires_at: command.expires_at,
    };
    Ok(context.event(command.session_id, opened))
}

/// A session that goes on for one that ends with all others.
#[derive(Debug, Clone)]
pub struct Reissue {
    /// The session of the user who asks.
    pub session_id: SessionId,
    /// Of the token that its holder gets.
    pub token_hash: SessionTokenHash,
    /// The client's address.
    pub address: String,
}

/// Appends what ends all sessions of a user, and opens the one that goes on. It lives no longer than the
/// one before.
pub(super) async fn reissue(
    tx: &mut Transaction<'_>,
    user: &User,
    ends: NewEvent,
    reissue: Option<Reissue>,
) -> Result<(Arc<User>, Option<Opened>), Error> {
    let acting = match &reissue {
        Some(reissue) => Some(acting_session(tx, user, reissue.session_id).await?),
        None => None,
    };
    // What goes on would not end with the key.
    if acting.as_ref().is_some_and(|acting| acting.key.is_some()) {
        return Err(Rejection::KeySession.into());
    }
    tx.append(vec![ends]).await?;
    let user = tx.existing::<User>(user.id).await?;
    let (Some(reissue), Some(acting)) = (reissue, acting) else {
        return Ok((user, None));
    };
    let context = tx.context();
    let session_id: SessionId = context.id();
    let opened = SessionOpened {
        session_id,
        user_id: user.id,
        epoch: user.epoch,
        token_hash: reissue.token_hash,
        proof: SessionProof::Continued {
            session_id: acting.id,
            via: acting.via,
        },
        address: reissue.address,
        expires_at: acting.expires_at,
    };
    let opened = context.event(session_id, opened);
    let opened = open(tx, opened, session_id).await?;
    Ok((user, Some(opened)))
}

/// Ends one session. One that has ended stays as it is.
#[derive(Debug, Clone)]
pub struct EndSession {
    /// The session.
    pub session_id: SessionId,
    /// The reason.
    pub why: SessionEnd,
}

impl Command for EndSession {
    type Answer = Arc<Session>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Session>, Error> {
        let session = tx.named::<Session>(self.session_id).await?;
        if session.ended.is_some() {
            return Ok(session);
        }
        still_acts_on(tx, session.user_id).await?;
        let ended = SessionEnded { why: self.why };
        let ended = tx.context().event(session.id, ended);
        tx.append(vec![ended]).await?;
        tx.existing::<Session>(session.id).await
    }
}

/// Records a login that failed: ten a minute, the rest is counted.
#[derive(Debug, Clone)]
pub struct RecordFailedLogin {
    /// The user, where there is one of that name.
    pub user_id: Option<UserId>,
    /// The client's address.
    pub address: String,
    /// The way that was tried.
    pub via: LoginWay,
}

impl Command for RecordFailedLogin {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        if !tx.may_record_failed_login() {
            return Ok(());
        }
        let context = tx.context();
        let failed = LoginFailed {
            user_id: self.user_id,
            address: self.address,
            via: self.via,
        };
        let failed = context.event(context.id(), failed);
        tx.append(vec![failed]).await
    }
}
