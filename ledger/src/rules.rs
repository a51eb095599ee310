//! What the operator configured and decisions depend on.

use crate::challenge::ChallengeKey;
use crate::seal::MasterKeys;
use std::sync::Arc;
use std::time::Duration;

/// The rules that decisions follow. The same for the life of a process.
#[derive(Debug, Clone)]
pub struct Rules {
    /// How long a question to humans stays open, and how long an approval can be continued.
    pub approval_ttl: Duration,
    /// The principals who may decide.
    pub approvers: Vec<String>,
    /// How many tries a delivery gets, the first included.
    pub callback_max_attempts: u32,
    /// WebAuthn relying party id.
    pub rp_id: String,
    /// WebAuthn origin.
    pub origin: String,
    /// Authenticates challenges that were handed out.
    pub challenge_key: ChallengeKey,
    /// Seals callback secrets.
    pub master_keys: Arc<MasterKeys>,
    /// `iss` of capability tokens.
    pub token_issuer: String,
    /// `aud` of capability tokens.
    pub token_audience: String,
}
