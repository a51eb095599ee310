//! Users: made, changed, given a password, deleted.

use super::Command;
use super::acting::{still_acts, still_acts_on};
use super::descriptions::owned_by;
use super::groups::{leave_all, put_into};
use super::keys::{minted_by, revoke_all};
use super::passkeys::has_shown_own;
use super::roster::{administrators, is_other_usable, is_usable_now, is_usable_without};
use super::sessions::{Opened, Reissue, reissue};
use super::upstream_keys::{end, erase, keys_of};
use crate::aggregate::{Agent, Key, User};
use crate::error::Error;
use crate::event::{
    PasswordSet, Role, SessionsEnded, UpstreamKeyEnd, UpstreamKeyOwner, UserChanged, UserCreated,
    UserDeleted,
};
use crate::id::{GroupId, StreamId, UserId};
use crate::label::UserName;
use crate::name::CredentialId;
use crate::password_hash::PasswordHash;
use crate::rejection::Rejection;
use crate::seal::SealContext;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

/// A password that somebody sets.
#[derive(Debug, Clone)]
pub struct NewPassword {
    /// Its hash.
    pub hash: PasswordHash,
    /// True where it has to be changed before anything else is done.
    pub must_change: bool,
}

/// Makes a user.
#[derive(Debug, Clone)]
pub struct CreateUser {
    /// The name, which no living user has.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// True for one who may read every payload of the ledger.
    pub can_audit: bool,
    /// True for one who may do nothing yet.
    pub disabled: bool,
    /// The groups that it is in from the beginning.
    pub groups: Vec<GroupId>,
    /// The password, if it has one from the beginning.
    pub password: Option<NewPassword>,
    /// True where it is to be the first administrator: refused while a usable one is there.
    pub is_first: bool,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for CreateUser {
    type Answer = Arc<User>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<User>, Error> {
        let user_id: UserId = tx.context().id();
        self.create(tx, user_id).await
    }
}

impl CreateUser {
    /// Makes the user under an id that was drawn before.
    pub(super) async fn create(
        self,
        tx: &mut Transaction<'_>,
        user_id: UserId,
    ) -> Result<Arc<User>, Error> {
        tx.needs_room()?;
        still_acts(tx, Role::Admin).await?;
        if self.is_first && is_other_usable(tx, None).await? {
            return Err(Rejection::AdminExists.into());
        }
        let holder = tx.find(&LookupKey::user(&self.name)).await?;
        let mut events = decide_create(&self, holder.is_some(), user_id, &tx.context())?;
        if self.is_first {
            events.extend(ended_invitations(tx, self.reason.as_ref()).await?);
        }
        tx.append(events).await?;
        put_into(tx, user_id, &self.groups, self.reason).await?;
        tx.existing::<User>(user_id).await
    }
}

/// Ends the invitations of administrators who were to be the first and never could log in: by a link that was
/// left there would be two first ones.
async fn ended_invitations(
    tx: &mut Transaction<'_>,
    reason: Option<&String>,
) -> Result<Vec<NewEvent>, Error> {
    let administrators = administrators(tx).await?;
    let ended = SessionsEnded {
        reason: reason.cloned(),
    };
    let context = tx.context();
    let ended = |user: &Arc<User>| context.event(user.id, ended.clone());
    Ok(administrators.iter().map(ended).collect())
}

fn decide_create(
    command: &CreateUser,
    is_taken: bool,
    user_id: UserId,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    if is_taken {
        return Err(Rejection::NameTaken);
    }
    let CreateUser {
        name,
        role,
        can_audit,
        disabled,
        reason,
        ..
    } = command;
    let created = UserCreated {
        user_id,
        name: name.clone(),
        role: *role,
        can_audit: *can_audit,
        reason: reason.clone(),
    };
    let mut events = vec![context.event(user_id, created)];
    if *disabled {
        let changed = UserChanged {
            name: name.clone(),
            role: *role,
            can_audit: *can_audit,
            disabled: true,
            reason: reason.clone(),
        };
        events.push(context.event(user_id, changed));
    }
    if let Some(password) = &command.password {
        events.push(password_set(context, user_id, password, reason.clone())?);
    }
    Ok(events)
}

fn password_set(
    context: &Context<'_>,
    user_id: UserId,
    password: &NewPassword,
    reason: Option<String>,
) -> Result<NewEvent, Rejection> {
    let place = password_place(context, user_id);
    let keys = &context.rules.master_keys;
    let sealed = keys.seal(context.random, &place, password.hash.expose().as_bytes());
    let sealed = sealed.map_err(|error| Rejection::Invalid {
        code: "invalid_password",
        detail: error.to_string(),
    })?;
    let set = PasswordSet {
        sealed_hash: sealed.as_bytes().into(),
        must_change: password.must_change,
        reason,
    };
    Ok(context.event(user_id, set))
}

fn password_place(context: &Context<'_>, user_id: UserId) -> SealContext<'static> {
    SealContext {
        ledger_id: context.ledger_id,
        stream: StreamId::from(user_id),
        field: PasswordHash::FIELD,
    }
}

/// The user, where it was not deleted.
pub(super) async fn living(tx: &mut Transaction<'_>, id: UserId) -> Result<Arc<User>, Error> {
    let user = tx.named::<User>(id).await?;
    match user.deleted {
        true => Err(Rejection::UserNotFound.into()),
        false => Ok(user),
    }
}

/// What a user who goes leaves: the keys that they made or confirmed and that were in force, and the agents
/// for which they answer.
#[derive(Debug, Clone)]
pub struct LeftBehind {
    /// Each with its agent, oldest first; revoked where that was asked for.
    pub keys: Vec<(Arc<Key>, Arc<Agent>)>,
    /// Oldest first.
    pub agents: Vec<Arc<Agent>>,
}

/// What the user leaves; the keys are revoked where that is asked for.
async fn left_behind(
    tx: &mut Transaction<'_>,
    user: UserId,
    revoke_keys: bool,
    reason: Option<&String>,
) -> Result<LeftBehind, Error> {
    let mut minted = minted_by(tx, user).await?;
    if revoke_keys {
        minted = revoke_all(tx, minted, reason).await?;
    }
    let mut keys = Vec::with_capacity(minted.len());
    for key in minted {
        let agent = tx.existing::<Agent>(key.agent_id).await?;
        keys.push((key, agent));
    }
    Ok(LeftBehind {
        keys,
        agents: owned_by(tx, user).await?,
    })
}

/// A user who was changed or deleted.
#[derive(Debug, Clone)]
pub struct ChangedUser {
    /// The user as it is now.
    pub user: Arc<User>,
    /// Told of one who is to be disabled or deleted.
    pub left_behind: Option<LeftBehind>,
}

/// Changes settings of a user; what is absent stays.
#[derive(Debug, Clone)]
pub struct ChangeUser {
    /// The user.
    pub user_id: UserId,
    /// Another name.
    pub name: Option<UserName>,
    /// Another role.
    pub role: Option<Role>,
    /// Whether it may read every payload of the ledger.
    pub can_audit: Option<bool>,
    /// Whether it may do nothing at all.
    pub disabled: Option<bool>,
    /// All groups that it is in from here on.
    pub groups: Option<Vec<GroupId>>,
    /// Whether the keys that the user made or confirmed are revoked, where it is to be disabled.
    pub revoke_keys: bool,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for ChangeUser {
    type Answer = ChangedUser;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<ChangedUser, Error> {
        still_acts(tx, Role::Admin).await?;
        let disables = self.disabled == Some(true);
        if self.revoke_keys && !disables {
            return Err(Rejection::Invalid {
                code: "keys_stay",
                detail: "revoke: keys go with a user who is disabled or deleted: send {\"disabled\":true} with it"
                    .to_owned(),
            }
            .into());
        }
        let user = living(tx, self.user_id).await?;
        let holder = match &self.name {
            Some(name) => tx.find(&LookupKey::user(name)).await?.map(UserId::from),
            None => None,
        };
        let is_last = is_last(tx, &user).await?;
        let events = decide_change(&self, &user, holder, is_last, &tx.context())?;
        tx.append(events).await?;
        if let Some(groups) = &self.groups {
            leave_all(tx, user.id, groups, self.reason.clone()).await?;
            put_into(tx, user.id, groups, self.reason.clone()).await?;
        }
        let left_behind = match disables {
            true => Some(left_behind(tx, user.id, self.revoke_keys, self.reason.as_ref()).await?),
            false => None,
        };
        Ok(ChangedUser {
            user: tx.existing::<User>(user.id).await?,
            left_behind,
        })
    }
}

/// Whether it is the one administrator who can still log in.
async fn is_last(tx: &mut Transaction<'_>, user: &User) -> Result<bool, Error> {
    Ok(is_usable_now(tx, user).await? && !is_other_usable(tx, Some(user.id)).await?)
}

/// Whether it is that one, and could not log in without that passkey.
pub(super) async fn is_last_by(
    tx: &mut Transaction<'_>,
    user: &User,
    passkey: &CredentialId,
) -> Result<bool, Error> {
    Ok(is_last(tx, user).await? && !is_usable_without(tx, user, Some(passkey)).await?)
}

fn decide_change(
    command: &ChangeUser,
    user: &User,
    name_holder: Option<UserId>,
    is_last: bool,
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    if name_holder.is_some_and(|holder| holder != user.id) {
        return Err(Rejection::NameTaken);
    }
    let changed = UserChanged {
        name: command.name.clone().unwrap_or_else(|| user.name.clone()),
        role: command.role.unwrap_or(user.role),
        can_audit: command.can_audit.unwrap_or(user.can_audit),
        disabled: command.disabled.unwrap_or(user.disabled),
        reason: command.reason.clone(),
    };
    if is_last && (changed.role != Role::Admin || changed.disabled) {
        return Err(Rejection::LastAdmin);
    }
    let stays = changed.name == user.name
        && changed.role == user.role
        && changed.can_audit == user.can_audit
        && changed.disabled == user.disabled;
    Ok(match stays {
        true => Vec::new(),
        false => vec![context.event(user.id, changed)],
    })
}

/// Sets a user's password, and ends its sessions by that. Users without one who set their own have shown a
/// passkey a moment ago.
#[derive(Debug, Clone)]
pub struct SetPassword {
    /// The user.
    pub user_id: UserId,
    /// The password.
    pub password: NewPassword,
    /// Goes on for the session of the user who asks; absent where another asks.
    pub reissue: Option<Reissue>,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for SetPassword {
    /// The session that goes on, if one does.
    type Answer = (Arc<User>, Option<Opened>);

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        still_acts_on(tx, self.user_id).await?;
        let user = living(tx, self.user_id).await?;
        if user.password.is_none() {
            has_shown_own(tx, &user).await?;
        }
        let set = password_set(&tx.context(), user.id, &self.password, self.reason)?;
        reissue(tx, &user, set, self.reissue).await
    }
}

/// Ends all sessions of a user.
#[derive(Debug, Clone)]
pub struct EndSessions {
    /// The user.
    pub user_id: UserId,
    /// Goes on for the session of the user who asks; absent where another asks.
    pub reissue: Option<Reissue>,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for EndSessions {
    /// The session that goes on, if one does.
    type Answer = (Arc<User>, Option<Opened>);

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Self::Answer, Error> {
        still_acts_on(tx, self.user_id).await?;
        let user = living(tx, self.user_id).await?;
        let ended = SessionsEnded {
            reason: self.reason,
        };
        let ended = tx.context().event(user.id, ended);
        reissue(tx, &user, ended, self.reissue).await
    }
}

/// Deletes a user for good; its name is free again.
#[derive(Debug, Clone)]
pub struct DeleteUser {
    /// The user.
    pub user_id: UserId,
    /// Whether the keys that the user made or confirmed are revoked.
    pub revoke_keys: bool,
    /// The reason, when somebody gave one.
    pub reason: Option<String>,
}

impl Command for DeleteUser {
    type Answer = ChangedUser;

    // It erases the keys that the user stored, which must stand in the file.
    const IS_ALONE: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<ChangedUser, Error> {
        still_acts(tx, Role::Admin).await?;
        let user = living(tx, self.user_id).await?;
        if is_last(tx, &user).await? {
            return Err(Rejection::LastAdmin.into());
        }
        leave_all(tx, user.id, &[], self.reason.clone()).await?;
        let stored = keys_of(tx, UpstreamKeyOwner::User(user.id)).await?;
        let secrets = end(tx, stored, UpstreamKeyEnd::OwnerDeleted).await?;
        let deleted = UserDeleted {
            reason: self.reason.clone(),
        };
        let deleted = tx.context().event(user.id, deleted);
        tx.append(vec![deleted]).await?;
        let left = left_behind(tx, user.id, self.revoke_keys, self.reason.as_ref()).await?;
        erase(tx, secrets, UpstreamKeyEnd::OwnerDeleted).await?;
        Ok(ChangedUser {
            user: tx.existing::<User>(user.id).await?,
            left_behind: Some(left),
        })
    }
}
