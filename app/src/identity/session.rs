//! Sessions of people: what proves one, and whether it is in force.

use crate::refusal::Error;
use crate::token::link::{LinkKey, Said};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::aggregate::{Approver, Session, User};
use ledger::event::{Assurance, LoginWay, SessionTokenHash, Via};
use ledger::{Actor, Ledger, Random, Rejection, Role, SessionId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// The secret of a session, which its holder's browser keeps. The ledger knows its digest.
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// 256 bits that nobody can foresee.
    pub(crate) fn draw(random: &dyn Random) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill(&mut *bytes);
        Self(Zeroizing::new(URL_SAFE_NO_PAD.encode(*bytes)))
    }

    /// The text, for the cookie alone.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(crate) fn hash(&self) -> SessionTokenHash {
        hash_of(&self.0)
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(redacted)")
    }
}

fn hash_of(token: &str) -> SessionTokenHash {
    SessionTokenHash::from_bytes(Sha256::digest(token.as_bytes()).into())
}

/// What a bearer token says of a session: only which one it is. Everything else the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPointer {
    pub sub: UserId,
    pub sid: SessionId,
    pub epoch: u64,
    /// In seconds since 1970, for whoever keeps the token.
    pub exp: i64,
}

impl Said for SessionPointer {
    const AUDIENCE: &'static str = "llm-proxy-session";
}

impl SessionPointer {
    pub(crate) fn to(session: &Session) -> Self {
        Self {
            sub: session.user_id,
            sid: session.id,
            epoch: session.epoch,
            exp: session.expires_at.as_seconds(),
        }
    }
}

/// The key of sessions' bearer tokens, derived from JWT_SECRET.
#[must_use]
pub fn session_key(secret: &[u8]) -> LinkKey<SessionPointer> {
    LinkKey::derived(secret, b"llm-permission-proxy session v1")
}

/// What a request shows of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionCredential {
    /// The secret of a browser's cookie.
    Cookie(SessionTokenHash),
    Bearer(SessionPointer),
}

impl SessionCredential {
    #[must_use]
    pub fn cookie(token: &str) -> Self {
        Self::Cookie(hash_of(token))
    }

    /// The session, when it is in force, as the ledger has it at this moment.
    ///
    /// # Errors
    /// [`Rejection::SessionEnded`].
    pub async fn session(&self, ledger: &Ledger) -> Result<UserSession, Error> {
        let session = match self {
            Self::Cookie(hash) => ledger.session_of(hash).await,
            Self::Bearer(pointer) => ledger.load::<Session>(pointer.sid).await,
        };
        // A user who was erased, or a session of theirs, is as good as none.
        let session = ledger::Error::none_if_erased(session)?;
        let session = session.ok_or(Rejection::SessionEnded)?;
        if let Self::Bearer(pointer) = self
            && *pointer != SessionPointer::to(&session)
        {
            return Err(Rejection::SessionEnded.into());
        }
        UserSession::of(ledger, session).await
    }

    /// Whether a session that has ended may go on as another one of its user, as with a change of the password:
    /// the browser may have that one's cookie by now.
    ///
    /// # Errors
    /// When the ledger cannot be read.
    pub async fn may_go_on(&self, ledger: &Ledger) -> Result<bool, Error> {
        let session = match self {
            Self::Cookie(hash) => ledger.session_of(hash).await,
            Self::Bearer(pointer) => ledger.load::<Session>(pointer.sid).await,
        };
        let session = ledger::Error::none_if_erased(session)?;
        let Some(session) = session.filter(|session| session.ended.is_none()) else {
            return Ok(false);
        };
        let user = ledger::Error::none_if_erased(ledger.load::<User>(session.user_id).await)?;
        let is_later = |user: &User| user.is_enabled() && session.epoch < user.epoch;
        Ok(ledger.now() < session.expires_at && user.is_some_and(|user| is_later(&user)))
    }
}

/// A session that is in force, with its user.
#[derive(Debug, Clone)]
pub struct UserSession {
    pub user: Arc<User>,
    pub session: Arc<Session>,
}

impl UserSession {
    async fn of(ledger: &Ledger, session: Arc<Session>) -> Result<Self, Error> {
        let user = ledger::Error::none_if_erased(ledger.load::<User>(session.user_id).await)?;
        let user = user.ok_or(Rejection::SessionEnded)?;
        let is_locked = ledger.is_session_locked(&user, &session).await?;
        let is_over = is_locked || ledger.is_session_key_gone(&session).await?;
        match session.is_valid(&user, ledger.now()) && !is_over {
            true => Ok(Self { user, session }),
            false => Err(Rejection::SessionEnded.into()),
        }
    }

    /// The same session as the ledger has it now, for whoever was admitted a while ago.
    ///
    /// # Errors
    /// [`Rejection::SessionEnded`].
    pub async fn again(&self, ledger: &Ledger) -> Result<Self, Error> {
        let session = ledger::Error::none_if_erased(ledger.load::<Session>(self.session.id).await)?;
        Self::of(ledger, session.ok_or(Rejection::SessionEnded)?).await
    }

    /// Waits until the session has ended, which nobody does for longer than `patience`.
    pub(crate) async fn ended(&self, ledger: &Ledger, patience: Duration) -> Error {
        loop {
            if let Err(ended) = self.wait_for_end(ledger, patience).await {
                return ended;
            }
        }
    }

    async fn wait_for_end(&self, ledger: &Ledger, patience: Duration) -> Result<(), Error> {
        let now = ledger.now();
        let left = self.session.expires_at.since(now).min(patience);
        let is_over = |session: &Session| session.ended.is_some();
        let session = ledger.wait_for(self.session.id, left, is_over);
        let is_over = |user: &User| !user.is_enabled() || user.epoch != self.session.epoch;
        let user = ledger.wait_for(self.user.id, left, is_over);
        tokio::select! {
            session = session => drop(session?),
            user = user => drop(user?),
            gone = self.key_gone(ledger, left) => gone?,
        }
        self.again(ledger).await.map(drop)
    }

    /// Waits until the command-line key that opened the session is taken away; for ever where none did.
    async fn key_gone(&self, ledger: &Ledger, left: Duration) -> Result<(), Error> {
        let Some(key) = &self.session.key else {
            return std::future::pending().await;
        };
        let holder = ledger.approver_of(key).await?;
        let holder = holder.ok_or(Rejection::SessionEnded)?;
        let is_gone = |holder: &Approver| holder.active_credential(key).is_none();
        ledger.wait_for(holder.id, left, is_gone).await?;
        Ok(())
    }

    #[must_use]
    pub fn role(&self) -> Role {
        self.user.role
    }

    /// Whether the password has to be changed before anything else is done.
    #[must_use]
    pub fn must_change_password(&self) -> bool {
        let password = self.user.password.as_ref();
        password.is_some_and(|password| password.must_change)
    }

    /// Until when a passkey's assertion counts that this session has shown; `None` when none does.
    #[must_use]
    pub fn step_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.session
            .step_up_until
            .filter(|_| self.session.is_stepped_up(now))
    }

    pub(crate) fn actor(&self) -> Actor {
        let has_passkey =
            self.session.via == LoginWay::Passkey || self.session.step_up_until.is_some();
        Actor::User {
            user_id: self.user.id,
            via: Via::Session,
            via_id: self.session.id,
            assurance: match (has_passkey, self.session.via) {
                (_, LoginWay::SoftwareKey) => Assurance::SoftwareKey,
                (true, _) => Assurance::PasskeyUv,
                (false, _) => Assurance::Password,
            },
        }
    }
}
