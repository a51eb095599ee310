//! Devices that are told of questions: added and taken away by their user, forgotten when they are gone.

use super::Command;
use super::acting::still_acts;
use super::authority::owner;
use crate::aggregate::{Device, Group, User};
use crate::error::Error;
use crate::event::{Actor, DeviceAdded, DeviceEnd, DeviceRemoved, Role};
use crate::id::{DeviceId, LedgerId, StreamId, UserId};
use crate::policy::{Need, NeedGroup, Requirement};
use crate::push::{InvalidSubscription, PushSubscription};
use crate::rejection::Rejection;
use crate::seal::{SealContext, Sealed};
use crate::storage::NewEvent;
use crate::writer::{Context, Transaction};

/// The most devices of a user at a time.
const MOST: usize = 10;
/// The most devices that a user ever has. Each stands in the user's stream, which must stay short enough to be read
/// whole.
const MOST_EVER: u32 = 500;

/// Has a device of the user who asks told of questions. The one that is there is answered where it is the same.
#[derive(Debug, Clone)]
pub struct AddDevice {
    /// Where the device is told.
    pub subscription: PushSubscription,
}

impl Command for AddDevice {
    type Answer = Device;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Device, Error> {
        let user = acting_user(tx).await?;
        let device_id = DeviceId::draw(tx.context().random);
        let events = match decide_add(&self.subscription, &user, device_id, &tx.context())? {
            Added::Before(device) => return Ok(device),
            Added::Now(events) => events,
        };
        tx.needs_room()?;
        tx.append(events).await?;
        let user = tx.existing::<User>(user.id).await?;
        let added = user.device(device_id).cloned();
        added.ok_or_else(|| Rejection::DeviceNotFound.into())
    }
}

/// The user who asks, by a session that is still good.
async fn acting_user(tx: &mut Transaction<'_>) -> Result<std::sync::Arc<User>, Error> {
    still_acts(tx, Role::Viewer).await?;
    match tx.envelope().actor {
        Actor::User { user_id, .. } => tx.named::<User>(user_id).await,
        _ => Err(Rejection::SessionEnded.into()),
    }
}

enum Added {
    Before(Device),
    Now(Vec<NewEvent>),
}

fn decide_add(
    subscription: &PushSubscription,
    user: &User,
    device_id: DeviceId,
    context: &Context<'_>,
) -> Result<Added, Rejection> {
    let invalid = |detail: String| Rejection::Invalid {
        code: InvalidSubscription::CODE,
        detail,
    };
    let service = subscription.service(&context.rules.push.services);
    let service = service.map_err(|error| invalid(error.to_string()))?;
    let endpoint_digest = subscription.digest();
    let same = |device: &&Device| device.endpoint_digest == endpoint_digest;
    let known = user.devices.iter().find(same);
    if let Some(known) = known
        && opened(known, user.id, context).as_ref() == Some(subscription)
    {
        return Ok(Added::Before(known.clone()));
    }
    let replaced = known.map(|known| {
        let removed = DeviceRemoved {
            device_id: known.id,
            why: DeviceEnd::Removed,
        };
        context.event(user.id, removed)
    });
    let is_full = replaced.is_none() && user.devices.len() >= MOST;
    if is_full || user.devices_added >= MOST_EVER {
        return Err(Rejection::TooManyDevices {
            most: MOST,
            ever: MOST_EVER,
        });
    }
    let place = Device::place(context.ledger_id, user.id);
    let keys = &context.rules.master_keys;
    let sealed = keys.seal(context.random, &place, &subscription.to_bytes());
    let sealed = sealed.map_err(|error| invalid(error.to_string()))?;
    let added = DeviceAdded {
        device_id,
        service,
        endpoint_digest,
        sealed_subscription: sealed.as_bytes().into(),
    };
    let added = context.event(user.id, added);
    Ok(Added::Now(replaced.into_iter().chain([added]).collect()))
}

fn opened(device: &Device, user: UserId, context: &Context<'_>) -> Option<PushSubscription> {
    let sealed = Sealed::from_bytes(device.sealed_subscription.as_slice().to_vec());
    let place = Device::place(context.ledger_id, user);
    let opened = context.rules.master_keys.open(&place, &sealed).ok()?;
    PushSubscription::from_bytes(&opened).ok()
}

impl Device {
    /// The context that a subscription is sealed for.
    pub(crate) fn place(ledger_id: LedgerId, user: UserId) -> SealContext<'static> {
        SealContext {
            ledger_id,
            stream: StreamId::from(user),
            field: PushSubscription::FIELD,
        }
    }
}

/// Tells a device of the user who asks of nothing any more.
#[derive(Debug, Clone, Copy)]
pub struct RemoveDevice {
    /// The device.
    pub device_id: DeviceId,
}

impl Command for RemoveDevice {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let user = acting_user(tx).await?;
        end(tx, &user, self.device_id, DeviceEnd::Removed).await
    }
}

/// Records that the push service of a device says that it is gone. Nothing happens where it was removed before.
#[derive(Debug, Clone, Copy)]
pub struct ForgetDevice {
    /// Its user.
    pub user_id: UserId,
    /// The device.
    pub device_id: DeviceId,
}

impl Command for ForgetDevice {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        let user = tx.named::<User>(self.user_id).await?;
        match end(tx, &user, self.device_id, DeviceEnd::Gone).await {
            Err(Error::Rejected(Rejection::DeviceNotFound)) => Ok(()),
            ended => ended,
        }
    }
}

async fn end(
    tx: &mut Transaction<'_>,
    user: &User,
    device_id: DeviceId,
    why: DeviceEnd,
) -> Result<(), Error> {
    user.device(device_id).ok_or(Rejection::DeviceNotFound)?;
    let removed = DeviceRemoved { device_id, why };
    let removed = tx.context().event(user.id, removed);
    tx.append(vec![removed]).await
}

/// The devices of the users who may decide what is asked now, by what the policy in force needs and whom it excludes.
pub(super) async fn devices_of_approvers(
    tx: &mut Transaction<'_>,
    required: Option<&Requirement>,
) -> Result<Vec<DeviceId>, Error> {
    let rules = tx.context().rules;
    if rules.push.services.is_empty() {
        return Ok(Vec::new());
    }
    let needs = required.map_or(&[][..], |required| &required.needs);
    let mut devices = Vec::new();
    for need in needs {
        let NeedGroup::Group(id) = need.group else {
            continue;
        };
        let members = tx.load::<Group>(id).await?;
        let members = members.iter().flat_map(|group| &group.members);
        let may_answer = |member: &&UserId| !required.is_some_and(|known| known.excludes(**member));
        for member in members.filter(may_answer) {
            let user = Error::none_if_erased(tx.load::<User>(*member).await)?;
            for device in user.iter().flat_map(|user| &user.devices) {
                if !devices.contains(&device.id) {
                    devices.push(device.id);
                }
            }
        }
    }
    let asks_approvers = |need: &Need| need.group == NeedGroup::Default;
    if required.is_some() && !needs.iter().any(asks_approvers) {
        return Ok(devices);
    }
    for principal in rules.approvers.clone() {
        let owner = match owner(tx, &principal).await {
            Err(Error::Rejected(Rejection::Erased)) => continue,
            owner => owner?,
        };
        let may_answer =
            |owner: &&std::sync::Arc<User>| !required.is_some_and(|known| known.excludes(owner.id));
        let owner = owner.as_ref().filter(may_answer);
        for device in owner.iter().flat_map(|owner| &owner.devices) {
            // A user can have several of the principals.
            if !devices.contains(&device.id) {
                devices.push(device.id);
            }
        }
    }
    Ok(devices)
}
