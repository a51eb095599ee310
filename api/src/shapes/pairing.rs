//! Pairing.

use app::pairing;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A machine that asks for a key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PairingRequest {
    /// The agent's name: 1 to 200 characters. It may be new.
    #[schema(example = "ci-bot")]
    pub(crate) agent: String,
}

/// A pairing that has begun.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairingBegun {
    /// For the person who confirms: 8 of the characters 2-9 and A-Z without I, L and O.
    #[schema(example = "7KQ2MZXA")]
    code: String,
    /// For the machine alone, which polls with it.
    device_secret: String,
    /// The page on which a person who is logged in confirms or refuses it.
    confirm_url: String,
    expires_at: String,
    /// How long to wait between two polls.
    #[schema(example = 5)]
    interval_seconds: u64,
}

impl PairingBegun {
    pub(crate) fn of(begun: pairing::Begun, confirm_url: String) -> Self {
        Self {
            code: begun.code.reveal(),
            device_secret: begun.device_secret,
            confirm_url,
            expires_at: begun.expires_at.to_string(),
            interval_seconds: pairing::INTERVAL.as_secs(),
        }
    }
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PollRequest {
    /// From the answer that began the pairing.
    #[schema(value_type = String, format = Password)]
    pub(crate) device_secret: SecretString,
}

/// Nobody has answered yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairingPending {
    /// `pending`
    #[schema(example = "pending")]
    status: &'static str,
}

impl Default for PairingPending {
    fn default() -> Self {
        Self { status: "pending" }
    }
}

/// The key. This answer alone shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairedKey {
    /// The agent's name.
    agent: String,
    key_id: String,
    /// `authorization: Bearer KEY` proves the agent.
    #[schema(example = "cak_1fJjkkpe9PiTw9KSulA8Ghct30vZz4HpdQ5c5b9cPF14OibJk")]
    key: String,
}

impl From<pairing::PairedKey> for PairedKey {
    fn from(paired: pairing::PairedKey) -> Self {
        Self {
            agent: paired.agent.into(),
            key_id: paired.key_id.to_string(),
            key: paired.text.into_revealed(),
        }
    }
}

/// A machine that asks for a key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Asking {
    code: String,
    /// The name that the machine has said.
    agent: String,
    /// True where there is an agent of that name.
    known: bool,
    /// Where the machine asked from.
    #[schema(example = "203.0.113.7")]
    address: String,
    created_at: String,
    expires_at: String,
}

impl Asking {
    pub(crate) fn of(code: &str, asking: &pairing::Asking) -> Self {
        Self {
            code: code.to_ascii_uppercase(),
            agent: asking.agent.to_string(),
            known: asking.is_known,
            address: asking.address.to_string(),
            created_at: asking.created_at.to_string(),
            expires_at: asking.expires_at.to_string(),
        }
    }
}

/// A pairing that was confirmed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairingConfirmed {
    /// The agent's name.
    agent: String,
    /// The key that the machine fetches.
    key_id: String,
}

impl From<pairing::Confirmed> for PairingConfirmed {
    fn from(confirmed: pairing::Confirmed) -> Self {
        Self {
            agent: confirmed.agent.into(),
            key_id: confirmed.key.id.to_string(),
        }
    }
}
