//! Passkeys of users: which of them log in, what one proves, and how they come and go.

use super::Command;
use super::acting::{acting_session, still_acts, still_acts_on};
use super::approvers::{Enrol, NewCredential, OpenedEnrolment, open_enrolment, revoke};
use super::authority::owner;
use super::decisions::{counts_on, verify};
use super::locked::is_decider_locked;
use super::users::{CreateUser, is_last_by, living};
use crate::aggregate::{Approver, Credential, STEP_UP_LIFE, Session, User};
use crate::assertion::Assertion;
use crate::error::Error;
use crate::event::{Actor, LockTarget, PasskeyProof, PrincipalLinked, Role, SteppedUp};
use crate::id::{SessionId, StreamId, UserId};
use crate::identity::{Ceremony, IdentityStatement};
use crate::label::UserName;
use crate::name::{ApproverName, CredentialId};
use crate::rejection::Rejection;
use crate::storage::{LookupKey, credential_counter};
use crate::writer::Transaction;
use std::sync::Arc;

/// Whether nobody has disabled, locked, deleted or erased the user whose principal it is, if it is one's.
pub(super) async fn is_owner_enabled(
    tx: &mut Transaction<'_>,
    principal: &ApproverName,
) -> Result<bool, Error> {
    let owner = match owner(tx, principal).await {
        Err(Error::Rejected(Rejection::Erased)) => return Ok(false),
        owner => owner?,
    };
    let is_of_users = User::named_by(principal).is_some();
    let (locks, now) = (tx.locks(), tx.context().now);
    let may = |user: Arc<User>| {
        let is_locked = locks.in_force(&[LockTarget::User(user.id)], now).is_some();
        user.is_enabled() && !is_locked
    };
    Ok(owner.map_or(!is_of_users, may))
}

/// Holds a user who adds or removes a passkey to one that was shown a moment ago: by a session alone nobody
/// makes themselves another way in. Users who never had any add their own first one without.
///
/// # Errors
/// [`Rejection::StepUpRequired`].
async fn has_shown(tx: &mut Transaction<'_>, user: &User) -> Result<(), Error> {
    let Actor::User {
        user_id, via_id, ..
    } = tx.envelope().actor
    else {
        return Ok(());
    };
    let session = tx.existing::<Session>(via_id).await?;
    if session.is_stepped_up(tx.context().now) {
        return Ok(());
    }
    match user_id == user.id && !had_any(tx, user).await? {
        true => Ok(()),
        false => Err(Rejection::StepUpRequired.into()),
    }
}

/// The same for users who do something to themselves; others are held to their role.
pub(super) async fn has_shown_own(tx: &mut Transaction<'_>, user: &User) -> Result<(), Error> {
    match tx.envelope().actor {
        Actor::User { user_id, .. } if user_id == user.id => has_shown(tx, user).await,
        _ => Ok(()),
    }
}

/// Whether there is a passkey by which the user has ever logged in, or could have. One that was taken away
/// counts: by that no session, in a thief's hands perhaps, is to gain what it could not do before.
async fn had_any(tx: &mut Transaction<'_>, user: &User) -> Result<bool, Error> {
    if !user.linked.is_empty() {
        return Ok(true);
    }
    let own = LookupKey::approver(&user.principal());
    let own = Error::none_if_erased(tx.find_state::<Approver>(&own).await)?;
    Ok(own.is_some_and(|own| !own.credentials.is_empty()))
}

