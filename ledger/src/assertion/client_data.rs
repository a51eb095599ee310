//! Client data: what the browser says about the page that asked (WebAuthn Level 3, section 5.8.1).

use super::AssertionError;
use crate::canonical::deserialize_strict;
use crate::challenge::Challenge;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Longest origin that is quoted in an error.
const MAX_ORIGIN_CHARS: usize = 100;

/// The members that matter here. Browsers add others, and say that they may add more, so those are
/// ignored; two of the same name are refused.
#[derive(Deserialize)]
pub(super) struct ClientData {
    #[serde(rename = "type")]
    ceremony: String,
    challenge: String,
    origin: String,
    #[serde(rename = "crossOrigin", default)]
    cross_origin: Option<bool>,
    /// There only when the page was embedded somewhere else.
    #[serde(rename = "topOrigin", default)]
    top_origin: Option<IgnoredAny>,
}

impl ClientData {
    pub(super) fn parse(json: &[u8]) -> Result<Self, AssertionError> {
        deserialize_strict(json).map_err(AssertionError::ClientData)
    }

    /// The ceremony was an authentication, on a page of this origin that no other page embedded.
    pub(super) fn check_ceremony(&self, origin: &str) -> Result<(), AssertionError> {
        if self.ceremony != "webauthn.get" {
            return Err(AssertionError::Type);
        }
        if self.cross_origin == Some(true) || self.top_origin.is_some() {
            return Err(AssertionError::CrossOrigin);
        }
        if without_slash(&self.origin) != without_slash(origin) {
            return Err(AssertionError::Origin {
                expected: origin.to_owned(),
                actual: self.origin.chars().take(MAX_ORIGIN_CHARS).collect(),
            });
        }
        Ok(())
    }

    pub(super) fn challenge(&self) -> Result<Challenge, AssertionError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(&self.challenge)
            .map_err(|_| AssertionError::ChallengeEncoding)?;
        Ok(Challenge::parse(&bytes)?)
    }
}

/// Some software writes an origin as a URL, with the root path's slash.
fn without_slash(origin: &str) -> &str {
    origin.strip_suffix('/').unwrap_or(origin)
}
