//! The service token of the configuration, as a bearer token. It needs no signed subject.

use super::{Head, Identity, Scheme};
use crate::limits::counted_for::CountedFor;
use crate::problem::ApiError;
use app::{Principal, ServiceToken, Who};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

pub(super) struct Configured;

impl Scheme for Configured {
    /// Also where it is not admitted, so that its holder learns that it is the wrong identity. A link proves
    /// its holder by itself, whatever else a request carries.
    fn proves(&self, who: Who) -> bool {
        !matches!(who, Who::Anyone | Who::ApprovalLink | Who::EnrolmentLink)
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let known = head.state.keys.service.as_ref();
        let Some(token) = known.zip(head.bearer()).and_then(|(key, it)| key.open(it)) else {
            return Ok(Identity::NotOfThis);
        };
        head.count_for(CountedFor::service())?;
        Ok(Identity::Proven(Principal::Service(token)))
    }
}

/// The digest of the service token, against which others are held in constant time.
#[derive(Debug, Clone, Copy)]
pub struct ServiceTokenKey([u8; 32]);

impl ServiceTokenKey {
    pub(crate) fn new(token: &SecretString) -> Self {
        Self(Sha256::digest(token.expose_secret()).into())
    }

    fn open(&self, token: &str) -> Option<ServiceToken> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let is_known: bool = digest.ct_eq(&self.0).into();
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        is_known.then_some(ServiceToken {
            fingerprint: [a, b, c, d, e, f, g, h],
        })
    }
}
