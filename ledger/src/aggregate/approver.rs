//! A principal who may decide, and the credentials registered for it.

use super::{Aggregate, User};
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::event::{CredentialPut, CredentialStatus, Event};
use crate::id::{ApproverId, EnrolmentId};
use crate::name::{ApproverName, CredentialId};
use crate::rejection::Rejection;
use crate::software_key::{CredentialKey, CredentialKeyError, SOFTWARE_KEY_FORMAT};

/// A registered credential, as its newest event says.
pub type Credential = CredentialPut;

impl Credential {
    /// Its public key.
    ///
    /// # Errors
    /// What keeps it from being a sound one.
    pub fn key(&self) -> Result<CredentialKey, CredentialKeyError> {
        CredentialKey::read(&self.public_key_format, self.public_key.as_slice())
    }

    /// True for a passkey, false for a command-line key, which is never as good as one.
    #[must_use]
    pub fn is_passkey(&self) -> bool {
        self.public_key_format != SOFTWARE_KEY_FORMAT
    }

    /// Whether nobody answers by it afterwards who could not before: it keeps its key, and is not given back.
    pub(crate) fn may_become(&self, public_key: &Blob, status: CredentialStatus) -> bool {
        let is_given_back =
            self.status == CredentialStatus::Revoked && status == CredentialStatus::Active;
        self.public_key == *public_key && !is_given_back
    }
}

/// An invitation to register a passkey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    pub id: EnrolmentId,
    pub opened_at: Timestamp,
    pub expires_at: Timestamp,
    pub used: bool,
}

impl Enrolment {
    /// Whether it registers a passkey, of that user's own where it is one's.
    #[must_use]
    pub fn is_usable(&self, user: Option<&User>, now: Timestamp) -> bool {
        let is_honoured = user.is_none_or(|user| user.honours_invitation_of(self.opened_at));
        !self.used && now < self.expires_at && is_honoured
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    pub id: ApproverId,
    pub principal: ApproverName,
    /// Its credentials, in the order in which they were first registered.
    pub credentials: Vec<Credential>,
    /// Its invitations, oldest first.
    pub enrolments: Vec<Enrolment>,
}

impl Approver {
    #[must_use]
    pub fn credential(&self, id: &CredentialId) -> Option<&Credential> {
        self.credentials
            .iter()
            .find(|credential| credential.credential_id == *id)
    }

    /// The credential with that id, where it may decide.
    #[must_use]
    pub fn active_credential(&self, id: &CredentialId) -> Option<&Credential> {
        self.credential(id)
            .filter(|known| known.status == CredentialStatus::Active)
    }

    /// The credentials that may decide.
    pub fn active_credentials(&self) -> impl Iterator<Item = &Credential> {
        self.credentials
            .iter()
            .filter(|c| c.status == CredentialStatus::Active)
    }

    /// The passkeys that may decide.
    pub fn active_passkeys(&self) -> impl Iterator<Item = &Credential> {
        self.active_credentials().filter(|c| c.is_passkey())
    }

    /// The invitation with that id.
    #[must_use]
    pub fn enrolment(&self, id: EnrolmentId) -> Option<&Enrolment> {
        self.enrolments.iter().find(|enrolment| enrolment.id == id)
    }
}

impl Aggregate for Approver {
    type Id = ApproverId;

    const NOT_FOUND: Rejection = Rejection::ApproverNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let Event::ApproverRegistered(registered) = event {
            *state = Some(Self {
                id: registered.approver_id,
                principal: registered.principal.clone(),
                credentials: Vec::new(),
                enrolments: Vec::new(),
            });
            return;
        }
        let Some(approver) = state else { return };
        match event {
            Event::CredentialPut(put) => {
                if let Some(used) = put.enrolment_id
                    && let Some(enrolment) = approver.enrolments.iter_mut().find(|e| e.id == used)
                {
                    enrolment.used = true;
                }
                match approver
                    .credentials
                    .iter_mut()
                    .find(|c| c.credential_id == put.credential_id)
                {
                    Some(known) => *known = put.clone(),
                    None => approver.credentials.push(put.clone()),
                }
            }
            Event::BackupEligibilityLearnt(learnt) => {
                if let Some(known) = approver
                    .credentials
                    .iter_mut()
                    .find(|c| c.credential_id == learnt.credential_id)
                {
                    known.backup_eligible = Some(learnt.backup_eligible);
                }
            }
            Event::EnrolmentOpened(opened) => approver.enrolments.push(Enrolment {
                id: opened.enrolment_id,
                opened_at: at,
                expires_at: opened.expires_at,
                used: false,
            }),
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256 + self.credentials.len() * 512 + self.enrolments.len() * 48
    }
}
