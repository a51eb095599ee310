//! Names that come in from outside, each a type of its own. Names are compared byte for byte.
//!
//! `parse` holds the rule for a name that comes in. `unchecked` takes one that is recorded already, or
//! that is only looked for: an earlier version may have had another rule. In JSON and in payloads a name
//! is its text.

use crate::assertion::KeyThumbprint;
use crate::blob::Blob;
use crate::operation::ScopeId;
use crate::rejection::Rejection;
use serde::{Deserialize, Serialize};
use std::fmt;
use subtle::ConstantTimeEq as _;
use unicode_normalization::UnicodeNormalization as _;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Takes the text without a check.
            #[must_use]
            pub fn unchecked(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::ops::Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.0, f)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}
pub(crate) use name;

name!(
    /// An agent's name.
    AgentName
);

impl AgentName {
    /// # Errors
    /// [`Rejection::InvalidName`] unless it is 1..=200 characters, none of them a control character.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        check("agent", text).map(|()| Self(text.to_owned()))
    }
}

name!(
    /// The name of a task template.
    TemplateName
);

impl TemplateName {
    /// # Errors
    /// [`Rejection::InvalidName`] unless it is 1..=200 characters, none of them a control character.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        check("template", text).map(|()| Self(text.to_owned()))
    }
}

name!(
    /// The name of a schedule.
    ScheduleName
);

impl ScheduleName {
    /// # Errors
    /// [`Rejection::Invalid`] unless it is 1..=64 of `A-Z a-z 0-9 . _ -`, the first a letter or a digit, and not `preview`.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        // Where an expression is looked at without a schedule.
        let is_taken = text == "preview";
        match begins && text.len() <= 64 && text.bytes().all(fine) && !is_taken {
            true => Ok(Self(text.to_owned())),
            false => Err(Rejection::Invalid {
                code: "invalid_name",
                detail: "the name of a schedule has 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', and begins with a \
                         letter or a digit"
                    .to_owned(),
            }),
        }
    }
}

name!(
    /// The name of an upstream that keys are stored for.
    UpstreamName
);

impl UpstreamName {
    /// Anthropic's API.
    pub const ANTHROPIC: &str = "anthropic";
    /// Cloudflare's API.
    pub const CLOUDFLARE: &str = "cloudflare";

    /// Anthropic's API.
    #[must_use]
    pub fn anthropic() -> Self {
        Self::unchecked(Self::ANTHROPIC)
    }

    /// Cloudflare's API.
    #[must_use]
    pub fn cloudflare() -> Self {
        Self::unchecked(Self::CLOUDFLARE)
    }
}

name!(
    /// The principal under which a person decides.
    ApproverName
);

impl ApproverName {
    /// The beginning of the principals under which users' own passkeys stand.
    pub const OF_USERS: &str = "user:";

    /// # Errors
    /// As [`Self::checked`], of the composed name.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        Self::composed(text).checked()
    }

    /// In Normalization Form C (Unicode Standard Annex 15), without a check.
    #[must_use]
    pub fn composed(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// # Errors
    /// [`Rejection::InvalidName`] unless it is 1..=200 characters, none of them a control character.
    pub fn checked(self) -> Result<Self, Rejection> {
        check("approver_principal", &self).map(|()| self)
    }
}

name!(
    /// Names an apply within its task, for good.
    IdempotencyKey
);

/// Not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// # Errors
    /// [`InvalidIdempotencyKey`] unless it is 1..=255 visible ASCII characters.
    pub fn parse(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        let fits = (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        fits.then(|| Self::unchecked(text))
            .ok_or(InvalidIdempotencyKey)
    }
}

name!(
    /// A client's subject, as in `CN=ci, O=Example Corp` (nginx `$ssl_client_s_dn`). That it has the form
    /// does not say that it was signed.
    ClientSubject
);

impl ClientSubject {
    /// The form, for people.
    pub const FORM: &'static str =
        "1 to 256 visible ASCII characters; blanks may stand between them, not at the ends";

    /// `None` unless it is of [`Self::FORM`], which arrives as it was sent: a field's value loses the
    /// blanks at its ends on the way (RFC 9110, section 5.5).
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
        let fine = (1..=256).contains(&text.len())
            && text.bytes().all(fits)
            && text.trim_matches(' ') == text;
        fine.then(|| Self::unchecked(text))
    }
}

fn check(what: &'static str, name: &str) -> Result<(), Rejection> {
    let limit = 200;
    let fits = (1..=limit).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if fits {
        Ok(())
    } else {
        Err(Rejection::InvalidName { what, limit })
    }
}

name!(
    /// The objects of a type that are covered: one by its id, or every one (`*`).
    ScopePattern
);

impl ScopePattern {
    /// Every object of the type.
    #[must_use]
    pub fn every() -> Self {
        Self::unchecked("*")
    }

