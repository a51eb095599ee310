//! Web Push: the devices of people that are told of questions (RFC 8030, RFC 8291, RFC 8292).

use crate::blob::Blob;
use crate::callback_url::{CallbackPolicy, CallbackUrl, CallbackUrlError};
use crate::digest::digest;
use p256::PublicKey;
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{Signature, SigningKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use zeroize::{Zeroize as _, Zeroizing};

const VAPID_KEY_CONTEXT: &str = "llm-permission-proxy web push application server key v1";

digest!(
    /// SHA-256 of the address of a device at its push service, by which a browser knows its own.
    EndpointDigest
);

/// The part of a subscription that is wrong. Holds nothing of it but a host: the rest lets who has it push.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSubscription {
    /// The host is no push service that the operator allows.
    #[error("endpoint is at {host:?}, which is not among the push services of this installation")]
    Service {
        /// The host in its normalised form.
        host: String,
    },
    /// The address has another form than that of a push service.
    #[error(
        "endpoint must be the https address that the browser was given by its push service, with at most 2048 bytes"
    )]
    Endpoint,
    /// The device's public key is none.
    #[error("keys.p256dh must be an uncompressed point of P-256: 65 bytes in base64url")]
    Key,
    /// The authentication secret has another length.
    #[error("keys.auth must be 16 bytes in base64url")]
    Auth,
    /// The stored bytes are of another form.
    #[error("the stored subscription cannot be read")]
    Stored,
}

/// A device at its push service, and what seals messages to it. Who has it can push to the device and, with the
/// two keys, read nothing: it is kept sealed all the same, and wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct PushSubscription {
    endpoint: Zeroizing<String>,
    key: [u8; Self::KEY_LEN],
    auth: Zeroizing<[u8; Self::AUTH_LEN]>,
}

impl InvalidSubscription {
    /// The stable code of its refusal.
    pub const CODE: &'static str = "invalid_subscription";
}

impl fmt::Debug for PushSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushSubscription(redacted)")
    }
}

impl PushSubscription {
    /// The name of the sealed field.
    pub(crate) const FIELD: &'static str = "user.push_subscription";
    /// Bytes of the device's public key.
    pub const KEY_LEN: usize = 65;
    /// Bytes of the authentication secret (RFC 8291, section 3.2).
    pub const AUTH_LEN: usize = 16;

    /// Takes the fields of the browser's subscription as it writes them in JSON.
    ///
    /// # Errors
    /// [`InvalidSubscription`] with the first thing that is wrong.
    pub fn parse(
        endpoint: &str,
        p256dh: &str,
        auth: &str,
        services: &CallbackPolicy,
    ) -> Result<Self, InvalidSubscription> {
        let endpoint = CallbackUrl::parse(endpoint, services).map_err(|error| match error {
            CallbackUrlError::HostNotAllowed { host } => InvalidSubscription::Service { host },
            _ => InvalidSubscription::Endpoint,
        })?;
        let bytes = |text: &str| Blob::from_base64url(text).unwrap_or_default();
        Self::of(
            endpoint.as_str(),
            bytes(p256dh).as_slice(),
            bytes(auth).as_slice(),
        )
    }

    fn of(endpoint: &str, key: &[u8], auth: &[u8]) -> Result<Self, InvalidSubscription> {
        let key: [u8; Self::KEY_LEN] = key.try_into().map_err(|_| InvalidSubscription::Key)?;
        PublicKey::from_sec1_bytes(&key).map_err(|_| InvalidSubscription::Key)?;
        let auth = auth.try_into().map_err(|_| InvalidSubscription::Auth)?;
        Ok(Self {
            endpoint: endpoint.to_owned().into(),
            key,
            auth: Zeroizing::new(auth),
        })
    }

    /// The address, for sending only.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The device's public key, an uncompressed point of P-256.
    #[must_use]
    pub const fn key(&self) -> &[u8; Self::KEY_LEN] {
        &self.key
    }

    /// The authentication secret.
    #[must_use]
    pub fn auth(&self) -> &[u8; Self::AUTH_LEN] {
        &self.auth
    }

    /// The digest of the address.
    #[must_use]
    pub fn digest(&self) -> EndpointDigest {
        EndpointDigest::from_bytes(Sha256::digest(self.endpoint.as_bytes()).into())
    }

    /// The host of the push service, where those services are allowed.
    pub(crate) fn service(&self, services: &CallbackPolicy) -> Result<String, InvalidSubscription> {
        match CallbackUrl::parse(&self.endpoint, services) {
            Ok(url) => Ok(url.host().to_owned()),
            Err(CallbackUrlError::HostNotAllowed { host }) => {
                Err(InvalidSubscription::Service { host })
            }
            Err(_) => Err(InvalidSubscription::Endpoint),
        }
    }

