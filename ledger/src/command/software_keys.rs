//! Command-line keys of users: how one is added, what one proves, and what ends with it.

use super::Command;
use super::acting::still_acts;
use super::approvers::{NewCredential, identify, put};
use super::decisions::is_ours;
use super::locked::is_decider_locked;
use super::passkeys::active;
use super::users::living;
use crate::aggregate::{Approver, Session, User};
use crate::error::Error;
use crate::event::{Actor, CredentialStatus, KeyProof, Role};
use crate::id::{SessionId, StreamId, UserId};
use crate::identity::{Ceremony, IdentityStatement};
use crate::name::CredentialId;
use crate::rejection::Rejection;
use crate::software_key::{CredentialKey, SOFTWARE_KEY_ALGORITHM, SoftwareKey, SoftwareSignature};
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;

/// Adds a command-line key of a user's own. Nobody does it for somebody else, and a passkey was shown a moment ago:
/// by a session alone nobody makes themselves a key that stays.
#[derive(Debug, Clone)]
pub struct AddSoftwareKey {
    /// The user.
    pub user_id: UserId,
    /// The name of the key, which nothing else has.
    pub credential_id: CredentialId,
    /// The key.
    pub key: SoftwareKey,
}

impl Command for AddSoftwareKey {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        still_acts(tx, Role::Viewer).await?;
        let Actor::User {
            user_id, via_id, ..
        } = tx.envelope().actor
        else {
            return Err(Rejection::PasskeyNotEligible.into());
        };
        if user_id != self.user_id {
            return Err(Rejection::PasskeyNotEligible.into());
        }
        let user = living(tx, self.user_id).await?;
        let session = tx.existing::<Session>(via_id).await?;
        if !session.is_stepped_up(tx.context().now) {
            return Err(Rejection::StepUpRequired.into());
        }
        let holder = LookupKey::credential(&self.credential_id);
        if tx.find(&holder).await?.is_some() {
            return Err(Rejection::CredentialTaken.into());
        }
        let principal = user.principal();
        let known = LookupKey::approver(&principal);
        let known = tx.find_state::<Approver>(&known).await?;
        let (approver_id, events) = identify(known.as_deref(), &principal, &tx.context());
        tx.append(events).await?;
        let credential = NewCredential {
            credential_id: self.credential_id,
            status: CredentialStatus::Active,
            algorithm: SOFTWARE_KEY_ALGORITHM.to_owned(),
            public_key: self.key.to_raw().to_vec().into(),
            public_key_thumbprint: self.key.thumbprint().into(),
            backup_eligible: None,
            sign_count: 0,
        };
        put(tx, approver_id, credential, None, None).await
    }
}

/// The proof of a login by a command-line key of the user's own. Its session has the nonce of the challenge as its
/// id, so that a challenge opens one session. Keys of other principals log nobody in: who may register them would
/// become the users whose principals these are.
///
/// # Errors
/// [`Rejection::LoginFailed`], whatever is wrong.
pub(super) async fn prove_key_login(
    tx: &mut Transaction<'_>,
    user: &User,
    session: SessionId,
    signature: &SoftwareSignature,
) -> Result<KeyProof, Error> {
    let is_new = tx
        .load_if::<Session>(StreamId::from(session))
        .await?
        .is_none();
    match prove(tx, user, session, signature).await {
        Ok(proof) if is_new => Ok(proof),
        Ok(_) | Err(Error::Rejected(_)) => Err(Rejection::LoginFailed.into()),
        Err(error) => Err(error),
    }
}

async fn prove(
    tx: &mut Transaction<'_>,
    user: &User,
    session: SessionId,
    signature: &SoftwareSignature,
) -> Result<KeyProof, Error> {
    let credential_id = CredentialId::unchecked(signature.credential_id.clone());
    let holder = LookupKey::credential(&credential_id);
    let holder = Error::none_if_erased(tx.find_state::<Approver>(&holder).await)?;
    let holder = holder.filter(|holder| holder.principal == user.principal());
    let holder = holder.ok_or(Rejection::LoginFailed)?;
    if is_decider_locked(tx, &holder.principal, &credential_id).await? {
        return Err(Rejection::LoginFailed.into());
    }
    let credential = active(&holder, &credential_id)?;
    let Ok(CredentialKey::Software(key)) = credential.key() else {
        return Err(Rejection::LoginFailed.into());
    };
    let context = tx.context();
    let statement = IdentityStatement {
        ledger_id: context.ledger_id,
        ceremony: Ceremony::KeyLogin(credential_id.clone()),
    };
    let challenge = signature.challenge().map_err(|_| Rejection::LoginFailed)?;
    signature
        .verify_login(&key, credential_id.as_slice(), &statement)
        .map_err(|_| Rejection::LoginFailed)?;
    is_ours(challenge, &context)?;
    if challenge.nonce() != session.as_bytes() {
        return Err(Rejection::LoginFailed.into());
    }
    Ok(KeyProof {
        principal: holder.principal.clone(),
        credential_id,
        challenge: signature.challenge.clone().into(),
        signature: signature.signature.clone().into(),
    })
}

/// Whether the command-line key that opened a session was taken away since. Sessions that were opened otherwise read
/// nothing.
pub(super) async fn is_key_gone(
    tx: &mut Transaction<'_>,
    session: &Session,
) -> Result<bool, Error> {
    let Some(key) = &session.key else {
        return Ok(false);
    };
    let holder = LookupKey::credential(key);
    let holder = Error::none_if_erased(tx.find_state::<Approver>(&holder).await)?;
    Ok(holder.is_none_or(|holder| holder.active_credential(key).is_none()))
}
