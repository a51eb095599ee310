//! The administrators who can still log in, as of this batch.

use crate::aggregate::{Approver, User};
use crate::error::Error;
use crate::event::Role;
use crate::id::UserId;
use crate::name::CredentialId;
use crate::storage::{LookupKey, LookupKind};
use crate::writer::Transaction;

/// Whether there is a usable administrator beside that user. The roster's rows say which users to look
/// at; what they are, their own streams say.
pub(super) async fn is_other_usable(
    tx: &mut Transaction<'_>,
    beside: Option<UserId>,
) -> Result<bool, Error> {
    for key in tx.all_lookups(LookupKind::Roster).await?.into_keys() {
        let Some(id) = UserId::from_slice(key.parts().1).filter(|id| Some(*id) != beside) else {
            continue;
        };
        let Some(user) = tx.load::<User>(id).await? else {
            return Err(key.misleads().into());
        };
        if is_usable_now(tx, &user).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the user is an administrator who can log in.
pub(super) async fn is_usable_now(tx: &mut Transaction<'_>, user: &User) -> Result<bool, Error> {
    is_usable_without(tx, user, None).await
}

/// Whether the user is an administrator who could log in without that passkey.
pub(super) async fn is_usable_without(
    tx: &mut Transaction<'_>,
    user: &User,
    without: Option<&CredentialId>,
) -> Result<bool, Error> {
    if user.role != Role::Admin || !user.is_enabled() {
        return Ok(false);
    }
    if user.password.is_some() {
        return Ok(true);
    }
    let own = LookupKey::approver(&user.principal());
    let passkeys = Error::none_if_erased(tx.find_state::<Approver>(&own).await)?;
    Ok(passkeys.is_some_and(|passkeys| {
        let mut active = passkeys.active_credentials();
        active.any(|passkey| Some(&passkey.credential_id) != without)
    }))
}
