//! A user, by its settings, and the number that ends its sessions.

use super::Aggregate;
use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::event::{Event, Role};
use crate::id::{ApproverId, DeviceId, UserId};
use crate::label::UserName;
use crate::name::{ApproverName, CredentialId};
use crate::push::EndpointDigest;
use crate::rejection::Rejection;

/// A password as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Password {
    /// The sealed hash; [`crate::Ledger::password_hash`] opens it.
    pub sealed_hash: Blob,
    /// True where it has to be changed before anything else is done.
    pub must_change: bool,
}

/// An approver that the user has shown a passkey of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedPrincipal {
    /// The approver.
    pub approver_id: ApproverId,
    /// Its principal.
    pub principal: ApproverName,
    /// The passkey that was shown. No other of that principal logs in.
    pub credential_id: CredentialId,
}

/// A device that the user wants to be told of questions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The device.
    pub id: DeviceId,
    /// The host of its push service.
    pub service: String,
    /// The digest of its address there.
    pub endpoint_digest: EndpointDigest,
    /// Its sealed subscription; [`crate::Ledger::device`] opens it.
    pub sealed_subscription: Blob,
    /// The time at which it was added.
    pub added_at: Timestamp,
}

/// The state of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its stream.
    pub id: UserId,
    /// The name.
    pub name: UserName,
    /// The role.
    pub role: Role,
    /// True for one who may read every payload of the ledger.
    pub can_audit: bool,
    /// True for one who may do nothing at all.
    pub disabled: bool,
    /// True once it was deleted.
    pub deleted: bool,
    /// The password, where there is one.
    pub password: Option<Password>,
    /// Raised by whatever ends all sessions. A session is of one epoch.
    pub epoch: u64,
    /// The time at which it was raised last, or began.
    pub epoch_at: Timestamp,
    /// The approvers that the user has shown a passkey of.
    pub linked: Vec<LinkedPrincipal>,
    /// The devices that are told of questions, oldest first. They end with the sessions: one of those may have
    /// added them, in a thief's hands.
    pub devices: Vec<Device>,
    /// How many devices were ever added.
    pub devices_added: u32,
    /// The time of its creation.
    pub created_at: Timestamp,
}

impl User {
    /// Whether it may do anything at all.
    #[must_use]
    pub const fn is_enabled(&self) -> bool {
        !self.deleted && !self.disabled
    }

    /// The principal under which a user's own passkeys stand.
    #[must_use]
    pub fn principal_of(id: UserId) -> ApproverName {
        ApproverName::unchecked(format!("{}{id}", ApproverName::OF_USERS))
    }

    /// The principal that the event links to its user, where it links one.
    pub(crate) const fn linked_by(event: &Event) -> Option<&ApproverName> {
        match event {
            Event::PrincipalLinked(linked) => Some(&linked.principal),
            _ => None,
        }
    }

    /// The user whose own passkeys stand under that principal; `None` where it is an approver's.
    #[must_use]
    pub fn named_by(principal: &ApproverName) -> Option<UserId> {
        principal.strip_prefix(ApproverName::OF_USERS)?.parse().ok()
    }

    /// Whether the user logs in by that passkey: one of their own, or the one by which they have linked a
    /// principal. Others of such a principal may be of somebody who may only register them.
    #[must_use]
    pub fn logs_in_by(&self, principal: &ApproverName, credential: &CredentialId) -> bool {
        let is_shown = |linked: &LinkedPrincipal| {
            linked.principal == *principal && linked.credential_id == *credential
        };
        *principal == self.principal() || self.linked.iter().any(is_shown)
    }

    /// Whether an invitation of that moment still registers a passkey of the user's own. It ends with the
    /// sessions that there were then: one of them may have opened it, in a thief's hands. Nobody can tell which
    /// of two things of one moment came first, so it ends then too, but not in that of the user's creation.
    #[must_use]
    pub fn honours_invitation_of(&self, opened_at: Timestamp) -> bool {
        let is_later = opened_at > self.epoch_at || self.epoch_at == self.created_at;
        self.is_enabled() && is_later
    }

    /// The device of that id, where the user has it.
    #[must_use]
    pub fn device(&self, id: DeviceId) -> Option<&Device> {
        self.devices.iter().find(|device| device.id == id)
    }

    /// The principals that are the user's: its own, and those that it has linked.
    pub fn principals(&self) -> impl Iterator<Item = ApproverName> {
        let linked = self.linked.iter().map(|linked| linked.principal.clone());
        std::iter::once(self.principal()).chain(linked)
    }

    /// The principal under which its own passkeys stand.
    #[must_use]
    pub fn principal(&self) -> ApproverName {
        Self::principal_of(self.id)
    }
}

impl Aggregate for User {
    type Id = UserId;

    const NOT_FOUND: Rejection = Rejection::UserNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let Event::UserCreated(created) = event {
            *state = Some(Self {
                id: created.user_id,
                name: created.name.clone(),
                role: created.role,
                can_audit: created.can_audit,
                disabled: false,
                deleted: false,
                password: None,
                epoch: 0,
                epoch_at: at,
                linked: Vec::new(),
                devices: Vec::new(),
                devices_added: 0,
                created_at: at,
            });
            return;
        }
        let Some(user) = state else { return };
        let ends_sessions = match event {
            Event::UserChanged(changed) => {
                let ends = changed.role != user.role || (changed.disabled && !user.disabled);
                user.name.clone_from(&changed.name);
                user.role = changed.role;
                user.can_audit = changed.can_audit;
                user.disabled = changed.disabled;
                ends
            }
            Event::PasswordSet(set) => {
                user.password = Some(Password {
                    sealed_hash: set.sealed_hash.clone(),
                    must_change: set.must_change,
                });
                true
            }
            Event::UserDeleted(_) => {
                user.deleted = true;
                user.password = None;
                true
            }
            Event::SessionsEnded(_) => true,
            Event::PrincipalLinked(linked) => {
                user.linked.push(LinkedPrincipal {
                    approver_id: linked.approver_id,
                    principal: linked.principal.clone(),
                    credential_id: linked.proof.credential_id.clone(),
                });
                false
            }
            Event::DeviceAdded(added) => {
                user.devices_added = user.devices_added.saturating_add(1);
                user.devices.push(Device {
                    id: added.device_id,
                    service: added.service.clone(),
                    endpoint_digest: added.endpoint_digest,
                    sealed_subscription: added.sealed_subscription.clone(),
                    added_at: at,
                });
                false
            }
            Event::DeviceRemoved(removed) => {
                user.devices.retain(|device| device.id != removed.device_id);
                false
            }
            _ => false,
        };
        if ends_sessions {
            user.devices.clear();
            user.epoch += 1;
            user.epoch_at = at;
        }
    }

    fn weight(&self) -> usize {
        512 + self.linked.len() * 256 + self.devices.len() * 1024
    }
}
