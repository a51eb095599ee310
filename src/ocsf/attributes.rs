//! The attributes of each class: users, sessions, entities and calls, from what an event is described by.

use super::class::{Activity, PRODUCT};
use ledger::describe::{Act, Call, Change, Effect, Topic};
use ledger::event::Assurance;
use ledger::{Actor, StreamId};
use serde_json::{Value, json};

/// The upstream that operations act on.
const UPSTREAM: &str = "Cloudflare";

/// What was done, in the words of its class.
pub(super) fn activity(act: &Act) -> Activity {
    match act {
        Act::Managed { change, .. } => match change {
            Change::Unknown => Activity::ENTITY_UNKNOWN,
            Change::Created => Activity::ENTITY_CREATED,
            Change::Updated => Activity::ENTITY_UPDATED,
            Change::Deleted => Activity::ENTITY_DELETED,
        },
        Act::Account { .. } => Activity::ACCOUNT_CREATED,
        Act::Passkey { active: true, .. } => Activity::FACTOR_ENABLED,
        Act::Passkey { active: false, .. } => Activity::FACTOR_DISABLED,
        Act::Token { issued: false, .. } => Activity::SESSION_REVOKED,
        Act::Token { issued: true, .. } | Act::Decision { .. } => Activity::SESSION_AUTHORISED,
        Act::Grants { grants } if grants.is_empty() => Activity::REVOKED,
        Act::Grants { .. } => Activity::ASSIGNED,
        Act::Call(call) => match call.effect {
            Effect::None => Activity::CALLED,
            Effect::Reads => Activity::READ,
            Effect::Changes => Activity::CHANGED,
            Effect::Notifies => Activity::NOTIFIED,
        },
    }
}

/// What the class has a place for. Absent values are null.
pub(super) fn attributes(act: &Act, stream: StreamId, by: &Actor, topic: &Topic) -> Value {
    let agent = || user(topic.agent.as_deref().unwrap_or("unknown"), "agent");
    match act {
        Act::Managed { kind, id, name, .. } => {
            let uid = id.clone().unwrap_or_else(|| stream.to_string());
            json!({"entity": {"type": kind, "uid": uid, "name": name}})
        }
        Act::Account { name, kind } => json!({"user": user(name, kind)}),
        Act::Passkey { credential_id, .. } => {
            let mut user = user(topic.approver.as_deref().unwrap_or("unknown"), "approver");
            put(&mut user, "credential_uid", json!(credential_id));
            json!({"user": user})
        }
        Act::Token { token_id, .. } => {
            let task = topic.task_id.map(|task| format!("task {task}"));
            let task = task.unwrap_or_else(|| "a task".to_owned());
            json!({"user": agent(), "session": {"uid": token_id}, "privileges": [task]})
        }
        // An agent may do what was asked for, or may not.
        Act::Decision {
            credential_id,
            is_passkey,
        } => json!({
            "user": agent(),
            "privileges": or_else(&topic.operations, "what was asked for"),
            "session": {"credential_uid": credential_id, "is_mfa": is_passkey},
        }),
        Act::Grants { grants } => {
            json!({"user": agent(), "privileges": or_else(grants, "all")})
        }
        Act::Call(call) => called(call, by),
    }
}

fn or_else(phrases: &[String], none: &str) -> Vec<String> {
    match phrases {
        [] => vec![none.to_owned()],
        phrases => phrases.to_vec(),
    }
}

fn called(call: &Call, by: &Actor) -> Value {
    let mut api = json!({"operation": call.operation});
    let own = call.upstream.then_some(UPSTREAM);
    if let Some(service) = call.service.as_deref().or(own) {
        put(&mut api, "service", json!({"name": service}));
    }
    if let Some(id) = &call.request {
        put(&mut api, "request", json!({"uid": id}));
    }
    if let Some((code, message)) = &call.error {
        let response = json!({"error": code, "error_message": message});
        put(&mut api, "response", response);
    }
    let scopes = call.scopes.as_ref().map(|scopes| {
        let scopes = scopes.iter();
        let scopes = scopes.map(|(kind, id)| json!({"type": kind, "uid": id}));
        scopes.collect::<Value>()
    });
    let http_request = call.method.as_ref().map(|method| {
        let url = call.path.as_ref().map(|path| json!({"path": path}));
        json!({"http_method": method, "url": url})
    });
    json!({
        "actor": actor(by),
        "src_endpoint": source(by),
        "api": api,
        "resources": scopes,
        "http_request": http_request,
        "dst_endpoint": call.host.as_ref().map(|host| json!({"hostname": host})),
        "count": call.count,
        "duration": call.duration_ms,
        // API activity has no place for an HTTP response in 1.3.0.
        "status_code": call.http_status.map(|code| code.to_string()),
    })
}

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
        Actor::User {
            user_id,
            via_id,
            assurance,
            ..
        } => json!({
            "user": {"uid": user_id, "type_id": 99, "type": "user"},
            "session": {"uid": via_id, "is_mfa": *assurance == Assurance::PasskeyUv},
        }),
        Actor::AgentKey {
            name,
            key_id,
            subject,
            ..
        } => json!({
            "user": user(name, "agent"),
            "session": {"credential_uid": key_id, "issuer": subject},
        }),
        Actor::Service { fingerprint } => json!({
            "user": user("service-token", "service"),
            "session": {"credential_uid": hex::encode(fingerprint)},
        }),
    }
}

/// A user of a kind that is ours alone, so its type is *other*.
fn user(name: &str, kind: &str) -> Value {
    json!({"name": name, "type_id": 99, "type": kind})
}

/// Where a call came from: the client's signed subject, or the part of the service that made it.
fn source(actor: &Actor) -> Value {
    match actor {
        Actor::Agent { subject, .. }
        | Actor::Administrator { subject, .. }
        | Actor::AgentKey {
            subject: Some(subject),
            ..
        } => json!({"name": subject}),
        Actor::System { component } => json!({"svc_name": format!("{PRODUCT} {component}")}),
        Actor::Approver { .. }
        | Actor::Operator { .. }
        | Actor::User { .. }
        | Actor::AgentKey { .. }
        | Actor::Service { .. } => json!({"svc_name": PRODUCT}),
    }
}

fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}
