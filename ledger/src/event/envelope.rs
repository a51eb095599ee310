//! What every payload begins with: who acted, for which request, because of what. Frozen.

use crate::id::{CommandId, RequestId, TokenId};
use crate::name::{AgentName, ApproverName, ClientSubject, CredentialId};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Who acted. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// A worker of the service itself.
    System {
        /// Which one: `executor`, `dispatcher`, `expirer`, `ledger`.
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
