//! Events of a user's stream. Frozen forms.

use serde::{Deserialize, Serialize};

/// What a user may do, each role all that the one before may. Frozen: the order is that of the rights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Runs tasks, and takes grants and credentials away.
    Operator,
    /// Does the rest.
    Admin,
}

impl Role {
    /// The word in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }
}
