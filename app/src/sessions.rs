//! Logging in, and everything that a person does to sessions and a password of their own.

use crate::app::App;
use crate::identity::password::Password;
use crate::identity::session::{SessionPointer, SessionToken, UserSession};
use crate::identity::throttle::Attempt;
use crate::principal::SessionAccess;
use crate::refusal::{Error, Forbidden};
use crate::token::link::SignedToken;
use ledger::aggregate::{KEY_SESSION_LIFE, Session, User};
use ledger::command::{
    EndSession, EndSessions, LoginProof, NewPassword, OpenSession, Opened, RecordFailedLogin,
    Reissue, SetPassword,
};
use ledger::event::{Assurance, LoginWay, SessionEnd, Via};
use ledger::{
    Actor, Assertion, Challenge, CredentialId, Origin, Rejection, RequestId, SessionId,
    SoftwareSignature, UserId, UserName,
};
use projections::Projection;
use std::net::IpAddr;
use std::sync::Arc;

/// The most sessions that are listed.
const MOST_LISTED: u32 = 200;

/// A session that has just begun, with the secret that its holder gets once.
#[derive(Debug)]
pub struct LoggedIn {
    pub user: Arc<User>,
    pub session: Arc<Session>,
    /// For a browser.
    pub cookie: SessionToken,
    /// For a program.
    pub bearer: SignedToken,
}

/// Begins a session for who knows the password of that name.
///
/// A crash before the commit leaves nothing; one after it leaves a session that nobody holds.
///
/// # Errors
/// [`Error::Throttled`] and [`Error::Busy`] before the password is looked at;
/// [`Rejection::LoginFailed`] whatever was wrong, and after the same time.
pub async fn log_in(
    app: &App,
    name: &str,
    password: &str,
    address: IpAddr,
    request_id: Option<RequestId>,
) -> Result<LoggedIn, Error> {
    let attempt = begin(app, name, address)?;
    let user = match UserName::parse(name) {
        Ok(name) => app.ledger.user_named(&name).await?,
        Err(_) => None,
    };
    let who_may = user.as_ref().filter(|user| user.is_enabled());
    if !verify(app, who_may.map(|user| &**user), password, &attempt).await? {
        let user_id = user.map(|user| user.id);
        return Err(failed(app, user_id, address, LoginWay::Password).await?);
    }
    let user = user.ok_or(Rejection::LoginFailed)?;
    let session_id = SessionId::from_bytes(app.ledger.random().uuid_v7(app.ledger.now()));
    let proof = LoginProof::Password;
    let begun = open(app, &user, session_id, proof, address, request_id).await?;
    app.logins.succeeded(&attempt);
    Ok(begun)
}

/// Begins a session for who has answered a challenge of [`login_options`] by a passkey of theirs. Failures by
/// password keep nobody from it.
///
/// # Errors
/// [`Error::Throttled`] before the answer is looked at; [`Rejection::LoginFailed`] whatever was wrong.
///
/// [`login_options`]: crate::own_passkeys::login_options
pub async fn log_in_by_passkey(
    app: &App,
    assertion: Assertion,
    address: IpAddr,
    request_id: Option<RequestId>,
) -> Result<LoggedIn, Error> {
    let now = app.ledger.clock().now();
    app.logins.answer_by_passkey(address, now)?;
    let credential_id = CredentialId::unchecked(assertion.credential_id.clone());
    let challenge = assertion.challenge().ok();
    let proof = (LoginWay::Passkey, LoginProof::Passkey(assertion));
    log_in_by(app, (credential_id, challenge), proof, address, request_id).await
}

/// Begins a session for who has answered a challenge of [`login_options`] by a command-line key of their own. It is
/// short, and is never as good as one by a passkey.
///
/// # Errors
/// [`Error::Throttled`] before the answer is looked at; [`Rejection::LoginFailed`] whatever was wrong.
///
/// [`login_options`]: crate::software_keys::login_options
pub async fn log_in_by_key(
    app: &App,
    signature: SoftwareSignature,
    address: IpAddr,
    request_id: Option<RequestId>,
) -> Result<LoggedIn, Error> {
    let now = app.ledger.clock().now();
    app.logins.answer_by_passkey(address, now)?;
    let credential_id = CredentialId::unchecked(signature.credential_id.clone());
    let challenge = signature.challenge().ok();
    let proof = (LoginWay::SoftwareKey, LoginProof::SoftwareKey(signature));
    log_in_by(app, (credential_id, challenge), proof, address, request_id).await
}

