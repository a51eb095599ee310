//! The state that an operation would change, as it is now; read once for an approval and recorded.

use super::client::UpstreamClient;
use ledger::event::PreState;
use ledger::operation::Operation;
use ledger::provider::Depth;

/// Largest pre-state that is recorded, in bytes of JSON.
const MOST_BYTES: usize = 256 * 1024;

impl UpstreamClient {
    /// Reads what the operation would change where upstream calls its scope by this name, or the name cannot
    /// be read, and why. Changes nothing.
    pub async fn read_pre_state(
        &self,
        operation: &Operation,
        name: Result<&str, &str>,
    ) -> PreState {
        let (effect, scope) = (operation.effect(), &operation.scope);
        match effect.read_state(scope, name, Depth::Shown, self).await {
            Ok(None) => PreState::NotApplicable,
            Ok(Some(found)) => bounded(found.recorded().to_string(), MOST_BYTES),
            Err(why) => PreState::Unavailable(why),
        }
    }
}

/// The state that was found, as far as it may be recorded.
pub(crate) fn bounded(found: String, most: usize) -> PreState {
    if found.len() <= most {
        PreState::Found(found)
    } else {
        PreState::Unavailable("too large to be recorded".to_owned())
    }
}