/// What an assertion proves, where it is by a passkey of that principal that is active.
///
/// # Errors
/// The rule that does not hold.
async fn prove(
    tx: &mut Transaction<'_>,
    assertion: &Assertion,
    ceremony: Ceremony,
    is_fine: impl FnOnce(&ApproverName, &CredentialId) -> bool,
) -> Result<(PasskeyProof, Arc<Approver>), Error> {
    let credential_id = CredentialId::unchecked(assertion.credential_id.clone());
    let holder = LookupKey::credential(&credential_id);
    let approver = Error::none_if_erased(tx.find_state::<Approver>(&holder).await)?;
    let approver = approver.filter(|approver| is_fine(&approver.principal, &credential_id));
    let approver = approver.ok_or(Rejection::PasskeyNotEligible)?;
    if is_decider_locked(tx, &approver.principal, &credential_id).await? {
        return Err(Rejection::PasskeyNotEligible.into());
    }
    let credential = active(&approver, &credential_id)?;
    let context = tx.context();
    let statement = IdentityStatement {
        ledger_id: context.ledger_id,
        ceremony,
    };
    let verified = verify(assertion, credential, &statement, &context)?;
    let (key, read) = credential_counter(&credential_id);
    let counted = tx.look_up(&key).await?.map_or(0, |value| read(&value));
    counts_on(verified.sign_count, counted)?;
    let known = credential.backup_eligible;
    if known.is_some_and(|known| known != verified.backup_eligible) {
        return Err(Rejection::BackupEligibilityChanged.into());
    }
    let proof = PasskeyProof {
        principal: approver.principal.clone(),
        credential_id,
        client_data_json: assertion.client_data_json.clone().into(),
        authenticator_data: assertion.authenticator_data.clone().into(),
        signature: assertion.signature.clone().into(),
        rp_id: context.rules.rp_id.clone(),
        origin: context.rules.origin.clone(),
        sign_count: verified.sign_count,
    };
    Ok((proof, approver))
}

pub(super) fn active<'a>(
    approver: &'a Approver,
    id: &CredentialId,
) -> Result<&'a Credential, Rejection> {
    let credential = approver.active_credential(id);
    credential.ok_or(Rejection::PasskeyNotEligible)
}

/// The proof of a login. Its session has the nonce of the challenge as its id, so that a challenge opens
/// one session.
///
/// # Errors
/// [`Rejection::LoginFailed`], whatever is wrong.
pub(super) async fn prove_login(
    tx: &mut Transaction<'_>,
    user: &User,
    session: SessionId,
    assertion: &Assertion,
) -> Result<PasskeyProof, Error> {
    let is_new = tx
        .load_if::<Session>(StreamId::from(session))
        .await?
        .is_none();
    let challenge = assertion.challenge().map_err(|_| Rejection::LoginFailed)?;
    if !is_new || challenge.nonce() != session.as_bytes() {
        return Err(Rejection::LoginFailed.into());
    }
    let logs_in = |principal: &ApproverName, id: &CredentialId| user.logs_in_by(principal, id);
    match prove(tx, assertion, Ceremony::Login, logs_in).await {
        Ok((proof, _)) => Ok(proof),
        Err(Error::Rejected(_)) => Err(Rejection::LoginFailed.into()),
        Err(error) => Err(error),
    }
}

/// Shows a passkey once more, for what asks for a fresh one.
#[derive(Debug, Clone)]
pub struct StepUp {
    /// The session.
    pub session_id: SessionId,
    /// An assertion by a passkey of its user, made for this.
    pub assertion: Assertion,
}

impl Command for StepUp {
    type Answer = Arc<Session>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Session>, Error> {
        let session = tx.named::<Session>(self.session_id).await?;
        let user = tx.existing::<User>(session.user_id).await?;
        let session = acting_session(tx, &user, session.id).await?;
        // A stolen key file does not become a way to have a passkey asked for.
        if session.key.is_some() {
            return Err(Rejection::KeySession.into());
        }
        if session.has_seen(&self.assertion.client_data_json) {
            return Err(Rejection::ChallengeUsed.into());
        }
        let ceremony = Ceremony::StepUp(session.id);
        let logs_in = |principal: &ApproverName, id: &CredentialId| user.logs_in_by(principal, id);
        let (proof, _) = prove(tx, &self.assertion, ceremony, logs_in).await?;
        let context = tx.context();
        let until = context.now.plus(STEP_UP_LIFE);
        let stepped_up = context.event(session.id, SteppedUp { proof, until });
        tx.append(vec![stepped_up]).await?;
        tx.existing::<Session>(session.id).await
    }
}

/// Makes an approver's principal the user's, who shows a passkey of it.
#[derive(Debug, Clone)]
pub struct LinkPrincipal {
    /// The user.
    pub user_id: UserId,
    /// The principal.
    pub principal: ApproverName,
    /// An assertion by one of its passkeys, made for this.
    pub assertion: Assertion,
}