/// Begins a session by a signature of a credential of the user's own, once the client was not throttled.
async fn log_in_by(
    app: &App,
    (credential_id, challenge): (CredentialId, Option<Challenge>),
    (way, proof): (LoginWay, LoginProof),
    address: IpAddr,
    request_id: Option<RequestId>,
) -> Result<LoggedIn, Error> {
    let user = match app.ledger.user_of_passkey(&credential_id).await {
        Err(ledger::Error::Rejected(_)) => None,
        found => found?,
    };
    let begun = match (&user, challenge) {
        (Some(user), Some(challenge)) => {
            // One challenge, one session.
            let session_id = SessionId::from_bytes(*challenge.nonce());
            open(app, user, session_id, proof, address, request_id).await
        }
        _ => Err(Rejection::LoginFailed.into()),
    };
    match begun {
        Err(Error::Ledger(ledger::Error::Rejected(_))) => {
            let user_id = user.map(|user| user.id);
            Err(failed(app, user_id, address, way).await?)
        }
        Ok(begun) => {
            app.logins.succeeded_by_passkey(address);
            Ok(begun)
        }
        Err(error) => Err(error),
    }
}

/// Records that a login has failed; gives what is told of it.
async fn failed(
    app: &App,
    user_id: Option<UserId>,
    address: IpAddr,
    via: LoginWay,
) -> Result<Error, Error> {
    let failed = RecordFailedLogin {
        user_id,
        address: address.to_string(),
        via,
    };
    app.ledger.execute(Origin::system("login"), failed).await?;
    Ok(Rejection::LoginFailed.into())
}

async fn open(
    app: &App,
    user: &User,
    session_id: SessionId,
    proof: LoginProof,
    address: IpAddr,
    request_id: Option<RequestId>,
) -> Result<LoggedIn, Error> {
    let cookie = SessionToken::draw(&**app.ledger.random());
    let assurance = match proof {
        LoginProof::Password => Assurance::Password,
        LoginProof::Passkey(_) => Assurance::PasskeyUv,
        LoginProof::SoftwareKey(_) => Assurance::SoftwareKey,
    };
    let life = match proof {
        LoginProof::SoftwareKey(_) => app.session_ttl.min(KEY_SESSION_LIFE),
        _ => app.session_ttl,
    };
    let open = OpenSession {
        session_id,
        user_id: user.id,
        epoch: user.epoch,
        token_hash: cookie.hash(),
        proof,
        address: address.to_string(),
        expires_at: app.ledger.now().plus(life),
    };
    let actor = Actor::User {
        user_id: user.id,
        via: Via::Session,
        via_id: session_id,
        assurance,
    };
    let origin = Origin { actor, request_id };
    begun(app, app.ledger.execute(origin, open).await?, cookie)
}

fn begin(app: &App, name: &str, address: IpAddr) -> Result<Attempt, Error> {
    let now = app.ledger.clock().now();
    Ok(app.logins.begin(name, address, now)?)
}

/// Whether it is the user's password. An attempt that could not be verified is none.
async fn verify(
    app: &App,
    user: Option<&User>,
    typed: &str,
    attempt: &Attempt,
) -> Result<bool, Error> {
    let hash = match user {
        Some(user) => app.ledger.password_hash(user).map_err(Error::defect)?,
        None => None,
    };
    let verified = app.passwords.verify(typed, hash).await;
    if matches!(verified, Err(Error::Busy)) {
        app.logins.withdraw(attempt);
    }
    verified
}

fn begun(app: &App, opened: Opened, cookie: SessionToken) -> Result<LoggedIn, Error> {
    Ok(LoggedIn {
        bearer: app.keys.session.sign(SessionPointer::to(&opened.session))?,
        user: opened.user,
        session: opened.session,
        cookie,
    })
}

