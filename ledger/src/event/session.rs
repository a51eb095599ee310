//! Events of a session's stream, and logins that failed. Frozen forms.

use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::digest::digest;
use crate::id::{SessionId, UserId};
use crate::name::{ApproverName, CredentialId};
use serde::{Deserialize, Serialize};

digest!(
    /// SHA-256 of a session's secret token.
    SessionTokenHash
);

/// A way to log in. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LoginWay {
    /// With the password.
    Password,
    /// With a passkey.
    Passkey,
    /// With a command-line key.
    SoftwareKey,
}

impl LoginWay {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Passkey => "passkey",
            Self::SoftwareKey => "software_key",
        }
    }
}

/// An assertion by a passkey, with all that proves it but the public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasskeyProof {
    /// The principal under which the passkey is registered.
    pub principal: ApproverName,
    /// The passkey.
    pub credential_id: CredentialId,
    /// Exactly as the browser serialised it; the challenge is in it.
    pub client_data_json: Blob,
    /// Exactly as signed.
    pub authenticator_data: Blob,
    /// The signature.
    pub signature: Blob,
    /// The relying party that it was verified for.
    pub rp_id: String,
    /// The origin that it was verified for.
    pub origin: String,
    /// The authenticator's counter in it.
    pub sign_count: u32,
}

/// A signature by a command-line key over a login, with all that proves it but the public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyProof {
    /// The principal under which the key is registered.
    pub principal: ApproverName,
    /// The key.
    pub credential_id: CredentialId,
    /// The challenge that was signed.
    pub challenge: Blob,
    /// The signature.
    pub signature: Blob,
}

/// The right to a session. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionProof {
    /// The password was verified. It is not in the ledger, so nothing proves it later.
    Password,
    /// A passkey of the user.
    Passkey(PasskeyProof),
    /// It goes on for the session that asked for all of them to end.
    Continued {
        /// That session.
        session_id: SessionId,
        /// The way by which that one began.
        via: LoginWay,
    },
    /// A command-line key of the user.
    SoftwareKey(KeyProof),
}

/// `session.opened` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session's stream.
    pub session_id: SessionId,
    /// The user.
    pub user_id: UserId,
    /// The user's epoch; it ends with that.
    pub epoch: u64,
    /// Of the token that is its holder's.
    pub token_hash: SessionTokenHash,
    /// The right to it.
    pub proof: SessionProof,
    /// The client's address.
    pub address: String,
    /// Until when it lives.
    pub expires_at: Timestamp,
}

/// `session.stepped_up` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SteppedUp {
    /// A passkey of its user.
    pub proof: PasskeyProof,
    /// Until when it counts.
    pub until: Timestamp,
}

/// The reason of a session's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    /// Its holder logged out.
    LoggedOut,
    /// Its user, or an administrator, took it away.
    TakenAway,
}

impl SessionEnd {
    /// The words in texts.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LoggedOut => "logged out",
            Self::TakenAway => "taken away",
        }
    }
}

/// `session.ended` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionEnded {
    /// The reason.
    pub why: SessionEnd,
}

/// `login.failed` 1. Nothing of what was typed is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoginFailed {
    /// The user, where there is one of that name.
    pub user_id: Option<UserId>,
    /// The client's address.
    pub address: String,
    /// The way that was tried.
    pub via: LoginWay,
}

/// `login.failures_counted` 1: those of a minute that were not recorded one by one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailuresCounted {
    /// The minute's beginning.
    pub from: Timestamp,
    /// The minute's end.
    pub until: Timestamp,
    /// How many more there were.
    pub count: u64,
}
