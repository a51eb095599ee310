//! Approvers' credentials: put by an administrator, or enrolled in a browser by invitation.

use super::Command;
use super::acting::still_acts;
use super::authority::owner;
use super::passkeys::is_owner_enabled;
use crate::aggregate::{Approver, User};
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{
    ApproverRegistered, CredentialPut, CredentialStatus, EnrolmentOpened, LockTarget, Role,
};
use crate::id::{ApproverId, EnrolmentId};
use crate::name::{ApproverName, CredentialId, RecordedThumbprint};
use crate::rejection::Rejection;
use crate::software_key::format_of;
use crate::storage::{LookupKey, NewEvent, credential_counter};
use crate::writer::{Context, Transaction};
use std::sync::Arc;
use std::time::Duration;

const ENROLMENT_TTL: Duration = Duration::from_secs(15 * 60);

#[derive(Debug, Clone)]
pub struct NewCredential {
    pub credential_id: CredentialId,
    pub status: CredentialStatus,
    /// `ES256`, `ES384` or `RS256` of a passkey; `Ed25519` of a command-line key, whose format is `raw`.
    pub algorithm: String,
    pub public_key: Blob,
    /// RFC 9679 thumbprint of the key.
    pub public_key_thumbprint: RecordedThumbprint,
    /// Learnt at its first use when absent.
    pub backup_eligible: Option<bool>,
    pub sign_count: u32,
}

/// Adds a credential of an approver, or changes it.
#[derive(Debug, Clone)]
pub struct PutCredential {
    pub principal: ApproverName,
    pub credential: NewCredential,
    pub reason: Option<String>,
}

impl Command for PutCredential {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        still_acts(tx, Role::Admin).await?;
        is_no_users(&self.principal)?;
        let known = tx
            .find_state::<Approver>(&LookupKey::approver(&self.principal))
            .await?;
        let (approver_id, events) = identify(known.as_deref(), &self.principal, &tx.context());
        tx.append(events).await?;
        if let Some(known) = known {
            is_no_way_in(tx, &known, &self.credential).await?;
        }
        put(tx, approver_id, self.credential, None, self.reason).await
    }
}

/// The passkey by which a living user has linked the principal is not made another one, nor given back once
/// revoked: by the new one somebody else would log in as that user.
async fn is_no_way_in(
    tx: &mut Transaction<'_>,
    approver: &Approver,
    put: &NewCredential,
) -> Result<(), Error> {
    let Some(known) = approver.credential(&put.credential_id) else {
        return Ok(());
    };
    if known.may_become(&put.public_key, put.status) {
        return Ok(());
    }
    // Nobody logs in as one who was erased.
    let owner = Error::none_if_erased(owner(tx, &approver.principal).await)?;
    let logs_in = |user: &Arc<User>| {
        !user.deleted && user.logs_in_by(&approver.principal, &put.credential_id)
    };
    match owner.is_some_and(|user| logs_in(&user)) {
        true => Err(Rejection::CredentialLinked.into()),
        false => Ok(()),
    }
}

/// Users' own passkeys come and go by what is the users' alone: who may register approvers could be any
/// user otherwise.
fn is_no_users(principal: &ApproverName) -> Result<(), Rejection> {
    match principal.starts_with(ApproverName::OF_USERS) {
        true => Err(Rejection::NameReserved),
        false => Ok(()),
    }
}

/// The approver's stream, made where it is heard of for the first time.
pub(super) fn identify(
    known: Option<&Approver>,
    principal: &ApproverName,
    context: &Context<'_>,
) -> (ApproverId, Vec<NewEvent>) {
    if let Some(approver) = known {
        return (approver.id, Vec::new());
    }
    let approver_id: ApproverId = context.id();
    let registered = ApproverRegistered {
        approver_id,
        principal: principal.clone(),
    };
    (approver_id, vec![context.event(approver_id, registered)])
}

pub(super) async fn put(
    tx: &mut Transaction<'_>,
    approver_id: ApproverId,
    credential: NewCredential,
    enrolment_id: Option<EnrolmentId>,
    reason: Option<String>,
) -> Result<Arc<Approver>, Error> {
    let holder = LookupKey::credential(&credential.credential_id);
    let holder = tx.find(&holder).await?.map(ApproverId::from);
    if holder.is_some_and(|holder| holder != approver_id) {
        return Err(Rejection::CredentialTaken.into());
    }
    let approver = tx.existing::<Approver>(approver_id).await?;
    let known = approver.credential(&credential.credential_id);
    // The counter of the same key only ever rises, whatever is put.
    let mut sign_count = credential.sign_count;
    let mut backup_eligible = credential.backup_eligible;
    if let Some(known) = known.filter(|known| known.public_key == credential.public_key) {
        backup_eligible = backup_eligible.or(known.backup_eligible);
        let (key, read) = credential_counter(&credential.credential_id);
        let counted = tx.look_up(&key).await?.map_or(0, |value| read(&value));
        sign_count = sign_count.max(counted);
    }
    let event = tx.context().event(
        approver_id,
        CredentialPut {
            credential_id: credential.credential_id,
            status: credential.status,
            public_key_format: format_of(&credential.algorithm).to_owned(),
            algorithm: credential.algorithm,
            public_key: credential.public_key,
            public_key_thumbprint: credential.public_key_thumbprint,
            backup_eligible,
            sign_count,
            enrolment_id,
            reason,
        },
    );
    tx.append(vec![event]).await?;
    tx.existing::<Approver>(approver_id).await
}

