//! Agents' pre-approved permissions.

use super::mistakes::{all, both};
use super::{Coverage, reason, time, word};
use crate::problem::ApiError;
use ledger::command::ReplacePermissions;
use ledger::event::Grant;
use ledger::{AgentName, Providers, ScopePattern, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The whole set of an agent's permissions from here on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PermissionsRequest {
    /// May be sent back as it was read; it must be the agent of the path.
    #[serde(default)]
    agent_id: Option<String>,
    /// What replaces the present set; empty takes everything away.
    permissions: Vec<Permission>,
    /// The present set as it was read. Where it is another one by now, nothing is replaced. The order does not count.
    #[serde(default)]
    instead_of: Option<Vec<Permission>>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

/// One pre-approved permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Permission {
    /// An operation of the catalog.
    #[schema(example = "dns.record.write")]
    operation_id: String,
    /// The operation's scope type.
    #[schema(example = "zone")]
    scope_type: String,
    /// Which one, or `*` for every one of that type.
    scope_id: String,
    /// Up to which level: read, write or admin.
    #[schema(example = "write")]
    granted_level: String,
    /// Until when (RFC 3339); for good when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

impl PermissionsRequest {
    pub(crate) fn read(
        self,
        agent: &str,
        now: Timestamp,
        providers: &Providers,
    ) -> Result<ReplacePermissions, ApiError> {
        if self.agent_id.is_some_and(|named| named != *agent) {
            return Err(ApiError::bad_request(
                "agent_id: the path names another agent",
            ));
        }
        let before = self.instead_of.as_deref();
        let grants = |field: &str, permissions: &[Permission], least: Timestamp| {
            all(permissions.iter().enumerate().map(|(index, permission)| {
                let at = format!("{field}[{index}]");
                let read = permission.read(&at, least, providers);
                // What the agent has already may be of an API that is closed by now. Whether it has it is looked at
                // when these take its place.
                match before.is_some_and(|before| before.contains(permission)) {
                    true => read.or_else(|why| permission.of_a_closed_api(providers).ok_or(why)),
                    false => read,
                }
            }))
        };
        let given = grants("permissions", &self.permissions, now);
        // What has run out since it was read does not count.
        let read = before.map(|read| grants("instead_of", read, Timestamp::from_seconds(0)));
        let ((grants, instead_of), reason) =
            both(both(given, read.transpose()), reason(self.reason))?;
        Ok(ReplacePermissions {
            agent: AgentName::parse(agent)?,
            grants,
            instead_of,
            reason,
        })
    }
}

impl Permission {
    fn read(&self, at: &str, now: Timestamp, providers: &Providers) -> Result<Grant, ApiError> {
        let (operation, scope_type) = (&self.operation_id, &self.scope_type);
        let covers = Coverage::read(at, operation, scope_type, &self.scope_id, providers);
        let granted_level = word(&format!("{at}.granted_level"), &self.granted_level);
        let until = |text: &String| {
            let at = format!("{at}.expires_at");
            match time(&at, text)? {
                until if until > now => Ok(until),
                _ => Err(ApiError::bad_request(format!("{at}: is in the past"))),
            }
        };
        let expires_at = self.expires_at.as_ref().map(until).transpose();
        let ((covers, granted_level), expires_at) = both(both(covers, granted_level), expires_at)?;
        Ok(Grant {
            operation: covers.operation.id,
            scope_type: covers.operation.scope_type,
            scope_id: covers.scope_id,
            granted_level,
            expires_at,
        })
    }
}

impl Permission {
    /// The same of an operation that no catalog has any more; `None` for any other, and for what is no grant.
    fn of_a_closed_api(&self, providers: &Providers) -> Option<Grant> {
        if providers.entry(&self.operation_id).is_ok() {
            return None;
        }
        // It begins with the name of its API.
        self.operation_id.split_once('.')?;
        let until = |text: &String| time("expires_at", text).ok();
        Some(Grant {
            operation: self.operation_id.parse().ok()?,
            scope_type: self.scope_type.parse().ok()?,
            scope_id: ScopePattern::of_route(&self.scope_id)?,
            granted_level: self.granted_level.parse().ok()?,
            expires_at: match &self.expires_at {
                Some(text) => Some(until(text)?),
                None => None,
            },
        })
    }
}

impl From<&Grant> for Permission {
    fn from(grant: &Grant) -> Self {
        Self {
            operation_id: grant.operation.to_string(),
            scope_type: grant.scope_type.to_string(),
            scope_id: grant.scope_id.to_string(),
            granted_level: grant.granted_level.to_string(),
            expires_at: grant.expires_at.map(|at| at.to_string()),
        }
    }
}

/// What an agent is granted beforehand.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PermissionSet)]
pub(crate) struct Permissions {
    /// The agent's name.
    pub(crate) agent_id: String,
    /// The whole set.
    pub(crate) permissions: Vec<Permission>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_reads_the_same() {
        let request: PermissionsRequest = serde_json::from_value(json!({"permissions": [
            {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
             "granted_level": "write"},
            {"operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "a1",
             "granted_level": "admin", "expires_at": "2027-01-01T00:00:00Z"},
        ]}))
        .unwrap();
        let before = request.permissions.clone();
        let command = request
            .read(
                "ci",
                Timestamp::from_seconds(1_790_000_000),
                &providers::all(),
            )
            .unwrap();
        let after: Vec<_> = command.grants.iter().map(Permission::from).collect();
        assert_eq!(after, before);
    }

    #[test]
    fn a_grant_of_a_closed_api_stays_beside_others_and_is_not_given_anew() {
        let closed = json!({"operation_id": "gone.issues.write", "scope_type": "repo",
            "scope_id": "octo/hello", "granted_level": "write"});
        let other = json!({"operation_id": "dns.record.read", "scope_type": "zone",
            "scope_id": "z1", "granted_level": "read"});
        let mut wider = closed.clone();
        wider["granted_level"] = json!("admin");
        let read = |permissions: serde_json::Value, instead_of: serde_json::Value| {
            let body = json!({"permissions": permissions, "instead_of": instead_of});
            let request: PermissionsRequest = serde_json::from_value(body).unwrap();
            let now = Timestamp::from_seconds(1_790_000_000);
            request.read("ci", now, &providers::all())
        };
        let kept = read(json!([closed, other]), json!([closed])).unwrap();
        assert_eq!(kept.grants.len(), 2);
        assert_eq!(kept.instead_of.unwrap(), kept.grants[..1]);
        for given in [json!([closed]), json!([wider])] {
            assert!(read(given.clone(), json!([])).is_err());
        }
        assert!(read(json!([wider]), json!([closed])).is_err());
    }

    #[test]
    fn a_wrong_part_is_named() {
        let fine = json!({"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "granted_level": "write"});
        for (field, value) in [
            ("operation_id", "permissions.admin"),
            ("scope_type", "account"),
            ("scope_id", "a b"),
            ("granted_level", "owner"),
            ("expires_at", "soon"),
            ("expires_at", "2026-01-01T00:00:00Z"),
        ] {
            let mut permission = fine.clone();
            permission[field] = json!(value);
            let body = json!({"permissions": [permission]});
            let request: PermissionsRequest = serde_json::from_value(body).unwrap();
            let refused = request
                .read(
                    "ci",
                    Timestamp::from_seconds(1_790_000_000),
                    &providers::all(),
                )
                .unwrap_err()
                .to_string();
            assert!(
                refused.starts_with(&format!("permissions[0].{field}")),
                "{refused}"
            );
        }
    }
}
