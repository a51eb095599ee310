//! An upstream's key on its way to where it is sealed and from there.

use crate::event::UpstreamKeyOwner;
use crate::id::{LedgerId, UpstreamSecretId};
use crate::name::UpstreamName;
use crate::rejection::Rejection;
use crate::seal::{MasterKeys, SealContext, SealError, Sealed};
use std::fmt;
use zeroize::Zeroizing;

/// How every key of Anthropic's API begins.
const ANTHROPIC: &str = "sk-ant-";
/// How every agent key of this service begins.
const AGENT_KEY: &str = "cak_";

/// Why an upstream's key is not taken. The texts never repeat any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUpstreamKey {
    /// Empty, too long, or with blanks or other characters.
    #[error(
        "a key has 1 to {} visible ASCII characters, without blanks at its ends or in it",
        UpstreamApiKey::MOST
    )]
    Form,
    /// Not a key of Anthropic's API.
    #[error("an Anthropic API key begins with sk-ant-: make one in Anthropic's console")]
    NotAnthropic,
    /// A key of Anthropic's Admin API.
    #[error(
        "keys that begin with sk-ant-admin open Anthropic's Admin API, and are not taken: make an API key"
    )]
    AnthropicAdmin,
    /// The token of a subscription's login.
    #[error(
        "tokens that begin with sk-ant-oat are a subscription's login, and are not taken: make an API key"
    )]
    AnthropicLogin,
    /// A key of Anthropic's, for another upstream.
    #[error("that is a key of Anthropic's, and this upstream is another")]
    OfAnthropic,
    /// Too short to be a key.
    #[error(
        "a key of this upstream has at least {} characters",
        UpstreamApiKey::LEAST
    )]
    Short,
    /// A credential of this service.
    #[error("that is a credential of this service, and not one of the upstream's")]
    OfThisService,
}

impl From<InvalidUpstreamKey> for Rejection {
    fn from(invalid: InvalidUpstreamKey) -> Self {
        Self::Invalid {
            code: "invalid_key",
            detail: format!("api_key: {invalid}"),
        }
    }
}

/// An upstream's key. Never shown by `Debug`, wiped when dropped.
#[derive(Clone)]
pub struct UpstreamApiKey(Zeroizing<String>);

impl UpstreamApiKey {
    /// The most characters.
    pub const MOST: usize = 256;
    /// The fewest of one that is not known by how it begins.
    pub const LEAST: usize = 20;

    /// # Errors
    /// [`InvalidUpstreamKey`] for what cannot be a key of that upstream, or opens more than its API.
    pub fn parse(
        upstream: &UpstreamName,
        text: impl Into<String>,
    ) -> Result<Self, InvalidUpstreamKey> {
        let text = Zeroizing::new(text.into());
        let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if text.is_empty() || text.len() > Self::MOST || !is_visible {
            return Err(InvalidUpstreamKey::Form);
        }
        let is_anthropics = text.starts_with(ANTHROPIC);
        if upstream.as_str() == UpstreamName::ANTHROPIC {
            if text.starts_with("sk-ant-admin") {
                return Err(InvalidUpstreamKey::AnthropicAdmin);
            }
            if text.starts_with("sk-ant-oat") {
                return Err(InvalidUpstreamKey::AnthropicLogin);
            }
            let has_more = text.len() > ANTHROPIC.len();
            return match is_anthropics && has_more {
                true => Ok(Self(text)),
                false => Err(InvalidUpstreamKey::NotAnthropic),
            };
        }
        if is_anthropics {
            return Err(InvalidUpstreamKey::OfAnthropic);
        }
        if text.starts_with(AGENT_KEY) {
            return Err(InvalidUpstreamKey::OfThisService);
        }
        match text.len() < Self::LEAST {
            true => Err(InvalidUpstreamKey::Short),
            false => Ok(Self(text)),
        }
    }