/// Takes a credential away; it cannot decide from the next request on.
#[derive(Debug, Clone)]
pub struct RevokeCredential {
    pub principal: ApproverName,
    pub credential_id: CredentialId,
    pub reason: Option<String>,
}

impl Command for RevokeCredential {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        still_acts(tx, Role::Operator).await?;
        is_no_users(&self.principal)?;
        revoke(tx, &self.principal, &self.credential_id, self.reason).await
    }
}

/// Takes a credential of a principal away.
pub(super) async fn revoke(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
    credential_id: &CredentialId,
    reason: Option<String>,
) -> Result<Arc<Approver>, Error> {
    let approver = tx
        .find_state::<Approver>(&LookupKey::approver(principal))
        .await?
        .ok_or(Rejection::CredentialNotFound)?;
    let known = approver
        .credential(credential_id)
        .ok_or(Rejection::CredentialNotFound)?;
    let credential = NewCredential {
        credential_id: known.credential_id.clone(),
        status: CredentialStatus::Revoked,
        algorithm: known.algorithm.clone(),
        public_key: known.public_key.clone(),
        public_key_thumbprint: known.public_key_thumbprint.clone(),
        backup_eligible: known.backup_eligible,
        sign_count: known.sign_count,
    };
    put(tx, approver.id, credential, None, reason).await
}

/// Opens an invitation for an approver to register one passkey.
#[derive(Debug, Clone)]
pub struct OpenEnrolment {
    pub principal: ApproverName,
}

#[derive(Debug, Clone, Copy)]
pub struct OpenedEnrolment {
    pub enrolment_id: EnrolmentId,
    pub expires_at: Timestamp,
}

impl Command for OpenEnrolment {
    type Answer = OpenedEnrolment;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<OpenedEnrolment, Error> {
        still_acts(tx, Role::Admin).await?;
        is_no_users(&self.principal)?;
        open_enrolment(tx, &self.principal).await
    }
}

/// Opens an invitation for a principal.
pub(super) async fn open_enrolment(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
) -> Result<OpenedEnrolment, Error> {
    let known = tx
        .find_state::<Approver>(&LookupKey::approver(principal))
        .await?;
    let context = tx.context();
    let (approver_id, mut events) = identify(known.as_deref(), principal, &context);
    let enrolment_id = EnrolmentId::from_bytes(context.random.sixteen());
    let expires_at = context.now.plus(ENROLMENT_TTL);
    events.push(context.event(
        approver_id,
        EnrolmentOpened {
            enrolment_id,
            expires_at,
        },
    ));
    tx.append(events).await?;
    Ok(OpenedEnrolment {
        enrolment_id,
        expires_at,
    })
}

/// Uses an invitation: registers the passkey that a browser made.
#[derive(Debug, Clone)]
pub struct Enrol {
    pub enrolment_id: EnrolmentId,
    pub credential: NewCredential,
}

impl Command for Enrol {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        let approver = tx
            .find_state::<Approver>(&LookupKey::enrolment(self.enrolment_id))
            .await?
            .ok_or(Rejection::EnrolmentNotFound)?;
        let user = match User::named_by(&approver.principal) {
            Some(user) => tx.load::<User>(user).await?,
            None => None,
        };
        let now = tx.context().now;
        let usable = approver
            .enrolment(self.enrolment_id)
            .is_some_and(|enrolment| enrolment.is_usable(user.as_deref(), now));
        let is_dead = match (&user, approver.enrolment(self.enrolment_id)) {
            (Some(user), Some(enrolment)) => {
                let user = [LockTarget::User(user.id)];
                tx.locks().end(&user, enrolment.opened_at, now)
            }
            _ => false,
        };
        if !usable || is_dead || !is_owner_enabled(tx, &approver.principal).await? {
            return Err(Rejection::EnrolmentEnded.into());
        }
        if tx
            .find(&LookupKey::credential(&self.credential.credential_id))
            .await?
            .is_some()
        {
            return Err(Rejection::CredentialTaken.into());
        }
        put(
            tx,
            approver.id,
            self.credential,
            Some(self.enrolment_id),
            None,
        )
        .await
    }
}
