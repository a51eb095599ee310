//! The service token of the configuration, as a bearer token. It needs no signed subject.

use super::{Head, Identity, Scheme};
use crate::limits::counted_for::CountedFor;
use crate::problem::ApiError;
use app::{Principal, ServiceToken};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(super) struct Configured;

impl Scheme for Configured {
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let known = head.state.keys.service.as_ref().zip(head.bearer());
        let Some((known, _)) = known.filter(|(known, token)| known.is(token)) else {
            return Ok(Identity::NotOfThis);
        };
        let fingerprint = known.fingerprint();
        head.count_for(CountedFor::service())?;
        Ok(Identity::Proven(Principal::Service(ServiceToken {
            fingerprint,
        })))
    }
}

/// The digest of a bearer token of the configuration, against which others are held in constant time.
#[derive(Debug, Clone, Copy)]
pub struct ConfiguredToken([u8; 32]);

impl ConfiguredToken {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret()).into())
    }

    pub(crate) fn is(&self, token: &str) -> bool {
        let digest: [u8; 32] = Sha256::digest(token).into();
        digest.ct_eq(&self.0).into()
    }

    const fn fingerprint(&self) -> [u8; 8] {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        [a, b, c, d, e, f, g, h]
    }
}