/// Ends the session of who asks.
pub async fn log_out(app: &App, who: SessionAccess) -> Result<(), Error> {
    let end = EndSession {
        session_id: who.session.session.id,
        why: SessionEnd::LoggedOut,
    };
    app.ledger.execute(who.origin, end).await?;
    Ok(())
}

/// Ends all sessions of who asks, and begins one in the place of theirs.
pub async fn log_out_everywhere(
    app: &App,
    who: SessionAccess,
    address: IpAddr,
) -> Result<LoggedIn, Error> {
    let cookie = SessionToken::draw(&**app.ledger.random());
    let end = EndSessions {
        user_id: who.session.user.id,
        reissue: Some(reissue(&who.session, &cookie, address)),
        reason: None,
    };
    let (_, opened) = app.ledger.execute(who.origin, end).await?;
    reissued(app, opened, cookie)
}

fn reissue(of: &UserSession, cookie: &SessionToken, address: IpAddr) -> Reissue {
    Reissue {
        session_id: of.session.id,
        token_hash: cookie.hash(),
        address: address.to_string(),
    }
}

fn reissued(app: &App, opened: Option<Opened>, cookie: SessionToken) -> Result<LoggedIn, Error> {
    let opened =
        opened.ok_or_else(|| Error::defect("no session goes on for the one that asked"))?;
    begun(app, opened, cookie)
}

/// Gives who asks another password, ends all their sessions and begins one in the place of theirs, in one
/// commit.
///
/// # Errors
/// [`Forbidden::PasswordWrong`]; without the current one, [`Rejection::StepUpRequired`] unless there is none
/// and a passkey was shown a moment ago.
pub async fn change_password(
    app: &App,
    who: SessionAccess,
    current: Option<&str>,
    new: Password,
    address: IpAddr,
) -> Result<LoggedIn, Error> {
    let user = &who.session.user;
    match current {
        Some(current) => {
            let attempt = begin(app, user.name.as_str(), address)?;
            if !verify(app, Some(user), current, &attempt).await? {
                return Err(Forbidden::PasswordWrong.into());
            }
            app.logins.succeeded(&attempt);
        }
        None if user.password.is_some() => return Err(Forbidden::PasswordWrong.into()),
        None if who.session.step_up_until(app.ledger.now()).is_none() => {
            return Err(Rejection::StepUpRequired.into());
        }
        None => {}
    }
    let cookie = SessionToken::draw(&**app.ledger.random());
    let set = SetPassword {
        user_id: user.id,
        password: NewPassword {
            hash: app.passwords.hash(new).await?,
            must_change: false,
        },
        reissue: Some(reissue(&who.session, &cookie, address)),
        reason: None,
    };
    let (_, opened) = app.ledger.execute(who.origin, set).await?;
    reissued(app, opened, cookie)
}

/// The sessions of who asks that are in force, the newest first.
pub async fn own(app: &App, who: &SessionAccess) -> Result<Vec<Arc<Session>>, Error> {
    let user = &who.session.user;
    let views = app.current_views(&[Projection::Approvers]).await?;
    let mut sessions = Vec::new();
    for id in views.sessions(user.id, MOST_LISTED).await? {
        sessions.extend(app.ledger.load::<Session>(id).await?);
    }
    let now = app.ledger.now();
    sessions.retain(|session| session.is_valid(user, now));
    let mut in_force = Vec::with_capacity(sessions.len());
    for session in sessions {
        let is_over = app.ledger.is_session_locked(user, &session).await?
            || app.ledger.is_session_key_gone(&session).await?;
        if !is_over {
            in_force.push(session);
        }
    }
    Ok(in_force)
}

/// Ends one session of who asks.
///
/// # Errors
/// [`Rejection::SessionNotFound`] also for one of somebody else.
pub async fn end_own(app: &App, who: SessionAccess, session_id: SessionId) -> Result<(), Error> {
    let session = app.ledger.load::<Session>(session_id).await?;
    if session.is_none_or(|session| session.user_id != who.session.user.id) {
        return Err(Rejection::SessionNotFound.into());
    }
    let why = SessionEnd::TakenAway;
    let end = EndSession { session_id, why };
    app.ledger.execute(who.origin, end).await?;
    Ok(())
}