impl Command for LinkPrincipal {
    type Answer = Arc<User>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<User>, Error> {
        still_acts(tx, Role::Viewer).await?;
        // Nobody does it for somebody else.
        if matches!(tx.envelope().actor, Actor::User { user_id, .. } if user_id != self.user_id) {
            return Err(Rejection::PasskeyNotEligible.into());
        }
        let user = living(tx, self.user_id).await?;
        has_shown(tx, &user).await?;
        let ceremony = Ceremony::Link(user.id, self.principal.clone());
        let asked = |principal: &ApproverName, _: &CredentialId| {
            *principal == self.principal && User::named_by(principal).is_none()
        };
        let (proof, approver) = prove(tx, &self.assertion, ceremony, asked).await?;
        let holder = match owner(tx, &self.principal).await {
            Err(Error::Rejected(Rejection::Erased)) => {
                return Err(Rejection::PrincipalLinked.into());
            }
            holder => holder?,
        };
        if holder.is_some_and(|holder| !holder.deleted) {
            return Err(Rejection::PrincipalLinked.into());
        }
        let linked = PrincipalLinked {
            approver_id: approver.id,
            principal: self.principal,
            proof,
        };
        let linked = tx.context().event(user.id, linked);
        tx.append(vec![linked]).await?;
        tx.existing::<User>(user.id).await
    }
}

/// Makes the first administrator, and registers the passkey by which they log in.
#[derive(Debug, Clone)]
pub struct MakeFirstAdmin {
    /// The id, for which the passkey was made.
    pub user_id: UserId,
    /// The name, which no living user has.
    pub name: UserName,
    /// The passkey.
    pub credential: NewCredential,
}

impl Command for MakeFirstAdmin {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        if tx.load::<User>(self.user_id).await?.is_some() {
            return Err(Rejection::NameTaken.into());
        }
        let create = CreateUser {
            name: self.name,
            role: Role::Admin,
            can_audit: false,
            disabled: false,
            groups: Vec::new(),
            password: None,
            is_first: true,
            reason: None,
        };
        let user = create.create(tx, self.user_id).await?;
        let opened = open_enrolment(tx, &user.principal()).await?;
        let enrol = Enrol {
            enrolment_id: opened.enrolment_id,
            credential: self.credential,
        };
        enrol.run(tx).await
    }
}

/// Opens an invitation for a user to register one passkey of their own.
#[derive(Debug, Clone, Copy)]
pub struct OpenUserEnrolment {
    /// The user.
    pub user_id: UserId,
}

impl Command for OpenUserEnrolment {
    type Answer = OpenedEnrolment;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<OpenedEnrolment, Error> {
        still_acts_on(tx, self.user_id).await?;
        let user = living(tx, self.user_id).await?;
        has_shown(tx, &user).await?;
        open_enrolment(tx, &user.principal()).await
    }
}

/// Takes a passkey away by which a user logs in.
#[derive(Debug, Clone)]
pub struct RevokeUserPasskey {
    /// The user.
    pub user_id: UserId,
    /// The passkey.
    pub credential_id: CredentialId,
    /// The reason.
    pub reason: Option<String>,
}

impl Command for RevokeUserPasskey {
    type Answer = Arc<Approver>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approver>, Error> {
        still_acts_on(tx, self.user_id).await?;
        let user = living(tx, self.user_id).await?;
        let holder = LookupKey::credential(&self.credential_id);
        let holder = tx.find_state::<Approver>(&holder).await?;
        let is_of_user = |holder: &Arc<Approver>| {
            user.logs_in_by(&holder.principal, &self.credential_id)
                && active(holder, &self.credential_id).is_ok()
        };
        let holder = holder.filter(is_of_user);
        let holder = holder.ok_or(Rejection::CredentialNotFound)?;
        has_shown(tx, &user).await?;
        if is_last_by(tx, &user, &self.credential_id).await? {
            return Err(Rejection::LastAdmin.into());
        }
        revoke(tx, &holder.principal, &self.credential_id, self.reason).await
    }
}
