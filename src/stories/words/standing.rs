//! Grants and passkeys.

use super::super::moment::moment;
use super::super::operations::scope;
use super::super::topic::Topic;
use super::{because, plain};
use ledger::event::{CredentialPut, CredentialStatus, Grant, PermissionsReplaced};
use ledger::operation::shown;

pub(super) fn approver(topic: &Topic) -> String {
    topic
        .approver
        .as_deref()
        .map_or_else(|| "the approver".to_owned(), plain)
}

pub(super) fn permissions(who: &str, replaced: &PermissionsReplaced, topic: &Topic) -> String {
    let agent = topic.agent.as_deref().map_or_else(
        || "the agent".to_owned(),
        |agent| format!("agent {}", plain(agent)),
    );
    let reason = because(replaced.reason.as_deref());
    if replaced.grants.is_empty() {
        return format!("{who} leaves {agent} without any grant{reason}");
    }
    let grants: Vec<String> = replaced.grants.iter().map(grant).collect();
    format!("{who} grants {agent} {}{reason}", grants.join(", "))
}

fn grant(grant: &Grant) -> String {
    let until = grant
        .expires_at
        .map_or_else(String::new, |until| format!(" until {}", moment(until)));
    format!(
        "{} ({}) on {} {}{until}",
        grant.operation,
        grant.granted_level,
        grant.scope_type,
        scope(&grant.scope_id)
    )
}

pub(super) fn credential(who: &str, put: &CredentialPut, topic: &Topic) -> String {
    let of = approver(topic);
    let id = shown(&put.credential_id.to_base64url(), 16);
    let reason = because(put.reason.as_deref());
    match put.status {
        CredentialStatus::Active => format!(
            "{who} registers passkey {id} of {of}, {} key {}{reason}",
            put.algorithm,
            shown(&hex::encode(put.public_key_thumbprint.as_slice()), 16)
        ),
        CredentialStatus::Revoked => format!("{who} takes passkey {id} away from {of}{reason}"),
    }
}
