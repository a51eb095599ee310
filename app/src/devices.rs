//! The devices of who asks that are told of questions.

use crate::app::App;
use crate::principal::SessionAccess;
use crate::refusal::Error;
use ledger::aggregate::Device;
use ledger::command::{AddDevice, RemoveDevice};
use ledger::{Blob, DeviceId, InvalidSubscription, PushSubscription, Rejection};

/// The key with which browsers subscribe; `None` where no device is told.
#[must_use]
pub fn application_server_key(app: &App) -> Option<Blob> {
    let push = &app.ledger.rules().push;
    (!push.services.is_empty()).then(|| push.key.public())
}

/// The devices of who asks, newest first.
pub fn own(who: &SessionAccess) -> impl Iterator<Item = &Device> {
    who.session.user.devices.iter().rev()
}

/// A browser's subscription, as it writes it in JSON.
#[derive(Debug, Clone, Copy)]
pub struct Subscription<'a> {
    /// The address at its push service.
    pub endpoint: &'a str,
    /// The device's public key, base64url.
    pub p256dh: &'a str,
    /// The authentication secret, base64url.
    pub auth: &'a str,
}

/// Has a device of who asks told of questions that they may decide.
///
/// # Errors
/// [`Rejection::Invalid`] for what is no subscription at an allowed push service, [`Rejection::TooManyDevices`].
pub async fn add(
    app: &App,
    who: SessionAccess,
    subscription: Subscription<'_>,
) -> Result<Device, Error> {
    let Subscription {
        endpoint,
        p256dh,
        auth,
    } = subscription;
    let services = &app.ledger.rules().push.services;
    let parsed = PushSubscription::parse(endpoint, p256dh, auth, services);
    let subscription = parsed.map_err(|error| Rejection::Invalid {
        code: InvalidSubscription::CODE,
        detail: error.to_string(),
    })?;
    let add = AddDevice { subscription };
    Ok(app.ledger.execute(who.origin, add).await?)
}

/// Tells a device of who asks nothing any more.
///
/// # Errors
/// [`Rejection::DeviceNotFound`], also for one of somebody else.
pub async fn remove(app: &App, who: SessionAccess, device_id: DeviceId) -> Result<(), Error> {
    let remove = RemoveDevice { device_id };
    Ok(app.ledger.execute(who.origin, remove).await?)
}
