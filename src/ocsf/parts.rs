//! Objects inside events: users, endpoints, entities.

use crate::stories::Topic;
use ledger::event::Grant;
use ledger::{Actor, OperationId, ScopeType, StreamId};
use serde_json::{Value, json};

/// Who acted. Parts of the service itself are named as applications.
pub(super) fn actor(actor: &Actor) -> Value {
    match actor {
        Actor::System { component } => json!({"app_name": format!("{PRODUCT} {component}")}),
        Actor::Agent {
            agent,
            subject,
            token,
        } => json!({
            "user": user(agent, "agent"),
            "session": {"uid": token, "issuer": subject},
        }),
        Actor::Administrator { principal, subject } => json!({
            "user": user(principal, "administrator"),
            "session": {"issuer": subject},
        }),
        Actor::Approver {
            principal,
            credential_id,
        } => json!({
            "user": user(principal, "approver"),
            "session": {"credential_uid": credential_id, "is_mfa": true},
        }),
        Actor::Operator { name } => json!({"user": user(name, "operator")}),
    }
}

/// The name of the product.
pub(super) const PRODUCT: &str = "llm-permission-proxy";

/// A user of a kind that is ours alone, so its type is *other*.
pub(super) fn user(name: &str, kind: &str) -> Value {
    json!({"name": name, "type_id": 99, "type": kind})
}

/// The agent that a stream belongs to.
pub(super) fn agent(topic: &Topic) -> Value {
    user(topic.agent.as_deref().unwrap_or("unknown"), "agent")
}

/// The approver whose stream it is.
pub(super) fn approver(topic: &Topic) -> Value {
    user(topic.approver.as_deref().unwrap_or("unknown"), "approver")
}

/// Where a call came from: the client's signed subject, or the part of the service that made it.
pub(super) fn source(actor: &Actor) -> Value {
    match actor {
        Actor::Agent { subject, .. } | Actor::Administrator { subject, .. } => {
            json!({"name": subject})
        }
        Actor::System { component } => json!({"svc_name": format!("{PRODUCT} {component}")}),
        Actor::Approver { .. } | Actor::Operator { .. } => json!({"svc_name": PRODUCT}),
    }
}

pub(super) fn entity(kind: &str, uid: impl ToString) -> Value {
    json!({"type": kind, "uid": uid.to_string()})
}

pub(super) fn stream(kind: &str, stream: StreamId) -> Value {
    entity(kind, stream)
}

/// What an operation acts on.
pub(super) fn resource(kind: ScopeType, id: &str) -> Value {
    json!({"type": kind.to_string(), "uid": id})
}

/// `dns.record.write on zone z1`.
pub(super) fn privilege(operation: OperationId, kind: ScopeType, id: &str) -> String {
    format!("{operation} on {kind} {id}")
}

pub(super) fn granted(grants: &[Grant]) -> Vec<String> {
    grants
        .iter()
        .map(|grant| privilege(grant.operation, grant.scope_type, &grant.scope_id))
        .collect()
}
