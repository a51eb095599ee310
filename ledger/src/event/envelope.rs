//! What every payload begins with: who acted, for which request, because of what. Frozen.

use crate::id::{AgentId, CommandId, KeyId, RequestId, SessionId, TokenId, UserId};
use crate::name::{AgentName, ApproverName, ClientSubject, CredentialId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How strongly a session proves its user. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// A password.
    Password,
    /// A key that software holds.
    SoftwareKey,
    /// A passkey whose authenticator has verified the user.
    PasskeyUv,
}

/// The way by which a user acts. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Via {
    /// A session of theirs.
    Session,
}

/// Who acted. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A worker of the service itself.
    System {
        /// Which one: `executor`, `dispatcher`, `expirer`, `gateway`, `ledger`.
        component: String,
    },
    /// An agent with a capability token.
    Agent {
        /// The agent's name.
        agent: AgentName,
        /// The signed subject of the request.
        subject: ClientSubject,
        /// The token's `jti`.
        token: TokenId,
    },
    /// The holder of a bootstrap token.
    Administrator {
        /// The token's `sub`.
        principal: String,
        /// The signed subject of the request.
        subject: ClientSubject,
    },
    /// A human with a passkey.
    Approver {
        /// The approver's principal.
        principal: ApproverName,
        /// The credential that signed.
        credential_id: CredentialId,
    },
    /// A person at the command line of the service's machine.
    Operator {
        /// The account's name there.
        name: String,
    },
    /// A signed-in person.
    User {
        /// The user; names are labels, which the user's stream tells.
        user_id: UserId,
        /// The way.
        via: Via,
        /// The session.
        via_id: SessionId,
        /// The strongest proof of that session at that time.
        assurance: Assurance,
    },
    /// An agent with a key of its own.
    AgentKey {
        /// The agent.
        agent_id: AgentId,
        /// The agent's name.
        name: AgentName,
        /// The key.
        key_id: KeyId,
        /// The signed subject of the request, where it had one.
        subject: Option<ClientSubject>,
    },
    /// The holder of the service token.
    Service {
        /// The first eight bytes of the token's SHA-256.
        fingerprint: [u8; 8],
    },
}

impl Actor {
    /// A worker of the service itself.
    #[must_use]
    pub fn system(component: &str) -> Self {
        Self::System {
            component: component.to_owned(),
        }
    }
}

/// One short phrase for people: `agent ci-bot`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System { component } if component.is_empty() => f.write_str("(erased)"),
            Self::System { component } => write!(f, "the {component}"),
            Self::Agent { agent, .. } => write!(f, "agent {agent}"),
            Self::Administrator { principal, .. } => write!(f, "administrator {principal}"),
            Self::Approver { principal, .. } => write!(f, "approver {principal}"),
            Self::Operator { name } => write!(f, "operator {name}"),
            Self::User { user_id, .. } => write!(f, "user {user_id}"),
            Self::AgentKey { name, .. } => write!(f, "agent {name}"),
            Self::Service { .. } => f.write_str("the service token"),
        }
    }
}

/// The start of every payload. Frozen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who acted.
    pub actor: Actor,
    /// The request that it was for, when it was for one.
    pub request_id: Option<RequestId>,
    /// The position of the event that this one answers, when there is one.
    pub cause: Option<u64>,
    /// The command; all events of one command carry the same.
    pub command_id: CommandId,
}

impl Envelope {
    /// What stands in for the envelope of an event whose payload was erased: nobody, for nothing.
    #[must_use]
    pub fn erased() -> Self {
        Self {
            actor: Actor::system(""),
            request_id: None,
            cause: None,
            command_id: CommandId::from_bytes([0; 16]),
        }
    }
}
