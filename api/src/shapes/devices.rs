//! Devices that are told of questions.

use app::devices::Subscription;
use ledger::Blob;
use ledger::aggregate::Device;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The subscription that a browser gives (Push API, `PushSubscription.toJSON`).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeviceRequest {
    /// The device's address at its push service; https, at most 2048 bytes.
    endpoint: String,
    /// What seals messages to it.
    keys: DeviceKeys,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct DeviceKeys {
    /// The device's public key: an uncompressed point of P-256, base64url.
    p256dh: String,
    /// The authentication secret: 16 bytes, base64url.
    auth: String,
}

impl DeviceRequest {
    pub(crate) fn subscription(&self) -> Subscription<'_> {
        Subscription {
            endpoint: &self.endpoint,
            p256dh: &self.keys.p256dh,
            auth: &self.keys.auth,
        }
    }
}

/// The devices of who asks.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnDevices {
    /// The key with which browsers subscribe (RFC 8292), base64url; null where no device is told.
    application_server_key: Option<String>,
    /// Newest first.
    devices: Vec<OwnDevice>,
}

/// A device that is told of questions which its user may decide.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnDevice {
    device_id: String,
    /// The host of its push service.
    #[schema(example = "fcm.googleapis.com")]
    service: String,
    /// SHA-256 of its address there in hexadecimal, by which a browser knows its own.
    endpoint_sha256: String,
    created_at: String,
}

impl OwnDevices {
    pub(crate) fn of<'d>(key: Option<&Blob>, devices: impl Iterator<Item = &'d Device>) -> Self {
        Self {
            application_server_key: key.map(Blob::to_base64url),
            devices: devices.map(OwnDevice::of).collect(),
        }
    }
}

impl OwnDevice {
    pub(crate) fn of(device: &Device) -> Self {
        Self {
            device_id: device.id.to_string(),
            service: device.service.clone(),
            endpoint_sha256: device.endpoint_digest.to_string(),
            created_at: device.added_at.to_string(),
        }
    }
}
