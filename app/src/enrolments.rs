//! Invitations to register a passkey, and the ceremony that does.

use crate::app::App;
use crate::approvers::known_principal;
use crate::passkey::{
    Attestation, PasskeyRefused, RegisteredCredential, Registrant, RegistrationChallenge,
};
use crate::principal::{Acting, InvitationAccess, SessionAccess};
use crate::refusal::Error;
use crate::token::link::{EnrolmentLink, LinkKey, SignedToken};
use crate::users;
use ledger::aggregate::{Approver, Enrolment, User};
use ledger::command::{Enrol, NewCredential, OpenEnrolment, OpenUserEnrolment, OpenedEnrolment};
use ledger::event::CredentialStatus;
use ledger::{
    Actor, ApproverName, Blob, CredentialId, Ledger, Origin, RecordedThumbprint, Rejection,
    RequestId, Timestamp, UserId,
};
use std::sync::Arc;
use webauthn_rs_core::proto::PublicKeyCredentialCreationOptions;

/// An invitation to register one passkey.
#[derive(Debug)]
pub struct Invited {
    pub principal: ApproverName,
    pub link: SignedToken,
    pub expires_at: Timestamp,
}

/// Invites a principal to register a passkey.
pub async fn invite(app: &App, who: Acting, principal: String) -> Result<Invited, Error> {
    let principal = known_principal(&app.ledger, principal).await?.checked()?;
    open(&app.ledger, &app.keys.enrolment_link, who, principal).await
}

/// Opens an invitation, and signs its link.
pub async fn open(
    ledger: &Ledger,
    key: &LinkKey<EnrolmentLink>,
    who: Acting,
    principal: ApproverName,
) -> Result<Invited, Error> {
    let command = OpenEnrolment {
        principal: principal.clone(),
    };
    let opened = ledger.execute(who.origin, command).await?;
    signed(key, principal, &opened)
}

/// Invites a user to register a passkey of their own.
pub async fn invite_user(app: &App, who: Acting, user_id: UserId) -> Result<Invited, Error> {
    let user = users::read(&app.ledger, &who, user_id).await?.user;
    open_for_user(&app.ledger, &app.keys.enrolment_link, who, &user).await
}

/// Invites who asks to register one more passkey of their own.
///
/// # Errors
/// [`Rejection::StepUpRequired`] for who has one, and has not shown it a moment ago.
pub async fn invite_oneself(app: &App, who: SessionAccess) -> Result<Invited, Error> {
    let user = Arc::clone(&who.session.user);
    open_for_user(&app.ledger, &app.keys.enrolment_link, who.into(), &user).await
}

/// As [`open`], for a passkey of a user's own.
pub async fn open_for_user(
    ledger: &Ledger,
    key: &LinkKey<EnrolmentLink>,
    who: Acting,
    user: &User,
) -> Result<Invited, Error> {
    let command = OpenUserEnrolment { user_id: user.id };
    let opened = ledger.execute(who.origin, command).await?;
    signed(key, user.principal(), &opened)
}

fn signed(
    key: &LinkKey<EnrolmentLink>,
    principal: ApproverName,
    opened: &OpenedEnrolment,
) -> Result<Invited, Error> {
    let link = key.sign(EnrolmentLink {
        enrolment_id: opened.enrolment_id,
        principal: principal.clone(),
        exp: opened.expires_at.as_seconds(),
    })?;
    Ok(Invited {
        principal,
        link,
        expires_at: opened.expires_at,
    })
}

/// An invitation, used or not, and who is invited.
#[derive(Debug)]
pub struct Invitation {
    pub approver: Arc<Approver>,
    pub enrolment: Enrolment,
    /// The user whose own passkey it will be.
    pub user: Option<Arc<User>>,
}

impl Invitation {
    /// The invitation that a link is for.
    ///
    /// # Errors
    /// [`Rejection::EnrolmentNotFound`].
    pub async fn of(ledger: &Ledger, who: &InvitationAccess) -> Result<Self, Error> {
        let approver = ledger.approver(&who.link.principal).await?;
        let approver = approver.ok_or(Rejection::EnrolmentNotFound)?;
        let enrolment = approver.enrolment(who.link.enrolment_id).cloned();
        let enrolment = enrolment.ok_or(Rejection::EnrolmentNotFound)?;
        let user = match User::named_by(&approver.principal) {
            Some(id) => ledger.load::<User>(id).await?,
            None => None,
        };
        Ok(Self {
            approver,
            enrolment,
            user,
        })
    }

