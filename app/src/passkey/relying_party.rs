//! The relying party: the id that passkeys are bound to, and the origin that they are used at.

use super::PasskeyRefused;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::time::Duration;
use url::{Host, Url};
use webauthn_rs_core::WebauthnCore;

/// What authenticators show as the service's name.
const NAME: &str = "Permission Proxy";

/// Why relying party id and origin do not go together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRelyingParty {
    /// The origin is not scheme, domain and perhaps port.
    #[error(
        "WEBAUTHN_ORIGIN must be https://DOMAIN or http://localhost, each with an optional port and nothing after it"
    )]
    Origin,
    /// Browsers would refuse the id on pages of the origin.
    #[error("WEBAUTHN_RP_ID must be the domain of WEBAUTHN_ORIGIN or a parent of it")]
    RpId,
}

/// The service as authenticators know it.
#[derive(Debug, Clone)]
pub struct RelyingParty {
    pub(super) core: WebauthnCore,
    pub(super) rp_id: String,
    pub(super) origin: String,
    pub(super) timeout: Duration,
}

impl RelyingParty {
    /// Checks that id and origin go together. `timeout` is how long the browser lets a person take;
    /// it is cut to what fits into 32 bits of milliseconds.
    ///
    /// # Errors
    /// When browsers would refuse every ceremony with these; see [`InvalidRelyingParty`].
    pub fn new(rp_id: &str, origin: &str, timeout: Duration) -> Result<Self, InvalidRelyingParty> {
        let url = Url::parse(origin).map_err(|_| InvalidRelyingParty::Origin)?;
        let Some(Host::Domain(domain)) = url.host() else {
            return Err(InvalidRelyingParty::Origin);
        };
        let local = domain == "localhost" || domain.ends_with(".localhost");
        let secure = url.scheme() == "https" || (url.scheme() == "http" && local);
        let bare = url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
            && url.password().is_none();
        if !secure || !bare {
            return Err(InvalidRelyingParty::Origin);
        }
        let parent = domain
            .strip_suffix(rp_id)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'));
        if rp_id.is_empty() || !parent {
            return Err(InvalidRelyingParty::RpId);
        }
        let timeout = timeout.min(Duration::from_millis(u64::from(u32::MAX)));
        let origin = url.origin().ascii_serialization();
        Ok(Self {
            core: WebauthnCore::new_unsafe_experts_only(
                NAME,
                rp_id,
                vec![url],
                timeout,
                Some(false),
                Some(false),
            ),
            rp_id: rp_id.to_owned(),
            origin,
            timeout,
        })
    }

    #[must_use]
    pub fn rp_id(&self) -> &str {
        &self.rp_id
    }

    /// The origin, without a slash at its end.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Milliseconds for the browser.
    #[must_use]
    pub fn timeout_millis(&self) -> u32 {
        u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX)
    }
}

/// Puts a challenge of ours in the place of the library's own. It draws one for every ceremony and
/// takes none, but its states can be serialised, and their `challenge` is unpadded base64url.
pub(super) fn with_challenge<S>(state: &S, challenge: &[u8]) -> Result<S, PasskeyRefused>
where
    S: Serialize + DeserializeOwned,
{
    let mut json = serde_json::to_value(state).map_err(PasskeyRefused::Setup)?;
    if let Some(place) = json.get_mut("challenge") {
        *place = Value::String(URL_SAFE_NO_PAD.encode(challenge));
    }
    serde_json::from_value(json).map_err(PasskeyRefused::Setup)
}
