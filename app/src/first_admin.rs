//! The first admin, who is made while none is there who can log in.

use crate::identity::password::{Password, PasswordHasher};
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::User;
use ledger::command::{CreateUser, NewPassword};
use ledger::{Ledger, Rejection, Role, UserName};
use std::sync::Arc;

/// Makes the first admin, who logs in with this password.
///
/// # Errors
/// [`Rejection::AdminExists`].
pub async fn make(
    ledger: &Ledger,
    passwords: &PasswordHasher,
    who: Acting,
    name: UserName,
    password: Password,
) -> Result<Arc<User>, Error> {
    let password = NewPassword {
        hash: passwords.hash(password).await?,
        must_change: false,
    };
    create(ledger, who, name, Some(password)).await
}

/// Makes the first admin, who cannot log in yet. One of this name who still cannot is given again: the
/// invitation of before may have been lost.
///
/// # Errors
/// [`Rejection::AdminExists`].
pub async fn make_invited(
    ledger: &Ledger,
    who: Acting,
    name: UserName,
) -> Result<Arc<User>, Error> {
    if !is_missing(ledger).await? {
        return Err(Rejection::AdminExists.into());
    }
    let users = ledger.users().await?;
    let waits = |user: &&Arc<User>| user.name == name && user.role == Role::Admin && !user.disabled;
    match users.iter().find(waits) {
        Some(user) => Ok(Arc::clone(user)),
        None => create(ledger, who, name, None).await,
    }
}

/// Whether no admin is there who can log in.
pub async fn is_missing(ledger: &Ledger) -> Result<bool, Error> {
    for user in &ledger.users().await? {
        if can_administer(ledger, user).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn can_administer(ledger: &Ledger, user: &User) -> Result<bool, Error> {
    if user.role != Role::Admin || !user.is_enabled() {
        return Ok(false);
    }
    if user.password.is_some() {
        return Ok(true);
    }
    let passkeys = ledger.approver(&user.principal()).await;
    let passkeys = ledger::Error::none_if_erased(passkeys)?;
    Ok(passkeys.is_some_and(|passkeys| passkeys.active_passkeys().next().is_some()))
}

async fn create(
    ledger: &Ledger,
    who: Acting,
    name: UserName,
    password: Option<NewPassword>,
) -> Result<Arc<User>, Error> {
    let command = CreateUser {
        name,
        role: Role::Admin,
        can_audit: false,
        disabled: false,
        groups: Vec::new(),
        password,
        is_first: true,
        reason: None,
    };
    Ok(ledger.execute(who.origin, command).await?)
}