    /// The name by which people know who is invited.
    #[must_use]
    pub fn name(&self) -> &str {
        match &self.user {
            Some(user) => user.name.as_str(),
            None => self.approver.principal.as_str(),
        }
    }

    /// Whether it still registers a passkey.
    #[must_use]
    pub fn is_usable(&self, now: Timestamp) -> bool {
        self.enrolment.is_usable(self.user.as_deref(), now)
    }
}

/// An invitation that can be used. The ledger asks again when the passkey is registered.
pub struct Usable<'a> {
    app: &'a App,
    invitation: Invitation,
    known: Vec<Vec<u8>>,
    request_id: Option<RequestId>,
}

#[derive(Debug)]
pub struct Registered {
    pub approver: Arc<Approver>,
    pub credential_id: CredentialId,
    /// RFC 9679 thumbprint of its key.
    pub public_key_thumbprint: RecordedThumbprint,
}

impl<'a> Usable<'a> {
    /// The invitation that a link is for.
    ///
    /// # Errors
    /// [`Rejection::EnrolmentEnded`] when it was used or has expired.
    pub async fn of(app: &'a App, who: &InvitationAccess) -> Result<Self, Error> {
        let invitation = Invitation::of(&app.ledger, who).await?;
        if !invitation.is_usable(app.ledger.now()) {
            return Err(Rejection::EnrolmentEnded.into());
        }
        let known = invitation.approver.credentials.iter();
        let known = known.map(|credential| credential.credential_id.as_slice().to_vec());
        Ok(Self {
            app,
            known: known.collect(),
            invitation,
            request_id: who.request_id,
        })
    }

    /// Options for a registration.
    pub fn options(&self) -> Result<PublicKeyCredentialCreationOptions, Error> {
        let ledger = &self.app.ledger;
        let valid_until = ledger.now().plus(self.app.challenge_ttl);
        let challenge = RegistrationChallenge::issue(
            &self.app.keys.registration,
            &**ledger.random(),
            valid_until.min(self.invitation.enrolment.expires_at),
            self.invitation.enrolment.id,
        );
        let party = &self.app.relying_party;
        let options = party.registration_options(&challenge, &self.registrant());
        options.map_err(refused)
    }

    /// Registers the passkey that an authenticator has made.
    ///
    /// # Errors
    /// Why it is none, or what the ledger refuses.
    pub async fn register(self, attestation: &Attestation) -> Result<Registered, Error> {
        let ledger = &self.app.ledger;
        let made = self.app.relying_party.register(
            &self.app.keys.registration,
            self.invitation.enrolment.id,
            &self.registrant(),
            attestation,
            ledger.now(),
        );
        let credential = new_credential(made.map_err(refused)?)?;
        let credential_id = credential.credential_id.clone();
        let public_key_thumbprint = credential.public_key_thumbprint.clone();
        let origin = Origin {
            actor: Actor::Approver {
                principal: self.invitation.approver.principal.clone(),
                credential_id: credential_id.clone(),
            },
            request_id: self.request_id,
        };
        let command = Enrol {
            enrolment_id: self.invitation.enrolment.id,
            credential,
        };
        Ok(Registered {
            approver: ledger.execute(origin, command).await?,
            credential_id,
            public_key_thumbprint,
        })
    }

    fn registrant(&self) -> Registrant<'_> {
        Registrant {
            ledger_id: self.app.ledger.id(),
            principal: &self.invitation.approver.principal,
            name: self.invitation.name(),
            registered: &self.known,
        }
    }
}

pub(crate) fn new_credential(made: RegisteredCredential) -> Result<NewCredential, Rejection> {
    let thumbprint = made.public_key.thumbprint();
    Ok(NewCredential {
        credential_id: CredentialId::parse(made.credential_id)?,
        status: CredentialStatus::Active,
        algorithm: made.public_key.algorithm().as_str().to_owned(),
        public_key: Blob::from(made.public_key.to_cose()),
        public_key_thumbprint: thumbprint.into(),
        backup_eligible: Some(made.backup_eligible),
        sign_count: made.sign_count,
    })
}

pub(crate) fn refused(why: PasskeyRefused) -> Error {
    match why {
        PasskeyRefused::ChallengeExpired => Rejection::ChallengeExpired.into(),
        PasskeyRefused::Setup(cause) => Error::defect(cause),
        why => Error::Registration(why),
    }
}
