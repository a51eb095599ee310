//! What an operation would change, as it is now; read once for an approval and recorded.

use super::client::UpstreamClient;
use ledger::operation::Operation;
use ledger::provider::{Depth, Upstream};
use serde_json::Value;

/// Largest pre-state that is recorded, in bytes of JSON.
const MOST_BYTES: usize = 256 * 1024;

/// What stands upstream where an operation would change something.
#[derive(Debug, Clone, PartialEq)]
pub enum PreState {
    /// What stands there: see [`ledger::provider::Snapshot`].
    Value(Value),
    /// It changes nothing that can be read.
    NotApplicable,
    /// It cannot be read now, and why.
    Unavailable(String),
}

impl UpstreamClient {
    /// Reads what the operation would change where upstream calls its scope by this name, or the name cannot
    /// be read, and why. Changes nothing.
    pub async fn read_pre_state(
        &self,
        operation: &Operation,
        name: Result<&str, &str>,
    ) -> PreState {
        let (effect, scope) = (operation.effect(), &operation.scope);
        match effect
            .read_state(scope, name, Depth::Shown, self as &dyn Upstream)
            .await
        {
            Ok(None) => PreState::NotApplicable,
            Ok(Some(found)) => {
                let value = found.recorded().clone();
                if value.to_string().len() <= MOST_BYTES {
                    PreState::Value(value)
                } else {
                    PreState::Unavailable("too large to be recorded".to_owned())
                }
            }
            Err(why) => PreState::Unavailable(why),
        }
    }
}
