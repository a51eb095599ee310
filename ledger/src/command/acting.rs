//! Whether the user who asks may still ask, as of this batch: what was decided a moment ago may have
//! taken it away.

use super::locked::is_session_dead;
use super::software_keys::is_key_gone;
use crate::aggregate::{Session, User};
use crate::error::Error;
use crate::event::{Actor, Role};
use crate::id::{SessionId, UserId};
use crate::rejection::Rejection;
use crate::writer::Transaction;
use std::sync::Arc;

/// Holds the user who asks, if one does, to what is decided before it in this batch.
///
/// # Errors
/// [`Rejection::SessionEnded`], and [`Rejection::RoleRequired`] where the role is less than that.
pub(super) async fn still_acts(tx: &mut Transaction<'_>, least: Role) -> Result<(), Error> {
    let Actor::User {
        user_id, via_id, ..
    } = tx.envelope().actor
    else {
        return Ok(());
    };
    let user = tx.load::<User>(user_id).await?;
    let user = user.ok_or(Rejection::SessionEnded)?;
    acting_session(tx, &user, via_id).await?;
    match user.role >= least {
        true => Ok(()),
        false => Err(Rejection::RoleRequired {
            required: least,
            role: user.role,
        }
        .into()),
    }
}

/// The same for what users may do to themselves, and administrators to everybody.
pub(super) async fn still_acts_on(tx: &mut Transaction<'_>, whom: UserId) -> Result<(), Error> {
    let is_self = matches!(tx.envelope().actor, Actor::User { user_id, .. } if user_id == whom);
    let least = if is_self { Role::Viewer } else { Role::Admin };
    still_acts(tx, least).await
}

/// The session, where its holder is that user now.
pub(super) async fn acting_session(
    tx: &mut Transaction<'_>,
    user: &User,
    id: SessionId,
) -> Result<Arc<Session>, Error> {
    let session = tx.load::<Session>(id).await?;
    let now = tx.context().now;
    let session = session.filter(|session| session.is_valid(user, now));
    let session = session.ok_or(Rejection::SessionEnded)?;
    if is_session_dead(tx, user, &session).await? || is_key_gone(tx, &session).await? {
        return Err(Rejection::SessionEnded.into());
    }
    tx.user_acts_by(session.id);
    Ok(session)
}
