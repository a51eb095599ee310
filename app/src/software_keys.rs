//! Command-line keys of users: challenges to log in, and the keys that are one's own.

use crate::app::App;
use crate::own_passkeys::challenge;
use crate::principal::SessionAccess;
use crate::refusal::Error;
use ledger::aggregate::Credential;
use ledger::command::{AddSoftwareKey, RevokeUserPasskey};
use ledger::{Ceremony, Challenge, CredentialId, Rejection, SoftwareKey};
use std::net::IpAddr;

/// A challenge for a login by that key, whether or not there is one. Asking again leaves earlier ones valid.
///
/// # Errors
/// [`Error::Throttled`] while too many were begun from the network of the address.
pub fn login_options(
    app: &App,
    credential_id: CredentialId,
    address: IpAddr,
) -> Result<Challenge, Error> {
    let now = app.ledger.clock().now();
    app.logins.begin_by_passkey(address, now)?;
    Ok(challenge(app, Ceremony::KeyLogin(credential_id)))
}

/// The command-line keys of who asks that are in force.
pub async fn own(app: &App, who: &SessionAccess) -> Result<Vec<Credential>, Error> {
    Ok(app.ledger.software_keys_of(&who.session.user).await?)
}

/// Adds a command-line key of who asks, who has shown a passkey a moment ago.
///
/// # Errors
/// [`Rejection::StepUpRequired`]; [`Rejection::CredentialTaken`] for an id that anything has or had.
pub async fn add(
    app: &App,
    who: SessionAccess,
    credential_id: CredentialId,
    key: SoftwareKey,
) -> Result<Credential, Error> {
    let add = AddSoftwareKey {
        user_id: who.session.user.id,
        credential_id: credential_id.clone(),
        key,
    };
    let own = app.ledger.execute(who.origin, add).await?;
    let added = own.credential(&credential_id);
    Ok(added.cloned().ok_or(Rejection::CredentialNotFound)?)
}

/// Takes a command-line key of who asks away: it decides nothing and its sessions end with the next request.
///
/// # Errors
/// [`Rejection::CredentialNotFound`] also for a passkey, and for one of somebody else; [`Rejection::StepUpRequired`].
pub async fn remove(
    app: &App,
    who: SessionAccess,
    credential_id: CredentialId,
) -> Result<(), Error> {
    let own = own(app, &who).await?;
    if !own.iter().any(|known| known.credential_id == credential_id) {
        return Err(Rejection::CredentialNotFound.into());
    }
    let revoke = RevokeUserPasskey {
        user_id: who.session.user.id,
        credential_id,
        reason: None,
    };
    app.ledger.execute(who.origin, revoke).await?;
    Ok(())
}