    /// The key, for sending and sealing only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Opens a key that was sealed for that place.
    pub(crate) fn open(
        keys: &MasterKeys,
        place: &SealContext<'_>,
        sealed: &[u8],
    ) -> Result<Self, SealError> {
        let opened = keys.open(place, &Sealed::from_bytes(sealed.to_vec()))?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Damaged)?;
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

/// The name of the sealed field: it says of which kind the owner is, and which upstream the key opens.
pub(crate) fn field(owner: UpstreamKeyOwner, upstream: &UpstreamName) -> String {
    format!("upstream_key.{}.{upstream}", owner.kind())
}

/// The context that a key is sealed for.
pub(crate) fn place(ledger_id: LedgerId, owner: UpstreamKeyOwner, field: &str) -> SealContext<'_> {
    SealContext {
        ledger_id,
        stream: owner.stream(),
        field,
    }
}

/// The name of the sealed field of a key that agents share: it says which upstream the key opens, and where that is.
pub(crate) fn shared_field(upstream: &UpstreamName, base_url: &str) -> String {
    format!("upstream_key.shared.{upstream} {base_url}")
}

/// The context that such a key is sealed for.
pub(crate) fn shared_place(
    ledger_id: LedgerId,
    secret: UpstreamSecretId,
    field: &str,
) -> SealContext<'_> {
    SealContext {
        ledger_id,
        stream: secret.into(),
        field,
    }
}

impl fmt::Debug for UpstreamApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UpstreamApiKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::InvalidUpstreamKey::{
        AnthropicAdmin, AnthropicLogin, Form, NotAnthropic, OfAnthropic, OfThisService, Short,
    };
    use super::*;

    fn parsed(upstream: &str, text: &str) -> Result<(), InvalidUpstreamKey> {
        UpstreamApiKey::parse(&UpstreamName::unchecked(upstream), text).map(drop)
    }

    #[test]
    fn an_anthropic_key_is_an_api_key_and_no_key_of_its_admin_api_and_no_login() {
        let most = format!("sk-ant-{}", "a".repeat(UpstreamApiKey::MOST - 7));
        for text in ["sk-ant-api03-abc", "sk-ant-x", &most] {
            assert_eq!(parsed("anthropic", text), Ok(()), "{text}");
        }
        for (text, why) in [
            ("", Form),
            (" sk-ant-api03-abc", Form),
            ("sk-ant-api03-abc\n", Form),
            ("sk-ant-\u{e4}", Form),
            (&format!("{most}a"), Form),
            ("sk-ant-", NotAnthropic),
            ("sk-api03-abcdefghijklmnop", NotAnthropic),
            ("sk-ant-admin01-abc", AnthropicAdmin),
            ("sk-ant-oat01-abc", AnthropicLogin),
        ] {
            assert_eq!(parsed("anthropic", text), Err(why), "{text}");
        }
    }

    #[test]
    fn a_key_of_another_upstream_is_long_enough_and_neither_anthropics_nor_ours() {
        assert_eq!(parsed("cloudflare", "abcdefghijklmnopqrst"), Ok(()));
        for (text, why) in [
            ("abcdefghijklmnopqrs", Short),
            ("abcdefghij klmnopqrstuv", Form),
            ("sk-ant-api03-abcdefghijklmnop", OfAnthropic),
            ("cak_abcdefghijklmnopqrstuvwxyz", OfThisService),
        ] {
            assert_eq!(parsed("cloudflare", text), Err(why), "{text}");
        }
    }

    #[test]
    fn no_text_repeats_the_key_and_debug_does_not_show_it() {
        let key = UpstreamApiKey::parse(&UpstreamName::unchecked("anthropic"), "sk-ant-s3cret");
        assert_eq!(format!("{:?}", key.unwrap()), "UpstreamApiKey(..)");
        let refused = UpstreamApiKey::parse(&UpstreamName::unchecked("cloudflare"), "s3cret");
        let refused = Rejection::from(refused.unwrap_err());
        assert_eq!(refused.code(), "invalid_key");
        assert!(!format!("{refused} {refused:?}").contains("s3cret"));
    }
}