    /// The bytes to seal: authentication secret, key, address.
    pub(crate) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let bytes = [
            self.auth.as_slice(),
            self.key.as_slice(),
            self.endpoint.as_bytes(),
        ];
        Zeroizing::new(bytes.concat())
    }

    /// The same back.
    ///
    /// # Errors
    /// [`InvalidSubscription::Stored`].
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InvalidSubscription> {
        let stored = InvalidSubscription::Stored;
        let (auth, rest) = bytes
            .split_first_chunk::<{ Self::AUTH_LEN }>()
            .ok_or(stored.clone())?;
        let (key, endpoint) = rest
            .split_first_chunk::<{ Self::KEY_LEN }>()
            .ok_or(stored.clone())?;
        let endpoint = std::str::from_utf8(endpoint).map_err(|_| stored.clone())?;
        Self::of(endpoint, key, auth).map_err(|_| stored)
    }
}

/// The key by which push services know this installation (RFC 8292): messages to a subscription are taken from
/// its holder alone.
#[derive(Clone)]
pub struct VapidKey(SigningKey);

impl fmt::Debug for VapidKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VapidKey(redacted)")
    }
}

impl VapidKey {
    /// Derives the key from APPROVAL_LINK_SECRET. Another secret makes all links new, and with them this key:
    /// devices have to be registered again.
    #[must_use]
    pub fn derive(approval_link_secret: &[u8]) -> Self {
        let mut seed = blake3::derive_key(VAPID_KEY_CONTEXT, approval_link_secret);
        loop {
            // One of 2^32 seeds is no scalar of the curve.
            let key = SigningKey::from_slice(&seed);
            let next = blake3::derive_key(VAPID_KEY_CONTEXT, &seed);
            seed.zeroize();
            match key {
                Ok(key) => return Self(key),
                Err(_) => seed = next,
            }
        }
    }

    /// The public key as browsers are given it: an uncompressed point of P-256.
    #[must_use]
    pub fn public(&self) -> Blob {
        let point = self.0.verifying_key().to_sec1_point(false);
        Blob::from(point.as_bytes())
    }

    /// An ES256 signature (RFC 7518, section 3.4).
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature: Signature = self.0.sign(message);
        signature.to_bytes().to_vec()
    }
}

/// The operator's settings of Web Push.
#[derive(Debug, Clone)]
pub struct PushRules {
    /// Signs for this installation.
    pub key: VapidKey,
    /// The hosts of push services that devices may have; without any, none is told.
    pub services: CallbackPolicy,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The receiver's key and secret of RFC 8291, appendix A.
    const KEY: &str =
        "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4";
    const AUTH: &str = "BTBZMqHH6r4Tts7J_aSIgg";

    fn services() -> CallbackPolicy {
        CallbackPolicy::with_domains(["push.example", "*.wide.example"]).unwrap()
    }

    #[test]
    fn a_subscription_is_an_address_of_an_allowed_service_and_two_sound_keys() {
        let parse = |endpoint: &str| PushSubscription::parse(endpoint, KEY, AUTH, &services());
        let parsed = parse("https://push.example/send/abc").unwrap();
        assert_eq!(
            PushSubscription::from_bytes(&parsed.to_bytes()),
            Ok(parsed.clone())
        );
        assert_eq!(format!("{parsed:?}"), "PushSubscription(redacted)");
        parse("https://eu.wide.example/x").unwrap();
        for (endpoint, host) in [
            ("https://wide.example/x", "wide.example"),
            ("https://a.push.example/x", "a.push.example"),
            ("https://evilwide.example/x", "evilwide.example"),
        ] {
            let host = host.to_owned();
            assert_eq!(parse(endpoint), Err(InvalidSubscription::Service { host }));
        }
        let long = format!("https://push.example/{}", "x".repeat(2048));
        for endpoint in [
            "http://push.example/x",
            "https://127.0.0.1/x",
            "push.example",
            "",
            &long,
        ] {
            assert_eq!(
                parse(endpoint),
                Err(InvalidSubscription::Endpoint),
                "{endpoint}"
            );
        }
        let keyed = |key: &str, auth: &str| {
            PushSubscription::parse("https://push.example/x", key, auth, &services())
        };
        let off_curve = Blob::from([&[4][..], &[7; 64]].concat()).to_base64url();
        for key in ["", "AAAA", &off_curve, &KEY[..40]] {
            assert_eq!(keyed(key, AUTH), Err(InvalidSubscription::Key), "{key}");
        }
        for auth in ["", "AAAA", KEY, "not base64 !"] {
            assert_eq!(keyed(KEY, auth), Err(InvalidSubscription::Auth), "{auth}");
        }
    }

    #[test]
    fn the_key_is_its_secrets_for_good_and_is_never_shown() {
        let key = VapidKey::derive(b"a secret");
        assert_eq!(key.public(), VapidKey::derive(b"a secret").public());
        assert_ne!(key.public(), VapidKey::derive(b"another").public());
        assert_eq!(key.public().as_slice().len(), 65);
        assert_eq!(format!("{key:?}"), "VapidKey(redacted)");
    }
}
