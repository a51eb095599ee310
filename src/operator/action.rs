//! The actions, as they cross the socket.

use super::secret::Secret;
use serde::{Deserialize, Serialize};

/// What to do, to what, and why. Names and ids are as the person typed them; they are parsed where
/// the action is carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "action", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Action {
    /// Settle an apply whose outcome is unknown.
    ResolveApply {
        /// The apply's id.
        apply: String,
        /// What the person found upstream.
        outcome: Settlement,
        /// Why they say so.
        reason: String,
    },
    /// Close a task, revoke its tokens, cancel what is pending.
    CloseTask {
        /// The task's id.
        task: String,
        /// Why.
        reason: String,
    },
    /// Try a delivery again that was given up.
    RetryDelivery {
        /// The delivery's id.
        delivery: String,
        /// Why.
        reason: String,
    },
    /// Try every delivery again that was given up.
    RetryDeliveries {
        /// Why.
        reason: String,
    },
    /// Take grants from an agent.
    RevokeGrants {
        /// The agent's name.
        agent: String,
        /// The operation's id in the catalog; all grants of the agent when absent.
        operation: Option<String>,
        /// Why.
        reason: String,
    },
    /// Erase what has ended.
    Erase {
        /// What to erase.
        what: Erased,
        /// Why, without repeating it.
        reason: String,
    },
    /// Put a policy document where people decide about a change and not enough of them are left.
    PutPolicy {
        /// The document's text.
        source: String,
        /// It is JSON, else TOML.
        json: bool,
        /// The version that it follows; the one in force when absent.
        follows: Option<u64>,
        /// Why.
        reason: String,
    },
    /// Do what the API does, where the API would ask for a passkey.
    Asked(Asked),
    /// Make the first admin.
    CreateAdmin {
        /// The user's name.
        name: String,
        /// The password; without one a link is handed out, by which a passkey is registered.
        password: Option<Secret>,
    },
    /// Take a passkey from an approver.
    RevokeCredential {
        /// The approver's principal.
        principal: String,
        /// The credential's id, base64url.
        credential: String,
        /// Why.
        reason: String,
    },
    /// Make projections anew beside the tables in use. Changes nothing in the ledger, so it has no
    /// reason to be recorded.
    RebuildProjections {
        /// Which; all of them when empty.
        names: Vec<String>,
    },
}

/// A request to the API, and why it is done on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// The segments behind `/v1/`.
    pub(crate) path: Vec<String>,
    /// The parameters behind the path.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) query: Vec<(String, String)>,
    /// JSON, in which a password may stand.
    pub(crate) body: Option<Secret>,
    pub(crate) reason: String,
}

/// A word between an action that takes long and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UnderWay {
    /// How far it is.
    pub(crate) under_way: String,
}

/// What to erase, as the person typed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Erased {
    /// A task's id.
    Task(String),
    /// An agent's name.
    Agent(String),
    /// An approver's principal.
    Approver(String),
    /// A user's id.
    User(String),
}

/// What a person found out about an apply whose answer was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Settlement {
    /// It was carried out
    Executed,
    /// It was not carried out
    NotExecuted,
}

/// How an action ended, in words for the person who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub(crate) enum Performed {
    /// It is recorded and holds.
    Done {
        /// What holds now.
        text: String,
    },
    /// It is recorded, and this is handed out once.
    Handed {
        /// What holds now.
        text: String,
        /// A link.
        secret: Secret,
    },
    /// Nothing was changed.
    Refused {
        /// Why, and what to do.
        text: String,
    },
}
