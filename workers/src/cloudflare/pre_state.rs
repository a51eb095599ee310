//! What an operation would change, as it is now; read once for an approval and recorded.

use super::client::CloudflareClient;
use super::state::Depth;
use ledger::operation::{Operation, ZoneName};
use serde_json::Value;

/// Largest pre-state that is recorded, in bytes of JSON.
const MOST_BYTES: usize = 256 * 1024;

/// What stands upstream where an operation would change something.
#[derive(Debug, Clone, PartialEq)]
pub enum PreState {
    /// What stands there: see [`super::Snapshot`].
    Value(Value),
    /// It changes nothing that can be read: reads, and purges.
    NotApplicable,
    /// It cannot be read now, and why.
    Unavailable(String),
}

impl CloudflareClient {
    /// Reads what the operation would change in a zone of this name, or in one whose name cannot be
    /// read, and why. Changes nothing.
    pub async fn read_pre_state(
        &self,
        operation: &Operation,
        zone: Result<&ZoneName, &str>,
    ) -> PreState {
        match self.read_state(operation, zone, Depth::Settings).await {
            Ok(None) => PreState::NotApplicable,
            Ok(Some(found)) => {
                let value = found.recorded();
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