    /// `None` unless it is `*` or the form of a [`ScopeId`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fits = text == "*" || ScopeId::parse(text).is_some();
        fits.then(|| Self::unchecked(text))
    }

    /// As [`Self::parse`], of the objects of an API that is no provider's.
    #[must_use]
    pub fn of_route(text: &str) -> Option<Self> {
        let fits = text == "*" || ScopeId::of_route(text).is_some();
        fits.then(|| Self::unchecked(text))
    }

    /// True when the object is among them.
    #[must_use]
    pub fn covers(&self, id: &ScopeId) -> bool {
        self.as_str() == "*" || self.as_str() == id.as_str()
    }
}

impl From<ScopeId> for ScopePattern {
    fn from(id: ScopeId) -> Self {
        Self(id.into())
    }
}

/// As [`name!`], of bytes: base64url where people read.
macro_rules! bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Blob);

        impl $name {
            /// Takes the bytes without a check.
            #[must_use]
            pub fn unchecked(bytes: impl Into<Blob>) -> Self {
                Self(bytes.into())
            }

            /// The bytes.
            #[must_use]
            pub fn as_slice(&self) -> &[u8] {
                self.0.as_slice()
            }

            /// Base64url without padding.
            #[must_use]
            pub fn to_base64url(&self) -> String {
                self.0.to_base64url()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

bytes!(
    /// The id of a credential, as its authenticator names it.
    CredentialId
);

impl CredentialId {
    /// # Errors
    /// [`Rejection::Invalid`] unless it is 1..=1023 bytes (WebAuthn Level 3, section 4).
    pub fn parse(bytes: impl Into<Blob>) -> Result<Self, Rejection> {
        let id = Self::unchecked(bytes);
        if (1..=1023).contains(&id.as_slice().len()) {
            Ok(id)
        } else {
            Err(Rejection::Invalid {
                code: "invalid_credential_id",
                detail: "credential_id must be 1 to 1023 bytes".to_owned(),
            })
        }
    }
}

bytes!(
    /// The thumbprint of a public key, as events hold it.
    RecordedThumbprint
);

impl RecordedThumbprint {
    /// The thumbprint; `None` where the bytes are none.
    #[must_use]
    pub fn known(&self) -> Option<KeyThumbprint> {
        KeyThumbprint::from_slice(self.as_slice())
    }
}

impl From<KeyThumbprint> for RecordedThumbprint {
    fn from(thumbprint: KeyThumbprint) -> Self {
        Self::unchecked(thumbprint.as_bytes().as_slice())
    }
}

/// The hash by which the ledger knows a token's claims again. Compared in constant time.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClaimsHash(Blob);

impl ClaimsHash {
    /// Takes the bytes without a check.
    #[must_use]
    pub fn unchecked(bytes: impl Into<Blob>) -> Self {
        Self(bytes.into())
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl PartialEq for ClaimsHash {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice().ct_eq(other.as_slice()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_1_to_200_characters_without_control_characters() {
        for fine in ["a", "Zoë", "a b", &"é".repeat(200)] {
            assert_eq!(AgentName::parse(fine).unwrap(), AgentName::unchecked(fine));
            assert_eq!(
                ApproverName::parse(fine).unwrap(),
                ApproverName::unchecked(fine)
            );
        }
        for wrong in ["", "a\nb", "\u{7f}", &"é".repeat(201)] {
            let refused = |what| Err(Rejection::InvalidName { what, limit: 200 });
            assert_eq!(AgentName::parse(wrong), refused("agent").map(AgentName));
            assert_eq!(
                ApproverName::parse(wrong),
                refused("approver_principal").map(ApproverName)
            );
        }
    }

    #[test]
    fn an_approvers_name_is_composed() {
        let composed = ApproverName::unchecked("Zo\u{eb}");
        assert_eq!(ApproverName::parse("Zoe\u{308}"), Ok(composed));
    }

    #[test]
    fn a_name_is_stored_as_its_text() {
        let (name, text) = (AgentName::unchecked("ci"), "ci".to_owned());
        assert_eq!(
            postcard::to_stdvec(&name).unwrap(),
            postcard::to_stdvec(&text).unwrap()
        );
        assert_eq!(
            serde_json::to_string(&name).unwrap(),
            serde_json::to_string(&text).unwrap()
        );
        let stored = "\u{1}".repeat(300);
        let read: AgentName = postcard::from_bytes(&postcard::to_stdvec(&stored).unwrap()).unwrap();
        assert_eq!(
            read.as_str(),
            stored,
            "today's rule does not hold for what is stored"
        );
    }

    #[test]
    fn a_credential_id_has_1_to_1023_bytes() {
        for (length, fits) in [(0, false), (1, true), (1023, true), (1024, false)] {
            assert_eq!(
                CredentialId::parse(vec![1; length]).is_ok(),
                fits,
                "{length}"
            );
        }
    }
}
