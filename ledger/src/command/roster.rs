//! The administrators who can still log in, as of this batch.

use crate::aggregate::{Approver, User};
use crate::error::Error;
use crate::event::{LockTarget, Role};
use crate::id::UserId;
use crate::name::CredentialId;
use crate::storage::{LookupKey, LookupKind};
use crate::writer::Transaction;
use std::sync::Arc;

/// Whether there is a usable administrator beside that user. The roster's rows say which users to look
/// at; what they are, their own streams say.
pub(super) async fn is_other_usable(
    tx: &mut Transaction<'_>,
    beside: Option<UserId>,
) -> Result<bool, Error> {
    for key in tx.all_lookups(LookupKind::Roster).await?.into_keys() {
        let user = user_of(tx, &key).await?;
        if Some(user.id) != beside && is_usable_now(tx, &user).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The living administrators, as of this batch.
pub(super) async fn administrators(tx: &mut Transaction<'_>) -> Result<Vec<Arc<User>>, Error> {
    let mut users = Vec::new();
    for key in tx.all_lookups(LookupKind::Roster).await?.into_keys() {
        users.push(user_of(tx, &key).await?);
    }
    users.retain(|user| user.role == Role::Admin);
    Ok(users)
}

/// The user of a row of the roster.
async fn user_of(tx: &mut Transaction<'_>, row: &LookupKey) -> Result<Arc<User>, Error> {
    let user = match UserId::from_slice(row.parts().1) {
        Some(id) => tx.load::<User>(id).await?,
        None => None,
    };
    Ok(user.ok_or_else(|| row.misleads())?)
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
    let (locks, now) = (tx.locks(), tx.context().now);
    let is_locked = |target: LockTarget| locks.in_force(&[target], now).is_some();
    if user.role != Role::Admin || !user.is_enabled() || is_locked(LockTarget::User(user.id)) {
        return Ok(false);
    }
    if user.password.is_some() {
        return Ok(true);
    }
    let own = LookupKey::approver(&user.principal());
    let passkeys = Error::none_if_erased(tx.find_state::<Approver>(&own).await)?;
    Ok(passkeys.is_some_and(|passkeys| {
        let mut active = passkeys.active_passkeys();
        active.any(|passkey| {
            let locked = LockTarget::Credential(passkey.credential_id.clone());
            Some(&passkey.credential_id) != without && !is_locked(locked)
        })
    }))
}
