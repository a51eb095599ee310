//! Passkeys of users: challenges to log in, to step up and to link a principal, and the passkeys that are
//! one's own.

use crate::app::App;
use crate::approvers::known_principal;
use crate::decisions::Options;
use crate::principal::SessionAccess;
use crate::refusal::Error;
use ledger::aggregate::{Approver, Session, User};
use ledger::command::{LinkPrincipal, RevokeUserPasskey, StepUp};
use ledger::{
    ApproverName, Assertion, Ceremony, Challenge, CredentialId, IdentityStatement, Rejection,
    UserName,
};
use std::net::IpAddr;
use std::sync::Arc;

/// A challenge of a ceremony. Asking again leaves earlier ones valid.
pub(crate) fn challenge(app: &App, ceremony: Ceremony) -> Challenge {
    let ledger = &app.ledger;
    let statement = IdentityStatement {
        ledger_id: ledger.id(),
        ceremony,
    };
    Challenge::issue(
        &ledger.rules().challenge_key,
        ledger.random().sixteen(),
        ledger.now().plus(app.challenge_ttl),
        &statement,
    )
}

/// A challenge for a login. Without a name any passkey answers it that the authenticator finds by itself;
/// with one its passkeys are named, for older ones. A name with which nobody logs in by a passkey has
/// decoys, so that nobody learns which names there are.
///
/// # Errors
/// [`Error::Throttled`] while too many were begun from the network of the address.
pub async fn login_options(
    app: &App,
    name: Option<&str>,
    address: IpAddr,
) -> Result<Options, Error> {
    let now = app.ledger.clock().now();
    app.logins.begin_by_passkey(address, now)?;
    let credential_ids = match name {
        None => Vec::new(),
        Some(name) => match passkeys_of_name(app, name).await? {
            none if none.is_empty() => app.keys.decoys.passkeys_of(name),
            some => some,
        },
    };
    Ok(Options {
        challenge: challenge(app, Ceremony::Login),
        credential_ids,
    })
}

async fn passkeys_of_name(app: &App, name: &str) -> Result<Vec<CredentialId>, Error> {
    let Ok(name) = UserName::parse(name) else {
        return Ok(Vec::new());
    };
    match app.ledger.user_named(&name).await? {
        Some(user) => passkeys_of(app, &user).await,
        None => Ok(Vec::new()),
    }
}

async fn passkeys_of(app: &App, user: &User) -> Result<Vec<CredentialId>, Error> {
    let passkeys = app.ledger.passkeys_of(user).await?.into_iter();
    Ok(passkeys.map(|passkey| passkey.credential_id).collect())
}

/// The passkeys by which who asks logs in.
pub async fn own(app: &App, who: &SessionAccess) -> Result<Vec<CredentialId>, Error> {
    passkeys_of(app, &who.session.user).await
}

/// A challenge for a step-up of the session that asks, and the passkeys that answer it.
pub async fn step_up_options(app: &App, who: &SessionAccess) -> Result<Options, Error> {
    Ok(Options {
        challenge: challenge(app, Ceremony::StepUp(who.session.session.id)),
        credential_ids: own(app, who).await?,
    })
}

/// Shows a passkey once more; the session as it is then.
///
/// # Errors
/// Why the answer shows none; [`Rejection::ChallengeUsed`] for one that was given before.
pub async fn step_up(
    app: &App,
    who: SessionAccess,
    assertion: Assertion,
) -> Result<Arc<Session>, Error> {
    let step_up = StepUp {
        session_id: who.session.session.id,
        assertion,
    };
    Ok(app.ledger.execute(who.origin, step_up).await?)
}

/// A challenge to show a passkey of an approver's principal, and the passkeys that answer it.
///
/// # Errors
/// [`Rejection::ApproverNotFound`], also for a principal under which a user's own passkeys stand.
pub async fn link_options(
    app: &App,
    who: &SessionAccess,
    principal: String,
) -> Result<Options, Error> {
    let principal = known_principal(&app.ledger, principal).await?;
    let approver = match User::named_by(&principal) {
        Some(_) => None,
        None => app.ledger.approver(&principal).await?,
    };
    let approver = approver.ok_or(Rejection::ApproverNotFound)?;
    let active = approver.active_passkeys();
    Ok(Options {
        credential_ids: active.map(|one| one.credential_id.clone()).collect(),
        challenge: challenge(app, Ceremony::Link(who.session.user.id, principal)),
    })
}

/// Makes an approver's principal that of who asks, who shows a passkey of it; from here on they log in by that
/// one too.
///
/// # Errors
/// Why the answer shows none; [`Rejection::PrincipalLinked`] for another's principal;
/// [`Rejection::StepUpRequired`] for who has a passkey and has not shown it a moment ago.
pub async fn link(
    app: &App,
    who: SessionAccess,
    assertion: Assertion,
) -> Result<ApproverName, Error> {
    let passkey = CredentialId::unchecked(assertion.credential_id.clone());
    let holder = app.ledger.approver_of(&passkey).await?;
    let holder = holder.ok_or(Rejection::PasskeyNotEligible)?;
    let link = LinkPrincipal {
        user_id: who.session.user.id,
        principal: holder.principal.clone(),
        assertion,
    };
    app.ledger.execute(who.origin, link).await?;
    Ok(holder.principal.clone())
}

/// Takes a passkey away by which who asks logs in: it opens and decides nothing from the next request on.
///
/// # Errors
/// [`Rejection::CredentialNotFound`] also for one of somebody else; [`Rejection::StepUpRequired`];
/// [`Rejection::LastAdmin`] for the only way in of the last administrator.
pub async fn remove(
    app: &App,
    who: SessionAccess,
    credential_id: CredentialId,
) -> Result<Arc<Approver>, Error> {
    let revoke = RevokeUserPasskey {
        user_id: who.session.user.id,
        credential_id,
        reason: None,
    };
    Ok(app.ledger.execute(who.origin, revoke).await?)
}
